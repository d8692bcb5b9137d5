package probe_test

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// TestMain runs the tests and then looks for goroutines, descriptors and threads in foreign namespaces that are left.
func TestMain(m *testing.M) {
	before := len(descriptors())
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println("leaked:", err.Error())
			code = 1
		}
		if now := descriptors(); len(now) > before+4 { // the poller's own
			println("leaked descriptors:", len(now)-before)
			code = 1
		}
		home, _ := os.Readlink("/proc/self/ns/net")
		tasks, _ := os.ReadDir("/proc/self/task")
		for _, t := range tasks {
			if ns, err := os.Readlink("/proc/self/task/" + t.Name() + "/ns/net"); err == nil && ns != home {
				println("a thread is left in", ns)
				code = 1
			}
		}
	}
	os.Exit(code)
}

func descriptors() []os.DirEntry {
	d, _ := os.ReadDir("/proc/self/fd")
	return d
}

// space makes a namespace for a test, with lo up.
func space(t testing.TB, name string) *netlab.Space {
	t.Helper()
	nettest.NeedsRoot(t)
	s, err := netlab.New(name)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// from is where probes of the tests ask from.
func from(s *netlab.Space) *probe.From { return &probe.From{Name: s.Name, NS: s.Handle} }

// addrOf is a target by its address.
func addrOf(addr string, port ...uint16) probe.To {
	to := probe.To{Asked: addr, Addrs: []netip.Addr{netip.MustParseAddr(addr)}}
	if len(port) > 0 {
		to.Port = port[0]
	}
	return to
}

// pair makes a (10.61.0.1, fd61::1) and b (10.61.0.2, fd61::2), joined by one veth pair whose ends are called eth0.
func pair(t testing.TB) (a, b *netlab.Space) {
	t.Helper()
	a, b = space(t, "a"), space(t, "b")
	wire(t, a, "eth0", "10.61.0.1/24", "fd61::1/64", b, "eth0", "10.61.0.2/24", "fd61::2/64")
	return a, b
}

// routed makes a (10.61.1.2, fd61:1::2) — r (10.61.1.1 on ra, 10.61.2.1 on rb) — b (10.61.2.2, fd61:2::2); r forwards.
func routed(t testing.TB) (a, r, b *netlab.Space) {
	t.Helper()
	a, r, b = space(t, "a"), space(t, "r"), space(t, "b")
	nettest.Run(t, r.Handle, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding")
	wire(t, a, "eth0", "10.61.1.2/24", "fd61:1::2/64", r, "ra", "10.61.1.1/24", "fd61:1::1/64")
	wire(t, b, "eth0", "10.61.2.2/24", "fd61:2::2/64", r, "rb", "10.61.2.1/24", "fd61:2::1/64")
	for s, gw := range map[*netlab.Space][2]string{a: {"10.61.1.1", "fd61:1::1"}, b: {"10.61.2.1", "fd61:2::1"}} {
		nettest.Run(t, s.Handle, "ip", "route", "add", "default", "via", gw[0])
		nettest.Run(t, s.Handle, "ip", "-6", "route", "add", "default", "via", gw[1])
	}
	return a, r, b
}

// wire joins two namespaces. Duplicate address detection is off: an address is usable at once.
func wire(t testing.TB, a *netlab.Space, an, a4, a6 string, b *netlab.Space, bn, b4, b6 string) {
	t.Helper()
	for _, s := range []*netlab.Space{a, b} {
		nettest.Run(t, s.Handle, "sh", "-c", "for f in default all; do echo 0 >/proc/sys/net/ipv6/conf/$f/accept_dad; done")
	}
	must(t, a.Veth(an, b, bn))
	for _, x := range []struct {
		s          *netlab.Space
		dev, addr4 string
		addr6      string
	}{{a, an, a4, a6}, {b, bn, b4, b6}} {
		must(t, x.s.Addr(x.dev, netip.MustParsePrefix(x.addr4)))
		nettest.Run(t, x.s.Handle, "ip", "-6", "addr", "add", x.addr6, "dev", x.dev, "nodad")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// quick are options for tests in which something stays silent.
func quick() probe.Options { return probe.Options{Count: 1, Timeout: 300 * time.Millisecond} }
