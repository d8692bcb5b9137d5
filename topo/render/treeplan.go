package render

import (
	"cmp"
	"slices"

	"github.com/nscope/nscope/topo"
)

// planHomes chooses for every namespace that hangs on others the wire on which it has its place: that of the network
// which is most its own. A swarm task is found on its overlay, not on docker_gwbridge, which all of them share.
func (t *tree) planHomes() {
	t.each(topo.KindNetns, func(n *topo.Node) {
		if t.isSwitch(n) {
			return
		}
		best, bestRank := "", 0
		for _, l := range t.links[n.ID] {
			up := t.upstream(l)
			if up == nil || t.netnsOf[up.ID] == nil || !t.isSwitch(t.netnsOf[up.ID]) {
				continue
			}
			if r := t.rank(n, up); best == "" || r < bestRank {
				best, bestRank = l.ID, r
			}
		}
		if best != "" {
			t.home[n.ID] = best
		}
	})
}

// upstream is the link in another namespace that l hangs on: the other end of its pair, or what it is a child of.
func (t *tree) upstream(l *topo.Node) *topo.Node {
	up := t.peer[l.ID]
	if up == nil {
		up = t.parent[l.ID]
	}
	if up == nil || t.netnsOf[up.ID] == t.netnsOf[l.ID] {
		return nil
	}
	return up
}

// rank tells how much the network behind the link up is the namespace's own: the lower the more.
func (t *tree) rank(n, up *topo.Node) int {
	carrier := up
	if m := t.master[up.ID]; m != nil {
		carrier = m
	} else if isPair(up) {
		return 2
	}
	if carrier.Name == "docker_gwbridge" {
		return 4
	}
	for _, nw := range t.carried(carrier) {
		if nw.Name == "ingress" && n.Attrs.Role != topo.RoleIngress {
			return 3
		}
	}
	if ns := t.netnsOf[carrier.ID]; ns.Attrs.Network == "ingress" && n.Attrs.Role != topo.RoleIngress {
		return 3
	}
	return 1
}

// carried returns the networks of a link: its own, or those of the overlay namespace whose bridge it is.
func (ix *index) carried(l *topo.Node) []*topo.Node {
	if own := ix.networks[l.ID]; len(own) > 0 {
		return own
	}
	if ns := ix.netnsOf[l.ID]; ns != nil && ns.Attrs.Role == topo.RoleOverlay && isBridge(l) {
		return ix.networks[ns.ID]
	}
	return nil
}

// placeName says where a namespace has its place, for the rows that refer there: a network, a bridge or a namespace.
func (t *tree) placeName(n *topo.Node) string {
	l := t.node[t.home[n.ID]]
	if l == nil {
		return ""
	}
	up := t.upstream(l)
	if m := t.master[up.ID]; m != nil {
		up = m
	}
	if nws := t.carried(up); len(nws) > 0 {
		return nameOf(nws[0])
	}
	if ns := t.netnsOf[up.ID]; ns.Attrs.Role == topo.RoleOverlay {
		if ns.Attrs.Network != "" {
			return ns.Attrs.Network
		}
		return nsName(ns)
	}
	return nameOf(up)
}

// sortRows orders siblings by class, then as people count.
func sortRows(rows []*row) []*row {
	slices.SortStableFunc(rows, func(a, b *row) int {
		return cmp.Or(cmp.Compare(a.class, b.class), natural(a.name, b.name))
	})
	return rows
}

// foldMembers folds the members and the references of sorted rows as one group, and leaves what is before and after. Group
// is what shows all of them when it is looked at alone, nil for nothing.
func (t *tree) foldMembers(rows []*row, group *topo.Node) []*row {
	from, to := len(rows), len(rows)
	for i, r := range rows {
		if from == len(rows) && r.class >= classMember {
			from = i
		}
		if r.class > classReference {
			to = i
			break
		}
	}
	if from >= to {
		return rows
	}
	r := append([]*row(nil), rows[:from]...)
	r = append(r, t.fold(rows[from:to], foldMembers, keepMembers, group)...)
	return append(r, rows[to:]...)
}
