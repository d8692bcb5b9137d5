package topo

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// kubeNode is a node whose pods hang on cni0: two of them, and kube-proxy's work by rules or by IPVS.
func kubeNode(set func(node *simNS)) *Graph {
	k := newSim(bootA)
	node := k.ns("node")
	node.add("eth0", "")
	node.addr("eth0", "192.168.1.10/24")
	br := node.bridge("cni0", "10.244.1.1/24")
	node.ns.Routes = append(node.ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Dst: pfx("0.0.0.0/0"), Gateway: ip("192.168.1.1"), OIF: 2})
	for i := range 2 {
		pod := k.ns(fmt.Sprintf("pod%d", i+1))
		plug(br, fmt.Sprintf("veth%d", i+1), pod, "eth0", fmt.Sprintf("10.244.1.%d/24", i+2), "")
		pod.ns.Routes = append(pod.ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Dst: pfx("0.0.0.0/0"), Gateway: ip("10.244.1.1"), OIF: 2})
		pod.connect()
	}
	set(node)
	node.connect()
	return Build(k.snapshot("node", node, k.all...))
}

func rXT(key string, op string, v uint64) snapshot.NfExpr {
	return snapshot.NfExpr{Matches: []snapshot.NfMatch{{Left: snapshot.NfOperand{Kind: "xt", Key: key}, Op: op, Values: []snapshot.NfValue{rNum(v)}}}}
}

func services(g *Graph) (out []string) {
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind != KindService {
			continue
		}
		s := n.Name
		for _, e := range g.In(n.ID, EdgeBalances) {
			s += fmt.Sprintf(" %s:%d/%s by %s%s from %s", e.Attrs.Address, e.Attrs.HostPort, e.Attrs.Proto, e.Attrs.By, e.Attrs.Scheduler, strings.Join(e.Attrs.From, "+"))
		}
		for _, e := range g.Out(n.ID, EdgeBackend) {
			s += fmt.Sprintf(" →%s:%d %v %d", e.Attrs.Address, e.Attrs.TargetPort, e.Attrs.Share, e.Attrs.Weight)
		}
		for _, b := range n.Attrs.Backends {
			s += " elsewhere " + b
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func TestServicesByRules(t *testing.T) {
	member := func(addr, comment string) []snapshot.NfRule {
		r := rRule(rDNAT(addr, 8080))
		r.Comment = comment
		return []snapshot.NfRule{r}
	}
	g := kubeNode(func(node *simNS) {
		services := []snapshot.NfRule{
			rRule(rPayload("ip daddr", rAddr("10.96.0.10/32")), rPayload("tcp dport", rNum(80)), rGo("jump", "SVC")),
			rRule(rPayload("ip daddr", rAddr("10.96.0.11/32")), rPayload("udp dport", rNum(53)), rDNAT("10.244.1.3", 53)),
			rRule(rLocal, rGo("jump", "NODEPORTS")),
		}
		node.rules(rTable("ip", "nat",
			rBase("PREROUTING", "nat", "prerouting", -100, rRule(rGo("jump", "SERVICES"))),
			rBase("OUTPUT", "nat", "output", -100, rRule(rGo("jump", "SERVICES"))),
			snapshot.NfChain{Name: "SERVICES", Rules: services},
			snapshot.NfChain{Name: "NODEPORTS", Rules: []snapshot.NfRule{rRule(rPayload("tcp dport", rNum(30080)), rGo("jump", "SVC"))}},
			snapshot.NfChain{Name: "SVC", Rules: []snapshot.NfRule{
				rRule(rXT("statistic random", snapshot.NfLt, (1<<31)/4), rGo("jump", "A")),
				rRule(rXT("statistic random", snapshot.NfLt, (1<<31)/3), rGo("jump", "B")),
				rRule(rGo("jump", "C")),
			}},
			snapshot.NfChain{Name: "A", Rules: member("10.244.1.2", "default/web:http")}, snapshot.NfChain{Name: "B", Rules: member("10.244.1.3", "default/web:http")},
			snapshot.NfChain{Name: "C", Rules: member("10.244.2.2", "default/web:http")}))
	})
	want := []string{
		"10.96.0.11:53/udp 10.96.0.11:53/udp by dnat from host+outside+through cni0 →10.244.1.3:53 0 0",
		"default/web:http 10.96.0.10:80/tcp by dnat from host+outside+through cni0 →10.244.1.2:8080 0.25 0 →10.244.1.3:8080 0.25 0 elsewhere 10.244.2.2:8080",
	}
	if got := services(g); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	sound(t, g)
	for _, e := range g.Edges {
		if e.Kind == EdgePublishes && (e.Attrs.HostPort != 30080 || e.Attrs.Share != 0.25) {
			t.Errorf("%+v", e.Attrs)
		}
	}
	for what, want := range map[string]string{
		"10.96.0.10":                "10.96.0.10 is the VIP of service default/web:http for port 80/tcp, balanced in ",
		"service:default/web:http":  "default/web:http is a service with VIP 10.96.0.10 for port 80/tcp, balanced in ",
		"service:10.96.0.11:53/udp": "10.96.0.11:53/udp is a service with VIP 10.96.0.11 for port 53/udp, balanced in ",
		"30080":                     "port 30080/tcp of the host netns is published by ",
		"10.244.1.3":                "10.244.1.3 is an address of ",
	} {
		hits, err := g.Find(what)
		if err != nil || !strings.HasPrefix(hits[0].Sentence, want) {
			t.Errorf("find %s: %q, %v, want %q…", what, sentencesOf(hits), err, want)
		}
	}
}

func TestServicesByIPVS(t *testing.T) {
	dest := func(addr string, port uint16, weight int32) snapshot.IPVSDestination {
		return snapshot.IPVSDestination{Addr: ip(addr), Port: port, Weight: weight, Method: "masq"}
	}
	g := kubeNode(func(node *simNS) {
		node.add("kube-ipvs0", "dummy")
		node.addr("kube-ipvs0", "10.96.0.10/32")
		both := []snapshot.IPVSDestination{dest("10.244.1.2", 8080, 1), dest("10.244.1.3", 8080, 3), dest("10.244.2.2", 8080, 1)}
		node.ns.IPVS = &snapshot.IPVS{Services: []snapshot.IPVSService{
			{Family: "inet", Protocol: "tcp", Addr: ip("10.96.0.10"), Port: 80, Scheduler: "rr", Destinations: both},
			{Family: "inet", Protocol: "tcp", Addr: ip("192.168.1.10"), Port: 30080, Scheduler: "rr", Destinations: both},
		}}
	})
	want := []string{"10.96.0.10:80/tcp 10.96.0.10:80/tcp by ipvsrr from  →10.244.1.2:8080 0 1 →10.244.1.3:8080 0 3 elsewhere 10.244.2.2:8080"}
	if got := services(g); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	sound(t, g)
	var ports []string
	for _, e := range g.Edges {
		if e.Kind == EdgePublishes {
			ports = append(ports, fmt.Sprintf("%s:%d→%s:%d %s %s %d", e.Attrs.HostAddr, e.Attrs.HostPort, e.Attrs.Address, e.Attrs.TargetPort, e.Attrs.By, e.Attrs.Scheduler, e.Attrs.Weight))
		}
	}
	slices.Sort(ports)
	if want := []string{"192.168.1.10:30080→10.244.1.2:8080 ipvs rr 1", "192.168.1.10:30080→10.244.1.3:8080 ipvs rr 3"}; !slices.Equal(ports, want) {
		t.Errorf("published %q, want %q", ports, want)
	}
	hits, err := g.Find("10.96.0.10")
	if err != nil || !strings.Contains(hits[0].Sentence, "by IPVS rr to 10.244.1.2:8080 ") || !strings.Contains(hits[0].Sentence, "weight 3") {
		t.Errorf("%q, %v", sentencesOf(hits), err)
	}
}
