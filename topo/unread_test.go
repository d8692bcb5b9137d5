package topo

import (
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// TestRulesUnread: of a kernel without nf_tables it is known that there are no such rules; of one that gave tables and then no more, not.
func TestRulesUnread(t *testing.T) {
	table := rTable("ip", "filter", rBase("FORWARD", "filter", "forward", 0))
	legacy := table
	legacy.Backend = snapshot.NfLegacy
	absent := snapshot.Gap{Reader: "nftables", Error: "no nftables", Needs: snapshot.NeedsNfTables}
	denied := snapshot.Gap{Reader: "nftables", Error: "permission denied", Needs: "CAP_NET_ADMIN"}
	for name, x := range map[string]struct {
		nf           snapshot.Netfilter
		gaps         []snapshot.Gap
		read, unread bool
	}{
		"read, there are none":      {snapshot.Netfilter{Generation: 1}, nil, true, false},
		"read":                      {snapshot.Netfilter{Generation: 2, Tables: []snapshot.NfTable{table}}, nil, true, false},
		"not asked":                 {snapshot.Netfilter{}, nil, false, false},
		"no nf_tables":              {snapshot.Netfilter{}, []snapshot.Gap{absent}, true, false},
		"no nf_tables, legacy":      {snapshot.Netfilter{Tables: []snapshot.NfTable{legacy}}, []snapshot.Gap{absent}, true, false},
		"refused after its tables":  {snapshot.Netfilter{Tables: []snapshot.NfTable{table}}, []snapshot.Gap{absent}, false, true},
		"not permitted":             {snapshot.Netfilter{}, []snapshot.Gap{denied}, false, true},
		"legacy alone is permitted": {snapshot.Netfilter{Tables: []snapshot.NfTable{legacy}}, []snapshot.Gap{denied}, false, true},
	} {
		m := modesLab()
		for i := range m.s.Namespaces {
			if ns := &m.s.Namespaces[i]; ns.ID == m.host.id {
				ns.Netfilter = x.nf
			}
		}
		for _, g := range x.gaps {
			g.Namespace = m.host.id
			m.s.Gaps = append(m.s.Gaps, g)
		}
		g := Build(m.s)
		for i := range g.Nodes {
			n := &g.Nodes[i]
			if sp := g.index().raw[n.ID].sp; n.Kind == KindNetns && sp != nil && sp.id == m.host.id {
				if sp.rulesRead() != x.read || g.RulesUnread(n) != x.unread {
					t.Errorf("%s: read %v, unread %v", name, sp.rulesRead(), g.RulesUnread(n))
				}
				x.nf.Generation = 99 // it was met
			}
		}
		if x.nf.Generation != 99 {
			t.Errorf("%s: no namespace of the host", name)
		}
	}
}
