package bench

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// maxEvaluation is what one packet at one hook may take among a hundred thousand rules.
const maxEvaluation = 5 * time.Millisecond

// kubeRules are n rules as kube-proxy makes them: a chain of all services by address and port, for each service one chain that
// chooses among endpoints, and for each endpoint one that translates.
func kubeRules(n int) *snapshot.Netfilter {
	match := func(kind, key string, v snapshot.NfValue) snapshot.NfMatch {
		return snapshot.NfMatch{Left: snapshot.NfOperand{Kind: kind, Key: key}, Op: snapshot.NfEq, Values: []snapshot.NfValue{v}}
	}
	num := func(n uint64) snapshot.NfValue { return snapshot.NfValue{Num: &snapshot.NfNum{From: n, To: n}} }
	addr := func(a, i int) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(a), byte(i >> 16), byte(i >> 8), byte(i)})
	}
	to := func(kind, chain string) snapshot.NfExpr {
		return snapshot.NfExpr{Verdict: &snapshot.NfVerdict{Kind: kind, Chain: chain}}
	}
	counter := func() snapshot.NfExpr { return snapshot.NfExpr{Counter: &snapshot.NfCounter{}} }
	t := snapshot.NfTable{Backend: snapshot.NfNft, Family: "ip", Name: "nat"}
	services := snapshot.NfChain{Name: "KUBE-SERVICES"}
	var rest []snapshot.NfChain
	for i := range n / 5 {
		svc := fmt.Sprintf("KUBE-SVC-%06d", i)
		services.Rules = append(services.Rules, snapshot.NfRule{Exprs: []snapshot.NfExpr{
			{Matches: []snapshot.NfMatch{match("payload", "ip daddr", snapshot.NfValue{Prefix: netip.PrefixFrom(addr(10, i), 32)})}},
			{Matches: []snapshot.NfMatch{match("meta", "l4proto", num(6)), match("payload", "tcp dport", num(80))}},
			counter(), to("jump", svc),
		}})
		choose := snapshot.NfChain{Name: svc}
		for e := range 2 {
			sep := fmt.Sprintf("KUBE-SEP-%06d-%d", i, e)
			r := snapshot.NfRule{Exprs: []snapshot.NfExpr{counter(), to("jump", sep)}}
			if e == 0 {
				r.Exprs = append([]snapshot.NfExpr{{Matches: []snapshot.NfMatch{match("xt", "statistic random", num(1<<30))}}}, r.Exprs...)
			}
			choose.Rules = append(choose.Rules, r)
			rest = append(rest, snapshot.NfChain{Name: sep, Rules: []snapshot.NfRule{{Exprs: []snapshot.NfExpr{
				counter(), {NAT: &snapshot.NfNAT{Kind: "dnat", Family: "ip", Addr: addr(100+e, i), Port: 8080, PortTo: 8080}},
			}}}})
		}
		rest = append(rest, choose)
	}
	base := snapshot.NfChain{Name: "PREROUTING", Type: "nat", Hook: "prerouting", Priority: -100, Policy: "accept",
		Rules: []snapshot.NfRule{{Exprs: []snapshot.NfExpr{counter(), to("jump", services.Name)}}}}
	t.Chains = append([]snapshot.NfChain{base, services}, rest...)
	return &snapshot.Netfilter{Tables: []snapshot.NfTable{t}}
}

// BenchmarkEvaluate evaluates a packet to each of many services among a hundred thousand rules.
func BenchmarkEvaluate(b *testing.B) {
	const rules, packets = 100_000, 1000
	start := time.Now()
	rs := ruleset.New(kubeRules(rules))
	made := time.Since(start)
	at := ruleset.At{Family: "ip", Hook: "prerouting"}
	src := netip.MustParseAddrPort("192.0.2.1:40000")
	one := func(i int) ruleset.Result {
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 80)
		return rs.Eval(at, ruleset.First(ruleset.TCP, src, dst), ruleset.Blank{})
	}
	start = time.Now()
	one(0)
	first := time.Since(start)
	start = time.Now()
	for i := range packets {
		// Which endpoint is chosen is chance: both ways are there, and no third.
		if r := one(i * (rules / 5 / packets)); r.Verdict != ruleset.Unknown || !r.Complete || len(r.Alternatives) != 2 {
			b.Fatalf("packet %d: %s, %d alternatives", i, r.Verdict, len(r.Alternatives))
		}
	}
	each := time.Since(start) / packets
	b.ReportMetric(float64(each.Microseconds()), "us/packet")
	b.ReportMetric(float64(first.Milliseconds()), "ms/first")
	b.ReportMetric(float64(made.Milliseconds()), "ms/made")
	if each > maxEvaluation {
		b.Errorf("one evaluation among %d rules takes %v, more than %v", rules, each, maxEvaluation)
	}
}
