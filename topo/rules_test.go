package topo

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Rules as the readers make them.

func rPayload(key string, v ...snapshot.NfValue) snapshot.NfExpr {
	return rMatch("payload", key, "==", v...)
}

func rMatch(kind, key, op string, v ...snapshot.NfValue) snapshot.NfExpr {
	return snapshot.NfExpr{Matches: []snapshot.NfMatch{{Left: snapshot.NfOperand{Kind: kind, Key: key}, Op: op, Values: v}}}
}

func rNum(from uint64, to ...uint64) snapshot.NfValue {
	return snapshot.NfValue{Num: &snapshot.NfNum{From: from, To: append(to, from)[0]}}
}
func rText(s string) snapshot.NfValue { return snapshot.NfValue{Text: s} }
func rAddr(s string) snapshot.NfValue { return snapshot.NfValue{Prefix: pfx(s)} }

func rDNAT(addr string, port uint16) snapshot.NfExpr {
	return snapshot.NfExpr{NAT: &snapshot.NfNAT{Kind: "dnat", Family: "ip", Addr: ip(addr), Port: port}}
}

func rMark(n uint64) snapshot.NfExpr {
	v := rNum(n)
	return snapshot.NfExpr{Assign: &snapshot.NfAssign{To: snapshot.NfOperand{Kind: "meta", Key: "mark"}, Value: &v}}
}

func rGo(kind, chain string) snapshot.NfExpr {
	return snapshot.NfExpr{Verdict: &snapshot.NfVerdict{Kind: kind, Chain: chain}}
}

var rLocal = rMatch("fib", "daddr type", "==", rText("local"))

func rRule(e ...snapshot.NfExpr) snapshot.NfRule { return snapshot.NfRule{Exprs: e} }

func rBase(name, typ, hook string, prio int32, rules ...snapshot.NfRule) snapshot.NfChain {
	return snapshot.NfChain{Name: name, Type: typ, Hook: hook, Priority: prio, Policy: "accept", Rules: rules}
}

func rTable(family, name string, chains ...snapshot.NfChain) snapshot.NfTable {
	return snapshot.NfTable{Backend: snapshot.NfNft, Family: family, Name: name, Chains: chains}
}

func (n *simNS) rules(tables ...snapshot.NfTable) {
	n.ns.Netfilter = snapshot.Netfilter{Generation: 2, Tables: append(n.ns.Netfilter.Tables, tables...)}
}

// simNS's routes, which the evaluation of addresses needs.
func (n *simNS) connect() {
	for _, l := range n.links {
		for _, a := range l.l.Addrs {
			ad := a.Prefix.Addr()
			n.ns.Routes = append(n.ns.Routes, snapshot.Route{Family: "inet", Table: 255, Type: "local", Dst: netip.PrefixFrom(ad, ad.BitLen()), OIF: l.l.Index})
			if l.l.Type != "loopback" && !a.Prefix.IsSingleIP() {
				n.ns.Routes = append(n.ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Dst: a.Prefix.Masked(), OIF: l.l.Index})
			}
		}
	}
	n.ns.Routes = append(n.ns.Routes, snapshot.Route{Family: "inet", Table: 255, Type: "local", Dst: pfx("127.0.0.0/8"), OIF: 1})
}

func published(g *Graph) (out []string) {
	for _, e := range g.Edges {
		if e.Kind != EdgePublishes {
			continue
		}
		from, _ := g.Node(e.From)
		s := from.Name + " " + e.portString() + " " + e.Attrs.By + " " + strings.Join(e.Attrs.From, "+")
		if e.Attrs.Source != "" {
			s += " claimed"
		}
		if e.Attrs.Note != "" {
			s += ": " + e.Attrs.Note
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// Docker's rules as its 20.10 writes them: one port is translated, one is claimed and nothing implements it, one leads
// elsewhere, and one is translated that nobody claims.
func TestPublishedByRules(t *testing.T) {
	build := func(loose bool) []string {
		m := modesLab()
		m.host.addr("br-hand", "10.9.9.1/24")
		m.host.connect()
		docker := []snapshot.NfRule{
			rRule(rMatch("meta", "iifname", "==", rText("docker0")), rGo("return", "")),
			rRule(rMatch("meta", "iifname", "!=", rText("docker0")), rPayload("tcp dport", rNum(8080)), rDNAT("172.17.0.3", 80)),
			rRule(rMatch("meta", "iifname", "!=", rText("docker0")), rPayload("tcp dport", rNum(9000)), rDNAT("172.17.0.2", 90)),
			rRule(rPayload("tcp dport", rNum(7000, 7010)), rDNAT("172.17.0.2", 70)),
			rRule(rPayload("ip daddr", rAddr("192.168.1.10/32")), rPayload("udp dport", rNum(514)), rDNAT("10.9.9.2", 514)),
			rRule(rPayload("ip daddr", rAddr("10.96.0.10/32")), rPayload("udp dport", rNum(53)), rDNAT("172.17.0.2", 53)),
		}
		if loose { // what cannot be told proves nothing
			docker[1].Exprs = slices.Insert(docker[1].Exprs, 0, snapshot.NfExpr{Unknown: &snapshot.NfUnknown{Kind: "match", Name: "quantum"}})
			docker[1].Unknown = []string{"match quantum"}
		}
		m.host.rules(rTable("ip", "nat",
			rBase("PREROUTING", "nat", "prerouting", -100, rRule(rLocal, rGo("jump", "DOCKER"))),
			rBase("OUTPUT", "nat", "output", -100, rRule(rMatch("payload", "ip daddr", "!=", rAddr("127.0.0.0/8")), rLocal, rGo("jump", "DOCKER"))),
			snapshot.NfChain{Name: "DOCKER", Rules: docker}))
		for i := range m.s.Namespaces {
			if m.s.Namespaces[i].ID == m.host.id {
				ns := &m.s.Namespaces[i]
				ns.Netfilter, ns.Routes = m.host.ns.Netfilter, m.host.ns.Routes
				for j := range ns.Links {
					ns.Links[j].Addrs = m.host.get(ns.Links[j].Name).l.Addrs
				}
			}
		}
		g := Build(m.s)
		sound(t, g)
		return published(g)
	}
	want := []string{
		"c1 0.0.0.0:7000-7010->70/tcp dnat outside+host: docker claims no such port",
		"c1 0.0.0.0:9000->90/tcp dnat outside+host: docker claims no such port",
		"c2 0.0.0.0:5353->53/udp proxy ",
		"c2 0.0.0.0:8080->80/tcp dnat outside+host",
		"c2 127.0.0.1:9000->90/tcp   claimed: no rule translates it, nobody listens in its place",
		"bare 192.168.1.10:514->514/udp dnat outside+host",
	}
	slices.Sort(want)
	got := build(false)
	for i := range got { // the container of a bare namespace is called by its id
		got[i] = strings.Replace(got[i], "ab12ab12ab12", "bare", 1)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if got := build(true); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "c2 0.0.0.0:8080->80/tcp proxy") }) {
		t.Errorf("a rule that is not understood was taken for proof:\n  %s", strings.Join(got, "\n  "))
	}
}

// A swarm's VIP and its mesh, with one member that only IPVS has and one that only the engine has.
func TestBalancedByRules(t *testing.T) {
	lab := swarmLab(bootA)
	for _, n := range lab.node {
		n.home.connect()
		sbox := n.sbox.get("eth1")
		gw := sbox.l.Addrs[0].Prefix.Addr()
		n.home.rules(rTable("ip", "nat",
			rBase("PREROUTING", "nat", "prerouting", -100, rRule(rLocal, rGo("jump", "DOCKER-INGRESS"))),
			rBase("OUTPUT", "nat", "output", -100, rRule(rLocal, rGo("jump", "DOCKER-INGRESS"))),
			snapshot.NfChain{Name: "DOCKER-INGRESS", Rules: []snapshot.NfRule{rRule(rPayload("tcp dport", rNum(8000)), rDNAT(gw.String(), 8000))}}))
		for _, x := range []*simNS{n.lb, n.sbox} {
			x.connect()
		}
		n.lb.rules(rTable("ip", "mangle", rBase("INPUT", "filter", "input", -150,
			rRule(rPayload("ip daddr", rAddr("10.0.1.2/32")), rMark(0x100)), rRule(rPayload("ip daddr", rAddr("10.0.1.10/32")), rMark(0x103)))))
		n.sbox.rules(rTable("ip", "mangle",
			rBase("PREROUTING", "filter", "prerouting", -150, rRule(rPayload("tcp dport", rNum(8000)), rMark(0x101))),
			rBase("INPUT", "filter", "input", -150, rRule(rPayload("ip daddr", rAddr("10.0.0.4/32")), rMark(0x101)))))
		fwm := func(mark uint32, to ...string) snapshot.IPVSService {
			v := snapshot.IPVSService{Family: "inet", FWMark: mark, Scheduler: "rr"}
			for _, a := range to {
				v.Destinations = append(v.Destinations, snapshot.IPVSDestination{Addr: ip(a), Weight: 1, Method: "masq"})
			}
			return v
		}
		n.lb.ns.IPVS = &snapshot.IPVS{Services: []snapshot.IPVSService{fwm(0x100, "10.0.1.11", "10.0.1.12", "10.0.1.99"), fwm(0x103, "10.0.1.13")}}
		n.sbox.ns.IPVS = &snapshot.IPVS{Services: []snapshot.IPVSService{fwm(0x101, "10.0.0.8")}}
	}
	web := lab.node[0].ctr["web"]
	web.connect()
	web.rules(rTable("ip", "nat", rBase("PREROUTING", "nat", "prerouting", -100, rRule(rPayload("ip daddr", rAddr("10.0.0.8/32")), rPayload("tcp dport", rNum(8000)),
		snapshot.NfExpr{NAT: &snapshot.NfNAT{Kind: "redirect", Port: 80}}))))
	g := Build(lab.outside())
	sound(t, g)
	svc := wantNode(t, g, "service:"+webService)
	if !slices.Equal(svc.Attrs.Marks, []uint32{0x100, 0x101}) || svc.Attrs.Mark != 0 {
		t.Errorf("marks %x, mark %x", svc.Attrs.Marks, svc.Attrs.Mark)
	}
	if e := wantEdge(t, g, EdgeBalances, lab.node[0].lb.node(), svc.ID); e.Attrs.Mark != 0x100 || e.Attrs.Scheduler != "rr" || e.Attrs.Source != "" {
		t.Errorf("%+v", e.Attrs)
	}
	var got []string
	for _, e := range g.Out(svc.ID, EdgeBackend) {
		to, _ := g.Node(e.To)
		got = append(got, fmt.Sprintf("%s %s %s %x %s", g.shortName(to), e.Attrs.Address, e.Attrs.Source, e.Attrs.Mark, e.Attrs.Note))
	}
	slices.Sort(got)
	want := []string{"cache 10.0.1.11  100 no task of the service", "web.1 10.0.0.8  101 ", "web.1 10.0.1.10 engine 0 IPVS does not have it",
		"web.2 10.0.0.9 engine 0 IPVS does not have it", "web.2 10.0.1.12  100 "}
	if !slices.Equal(got, want) {
		t.Errorf("backends %q, want %q", got, want)
	}
	got = nil
	for _, b := range g.Balancers(svc) {
		for _, m := range b.Members {
			got = append(got, fmt.Sprintf("%s %s %s %s|%s", b.Netns.Name, markWords(b.Mark), m.Addr, m.Name(g), m.Note))
		}
	}
	slices.Sort(got)
	want = []string{"ingress_sbox 0x101 (257) 10.0.0.8 web.1 on vm/node1|", "ingress_sbox 0x101 (257) 10.0.0.9 web.2 on vm/node2|IPVS does not have it",
		"lb_ddijjs6f2 0x100 (256) 10.0.1.10 web.1 on vm/node1|IPVS does not have it", "lb_ddijjs6f2 0x100 (256) 10.0.1.11 cache on vm/node1|the engine has no running task there",
		"lb_ddijjs6f2 0x100 (256) 10.0.1.12 web.2 on vm/node2|", "lb_ddijjs6f2 0x100 (256) 10.0.1.99 |the engine has no running task there"}
	if got = slices.Compact(got); !slices.Equal(got, want) { // the same on both nodes
		t.Errorf("members\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	for what, want := range map[string]string{
		"0x100":     "0x100 (256) is the firewall mark of service web in the load-balancer netns lb_ddijjs6f2 of network backend on vm/node2, for its VIP 10.0.1.2: balanced in lb_ddijjs6f2 on vm/node2 by mark 0x100 (256), IPVS rr to 10.0.1.11 cache",
		"256":       "0x100 (256) is set by rule 1 of ip mangle INPUT in the load-balancer netns lb_ddijjs6f2 of network backend on vm/node1",
		"8000":      "port 8000/tcp of the netns of node node1 is published by service web for its port 80, through the routing mesh, by DNAT to 172.18.0.2:8000 → ingress_sbox → mark 0x101 (257) → IPVS rr → 10.0.0.8 web.1 on vm/node1, there REDIRECT to port 80; 10.0.0.9 web.2",
		"10.0.1.2":  "10.0.1.2 is the VIP of service web on network backend, balanced in lb_ddijjs6f2 on vm/node1 by mark 0x100 (256), IPVS rr to 10.0.1.11 cache",
		"10.0.1.11": "10.0.1.11 is a member of IPVS mark 0x100 (256) in the load-balancer netns lb_ddijjs6f2 of network backend on vm/node1, service web: weight 1, masq",
	} {
		hits, _ := g.Find(what)
		if !slices.ContainsFunc(hits, func(h Hit) bool { return strings.HasPrefix(h.Sentence, want) }) {
			t.Errorf("%s: %+v\nwant one that begins with %q", what, sentencesOf(hits), want)
		}
	}
}

func sentencesOf(hits []Hit) (out []string) {
	for _, h := range hits {
		out = append(out, h.Sentence)
	}
	return out
}
