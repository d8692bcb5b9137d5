package e2e

import (
	"cmp"
	enc "encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/topo"
)

// natLab is a client outside, a router, and two namespaces on a bridge of the router's. The client has the address that
// topo takes for one outside.
type natLab struct {
	bridge    string
	client    netip.Addr
	out, host *netlab.Space
	in        [2]*netlab.Space
	inAddr    [2]netip.Addr
	addrs     []netip.Addr          // the router's
	send      map[*netlab.Space]int // raw sockets
	see       [2]int                // what arrives in each namespace
	snap      *snapshot.Snapshot
}

func newNATLab(t *testing.T, bridge string, gateway netip.Prefix, in [2]netip.Addr) *natLab {
	t.Helper()
	six, wire := gateway.Addr().Is6(), netip.MustParsePrefix("198.51.100.0/24")
	if six {
		wire = netip.MustParsePrefix("2001:db8::/64")
	}
	l := &natLab{bridge: bridge, inAddr: in, send: map[*netlab.Space]int{}, client: netip.MustParseAddr("198.51.100.77"),
		addrs: []netip.Addr{wire.Addr().Next().Next(), wire.Addr().Next().Next().Next(), gateway.Addr()}}
	kind, family, forward := uint16(unix.ETH_P_IP), unix.AF_INET, "ipv4/ip_forward"
	if six {
		l.client = netip.MustParseAddr("2001:db8::77")
		kind, family, forward = unix.ETH_P_IPV6, unix.AF_INET6, "ipv6/conf/all/forwarding"
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	space := func(name string) *netlab.Space {
		s, err := netlab.New(name)
		must(err)
		t.Cleanup(func() { s.Close() })
		if six { // addresses that are good at once
			must(s.Do(func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0) }))
		}
		return s
	}
	on := func(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, wire.Bits()) }
	l.out, l.host = space("out"), space("host")
	must(l.out.Veth("eth0", l.host, "eth0"))
	must(l.out.Addr("eth0", on(l.client)))
	must(l.host.Addr("eth0", on(l.addrs[0])))
	must(l.host.Addr("eth0", on(l.addrs[1])))
	must(l.host.Bridge(bridge, gateway))
	for i := range l.in {
		l.in[i] = space(fmt.Sprintf("c%d", i+1))
		name := fmt.Sprintf("v%d", i+1)
		must(l.host.Veth(name, l.in[i], "eth0"))
		must(l.host.SetMaster(name, bridge))
		must(l.in[i].Addr("eth0", netip.PrefixFrom(l.inAddr[i], gateway.Bits())))
		must(l.in[i].Up("eth0"))
		must(l.in[i].DefaultRoute(gateway.Addr()))
		must(l.host.Up(name))
		must(l.in[i].Do(func() (err error) {
			l.see[i], err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(htons(kind)))
			if err != nil {
				return err
			}
			if err := unix.SetsockoptInt(l.see[i], unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20); err != nil {
				return err
			}
			return unix.SetsockoptTimeval(l.see[i], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 20})
		}))
		t.Cleanup(func() { unix.Close(l.see[i]) })
	}
	must(l.out.Up("eth0"))
	must(l.host.Up("eth0"))
	must(l.host.Up(bridge))
	must(l.out.DefaultRoute(l.addrs[0]))
	must(l.host.DefaultRoute(l.client))
	must(l.host.Do(func() error { return os.WriteFile("/proc/sys/net/"+forward, []byte("1"), 0) }))
	for _, s := range []*netlab.Space{l.out, l.host, l.in[0], l.in[1]} {
		must(s.Do(func() error {
			fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
			l.send[s] = fd
			t.Cleanup(func() { unix.Close(fd) })
			return err
		}))
	}
	l.snap = l.collect(t)
	return l
}

// collect takes a snapshot of the lab alone.
func (l *natLab) collect(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	snap, err := inspect.Collect(t.Context(), inspect.WithoutEngines())
	if err != nil {
		t.Fatal(err)
	}
	snap.Namespaces = slices.DeleteFunc(snap.Namespaces, func(n snapshot.Namespace) bool {
		return n.ID != l.host.ID() && n.ID != l.out.ID() && n.ID != l.in[0].ID() && n.ID != l.in[1].ID()
	})
	if len(snap.Namespaces) != 4 {
		t.Fatalf("the lab itself: %d namespaces", len(snap.Namespaces))
	}
	snap.Gaps = nil
	return snap
}

func htons(n uint16) uint16 { return n>>8 | n<<8 }

// emit sends the first packet of a connection from one of the namespaces. Its payload is the source port, which may change
// on the way.
func (l *natLab) emit(t *testing.T, from *netlab.Space, src netip.Addr, proto uint8, sport uint16, dst netip.Addr, dport uint16) {
	t.Helper()
	var ip interface {
		gopacket.NetworkLayer
		gopacket.SerializableLayer
	}
	var to unix.Sockaddr
	if dst.Is6() {
		ip = &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocol(proto), SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		to = &unix.SockaddrInet6{Addr: dst.As16()}
	} else {
		ip = &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocol(proto), SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		to = &unix.SockaddrInet4{Addr: dst.As4()}
	}
	var l4 gopacket.SerializableLayer
	if proto == unix.IPPROTO_TCP {
		tcp := &layers.TCP{SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), SYN: true, Window: 1000}
		_ = tcp.SetNetworkLayerForChecksum(ip)
		l4 = tcp
	} else {
		udp := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(dport)}
		_ = udp.SetNetworkLayerForChecksum(ip)
		l4 = udp
	}
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, l4, gopacket.Payload(enc.BigEndian.AppendUint16(nil, sport))); err != nil {
		t.Fatal(err)
	}
	if err := unix.Sendto(l.send[from], buf.Bytes(), 0, to); err != nil && !errors.Is(err, unix.EPERM) { // dropped by a rule
		t.Fatal(err)
	}
}

const markerPort = 9

// came is a packet as it arrived.
type came struct {
	src   netip.Addr
	dport uint16
}

// arrived reads what came into a namespace until the packet with the marker's source port, by the source port with which
// each was sent.
func (l *natLab) arrived(t *testing.T, i int, marker uint16) map[uint16]came {
	t.Helper()
	out := map[uint16]came{}
	buf := make([]byte, 2048)
	for {
		n, _, err := unix.Recvfrom(l.see[i], buf, 0)
		if err != nil {
			t.Fatalf("the lab itself: no marker in %s: %v", l.in[i].Name, err)
		}
		head, proto := int(buf[0]&15)*4, buf[9]
		src, dst := netip.AddrFrom4([4]byte(buf[12:16])), netip.AddrFrom4([4]byte(buf[16:20]))
		if l.client.Is6() {
			head, proto = 40, buf[6]
			src, dst = netip.AddrFrom16([16]byte(buf[8:24])), netip.AddrFrom16([16]byte(buf[24:40]))
		}
		if n < head+10 || proto != unix.IPPROTO_TCP && proto != unix.IPPROTO_UDP || dst != l.inAddr[i] {
			continue
		}
		data := head + 8
		if proto == unix.IPPROTO_TCP {
			data = head + int(buf[min(head+12, n-1)]>>4)*4
		}
		if n < data+2 {
			continue // an answer
		}
		sport, dport := enc.BigEndian.Uint16(buf[data:]), enc.BigEndian.Uint16(buf[head+2:])
		if sport == marker {
			return out
		}
		out[sport] = came{src, dport}
	}
}

// rules makes a random ruleset of translations, in nft's language or in that of iptables.
func natRules(r *rand.Rand) (tool, script string) {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	port := func() int { return 8000 + r.IntN(12) }
	proto := func() string { return pick("tcp", "udp") }
	to := func() string { return pick("10.66.0.2", "10.66.0.3") }
	var b strings.Builder
	if r.IntN(2) == 0 {
		ports := func() string {
			p := port()
			return pick(fmt.Sprint(p), fmt.Sprintf("%d-%d", p, p+r.IntN(5)), fmt.Sprintf("{ %d, %d }", p, port()), fmt.Sprintf("!= %d", p))
		}
		rule := func(jump bool) string {
			pr := proto()
			s := ""
			for _, c := range []string{`iifname "eth0"`, `iifname != "br0"`, `iifname "br0"`, "ip daddr 198.51.100.2", "ip daddr != 198.51.100.2", "fib daddr type local", "ip daddr 198.51.100.0/24",
				"ip saddr 198.51.100.0/24", "ip saddr != 198.51.100.77", "ip saddr 192.0.2.0/24", "meta mark 0x1", "meta mark != 0x1", "ct state new"} {
				if r.IntN(10) == 0 {
					s += c + " "
				}
			}
			act := pick("dnat to "+to()+fmt.Sprintf(":%d", 70+r.IntN(9)), "dnat to "+to(), "return", "accept", fmt.Sprintf("redirect to :%d", port()))
			if jump && r.IntN(3) == 0 {
				return s + "jump side"
			}
			if r.IntN(6) == 0 {
				return s + fmt.Sprintf("dnat to %s dport map { %d : %s, %d : %s }", pr, 8000+r.IntN(6), to(), 8006+r.IntN(6), to())
			}
			return s + pr + " dport " + ports() + " " + act
		}
		b.WriteString("table ip t {\n chain side {\n")
		for range 1 + r.IntN(4) {
			b.WriteString("  " + rule(false) + "\n")
		}
		b.WriteString(" }\n chain marks {\n  type filter hook prerouting priority mangle\n")
		fmt.Fprintf(&b, "  %s dport %d meta mark set 0x1\n }\n", proto(), port())
		fmt.Fprintf(&b, " chain pre {\n  type nat hook prerouting priority dstnat\n")
		for range 1 + r.IntN(6) {
			b.WriteString("  " + rule(true) + "\n")
		}
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "  ip daddr . tcp dport vmap { 198.51.100.2 . %d : jump side, 198.51.100.3 . %d : drop }\n", 8000+r.IntN(6), 8006+r.IntN(6))
		}
		b.WriteString(" }\n}\n")
		return "nft -f -", b.String()
	}
	rule := func(jump bool) string {
		s := ""
		for _, c := range []string{"-i eth0", "! -i br0", "-d 198.51.100.2", "! -d 198.51.100.2", "-m addrtype --dst-type LOCAL", "-s 198.51.100.0/24", "! -s 198.51.100.77", "-s 192.0.2.0/24",
			"-m mark --mark 0x1", "-m mark ! --mark 0x1/0x1", "-m conntrack --ctstate NEW"} {
			if r.IntN(10) == 0 && (!strings.Contains(c, "-d ") || !strings.Contains(s, "-d ")) && (!strings.Contains(c, "-s ") || !strings.Contains(s, "-s ")) &&
				(!strings.Contains(c, "-i ") || !strings.Contains(s, "-i ")) {
				s += c + " "
			}
		}
		if jump && r.IntN(3) == 0 {
			return s + "-j SIDE"
		}
		pr, p := proto(), port()
		s += "-p " + pr + " "
		s += pick(fmt.Sprintf("--dport %d", p), fmt.Sprintf("--dport %d:%d", p, p+r.IntN(5)), fmt.Sprintf("! --dport %d", p), fmt.Sprintf("-m multiport --dports %d,%d:%d", port(), p, p+1))
		return s + " " + pick("-j DNAT --to-destination "+to()+fmt.Sprintf(":%d", 70+r.IntN(9)), "-j DNAT --to-destination "+to(), "-j RETURN", "-j ACCEPT", fmt.Sprintf("-j REDIRECT --to-ports %d", port()))
	}
	fmt.Fprintf(&b, "*mangle\n:PREROUTING ACCEPT\n-A PREROUTING -p %s --dport %d -j MARK --set-xmark 0x1/0x1\nCOMMIT\n*nat\n:PREROUTING ACCEPT\n:SIDE -\n", proto(), port())
	for range 1 + r.IntN(4) {
		b.WriteString("-A SIDE " + rule(false) + "\n")
	}
	for range 1 + r.IntN(6) {
		b.WriteString("-A PREROUTING " + rule(true) + "\n")
	}
	b.WriteString("COMMIT\n")
	return "iptables-nft-restore", b.String()
}

// ruleV4 finds the addresses of natRules with the port that may follow.
var ruleV4 = regexp.MustCompile(`(10\.66\.0\.|198\.51\.100\.|192\.0\.2\.)([0-9]+)(/24)?(:[0-9]+)?`)

// natRules6 makes of rules of natRules those for IPv6.
func natRules6(tool, script string) (string, string) {
	net := map[string]string{"10.66.0.": "fd00::", "198.51.100.": "2001:db8::", "192.0.2.": "2001:db8:1::"}
	script = ruleV4.ReplaceAllStringFunc(script, func(s string) string {
		m := ruleV4.FindStringSubmatch(s)
		a := net[m[1]]
		switch {
		case m[3] != "":
			a += "/64"
		default:
			a += m[2]
		}
		if m[4] != "" {
			a = "[" + a + "]" + m[4]
		}
		return a
	})
	script = strings.NewReplacer("table ip ", "table ip6 ", "ip daddr", "ip6 daddr", "ip saddr", "ip6 saddr").Replace(script)
	return strings.Replace(tool, "iptables", "ip6tables", 1), script
}

// isClient tells whether the client of the lab is among the senders that an edge names.
func (l *natLab) isClient(from string) bool {
	who, ok := strings.CutPrefix(from, "from ")
	if !ok {
		return from == "outside"
	}
	client := l.client
	if p, err := netip.ParsePrefix(who); err == nil {
		return p.Contains(client)
	}
	first, last, _ := strings.Cut(who, "-")
	a, err := netip.ParseAddr(first)
	b, err2 := netip.ParseAddr(cmp.Or(last, first))
	return err == nil && err2 == nil && a.Compare(client) <= 0 && client.Compare(b) <= 0
}

// wrongOnce are seeds whose edges were not right once: one client of a network is translated and the others are not.
var wrongOnce = []uint64{9513856027183226307}

// TestPublishedByRandomRules loads random translations and sends a packet to every port of every address: an edge says
// just what arrived where, and what arrived has an edge.
func TestPublishedByRandomRules(t *testing.T) {
	nettest.NeedsRoot(t)
	t.Run("ipv4", func(t *testing.T) {
		publishedByRandomRules(t, netip.MustParsePrefix("10.66.0.1/24"), 120, wrongOnce)
	})
	t.Run("ipv6", func(t *testing.T) { publishedByRandomRules(t, netip.MustParsePrefix("fd00::1/64"), 60, nil) })
}

func publishedByRandomRules(t *testing.T, gateway netip.Prefix, rounds int, seeds []uint64) {
	first := gateway.Addr().Next()
	l := newNATLab(t, "br0", gateway, [2]netip.Addr{first, first.Next()})
	client := l.client
	if testing.Short() {
		rounds = 10
	}
	sport := uint16(10000)
	arrivals, drawn := 0, 0
	begin := seed.Of(t)
	for round := range rounds {
		seed := begin + uint64(round)
		if round < len(seeds) {
			seed = seeds[round]
		}
		tool, script := natRules(rand.New(rand.NewPCG(seed, 1)))
		if client.Is6() {
			tool, script = natRules6(tool, script)
		}
		fail := func(format string, a ...any) {
			t.Helper()
			t.Errorf("round %d, seed %d, %s:\n%s\n%s", round, seed, tool, script, fmt.Sprintf(format, a...))
		}
		err := l.host.Do(func() error {
			for _, c := range []struct{ cmd, in string }{{"nft flush ruleset", ""}, {tool, script}} {
				words := strings.Fields(c.cmd)
				cmd := exec.Command(words[0], words[1:]...)
				cmd.Stdin = strings.NewReader(c.in)
				if out, err := cmd.CombinedOutput(); err != nil {
					return fmt.Errorf("%s: %w: %s", c.cmd, err, out)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("the lab itself: %v\n%s", err, script)
		}
		rules := readRules(t, l.host.Handle)
		for i := range l.snap.Namespaces {
			if l.snap.Namespaces[i].ID == l.host.ID() {
				l.snap.Namespaces[i].Netfilter = *rules
			}
		}
		g := topo.Build(l.snap)
		edges := map[string]string{} // "tcp 198.51.100.2 8000" → "c1 80"
		for i := range g.Edges {
			e := &g.Edges[i]
			if e.Kind != topo.EdgePublishes || !strings.HasSuffix(e.To, ":"+l.host.ID().Short()) ||
				!slices.ContainsFunc(e.Attrs.From, l.isClient) {
				continue
			}
			drawn++
			for _, a := range l.addrs {
				if e.Attrs.HostAddr != "0.0.0.0" && e.Attrs.HostAddr != "::" && e.Attrs.HostAddr != a.String() {
					continue
				}
				for p := max(e.Attrs.HostPort, 7999); p <= min(max(e.Attrs.HostPort, e.Attrs.HostPortTo), 8019); p++ {
					target := e.Attrs.TargetPort
					if e.Attrs.HostPortTo != 0 && e.Attrs.TargetPort == e.Attrs.HostPort {
						target = p // the port stays as it is
					}
					key, what := fmt.Sprintf("%s %s %d", e.Attrs.Proto, a, p), fmt.Sprintf("%s %d", e.Attrs.Address, target)
					if old := edges[key]; old != "" && old != what {
						fail("%s goes to %s and to %s", key, old, what)
					}
					edges[key] = what
				}
			}
		}
		sent := map[uint16]string{}
		for _, proto := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			for _, a := range l.addrs {
				for p := uint16(7999); p < 8020; p++ {
					sport++
					sent[sport] = fmt.Sprintf("%s %s %d", map[uint8]string{6: "tcp", 17: "udp"}[proto], a, p)
					l.emit(t, l.out, client, proto, sport, a, p)
				}
			}
		}
		sport++
		got := map[string]string{}
		for i := range l.in {
			if err := l.host.Do(func() error { // a rule of the round must not lead the marker elsewhere
				return exec.Command("nft", "flush", "ruleset").Run()
			}); err != nil {
				t.Fatal(err)
			}
			l.emit(t, l.out, client, unix.IPPROTO_UDP, sport, l.inAddr[i], markerPort)
			for s, c := range l.arrived(t, i, sport) {
				if what := sent[s]; what != "" {
					got[what] = fmt.Sprintf("%s %d", l.inAddr[i], c.dport)
				}
			}
		}
		arrivals += len(got)
		for _, what := range sent {
			if got[what] != edges[what] {
				fail("%s arrives at %q, the edge says %q", what, got[what], edges[what])
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d packets arrived, %d edges, %d rounds", arrivals, drawn, rounds)
	if arrivals == 0 || drawn == 0 {
		t.Error("nothing was ever translated")
	}
}
