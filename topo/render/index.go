package render

import (
	"cmp"
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

// index answers what the renderers ask of a graph again and again. Edges whose ends are not both in the graph are left
// out (a part of a graph has such), but for backends, which may lead to a plain address.
type index struct {
	g    *topo.Graph
	node map[string]*topo.Node
	out  map[string][]*topo.Edge
	in   map[string][]*topo.Edge

	netnsOf    map[string]*topo.Node   // link → namespace
	links      map[string][]*topo.Node // namespace → its links but lo, by ifindex
	containers map[string][]*topo.Node // namespace → who runs in it: whose it is first, then by name
	homeOf     map[string]*topo.Node   // container → namespace
	peer       map[string]*topo.Node   // link → the other end of the pair
	master     map[string]*topo.Node   // port → bridge
	ports      map[string][]*topo.Node // bridge → ports
	parent     map[string]*topo.Node   // macvlan, ipvlan, vlan → what it sits on
	children   map[string][]*topo.Node // the reverse
	networks   map[string][]*topo.Node // link or namespace → what it carries
	loopback   map[string]bool         // namespaces whose lo was read
}

func newIndex(g *topo.Graph) *index {
	// Maps that grow cost more than all else here, on a host with thousands of links.
	n, spaces := len(g.Nodes), 0
	for i := range g.Nodes {
		if g.Nodes[i].Kind == topo.KindNetns {
			spaces++
		}
	}
	ix := &index{
		g: g, node: make(map[string]*topo.Node, n), out: make(map[string][]*topo.Edge, n), in: make(map[string][]*topo.Edge, n),
		netnsOf: make(map[string]*topo.Node, n-spaces), links: make(map[string][]*topo.Node, spaces), containers: make(map[string][]*topo.Node, spaces),
		homeOf: make(map[string]*topo.Node, spaces), peer: make(map[string]*topo.Node, n-spaces), master: make(map[string]*topo.Node, spaces),
		ports: map[string][]*topo.Node{}, parent: map[string]*topo.Node{}, children: map[string][]*topo.Node{},
		networks: map[string][]*topo.Node{}, loopback: map[string]bool{},
	}
	for i := range g.Nodes {
		ix.node[g.Nodes[i].ID] = &g.Nodes[i]
	}
	for i := range g.Edges {
		ix.add(&g.Edges[i])
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind != topo.KindLink || ix.netnsOf[n.ID] != nil {
			continue
		}
		if ns := ix.node[n.Attrs.Netns]; ns != nil && ns.Kind == topo.KindNetns {
			ix.netnsOf[n.ID] = ns
			ix.links[ns.ID] = append(ix.links[ns.ID], n)
		}
	}
	for id, list := range ix.links {
		ix.loopback[id] = slices.ContainsFunc(list, isLoopback)
		list = slices.DeleteFunc(list, isLoopback)
		slices.SortStableFunc(list, byIfindex)
		ix.links[id] = list
	}
	for _, m := range []map[string][]*topo.Node{ix.ports, ix.children} {
		for _, list := range m {
			slices.SortStableFunc(list, byIfindex)
		}
	}
	for _, m := range []map[string][]*topo.Node{ix.containers, ix.networks} {
		for _, list := range m {
			slices.SortStableFunc(list, byName)
		}
	}
	for _, list := range ix.containers {
		slices.SortStableFunc(list, func(a, b *topo.Node) int { return cmp.Compare(joined(a), joined(b)) })
	}
	return ix
}

// joined is 1 for a container that joined another's namespace: whose it is, comes first.
func joined(c *topo.Node) int {
	if c.Attrs.Mode == "container" {
		return 1
	}
	return 0
}

func (ix *index) add(e *topo.Edge) {
	from, to := ix.node[e.From], ix.node[e.To]
	if from == nil || (to == nil && e.Kind != topo.EdgeBackend) {
		return
	}
	ix.out[e.From] = append(ix.out[e.From], e)
	ix.in[e.To] = append(ix.in[e.To], e)
	switch e.Kind {
	case topo.EdgeIn:
		if ix.netnsOf[from.ID] == nil {
			ix.netnsOf[from.ID] = to
			ix.links[to.ID] = append(ix.links[to.ID], from)
		}
	case topo.EdgeRunsIn:
		if ix.homeOf[from.ID] == nil {
			ix.homeOf[from.ID] = to
			ix.containers[to.ID] = append(ix.containers[to.ID], from)
		}
	case topo.EdgeVeth:
		if from != to && ix.peer[from.ID] == nil && ix.peer[to.ID] == nil {
			ix.peer[from.ID], ix.peer[to.ID] = to, from
		}
	case topo.EdgePort:
		if from != to && ix.master[from.ID] == nil {
			ix.master[from.ID] = to
			ix.ports[to.ID] = append(ix.ports[to.ID], from)
		}
	case topo.EdgeParent:
		if from != to && ix.parent[from.ID] == nil {
			ix.parent[from.ID] = to
			ix.children[to.ID] = append(ix.children[to.ID], from)
		}
	case topo.EdgeCarries:
		ix.networks[from.ID] = append(ix.networks[from.ID], to)
	}
}

// edges returns the edges of a kind that leave id.
func (ix *index) edges(id string, kind topo.EdgeKind) []*topo.Edge { return ofKind(ix.out[id], kind) }

// edgesTo returns the edges of a kind that lead to id.
func (ix *index) edgesTo(id string, kind topo.EdgeKind) []*topo.Edge { return ofKind(ix.in[id], kind) }

func ofKind(all []*topo.Edge, kind topo.EdgeKind) []*topo.Edge {
	var r []*topo.Edge
	for _, e := range all {
		if e.Kind == kind {
			r = append(r, e)
		}
	}
	return r
}

// each calls f for every node of a kind, in the graph's order.
func (ix *index) each(kind topo.Kind, f func(*topo.Node)) {
	for i := range ix.g.Nodes {
		if ix.g.Nodes[i].Kind == kind {
			f(&ix.g.Nodes[i])
		}
	}
}

func isLoopback(n *topo.Node) bool {
	return n.Attrs.Type == "loopback" || n.Name == "lo" && n.Attrs.Type == ""
}

func byIfindex(a, b *topo.Node) int {
	return cmp.Or(cmp.Compare(a.Attrs.Ifindex, b.Attrs.Ifindex), strings.Compare(a.ID, b.ID))
}

func byName(a, b *topo.Node) int {
	return cmp.Or(natural(a.Name, b.Name), strings.Compare(a.ID, b.ID))
}

// isBridge tells whether links may be ports of a link of this type.
func isBridge(n *topo.Node) bool { return n.Attrs.Type == "bridge" || n.Attrs.Type == "openvswitch" }

// isNIC tells whether a link is, or stands for, what leads out of the machine.
func isNIC(n *topo.Node) bool {
	switch n.Attrs.Type {
	case "device", "bond", "team", "":
		return true
	}
	return false
}

// isPair tells whether links of this type come in pairs.
func isPair(n *topo.Node) bool { return n.Attrs.Type == "veth" || n.Attrs.Type == "netkit" }

// isHome tells whether a namespace is that of a host, or of an engine's own.
func isHome(n *topo.Node) bool { return n.Attrs.Role == topo.RoleHost || n.Attrs.Role == topo.RoleNode }

// isSwitch tells whether a namespace has a section of its own: homes, the switches of overlays, and what is nobody's and
// has a bridge. A container with bridges inside keeps its place on the wire that it hangs on.
func (ix *index) isSwitch(n *topo.Node) bool {
	switch n.Attrs.Role {
	case topo.RoleHost, topo.RoleNode, topo.RoleOverlay:
		return true
	case topo.RoleNamed, topo.RoleOther:
		return len(ix.containers[n.ID]) == 0 && slices.ContainsFunc(ix.links[n.ID], isBridge)
	}
	return false
}
