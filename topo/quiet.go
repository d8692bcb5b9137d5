package topo

import "slices"

// fallbacks are the names of the devices that modules make by themselves, of tunnels in every namespace, by kind.
var fallbacks = map[string][]string{
	"gre": {"gre0"}, "gretap": {"gretap0"}, "erspan": {"erspan0"}, "ip6gre": {"ip6gre0"}, "sit": {"sit0"}, "ipip": {"tunl0"}, "ip6tnl": {"ip6tnl0"},
	"vti": {"ip_vti0"}, "vti6": {"ip6_vti0"}, "bond": {"bond0"}, "dummy": {"dummy0"}, "ifb": {"ifb0", "ifb1"},
}

// Quiet is the graph without devices that the kernel's modules made by themselves (gre0, sit0, bond0, dummy0 …) and nobody uses: they
// have their module's name and kind, are down, have no address, and nothing is attached to them. Pictures are of what is used; what is
// kept has its ids.
func (g *Graph) Quiet(keep ...string) *Graph {
	s := &subset{g: g, keep: map[string]bool{}}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		s.keep[n.ID] = slices.Contains(keep, n.ID) || !g.unused(n)
	}
	if !slices.ContainsFunc(g.Nodes, func(n Node) bool { return !s.keep[n.ID] }) {
		return g
	}
	out := s.graph()
	// What is left out is not missing: the rest does not refer to it.
	out.ix.whole = nil
	if whole := g.Whole(); whole != g {
		out.ix.whole = whole.Quiet(keep...)
	}
	return out
}

func (g *Graph) unused(n *Node) bool {
	if n.Kind != KindLink || !slices.Contains(fallbacks[n.Attrs.Type], n.Name) {
		return false
	}
	l := g.Link(n)
	if l == nil || slices.Contains(l.Flags, "up") || len(l.Addrs) > 0 || l.Master != 0 || l.Alias != "" || l.XDP != "" || l.Stats.RxPackets+l.Stats.TxPackets > 0 {
		return false
	}
	attached := func(e *Edge) bool { return e.Kind != EdgeIn && e.Kind != EdgeUnderlay }
	return !slices.ContainsFunc(g.Out(n.ID), attached) && !slices.ContainsFunc(g.In(n.ID), attached)
}
