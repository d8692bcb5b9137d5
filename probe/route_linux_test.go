package probe_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// chain makes h0 — r1 — … — rn — h(n+1). Wire i joins the i-th and the next: 10.61.i.1 and .2, fd61:i::1 and ::2, on the links
// right and left. Each router says an error as the address towards h0: 10.61.(i-1).2.
func chain(t testing.TB, routers int) []*netlab.Space {
	t.Helper()
	var s []*netlab.Space
	for i := range routers + 2 {
		s = append(s, space(t, fmt.Sprintf("s%d", i)))
		if i > 0 && i <= routers {
			nettest.Run(t, s[i].Handle, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
		}
	}
	for i := range routers + 1 {
		wire(t, s[i], "right", fmt.Sprintf("10.61.%d.1/24", i), fmt.Sprintf("fd61:%d::1/64", i), s[i+1], "left", fmt.Sprintf("10.61.%d.2/24", i), fmt.Sprintf("fd61:%d::2/64", i))
	}
	for i, x := range s {
		ip := func(args ...string) { nettest.Run(t, x.Handle, "ip", args...) }
		if i > 0 && i <= routers { // back
			for j := range i - 1 {
				ip("route", "add", fmt.Sprintf("10.61.%d.0/24", j), "via", fmt.Sprintf("10.61.%d.1", i-1))
				ip("-6", "route", "add", fmt.Sprintf("fd61:%d::/64", j), "via", fmt.Sprintf("fd61:%d::1", i-1))
			}
		}
		if i <= routers { // forth
			for j := i + 1; j <= routers; j++ {
				ip("route", "add", fmt.Sprintf("10.61.%d.0/24", j), "via", fmt.Sprintf("10.61.%d.2", i))
				ip("-6", "route", "add", fmt.Sprintf("fd61:%d::/64", j), "via", fmt.Sprintf("fd61:%d::2", i))
			}
		} else {
			ip("route", "add", "default", "via", fmt.Sprintf("10.61.%d.1", routers))
			ip("-6", "route", "add", "default", "via", fmt.Sprintf("fd61:%d::1", routers))
		}
	}
	return s
}

// hops are the first repliers of each hop.
func hops(r *probe.Result) []string {
	var out []string
	for _, h := range r.Route.Hops {
		if len(h.Replies) == 0 {
			out = append(out, "*")
			continue
		}
		out = append(out, h.Replies[0].By.String())
	}
	return out
}

func trace(t testing.TB, s *netlab.Space, to string, how probe.RouteOptions, port ...uint16) *probe.Result {
	t.Helper()
	res, err := probe.Route(t.Context(), from(s), addrOf(to, port...), probe.Options{}, how)
	must(t, err)
	show(t, res)
	return res
}

// TestRoute walks chains of one to four routers by every protocol; traceroute and tracepath see the same hops.
func TestRoute(t *testing.T) {
	nettest.NeedsTool(t, "traceroute", "tracepath")
	for routers := 1; routers <= 4; routers++ {
		s := chain(t, routers)
		for _, s := range s {
			unlimited(t, s)
		}
		serve(t, s[routers+1], "tcp", ":80", nil)
		for _, v6 := range []bool{false, true} {
			var want []string
			to := fmt.Sprintf("10.61.%d.2", routers)
			if v6 {
				to = fmt.Sprintf("fd61:%d::2", routers)
			}
			for i := range routers + 1 {
				hop := fmt.Sprintf("10.61.%d.2", i)
				if v6 {
					hop = fmt.Sprintf("fd61:%d::2", i)
				}
				want = append(want, netip.MustParseAddr(hop).String())
			}
			for _, how := range []struct {
				by   string
				port uint16
			}{{"udp", 0}, {"icmp", 0}, {"tcp", 80}, {"tcp", 81}} {
				res := trace(t, s[0], to, probe.RouteOptions{By: how.by}, how.port)
				if got := hops(res); !res.OK || !res.Route.Reached || !slices.Equal(got, want) {
					t.Fatalf("%d routers by %v to %s: %v, want %v", routers, how, to, got, want)
				}
				if how.by != "tcp" && res.Route.MTU != 1500 {
					t.Errorf("MTU %d by %s", res.Route.MTU, how.by)
				}
			}
			// The oracles print "number address …", with * for what did not answer in time.
			for _, tool := range [][]string{{"traceroute", "-n", "-q", "1", "-N", "1", to}, {"tracepath", "-n", to}} {
				out := nettest.Run(t, s[0].Handle, tool[0], tool[1:]...)
				var got []string
				for _, m := range regexp.MustCompile(`(?m)^ *(\d+):? +([0-9a-f.:]+) `).FindAllStringSubmatch(out, -1) {
					if got = slices.DeleteFunc(got, func(a string) bool { return a == m[2] }); m[2] != "" {
						got = append(got, m[2])
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%v says %v, want %v\n%s", tool, got, want, out)
				}
			}
		}
	}
}

// TestRouteAgain: with the kernel's limits on ICMP errors as they are, traces one after the other may have fewer answers but
// no wrong ones: where the target has used up its errors, it is told that a silent hop before it may be the target.
func TestRouteAgain(t *testing.T) {
	s := chain(t, 2)
	for _, by := range []string{"udp", "udp", "udp", "tcp", "icmp"} {
		res := trace(t, s[0], "10.61.2.2", probe.RouteOptions{By: by})
		got := hops(res)
		if len(got) == 4 && got[2] == "*" && res.NotCertain != "" {
			got = slices.Delete(got, 2, 3)
		}
		for i, want := range []string{"10.61.0.2", "10.61.1.2", "10.61.2.2"} {
			if !res.OK || len(got) != 3 || got[i] != want && got[i] != "*" {
				t.Errorf("by %s: %v", by, got)
				break
			}
		}
	}
}

// TestRouteBroken breaks a path of three routers in every way, and says where.
func TestRouteBroken(t *testing.T) {
	const to, to6 = "10.61.3.2", "fd61:3::2"
	ipt := func(t testing.TB, s *netlab.Space, args ...string) { nettest.Run(t, s.Handle, "iptables", args...) }
	ip := func(t testing.TB, s *netlab.Space, args ...string) { nettest.Run(t, s.Handle, "ip", args...) }
	reject := func(with string) func(testing.TB, []*netlab.Space) {
		return func(t testing.TB, s []*netlab.Space) {
			ipt(t, s[2], "-A", "FORWARD", "-d", to, "-j", "REJECT", "--reject-with", with)
		}
	}
	for _, c := range []struct {
		name    string
		breaks  func(testing.TB, []*netlab.Space)
		to      string
		how     probe.RouteOptions
		class   probe.Class
		hops    string
		summary string
	}{
		{"silent router", func(t testing.TB, s []*netlab.Space) { ipt(t, s[2], "-A", "OUTPUT", "-p", "icmp", "-j", "DROP") },
			to, probe.RouteOptions{}, probe.OK, "10.61.0.2 * 10.61.2.2 10.61.3.2", "reached in 4 hops"},
		{"net unreachable", reject("icmp-net-unreachable"), to, probe.RouteOptions{}, probe.NoRoute, "10.61.0.2 10.61.1.2", "ends at 10.61.1.2, hop 2: ICMP network unreachable"},
		{"host unreachable", reject("icmp-host-unreachable"), to, probe.RouteOptions{}, probe.Unreachable, "10.61.0.2 10.61.1.2", "ends at 10.61.1.2, hop 2: ICMP host unreachable"},
		{"port unreachable", reject("icmp-port-unreachable"), to, probe.RouteOptions{}, probe.Refused, "10.61.0.2 10.61.1.2", "ends at 10.61.1.2, hop 2: ICMP port unreachable"},
		{"protocol unreachable", reject("icmp-proto-unreachable"), to, probe.RouteOptions{By: "icmp"}, probe.Refused, "10.61.0.2 10.61.1.2", "ends at 10.61.1.2, hop 2: ICMP protocol unreachable"},
		{"net prohibited", reject("icmp-net-prohibited"), to, probe.RouteOptions{By: "icmp"}, probe.Filtered, "10.61.0.2 10.61.1.2", "ends at 10.61.1.2, hop 2: ICMP network prohibited"},
		{"host prohibited", reject("icmp-host-prohibited"), to, probe.RouteOptions{By: "tcp"}, probe.Filtered, "10.61.0.2 10.61.1.2", "ends at 10.61.1.2, hop 2: ICMP host prohibited"},
		{"administratively prohibited", reject("icmp-admin-prohibited"), to, probe.RouteOptions{By: "tcp"}, probe.Filtered, "10.61.0.2 10.61.1.2", "ends at 10.61.1.2, hop 2: ICMP administratively prohibited"},
		{"no route at a router", func(t testing.TB, s []*netlab.Space) { ip(t, s[2], "route", "del", "10.61.3.0/24") },
			to, probe.RouteOptions{}, probe.NoRoute, "10.61.0.2 10.61.1.2", "ends at 10.61.1.2, hop 2: ICMP network unreachable"},
		{"no route at a router v6", func(t testing.TB, s []*netlab.Space) { ip(t, s[2], "-6", "route", "del", "fd61:3::/64") },
			to6, probe.RouteOptions{}, probe.NoRoute, "fd61::2 fd61:1::2", "ends at fd61:1::2, hop 2: ICMPv6 no route to destination"},
		{"no host", func(testing.TB, []*netlab.Space) {}, "10.61.3.77", probe.RouteOptions{}, probe.Unreachable, "10.61.0.2 10.61.1.2 10.61.2.2", "ends at 10.61.2.2, hop 3: ICMP host unreachable"},
		{"loop", func(t testing.TB, s []*netlab.Space) {
			ip(t, s[2], "route", "replace", "10.61.3.0/24", "via", "10.61.1.1")
		},
			to, probe.RouteOptions{}, probe.Expired, "", "loops from hop 1 on: 10.61.0.2 → 10.61.1.2"},
		{"black hole", func(t testing.TB, s []*netlab.Space) { ip(t, s[2], "route", "replace", "blackhole", "10.61.3.0/24") },
			to, probe.RouteOptions{}, probe.Timeout, "10.61.0.2", "silent from hop 2 on"},
		{"drop behind a router", func(t testing.TB, s []*netlab.Space) { ipt(t, s[2], "-A", "FORWARD", "-j", "DROP") },
			to, probe.RouteOptions{MaxHops: 12}, probe.Timeout, "10.61.0.2 10.61.1.2", "silent from hop 3 on"},
		{"the target drops", func(t testing.TB, s []*netlab.Space) { ipt(t, s[4], "-A", "INPUT", "-p", "tcp", "-j", "DROP") },
			to, probe.RouteOptions{By: "tcp", MaxHops: 12}, probe.Timeout, "10.61.0.2 10.61.1.2 10.61.2.2", "silent from hop 4 on"},
		{"the target prohibits", func(t testing.TB, s []*netlab.Space) {
			ipt(t, s[4], "-A", "INPUT", "-j", "REJECT", "--reject-with", "icmp-host-prohibited")
		}, to, probe.RouteOptions{}, probe.OK, "10.61.0.2 10.61.1.2 10.61.2.2 10.61.3.2", "reached in 4 hops"},
		{"own OUTPUT rejects", func(t testing.TB, s []*netlab.Space) { ipt(t, s[0], "-A", "OUTPUT", "-p", "udp", "-j", "REJECT") },
			to, probe.RouteOptions{}, probe.Denied, "", "denied: its own OUTPUT rules reject it"},
		{"own OUTPUT drops", func(t testing.TB, s []*netlab.Space) { ipt(t, s[0], "-A", "OUTPUT", "-j", "DROP") },
			to, probe.RouteOptions{By: "icmp"}, probe.Denied, "", "denied: its own OUTPUT rules drop it"},
		{"own OUTPUT drops tcp", func(t testing.TB, s []*netlab.Space) { ipt(t, s[0], "-A", "OUTPUT", "-p", "tcp", "-j", "DROP") },
			to, probe.RouteOptions{By: "tcp"}, probe.Denied, "", "denied: its own OUTPUT rules drop it"},
		{"no route", func(testing.TB, []*netlab.Space) {}, "10.99.0.1", probe.RouteOptions{}, probe.NoRoute, "", "no route: its own kernel has none"},
		{"gateway without ARP", func(t testing.TB, s []*netlab.Space) {
			ip(t, s[0], "route", "replace", "10.61.3.0/24", "via", "10.61.0.77")
		}, to, probe.RouteOptions{}, probe.Unreachable, "", "no ARP reply from 10.61.0.77 on right"},
		{"MTU in the middle", func(t testing.TB, s []*netlab.Space) {
			ip(t, s[1], "link", "set", "right", "mtu", "1400")
			ip(t, s[2], "link", "set", "left", "mtu", "1400")
			ip(t, s[2], "link", "set", "right", "mtu", "1300")
			ip(t, s[3], "link", "set", "left", "mtu", "1300")
		}, to, probe.RouteOptions{}, probe.OK, "10.61.0.2/1400 10.61.1.2/1300 10.61.2.2 10.61.3.2", "MTU 1300"},
		{"MTU in the middle v6", func(t testing.TB, s []*netlab.Space) {
			ip(t, s[1], "link", "set", "right", "mtu", "1400")
			ip(t, s[2], "link", "set", "left", "mtu", "1400")
		}, to6, probe.RouteOptions{By: "icmp"}, probe.OK, "fd61::2/1400 fd61:1::2 fd61:2::2 fd61:3::2", "MTU 1400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := chain(t, 3)
			if res := trace(t, s[0], to, probe.RouteOptions{By: "icmp", Queries: 1}); !res.OK {
				t.Fatal("the path is not healthy before it is broken")
			}
			for _, x := range s { // full buckets again
				unlimited(t, x)
			}
			c.breaks(t, s)
			begun := time.Now()
			res := trace(t, s[0], c.to, c.how)
			t.Logf("took %v", time.Since(begun))
			if (res.NotCertain != "") != (c.class == probe.Timeout) {
				t.Errorf("not certain: %q", res.NotCertain)
			}
			var got []string
			for i, h := range hops(res) {
				if m := res.Route.Hops[i].MTU; m != 0 {
					h += fmt.Sprint("/", m)
				}
				got = append(got, h)
			}
			if res.Class != c.class || !strings.Contains(res.Summary, c.summary) || c.hops != "" && strings.Join(got, " ") != c.hops {
				t.Errorf("%s: %v: %s\nwant %s: %v: %s", res.Class, got, res.Summary, c.class, c.hops, c.summary)
			}
		})
	}
}

// TestRouteSeveral: two routers beside each other are both shown.
func TestRouteSeveral(t *testing.T) {
	a, r1, r2, b := space(t, "a"), space(t, "r1"), space(t, "r2"), space(t, "b")
	for i, r := range []*netlab.Space{r1, r2} {
		nettest.Run(t, r.Handle, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
		wire(t, a, fmt.Sprintf("up%d", i), fmt.Sprintf("10.61.%d.1/24", i), fmt.Sprintf("fd61:%d::1/64", i), r, "left", fmt.Sprintf("10.61.%d.2/24", i), fmt.Sprintf("fd61:%d::2/64", i))
		wire(t, b, fmt.Sprintf("up%d", i), fmt.Sprintf("10.62.%d.1/24", i), fmt.Sprintf("fd62:%d::1/64", i), r, "right", fmt.Sprintf("10.62.%d.2/24", i), fmt.Sprintf("fd62:%d::2/64", i))
		nettest.Run(t, r.Handle, "ip", "route", "add", "10.70.0.1", "via", fmt.Sprintf("10.62.%d.1", i))
	}
	nettest.Run(t, a.Handle, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/fib_multipath_hash_policy; ip route add 10.70.0.1 nexthop via 10.61.0.2 nexthop via 10.61.1.2")
	nettest.Run(t, b.Handle, "sh", "-c", "ip addr add 10.70.0.1/32 dev lo; for f in default all up0 up1; do echo 0 >/proc/sys/net/ipv4/conf/$f/rp_filter; done; ip route add 10.61.0.0/24 via 10.62.0.2; ip route add 10.61.1.0/24 via 10.62.1.2")
	seen := map[netip.Addr]bool{}
	for range 10 { // the kernel chooses by a hash of the ports
		res, err := probe.Route(t.Context(), from(a), addrOf("10.70.0.1"), probe.Options{}, probe.RouteOptions{Queries: 4})
		must(t, err)
		if !res.OK || len(res.Route.Hops) != 2 {
			t.Fatal(show(t, res))
		}
		for _, x := range res.Route.Hops[0].Replies {
			seen[x.By] = true
		}
		if len(seen) == 2 {
			show(t, res)
			return
		}
	}
	t.Errorf("seen: %v", seen)
}
