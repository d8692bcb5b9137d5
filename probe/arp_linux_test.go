package probe_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// macNames knows owners by their hardware address.
type macNames map[string]string

func (macNames) Addr(netip.Addr) string { return "" }
func (m macNames) MAC(a net.HardwareAddr) []string {
	if n := m[a.String()]; n != "" {
		return []string{n}
	}
	return nil
}

// segment makes a bridge with hosts on it: host i has 10.62.0.i and fd62::i on eth0.
func segment(t testing.TB, hosts int) (sw *netlab.Space, list []*netlab.Space) {
	t.Helper()
	sw = space(t, "switch")
	must(t, sw.Bridge("br0", netip.Prefix{}))
	for i := range hosts {
		s := space(t, string(rune('a'+i)))
		port := "p" + s.Name
		nettest.Run(t, s.Handle, "sh", "-c", "for f in default all; do echo 0 >/proc/sys/net/ipv6/conf/$f/accept_dad; done")
		must(t, s.Veth("eth0", sw, port))
		must(t, sw.SetMaster(port, "br0"))
		n := string(rune('1' + i))
		nettest.Run(t, s.Handle, "ip", "addr", "add", "10.62.0."+n+"/24", "dev", "eth0")
		nettest.Run(t, s.Handle, "ip", "-6", "addr", "add", "fd62::"+n+"/64", "dev", "eth0", "nodad")
		list = append(list, s)
	}
	return sw, list
}

func macOf(t testing.TB, s *netlab.Space, dev string) string {
	t.Helper()
	l, err := s.Link(dev)
	must(t, err)
	return l.Attrs().HardwareAddr.String()
}

func TestARP(t *testing.T) {
	_, h := segment(t, 3)
	a, b, c := h[0], h[1], h[2]
	am, bm, cm := macOf(t, a, "eth0"), macOf(t, b, "eth0"), macOf(t, c, "eth0")
	names := macNames{am: "eth0 of a", bm: "eth0 of b", cm: "eth0 of c"}
	run := func(s *netlab.Space, script string) { nettest.Run(t, s.Handle, "sh", "-ec", script) }
	for _, x := range []struct {
		name, do, undo string
		on             *netlab.Space
		to             string
		opts           probe.Options
		class          probe.Class
		macs           []string
		says           []string
	}{
		{name: "one", to: "10.62.0.2", class: probe.OK, macs: []string{bm}, says: []string{"eth0 of b) answers on eth0", "as 10.62.0.1"}},
		{name: "one 6", to: "fd62::2", class: probe.OK, macs: []string{bm}, says: []string{"eth0 of b) answers on eth0", "as fd62::1"}},
		{name: "nobody", to: "10.62.0.77", class: probe.Timeout, says: []string{"nobody answers on eth0"}},
		{name: "nobody 6", to: "fd62::77", class: probe.Timeout, says: []string{"nobody answers on eth0"}},
		{name: "own", to: "10.62.0.1", class: probe.OK, says: []string{"own address, and nobody else", "without telling an address"}},
		{name: "own 6", to: "fd62::1", class: probe.OK, says: []string{"own address, and nobody else", "as fe80::"}},
		{name: "two", on: c, do: "ip addr add 10.62.0.2/24 dev eth0", undo: "ip addr del 10.62.0.2/24 dev eth0", to: "10.62.0.2",
			class: probe.BadAnswer, macs: []string{bm, cm}, says: []string{"duplicate address: 2 answer", "eth0 of b", "eth0 of c"}},
		{name: "two 6", on: c, do: "ip -6 addr add fd62::2/64 dev eth0 nodad", undo: "ip -6 addr del fd62::2/64 dev eth0", to: "fd62::2",
			class: probe.BadAnswer, macs: []string{bm, cm}, says: []string{"duplicate address: 2 answer"}},
		{name: "conflict", on: c, do: "ip addr add 10.62.0.1/24 dev eth0", undo: "ip addr del 10.62.0.1/24 dev eth0", to: "10.62.0.1",
			class: probe.BadAnswer, macs: []string{cm}, says: []string{"address conflict", "eth0 of c"}},
		{name: "conflict 6", on: c, do: "ip -6 addr add fd62::1/64 dev eth0 nodad", undo: "ip -6 addr del fd62::1/64 dev eth0", to: "fd62::1",
			class: probe.BadAnswer, macs: []string{cm}, says: []string{"address conflict", "eth0 of c"}},
		{name: "wrong entry", on: a, do: "ip neigh replace 10.62.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent", undo: "ip neigh del 10.62.0.2 dev eth0", to: "10.62.0.2",
			class: probe.BadAnswer, macs: []string{bm}, says: []string{"neighbour table has 02:00:00:00:00:99 for it (permanent)", "until the entry is removed"}},
		{name: "wrong entry 6", on: a, do: "ip neigh replace fd62::2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent", undo: "ip neigh del fd62::2 dev eth0", to: "fd62::2",
			class: probe.BadAnswer, macs: []string{bm}, says: []string{"neighbour table has 02:00:00:00:00:99 for it (permanent)"}},
		{name: "elsewhere", on: a, do: "ip route add default via 10.62.0.2", undo: "ip route del default", to: "192.0.2.1",
			class: probe.Timeout, says: []string{"on no subnet there", "via 10.62.0.2", "ask for the gateway"}},
		{name: "proxy", on: c, do: "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/eth0/proxy_arp; echo 0 >/proc/sys/net/ipv4/neigh/eth0/proxy_delay; ip route add 192.0.2.0/24 dev lo",
			undo: "ip route del 192.0.2.0/24; echo 0 >/proc/sys/net/ipv4/conf/eth0/proxy_arp", to: "192.0.2.1", opts: probe.Options{Iface: "eth0"}, class: probe.OK, macs: []string{cm}},
	} {
		if x.do != "" {
			run(x.on, x.do)
		}
		o := x.opts
		o.Names, o.Count, o.Interval, o.Timeout = names, 2, 20*time.Millisecond, 400*time.Millisecond
		var live []int
		o.Each = func(at probe.Attempt) { live = append(live, at.Seq) }
		got := said(t, probe.ARP, a, addrOf(x.to), o)
		if x.undo != "" {
			run(x.on, x.undo)
		}
		var macs []string
		for _, y := range got.ARP.Answers {
			macs = append(macs, y.MAC)
			if y.Count == 0 || y.MS <= 0 || y.Iface != "eth0" || y.FrameMAC != "" {
				t.Errorf("%s: %+v", x.name, y)
			}
		}
		slices.Sort(macs)
		slices.Sort(x.macs)
		if got.Class != x.class || got.OK != (x.class == probe.OK) || !slices.Equal(macs, x.macs) || len(got.Attempts) != 2 || len(live) != 2 {
			t.Errorf("%s: %s: %v, want %s: %v", x.name, got.Class, macs, x.class, x.macs)
		}
		var text strings.Builder
		got.Text(&text)
		for _, s := range x.says {
			if !strings.Contains(text.String(), s) {
				t.Errorf("%s: does not say %q", x.name, s)
			}
		}
		// Nobody learns from a request without an address.
		if strings.HasPrefix(x.name, "own") || strings.HasPrefix(x.name, "conflict") {
			if out := nettest.Run(t, b.Handle, "ip", "neigh", "show", "to", x.to); strings.Contains(out, cm) {
				t.Errorf("%s: b has learned %s", x.name, out)
			}
		}
	}
}

// TestARPOracle: the same hardware address that arping and the kernel's own table have.
func TestARPOracle(t *testing.T) {
	nettest.NeedsTool(t, "arping")
	_, h := segment(t, 2)
	got := said(t, probe.ARP, h[0], addrOf("10.62.0.2"), probe.Options{Count: 1})
	out := nettest.Run(t, h[0].Handle, "arping", "-c", "1", "-I", "eth0", "10.62.0.2")
	if len(got.ARP.Answers) != 1 || !strings.Contains(strings.ToLower(out), got.ARP.Answers[0].MAC) {
		t.Errorf("%+v; arping: %s", got.ARP.Answers, out)
	}
	if p := said(t, probe.Ping, h[0], addrOf("fd62::2"), fast(1)); !p.OK {
		t.Fatal(p.Summary)
	}
	got = said(t, probe.ARP, h[0], addrOf("fd62::2"), probe.Options{Count: 1})
	if len(got.ARP.Known) != 1 || len(got.ARP.Answers) != 1 || got.ARP.Known[0].MAC != got.ARP.Answers[0].MAC {
		t.Errorf("%+v", got.ARP)
	}
}

// TestARPLinks: links that have no neighbours, several links, link-local addresses, and what goes away meanwhile.
func TestARPLinks(t *testing.T) {
	sw, h := segment(t, 2)
	a, b := h[0], h[1]
	quickly := probe.Options{Count: 1, Timeout: 200 * time.Millisecond}
	if got := said(t, probe.ARP, a, addrOf("10.62.0.2"), quickly); !got.OK {
		t.Fatal("no healthy baseline")
	}
	// Not netlab's Add: a tun is made by ioctl, in the namespace of the calling thread.
	nettest.Run(t, a.Handle, "sh", "-ec", "ip tuntap add dev tun0 mode tun; ip addr add 10.63.0.1/24 dev tun0; ip link set tun0 up")
	must(t, a.Bridge("br1", netip.Prefix{}))
	must(t, a.Veth("v0", a, "v1"))
	must(t, a.SetMaster("v1", "br1"))
	for to, c := range map[string]struct{ iface, says string }{
		"127.0.0.1":  {"", "nobody's address"},
		"224.0.0.1":  {"", "nobody's address"},
		"ff02::1":    {"", "nobody's address"},
		"10.62.0.2":  {"lo", "loopback"},
		"10.62.0.3":  {"eth9", "no interface eth9"},
		"10.63.0.2":  {"", "without Ethernet"},
		"10.62.0.4":  {"v1", "port of a bridge"},
		"192.0.2.1":  {"", "on no link"},
		"fe80::1%lo": {"", "loopback"},
	} {
		o := quickly
		o.Iface = c.iface
		var option *probe.OptionError
		if _, err := probe.ARP(t.Context(), from(a), addrOf(to), o); !errors.As(err, &option) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", to, err, c.says)
		}
	}
	// A link-local address is asked for on every link; a zone names the one.
	bl, err := b.Link("eth0")
	must(t, err)
	m := bl.Attrs().HardwareAddr
	ll := netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]}).String()
	if got := said(t, probe.ARP, a, addrOf(ll), quickly); !got.OK || len(got.ARP.Links) < 2 {
		t.Errorf("link-local: %s on %v", got.Summary, got.ARP.Links)
	}
	if got := said(t, probe.ARP, a, addrOf(ll+"%eth0"), quickly); !got.OK || len(got.ARP.Links) != 1 {
		t.Errorf("zone: %s on %v", got.Summary, got.ARP.Links)
	}
	// Ends and vanishes.
	ctx, cancel := context.WithCancel(t.Context())
	o := probe.Options{Count: -1, Interval: 5 * time.Millisecond, Timeout: time.Hour}
	n := 0
	o.Each = func(probe.Attempt) {
		if n++; n == 3 {
			cancel()
		}
	}
	r, err := probe.ARP(ctx, from(a), addrOf("10.62.0.2"), o)
	must(t, err)
	if !r.OK || r.ARP.Answers[0].Count < 3 {
		t.Errorf("endless: %s", r.Summary)
	}
	o.Count, n = 6, 0
	o.Timeout = 50 * time.Millisecond
	o.Each = func(probe.Attempt) {
		if n++; n == 2 {
			must(t, a.Del("eth0"))
		}
	}
	if r = said(t, probe.ARP, a, addrOf("10.62.0.2"), o); len(r.Attempts) != 6 || r.Attempts[5].Class == probe.OK {
		t.Errorf("vanished link: %+v", r.Attempts)
	}
	_ = sw
}
