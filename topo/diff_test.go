package topo

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// deep is a copy that shares nothing.
func deep(t testing.TB, s *snapshot.Snapshot) *snapshot.Snapshot {
	t.Helper()
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	out, err := snapshot.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// furnish gives every namespace something of each kind of list.
func furnish(s *snapshot.Snapshot) {
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		idx := n.Links[len(n.Links)-1].Index
		n.Routes = append(n.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Protocol: "static", Dst: pfx("10.9.0.0/16"), Gateway: ip("10.0.0.1"), OIF: idx})
		n.Rules = append(n.Rules, snapshot.Rule{Family: "inet", Priority: 32766, Action: "lookup", Table: 254})
		n.Neighbors = append(n.Neighbors, snapshot.Neighbor{Family: "inet", Ifindex: idx, Addr: ip("10.0.0.1"), MAC: "02:00:00:00:00:01", State: "reachable"})
		n.FDB = append(n.FDB, snapshot.FDBEntry{Ifindex: idx, MAC: "02:00:00:00:00:09", Dst: ip("192.0.2.1"), State: "permanent", Flags: []string{"self"}})
		n.Sysctls = map[string]string{"net.ipv4.ip_forward": "1"}
		n.IPVS = &snapshot.IPVS{Services: []snapshot.IPVSService{{Family: "inet", FWMark: 256, Scheduler: "rr", Destinations: []snapshot.IPVSDestination{{Addr: ip("10.0.1.3"), Weight: 1, Method: "masq"}}}}}
		counted := rRule(rMatch("meta", "iifname", "==", rText("eth0")), snapshot.NfExpr{Counter: &snapshot.NfCounter{}}, snapshot.NfExpr{Verdict: &snapshot.NfVerdict{Kind: "drop"}})
		n.Netfilter.Tables = []snapshot.NfTable{{Backend: "nft", Family: "ip", Name: "t", Chains: []snapshot.NfChain{rBase("c", "filter", "forward", 0, counted, rRule(rGo("jump", "u"))), {Name: "u"}},
			Sets: []snapshot.NfSet{{Name: "s", KeyTypes: []string{"ipv4_addr"}, Elements: []snapshot.NfElem{{Key: snapshot.NfValue{Prefix: pfx("10.1.1.1/32")}}}}}}}
	}
	s.Workloads = append(s.Workloads, snapshot.Workload{Engine: "docker", ID: hexID("abc"), Name: "web", Image: "bb:1", State: "running", PID: 7, Namespace: s.Namespaces[0].ID, Mode: "bridge", Source: "api"})
	s.Host.Engines = []snapshot.Engine{{ID: "docker", Kind: "docker", Reachable: true, Source: "api", Home: s.Namespaces[0].ID}}
}

// pass lets traffic and time pass: everything that counts counts on, every timer runs.
func pass(rng *rand.Rand, s *snapshot.Snapshot) {
	s.Taken, s.TookMS = s.Taken.Add(1e9), s.TookMS+1
	s.Host.Counters = map[string]uint64{"x": rng.Uint64()}
	for i := range s.Namespaces {
		n := &s.Namespaces[i]
		n.Counters = map[string]uint64{"Tcp.InSegs": rng.Uint64()}
		for j := range n.Links {
			n.Links[j].Stats.RxBytes += uint64(rng.IntN(1e6))
		}
		for j := range n.Neighbors {
			n.Neighbors[j].State = []string{"reachable", "stale", "delay", "probe"}[rng.IntN(4)]
		}
		n.IPVS.Services[0].Stats.Conns++
		n.IPVS.Services[0].Destinations[0].Active = rng.Uint32N(9)
		n.Netfilter.Generation++
		c := &n.Netfilter.Tables[0].Chains[0]
		c.Rules[0].Exprs[1].Counter = &snapshot.NfCounter{Packets: rng.Uint64(), Bytes: 7}
		n.Netfilter.Tables[0].Sets[0].Elements[0].Expires = rng.Uint64N(1e6)
	}
}

// TestDiffOneChange: whatever host it is, one operation gives the changes that it should, and time alone none.
func TestDiffOneChange(t *testing.T) {
	type operation struct {
		name string
		do   func(n *snapshot.Namespace, s *snapshot.Snapshot)
		want []string // "op kind what", what is the beginning
	}
	last := func(n *snapshot.Namespace) *snapshot.Link { return &n.Links[len(n.Links)-1] }
	ops := []operation{
		{"address", func(n *snapshot.Namespace, _ *snapshot.Snapshot) {
			last(n).Addrs = append(last(n).Addrs, snapshot.Addr{Prefix: pfx("10.77.0.5/24"), Scope: "global"})
			n.Routes = append(n.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "unicast", Protocol: "kernel", Dst: pfx("10.77.0.0/24"), OIF: last(n).Index},
				snapshot.Route{Family: "inet", Table: 255, Type: "local", Protocol: "kernel", Dst: pfx("10.77.0.5/32"), OIF: last(n).Index})
		}, []string{"added address address 10.77.0.5/24"}},
		{"mtu", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { last(n).MTU = 1280 }, []string{"changed link link"}},
		{"down", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { last(n).Flags, last(n).State = nil, "down" }, []string{"changed link link"}},
		{"renamed", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { last(n).Name = "renamed0" }, []string{"changed link link renamed0"}},
		{"link", func(n *snapshot.Namespace, _ *snapshot.Snapshot) {
			n.Links = append(n.Links, snapshot.Link{Index: 9999, Name: "dummy0", Kind: "dummy", Type: "ether", Addrs: []snapshot.Addr{{Prefix: pfx("10.1.1.1/24")}}})
		}, []string{"added link link dummy0"}},
		{"route", func(n *snapshot.Namespace, _ *snapshot.Snapshot) {
			n.Routes = append(n.Routes, snapshot.Route{Family: "inet", Table: 254, Type: "blackhole", Protocol: "static", Dst: pfx("10.66.0.0/16")})
		}, []string{"added route route blackhole 10.66.0.0/16"}},
		{"no route", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.Routes = nil }, []string{"removed route route 10.9.0.0/16"}},
		{"gateway", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.Routes[0].Gateway = ip("10.0.0.2") }, []string{"changed route route 10.9.0.0/16"}},
		{"rule", func(n *snapshot.Namespace, _ *snapshot.Snapshot) {
			n.Rules = append(n.Rules, snapshot.Rule{Family: "inet", Priority: 100, FwMark: 1, FwMask: 0xff, Action: "lookup", Table: 7})
		}, []string{"added rule rule 100: from all fwmark 0x1/0xff lookup 7"}},
		{"neighbour", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.Neighbors[0].MAC = "02:00:00:00:00:02" }, []string{"changed neighbor neighbour 10.0.0.1"}},
		{"pinned neighbour", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.Neighbors[0].State = "permanent" }, []string{"changed neighbor neighbour 10.0.0.1"}},
		{"fdb", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.FDB[0].Dst = ip("192.0.2.7") }, []string{"changed fdb FDB entry 02:00:00:00:00:09"}},
		{"no fdb", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.FDB = nil }, []string{"removed fdb FDB entry 02:00:00:00:00:09"}},
		{"member", func(n *snapshot.Namespace, _ *snapshot.Snapshot) {
			n.IPVS.Services[0].Destinations = append(n.IPVS.Services[0].Destinations, snapshot.IPVSDestination{Addr: ip("10.0.1.4"), Weight: 1, Method: "masq"})
		}, []string{"added ipvs IPVS inet mark 256 member 10.0.1.4:0"}},
		{"weight", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.IPVS.Services[0].Destinations[0].Weight = 0 }, []string{"changed ipvs IPVS inet mark 256 member"}},
		{"balancer", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.IPVS = nil }, []string{"removed ipvs IPVS inet mark 256"}},
		{"firewall", func(n *snapshot.Namespace, _ *snapshot.Snapshot) {
			c := &n.Netfilter.Tables[0].Chains[0]
			c.Rules = slices.Insert(c.Rules, 1, rRule(rMark(7)))
		}, []string{"added firewall rule 2 of ip t c"}},
		{"policy", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.Netfilter.Tables[0].Chains[0].Policy = "drop" }, []string{"changed firewall chain ip t c"}},
		{"element", func(n *snapshot.Namespace, _ *snapshot.Snapshot) {
			v := &n.Netfilter.Tables[0].Sets[0]
			v.Elements = append(v.Elements, snapshot.NfElem{Key: snapshot.NfValue{Prefix: pfx("10.1.1.2/32")}})
		}, []string{"changed firewall set ip t s"}},
		{"table", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.Netfilter.Tables = nil }, []string{"removed firewall table ip t"}},
		{"sysctl", func(n *snapshot.Namespace, _ *snapshot.Snapshot) { n.Sysctls["net.ipv4.ip_forward"] = "0" }, []string{"changed sysctl sysctl net.ipv4.ip_forward"}},
		{"listener", func(n *snapshot.Namespace, _ *snapshot.Snapshot) {
			n.Sockets = append(n.Sockets, snapshot.Socket{Proto: "tcp", State: "listen", Local: netip.MustParseAddrPort("0.0.0.0:80"), Comm: "nginx"})
		}, []string{"added listener listener tcp 0.0.0.0:80"}},
		{"namespace", func(_ *snapshot.Namespace, s *snapshot.Snapshot) {
			s.Namespaces = append(s.Namespaces, snapshot.Namespace{ID: "4:5026531840", Links: []snapshot.Link{{Index: 1, Name: "lo", Type: "loopback"}}})
		}, []string{"added netns netns 5026531840"}},
		{"stopped", func(_ *snapshot.Namespace, s *snapshot.Snapshot) { s.Workloads[0].State = "exited" }, []string{"changed container container web"}},
		{"container", func(_ *snapshot.Namespace, s *snapshot.Snapshot) {
			s.Workloads = append(s.Workloads, snapshot.Workload{Engine: "docker", ID: hexID("def"), Name: "db", State: "created", Mode: "none", Source: "api"})
		}, []string{"added container container db"}},
		{"made anew", func(_ *snapshot.Namespace, s *snapshot.Snapshot) { s.Workloads[0].ID = hexID("fed") }, []string{"changed container container web"}},
		{"engine", func(_ *snapshot.Namespace, s *snapshot.Snapshot) { s.Host.Engines[0].Version = "29" }, []string{"changed engine engine docker"}},
		{"kernel", func(_ *snapshot.Namespace, s *snapshot.Snapshot) { s.Host.Kernel = "6.2.0" }, []string{"changed host host h"}},
		{"gap", func(n *snapshot.Namespace, s *snapshot.Snapshot) {
			s.Gaps = append(s.Gaps, snapshot.Gap{Namespace: n.ID, Reader: "routes", Error: "no"})
			n.Routes = nil // could not be read: that is no change
		}, []string{"added gap gap routes of netns "}},
	}
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 3))
		k := randomHost(rng, bootA)
		base := k.snapshot("h", k.all[0])
		furnish(base)
		base = deep(t, base)
		a := Build(base)
		later := deep(t, base)
		pass(rng, later)
		if got := Diff(a, Build(later)); len(got) > 0 {
			t.Fatalf("seed %d: time alone: %v", seed, changeTexts(got))
		}
		if got := Diff(a, Build(base)); len(got) > 0 {
			t.Fatalf("seed %d: itself: %v", seed, changeTexts(got))
		}
		for _, op := range ops {
			s := deep(t, later)
			op.do(&s.Namespaces[rng.IntN(len(s.Namespaces))], s)
			s.Normalize()
			b := Build(s)
			got := slices.DeleteFunc(Diff(a, b), func(c Change) bool { return c.Follows })
			ok := len(got) == len(op.want)
			for i := range got {
				ok = ok && strings.HasPrefix(fmt.Sprint(got[i].Op, " ", got[i].Kind, " ", got[i].What), op.want[i])
				if _, known := b.Node(got[i].Node); !known && got[i].Node != "" && got[i].Op != Removed {
					t.Errorf("seed %d, %s: %s is of %s, which is no node", seed, op.name, &got[i], got[i].Node)
				}
			}
			if !ok {
				t.Fatalf("seed %d, %s:\ngot  %q\nwant %q", seed, op.name, changeTexts(got), op.want)
			}
			// And back: as many, each the reverse.
			back := slices.DeleteFunc(Diff(b, a), func(c Change) bool { return c.Follows })
			reverse := map[ChangeOp]ChangeOp{Added: Removed, Removed: Added, Changed: Changed}
			if len(back) != len(got) || len(back) == 1 && back[0].Op != reverse[got[0].Op] {
				t.Fatalf("seed %d, %s back: %q", seed, op.name, changeTexts(back))
			}
		}
	}
}

func changeTexts(list []Change) (out []string) {
	for i := range list {
		out = append(out, list[i].String())
	}
	return out
}

// TestDiffRestarted: a container that was started anew has another namespace, whose links are the old one's by name.
func TestDiffRestarted(t *testing.T) {
	make := func(ino int) *Graph {
		k := newSim(bootA)
		h := k.ns("host").proc(1, "systemd")
		k.next += uint64(ino)
		c := k.ns("web").proc(7+ino, "httpd")
		c.add("dummy0", "dummy").l.MAC = "02:00:00:00:00:07" // what it has of the simulation is by inode
		c.get("lo").l.MAC = ""
		plug(h.bridge("docker0", "172.17.0.1/16"), "veth1", c, "eth0", "172.17.0.2/16", "02:42:ac:11:00:02")
		s := k.snapshot("h", h)
		s.Workloads = []snapshot.Workload{ctr("docker", "abc", "web", "bridge", c, 7+ino)}
		return Build(deep(t, s))
	}
	got := changeTexts(Diff(make(0), make(5)))
	want := []string{
		"container web changed: pid 7 → 12, netns 4026531841 → 4026531846",
		"host: link veth1 changed: peer eth0 in web → eth0 in web (another)",
		"web: netns changed: 4026531841 → 4026531846",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// TestDiffHosts: two hosts are compared by names.
func TestDiffHosts(t *testing.T) {
	make := func(boot, name string) *Graph {
		k := newSim(boot)
		h := k.ns("host").proc(1, "systemd")
		plug(h.bridge("br0", "10.0.0.1/24"), "veth1", k.ns("x").mount("/run/netns/blue", 1, ""), "eth0", "10.0.0.2/24", "02:00:00:00:00:01")
		return Build(deep(t, k.snapshot(name, h)))
	}
	got := changeTexts(Diff(make(bootA, "web1"), make(bootB, "web2")))
	for _, s := range got {
		if strings.HasPrefix(s, "blue: link") || strings.Contains(s, "added") || strings.Contains(s, "removed") {
			t.Errorf("%s", s)
		}
	}
	if len(got) == 0 {
		t.Error("two hosts are the same")
	}
}
