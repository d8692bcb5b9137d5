package probe_test

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// serveUDP answers each datagram with what f makes of it; nil is no answer.
func serveUDP(t testing.TB, s *netlab.Space, addr string, f func([]byte) []byte) {
	t.Helper()
	var c net.PacketConn
	must(t, s.Do(func() (err error) { c, err = net.ListenPacket("udp", addr); return err }))
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		for {
			n, peer, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if b := f(buf[:n]); b != nil {
				c.WriteTo(b, peer)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
}

func TestUDP(t *testing.T) {
	a, r, b := routed(t)
	for _, s := range []*netlab.Space{a, r, b} {
		unlimited(t, s)
	}
	const b4, r4, b6, r6, a4 = "10.61.2.2", "10.61.1.1", "fd61:2::2", "fd61:1::1", "10.61.1.2"
	for _, addr := range []string{b4, b6} {
		at := func(port string) string { return net.JoinHostPort(addr, port) }
		serveUDP(t, b, at("7"), func(b []byte) []byte { return b })
		serveUDP(t, b, at("9"), func([]byte) []byte { return nil })
		serveUDP(t, b, at("53"), func(q []byte) []byte {
			a := append([]byte{}, q...)
			a[2] |= 0x80
			a[3] = 5
			return a
		})
		serveUDP(t, b, at("123"), func(q []byte) []byte {
			a := make([]byte, 48)
			a[0], a[1] = 4<<3|4, 2
			copy(a[24:], q[40:48])
			return a
		})
	}
	rule := func(s *netlab.Space, chain string, target ...string) func(string) {
		return func(port string) {
			t.Helper()
			cmd := "iptables"
			if strings.HasPrefix(target[len(target)-1], "icmp6") || target[0] == "6" {
				cmd = "ip6tables"
			}
			if target[0] == "6" {
				target = target[1:]
			}
			nettest.Run(t, s.Handle, cmd, append([]string{"-A", chain, "-p", "udp", "--dport", port, "-j"}, target...)...)
		}
	}
	route := func(args ...string) func(string) {
		return func(string) { nettest.Run(t, a.Handle, "ip", append([]string{"route", "add"}, args...)...) }
	}
	port := 1000
	for _, c := range []struct {
		name   string
		to     string
		port   int
		setup  func(port string)
		size   int
		df     bool
		class  probe.Class
		by     string
		reason string // or the detail of an answer
	}{
		// First: an icmp_ratelimit of 0 also takes the tokens that ip_error (net/ipv4/route.c) wants.
		{"no route at the router", "10.99.0.1", 9, nil, 0, false, probe.NoRoute, r4, "ICMP network unreachable"},
		{"echo", b4, 7, nil, 0, false, probe.OK, b4, "13 bytes"},
		{"echo v6", b6, 7, nil, 0, false, probe.OK, b6, "13 bytes"},
		{"echo of nothing", b4, 7, nil, -1, false, probe.OK, b4, "0 bytes"},
		{"echo of much", b4, 7, nil, 65507, false, probe.OK, b4, "65507 bytes"},
		{"too big", b4, 7, nil, 2000, true, probe.TooBig, "", ""},
		{"dns", b4, 53, nil, 0, false, probe.OK, b4, "DNS answer: refused"},
		{"dns v6", b6, 53, nil, 0, false, probe.OK, b6, "DNS answer: refused"},
		{"ntp", b4, 123, nil, 0, false, probe.OK, b4, "NTP answer: stratum 2"},
		{"silent", b4, 9, nil, 0, false, probe.NoAnswer, "", ""},
		{"closed", b4, 0, nil, 0, false, probe.Refused, b4, "ICMP port unreachable"},
		{"closed v6", b6, 0, nil, 0, false, probe.Refused, b6, "ICMPv6 port unreachable"},
		{"drop", b4, 0, rule(b, "INPUT", "DROP"), 0, false, probe.NoAnswer, "", ""},
		{"reject at the router", b4, 0, rule(r, "FORWARD", "REJECT"), 0, false, probe.Refused, r4, "ICMP port unreachable"},
		{"net unreachable", b4, 0, rule(r, "FORWARD", "REJECT", "--reject-with", "icmp-net-unreachable"), 0, false, probe.NoRoute, r4, "ICMP network unreachable"},
		{"host unreachable", b4, 0, rule(r, "FORWARD", "REJECT", "--reject-with", "icmp-host-unreachable"), 0, false, probe.Unreachable, r4, "ICMP host unreachable"},
		{"protocol unreachable", b4, 0, rule(r, "FORWARD", "REJECT", "--reject-with", "icmp-proto-unreachable"), 0, false, probe.Refused, r4, "ICMP protocol unreachable"},
		{"net prohibited", b4, 0, rule(r, "FORWARD", "REJECT", "--reject-with", "icmp-net-prohibited"), 0, false, probe.Filtered, r4, "ICMP network prohibited"},
		{"host prohibited", b4, 0, rule(r, "FORWARD", "REJECT", "--reject-with", "icmp-host-prohibited"), 0, false, probe.Filtered, r4, "ICMP host prohibited"},
		{"admin prohibited", b4, 0, rule(b, "INPUT", "REJECT", "--reject-with", "icmp-admin-prohibited"), 0, false, probe.Filtered, b4, "ICMP administratively prohibited"},
		{"admin prohibited v6", b6, 0, rule(r, "FORWARD", "REJECT", "--reject-with", "icmp6-adm-prohibited"), 0, false, probe.Filtered, r6, "ICMPv6 administratively prohibited"},
		{"no route v6", b6, 0, rule(r, "FORWARD", "REJECT", "--reject-with", "icmp6-no-route"), 0, false, probe.NoRoute, r6, "ICMPv6 no route"},
		{"own OUTPUT drop", b4, 0, rule(a, "OUTPUT", "DROP"), 0, false, probe.Denied, "", "EPERM"},
		{"own OUTPUT drop v6", b6, 0, rule(a, "OUTPUT", "6", "DROP"), 0, false, probe.Denied, "", "EPERM"},
		{"own OUTPUT reject", b4, 0, rule(a, "OUTPUT", "REJECT"), 0, false, probe.Denied, a4, "ICMP port unreachable"},
		{"prohibit", "10.98.0.1", 9, route("prohibit", "10.98.0.0/24"), 0, false, probe.Denied, "", "EACCES"},
		{"blackhole", "10.97.0.1", 9, route("blackhole", "10.97.0.0/24"), 0, false, probe.NoRoute, "", "EINVAL"},
		{"unreachable", "10.96.0.1", 9, route("unreachable", "10.96.0.0/24"), 0, false, probe.Unreachable, "", "EHOSTUNREACH"},
		{"ARP unanswered", "10.61.1.77", 9, nil, 0, false, probe.Unreachable, "", "no ARP reply from 10.61.1.77 on eth0"},
		{"NDP unanswered", "fd61:1::77", 9, nil, 0, false, probe.Unreachable, "", "no NDP reply from fd61:1::77 on eth0"},
		{"wrong MAC", "10.61.1.78", 9, func(string) {
			nettest.Run(t, a.Handle, "ip", "neigh", "add", "10.61.1.78", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
		}, 0, false, probe.NoAnswer, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.port == 0 {
				port++
				c.port = port
			}
			if c.setup != nil {
				c.setup(strconv.Itoa(c.port))
			}
			o := probe.Options{Timeout: 500 * time.Millisecond, Size: c.size, DF: c.df}
			if c.class == probe.OK {
				o.Timeout = 5 * time.Second
			}
			res, err := probe.UDP(t.Context(), from(a), addrOf(c.to, uint16(c.port)), o)
			must(t, err)
			text := show(t, res)
			at, by := res.Attempts[0], ""
			if at.By.IsValid() {
				by = at.By.String()
			}
			if res.OK != (c.class == probe.OK) || res.Class != c.class || at.Class != c.class || by != c.by || !strings.Contains(at.Reason+at.Detail, c.reason) {
				t.Errorf("got %s by %q (%s %s)\n%s", at.Class, by, at.Reason, at.Detail, text)
			}
			if c.class == probe.TooBig && at.MTU != 1500 {
				t.Errorf("MTU %d", at.MTU)
			}
			if (at.Class == probe.NoAnswer) != (res.NotCertain != "") {
				t.Errorf("not certain: %q", res.NotCertain)
			}
		})
	}
}

// TestUDPRateLimit: fifty datagrams to closed ports bring some eight ICMP errors; the rest is silence that means nothing.
func TestUDPRateLimit(t *testing.T) {
	a, _ := pair(t)
	o := probe.Options{Count: 50, Interval: 10 * time.Millisecond, Timeout: 500 * time.Millisecond}
	res, err := probe.UDP(t.Context(), from(a), addrOf("10.61.0.2", 99), o)
	must(t, err)
	show(t, res)
	if res.Class != probe.Refused || res.UDP.Sent != 50 || res.UDP.Refused < 6 || res.UDP.Silent == 0 || res.UDP.Refused+res.UDP.Silent != 50 || res.NotCertain == "" {
		t.Errorf("%+v, not certain: %q", res.UDP, res.NotCertain)
	}
	for i, at := range res.Attempts {
		if at.Seq != i {
			t.Fatalf("attempt %d is number %d", i, at.Seq)
		}
	}
	// From one local port each attempt waits for the one before.
	o = probe.Options{Count: 3, Interval: time.Millisecond, Timeout: 300 * time.Millisecond, SrcPort: 4444, Src: netip.MustParseAddr("10.61.0.1")}
	res, err = probe.UDP(t.Context(), from(a), addrOf("10.61.0.2", 99), o)
	must(t, err)
	for _, at := range res.Attempts {
		if at.Local != netip.MustParseAddrPort("10.61.0.1:4444") {
			t.Errorf("local %v", at.Local)
		}
	}
	if len(res.Attempts) != 3 {
		t.Errorf("%+v", res.Attempts)
	}
}
