package render

import (
	"bytes"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

func pfx(s string) netip.Prefix  { return netip.MustParsePrefix(s) }
func ip(s string) netip.Addr     { return netip.MustParseAddr(s) }
func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// showSnapshot is a host with one container, in which everything that a page can show occurs at least once.
func showSnapshot() *snapshot.Snapshot {
	host, web := snapshot.MakeNSID(4, 4026531840), snapshot.MakeNSID(4, 4026532184)
	zero, vni, uid := 0, uint32(99), uint32(1000)
	lo := snapshot.Link{Index: 1, Name: "lo", Type: "loopback", Flags: []string{"up"}, State: "unknown", MTU: 65536, Addrs: []snapshot.Addr{{Prefix: pfx("127.0.0.1/8"), Scope: "host"}}}
	return &snapshot.Snapshot{
		Schema: 1, Tool: "nscope test", Taken: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Host: snapshot.Host{Name: "web1", BootID: "0badcafe-0000-0000-0000-000000000000", Kernel: "6.1.0", InitNS: host, SelfNS: host,
			Engines: []snapshot.Engine{{ID: "docker", Kind: "docker", Version: "20.10.24", Reachable: true, Source: "api", Home: host, PID: 700}}},
		Namespaces: []snapshot.Namespace{
			{ID: host, Cookie: 1, Holders: []snapshot.Holder{{Kind: "proc", PID: 1, Comm: "systemd", Cgroup: "/init.scope"}},
				NSIDs: []snapshot.PeerNSID{{NSID: 0, Namespace: web}},
				Links: []snapshot.Link{lo,
					{Index: 2, Name: "eth0", Type: "ether", Flags: []string{"up", "broadcast"}, State: "up", MTU: 1500, MAC: "52:54:00:12:34:56", PermMAC: "52:54:00:12:34:57", AltNames: []string{"enp1s0"}, Qdisc: "fq_codel", TxQLen: 1000, ParentBus: "pci", ParentDev: "0000:00:03.0", XDP: "driver", XDPProg: 42,
						Addrs: []snapshot.Addr{{Prefix: pfx("10.99.0.1/24"), Scope: "global", Label: "eth0:1", Flags: []string{"permanent"}}, {Prefix: pfx("fe80::1/64"), Scope: "link"}}, Stats: snapshot.LinkStats{RxPackets: 12345, TxPackets: 678, RxBytes: 1234567, TxBytes: 89012, RxDropped: 7}},
					{Index: 3, Name: "docker0", Kind: "bridge", Type: "ether", Flags: []string{"up"}, State: "up", MTU: 1500, MAC: "02:42:05:06:45:c4", Addrs: []snapshot.Addr{{Prefix: pfx("172.17.0.1/16"), Scope: "global"}},
						Bridge: &snapshot.Bridge{Priority: 32768, BridgeID: "8000.024205064", RootID: "8000.024205064", ForwardDelay: 15, HelloTime: 2, MaxAge: 20, AgeingTime: 300, VlanFiltering: true, VlanProtocol: "802.1q", VlanDefaultPVID: 1, McastSnooping: true, NfCallIptables: true, Vlans: []snapshot.BridgeVlan{{From: 1, To: 1, PVID: true, Untagged: true}}}},
					{Index: 7, Name: "veth1a2b", Kind: "veth", Type: "ether", Flags: []string{"up"}, State: "up", MTU: 1500, MAC: "ca:db:05:86:f2:3d", Master: 3, MasterKind: "bridge", Veth: &snapshot.Veth{}, Peer: &snapshot.Peer{Index: 6, NSID: &zero, Namespace: web},
						BridgePort: &snapshot.BridgePort{State: "forwarding", Number: 1, Priority: 32, Cost: 2, Hairpin: true, Learning: true, Flood: true, McastFlood: true, BcastFlood: true, Isolated: true, Vlans: []snapshot.BridgeVlan{{From: 10, To: 20}}}},
					{Index: 8, Name: "flannel.1", Kind: "vxlan", Type: "ether", Flags: []string{"up"}, State: "unknown", MTU: 1450, MAC: "0e:00:00:00:00:01", Vxlan: &snapshot.Vxlan{VNI: 1, Port: 8472, Local: ip("10.99.0.1"), Link: 2, Ageing: 300, UDPCsum: true}, Peer: &snapshot.Peer{Index: 2, Namespace: host}},
					{Index: 9, Name: "tun0", Kind: "tun", Type: "none", Flags: []string{"up"}, State: "down", MTU: 1500, Tun: &snapshot.Tun{Mode: "tun", Owner: &uid, Persist: true}},
				},
				Routes: []snapshot.Route{
					{Family: "inet", Table: 254, Type: "unicast", Protocol: "static", Scope: "global", Dst: pfx("0.0.0.0/0"), Gateway: ip("10.99.0.254"), OIF: 2, Metric: 100},
					{Family: "inet", Table: 254, Type: "unicast", Protocol: "kernel", Scope: "link", Dst: pfx("172.17.0.0/16"), OIF: 3, PrefSrc: ip("172.17.0.1"), Flags: []string{"linkdown"}},
					{Family: "inet", Table: 255, Type: "local", Protocol: "kernel", Scope: "host", Dst: pfx("172.17.0.1/32"), OIF: 3},
					{Family: "inet6", Table: 100, Type: "unicast", Protocol: "bird", Scope: "global", Dst: pfx("fd00::/8"), NextHops: []snapshot.NextHop{{Gateway: ip("fe80::2"), OIF: 2, Weight: 1}, {Gateway: ip("fe80::3"), OIF: 2, Weight: 2}}},
				},
				Rules:     []snapshot.Rule{{Family: "inet", Priority: 0, Action: "lookup", Table: 255}, {Family: "inet", Priority: 100, FwMark: 0x1, FwMask: 0xf, IIF: "eth0", Src: pfx("10.0.0.0/8"), DPort: &snapshot.PortRange{From: 80, To: 90}, Action: "lookup", Table: 100, Invert: true, SuppressPrefixLen: &zero}},
				Neighbors: []snapshot.Neighbor{{Family: "inet", Ifindex: 3, Addr: ip("172.17.0.2"), MAC: "02:42:ac:11:00:02", State: "reachable"}},
				FDB: []snapshot.FDBEntry{{Ifindex: 7, MAC: "02:42:ac:11:00:02", Master: 3}, {Ifindex: 8, MAC: "0e:00:00:00:00:02", Dst: ip("10.99.0.2"), VNI: &vni, Port: 8473, State: "permanent", Flags: []string{"self"}},
					{Ifindex: 3, MAC: "33:33:00:00:00:01", State: "permanent", Flags: []string{"self"}}},
				Sockets: []snapshot.Socket{{Proto: "tcp", Family: "inet", State: "listen", Local: ap("0.0.0.0:8080"), TxQueue: 4096, UID: 0, PID: 812, Comm: "docker-proxy"},
					{Proto: "tcp", Family: "inet", State: "established", Local: ap("10.99.0.1:22"), Remote: ap("10.99.0.9:51234")}},
				Sysctls: map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "2", "net.ipv4.conf.eth0.100.rp_filter": "1", "net.ipv4.conf.docker0.rp_filter": "2"},
				Xfrm: snapshot.Xfrm{States: []snapshot.XfrmState{{Src: ip("10.99.0.1"), Dst: ip("10.99.0.2"), Proto: "esp", SPI: 0xabcd, ReqID: 13681891, Mode: "transport", AEAD: "rfc4106(gcm(aes))", Packets: 12, ReplayErrors: 1}},
					Policies: []snapshot.XfrmPolicy{{Dir: "out", Src: pfx("10.99.0.1/32"), Dst: pfx("10.99.0.2/32"), Proto: 17, DPort: 4789, Action: "allow", Mark: 0xd0c4e3, Tmpls: []snapshot.XfrmTemplate{{Src: ip("10.99.0.1"), Dst: ip("10.99.0.2"), Proto: "esp", Mode: "transport", ReqID: 13681891}}}}},
				Qdiscs:   []snapshot.Qdisc{{Ifindex: 2, Kind: "fq_codel", Handle: "8001:0", Parent: "root", Packets: 99, Drops: 3}, {Ifindex: 3, Kind: "noqueue", Handle: "0:0", Parent: "root"}},
				Counters: map[string]uint64{"Tcp.RetransSegs": 12, "TcpExt.ListenDrops": 3}},
			{ID: web, Cookie: 5, OwnerUserNS: 4026531837, Holders: []snapshot.Holder{{Kind: "proc", PID: 1234, Comm: "nginx", Cgroup: "/docker/4f1c"}, {Kind: "mount", PID: 700, Path: "/run/docker/netns/76b530d1bc6b", MountNS: 4026532000, Root: "/proc/700/root"}},
				NSIDs:  []snapshot.PeerNSID{{NSID: 0, Namespace: host}},
				Links:  []snapshot.Link{lo, {Index: 6, Name: "eth0", Kind: "veth", Type: "ether", Flags: []string{"up"}, State: "up", MTU: 1500, MAC: "02:42:ac:11:00:02", Veth: &snapshot.Veth{}, Peer: &snapshot.Peer{Index: 7, NSID: &zero, Namespace: host}, Addrs: []snapshot.Addr{{Prefix: pfx("172.17.0.2/16"), Scope: "global"}}}},
				Routes: []snapshot.Route{{Family: "inet", Table: 254, Type: "unicast", Protocol: "boot", Scope: "global", Dst: pfx("0.0.0.0/0"), Gateway: ip("172.17.0.1"), OIF: 6}}},
		},
		Workloads: []snapshot.Workload{{Engine: "docker", ID: "4f1c2d3e4f5061728394a5b6c7d8e9f0112233445566778899aabbccddeeff00", Name: "web", Image: "nginx:1.27", State: "running", PID: 1234, Namespace: web, Mode: "default", SandboxKey: "/run/docker/netns/76b530d1bc6b", Hostname: "4f1c2d3e4f50", Source: "api",
			Labels:    map[string]string{"com.example.note": "a label that is so long that it has to be wrapped on every terminal of a usual width, twice"},
			Endpoints: []snapshot.Endpoint{{Network: "ae6be3a47546", NetworkName: "bridge", Addr: pfx("172.17.0.2/16"), Gateway: ip("172.17.0.1"), MAC: "02:42:ac:11:00:02", Aliases: []string{"www"}}},
			Ports:     []snapshot.Port{{Proto: "tcp", HostAddr: ip("0.0.0.0"), HostPort: 8080, Port: 80}}, DNS: snapshot.DNS{Servers: []string{"10.99.0.53"}, Search: []string{"example.com"}, Options: []string{"ndots:0"}}}},
		Networks: []snapshot.Network{{Engine: "docker", ID: "ae6be3a47546", Name: "bridge", Driver: "bridge", Scope: "local", Bridge: "docker0", Subnets: []snapshot.Subnet{{Subnet: pfx("172.17.0.0/16"), Gateway: ip("172.17.0.1"), IPRange: pfx("172.17.4.0/24")}}, Attachable: true,
			Options: map[string]string{"com.docker.network.bridge.name": "docker0"}, Source: "api"}},
		Services: []snapshot.Service{{Engine: "docker", ID: "svc1", Name: "front", Mode: "replicated", Replicas: 2, EndpointMode: "vip", Image: "nginx:1.27", VIPs: []snapshot.VIP{{Network: "ae6be3a47546", Addr: pfx("10.0.1.2/24")}},
			Ports: []snapshot.Port{{Proto: "tcp", HostPort: 8000, Port: 80, Mode: "ingress"}}, Tasks: []snapshot.Task{{ID: "t1", Name: "front.1", NodeName: "web1", State: "running", Desired: "running", Addrs: []snapshot.TaskAddr{{Network: "n", Addr: pfx("10.0.1.5/24")}}}}}},
	}
}

func showOf(t *testing.T, g *topo.Graph, n *topo.Node, o Options) string {
	t.Helper()
	return string(rendered(t, func(w io.Writer) error { return Show(w, g, n, o) }))
}

func TestShowGolden(t *testing.T) {
	g := topo.Build(showSnapshot())
	for name, want := range map[string]func(*topo.Node) bool{
		"container": func(n *topo.Node) bool { return n.Kind == topo.KindContainer },
		"host":      func(n *topo.Node) bool { return n.Attrs.Role == topo.RoleHost },
		"netns":     func(n *topo.Node) bool { return n.Attrs.Role == topo.RoleContainer },
		"bridge":    func(n *topo.Node) bool { return n.Name == "docker0" },
		"port":      func(n *topo.Node) bool { return n.Name == "veth1a2b" },
		"nic":       func(n *topo.Node) bool { return n.Attrs.MAC == "52:54:00:12:34:56" },
		"vxlan":     func(n *topo.Node) bool { return n.Name == "flannel.1" },
		"network":   func(n *topo.Node) bool { return n.Kind == topo.KindNetwork },
		"service":   func(n *topo.Node) bool { return n.Kind == topo.KindService },
		"vtep":      func(n *topo.Node) bool { return n.Kind == topo.KindVTEP },
	} {
		t.Run(name, func(t *testing.T) {
			i := slices.IndexFunc(g.Nodes, func(n topo.Node) bool { return want(&n) })
			if i < 0 {
				t.Fatal("no such node in the graph")
			}
			n := &g.Nodes[i]
			got := showOf(t, g, n, Options{})
			checkWidth(t, got, 80)
			golden(t, "show-"+name+".txt", []byte(got))
			checkASCII(t, showOf(t, g, n, Options{ASCII: true, Wide: true}))
		})
	}
}

// With no limit of width nothing of the snapshot is cut.
func TestShowWide(t *testing.T) {
	g := topo.Build(showSnapshot())
	n, err := g.Resolve("host")
	if err != nil {
		t.Fatal(err)
	}
	got := showOf(t, g, n, Options{Width: -1, Wide: true, Full: true})
	for _, want := range []string{"10.99.0.254", "not from 10.0.0.0/8 iif eth0 fwmark 0x1/0xf dport 80-90 lookup 100 suppress_prefixlength 0", "nexthop via fe80::3 dev eth0 weight 2",
		"172.17.0.1/32", "33:33:00:00:00:01", "10.99.0.9:51234", "rfc4106(gcm(aes))", "allow as esp transport 10.99.0.1 → 10.99.0.2 reqid 13681891", "net.ipv4.conf.eth0.100.rp_filter", "Tcp.RetransSegs", "noqueue",
		"vni 1 port 8472 local 10.99.0.1 underlay ifindex 2 nolearning", "10-20", "hairpin isolated", "owner uid 1000", "docker-proxy (812)"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not shown in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "…") {
		t.Error("something is cut or folded")
	}
}

// Whatever node of whatever graph: it fits, and says at least what it is.
func TestShowAny(t *testing.T) {
	graphs := []*topo.Graph{modes(), swarm(), oneOfThree(), nested(), topo.Build(showSnapshot())}
	for seed := range uint64(10) {
		graphs = append(graphs, random(seed, 40, true))
	}
	for k, g := range graphs {
		for i := range g.Nodes {
			for _, w := range []int{1, 5, 20, 80} {
				got := showOf(t, g, &g.Nodes[i], Options{Width: w})
				checkWidth(t, got, w)
				if strings.ContainsAny(got, "\x1b\u202e\r\t") {
					t.Errorf("graph %d: control characters of %q", k, g.Nodes[i].ID)
				}
			}
			if got := showOf(t, g, &g.Nodes[i], Options{}); !strings.Contains(got, " ") {
				t.Errorf("graph %d: %q shows %q", k, g.Nodes[i].ID, got)
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		in   string
		w    int
		want string
	}{{"a b c", 3, "a b|c"}, {"abcdef", 4, "abcd|ef"}, {"x abcdef y", 4, "x|abcd|ef y"}, {"日本語", 4, "日本|語"}, {"日本", 1, "日本"}, {"", 5, ""}} {
		if got := strings.Join(Options{}.wrap(c.in, c.w), "|"); got != c.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", c.in, c.w, got, c.want)
		}
	}
}

// Real services: one row per host that publishes, told apart, and tasks with their addresses at 80 columns.
func TestShowService(t *testing.T) {
	g := examples(t)["node1 and node2"]
	show := func(target string) string {
		n, err := g.Resolve(target)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := Show(&b, g, n, Options{}); err != nil {
			t.Fatal(err)
		}
		checkWidth(t, b.String(), 80)
		return b.String()
	}
	web := show("service:web")
	for _, want := range []string{"  tcp    *:8000    80  mesh  host  node1  the engine says so\n", "  tcp    *:8000    80  mesh  host  node2  the engine says so\n"} {
		if strings.Count(web, want) != 1 {
			t.Errorf("no or several %q in:\n%s", want, web)
		}
	}
	edge := show("service:edge")
	for _, want := range []string{"  10.0.1.8  edge.kjkdyruhv61oqo98lcszzq2pm  node1  backend  the engine says so\n", "  edge.kjkdyruhv61oqo98lcszzq2pm  node1  running  10.0.1.8/24\n"} {
		if !strings.Contains(edge, want) {
			t.Errorf("no %q in:\n%s", want, edge)
		}
	}
	host := show("node1/host")
	if !strings.Contains(host, "  net.ipv4.ip_local_port_range = 32768 60999\n") || strings.Contains(host, `\x09`) {
		t.Errorf("tabs in:\n%s", host)
	}
}
