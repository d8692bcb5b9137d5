package topo

import "slices"

// Whole is the graph of which [Graph.Sub] made this one a part; a graph that is no part is its own whole. What a part
// lacks is not known to be missing: only the whole can tell.
func (g *Graph) Whole() *Graph {
	if w := g.index().whole; w != nil {
		return w
	}
	return g
}

// Outside reports whether a node of a part is there only by name: a namespace whose links, or a container whose
// namespace, or a network whose carriers are in the whole graph and not here.
func (g *Graph) Outside(n *Node) bool {
	whole := g.Whole()
	if whole == g {
		return false
	}
	lost := func(out func(*Graph) []*Edge) bool { return len(out(g)) == 0 && len(out(whole)) > 0 }
	switch n.Kind {
	case KindNetns:
		// lo alone says nothing: the others are what is asked about.
		real := func(x *Graph) bool {
			return slices.ContainsFunc(x.linksIn(n), func(l *Node) bool { return l.Attrs.Type != "loopback" })
		}
		return !real(g) && real(whole) || lost(func(x *Graph) []*Edge { return x.In(n.ID, EdgeIn) })
	case KindContainer:
		return lost(func(x *Graph) []*Edge { return x.Out(n.ID, EdgeRunsIn) })
	case KindNetwork:
		return lost(func(x *Graph) []*Edge { return x.In(n.ID, EdgeCarries) })
	}
	return false
}
