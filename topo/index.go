package topo

import (
	"slices"
	"sync"

	"github.com/nscope/nscope/inspect/snapshot"
)

// index finds things in a graph without a search.
type index struct {
	nodes   map[string]*Node
	out, in map[string][]*Edge
	raw     map[string]raw
	sources []*source
	whole   *Graph // of a part: what it is a part of

	// Made when first asked for.
	nameOnce, netOnce sync.Once
	names             *names
	byNet             map[string][]string
	reach             reachCache
}

func newIndex(g *Graph) *index {
	ix := &index{nodes: make(map[string]*Node, len(g.Nodes))}
	for i := range g.Nodes {
		ix.nodes[g.Nodes[i].ID] = &g.Nodes[i]
	}
	ix.indexEdges(g)
	return ix
}

func (ix *index) indexEdges(g *Graph) {
	ix.out, ix.in = make(map[string][]*Edge, len(g.Nodes)), make(map[string][]*Edge, len(g.Nodes))
	for i := range g.Edges {
		e := &g.Edges[i]
		ix.out[e.From] = append(ix.out[e.From], e)
		ix.in[e.To] = append(ix.in[e.To], e)
	}
}

// index is made by Build; a graph that was read from JSON gets its own on first use, which is not safe for several
// goroutines at once.
func (g *Graph) index() *index {
	if g.ix == nil {
		g.ix = newIndex(g)
	}
	return g.ix
}

// Node finds a node by its id.
func (g *Graph) Node(id string) (*Node, bool) {
	n, ok := g.index().nodes[id]
	return n, ok
}

// Out returns the edges that leave a node, of the given kinds or of all, sorted by kind and target.
func (g *Graph) Out(id string, kinds ...EdgeKind) []*Edge { return ofKind(g.index().out[id], kinds) }

// In returns the edges that lead to a node, of the given kinds or of all, sorted by kind and origin.
func (g *Graph) In(id string, kinds ...EdgeKind) []*Edge { return ofKind(g.index().in[id], kinds) }

func ofKind(es []*Edge, kinds []EdgeKind) []*Edge {
	if len(kinds) == 0 {
		return slices.Clone(es)
	}
	var out []*Edge
	for _, e := range es {
		if slices.Contains(kinds, e.Kind) {
			out = append(out, e)
		}
	}
	return out
}

// Snapshot is the snapshot from which a node's data was taken, nil where the graph was not built from one.
func (g *Graph) Snapshot(n *Node) *snapshot.Snapshot {
	if s := g.index().raw[n.ID].src; s != nil {
		return s.snap
	}
	return nil
}

// Namespace is the data of a netns node, or of the namespace that a link or container is in; nil where there is none.
func (g *Graph) Namespace(n *Node) *snapshot.Namespace {
	if sp := g.space(n); sp != nil {
		return sp.ns
	}
	return nil
}

// space is the namespace of a node: its own, or the one that it is in.
func (g *Graph) space(n *Node) *space {
	r := g.index().raw[n.ID]
	if r.work != nil {
		return r.work.ns
	}
	return r.sp
}

// Netns is the node of the namespace that a netns, link or container node is or is in.
func (g *Graph) Netns(n *Node) (*Node, bool) {
	switch n.Kind {
	case KindNetns:
		return n, true
	case KindLink:
		return g.Node(n.Attrs.Netns)
	case KindContainer:
		for _, e := range g.Out(n.ID, EdgeRunsIn) {
			return g.Node(e.To)
		}
	}
	return nil, false
}

// Link is the data of a link node.
func (g *Graph) Link(n *Node) *snapshot.Link {
	if l := g.index().raw[n.ID].link; l != nil {
		return l.l
	}
	return nil
}

// Workload is the data of a container node, with what several engines know of it put together.
func (g *Graph) Workload(n *Node) *snapshot.Workload {
	if w := g.index().raw[n.ID].work; w != nil {
		return w.w
	}
	return nil
}

// Network is the data of a network node.
func (g *Graph) Network(n *Node) *snapshot.Network {
	if w := g.index().raw[n.ID].net; w != nil {
		return w.best()
	}
	return nil
}

// Service is the data of a service node.
func (g *Graph) Service(n *Node) *snapshot.Service {
	if s := g.index().raw[n.ID].svc; s != nil {
		return s.best
	}
	return nil
}
