package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestWatch: the watch tells the same as the error queue does, and works where there is none (before Linux 5.8).
func TestWatch(t *testing.T) {
	h := nettest.New(t)
	f := &From{Name: "x", NS: h}
	nettest.Run(t, h, "ip", "link", "set", "lo", "up")
	nettest.Run(t, h, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "81", "-j", "REJECT", "--reject-with", "icmp-host-prohibited")
	nettest.Run(t, h, "ip6tables", "-A", "INPUT", "-p", "tcp", "--dport", "81", "-j", "REJECT", "--reject-with", "icmp6-adm-prohibited")
	defer func(before func() bool) { watchTCP = before }(watchTCP)
	watchTCP = func() bool { return true }
	for _, addr := range []string{"127.0.0.1", "::1"} {
		to := To{Asked: addr, Addrs: []netip.Addr{netip.MustParseAddr(addr)}, Port: 81}
		w, err := f.watch("tcp", to.Addrs[0].Is4())
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		begun := time.Now()
		r, err := TCP(t.Context(), f, to, Options{Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		a := r.Attempts[0]
		ev := w.find(unix.IPPROTO_TCP, a.Local, a.Remote, begun)
		if a.Class != Filtered || ev == nil {
			t.Fatalf("%+v, heard %+v", a, ev)
		}
		var heard Attempt
		heard.icmp(ev)
		if heard.Class != a.Class || heard.Reason != a.Reason || heard.By != a.By {
			t.Errorf("heard %+v, the queue says %+v", heard, a)
		}
		if w.find(unix.IPPROTO_UDP, a.Local, a.Remote, begun) != nil || w.find(unix.IPPROTO_TCP, a.Local, a.Remote, time.Now()) != nil {
			t.Error("heard what was not said")
		}
		// As an old kernel has it: the error number alone.
		p := &tcpProbe{from: f, to: a.Remote, watch: w, why: &explainer{from: f}}
		old := Attempt{Local: a.Local, Remote: a.Remote, At: begun}
		p.failed(&old, os.NewSyscallError("connect", unix.EHOSTUNREACH), false)
		if old.Class != Filtered || old.By != a.By {
			t.Errorf("by the watch: %+v", old)
		}
	}
}

// TestUnprivileged runs itself without CAP_NET_RAW.
func TestUnprivileged(t *testing.T) {
	if os.Getenv("NSCOPE_TEST_NO_RAW") == "" {
		nettest.NeedsRoot(t)
		nettest.NeedsTool(t, "setpriv")
		cmd := exec.Command("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", os.Args[0], "-test.run", "^TestUnprivileged$", "-test.v")
		cmd.Env = append(os.Environ(), "NSCOPE_TEST_NO_RAW=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if netns.HasCap(unix.CAP_NET_RAW) {
		t.Fatal("it still has the capability")
	}
	h := nettest.New(t)
	f := &From{Name: "x", NS: h}
	nettest.Run(t, h, "ip", "link", "set", "lo", "up")
	nettest.Run(t, h, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", "81", "-j", "REJECT", "--reject-with", "icmp-host-prohibited")
	nettest.Run(t, h, "iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", "82", "-j", "DROP")
	to := func(port uint16) To {
		return To{Asked: "127.0.0.1", Addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Port: port}
	}
	o := Options{Timeout: 500 * time.Millisecond}
	if r, err := TCP(t.Context(), f, to(81), o); err != nil || r.Class != Filtered {
		t.Errorf("rejected: %+v %v", r, err)
	}
	if r, err := TCP(t.Context(), f, to(82), o); err != nil || r.Class != Timeout || !strings.Contains(r.Hint, "CAP_NET_RAW") {
		t.Errorf("dropped: %+v %v", r, err)
	}
	for _, by := range []string{"udp", "tcp"} {
		if r, err := Route(t.Context(), f, to(80), o, RouteOptions{By: by}); err != nil || !r.OK {
			t.Errorf("route by %s: %+v %v", by, r, err)
		}
	}
	var needs *NeedsError
	if _, err := Route(t.Context(), f, to(0), o, RouteOptions{By: "icmp"}); !errors.As(err, &needs) || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("route by icmp: %v", err)
	}
	if _, err := f.watch("tcp", true); !errors.As(err, &needs) || needs.Needs != "CAP_NET_RAW" || !errors.Is(err, fs.ErrPermission) {
		t.Errorf("watch: %v", err)
	}
	watchTCP = func() bool { return true } // an old kernel
	if r, err := TCP(t.Context(), f, to(80), o); err != nil || r.Class != Refused || !strings.Contains(r.Summary, "CAP_NET_RAW") {
		t.Errorf("an old kernel's refusal: %+v %v", r, err)
	}
}

// icmp4 is an ICMP error about a packet from 10.0.0.1:1000 to 10.0.0.2:80 with an IP header of words 32-bit words.
func icmp4(typ, code uint8, mtu uint16, words, frag int, proto uint8, transport ...byte) []byte {
	b := make([]byte, 8+4*words, 100)
	b[0], b[1] = typ, code
	binary.BigEndian.PutUint16(b[6:], mtu)
	ip := b[8:]
	ip[0], ip[9] = 4<<4|byte(words), proto
	binary.BigEndian.PutUint16(ip[6:], uint16(frag))
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	return append(b, transport...)
}

func icmp6(typ, code uint8, mtu uint32, next uint8, rest ...byte) []byte {
	b := make([]byte, 48, 200)
	b[0], b[1] = typ, code
	binary.BigEndian.PutUint32(b[4:], mtu)
	b[8], b[14] = 6<<4, next
	b[16], b[31], b[32], b[47] = 0xfd, 1, 0xfd, 2
	return append(b, rest...)
}

func TestParseICMP(t *testing.T) {
	ports := []byte{1000 >> 8, 1000 & 255, 0, 80}
	for _, c := range []struct {
		name string
		v6   bool
		b    []byte
		want string // proto source destination mtu, "" where it is no error
	}{
		{"udp", false, icmp4(3, 3, 0, 5, 0, 17, ports...), "17 10.0.0.1:1000 10.0.0.2:80 0"},
		{"options", false, icmp4(11, 0, 0, 9, 0, 6, ports...), "6 10.0.0.1:1000 10.0.0.2:80 0"},
		{"too big", false, icmp4(3, 4, 1400, 5, 0, 6, ports...), "6 10.0.0.1:1000 10.0.0.2:80 1400"},
		{"cut in the ports", false, icmp4(3, 3, 0, 5, 0, 6, ports[:3]...), "6 10.0.0.1:0 10.0.0.2:0 0"},
		{"later fragment", false, icmp4(11, 1, 0, 5, 185, 17, ports...), "17 10.0.0.1:0 10.0.0.2:0 0"},
		{"first fragment", false, icmp4(11, 1, 0, 5, 0x2000, 17, ports...), "17 10.0.0.1:1000 10.0.0.2:80 0"},
		{"echo", false, icmp4(11, 0, 0, 5, 0, 1, 8, 0, 0, 0, 0, 7, 0, 9), "1 10.0.0.1:7 10.0.0.2:9 0"},
		{"header too short", false, icmp4(3, 3, 0, 4, 0, 6, ports...), ""},
		{"reply", false, icmp4(0, 0, 0, 5, 0, 6, ports...), ""},
		{"cut", false, icmp4(3, 3, 0, 5, 0, 6)[:20], ""},
		{"tcp6", true, icmp6(1, 4, 0, 6, ports...), "6 [fd00::1]:1000 [fd00::2]:80 0"},
		{"too big 6", true, icmp6(2, 0, 1280, 17, ports...), "17 [fd00::1]:1000 [fd00::2]:80 1280"},
		{"extensions", true, icmp6(3, 0, 0, 0, slices.Concat([]byte{60, 0, 0, 0, 0, 0, 0, 0}, []byte{44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{51, 0, 0, 1, 0, 0, 0, 0}, []byte{17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, ports)...), "17 [fd00::1]:1000 [fd00::2]:80 0"},
		{"later fragment 6", true, icmp6(3, 1, 0, 44, slices.Concat([]byte{17, 0, 0, 8, 0, 0, 0, 0}, ports)...), "17 [fd00::1]:0 [fd00::2]:0 0"},
		{"cut in an extension", true, icmp6(1, 0, 0, 0, 17, 200, 0, 0, 0, 0, 0, 0), "17 [fd00::1]:0 [fd00::2]:0 0"},
		{"neighbour solicitation", true, icmp6(135, 0, 0, 6, ports...), ""},
	} {
		m, ok := parseICMP(c.v6, c.b)
		got := ""
		if ok {
			got = strings.Join([]string{fmt.Sprint(m.Quote.Proto), m.Quote.Src.String(), m.Quote.Dst.String(), fmt.Sprint(m.MTU)}, " ")
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzParseICMP(f *testing.F) {
	f.Add(false, icmp4(3, 3, 0, 5, 0, 17, 1, 2, 3, 4))
	f.Add(false, icmp4(11, 0, 0, 15, 0, 6, 1, 2, 3, 4))
	f.Add(true, icmp6(2, 0, 1280, 0, 60, 0, 0, 0, 0, 0, 0, 0, 44, 1, 0))
	f.Add(true, icmp6(3, 0, 0, 51, 6, 255, 0, 0, 0, 0, 0, 0))
	f.Fuzz(func(t *testing.T, v6 bool, b []byte) {
		m, ok := parseICMP(v6, b)
		if ok && (!m.Quote.Src.Addr().IsValid() || m.Quote.Src.Addr().Is4() == v6) {
			t.Errorf("%+v", m)
		}
		classifyICMP(v6, m.Type, m.Code)
	})
}

func FuzzUDPAnswer(f *testing.F) {
	f.Add(uint16(53), []byte{0, 0, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Add(uint16(123), make([]byte, 48))
	f.Fuzz(func(t *testing.T, port uint16, b []byte) {
		asked, _ := udpQuestion(port, 0)
		if what, _ := udpAnswer(port, asked, b); what == "" {
			t.Error("says nothing")
		}
		if s := printable(b); len(s) > maxBanner || strings.ContainsAny(s, "\x1b\n\x7f") {
			t.Errorf("printable: %q", s)
		}
	})
}
