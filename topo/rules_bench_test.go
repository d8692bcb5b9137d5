package topo

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
)

// kubeRules are rules as kube-proxy makes them for so many services with two members each: ten for each.
func kubeRules(services int) snapshot.NfTable {
	at := func(net byte, i int) netip.Addr {
		return netip.AddrFrom4([4]byte{10, net + byte(i>>16), byte(i >> 8), byte(i)})
	}
	list := snapshot.NfChain{Name: "SERVICES"}
	ports := snapshot.NfChain{Name: "NODEPORTS"}
	t := rTable("ip", "nat", rBase("PREROUTING", "nat", "prerouting", -100, rRule(rGo("jump", "SERVICES"))), rBase("OUTPUT", "nat", "output", -100, rRule(rGo("jump", "SERVICES"))),
		snapshot.NfChain{Name: "MARK", Rules: []snapshot.NfRule{rRule(rMark(0x4000))}})
	for i := range services {
		svc := fmt.Sprintf("SVC%d", i)
		vip := rPayload("ip daddr", rAddr(netip.PrefixFrom(at(96, i), 32).String()))
		port := rPayload("tcp dport", rNum(80))
		list.Rules = append(list.Rules, rRule(vip, port, rGo("jump", svc)))
		c := snapshot.NfChain{Name: svc, Rules: []snapshot.NfRule{rRule(vip, port, rGo("jump", "MARK"))}}
		for k := range 2 {
			sep := fmt.Sprintf("SEP%d-%d", i, k)
			pod := at(128, 2*i+k)
			to := rRule(rDNAT(pod.String(), 8080))
			to.Comment = fmt.Sprintf("default/web%d", i)
			t.Chains = append(t.Chains, snapshot.NfChain{Name: sep, Rules: []snapshot.NfRule{
				rRule(rPayload("ip saddr", rAddr(netip.PrefixFrom(pod, 32).String())), rGo("jump", "MARK")), to}})
			if k == 0 {
				c.Rules = append(c.Rules, rRule(rXT("statistic random", snapshot.NfLt, 1<<30), rGo("jump", sep)))
			} else {
				c.Rules = append(c.Rules, rRule(rGo("jump", sep)))
			}
		}
		t.Chains = append(t.Chains, c)
		if i < 2000 {
			ports.Rules = append(ports.Rules, rRule(rPayload("tcp dport", rNum(uint64(30000+i))), rGo("jump", "MARK")), rRule(rPayload("tcp dport", rNum(uint64(30000+i))), rGo("jump", svc)))
		}
	}
	list.Rules = append(list.Rules, rRule(rLocal, rGo("jump", "NODEPORTS")))
	t.Chains = append(t.Chains, list, ports)
	return t
}

// BenchmarkBuildRules builds the graph of a node with a hundred thousand rules.
func BenchmarkBuildRules(b *testing.B) {
	table := kubeRules(12_500)
	var g *Graph
	start := time.Now()
	for b.Loop() {
		g = kubeNode(func(node *simNS) { node.rules(table) })
	}
	b.ReportMetric(float64(time.Since(start).Milliseconds())/float64(b.N), "ms/build")
	n := 0
	for i := range table.Chains {
		n += len(table.Chains[i].Rules)
	}
	b.ReportMetric(float64(n), "rules")
	b.ReportMetric(float64(len(g.Edges)), "edges")
}
