package ruleset_test

import (
	"net/netip"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

var unknownMatch = snapshot.NfExpr{Unknown: &snapshot.NfUnknown{Kind: "match", Name: "string"}}

func TestAcceptIsNotTheEnd(t *testing.T) {
	p := syn("10.0.0.1:1000", "10.0.1.1:80")
	acc := tab("legacy", "ip", "filter", base("FORWARD", "filter", "forward", 0, "drop", rule(verdict("accept"))))
	late := tab("nft", "inet", "late", base("f", "filter", "forward", 10, "accept", rule(when("payload", "tcp dport", "==", is(80)), verdict("drop"))))
	want(t, eval(t, ipForward, p, acc, late), ruleset.Drop)
	r := eval(t, ipForward, syn("10.0.0.1:1000", "10.0.1.1:81"), acc, late)
	want(t, r, ruleset.Accept)
	if len(r.Steps) != 1 || r.Steps[0].Table != "filter" {
		t.Errorf("steps %+v", r.Steps)
	}
}

func TestUnknownOnlyWhereItDecides(t *testing.T) {
	p := syn("10.0.0.1:1000", "10.0.1.1:80")
	f := func(rules ...snapshot.NfRule) snapshot.NfTable {
		return tab("nft", "ip", "filter", base("FORWARD", "filter", "forward", 0, "accept", rules...))
	}
	drop, acc := verdict("drop"), verdict("accept")
	r := eval(t, ipForward, p, f(rule(unknownMatch, drop)))
	want(t, r, ruleset.Unknown)
	if r.By == nil || r.By.Rule != 0 || !r.Complete || len(r.Alternatives) != 2 {
		t.Errorf("%+v", r)
	}
	want(t, eval(t, ipForward, p, f(rule(unknownMatch, acc))), ruleset.Accept)
	want(t, eval(t, ipForward, p, f(rule(unknownMatch, drop), rule(drop))), ruleset.Drop)
	want(t, eval(t, ipForward, p, f(rule(unknownMatch, when("payload", "tcp dport", "==", is(81)), drop))), ruleset.Accept)
	want(t, eval(t, ipForward, p, f(rule(when("meta", "l4proto", "==", is(17)), unknownMatch, drop))), ruleset.Accept)
	// A mark that may be set and that nobody asks for.
	r = eval(t, ipForward, p, f(rule(unknownMatch, mark(7))))
	want(t, r, ruleset.Accept)
	if r.Packet.Says(ruleset.FMark) {
		t.Error("the mark is not known after it")
	}
	// One that somebody asks for.
	want(t, eval(t, ipForward, p, f(rule(unknownMatch, mark(7)), rule(when("meta", "mark", "==", is(7)), drop))), ruleset.Unknown)
	// A target nobody understands.
	want(t, eval(t, ipForward, p, f(rule(snapshot.NfExpr{Unknown: &snapshot.NfUnknown{Kind: "target", Name: "X"}}))), ruleset.Unknown)
}

func TestJumpGotoReturn(t *testing.T) {
	p := syn("10.0.0.1:1000", "10.0.1.1:80")
	chains := []snapshot.NfChain{
		base("FORWARD", "filter", "forward", 0, "accept", rule(verdict("jump", "a")), rule(verdict("drop"))),
		user("a", rule(verdict("goto", "b")), rule(verdict("accept"))),
		user("b", rule(verdict("return")), rule(verdict("accept"))),
	}
	// b's return goes to FORWARD: a was left for good.
	want(t, eval(t, ipForward, p, tab("nft", "ip", "filter", chains...)), ruleset.Drop)
	// goto from a base chain: its end is the policy's.
	want(t, eval(t, ipForward, p, tab("nft", "ip", "filter",
		base("FORWARD", "filter", "forward", 0, "drop", rule(verdict("goto", "a")), rule(verdict("accept"))), user("a"))), ruleset.Drop)
	want(t, eval(t, ipForward, p, tab("nft", "ip", "filter",
		base("FORWARD", "filter", "forward", 0, "drop", rule(verdict("return")), rule(verdict("accept"))))), ruleset.Drop)
}

func TestVerdictMapAndSets(t *testing.T) {
	table := tab("nft", "ip", "t", base("f", "filter", "forward", 0, "accept",
		rule(snapshot.NfExpr{Map: &snapshot.NfVerdictMap{Map: "m", Key: snapshot.NfOperand{Kind: "concat", Parts: []snapshot.NfOperand{
			{Kind: "payload", Key: "ip daddr"}, {Kind: "payload", Key: "tcp dport"}}}}}),
		rule(snapshot.NfExpr{Matches: []snapshot.NfMatch{{Left: snapshot.NfOperand{Kind: "payload", Key: "ip saddr"}, Op: "!=", Set: "s"}}}, verdict("drop")),
	))
	table.Sets = []snapshot.NfSet{
		{Name: "m", Elements: []snapshot.NfElem{
			{Key: snapshot.NfValue{Parts: []snapshot.NfValue{pfx("10.0.1.1"), numbers(80, 90)}}, Verdict: &snapshot.NfVerdict{Kind: "accept"}},
			{Key: snapshot.NfValue{Parts: []snapshot.NfValue{pfx("10.0.2.0/24"), is(80)}}, Verdict: &snapshot.NfVerdict{Kind: "drop"}},
		}},
		{Name: "s", Elements: []snapshot.NfElem{{Key: pfx("10.0.0.0/28")}, {Key: snapshot.NfValue{Addrs: &snapshot.NfAddrs{
			From: netip.MustParseAddr("10.0.0.32"), To: netip.MustParseAddr("10.0.0.40")}}}}},
	}
	for _, c := range []struct {
		src, dst string
		want     ruleset.Verdict
	}{
		{"10.9.0.1:1", "10.0.1.1:85", ruleset.Accept}, {"10.9.0.1:1", "10.0.1.1:91", ruleset.Drop},
		{"10.0.0.15:1", "10.0.1.1:91", ruleset.Accept}, {"10.0.0.16:1", "10.0.1.1:91", ruleset.Drop},
		{"10.0.0.40:1", "10.0.1.1:91", ruleset.Accept}, {"10.0.0.41:1", "10.0.1.1:91", ruleset.Drop},
		{"10.0.0.1:1", "10.0.2.9:80", ruleset.Drop}, {"10.0.0.1:1", "10.0.2.9:81", ruleset.Accept},
	} {
		if r := eval(t, ipForward, syn(c.src, c.dst), table); r.Verdict != c.want {
			t.Errorf("%s → %s: %s, want %s", c.src, c.dst, r.Verdict, c.want)
		}
	}
}

func dnat(to string) snapshot.NfExpr {
	a := ap(to)
	return snapshot.NfExpr{NAT: &snapshot.NfNAT{Kind: "dnat", Family: "ip", Addr: a.Addr(), Port: a.Port(), PortTo: a.Port()}}
}

func TestFirstTranslationWins(t *testing.T) {
	p := syn("10.0.0.1:1000", "192.0.2.1:8080")
	one := tab("legacy", "ip", "nat", base("PREROUTING", "nat", "prerouting", -100, "accept", rule(when("payload", "tcp dport", "==", is(8080)), dnat("10.0.1.1:80"))))
	two := tab("nft", "ip", "n", base("pre", "nat", "prerouting", -90, "accept", rule(dnat("10.0.1.2:80"))))
	seen := tab("nft", "inet", "f", base("pre", "filter", "prerouting", 0, "accept", rule(when("payload", "ip daddr", "==", pfx("10.0.1.1")), verdict("drop"))))
	r := eval(t, ipPre, p, one, two)
	want(t, r, ruleset.Accept)
	if r.Packet.Dst.String() != "10.0.1.1" || r.Packet.Dport != 80 || r.Packet.Src != p.Src {
		t.Errorf("%+v", r.Packet)
	}
	want(t, eval(t, ipPre, p, one, two, seen), ruleset.Drop)
	// Not the first packet: no rule of a nat chain is asked.
	p.Ct = ruleset.CtEstablished
	if r := eval(t, ipPre, p, one, two); len(r.Steps) != 0 || r.Packet.Dport != 8080 {
		t.Errorf("%+v", r)
	}
	// Nor for what is not tracked; and before conntrack there is no connection.
	p.Ct = ruleset.CtNew
	raw := tab("legacy", "ip", "raw", base("PREROUTING", "filter", "prerouting", -300, "accept",
		rule(when("ct", "state", "any", is(ruleset.CtNew)), verdict("drop")),
		rule(snapshot.NfExpr{Action: &snapshot.NfAction{Name: "notrack"}})))
	r = eval(t, ipPre, p, raw, one)
	want(t, r, ruleset.Accept)
	if !r.Packet.Untracked || r.Packet.Dport != 8080 {
		t.Errorf("%+v", r.Packet)
	}
	// Which of two with one priority runs first, the snapshot does not tell.
	two.Chains[0].Priority = -100
	want(t, eval(t, ipPre, p, one, two), ruleset.Unknown)
}

func TestReachListsWhatMayMatch(t *testing.T) {
	table := tab("legacy", "ip", "filter",
		base("FORWARD", "filter", "forward", 0, "drop",
			rule(when("meta", "iifname", "==", word("docker0")), verdict("jump", "D")),
			rule(when("payload", "ip daddr", "==", pfx("10.0.1.9")), verdict("accept")),
			rule(when("payload", "ip daddr", "==", pfx("10.0.1.0/24")), verdict("accept")),
			rule(verdict("drop"))),
		user("D", rule(unknownMatch, verdict("drop")), rule(when("payload", "ip daddr", "==", pfx("10.2.0.0/16")), verdict("drop"))))
	p := ruleset.Packet{Family: "ip", Known: ruleset.FDst, Dst: netip.MustParseAddr("10.0.1.1")}
	steps := ruleset.New(&snapshot.Netfilter{Tables: []snapshot.NfTable{table}}).Reach(ipForward, p, ruleset.Blank{})
	var got []string
	for _, s := range steps {
		got = append(got, s.String())
	}
	wantSteps := []string{"rule 1 of legacy ip filter FORWARD", "rule 1 of legacy ip filter D", "rule 3 of legacy ip filter FORWARD"}
	if len(got) != len(wantSteps) {
		t.Fatalf("%q", got)
	}
	for i := range got {
		if got[i] != wantSteps[i] {
			t.Errorf("%d: %q, want %q", i, got[i], wantSteps[i])
		}
	}
}

func TestACommentIsTrue(t *testing.T) {
	table := tab("legacy", "ip", "filter", base("FORWARD", "filter", "forward", 0, "accept", rule(when("xt", "comment", "==", word("x")), verdict("drop"))))
	want(t, eval(t, ipForward, syn("10.0.0.1:1000", "10.0.1.1:80"), table), ruleset.Drop)
}

// TestARPByPlace: nft makes one comparison of two with neighbouring fields, and names none.
func TestARPByPlace(t *testing.T) {
	at := ruleset.At{Family: "arp", Hook: "input"}
	place := func(offset, bits int, op string, v snapshot.NfValue) snapshot.NfTable {
		left := snapshot.NfOperand{Kind: "payload", Base: "network", Offset: offset, Len: bits}
		return tab("nft", "arp", "t", base("c", "filter", "input", 0, "accept", rule(snapshot.NfExpr{Matches: []snapshot.NfMatch{{Left: left, Op: op, Values: []snapshot.NfValue{v}}}}, verdict("drop"))))
	}
	p := ruleset.AboutARP(ruleset.ARP{Op: 1, SrcMAC: "02:00:00:00:00:02", DstMAC: "00:00:00:00:00:00"}, netip.MustParseAddr("10.9.0.20"), netip.MustParseAddr("10.9.0.1"))
	const both = 0x0001_020000000002 // operation and the sender's hardware address: 8 bytes from the 6th on
	want(t, eval(t, at, p, place(48, 64, "==", is(both))), ruleset.Drop)
	want(t, eval(t, at, p, place(48, 64, "!=", is(both))), ruleset.Accept)
	want(t, eval(t, at, p, place(48, 64, "!=", is(both+1))), ruleset.Drop)
	want(t, eval(t, at, p, place(0, 64, "==", is(0x0001_0800_06_04_0001))), ruleset.Drop)
	want(t, eval(t, at, p, place(192, 32, "==", is(0x0a090001))), ruleset.Drop) // the target's protocol address, the last
	want(t, eval(t, at, p, place(192, 64, "==", is(0))), ruleset.Unknown)       // beyond it
	want(t, eval(t, at, p, place(4, 8, "==", is(0))), ruleset.Unknown)          // no whole byte
	p.Known &^= ruleset.FARP
	want(t, eval(t, at, p, place(48, 64, "==", is(both))), ruleset.Unknown)
}
