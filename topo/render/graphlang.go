package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

// Dot and Mermaid draw the same thing: boxes for links and containers inside those for namespaces inside those for
// hosts, and arrows for whatever is neither "in" nor "runs-in". outline is what they have in common.
type outline struct {
	*index
	ids map[string]string // node id → a short id that is safe in any language
}

func newOutline(g *topo.Graph) *outline {
	o := &outline{index: newIndex(g), ids: map[string]string{}}
	for i := range g.Nodes {
		o.ids[g.Nodes[i].ID] = fmt.Sprintf("n%d", i)
	}
	return o
}

// label is what a node is called, line by line.
func (o *outline) label(n *topo.Node) []string {
	a := &n.Attrs
	var l []string
	switch n.Kind {
	case topo.KindLink:
		l = append(l, nameOf(n), cmp.Or(linkFacts(n, true), "NIC"))
		if a.Type == "veth" || a.Type == "bridge" {
			l[1] = a.Type
		}
		l = append(l, mainAddrs(a.Addrs, false)...)
	case topo.KindContainer:
		l = append(l, nameOf(n), strings.Trim(engineWord(n), "()")+" "+a.Image)
		l = append(l, strings.Join(Options{}.ports(a.Ports), " "))
	case topo.KindNetwork:
		l = append(append(l, "network "+nameOf(n), a.Driver), networkFacts(n)...)
	case topo.KindService:
		l = append(l, "service "+nameOf(n), strings.Join(Options{}.ports(a.Ports), " "))
	case topo.KindVTEP:
		l = append(l, "tunnel end "+nameOf(n), a.Node)
	case topo.KindNetns:
		l = append(l, nsName(n), roleWord(n))
		if len(o.containers[n.ID]) > 0 && !isHome(n) {
			l[1] = ""
		}
	}
	return slices.DeleteFunc(l, func(s string) bool { return strings.TrimSpace(s) == "" })
}

// edgeLabel is what is written on an edge: nothing where its line says all.
func edgeLabel(e *topo.Edge, arrow string) string {
	a := &e.Attrs
	switch e.Kind {
	case topo.EdgeTunnel:
		return words(when(a.VNI != 0, fmt.Sprintf("vni %d", a.VNI)), a.Address)
	case topo.EdgeBalances:
		return words("VIP", a.Address)
	case topo.EdgeBackend:
		return a.Address
	case topo.EdgePublishes:
		return words(fmt.Sprintf("%d%s%d/%s", a.HostPort, arrow, a.TargetPort, a.Proto), a.By)
	case topo.EdgeParent:
		return "on"
	case topo.EdgeUnderlay:
		return "over"
	case topo.EdgeCarries:
		return "carries"
	}
	return ""
}

// drawn are the edges that become lines. What one box inside another says already is left out, and so is a line from
// a box to the one around it.
func (o *outline) drawn() []*topo.Edge {
	var list []*topo.Edge
	for i := range o.g.Edges {
		e := &o.g.Edges[i]
		from, to := o.node[e.From], o.node[e.To]
		if e.Kind == topo.EdgeIn || e.Kind == topo.EdgeRunsIn || from == nil || to == nil || from == to || isLoopback(from) || isLoopback(to) {
			continue
		}
		if o.inside(from, to) || o.inside(to, from) {
			continue
		}
		list = append(list, e)
	}
	return list
}

func (o *outline) inside(n, ns *topo.Node) bool {
	return ns.Kind == topo.KindNetns && (o.netnsOf[n.ID] == ns || o.homeOf[n.ID] == ns)
}

// stray are the nodes in no section: links in no namespace, networks, services, tunnel ends.
func (o *outline) stray() []*topo.Node {
	var list []*topo.Node
	for i := range o.g.Nodes {
		n := &o.g.Nodes[i]
		switch n.Kind {
		case topo.KindLink:
			if o.netnsOf[n.ID] == nil {
				list = append(list, n)
			}
		case topo.KindNetwork, topo.KindService, topo.KindVTEP:
			if len(o.out[n.ID])+len(o.in[n.ID]) > 0 || n.Attrs.Driver != "host" && n.Attrs.Driver != "null" {
				list = append(list, n)
			}
		}
	}
	return list
}
