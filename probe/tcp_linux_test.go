package probe_test

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// serve accepts connections in a namespace and gives each to f, which closes it; nil closes at once when the peer does.
func serve(t testing.TB, s *netlab.Space, network, addr string, f func(net.Conn)) netip.AddrPort {
	t.Helper()
	var l net.Listener
	must(t, s.Do(func() (err error) { l, err = net.Listen(network, addr); return err }))
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if f != nil {
					f(c)
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return netip.MustParseAddrPort(l.Addr().String())
}

// show prints a result as a user sees it, and looks at its width.
func show(t testing.TB, r *probe.Result) string {
	t.Helper()
	var b strings.Builder
	r.Text(&b)
	t.Log("\n" + b.String())
	for i, line := range strings.Split(b.String(), "\n") {
		// The first line has names and addresses of any length.
		if n := len([]rune(line)); i > 0 && n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
	return b.String()
}

// unlimited takes the kernel's limits on ICMP errors from a namespace: six at once, then one a second for each address.
func unlimited(t testing.TB, s *netlab.Space) {
	t.Helper()
	nettest.Run(t, s.Handle, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit")
}

// TestTCP asks through a router for whatever may become of a connection.
func TestTCP(t *testing.T) {
	a, r, b := routed(t)
	serve(t, b, "tcp", ":80", nil)
	ipt := func(s *netlab.Space, args ...string) {
		t.Helper()
		nettest.Run(t, s.Handle, "iptables", args...)
	}
	ip6t := func(s *netlab.Space, args ...string) {
		t.Helper()
		nettest.Run(t, s.Handle, "ip6tables", args...)
	}
	for _, s := range []*netlab.Space{a, r, b} {
		unlimited(t, s)
	}
	type want struct {
		class  probe.Class
		by     string
		reason string
	}
	const b4, r4, b6, r6, a4, a6 = "10.61.2.2", "10.61.1.1", "fd61:2::2", "fd61:1::1", "10.61.1.2", "fd61:1::2"
	for _, addr := range []string{b4, b6} {
		res, err := probe.TCP(t.Context(), from(a), addrOf(addr, 80), probe.Options{})
		must(t, err)
		if !res.OK || res.Class != probe.OK || res.Attempts[0].By.String() != addr || res.Attempts[0].MS <= 0 {
			t.Fatalf("healthy: %+v", res)
		}
		show(t, res)
	}
	cases := []struct {
		name  string
		to    string
		port  uint16
		setup func(port string)
		want  want
	}{
		{"reset", b4, 81, nil, want{probe.Refused, b4, "TCP reset"}},
		{"reset v6", b6, 81, nil, want{probe.Refused, b6, "TCP reset"}},
		{"drop", b4, 0, func(p string) { ipt(b, "-A", "INPUT", "-p", "tcp", "--dport", p, "-j", "DROP") }, want{probe.Timeout, "", ""}},
		{"drop in the middle v6", b6, 0, func(p string) { ip6t(r, "-A", "FORWARD", "-p", "tcp", "--dport", p, "-j", "DROP") }, want{probe.Timeout, "", ""}},
		{"own OUTPUT drop", b4, 0, func(p string) { ipt(a, "-A", "OUTPUT", "-p", "tcp", "--dport", p, "-j", "DROP") }, want{probe.Denied, "", "EPERM"}},
		{"own OUTPUT drop v6", b6, 0, func(p string) { ip6t(a, "-A", "OUTPUT", "-p", "tcp", "--dport", p, "-j", "DROP") }, want{probe.Denied, "", "EPERM"}},
		{"own OUTPUT reject", b4, 0, func(p string) { ipt(a, "-A", "OUTPUT", "-p", "tcp", "--dport", p, "-j", "REJECT") }, want{probe.Denied, a4, "ICMP port unreachable"}},
		{"own OUTPUT reject v6", b6, 0, func(p string) { ip6t(a, "-A", "OUTPUT", "-p", "tcp", "--dport", p, "-j", "REJECT") }, want{probe.Denied, a6, "ICMPv6 port unreachable"}},
		{"own OUTPUT reject as unreachable", b4, 0, func(p string) {
			ipt(a, "-A", "OUTPUT", "-p", "tcp", "--dport", p, "-j", "REJECT", "--reject-with", "icmp-host-unreachable")
		}, want{probe.Denied, a4, "ICMP host unreachable"}},
		{"own OUTPUT reset", b4, 0, func(p string) {
			ipt(a, "-A", "OUTPUT", "-p", "tcp", "--dport", p, "-j", "REJECT", "--reject-with", "tcp-reset")
		}, want{probe.Refused, b4, "TCP reset"}},
		{"no route at the router", "10.99.0.1", 80, nil, want{probe.NoRoute, r4, "ICMP network unreachable"}},
		{"no route v6 at the router", "fd99::1", 80, nil, want{probe.NoRoute, r6, "ICMPv6 no route to destination"}},
		{"prohibit route", "10.98.0.1", 80, func(string) { nettest.Run(t, a.Handle, "ip", "route", "add", "prohibit", "10.98.0.0/24") }, want{probe.Denied, "", "EACCES"}},
		{"blackhole route", "10.97.0.1", 80, func(string) { nettest.Run(t, a.Handle, "ip", "route", "add", "blackhole", "10.97.0.0/24") }, want{probe.NoRoute, "", "EINVAL"}},
		{"unreachable route", "10.96.0.1", 80, func(string) { nettest.Run(t, a.Handle, "ip", "route", "add", "unreachable", "10.96.0.0/24") }, want{probe.Unreachable, "", "EHOSTUNREACH"}},
		{"prohibit route v6", "fd98::1", 80, func(string) { nettest.Run(t, a.Handle, "ip", "route", "add", "prohibit", "fd98::/64") }, want{probe.Denied, "", "EACCES"}},
		{"blackhole route v6", "fd97::1", 80, func(string) { nettest.Run(t, a.Handle, "ip", "route", "add", "blackhole", "fd97::/64") }, want{probe.NoRoute, "", "EINVAL"}},
		{"unreachable route v6", "fd96::1", 80, func(string) { nettest.Run(t, a.Handle, "ip", "route", "add", "unreachable", "fd96::/64") }, want{probe.Unreachable, "", "EHOSTUNREACH"}},
		{"ARP unanswered", "10.61.1.77", 80, nil, want{probe.Unreachable, "", "no ARP reply from 10.61.1.77 on eth0"}},
		{"neighbour discovery unanswered", "fd61:1::77", 80, nil, want{probe.Unreachable, "", "no NDP reply from fd61:1::77 on eth0"}},
		{"ARP unanswered behind a router", "10.61.2.77", 80, nil, want{probe.Timeout, "", ""}},
		{"wrong MAC", "10.61.1.78", 80, func(string) {
			nettest.Run(t, a.Handle, "ip", "neigh", "add", "10.61.1.78", "lladdr", "02:00:00:00:00:99", "dev", "eth0")
		}, want{probe.Timeout, "", ""}},
	}
	for _, c := range []struct {
		with, reason string
		class        probe.Class
	}{
		{"icmp-net-unreachable", "ICMP network unreachable", probe.NoRoute},
		{"icmp-host-unreachable", "ICMP host unreachable", probe.Unreachable},
		{"icmp-port-unreachable", "ICMP port unreachable", probe.Refused},
		{"icmp-proto-unreachable", "ICMP protocol unreachable", probe.Refused},
		{"icmp-net-prohibited", "ICMP network prohibited", probe.Filtered},
		{"icmp-host-prohibited", "ICMP host prohibited", probe.Filtered},
		{"icmp-admin-prohibited", "ICMP administratively prohibited", probe.Filtered},
		{"tcp-reset", "TCP reset", probe.Refused},
	} {
		for _, at := range []struct {
			s     *netlab.Space
			chain string
			by    string
		}{{r, "FORWARD", r4}, {b, "INPUT", b4}} {
			by := at.by
			if c.with == "tcp-reset" {
				by = b4 // a rule's reset has the target's address
			}
			cases = append(cases, struct {
				name  string
				to    string
				port  uint16
				setup func(port string)
				want  want
			}{c.with + " in " + at.chain, b4, 0, func(p string) {
				ipt(at.s, "-A", at.chain, "-p", "tcp", "--dport", p, "-j", "REJECT", "--reject-with", c.with)
			}, want{c.class, by, c.reason}})
		}
	}
	for _, c := range []struct {
		with, reason string
		class        probe.Class
	}{
		{"icmp6-no-route", "ICMPv6 no route to destination", probe.NoRoute},
		{"icmp6-adm-prohibited", "ICMPv6 administratively prohibited", probe.Filtered},
		{"icmp6-addr-unreachable", "ICMPv6 address unreachable", probe.Unreachable},
		{"icmp6-port-unreachable", "ICMPv6 port unreachable", probe.Refused},
		{"icmp6-policy-fail", "ICMPv6 source address failed ingress or egress policy", probe.Filtered},
		{"icmp6-reject-route", "ICMPv6 reject route to destination", probe.Filtered},
	} {
		cases = append(cases, struct {
			name  string
			to    string
			port  uint16
			setup func(port string)
			want  want
		}{c.with, b6, 0, func(p string) {
			ip6t(r, "-A", "FORWARD", "-p", "tcp", "--dport", p, "-j", "REJECT", "--reject-with", c.with)
		}, want{c.class, r6, c.reason}})
	}
	port := uint16(1000)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.port == 0 {
				port++
				c.port = port
			}
			if c.setup != nil {
				c.setup(netip.AddrPortFrom(netip.IPv4Unspecified(), c.port).String()[len("0.0.0.0:"):])
			}
			res, err := probe.TCP(t.Context(), from(a), addrOf(c.to, c.port), probe.Options{Timeout: 500 * time.Millisecond})
			must(t, err)
			text := show(t, res)
			at := res.Attempts[0]
			by := ""
			if at.By.IsValid() {
				by = at.By.String()
			}
			if res.OK || res.Class != c.want.class || at.Class != c.want.class || by != c.want.by || !strings.Contains(at.Reason, c.want.reason) {
				t.Errorf("got %s by %q (%s), want %+v\n%s", at.Class, by, at.Reason, c.want, text)
			}
			if (at.Class == probe.Timeout) != (res.NotCertain != "") {
				t.Errorf("not certain: %q", res.NotCertain)
			}
		})
	}
}
