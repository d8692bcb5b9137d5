package e2e

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/topo"
)

// maker is a program that publishes ports and services by rules: its rules, and what they should come to.
type maker struct {
	name, file string
	edit       []string // pairs to replace in the file
	// loaders are the programs that load the file; of iptables both kinds.
	loaders []string
	bridge  string
	gateway string
	in      [2]string
	ask     []string // "tcp 8080": ports of the host
	vips    []string // "tcp 10.96.0.10:80"
	nfCall  bool     // bridge-nf-call-iptables
	hairpin bool     // of the first container's port on the bridge
	sticky  bool     // not every way is seen
	shares  []float64
	// What an edge must be there for, so that nothing is compared with nothing.
	publishes, services int
	self                string // hairpin of the published ports
}

const ofIPTables, ofNft = "testdata/rules/", "../../inspect/netfilter/testdata/rules/"

var both = []string{"iptables-nft-restore", "iptables-legacy-restore"}

func makers() []maker {
	docker := maker{bridge: "docker0", gateway: "172.17.0.1/16", in: [2]string{"172.17.0.3", "172.17.0.2"}, loaders: both}
	bridge1 := maker{bridge: "bridge1", gateway: "192.0.2.1/24", in: [2]string{"192.0.2.2", "192.0.2.3"}, ask: []string{"tcp 8080", "udp 7000", "tcp 8081"}, loaders: both}
	podman := maker{bridge: "podman0", gateway: "10.88.0.1/16", in: [2]string{"10.88.0.2", "10.88.0.5"}, ask: []string{"tcp 8080", "tcp 8443", "tcp 9000", "tcp 9009", "tcp 9010"}, loaders: both}
	kube := maker{bridge: "cni0", gateway: "10.244.1.1/24", in: [2]string{"10.244.1.2", "10.244.1.3"}, ask: []string{"tcp 30080"}, loaders: both,
		vips: []string{"tcp 10.96.0.10:80", "tcp 10.96.0.10:81", "tcp 10.96.7.7:80"}}
	with := func(m maker, name, file string, edit func(*maker)) maker {
		m.name, m.file = name, file
		if edit != nil {
			edit(&m)
		}
		return m
	}
	nft := []string{"nft -f -"}
	return []maker{
		with(docker, "docker 20.10", ofIPTables+"docker-20.10.rules", func(m *maker) {
			m.ask, m.publishes, m.self = []string{"tcp 8080", "udp 5353", "tcp 8081"}, 1, topo.MayNo
		}),
		with(bridge1, "docker 28", ofIPTables+"docker-28.rules", func(m *maker) { m.publishes, m.self = 2, topo.MayNo }),
		with(bridge1, "docker 28 without proxy", ofIPTables+"docker-28-noproxy.rules", func(m *maker) { m.publishes, m.self = 1, topo.MayYes }),
		with(bridge1, "docker 28 without proxy, br_netfilter", ofIPTables+"docker-28-noproxy.rules", func(m *maker) { m.nfCall, m.publishes, m.self = true, 1, topo.MayNo }),
		with(bridge1, "docker 28 without proxy, hairpin", ofIPTables+"docker-28-noproxy.rules", func(m *maker) {
			m.nfCall, m.hairpin, m.publishes, m.self = true, true, 1, topo.MayYes
		}),
		with(bridge1, "docker 29 nftables", ofNft+"docker29.nft", func(m *maker) { m.loaders, m.publishes, m.self = nft, 1, topo.MayNo }),
		with(bridge1, "docker 29 nftables without proxy", ofNft+"docker29.nft", func(m *maker) {
			m.edit = []string{`iifname != "bridge1" tcp dport 8080`, "tcp dport 8080", `iifname "bridge1" counter drop comment "ICC"`, `iifname "bridge1" counter accept comment "ICC"`,
				`oifname != "bridge1" counter drop comment "INTERNAL NETWORK EGRESS"`, "counter accept"}
			m.loaders, m.publishes, m.self = nft, 1, topo.MayYes
		}),
		with(podman, "netavark", ofIPTables+"podman-netavark.rules", func(m *maker) { m.publishes, m.self = 1, topo.MayYes }),
		with(podman, "netavark nftables", ofNft+"netavark.nft", func(m *maker) { m.loaders, m.publishes, m.self = nft, 2, topo.MayYes }),
		with(podman, "CNI portmap", ofIPTables+"cni-portmap.rules", func(m *maker) { m.publishes, m.self = 1, topo.MayYes }),
		with(kube, "kube-proxy with affinity", ofIPTables+"kube-proxy.rules", func(m *maker) { m.publishes, m.services, m.sticky = 2, 1, true }),
		with(kube, "kube-proxy", ofIPTables+"kube-proxy.rules", func(m *maker) {
			m.edit = []string{" -m recent --set --name KUBE-SEP-B --mask 255.255.255.255 --rsource", "",
				` -m comment --comment "default/web -> 10.244.1.3:8080" -m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-B --mask 255.255.255.255 --rsource -j KUBE-SEP-B`, " -j RETURN -m mark --mark 0xffff"}
			m.publishes, m.services = 2, 1
			m.shares = []float64{0.3333, 0.3333, 0.3333}
		}),
		with(kube, "kube-proxy, br_netfilter", ofIPTables+"kube-proxy.rules", func(m *maker) {
			m.edit = []string{" -m recent --set --name KUBE-SEP-B --mask 255.255.255.255 --rsource", "",
				` -m comment --comment "default/web -> 10.244.1.3:8080" -m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-B --mask 255.255.255.255 --rsource -j KUBE-SEP-B`, " -j RETURN -m mark --mark 0xffff"}
			m.publishes, m.services, m.nfCall, m.sticky = 2, 1, true, true // a container is not sent to itself: its port has no hairpin mode
		}),
		with(kube, "kube-proxy nftables", ofNft+"kubeproxy.nft", func(m *maker) {
			m.edit = []string{"10.244.0.5:53", "10.244.1.2:8080", "10.244.0.6:53", "10.244.1.3:8080", "10.244.0.5", "10.244.1.2", "10.244.0.6", "10.244.1.3", "10.96.0.10 . udp . 53", "10.96.0.10 . tcp . 80",
				"10.96.0.10 udp dport 53", "10.96.0.10 tcp dport 80", "l4proto udp", "l4proto tcp", "{ 192.0.2.10 }", "{ 198.51.100.2 }",
				"ip saddr @affinity-A goto endpoint-A", "", "update @affinity-A { ip saddr }", ""}
			m.shares = []float64{0.5, 0.5}
			m.loaders, m.publishes, m.services = nft, 2, 1
		}),
	}
}

// TestRulesOfOtherMakers loads the rules of those who publish ports and balance services, sends packets from outside, from
// the host and from containers, and holds the edges and what is said of hairpins against what arrives where.
func TestRulesOfOtherMakers(t *testing.T) {
	nettest.NeedsRoot(t)
	for _, m := range makers() {
		t.Run(m.name, func(t *testing.T) {
			l := newNATLab(t, m.bridge, netip.MustParsePrefix(m.gateway), [2]netip.Addr{netip.MustParseAddr(m.in[0]), netip.MustParseAddr(m.in[1])})
			// It stands at 1 where the module is there, and neither at all where it is not.
			if err := l.host.Do(func() error {
				return os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte(map[bool]string{true: "1", false: "0"}[m.nfCall]), 0)
			}); m.nfCall && err != nil {
				t.Skip("skip: needs br_netfilter")
			}
			if m.hairpin {
				l.do(t, "", "bridge link set dev v1 hairpin on")
			}
			text, err := os.ReadFile(filepath.FromSlash(m.file))
			if err != nil {
				t.Fatal(err)
			}
			for _, loader := range m.loaders {
				l.do(t, "", "nft flush ruleset")
				l.do(t, strings.NewReplacer(m.edit...).Replace(string(text)), loader)
				l.snap = l.collect(t)
				l.compare(t, &m)
				if loader == both[1] {
					for _, table := range []string{"raw", "filter", "nat", "mangle"} {
						l.do(t, "", "iptables-legacy -t "+table+" -F", "iptables-legacy -t "+table+" -X")
					}
				}
			}
		})
	}
}

// do runs commands in the router.
func (l *natLab) do(t *testing.T, in string, lines ...string) {
	t.Helper()
	if err := l.host.Do(func() error {
		for _, line := range lines {
			words := strings.Fields(line)
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Stdin = strings.NewReader(in)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", line, err, out)
			}
		}
		return nil
	}); err != nil {
		t.Fatalf("the lab itself: %v", err)
	}
}

// said is what the graph says of packets of one sender to a port: where they arrive ("10.0.0.2 80"), and nil where it says nothing.
func (l *natLab) said(g *topo.Graph, sender, proto string, at netip.AddrPort) []string {
	var out []string
	add := func(addr string, port uint16) {
		if s := fmt.Sprintf("%s %d", addr, port); slices.Contains([]string{l.inAddr[0].String(), l.inAddr[1].String()}, addr) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		a := &e.Attrs
		if a.Proto != proto || !slices.Contains(a.From, sender) {
			continue
		}
		switch {
		case e.Kind == topo.EdgePublishes && strings.HasSuffix(e.To, ":"+l.host.ID().Short()) && a.HostPort <= at.Port() && at.Port() <= max(a.HostPort, a.HostPortTo) &&
			(a.HostAddr == "0.0.0.0" || a.HostAddr == at.Addr().String()):
			add(a.Address, a.TargetPort+at.Port()-a.HostPort)
		case e.Kind == topo.EdgeBalances && a.Address == at.Addr().String() && a.HostPort == at.Port():
			for _, b := range g.Out(e.To, topo.EdgeBackend) {
				add(b.Attrs.Address, b.Attrs.TargetPort)
			}
		}
	}
	slices.Sort(out)
	return out
}

// compare sends packets and holds them against the graph. Where lots are drawn, often enough to see every way.
func (l *natLab) compare(t *testing.T, m *maker) {
	t.Helper()
	g := topo.Build(l.snap)
	type question struct {
		sender string
		proto  string
		at     netip.AddrPort
	}
	senders := map[string]*netlab.Space{"outside": l.out, "host": l.host, "c1": l.in[0], "c2": l.in[1]}
	of := map[uint16]question{}
	sport := uint16(1000)
	send := func(q question, n int) {
		src := map[string]netip.Addr{"outside": netip.MustParseAddr("198.51.100.77"), "host": q.at.Addr(), "c1": l.inAddr[0], "c2": l.inAddr[1]}[q.sender]
		if q.sender == "host" && !slices.Contains(l.addrs, src) {
			src = l.addrs[0]
		}
		for range n {
			sport++
			of[sport] = q
			l.emit(t, senders[q.sender], src, map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP}[q.proto], sport, q.at.Addr(), q.at.Port())
		}
	}
	often := 2
	if m.services > 0 {
		often = 64 // with a third of the packets each, one in 10^11 rounds misses a member
	}
	for _, sender := range slices.Sorted(maps.Keys(senders)) {
		for _, ask := range m.ask {
			var proto string
			var port uint16
			fmt.Sscan(ask, &proto, &port)
			for _, a := range l.addrs {
				send(question{sender, proto, netip.AddrPortFrom(a, port)}, often)
			}
		}
		for _, vip := range m.vips {
			proto, at, _ := strings.Cut(vip, " ")
			send(question{sender, proto, netip.MustParseAddrPort(at)}, often)
		}
	}
	got := map[question][]string{}
	back := map[question]bool{} // a container's packet came back with another source
	l.do(t, "", "nft flush ruleset", "iptables-legacy -P FORWARD ACCEPT", "iptables-legacy -F FORWARD", "iptables-legacy -t raw -F")
	for i := range l.in {
		l.emit(t, l.out, netip.MustParseAddr("198.51.100.77"), unix.IPPROTO_UDP, markerPort, l.inAddr[i], markerPort)
		for s, c := range l.arrived(t, i, markerPort) {
			q, ok := of[s]
			if !ok {
				continue
			}
			if s := fmt.Sprintf("%s %d", l.inAddr[i], c.dport); !slices.Contains(got[q], s) {
				got[q] = append(got[q], s)
			}
			if q.sender == fmt.Sprintf("c%d", i+1) {
				back[q] = c.src != l.inAddr[i]
			}
		}
	}
	compared := 0
	asked := map[question]bool{}
	for _, q := range of {
		if asked[q] {
			continue
		}
		asked[q] = true
		have := got[q]
		slices.Sort(have)
		sender := q.sender
		if strings.HasPrefix(sender, "c") {
			if !slices.ContainsFunc(m.vips, func(s string) bool { return strings.HasSuffix(s, " "+q.at.String()) }) {
				continue // a container's packets to a published port: by hairpin, below
			}
			sender = "through " + l.bridge
		}
		want := l.said(g, sender, q.proto, q.at)
		compared += len(want)
		if m.sticky && len(have) > 0 && !slices.ContainsFunc(have, func(s string) bool { return !slices.Contains(want, s) }) {
			continue
		}
		if !slices.Equal(have, want) {
			t.Errorf("%s: %s %s arrives at %q, the graph says %q", q.sender, q.proto, q.at, have, want)
		}
	}
	published, services := 0, 0
	for i := range g.Edges {
		e := &g.Edges[i]
		if e.Kind == topo.EdgeBalances {
			services++
			svc, _ := g.Node(e.To)
			var shares []float64
			for _, b := range g.Balancers(svc) {
				for _, m := range b.Members {
					shares = append(shares, math.Round(m.Share*1e4)/1e4)
				}
			}
			if m.shares != nil && !slices.Equal(shares, m.shares) {
				t.Errorf("shares of %s are %v, want %v", svc.Name, shares, m.shares)
			}
			hits, err := g.Find(e.Attrs.Address)
			if err != nil || !strings.Contains(hits[0].Sentence, svc.Name) {
				t.Errorf("find %s: %+v, %v", e.Attrs.Address, hits, err)
			} else {
				t.Log(hits[0].Sentence)
			}
		}
		if e.Kind != topo.EdgePublishes || !strings.HasSuffix(e.To, ":"+l.host.ID().Short()) {
			continue
		}
		published++
		may, why := g.Hairpin(e)
		if m.self != "" && may != m.self {
			t.Errorf("hairpin of %+v is %s (%s), want %s", e.Attrs, may, why, m.self)
		}
		for i, name := range []string{"c1", "c2"} {
			q := question{name, e.Attrs.Proto, netip.AddrPortFrom(l.addrs[0], e.Attrs.HostPort)}
			if e.Attrs.Address != l.inAddr[i].String() || e.Attrs.Share != 0 || may == "" || may == topo.MayUnknown {
				continue
			}
			if asked[q] && back[q] != (may == topo.MayYes) {
				t.Errorf("%s asks itself by %s: comes back %v, said is %s (%s)", name, q.at, back[q], may, why)
			}
		}
	}
	if published < m.publishes || services < m.services || compared == 0 {
		t.Errorf("%d ports published, %d services, %d ways compared", published, services, compared)
	}
}
