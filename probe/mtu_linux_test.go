package probe_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

func TestMTU(t *testing.T) {
	type lab struct{ a, r, b *netlab.Space }
	const a4, a6 = "10.61.2.2", "fd61:2::2"
	link := func(s *netlab.Space, dev, mtu string) func(testing.TB) {
		return func(t testing.TB) { nettest.Run(t, s.Handle, "ip", "link", "set", dev, "mtu", mtu) }
	}
	sh := func(s *netlab.Space, script string) func(testing.TB) {
		return func(t testing.TB) { nettest.Run(t, s.Handle, "sh", "-ec", script) }
	}
	const noErrors = "iptables -I OUTPUT -p icmp --icmp-type destination-unreachable -j DROP; ip6tables -I OUTPUT -p icmpv6 --icmpv6-type packet-too-big -j DROP"
	for _, c := range []struct {
		name    string
		breakIt func(l lab) []func(testing.TB)
		to      string
		class   probe.Class
		largest int
		hole    bool
		by      string // who says "too big"
		says    []string
	}{
		{"healthy", nil, a4, probe.OK, 1500, false, "", []string{"all that eth0 takes"}},
		{"healthy 6", nil, a6, probe.OK, 1500, false, "", []string{"all that eth0 takes"}},
		{"own address", nil, "127.0.0.1", probe.OK, 65535, false, "", nil},
		{"own address 6", nil, "::1", probe.OK, 65536, false, "", nil},
		{"small interface", func(l lab) []func(testing.TB) { return []func(testing.TB){link(l.a, "eth0", "1380")} }, a4, probe.OK, 1380, false, "", []string{"all that eth0 takes"}},
		{"step", func(l lab) []func(testing.TB) {
			return []func(testing.TB){link(l.r, "rb", "1401"), link(l.b, "eth0", "1401")}
		},
			a4, probe.OK, 1401, false, "10.61.1.1", []string{"10.61.1.1 says that more is too big", "1401 after"}},
		{"step 6", func(l lab) []func(testing.TB) {
			return []func(testing.TB){link(l.r, "rb", "1401"), link(l.b, "eth0", "1401")}
		},
			a6, probe.OK, 1401, false, "fd61:1::1", []string{"fd61:1::1 says that more is too big"}},
		{"router without ICMP", func(l lab) []func(testing.TB) {
			return []func(testing.TB){link(l.r, "rb", "1333"), link(l.b, "eth0", "1333"), sh(l.r, noErrors)}
		},
			a4, probe.TooBig, 1333, true, "", []string{"black hole: 1333 bytes pass, 1334 bytes"}},
		{"router without ICMP 6", func(l lab) []func(testing.TB) {
			return []func(testing.TB){link(l.r, "rb", "1333"), link(l.b, "eth0", "1333"), sh(l.r, noErrors)}
		},
			a6, probe.TooBig, 1333, true, "", []string{"black hole: 1333 bytes pass, 1334 bytes"}},
		// A veth takes four bytes more than its MTU.
		{"veth", func(l lab) []func(testing.TB) { return []func(testing.TB){link(l.b, "eth0", "1200")} }, a4, probe.TooBig, 1204, true, "", []string{"1204 bytes pass", "with 1200"}},
		{"step and hole", func(l lab) []func(testing.TB) {
			return []func(testing.TB){link(l.r, "rb", "1401"), link(l.b, "eth0", "1280")}
		},
			a4, probe.TooBig, 1284, true, "10.61.1.1", []string{"black hole", "MTU 1401"}},
		{"rule by length", func(l lab) []func(testing.TB) {
			return []func(testing.TB){sh(l.r, "iptables -I FORWARD -m length --length 901: -j REJECT --reject-with icmp-admin-prohibited; echo 0 >/proc/sys/net/ipv4/icmp_ratelimit")}
		},
			a4, probe.Filtered, 900, false, "", []string{"901 bytes are rejected", "administratively prohibited from 10.61.1.1"}},
		{"loss", func(l lab) []func(testing.TB) {
			return []func(testing.TB){sh(l.b, "iptables -I INPUT -p icmp -m statistic --mode nth --every 3 --packet 1 -j DROP")}
		},
			a4, probe.OK, 1500, false, "", nil},
		{"loss and hole", func(l lab) []func(testing.TB) {
			return []func(testing.TB){link(l.b, "eth0", "1200"), sh(l.b, "iptables -I INPUT -p icmp -m statistic --mode nth --every 4 --packet 1 -j DROP")}
		},
			a4, probe.TooBig, 1204, true, "", []string{"not certain"}},
		{"route says less", func(l lab) []func(testing.TB) {
			return []func(testing.TB){sh(l.a, "ip route replace 10.61.2.0/24 via 10.61.1.1 mtu 1300")}
		},
			a4, probe.OK, 1500, false, "", []string{"kernel's path MTU 1300", "assumes a path MTU of 1300 only"}},
		{"silent", func(l lab) []func(testing.TB) {
			return []func(testing.TB){sh(l.b, "iptables -I INPUT -p icmp -j DROP")}
		},
			a4, probe.Timeout, 0, false, "", []string{"no answer to ICMP echo", "not certain"}},
		{"no route", func(l lab) []func(testing.TB) { return []func(testing.TB){sh(l.a, "ip route del default")} },
			a4, probe.NoRoute, 0, false, "", []string{"no answer to ICMP echo", "network is unreachable"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var l lab
			l.a, l.r, l.b = routed(t)
			o := probe.Options{Timeout: 600 * time.Millisecond}
			if c.breakIt != nil {
				if got := said(t, probe.Ping, l.a, addrOf(c.to), probe.Options{Count: 1, Size: 1400, Timeout: 5 * time.Second}); !got.OK {
					t.Fatal("no healthy baseline")
				}
				for _, f := range c.breakIt(l) {
					f(t)
				}
			}
			got := said(t, probe.MTU, l.a, addrOf(c.to), o)
			m := got.MTU
			if got.Class != c.class || got.OK != (c.class == probe.OK) || m.Largest != c.largest || m.BlackHole != c.hole {
				t.Errorf("%s: %s, %+v", got.Class, got.Summary, m)
			}
			if c.hole && m.Smallest != c.largest+1 {
				t.Errorf("smallest %d", m.Smallest)
			}
			by := ""
			if len(m.Limits) > 0 {
				by = m.Limits[0].By.String()
			}
			if by != c.by {
				t.Errorf("too big said by %q, want %q", by, c.by)
			}
			var text strings.Builder
			got.Text(&text)
			for _, s := range c.says {
				if !strings.Contains(text.String(), s) {
					t.Errorf("does not say %q", s)
				}
			}
			for _, s := range m.Sizes {
				if s.Sent < s.Answered || s.Answered > 0 && s.Class != probe.OK || s.Size == m.Largest && s.Answered == 0 {
					t.Errorf("%+v", s)
				}
			}
			if c.hole {
				t.Logf("%d packets in %v", len(got.Attempts), got.TookMS)
			}
		})
	}
}

// TestMTUEnds: a context may end at any moment; what is known then is told as not certain.
func TestMTUEnds(t *testing.T) {
	a, b := pair(t)
	if got := said(t, probe.MTU, a, addrOf("10.61.0.2"), probe.Options{Timeout: 5 * time.Second}); !got.OK || got.MTU.Largest != 1500 {
		t.Fatal("no healthy baseline")
	}
	nettest.Run(t, b.Handle, "ip", "link", "set", "eth0", "mtu", "900")
	for n := range 12 {
		ctx, cancel := context.WithCancel(t.Context())
		o := probe.Options{Timeout: 300 * time.Millisecond}
		seen := 0
		o.Each = func(probe.Attempt) {
			if seen++; seen > 2*n {
				cancel()
			}
		}
		r, err := probe.MTU(ctx, from(a), addrOf("10.61.0.2"), o)
		cancel()
		must(t, err)
		if r.OK || r.Summary == "" || r.MTU.BlackHole && r.MTU.Largest != 904 || !r.MTU.BlackHole && r.NotCertain == "" && r.Class != probe.Failed {
			t.Errorf("after %d: %s: %s (%s)", 2*n, r.Class, r.Summary, r.NotCertain)
		}
	}
}
