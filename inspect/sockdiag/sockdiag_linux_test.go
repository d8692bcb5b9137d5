package sockdiag

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// open opens a socket and binds it; the descriptor lives as long as the test.
func open(t *testing.T, family, typ, proto int, local unix.Sockaddr, opts ...func(fd int) error) int {
	t.Helper()
	fd, err := unix.Socket(family, typ|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for _, o := range opts {
		if err := o(fd); err != nil {
			t.Fatal(err)
		}
	}
	if local != nil {
		if err := unix.Bind(fd, local); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

// scene makes sockets of every kind in a new namespace.
func scene(t *testing.T) *nettest.Handle {
	nettest.NeedsTool(t, "ip", "ss")
	ns := nettest.New(t)
	nettest.Run(t, ns, "ip", "link", "set", "lo", "up")
	err := ns.Do(func() error {
		lo4, any4, any6 := [4]byte{127, 0, 0, 1}, [4]byte{}, [16]byte{}
		v6only := func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 1) }
		l4 := open(t, unix.AF_INET, unix.SOCK_STREAM, 0, &unix.SockaddrInet4{Port: 8080, Addr: lo4},
			func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 0x77) })
		l6 := open(t, unix.AF_INET6, unix.SOCK_STREAM, 0, &unix.SockaddrInet6{Port: 8081, Addr: any6})
		only6 := open(t, unix.AF_INET6, unix.SOCK_STREAM, 0, &unix.SockaddrInet6{Port: 8082, Addr: any6}, v6only)
		bound := open(t, unix.AF_INET, unix.SOCK_STREAM, 0, &unix.SockaddrInet4{Port: 8083, Addr: any4},
			func(fd int) error { return unix.BindToDevice(fd, "lo") })
		for _, fd := range []int{l4, l6, only6, bound} {
			if err := unix.Listen(fd, 3); err != nil {
				return err
			}
		}
		// Connected: by IPv4, by IPv6 and by IPv4 to the one that takes both; what is sent stays in the queue.
		for _, to := range []unix.Sockaddr{&unix.SockaddrInet4{Port: 8080, Addr: lo4}, &unix.SockaddrInet6{Port: 8082, Addr: netip.IPv6Loopback().As16()}, &unix.SockaddrInet4{Port: 8081, Addr: lo4}} {
			family := unix.AF_INET
			if _, ok := to.(*unix.SockaddrInet6); ok {
				family = unix.AF_INET6
			}
			fd := open(t, family, unix.SOCK_STREAM, 0, nil)
			if err := unix.Connect(fd, to); err != nil {
				return err
			}
			if _, err := unix.Write(fd, []byte("unread")); err != nil {
				return err
			}
		}
		for _, l := range []int{l6} {
			fd, _, err := unix.Accept(l)
			if err != nil {
				return err
			}
			t.Cleanup(func() { unix.Close(fd) })
		}
		// UDP: one that overflows, one that is connected.
		small := open(t, unix.AF_INET, unix.SOCK_DGRAM, 0, &unix.SockaddrInet4{Port: 5353, Addr: any4},
			func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 2304) })
		_ = small
		udp := open(t, unix.AF_INET, unix.SOCK_DGRAM, 0, nil)
		if err := unix.Connect(udp, &unix.SockaddrInet4{Port: 5353, Addr: lo4}); err != nil {
			return err
		}
		for range 20 {
			unix.Write(udp, make([]byte, 1000))
		}
		open(t, unix.AF_INET6, unix.SOCK_DGRAM, 0, &unix.SockaddrInet6{Port: 5354, Addr: any6}, v6only)
		open(t, unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP, nil)
		open(t, unix.AF_INET6, unix.SOCK_RAW, protoOSPF, nil)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

const protoOSPF = 89

func conn(t *testing.T, ns *nettest.Handle) *Conn {
	t.Helper()
	var c *Conn
	if err := ns.Do(func() (err error) { c, err = Open(); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestReadIsWhatSSPrints(t *testing.T) {
	ns := scene(t)
	got, cut, err := conn(t, ns).Read(0)
	if err != nil || cut {
		t.Fatal(cut, err)
	}
	var lines []string
	for _, s := range got {
		if s.Proto == "raw" {
			if s.Inode == 0 {
				t.Errorf("no inode: %+v", s)
			}
			s.Inode = 0
		}
		lines = append(lines, line(&s))
	}
	want := ss(t, ns)
	slices.Sort(lines)
	if d := gocmp.Diff(want, lines); d != "" {
		t.Errorf("(-ss +nscope):\n%s", d)
	}
	if len(lines) < 14 {
		t.Errorf("only %d sockets", len(lines))
	}
	find := func(port uint16, state string) snapshot.Socket {
		for _, s := range got {
			if s.Local.Port() == port && s.State == state {
				return s
			}
		}
		t.Fatalf("no socket %s on port %d", state, port)
		return snapshot.Socket{}
	}
	if s := find(8080, "listen"); s.Mark != 0x77 || s.V6Only || s.Family != "inet" {
		t.Errorf("%+v", s)
	}
	if s := find(8081, "listen"); s.V6Only || s.Family != "inet6" {
		t.Errorf("%+v", s)
	}
	if s := find(8082, "listen"); !s.V6Only {
		t.Errorf("%+v", s)
	}
	if s := find(8083, "listen"); s.Ifindex != 1 {
		t.Errorf("%+v", s)
	}
	if s := find(5353, "unconnected"); s.Drops == 0 {
		t.Errorf("%+v", s)
	}
	if s := find(protoOSPF, "unconnected"); s.Proto != "raw" || s.Family != "inet6" {
		t.Errorf("%+v", s)
	}
}

// line prints what ss and the model both know of a socket.
func line(s *snapshot.Socket) string {
	state := map[string]string{"listen": "LISTEN", "established": "ESTAB", "unconnected": "UNCONN"}[s.State]
	// Without options ss says nothing of the family but by the address.
	return fmt.Sprint(s.Proto, " ", state, " rx ", s.RxQueue, " tx ", s.TxQueue, " ", addr(s.Local), " ", addr(s.Remote), " if ", s.Ifindex, " ino ", s.Inode)
}

func addr(a netip.AddrPort) string {
	if !a.IsValid() {
		return "none"
	}
	return fmt.Sprint(a.Addr(), " ", a.Port())
}

// ss lists the sockets as ss does, in the words of line.
func ss(t *testing.T, ns *nettest.Handle) []string {
	out := []string{}
	// ss reads raw sockets from /proc/net/raw where the kernel has no raw_diag, and then prints no inode.
	for _, args := range [][]string{{"-t", "tcp"}, {"-u", "udp"}, {"-w", "raw"}} {
		for l := range strings.Lines(nettest.Run(t, ns, "ss", "-anHe", "-O", args[0])) {
			f := strings.Fields(l)
			ino := ""
			for _, w := range f {
				if v, ok := strings.CutPrefix(w, "ino:"); ok {
					ino = v
				}
			}
			if args[1] == "raw" {
				ino = "0"
			}
			local, dev := ssAddr(t, f[3])
			remote, _ := ssAddr(t, f[4])
			if remote == "0.0.0.0 0" || remote == ":: 0" {
				remote = "none"
			}
			out = append(out, fmt.Sprint(args[1], " ", f[0], " rx ", f[1], " tx ", f[2], " ", local, " ", remote, " if ", dev, " ino ", ino))
		}
	}
	slices.Sort(out)
	return out
}

// ssAddr reads "127.0.0.1%lo:80", "[::1]:80", "*:80" (any, of IPv6), "0.0.0.0:icmp".
func ssAddr(t *testing.T, s string) (string, int) {
	i := strings.LastIndexByte(s, ':')
	host, port := s[:i], s[i+1:]
	dev := 0
	if h, _, ok := strings.Cut(host, "%lo"); ok {
		host, dev = h, 1
	}
	host = strings.Trim(host, "[]")
	if host == "*" {
		host = "::"
	}
	switch port {
	case "*":
		port = "0"
	case "icmp":
		port = "1"
	case "ospf":
		port = "89"
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		t.Fatalf("ss printed %q: %v", s, err)
	}
	return a.String() + " " + port, dev
}

// TestTextTellsTheSame reads the same namespace through /proc/net, as where a module may not be loaded.
func TestTextTellsTheSame(t *testing.T) {
	ns := scene(t)
	want, _, err := conn(t, ns).Read(0)
	if err != nil {
		t.Fatal(err)
	}
	c := &Conn{}
	if err := ns.Do(func() error {
		for i := range tables {
			f, err := os.Open(procNet + tables[i].file)
			if err != nil {
				return err
			}
			c.text = append(c.text, textFile{&tables[i], f})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got, _, err := c.Read(0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		want[i].Ifindex, want[i].Mark, want[i].V6Only = 0, 0, false
		if want[i].State == "listen" {
			// sock_diag tells how long the queue may be, the file not.
			want[i].TxQueue = 0
		}
	}
	if d := gocmp.Diff(want, got, gocmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("(-sock_diag +text):\n%s", d)
	}
}

func TestLimit(t *testing.T) {
	ns := scene(t)
	all, _, err := conn(t, ns).Read(0)
	if err != nil {
		t.Fatal(err)
	}
	servers := 0
	for _, s := range all {
		if !s.Remote.IsValid() {
			servers++
		}
	}
	got, cut, err := conn(t, ns).Read(servers)
	if err != nil || !cut || len(got) != servers {
		t.Fatalf("%d of %d, %v, %v", len(got), len(all), cut, err)
	}
	for _, s := range got {
		if s.Remote.IsValid() {
			t.Errorf("a connected socket was kept in place of a listening one: %+v", s)
		}
	}
}

// TestListening: what waits for somebody is all of it, and nothing else.
func TestListening(t *testing.T) {
	ns := scene(t)
	all, _, err := conn(t, ns).Read(0)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(all, func(s snapshot.Socket) bool {
		return s.Proto == "raw" || s.Remote.IsValid() || s.Proto == "tcp" && s.State != "listen"
	})
	got, cut, err := conn(t, ns).Listening(0)
	if d := gocmp.Diff(want, got, gocmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" || cut || err != nil || len(got) < 4 {
		t.Errorf("%s\ncut %v, %v", d, cut, err)
	}
}

// TestEmpty asks a namespace without sockets, and one in which a socket of each table comes later.
func TestEmpty(t *testing.T) {
	c := conn(t, nettest.New(t))
	socks, cut, err := c.Read(10)
	if socks == nil || len(socks) != 0 || cut || err != nil {
		t.Errorf("%v %v %v", socks, cut, err)
	}
	if c.sock != nil {
		t.Error("a namespace without sockets costs a sock_diag socket")
	}
}

func BenchmarkRead(b *testing.B) {
	for _, with := range []string{"empty", "listener"} {
		b.Run(with, func(b *testing.B) {
			ns := nettest.New(b)
			if err := ns.Do(func() error {
				if with == "listener" {
					l, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: 80})
					if err != nil {
						return err
					}
					b.Cleanup(func() { l.Close() })
				}
				for b.Loop() {
					c, err := Open()
					if err != nil {
						return err
					}
					if _, _, err := c.Read(0); err != nil {
						return err
					}
					c.Close()
				}
				return nil
			}); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// The offsets of decode are those of the kernel's struct.
func TestRequest(t *testing.T) {
	r := request(unix.AF_INET6, syscall.IPPROTO_UDP, allStates)
	if len(r) != 56 || r[0] != 10 || r[1] != 17 || r[2] != 1<<6 || binary.NativeEndian.Uint32(r[4:]) != 0x1fff {
		t.Errorf("% x", r)
	}
}
