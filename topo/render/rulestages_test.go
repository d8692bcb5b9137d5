package render

import (
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// TestStages: what packets pass besides rules stands before and after the chains, in the kernel's order.
func TestStages(t *testing.T) {
	snap := showSnapshot()
	ns := &snap.Namespaces[0]
	ns.Netfilter.Tables = []snapshot.NfTable{{Backend: snapshot.NfNft, Family: "ip", Name: "t", Chains: []snapshot.NfChain{
		{Name: "in", Type: "filter", Hook: "input", Policy: "accept", Rules: []snapshot.NfRule{{Handle: 1, Exprs: []snapshot.NfExpr{{Verdict: &snapshot.NfVerdict{Kind: "drop"}}}}}}}}}
	ns.Programs = []snapshot.BPFProgram{
		{Attach: "tcx_egress", Ifindex: 2, ID: 3}, {Attach: "tcx_ingress", Ifindex: 2, ID: 2, Name: "two"}, {Attach: "xdp", Mode: "driver", Ifindex: 2, ID: 1, Name: "one"},
		{Attach: "sk_lookup", ID: 4, Name: "steer"}, {Attach: "cgroup_inet4_connect", Cgroup: "/kube", ID: 5, Name: "dial"},
	}
	ns.Filters = []snapshot.TCFilter{
		{Ifindex: 2, Parent: "ingress", Priority: 10, Protocol: "ip", Kind: "u32", Handle: "0x800"},
		{Ifindex: 2, Parent: "ingress", Priority: 10, Protocol: "ip", Kind: "u32", Actions: []snapshot.TCAction{{Kind: "gact", Result: "drop", Packets: 5, Drops: 5}}},
		{Ifindex: 2, Parent: "7:0", Priority: 2, Protocol: "ip", Kind: "u32", Class: "7:1"},
		{Ifindex: 2, Parent: "egress", Priority: 1, Protocol: "all", Kind: "bpf", ProgName: "out", ProgID: 77, Direct: true},
	}
	ns.Qdiscs = []snapshot.Qdisc{{Ifindex: 2, Kind: "htb", Handle: "7:0", Parent: "root", Packets: 9}, {Ifindex: 2, Kind: "clsact", Handle: "ffff:0", Parent: "ingress"}, {Ifindex: 3, Kind: "fq_codel", Handle: "0:0", Parent: "root"}}
	ns.Classes = []snapshot.TCClass{{Ifindex: 2, Kind: "htb", Class: "7:1", Parent: "root", Packets: 4, Drops: 1}}
	snap.Normalize()
	g := topo.Build(snap)
	n, err := g.Resolve("host")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := Rules(&b, g.Rules(n, topo.RuleOptions{}), Options{Wide: true}); err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(b.String(), "\n")
	const want = `links, in
        .  eth0 xdp driver: bpf "one" (program 1)
        .  eth0 tcx ingress: bpf "two" (program 2)
        5  eth0 tc ingress: pref 10 ip u32, gact (drop), dropped 5
ip input
      0 t in, policy accept (nft)
        .  drop
links, out
        .  eth0 tcx egress: bpf (program 3)
        .  eth0 tc egress: pref 1 all bpf, bpf "out" (program 77), direct-action
        9  eth0 qdisc: htb 7:0 parent root
        .  eth0 filter of 7:0: pref 2 ip u32, class 7:1
        4  eth0 class: htb 7:1 parent root, dropped 1
sockets
        .  sk lookup: bpf "steer" (program 4)
        .  /kube cgroup inet4 connect: bpf "dial" (program 5)
`
	if got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if used := g.Rules(n, topo.RuleOptions{Used: true}); len(used) != 1 || len(used[0].Egress) != 5 {
		t.Errorf("used: %+v", used)
	}
	// In show: by name, too.
	if text := showOf(t, g, n, Options{Width: -1}); !strings.Contains(text, "BPF PROGRAMS\n") || !strings.Contains(text, "cgroup inet4 connect") || !strings.Contains(text, "CLASSES\n") {
		t.Error(text)
	}
}

// TestSavedRules: each table goes to the tool that it was made by, and what that has no words for is told.
func TestSavedRules(t *testing.T) {
	snap := showSnapshot()
	drop := snapshot.NfExpr{Verdict: &snapshot.NfVerdict{Kind: "drop"}}
	odd := snapshot.NfExpr{Unknown: &snapshot.NfUnknown{Kind: "expr", Name: "odd"}}
	table := func(backend, family, name, chain string, e ...snapshot.NfExpr) snapshot.NfTable {
		return snapshot.NfTable{Backend: backend, Family: family, Name: name, Chains: []snapshot.NfChain{
			{Name: chain, Type: "filter", Hook: "forward", Policy: "accept", Rules: []snapshot.NfRule{{Handle: 4, Exprs: e, Comment: `a "b"`}}}}}
	}
	snap.Namespaces[0].Netfilter.Tables = []snapshot.NfTable{
		table(snapshot.NfNft, "inet", "fw", "f", odd), table(snapshot.NfNft, "ip6", "filter", "FORWARD", drop), table(snapshot.NfNft, "ip", "fw", "f", snapshot.NfExpr{Counter: &snapshot.NfCounter{Packets: 3, Bytes: 5}}, drop),
	}
	snap.Normalize()
	g := topo.Build(snap)
	n, err := g.Resolve("host")
	if err != nil {
		t.Fatal(err)
	}
	saved := g.SaveRules(n, "")
	var b strings.Builder
	if err := SavedRules(&b, saved); err != nil {
		t.Fatal(err)
	}
	const want = `# for ip6tables-restore
*filter
:FORWARD ACCEPT [0:0]
[0:0] -A FORWARD -m comment --comment "a \"b\"" -j DROP
COMMIT
# for nft -f
table inet fw {
	chain f {
		type filter hook forward priority 0; policy accept;
		# unknown expr odd comment "a 'b'"
	}
}
table ip fw {
	chain f {
		type filter hook forward priority 0; policy accept;
		counter packets 3 bytes 5 drop comment "a 'b'"
	}
}
`
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	for _, s := range saved {
		if s.Whole == (s.Family == "inet") {
			t.Errorf("%s %s: whole %v", s.Family, s.Table, s.Whole)
		}
	}
	if nft := g.SaveRules(n, "nft"); nft[1].For != "nft -f" {
		t.Errorf("%+v", nft[1])
	}
}
