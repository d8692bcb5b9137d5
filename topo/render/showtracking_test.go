package render

import (
	"strings"
	"testing"

	"github.com/nscope/nscope/topo"
)

// TestShowTracking: nothing of a table that nobody uses, a hint where it is nearly full or full, and what was lost.
func TestShowTracking(t *testing.T) {
	for _, tt := range []struct {
		count, max string
		drop       uint64
		want, not  string
	}{
		{"0", "100", 0, "", "CONNECTION TRACKING"},
		{"", "", 0, "", "CONNECTION TRACKING"},
		{"50", "100", 0, "50 entries of at most 100", "full"},
		{"90", "100", 0, "nearly full", "table is full"},
		{"100", "100", 0, "the table is full", "nearly"},
		{"0", "100", 7, "7 dropped", "is full"},
		{"5", "0", 0, "5 entries", "is full"},
	} {
		snap := showSnapshot()
		snap.Namespaces[0].Sysctls = map[string]string{"net.netfilter.nf_conntrack_count": tt.count, "net.netfilter.nf_conntrack_max": tt.max}
		snap.Namespaces[0].Counters = map[string]uint64{"conntrack.drop": tt.drop}
		g := topo.Build(snap)
		n, err := g.Resolve("host")
		if err != nil {
			t.Fatal(err)
		}
		text := showOf(t, g, n, Options{Width: -1})
		if !strings.Contains(text, tt.want) || strings.Contains(text, tt.not) {
			t.Errorf("%+v:\n%s", tt, text)
		}
	}
}
