package probe_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// listen starts a listener and returns its port and what ends it.
func listen(t testing.TB, s *netlab.Space, o probe.Options, l probe.ListenOptions) (port uint16, end func() *probe.Result) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan []string, 1)
	l.Ready = func(a []string) { ready <- a }
	type outcome struct {
		r   *probe.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := probe.Listen(ctx, from(s), o, l)
		done <- outcome{r, err}
	}()
	select {
	case addrs := <-ready:
		_, addr, _ := strings.Cut(addrs[0], " ")
		port = netip.MustParseAddrPort(addr).Port()
	case got := <-done:
		cancel()
		t.Fatal(got.err)
	}
	var result *probe.Result
	end = func() *probe.Result {
		cancel()
		if result == nil {
			got := <-done
			must(t, got.err)
			result = got.r
		}
		return result
	}
	t.Cleanup(func() { end() })
	return port, end
}

// dial connects from a namespace.
func dial(t testing.TB, s *netlab.Space, network, addr string, port uint16, o probe.Options) net.Conn {
	t.Helper()
	c, err := from(s).Dial(t.Context(), network, netip.AddrPortFrom(netip.MustParseAddr(addr), port), o)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// echoed sends and wants the same back.
func echoed(t testing.TB, c net.Conn, what []byte) {
	t.Helper()
	go c.Write(what)
	got := make([]byte, len(what))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, what) {
		t.Fatalf("%v: %q (%v), want %q", c.RemoteAddr(), got[:min(len(got), 100)], err, what[:min(len(what), 100)])
	}
}

func TestListenEcho(t *testing.T) {
	a, b := pair(t)
	// A second address: the answer comes from the one that was asked.
	must(t, b.Addr("eth0", netip.MustParsePrefix("10.61.0.3/24")))
	port, end := listen(t, b, probe.Options{}, probe.ListenOptions{TCP: true, UDP: true})
	big := bytes.Repeat([]byte("0123456789"), 30_000)
	for _, addr := range []string{"10.61.0.2", "10.61.0.3", "fd61::2"} {
		c := dial(t, a, "tcp", addr, port, probe.Options{})
		echoed(t, c, []byte("hello"))
		echoed(t, c, big)
		c.Close()
		u := dial(t, a, "udp", addr, port, probe.Options{})
		echoed(t, u, []byte("hello to "+addr))
		echoed(t, u, big[:1400])
	}
	// A port that answers itself is not answered: the datagram is counted, and no answer comes.
	low := dial(t, a, "udp", "10.61.0.2", port, probe.Options{SrcPort: 7})
	low.Write([]byte("round"))
	low.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := low.Read(make([]byte, 10)); err == nil {
		t.Errorf("%d bytes came back to port 7", n)
	}
	var r *probe.Result
	for r = end(); r.Listen.Connections != 3 || r.Listen.Datagrams != 7 || r.Listen.Unanswered != 1; {
		t.Fatalf("%+v\n%s", r.Listen, text(r))
	}
	if want := int64(3*(5+len(big)) + 3*1400 + 9*3 + 9 + 9 + 7 + 5); r.Listen.BytesIn != want || r.Listen.BytesOut != want-5 {
		t.Errorf("%d came, %d sent, want %d", r.Listen.BytesIn, r.Listen.BytesOut, want)
	}
	for _, x := range r.Attempts {
		if peer := x.By.String(); peer != "10.61.0.1" && peer != "fd61::1" {
			t.Errorf("%+v: not the peer", x)
		}
	}
	t.Log(text(r))
	for _, x := range r.Attempts {
		if l := probe.Line("listen", x); len(l) > 80 {
			t.Log("long: ", l)
		}
	}
}

// TestListenLoop lets two echoes meet: they must not keep each other busy for ever.
func TestListenLoop(t *testing.T) {
	a, b := pair(t)
	pa, endA := listen(t, a, probe.Options{}, probe.ListenOptions{UDP: true})
	pb, endB := listen(t, b, probe.Options{}, probe.ListenOptions{UDP: true})
	// Somebody says to b that he is a's echo.
	must(t, a.Do(func() error {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_UDP)
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		what := "round and round"
		p := binary.BigEndian.AppendUint16(nil, pa)
		p = binary.BigEndian.AppendUint16(p, pb)
		p = binary.BigEndian.AppendUint16(p, uint16(8+len(what)))
		p = append(append(p, 0, 0), what...) // no checksum
		return syscall.Sendto(fd, p, 0, &syscall.SockaddrInet4{Addr: [4]byte{10, 61, 0, 2}})
	}))
	for last := int64(-1); ; {
		n := received(t, b)
		if n == last && n > 10 {
			break
		}
		last = n
		time.Sleep(200 * time.Millisecond)
	}
	ra, rb := endA(), endB()
	if n := ra.Listen.Datagrams + rb.Listen.Datagrams; n < 10 || n > 1000 {
		t.Errorf("%d and %d datagrams", ra.Listen.Datagrams, rb.Listen.Datagrams)
	}
	t.Logf("%d and %d datagrams, %d not answered", ra.Listen.Datagrams, rb.Listen.Datagrams, ra.Listen.Unanswered+rb.Listen.Unanswered)
}

// received is how many datagrams a namespace got.
func received(t testing.TB, s *netlab.Space) (n int64) {
	t.Helper()
	fmt.Sscan(nettest.Run(t, s.Handle, "sh", "-c", `awk '/^Udp: [0-9]/{print $2}' /proc/thread-self/net/snmp`), &n)
	return n
}

func TestListenHTTP(t *testing.T) {
	nettest.NeedsTool(t, "curl")
	a, b := pair(t)
	port, end := listen(t, b, probe.Options{Src: netip.MustParseAddr("10.61.0.2")}, probe.ListenOptions{HTTP: true, UDP: true, Port: 8080})
	if port != 8080 {
		t.Errorf("port %d", port)
	}
	out := nettest.Run(t, a.Handle, "curl", "-sS", "-H", "X-Test: yes", "-d", "12345", "http://10.61.0.2:8080/a/path?q=1")
	for _, want := range []string{"from: 10.61.0.1:", "to: 10.61.0.2:8080", "POST /a/path?q=1 HTTP/1.1", "X-Test: yes", "host: 10.61.0.2:8080", "5 bytes of body"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out = nettest.Run(t, a.Handle, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Expect:", "--data-binary", strings.Repeat("x", 100_000), "http://10.61.0.2:8080/")
	if out != "200" {
		t.Error(out)
	}
	if out, err := nettest.Try(a.Handle, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "X: "+strings.Repeat("x", 30_000), "http://10.61.0.2:8080/"); !strings.Contains(out, "431") {
		t.Error(out, err)
	}
	echoed(t, dial(t, a, "udp", "10.61.0.2", 8080, probe.Options{}), []byte("both"))
	r := end()
	if r.Listen.Requests != 2 || r.Listen.Datagrams != 1 || len(r.Attempts) != 3 {
		t.Errorf("%+v\n%+v", r.Listen, r.Attempts)
	}
	t.Log(text(r))
}

func TestListenErrors(t *testing.T) {
	_, b := pair(t)
	port, end := listen(t, b, probe.Options{}, probe.ListenOptions{TCP: true})
	var option *probe.OptionError
	for _, c := range []struct {
		name string
		o    probe.Options
		l    probe.ListenOptions
		is   func(error) bool
	}{
		{"in use", probe.Options{}, probe.ListenOptions{HTTP: true, Port: port}, func(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }},
		{"nothing", probe.Options{}, probe.ListenOptions{Port: 1}, func(err error) bool { return errors.As(err, &option) }},
		{"two", probe.Options{}, probe.ListenOptions{TCP: true, Bench: true}, func(err error) bool { return errors.As(err, &option) }},
		{"no such address", probe.Options{Src: netip.MustParseAddr("10.9.9.9")}, probe.ListenOptions{TCP: true}, func(err error) bool { return errors.As(err, &option) }},
		{"no such interface", probe.Options{Iface: "eth9"}, probe.ListenOptions{UDP: true}, func(err error) bool { return errors.As(err, &option) }},
	} {
		if _, err := probe.Listen(t.Context(), from(b), c.o, c.l); !c.is(err) {
			t.Errorf("%s: %v", c.name, err)
		} else {
			t.Log(err)
		}
	}
	if r := end(); r.Summary != "nothing came" || !r.OK {
		t.Error(text(r))
	}
	// Without IPv6 it listens on IPv4 alone; and it ends by itself.
	nettest.Run(t, b.Handle, "sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6")
	var addrs []string
	_, err := probe.Listen(t.Context(), from(b), probe.Options{For: 10 * time.Millisecond}, probe.ListenOptions{TCP: true, UDP: true, Ready: func(a []string) { addrs = a }})
	must(t, err)
	if len(addrs) != 2 {
		t.Error(addrs)
	}
	t.Log(addrs)
}
