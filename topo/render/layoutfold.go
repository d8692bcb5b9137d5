package render

import (
	"fmt"
	"slices"

	"github.com/nscope/nscope/topo"
)

// foldedLayout is the picture of a graph in which bridges with more than a dozen members show some of them, as in the
// tree, and how many more there are. A picture of all of 500 containers is higher than any screen.
func foldedLayout(g *topo.Graph, o Options) *picture {
	if o.Full {
		return layout(g, o)
	}
	whole := newTree(g, o)
	gone, more := whole.foldable()
	if len(gone) == 0 {
		return layout(g, o)
	}
	part := &topo.Graph{Schema: g.Schema, Hosts: g.Hosts, Gaps: g.Gaps, Edges: g.Edges}
	for _, n := range g.Nodes {
		if !gone[n.ID] {
			part.Nodes = append(part.Nodes, n)
		}
	}
	return newLayouter(part, o, whole, more).picture()
}

// foldable are the nodes that a folded picture leaves out, and how many ports of which bridges are among them. Left out
// is what has no other part in the picture: a container's namespace, with both ends of all its wires.
func (t *tree) foldable() (gone map[string]bool, more map[string]int) {
	gone, more = map[string]bool{}, map[string]int{}
	t.each(topo.KindLink, func(br *topo.Node) {
		if !isBridge(br) {
			return
		}
		var members []*topo.Node
		for _, p := range t.ports[br.ID] {
			peer := t.peer[p.ID]
			if peer == nil || t.netnsOf[peer.ID] == nil || t.home[t.netnsOf[peer.ID].ID] != peer.ID {
				continue
			}
			members = append(members, t.netnsOf[peer.ID])
		}
		if len(members) <= foldMembers {
			return
		}
		slices.SortStableFunc(members, func(a, b *topo.Node) int { return natural(a.Name, b.Name) })
		for _, ns := range members[keepMembers:] {
			if t.leaf(ns) {
				t.leaveOut(ns, gone, more)
			}
		}
	})
	return gone, more
}

// leaf tells whether a namespace is a container's with nothing but wires to ports of bridges.
func (t *tree) leaf(ns *topo.Node) bool {
	if ns.Attrs.Role != topo.RoleContainer || len(t.edges(ns.ID, topo.EdgeBalances)) > 0 {
		return false
	}
	return !slices.ContainsFunc(t.links[ns.ID], func(l *topo.Node) bool {
		p := t.peer[l.ID]
		return p == nil || t.netnsOf[p.ID] == ns || t.master[p.ID] == nil || t.master[l.ID] != nil || isBridge(l) ||
			len(t.children[l.ID])+len(t.children[p.ID]) > 0
	})
}

func (t *tree) leaveOut(ns *topo.Node, gone map[string]bool, more map[string]int) {
	gone[ns.ID] = true
	for _, c := range t.containers[ns.ID] {
		gone[c.ID] = true
	}
	for _, l := range t.links[ns.ID] {
		p := t.peer[l.ID]
		gone[l.ID], gone[p.ID] = true, true
		more[t.master[p.ID].ID]++
	}
	for _, e := range t.edgesTo(ns.ID, topo.EdgeIn) { // lo
		gone[e.From] = true
	}
}

// morePill stands for the ports of a bridge that are left out, and names the TARGET of which the picture has them all.
func (l *layouter) morePill(br *topo.Node) *draft {
	group := br
	if nws := l.carried(br); len(nws) == 1 {
		group = nws[0]
	}
	target := l.whole.target(l.whole.node[group.ID])
	lines := []line{bigLine(fmt.Sprintf("%s %d more", l.o.glyphs().dots, l.more[br.ID]))}
	if target != "" {
		lines = append(lines, line{text: target, class: "s", size: smallSize, tip: "nscope topo " + target})
	}
	return l.draft(moreID(br), "port", colPort, lines...)
}

func moreID(br *topo.Node) string { return "more:" + br.ID }

// moreWires ties the pills of what is left out to their bridges.
func (l *layouter) moreWires() {
	l.each(topo.KindLink, func(br *topo.Node) {
		b, ok1 := l.anchors[br.ID]
		m, ok2 := l.anchors[moreID(br)]
		if ok1 && ok2 {
			l.pic.wires = append(l.pic.wires, &wire{kind: topo.EdgePort, from: moreID(br), to: br.ID, path: curve(b.d.x+b.d.w, b.y(), m.d.x, m.y())})
		}
	})
}
