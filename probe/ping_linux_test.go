package probe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// said runs a probe and logs what a user would see.
func said(t testing.TB, f probe.Func, s *netlab.Space, to probe.To, o probe.Options) *probe.Result {
	t.Helper()
	r, err := f(t.Context(), from(s), to, o)
	if err != nil {
		t.Fatalf("%s: %v", to.Asked, err)
	}
	var b strings.Builder
	r.Text(&b)
	t.Logf("%s", b.String())
	return r
}

// fast are options for what is answered: no wait between two packets that a test would notice, and patience on a busy machine.
func fast(count int) probe.Options {
	return probe.Options{Count: count, Interval: time.Millisecond, Timeout: 5 * time.Second}
}

func TestPing(t *testing.T) {
	a, r, b := routed(t)
	_ = r
	for _, to := range []string{"10.61.2.2", "fd61:2::2", "10.61.1.1", "127.0.0.1", "::1"} {
		o := fast(5)
		var live []int
		o.Each = func(x probe.Attempt) { live = append(live, x.Seq) }
		got := said(t, probe.Ping, a, addrOf(to), o)
		if !got.OK || got.Class != probe.OK || got.Ping.Received != 5 || got.Ping.Loss != 0 || got.Ping.Duplicates != 0 || got.NotCertain != "" {
			t.Errorf("%s: %s %+v", to, got.Summary, got.Ping)
		}
		slices.Sort(live)
		if !slices.Equal(live, []int{1, 2, 3, 4, 5}) {
			t.Errorf("%s: told %v", to, live)
		}
		for i, x := range got.Attempts {
			if x.Seq != i+1 || x.By != netip.MustParseAddr(to) || x.MS <= 0 || x.TTL == 0 || x.Class != probe.OK {
				t.Errorf("%s: %+v", to, x)
			}
		}
		s := got.Ping
		if s.Min > s.Avg || s.Avg > s.Max || s.Min <= 0 || s.Mdev < 0 || s.Mdev > s.Max-s.Min {
			t.Errorf("%s: %+v", to, s)
		}
	}
	if got := said(t, probe.Ping, a, addrOf("10.61.2.2"), fast(1)); got.From.Addr != netip.MustParseAddr("10.61.1.2") || got.Ping.TTL != 63 || got.Ping.Socket != "raw" {
		t.Errorf("source %v, TTL %d, socket %s", got.From.Addr, got.Ping.TTL, got.Ping.Socket)
	}
	_ = b
}

// TestPingOptions: sizes, TTL, source, interface, DF, and what is refused.
func TestPingOptions(t *testing.T) {
	a, r, b := routed(t)
	nettest.Run(t, a.Handle, "ip", "addr", "add", "10.61.1.77/24", "dev", "eth0")
	ll := func(s *netlab.Space, dev string) string {
		return strings.Split(strings.Fields(strings.SplitAfter(nettest.Run(t, s.Handle, "ip", "-6", "addr", "show", "dev", dev, "scope", "link"), "inet6 ")[1])[0], "/")[0]
	}
	rll := ll(r, "ra")
	for _, c := range []struct {
		name, to string
		set      func(*probe.Options)
		class    probe.Class
		size     int
		by       string
		reason   string
	}{
		{"no payload", "10.61.2.2", func(o *probe.Options) { o.Size = -1 }, probe.OK, 28, "10.61.2.2", ""},
		{"short", "10.61.2.2", func(o *probe.Options) { o.Size = 5 }, probe.OK, 33, "10.61.2.2", ""},
		{"largest", "10.61.2.2", func(o *probe.Options) { o.Size = 65507 }, probe.OK, 65535, "10.61.2.2", ""},
		{"largest 6", "fd61:2::2", func(o *probe.Options) { o.Size = 65527 }, probe.OK, 65575, "fd61:2::2", ""},
		{"no payload 6", "fd61:2::2", func(o *probe.Options) { o.Size = -1 }, probe.OK, 48, "fd61:2::2", ""},
		{"DF", "10.61.2.2", func(o *probe.Options) { o.DF, o.Size = true, 1472 }, probe.OK, 1500, "10.61.2.2", ""},
		{"DF over the link", "10.61.2.2", func(o *probe.Options) { o.DF, o.Size = true, 1473 }, probe.TooBig, 1501, "", "message too long for the interface"},
		{"DF 6 over the link", "fd61:2::2", func(o *probe.Options) { o.DF, o.Size = true, 1453 }, probe.TooBig, 1501, "", "message too long for the interface"},
		{"TTL", "10.61.2.2", func(o *probe.Options) { o.TTL = 1 }, probe.Expired, 84, "10.61.1.1", "ICMP time to live exceeded"},
		{"TTL 6", "fd61:2::2", func(o *probe.Options) { o.TTL = 1 }, probe.Expired, 104, "fd61:1::1", "ICMPv6 time to live exceeded"},
		{"source", "10.61.2.2", func(o *probe.Options) { o.Src = netip.MustParseAddr("10.61.1.77") }, probe.OK, 84, "10.61.2.2", ""},
		{"interface", "10.61.2.2", func(o *probe.Options) { o.Iface = "eth0" }, probe.OK, 84, "10.61.2.2", ""},
		{"other interface", "10.61.2.2", func(o *probe.Options) { o.Iface = "lo" }, "", 84, "", ""},
		{"zone by name", rll + "%eth0", func(o *probe.Options) {}, probe.OK, 104, rll, ""},
		{"link-local by interface", rll, func(o *probe.Options) { o.Iface = "eth0" }, probe.OK, 104, rll, ""},
		{"broadcast", "10.61.1.255", func(o *probe.Options) {}, probe.Denied, 84, "", "permission denied"},
		{"no route", "192.0.2.1", func(o *probe.Options) {}, probe.NoRoute, 84, "", "network is unreachable"},
		{"prohibit", "192.0.2.2", func(o *probe.Options) {}, probe.Denied, 84, "", "permission denied"},
		{"blackhole", "192.0.2.3", func(o *probe.Options) {}, probe.NoRoute, 84, "", "invalid argument (a blackhole route says so)"},
		{"no route 6", "2001:db8::1", func(o *probe.Options) {}, probe.NoRoute, 104, "", "network is unreachable"},
	} {
		if c.name == "no route" {
			nettest.Run(t, a.Handle, "sh", "-c", "ip route del default; ip -6 route del default; ip route add prohibit 192.0.2.2; ip route add blackhole 192.0.2.3")
		}
		o := fast(2)
		if c.class == "" {
			o = quick()
		}
		c.set(&o)
		got := said(t, probe.Ping, a, addrOf(c.to), o)
		for _, x := range got.Attempts {
			if c.class != "" && x.Class != c.class || x.Size != c.size || x.Reason != c.reason && c.class != "" || c.by != "" && x.By != netip.MustParseAddr(c.by) {
				t.Errorf("%s: %+v", c.name, x)
			}
			if x.Class == probe.TooBig && x.MTU != 1500 {
				t.Errorf("%s: MTU %d", c.name, x.MTU)
			}
		}
		if c.class == "" && got.OK || c.class != "" && (got.Class != c.class || len(got.Attempts) != 2) {
			t.Errorf("%s: %s, %d attempts", c.name, got.Class, len(got.Attempts))
		}
		if o.Src.IsValid() && got.From.Addr != o.Src {
			t.Errorf("%s: from %v", c.name, got.From.Addr)
		}
	}
	for name, c := range map[string]struct {
		to string
		o  probe.Options
	}{
		"too large":     {"10.61.2.2", probe.Options{Size: 65508}},
		"too large 6":   {"fd61:2::2", probe.Options{Size: 65528}},
		"TTL":           {"10.61.2.2", probe.Options{TTL: 256}},
		"interface":     {"10.61.2.2", probe.Options{Iface: "eth7"}},
		"source":        {"10.61.2.2", probe.Options{Src: netip.MustParseAddr("10.9.9.9")}},
		"source 6":      {"fd61:2::2", probe.Options{Src: netip.MustParseAddr("fd99::1")}},
		"zone":          {rll + "%eth7", probe.Options{}},
		"no zone":       {rll, probe.Options{}},
		"name too long": {"10.61.2.2", probe.Options{Iface: "eth0123456789012345"}},
	} {
		var option *probe.OptionError
		if _, err := probe.Ping(t.Context(), from(a), addrOf(c.to), c.o); !errors.As(err, &option) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = b
}

// TestPingRejected: every ICMP error that iptables can send, from a router and from the own kernel, and a silent drop.
func TestPingRejected(t *testing.T) {
	a, r, b := routed(t)
	for _, to := range []string{"10.61.2.2", "fd61:2::2"} {
		if got := said(t, probe.Ping, a, addrOf(to), fast(2)); got.Ping.Received != 2 {
			t.Fatalf("no healthy baseline: %s", got.Summary)
		}
	}
	// The rate limit would swallow what the next case waits for.
	for _, s := range []*netlab.Space{a, r, b} {
		nettest.Run(t, s.Handle, "sh", "-c", "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit; echo 0 >/proc/sys/net/ipv6/icmp/ratelimit")
	}
	for _, c := range []struct {
		with   string
		class  probe.Class
		reason string
	}{
		{"icmp-net-unreachable", probe.NoRoute, "ICMP network unreachable"},
		{"icmp-host-unreachable", probe.Unreachable, "ICMP host unreachable"},
		{"icmp-port-unreachable", probe.Refused, "ICMP port unreachable"},
		{"icmp-proto-unreachable", probe.Refused, "ICMP protocol unreachable"},
		{"icmp-net-prohibited", probe.Filtered, "ICMP network prohibited"},
		{"icmp-host-prohibited", probe.Filtered, "ICMP host prohibited"},
		{"icmp-admin-prohibited", probe.Filtered, "ICMP administratively prohibited"},
		{"icmp6-no-route", probe.NoRoute, "ICMPv6 no route to destination"},
		{"icmp6-adm-prohibited", probe.Filtered, "ICMPv6 administratively prohibited"},
		{"icmp6-addr-unreachable", probe.Unreachable, "ICMPv6 address unreachable"},
		{"icmp6-port-unreachable", probe.Refused, "ICMPv6 port unreachable"},
		{"icmp6-policy-fail", probe.Filtered, "ICMPv6 source address failed ingress or egress policy"},
		{"icmp6-reject-route", probe.Filtered, "ICMPv6 reject route to destination"},
		{"drop", probe.Timeout, ""},
		{"drop6", probe.Timeout, ""},
	} {
		tables, to, by, proto := "iptables", "10.61.2.2", "10.61.1.1", "icmp"
		if strings.Contains(c.with, "6") {
			tables, to, by, proto = "ip6tables", "fd61:2::2", "fd61:1::1", "icmpv6"
		}
		rule := []string{"FORWARD", "-p", proto, "-j", "REJECT", "--reject-with", c.with}
		o := fast(3)
		if c.class == probe.Timeout {
			rule, o = []string{"FORWARD", "-p", proto, "-j", "DROP"}, quick()
		}
		nettest.Run(t, r.Handle, tables, append([]string{"-I"}, rule...)...)
		got := said(t, probe.Ping, a, addrOf(to), o)
		nettest.Run(t, r.Handle, tables, append([]string{"-D"}, rule...)...)
		if got.OK || got.Class != c.class || got.Ping.Received != 0 || len(got.Attempts) != o.Count {
			t.Errorf("%s: %s", c.with, got.Summary)
		}
		for _, x := range got.Attempts {
			if x.Class != c.class || x.Reason != c.reason || c.reason != "" && x.By.String() != by {
				t.Errorf("%s: %+v", c.with, x)
			}
		}
		if (c.class == probe.Timeout) != (got.NotCertain != "") {
			t.Errorf("%s: not certain: %q", c.with, got.NotCertain)
		}
	}
	// The own OUTPUT chain.
	for _, j := range [][]string{{"DROP"}, {"REJECT", "--reject-with", "icmp-host-unreachable"}} {
		nettest.Run(t, a.Handle, "iptables", append([]string{"-I", "OUTPUT", "-p", "icmp", "--icmp-type", "echo-request", "-j"}, j...)...)
		if got := said(t, probe.Ping, a, addrOf("10.61.2.2"), fast(2)); got.Class != probe.Denied || got.Attempts[0].Reason != "operation not permitted" {
			t.Errorf("OUTPUT %v: %s", j, got.Summary)
		}
		nettest.Run(t, a.Handle, "iptables", "-F", "OUTPUT")
	}
	if got := said(t, probe.Ping, a, addrOf("10.61.2.2"), fast(2)); !got.OK {
		t.Errorf("afterwards: %s", got.Summary)
	}
}

// TestPingRateLimit: a router that limits its errors makes of the later ones silence, which is said.
func TestPingRateLimit(t *testing.T) {
	a, r, _ := routed(t)
	nettest.Run(t, r.Handle, "iptables", "-I", "FORWARD", "-j", "REJECT", "--reject-with", "icmp-admin-prohibited")
	nettest.Run(t, r.Handle, "iptables", "-I", "OUTPUT", "-p", "icmp", "--icmp-type", "destination-unreachable", "-m", "statistic", "--mode", "nth", "--every", "3", "--packet", "0", "-j", "ACCEPT")
	nettest.Run(t, r.Handle, "iptables", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP")
	got := said(t, probe.Ping, a, addrOf("10.61.2.2"), probe.Options{Count: 4, Interval: time.Millisecond, Timeout: 300 * time.Millisecond})
	if got.Class != probe.Filtered || got.NotCertain == "" || got.Ping.Errors == 0 || got.Ping.Errors == 4 {
		t.Errorf("%s; %q", got.Summary, got.NotCertain)
	}
}

// TestPingNeighbor: nobody answers for the address, and the wrong one does.
func TestPingNeighbor(t *testing.T) {
	a, b := pair(t)
	for _, c := range []struct{ alive, dead, reason string }{
		{"10.61.0.2", "10.61.0.9", "ICMP host unreachable"}, {"fd61::2", "fd61::9", "ICMPv6 address unreachable"},
	} {
		if got := said(t, probe.Ping, a, addrOf(c.alive), fast(1)); !got.OK {
			t.Fatalf("no healthy baseline: %s", got.Summary)
		}
		// The kernel asks three times, a second apart, before it says so.
		o := fast(1)
		o.Timeout = 20 * time.Second
		got := said(t, probe.Ping, a, addrOf(c.dead), o)
		x := got.Attempts[0]
		if got.Class != probe.Unreachable || x.Reason != c.reason || x.By != got.From.Addr || !strings.Contains(got.Hint, "no neighbour") {
			t.Errorf("%s: %s; %+v", c.dead, got.Summary, x)
		}
		nettest.Run(t, a.Handle, "ip", "neigh", "replace", c.alive, "lladdr", "02:00:00:00:00:99", "dev", "eth0", "nud", "permanent")
		if got := said(t, probe.Ping, a, addrOf(c.alive), quick()); got.Class != probe.Timeout || got.NotCertain == "" {
			t.Errorf("wrong neighbour: %s", got.Summary)
		}
	}
	_ = b
}

// TestPingForeign: replies to somebody else, duplicates, and replies that are changed or come from elsewhere.
func TestPingForeign(t *testing.T) {
	a, b := pair(t)
	// The kernel of b is silent: what answers is the test.
	nettest.Run(t, b.Handle, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all")
	if got := said(t, probe.Ping, a, addrOf("10.61.0.2"), quick()); got.OK {
		t.Fatal("b answers")
	}
	answers := responder(t, b)
	for _, c := range []struct {
		name  string
		reply func(req []byte) [][]byte
		check func(*probe.Result) bool
	}{
		{"right", func(q []byte) [][]byte { return [][]byte{q} },
			func(r *probe.Result) bool {
				return r.Ping.Received == 2 && r.Ping.Duplicates == 0 && r.Ping.Strange == 0
			}},
		{"twice", func(q []byte) [][]byte { return [][]byte{q, q} },
			func(r *probe.Result) bool {
				return r.Ping.Received == 2 && r.Ping.Duplicates >= 1 && strings.Contains(r.Summary, "duplicate")
			}},
		{"other payload", func(q []byte) [][]byte { q[10]++; return [][]byte{q} },
			func(r *probe.Result) bool { return r.Class == probe.Timeout && r.Ping.Strange == 2 }},
		{"other identifier", func(q []byte) [][]byte { q[4]++; return [][]byte{q} },
			func(r *probe.Result) bool { return r.Class == probe.Timeout && r.Ping.Received == 0 }},
		{"other sequence", func(q []byte) [][]byte { q[6]++; return [][]byte{q} },
			func(r *probe.Result) bool { return r.Class == probe.Timeout && r.Ping.Strange == 2 }},
		{"cut", func(q []byte) [][]byte { return [][]byte{q[:40]} },
			func(r *probe.Result) bool { return r.Class == probe.BadAnswer && r.Ping.Corrupt == 2 }},
		{"changed at the end", func(q []byte) [][]byte { q[63]++; return [][]byte{q} },
			func(r *probe.Result) bool { return r.Class == probe.BadAnswer && r.Ping.Corrupt == 2 }},
		{"nothing but a header", func(q []byte) [][]byte { return [][]byte{q[:8]} },
			func(r *probe.Result) bool { return r.Class == probe.BadAnswer }},
		{"half a header", func(q []byte) [][]byte { return [][]byte{q[:5]} },
			func(r *probe.Result) bool { return r.Class == probe.Timeout && r.Ping.Received == 0 }},
	} {
		answers.set(c.reply)
		o := probe.Options{Count: 2, Interval: 20 * time.Millisecond, Timeout: 700 * time.Millisecond}
		if got := said(t, probe.Ping, a, addrOf("10.61.0.2"), o); !c.check(got) {
			t.Errorf("%s: %s; %+v", c.name, got.Summary, got.Ping)
		}
	}
}

// TestPingLate: what comes after its time is lost, and counted as late.
func TestPingLate(t *testing.T) {
	a, b := pair(t)
	nettest.Run(t, b.Handle, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all")
	responder(t, b).set(func(q []byte) [][]byte {
		if q[7] == 1 {
			time.Sleep(300 * time.Millisecond)
		}
		return [][]byte{q}
	})
	o := probe.Options{Count: 2, Interval: 600 * time.Millisecond, Timeout: 200 * time.Millisecond}
	got := said(t, probe.Ping, a, addrOf("10.61.0.2"), o)
	if got.Ping.Late == 0 || got.Attempts[0].Class != probe.Timeout || got.Ping.Duplicates != 0 || !strings.Contains(got.Summary, "late") {
		t.Errorf("%s: %+v", got.Summary, got.Ping)
	}
}

// TestPingEnds: a context that ends, a limit of time, and an interface that vanishes.
func TestPingEnds(t *testing.T) {
	a, _ := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := probe.Options{Count: -1, Interval: time.Millisecond, Timeout: 5 * time.Second}
	n := 0
	o.Each = func(probe.Attempt) {
		if n++; n == 20 {
			cancel()
		}
	}
	r, err := probe.Ping(ctx, from(a), addrOf("10.61.0.2"), o)
	must(t, err)
	if !r.OK || r.Ping.Received < 20 || r.Ping.Loss != 0 || !strings.Contains(r.Summary, "answered") {
		t.Errorf("endless: %s %+v", r.Summary, r.Ping)
	}
	if r, err = probe.Ping(ctx, from(a), addrOf("10.61.0.2"), o); err != nil || r.OK || len(r.Attempts) != 0 {
		t.Errorf("ended before it began: %+v, %v", r, err)
	}
	// In the middle of a silence.
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	o = probe.Options{Count: 1, Timeout: time.Hour}
	if r, err = probe.Ping(ctx, from(a), addrOf("10.61.0.9"), o); err != nil || r.Ping.Pending != 1 || r.OK || r.Class != probe.Failed {
		t.Errorf("in silence: %+v, %v", r, err)
	}
	o = probe.Options{For: 50 * time.Millisecond, Interval: 10 * time.Millisecond, Timeout: 5 * time.Second}
	if r = said(t, probe.Ping, a, addrOf("10.61.0.2"), o); !r.OK || r.Ping.Sent > 6 {
		t.Errorf("for: %s", r.Summary)
	}
	o = fast(100)
	n = 0
	o.Each = func(probe.Attempt) {
		if n++; n == 3 {
			must(t, a.Del("eth0"))
		}
	}
	if r = said(t, probe.Ping, a, addrOf("10.61.0.2"), o); r.Ping.Received < 3 || r.Ping.Errors < 90 || len(r.Attempts) != 100 {
		t.Errorf("vanished interface: %s", r.Summary)
	}
}

// TestPingUnprivileged runs as somebody without capabilities, in a namespace that allows it and in one that does not.
func TestPingUnprivileged(t *testing.T) {
	if os.Getenv("NSCOPE_PING_CHILD") != "" {
		pingChild(t)
		return
	}
	nettest.NeedsTool(t, "setpriv")
	a, _ := pair(t)
	// What go test builds is in a folder of root's.
	exe := openBinary(t)
	child := func(to string) string {
		out, _ := nettest.Try(a.Handle, "setpriv", "--reuid=65533", "--regid=65533", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
			"env", "NSCOPE_PING_CHILD="+to, exe, "-test.run=^TestPingUnprivileged$", "-test.v")
		return out
	}
	if out := child("10.61.0.2"); !strings.Contains(out, "needs CAP_NET_RAW") || !strings.Contains(out, "ping_group_range") || !strings.Contains(out, "permission: true") {
		t.Errorf("shut: %s", out)
	}
	nettest.Run(t, a.Handle, "sh", "-c", "echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range")
	for _, to := range []string{"10.61.0.2", "fd61::2"} {
		if out := child(to); !strings.Contains(out, `"received":3`) || !strings.Contains(out, `"socket":"datagram"`) {
			t.Errorf("open: %s", out)
		}
	}
	// Errors of the kernel and of others come the same way.
	for _, to := range []string{"192.0.2.1"} {
		if out := child(to); !strings.Contains(out, `"class":"no-route"`) {
			t.Errorf("no route: %s", out)
		}
	}
	// As root, by a datagram socket too.
	if got := said(t, probe.Ping, a, addrOf("fd61::2"), fast(3)); got.Ping.Socket != "datagram" || got.Ping.Received != 3 {
		t.Errorf("as root: %+v", got.Ping)
	}
}

// pingChild is what TestPingUnprivileged's child does: it prints the result.
func pingChild(t *testing.T) {
	self, err := selfFrom()
	must(t, err)
	defer self.NS.Close()
	r, err := probe.Ping(t.Context(), self, addrOf(os.Getenv("NSCOPE_PING_CHILD")), fast(3))
	if err != nil {
		var needs *probe.NeedsError
		fmt.Println(err, "needs:", errors.As(err, &needs), "permission:", errors.Is(err, fs.ErrPermission))
		return
	}
	b, err := json.Marshal(r)
	must(t, err)
	fmt.Println(string(b))
}
