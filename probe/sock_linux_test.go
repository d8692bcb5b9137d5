package probe_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

func TestDial(t *testing.T) {
	a, b := pair(t)
	var l net.Listener
	must(t, b.Do(func() (err error) { l, err = net.Listen("tcp", "10.61.0.2:80"); return err }))
	defer l.Close()
	c, err := from(a).Dial(t.Context(), "tcp", netip.MustParseAddrPort("10.61.0.2:80"), probe.Options{})
	must(t, err)
	if got := c.LocalAddr().String(); netip.MustParseAddrPort(got).Addr() != netip.MustParseAddr("10.61.0.1") {
		t.Errorf("local address %s", got)
	}
	c.Close()
	want := func(to string, class probe.Class) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), quick().Timeout)
		defer cancel()
		c, err := from(a).Dial(ctx, "tcp", netip.MustParseAddrPort(to), probe.Options{})
		var d *probe.DialError
		if err == nil {
			c.Close()
		}
		if !errors.As(err, &d) || d.Class != class {
			t.Errorf("%s: %v, want %s", to, err, class)
		}
	}
	want("10.61.0.2:81", probe.Refused)
	want("[fd61::2]:81", probe.Refused)
	want("10.62.0.1:80", probe.NoRoute)
	nettest.Run(t, b.Handle, "iptables", "-I", "INPUT", "-p", "tcp", "--dport", "82", "-j", "DROP")
	want("10.61.0.2:82", probe.Timeout)
	nettest.Run(t, b.Handle, "iptables", "-I", "INPUT", "-p", "tcp", "--dport", "83", "-j", "REJECT", "--reject-with", "icmp-host-unreachable")
	want("10.61.0.2:83", probe.Unreachable)
}
