package topo

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// routed gives every namespace of a lab's snapshot the routes of its addresses, and those below a default route by the first
// address of the subnet on the link named.
func routed(s *snapshot.Snapshot, defaults map[snapshot.NSID]string) *snapshot.Snapshot {
	for i := range s.Namespaces {
		ns := &s.Namespaces[i]
		for _, l := range ns.Links {
			for _, a := range l.Addrs {
				if l.Type == "loopback" || a.Prefix.IsSingleIP() {
					continue
				}
				family := "inet"
				if a.Prefix.Addr().Is6() {
					family = "inet6"
				}
				ns.Routes = append(ns.Routes, snapshot.Route{Family: family, Table: 254, Type: "unicast", Dst: a.Prefix.Masked(), OIF: l.Index})
				if defaults[ns.ID] == l.Name && family == "inet" {
					ns.Routes = append(ns.Routes, snapshot.Route{Family: family, Table: 254, Type: "unicast", Dst: pfx("0.0.0.0/0"),
						Gateway: a.Prefix.Masked().Addr().Next(), OIF: l.Index})
				}
			}
		}
		ns.Rules = []snapshot.Rule{{Family: "inet", Action: "lookup", Table: 255}, {Family: "inet", Action: "lookup", Table: 254, Priority: 32766}, {Family: "inet", Action: "lookup", Table: 253, Priority: 32767}}
	}
	return s
}

// modesGraph is the lab of one host; its containers on bridges have a default route, the host has one to nowhere known.
func modesGraph(change func(*modes)) *Graph {
	m := modesLab()
	m.host.addr("docker0", "fe80::42:1/64")
	m.at["c1"].addr("eth0", "fe80::42:2/64", "fd17::2/64")
	m.at["c2"].addr("eth0", "fd17::3/64")
	if change != nil {
		change(m)
	}
	fresh := m.k.snapshot("vm", m.host) // with the addresses added
	fresh.Networks, fresh.Workloads, fresh.Host.Engines, fresh.Services = m.s.Networks, m.s.Workloads, m.s.Host.Engines, m.s.Services
	def := map[snapshot.NSID]string{}
	for _, n := range []string{"c1", "c2", "u1", "bare"} {
		def[m.at[n].id] = "eth0"
	}
	return Build(routed(fresh, def))
}

func resolved(t *testing.T, g *Graph, what string) *Node {
	t.Helper()
	n, err := g.Resolve(what)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestAddrsFor: the addresses on a segment that both are on come first, whatever the numbers say.
func TestAddrsFor(t *testing.T) {
	g := modesGraph(nil)
	for _, c := range []struct{ from, to, want string }{
		{"c1", "c2", "172.17.0.3 fd17::3"},
		{"c1", "cc", "172.17.0.3 fd17::3"}, // in c2's namespace
		{"c1", "if:c2/eth0", "172.17.0.3 fd17::3"},
		{"c1", "u1", "172.19.0.2"},
		{"c1", "n1", ""},
		{"c1", "old", ""},
		{"n1", "n1", "127.0.0.1"},
		{"c2", "cc", "172.17.0.3 fd17::3 127.0.0.1"},
		// The host is asked at its address on the bridge.
		{"c1", "host", "172.17.0.1 192.168.1.10 172.19.0.1 10.244.31.1"},
		{"u1", "host", "172.19.0.1 192.168.1.10 172.17.0.1 10.244.31.1"},
		{"m1", "host", "192.168.1.10 172.17.0.1 172.19.0.1 10.244.31.1"},
		{"host", "c1", "172.17.0.2 fd17::2"},
		{"host", "h1", "192.168.1.10 172.17.0.1 172.19.0.1 10.244.31.1 127.0.0.1"},
		{"c1", "net:un", ""},
	} {
		got := fmt.Sprint(g.AddrsFor(resolved(t, g, c.from), resolved(t, g, c.to)))
		if got != "["+c.want+"]" {
			t.Errorf("%s → %s: %s, want [%s]", c.from, c.to, got, c.want)
		}
	}
}

// TestWhoHas: a name only where packets from there are proven to arrive.
func TestWhoHas(t *testing.T) {
	g := modesGraph(nil)
	for _, c := range []struct{ from, addr, want string }{
		{"c1", "172.17.0.3", "c2"}, {"c1", "::ffff:172.17.0.3", "c2"}, {"c1", "fd17::3", "c2"},
		{"c1", "172.17.0.2", "c1"}, {"c1", "127.0.0.1", "c1"}, {"c1", "127.0.0.11", ""},
		{"c1", "172.17.0.1", "bridge docker0"}, {"c1", "192.168.1.10", "host eth0"}, {"c1", "172.19.0.2", "u1"},
		{"c1", "fe80::42:1", "bridge docker0"}, {"c1", "fe80::42:1%eth0", "bridge docker0"}, {"c1", "fe80::42:1%lo", ""}, {"u1", "fe80::42:1", ""},
		{"c1", "8.8.8.8", ""}, {"c1", "172.17.0.9", ""}, {"c1", "224.0.0.1", ""}, {"c1", "0.0.0.0", ""},
		{"n1", "172.17.0.2", ""}, // no route leads there
		{"host", "172.17.0.2", "c1"}, {"host", "10.244.31.9", "default/nginx"}, {"host", "10.9.9.2", ""},
		{"m1", "192.168.1.10", "host eth0"}, {"m1", "172.17.0.2", ""}, // by the LAN's router, who knows
		{"c1", "192.168.1.128", "m1"},
	} {
		if got := g.WhoHas(resolved(t, g, c.from), netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("from %s %s is %q, want %q", c.from, c.addr, got, c.want)
		}
	}
	if got := g.WhoHas(resolved(t, g, "c1"), netip.Addr{}); got != "" {
		t.Errorf("no address is %q", got)
	}
	mac := func(s string) net.HardwareAddr { m, _ := net.ParseMAC(s); return m }
	for _, c := range []struct{ from, mac, want string }{
		{"c1", "02:42:ac:11:00:03", "c2 eth0"}, {"c1", "02:42:AC:11:00:02", "c1 eth0"}, {"u1", "02:42:ac:11:00:03", ""}, {"host", "02:42:ac:11:00:03", "c2 eth0"},
	} {
		if got := strings.Join(g.WhoHasMAC(resolved(t, g, c.from), mac(c.mac)), ", "); got != c.want {
			t.Errorf("from %s %s is %q, want %q", c.from, c.mac, got, c.want)
		}
	}

	// Two have the address.
	g = modesGraph(func(m *modes) { m.at["c1"].addr("eth0", "172.17.0.3/16") })
	if got := g.WhoHas(resolved(t, g, "host"), ip("172.17.0.3")); got != "" {
		t.Errorf("what two have is %q", got)
	}
}

// TestWhoHasDoubt: a policy rule, several next hops or a VLAN leave a choice, and so no name.
func TestWhoHasDoubt(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*snapshot.Namespace)
		want   string
	}{
		{"nothing", func(*snapshot.Namespace) {}, "c2"},
		{"a rule of a mark", func(ns *snapshot.Namespace) {
			ns.Rules = append(ns.Rules, snapshot.Rule{Action: "lookup", Table: 52, FwMark: 7})
		}, "c2"},
		{"a rule to another table", func(ns *snapshot.Namespace) { ns.Rules = append(ns.Rules, snapshot.Rule{Action: "lookup", Table: 52}) }, ""},
		{"a rule by source", func(ns *snapshot.Namespace) {
			ns.Rules = append(ns.Rules, snapshot.Rule{Action: "lookup", Table: 254, Src: pfx("172.17.0.0/16")})
		}, ""},
		{"a blackhole", func(ns *snapshot.Namespace) {
			ns.Routes = append(ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "blackhole", Dst: pfx("172.17.0.3/32")})
		}, ""},
		{"several next hops", func(ns *snapshot.Namespace) {
			ns.Routes = append(ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Dst: pfx("172.17.0.3/32"), NextHops: []snapshot.NextHop{{OIF: 2}, {OIF: 3}}})
		}, ""},
		{"two routes alike", func(ns *snapshot.Namespace) {
			ns.Routes = append(ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Dst: pfx("172.17.0.0/16"), OIF: 9})
		}, ""},
		{"a worse one", func(ns *snapshot.Namespace) {
			ns.Routes = append(ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Dst: pfx("172.17.0.0/16"), OIF: 9, Metric: 5})
		}, "c2"},
		{"a gateway nobody has", func(ns *snapshot.Namespace) {
			ns.Routes = append(ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Dst: pfx("172.17.0.3/32"), Gateway: ip("172.17.0.99"), OIF: 2})
		}, ""},
		{"in a circle", func(ns *snapshot.Namespace) {
			ns.Routes = append(ns.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Dst: pfx("172.17.0.3/32"), Gateway: ip("172.17.0.2"), OIF: 2})
		}, ""},
	} {
		m := modesLab()
		s := routed(m.s, map[snapshot.NSID]string{m.at["c1"].id: "eth0"})
		for i := range s.Namespaces {
			if s.Namespaces[i].ID == m.at["c1"].id {
				c.change(&s.Namespaces[i])
			}
		}
		g := Build(s)
		if got := g.WhoHas(resolved(t, g, "c1"), ip("172.17.0.3")); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// TestSegmentVLANs: a bridge that filters joins only ports whose untagged frames are in its own VLAN.
func TestSegmentVLANs(t *testing.T) {
	k := newSim(bootA)
	h, a, b, c := k.ns("host").proc(1, "init"), k.ns("a").proc(10, "a"), k.ns("b").proc(11, "b"), k.ns("c").proc(12, "c")
	br := h.bridge("br0", "10.5.0.1/24")
	br.l.Bridge.VlanFiltering, br.l.Bridge.Vlans = true, []snapshot.BridgeVlan{{From: 1, To: 1, PVID: true, Untagged: true}}
	for i, ns := range []*simNS{a, b, c} {
		plug(br, fmt.Sprintf("v%d", i), ns, "eth0", fmt.Sprintf("10.5.0.%d/24", 2+i), "")
		vlan := uint16(1 + i/2) // c is in VLAN 2
		h.get(fmt.Sprintf("v%d", i)).l.BridgePort.Vlans = []snapshot.BridgeVlan{{From: vlan, To: vlan, PVID: true, Untagged: true}}
	}
	g := Build(routed(k.snapshot("vm", h), nil))
	from, _ := g.Node(a.node())
	for addr, want := range map[string]string{"10.5.0.1": "bridge br0", "10.5.0.3": "netns:" + b.id.Short(), "10.5.0.4": ""} {
		if got := g.WhoHas(from, ip(addr)); got != want {
			t.Errorf("%s is %q, want %q", addr, got, want)
		}
	}
}

// swarmGraph is the lab of two nodes with routes; the containers' default route is by docker_gwbridge.
func swarmGraph(snaps ...*snapshot.Snapshot) *Graph {
	for _, s := range snaps {
		def := map[snapshot.NSID]string{}
		for _, ns := range s.Namespaces {
			for _, l := range ns.Links {
				if l.Name == "eth2" {
					def[ns.ID] = "eth2"
				}
			}
		}
		routed(s, def)
	}
	return Build(snaps...)
}

// TestReachSwarm: over nodes, by the overlay; the bridges of both nodes have the same addresses and are never mixed up.
func TestReachSwarm(t *testing.T) {
	two := swarmLab(bootA, bootB)
	one := swarmLab(bootA)
	for name, g := range map[string]*Graph{
		"two machines": swarmGraph(two.inside(0), two.inside(1)), "nested": swarmGraph(one.outside()),
	} {
		for _, x := range []struct{ from, to, want string }{
			{"cache", "db", "10.0.1.13"}, // not 172.18.0.4, which cache itself has
			{"cache", "web.2", "10.0.1.12 10.0.0.9"},
			{"cache", "service:web", "10.0.1.2 10.0.0.4"},
			{"web.1", "service:web", "10.0.1.2 10.0.0.4"},
			{"web.1", "web.2", "10.0.1.12 10.0.0.9"},
			{"web.1", "cache", "10.0.1.11 172.18.0.4"}, // docker_gwbridge lets nobody through
		} {
			if got := fmt.Sprint(g.AddrsFor(resolved(t, g, x.from), resolved(t, g, x.to))); got != "["+x.want+"]" {
				t.Errorf("%s: %s → %s: %s, want [%s]", name, x.from, x.to, got, x.want)
			}
		}
		for _, x := range []struct{ from, addr, want string }{
			{"cache", "10.0.1.13", "db"}, {"cache", "10.0.1.2", "web"}, {"cache", "10.0.1.1", "overlay of backend"}, {"cache", "10.0.1.7", "load balancer of backend"},
			{"cache", "10.0.1.99", ""}, {"cache", "10.0.0.4", ""},
			{"cache", "172.18.0.3", "web.1"}, {"db", "172.18.0.3", "web.2"}, {"cache", "172.18.0.2", "ingress balancer"},
		} {
			if got := g.WhoHas(resolved(t, g, x.from), ip(x.addr)); got != x.want {
				t.Errorf("%s: from %s %s is %q, want %q", name, x.from, x.addr, got, x.want)
			}
		}
		cache := resolved(t, g, "cache")
		if got := g.WhoHas(cache, ip("172.18.0.1")); got != "node1 docker_gwbridge" {
			t.Errorf("%s: the gateway is %q", name, got)
		}
		if got := g.WhoHasMAC(cache, net.HardwareAddr{2, 0x42, 10, 0, 1, 13}); !slices.Equal(got, []string{"db eth1"}) {
			t.Errorf("%s: db's MAC is %q", name, got)
		}
		if got := g.NamesFor(cache, resolved(t, g, "db")); !slices.Equal(got, []string{"db"}) {
			t.Errorf("%s: names of db: %q", name, got)
		}
		if got := g.NamesFor(cache, resolved(t, g, "service:web")); !slices.Equal(got, []string{"web"}) {
			t.Errorf("%s: names of service web: %q", name, got)
		}
		if got := g.PortsOf(resolved(t, g, "service:web")); len(got) != 1 || got[0].Port != 80 || got[0].Why != "published as 8000" {
			t.Errorf("%s: ports of service web: %+v", name, got)
		}
	}
	// One node alone: what the manager says of the other's tasks and address, to those who are on the network.
	g := swarmGraph(two.inside(0))
	for _, x := range []struct{ from, addr, want string }{
		{"cache", "10.0.1.12", "web.2"}, {"cache", "10.0.1.13", ""}, {"cache", "10.0.1.2", "web"}, {"host", "10.0.1.12", ""}, {"host", "10.99.0.2", "node2"}, {"cache", "10.99.0.1", "host eth0"},
	} {
		if got := g.WhoHas(resolved(t, g, x.from), ip(x.addr)); got != x.want {
			t.Errorf("node 1 alone: from %s %s is %q, want %q", x.from, x.addr, got, x.want)
		}
	}
}

// TestGroup: groups are of running containers with a namespace of their own, each once.
func TestGroup(t *testing.T) {
	m := modesLab()
	for i := range m.s.Workloads {
		if w := &m.s.Workloads[i]; w.Name == "u1" || w.Name == "c2" || w.Name == "old" || w.Name == "h1" {
			w.Labels = map[string]string{"com.docker.compose.project": "shop"}
		}
	}
	g := Build(m.s)
	for _, c := range []struct{ what, want string }{
		{"all", "ab12ab12ab12 c1 c2 default/nginx i1 m1 n1 p1 u1 v1"},
		{"net:bridge", "c1 c2"}, {"net:un", "u1"}, {"stack:shop", "c2 u1"}, {"c1 cc c2", "c1 cc"}, {"stack:shop net:bridge", "c2 u1 c1"}, {"host c1", "host c1"},
		{"stack:none", "NoMember"}, {"stack:", "NoMember"}, {"net:nosuch", "NotFound"}, {"nosuch", "NotFound"}, {"un", "u1"},
	} {
		nodes, err := g.Group(strings.Fields(c.what)...)
		var got []string
		for _, n := range nodes {
			got = append(got, n.Name)
		}
		text := strings.Join(got, " ")
		switch err.(type) {
		case *NoMemberError:
			text = "NoMember"
		case *NotFoundError:
			text = "NotFound"
		}
		if text != c.want {
			t.Errorf("%q is %s (%v), want %s", c.what, text, err, c.want)
		}
	}
}

// TestPortsOf: published and listening ports, those on loopback left out.
func TestPortsOf(t *testing.T) {
	m := modesLab()
	c2 := m.at["c2"]
	c2.listen("tcp", 80, "httpd", 715)
	c2.listen("tcp", 8125, "agent", 716)
	c2.listen("udp", 53, "dns", 716)
	for _, at := range []string{"127.0.0.1", "127.0.0.11", "::1"} {
		c2.ns.Sockets = append(c2.ns.Sockets, snapshot.Socket{Proto: "tcp", State: "listen", Local: netip.AddrPortFrom(ip(at), 9999)})
	}
	c2.ns.Sockets = append(c2.ns.Sockets, snapshot.Socket{Proto: "tcp", State: "established", Local: netip.AddrPortFrom(ip("172.17.0.3"), 4444)})
	s := m.k.snapshot("vm", m.host)
	s.Networks, s.Workloads, s.Host.Engines = m.s.Networks, m.s.Workloads, m.s.Host.Engines
	g := Build(s)
	for what, want := range map[string]string{
		"c2": "[{80 true published as 8080, httpd listens} {90 false published as 9000} {8125 true agent listens}]",
		"h1": "[]", "c1": "[]", "host": "[{22 true sshd listens} {8080 true docker-proxy listens}]",
	} {
		if got := fmt.Sprint(g.PortsOf(resolved(t, g, what))); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
}

// TestResolveExact: the start of a name may be a name for a name server, and is no target then.
func TestResolveExact(t *testing.T) {
	g := Build(modesLab().s)
	for what, want := range map[string]string{
		"c1": "c1", "container:c1": "c1", "host": "host", "container:ol": "old", "docker0": "docker0", "vm": "host",
		"ol": "", "docker": "", "116bd6": "", "nosuch": "", "eth0": "ambiguous",
	} {
		n, err := g.ResolveExact(what)
		got := ""
		switch err.(type) {
		case nil:
			got = n.Name
		case *AmbiguousError:
			got = "ambiguous"
		}
		if got != want {
			t.Errorf("%s is %q (%v), want %q", what, got, err, want)
		}
	}
}

// TestWhoHasRecorded: on recordings of real systems no name is ever that of one who has not the address, and none that of
// one on another node whose address is the same.
func TestWhoHasRecorded(t *testing.T) {
	for _, files := range [][]string{{"docker-modes"}, {"swarm-node1", "swarm-node2"}, {"swarm-node1"}, {"containerd"}, {"podman"}} {
		var snaps []*snapshot.Snapshot
		for _, f := range files {
			s, err := snapshot.Load("../fixtures/recorded/" + f + ".json.zst")
			if err != nil {
				t.Fatal(err)
			}
			snaps = append(snaps, s)
		}
		g := Build(snaps...)
		holders := map[netip.Addr][]*Node{}
		for i := range g.Nodes {
			if l := &g.Nodes[i]; l.Kind == KindLink && l.Attrs.Type != "loopback" {
				for _, a := range linkAddrs(l) {
					holders[a] = append(holders[a], l)
				}
			}
		}
		named, asked := 0, 0
		for i := range g.Nodes {
			from := &g.Nodes[i]
			if from.Kind != KindNetns {
				continue
			}
			for a, hs := range holders {
				if a.IsLinkLocalUnicast() {
					continue
				}
				asked++
				got := g.WhoHas(from, a)
				if got == "" {
					continue
				}
				named++
				if !slices.ContainsFunc(hs, func(l *Node) bool {
					if g.holderName(l, a) != got {
						return false
					}
					// Of several with one address only one's own node's, or an overlay's balancers, are meant.
					return len(hs) == 1 || l.Host == from.Host || g.serviceAt(l, a) != nil
				}) {
					t.Errorf("%v: from %s %s is %q, which no one is called that has it", files, from.ID, a, got)
				}
			}
			for j := range g.Nodes {
				to := &g.Nodes[j]
				for _, a := range g.AddrsFor(from, to) {
					if to.Kind == KindContainer || to.Kind == KindNetns {
						ns, _ := g.Netns(to)
						if ns != nil && !slices.ContainsFunc(holders[a], func(l *Node) bool { return l.Attrs.Netns == ns.ID }) && !a.IsLoopback() && len(g.linksIn(ns)) > 0 {
							t.Errorf("%v: from %s %s is said to be an address of %s", files, from.ID, a, to.ID)
						}
					}
				}
			}
		}
		if named*5 < asked {
			t.Errorf("%v: only %d of %d addresses have a name", files, named, asked)
		}
	}
}
