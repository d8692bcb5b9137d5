package rtnl

import (
	"errors"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRouteTo compares with `ip -j route get`.
func TestRouteTo(t *testing.T) {
	ns, _ := scene(t)
	ns.ip(`addr add 10.4.0.1/24 dev w1
		route add default via 10.1.1.254 src 10.1.1.7
		route add 10.5.0.0/16 via 10.4.0.9
		route add blackhole 203.0.113.0/24
		route add unreachable 203.0.112.0/24
		route add prohibit 203.0.111.0/24
		-6 route add default via fd00:1::fe`)
	c := ns.open()
	links, err := c.links(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	names := map[int]string{0: "lo"}
	for _, l := range links {
		names[l.Index] = l.Name
	}
	for _, dst := range []string{"10.4.0.77", "10.5.1.1", "192.0.2.1", "127.0.0.1", "10.4.0.1", "2001:db8::1"} {
		var want []struct{ Dst, Gateway, Dev, Prefsrc string }
		if ns.json(&want, "ip -j route get "+dst); len(want) != 1 {
			t.Fatal(dst, want)
		}
		got, err := c.RouteTo(netip.MustParseAddr(dst))
		if err != nil {
			t.Errorf("%s: %v", dst, err)
			continue
		}
		w := want[0]
		if got.Gateway != addrOrNone(w.Gateway) || names[got.OIF] != w.Dev || got.PrefSrc != addrOrNone(w.Prefsrc) || got.Dst.Addr() != netip.MustParseAddr(w.Dst) {
			t.Errorf("%s: %+v by %s, want %+v", dst, got, names[got.OIF], w)
		}
	}
	for dst, errno := range map[string]unix.Errno{"203.0.113.1": unix.EINVAL, "203.0.112.1": unix.EHOSTUNREACH, "203.0.111.1": unix.EACCES} {
		if _, err := c.RouteTo(netip.MustParseAddr(dst)); !errors.Is(err, errno) {
			t.Errorf("%s: %v, want %v", dst, err, errno)
		}
	}
	ns.ip("route del default")
	if _, err := c.RouteTo(netip.MustParseAddr("192.0.2.1")); !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("no route: %v", err)
	}
}
