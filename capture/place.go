package capture

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// Spot is one namespace, or one link in it, where packets are taken.
type Spot struct {
	// Netns is the namespace's node, Link the link's, nil for all links.
	Netns *topo.Node
	Link  *topo.Node
	// Asked is the TARGET that it was asked for by.
	Asked string
}

// Spots says where to capture for a TARGET: a container's or other namespace, one link, what carries a network (its bridge, or the namespace of an
// overlay), "lb:NETWORK" the load balancer of a network, "ingress" that of the routing mesh, "all" every namespace.
func Spots(g *topo.Graph, target string) ([]Spot, error) {
	var out []Spot
	add := func(ns, link *topo.Node) {
		if g.Namespace(ns) != nil {
			out = append(out, Spot{ns, link, target})
		}
	}
	network, balancer := strings.CutPrefix(target, "lb:")
	switch {
	case target == "all", target == "ingress", balancer:
		for i := range g.Nodes {
			n := &g.Nodes[i]
			if n.Kind != topo.KindNetns {
				continue
			}
			if target == "all" || target == "ingress" && n.Attrs.Role == topo.RoleIngress || balancer && n.Attrs.Role == topo.RoleLoadBalancer && n.Attrs.Network == network {
				add(n, nil)
			}
		}
		if len(out) == 0 {
			return nil, &topo.NotFoundError{Target: target}
		}
		return out, nil
	}
	n, err := g.Resolve(target)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case topo.KindNetns:
		add(n, nil)
	case topo.KindLink:
		if ns, ok := g.Netns(n); ok {
			add(ns, n)
		}
	case topo.KindNetwork:
		for _, e := range g.In(n.ID, topo.EdgeCarries) {
			c, ok := g.Node(e.From)
			if !ok {
				continue
			}
			if c.Kind == topo.KindNetns {
				add(c, nil)
			} else if ns, ok := g.Netns(c); ok {
				add(ns, c)
			}
		}
	case topo.KindService:
		for _, m := range g.Members(n) {
			if ns, ok := g.Netns(m); ok {
				add(ns, nil)
			}
		}
	default:
		if ns, ok := g.Netns(n); ok {
			add(ns, nil)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s %q has no namespace here that packets could be taken in", n.Kind, n.Name)
	}
	return out, nil
}

// names answers who has an address, as seen from a namespace; answers are kept, as packets ask again and again.
type names struct {
	g    *topo.Graph
	from *topo.Node
	seen map[netip.Addr]string
}

func (n *names) name(a netip.Addr) string {
	if s, ok := n.seen[a]; ok {
		return s
	}
	if len(n.seen) > 1<<16 {
		clear(n.seen)
	}
	s := n.g.WhoHas(n.from, a)
	n.seen[a] = s
	return s
}

// Namer gives places their names and what is named in their packets.
type Namer struct {
	g *topo.Graph
	// None has addresses stay addresses (-n).
	None bool
	from map[string]*names
	vni  map[uint32]func(netip.Addr) string
	// shared counts the namespaces that have a name: one network's are called alike on every host.
	shared map[string]int
}

// NewNamer names by a graph.
func NewNamer(g *topo.Graph) *Namer {
	n := &Namer{g: g, from: map[string]*names{}, vni: map[uint32]func(netip.Addr) string{}, shared: map[string]int{}}
	for i := range g.Nodes {
		if x := &g.Nodes[i]; x.Kind == topo.KindNetns {
			name, _ := n.plainName(x)
			n.shared[name]++
		}
	}
	return n
}

func (n *Namer) seenFrom(ns *topo.Node) func(netip.Addr) string {
	if n.None {
		return nil
	}
	c := n.from[ns.ID]
	if c == nil {
		c = &names{n.g, ns, map[netip.Addr]string{}}
		n.from[ns.ID] = c
	}
	return c.name
}

// inside names what is in a VXLAN by the namespace that has the VNI's vxlan link. Where two networks share a VNI (two clusters on one
// machine) it names nothing.
func (n *Namer) inside(vni uint32) func(netip.Addr) string {
	if n.None {
		return nil
	}
	f, ok := n.vni[vni]
	if ok {
		return f
	}
	var found []*topo.Node
	for i := range n.g.Nodes {
		l := &n.g.Nodes[i]
		if l.Kind != topo.KindLink || l.Attrs.Type != "vxlan" || l.Attrs.VNI != vni {
			continue
		}
		if ns, ok := n.g.Netns(l); ok {
			found = append(found, ns)
		}
	}
	if len(found) > 0 {
		all := make([]func(netip.Addr) string, len(found))
		networks := map[string]bool{}
		for i, ns := range found {
			all[i] = n.seenFrom(ns)
			carried := n.g.Out(ns.ID, topo.EdgeCarries)
			if len(carried) == 0 {
				networks["netns "+ns.ID] = true // which network it is nobody says
			}
			for _, e := range carried {
				networks[e.To] = true
			}
		}
		// Of one network whoever knows it names an address, and nobody may say otherwise. Where that they are one is not known, all must agree:
		// two clusters on one machine have the same VNIs and the same addresses.
		one := len(networks) == 1
		f = func(a netip.Addr) string {
			name := ""
			for i, ask := range all {
				switch s := ask(a); {
				case s == "" && one:
				case i > 0 && s != name && !(one && name == ""):
					return ""
				default:
					name = s
				}
			}
			return name
		}
	}
	n.vni[vni] = f
	return f
}

// NetnsName is what a namespace is called in a place: its container, or its own name, with the host's or node's before it where several are
// called so.
func (n *Namer) NetnsName(ns *topo.Node) (name, workload string) {
	name, workload = n.plainName(ns)
	if n.shared[name] > 1 {
		name = path.Base(ns.Host) + "/" + name
	}
	return name, workload
}

func (n *Namer) plainName(ns *topo.Node) (name, workload string) {
	for _, e := range n.g.In(ns.ID, topo.EdgeRunsIn) {
		if c, ok := n.g.Node(e.From); ok && ns.Attrs.Role == topo.RoleContainer {
			if workload == "" || c.Name < workload {
				workload = c.Name
			}
		}
	}
	switch {
	case workload != "":
		return workload, workload
	case ns.Attrs.Role == topo.RoleHost:
		return "host", ""
	}
	return ns.Name, ""
}

// Place describes one link of a namespace.
func (n *Namer) Place(ns *topo.Node, link string) *text.Place {
	name, workload := n.NetnsName(ns)
	p := &text.Place{Name: name + "/" + link, Link: link, Workload: workload, Names: n.seenFrom(ns), Inside: n.inside, Own: map[netip.Addr]bool{}}
	s := n.g.Namespace(ns)
	if s == nil {
		return p
	}
	p.Netns = s.ID.Short()
	p.Description = "netns " + p.Netns
	for i := range s.Links {
		if l := &s.Links[i]; l.Name == link {
			p.Description += n.about(ns, l)
		}
		for _, a := range s.Links[i].Addrs {
			p.Own[a.Prefix.Addr()] = true
		}
	}
	return p
}

// about says a link's kind and what it is tied to, as far as the graph has proven it.
func (n *Namer) about(ns *topo.Node, l *snapshot.Link) string {
	out := ""
	if l.Kind != "" {
		out = ", " + l.Kind
	}
	for i := range n.g.Nodes {
		x := &n.g.Nodes[i]
		if x.Kind != topo.KindLink || x.Attrs.Ifindex != l.Index || x.Attrs.Netns != ns.ID {
			continue
		}
		for _, e := range slices.Concat(n.g.Out(x.ID, topo.EdgeVeth), n.g.In(x.ID, topo.EdgeVeth)) {
			other := e.To
			if other == x.ID {
				other = e.From
			}
			if peer, ok := n.g.Node(other); ok {
				out += ", peer " + peer.Name
				if pns, ok := n.g.Netns(peer); ok {
					name, _ := n.NetnsName(pns)
					out += " in " + name
				}
			}
		}
	}
	return out
}

// LinkName is the name of the link with this ifindex in a namespace, "" where it was not there when the graph was read.
func (n *Namer) LinkName(ns *topo.Node, ifindex int) string {
	s := n.g.Namespace(ns)
	if s == nil {
		return ""
	}
	i := slices.IndexFunc(s.Links, func(l snapshot.Link) bool { return l.Index == ifindex })
	if i < 0 {
		return ""
	}
	return s.Links[i].Name
}
