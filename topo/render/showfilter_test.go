package render

import (
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// TestShowFilters: what a filter does is said with the name of the link that it sends to; one that does nothing is left out.
func TestShowFilters(t *testing.T) {
	snap := showSnapshot()
	snap.Namespaces[0].Filters = []snapshot.TCFilter{
		{Ifindex: 2, Parent: "ingress", Priority: 10, Protocol: "ip", Kind: "u32", Handle: "0x800"},
		{Ifindex: 2, Parent: "ingress", Priority: 10, Protocol: "ip", Kind: "u32", Handle: "0x80000800", Actions: []snapshot.TCAction{{Kind: "mirred", To: 3, Result: "stolen", Packets: 5, Drops: 2}}},
		{Ifindex: 2, Parent: "egress", Priority: 1, Protocol: "all", Kind: "bpf", Handle: "0x1", ProgName: "cil_to_netdev", ProgID: 77},
	}
	snap.Normalize()
	g := topo.Build(snap)
	n, err := g.Resolve("host")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(showOf(t, g, n, Options{Width: -1}), "FILTERS\n")
	text, _, _ = strings.Cut(text, "\n\n")
	got := strings.Join(strings.Fields(text), " ")
	want := "DEV AT PREF PROTOCOL KIND PROGRAM DOES HITS DROPPED eth0 ingress 10 ip u32 mirred to docker0 stolen 5 2 eth0 egress 1 all bpf cil_to_netdev (program 77)"
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
