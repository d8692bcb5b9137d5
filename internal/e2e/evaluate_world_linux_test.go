package e2e

import (
	wire "encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netfilter"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/procnet"
	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
)

// filterWorld is a router with two neighbours on its bridge br0 and one behind vb. The neighbours have no addresses, so
// that nothing of them answers: they put whole frames on the wire and see every frame that comes.
type filterWorld struct {
	t       *testing.T
	six     bool // IPv6
	router  *netns.Handle
	hosts   []*filterHost  // a1, a2, b
	raw     []int          // the router's raw sockets: of TCP, UDP, ICMP
	out     map[uint32]int // sends whole packets of the router itself, by mark
	marker  int            // sees the sentinels
	seen    map[int][]sighting
	refused map[int]string
	ns      snapshot.Namespace
}

type filterHost struct {
	name, mac, addr, port string // port: the router's end
	gateway               string // MAC of the router on this wire
	fd, ifindex           int
}

// sighting is one place at which a packet came out.
type sighting struct {
	where    string
	src, dst netip.AddrPort
}

const sentinelType = 0x88b5 // IEEE 802: local experiments

func newFilterWorld(t *testing.T, six bool) *filterWorld {
	w := &filterWorld{t: t, six: six, router: nettest.New(t), out: map[uint32]int{}}
	run := func(h *netns.Handle, script string) { nettest.Run(t, h, "sh", "-ec", w.text(script)) }
	off := "1"
	if six {
		off = "0"
	}
	run(w.router, `
		for i in all default lo; do echo `+off+` >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done
		for i in all default; do echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad; done
		echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode
		ip link set lo up
		ip link add br0 type bridge mcast_snooping 0; ip link set br0 address 02:00:00:00:00:01 up
		ip addr add 10.9.0.1/24 dev br0
		for p in pa1 pa2 vb; do ip link add $p type veth peer name x$p; done
		ip link set pa1 master br0 up; ip link set pa2 master br0 up
		ip link set vb address 02:00:00:00:01:01 up; ip addr add 10.9.1.1/24 dev vb
		bridge fdb add 02:00:00:00:00:02 dev pa1 master static
		bridge fdb add 02:00:00:00:00:03 dev pa2 master static
		ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev br0 nud permanent
		ip neigh add 10.9.0.77 lladdr 02:00:00:00:00:02 dev br0 nud permanent
		ip neigh add 10.9.0.3 lladdr 02:00:00:00:00:03 dev br0 nud permanent
		ip neigh add 10.9.1.2 lladdr 02:00:00:00:01:02 dev vb nud permanent
		ip route add 10.9.2.0/24 via 10.9.1.2
		cd /proc/sys/net
		echo 1 >ipv4/ip_forward
		echo 1 >ipv6/conf/all/forwarding
		for i in all br0 vb; do echo 0 >ipv4/conf/$i/send_redirects; done
		echo 0 >ipv4/icmp_ratemask
		echo 0 >ipv6/icmp/ratelimit`)
	etherType := uint16(unix.ETH_P_IP)
	if six {
		etherType = unix.ETH_P_IPV6
	}
	for _, h := range []*filterHost{
		{name: "a1", mac: "02:00:00:00:00:02", addr: "10.9.0.2", port: "pa1", gateway: "02:00:00:00:00:01"},
		{name: "a2", mac: "02:00:00:00:00:03", addr: "10.9.0.3", port: "pa2", gateway: "02:00:00:00:00:01"},
		{name: "b", mac: "02:00:00:00:01:02", addr: "10.9.1.2", port: "vb", gateway: "02:00:00:00:01:01"},
	} {
		h.addr = w.text(h.addr)
		ns := nettest.New(t)
		run(w.router, fmt.Sprintf("ip link set x%s netns /proc/%d/fd/%d", h.port, os.Getpid(), ns.FD()))
		run(ns, fmt.Sprintf("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set x%s name eth0 address %s up", h.port, h.mac))
		w.must(ns.Do(func() (err error) {
			h.fd, h.ifindex, err = packetSocket(etherType, "eth0")
			return err
		}))
		t.Cleanup(func() { unix.Close(h.fd) })
		w.hosts = append(w.hosts, h)
	}
	// An address of IPv6 is the router's own once its link has been seen to be up.
	for deadline := time.Now().Add(20 * time.Second); six; {
		if nettest.Run(t, w.router, "ip", "-6", "address", "show", "tentative") == "" && strings.Count(nettest.Run(t, w.router, "ip", "-6", "route", "show", "table", "local"), "local fd00:9:") == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the router's addresses stay tentative")
		}
	}
	w.must(w.router.Do(func() error {
		domain, protos := unix.AF_INET, []int{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMP}
		if six {
			domain, protos[2] = unix.AF_INET6, unix.IPPROTO_ICMPV6
		}
		for _, proto := range protos {
			fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
			if err != nil {
				return err
			}
			w.raw = append(w.raw, fd)
			if six { // where it was sent to comes beside it
				if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
					return err
				}
			}
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
		}
		for _, mark := range []uint32{0, 1, 2} {
			fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
			if err != nil {
				return err
			}
			w.out[mark] = fd
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(mark)); err != nil {
				return err
			}
		}
		var err error
		w.marker, _, err = packetSocket(sentinelType, "")
		return err
	}))
	t.Cleanup(func() {
		for _, fd := range append(w.raw, w.out[0], w.out[1], w.out[2], w.marker) {
			unix.Close(fd)
		}
	})
	return w
}

func (w *filterWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// packetSocket opens a socket for frames of one type, of one interface or of all.
func packetSocket(etherType uint16, dev string) (fd, ifindex int, err error) {
	proto := etherType<<8 | etherType>>8
	if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(proto)); err != nil {
		return -1, 0, err
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if dev == "" {
		return fd, 0, nil
	}
	ifr, err := unix.NewIfreq(dev)
	if err != nil {
		return -1, 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return -1, 0, err
	}
	ifindex = int(ifr.Uint32())
	return fd, ifindex, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: proto, Ifindex: ifindex})
}

// read reads the router as nscope does.
func (w *filterWorld) read() {
	w.t.Helper()
	gap := func(reader string, err error, _ string) { w.t.Errorf("%s: %v", reader, err) }
	w.must(w.router.Do(func() error {
		w.ns = snapshot.Namespace{}
		c, err := rtnl.OpenTopology()
		if err != nil {
			return err
		}
		defer c.Close()
		c.ReadTopology(&w.ns, gap)
		if w.ns.Sysctls, err = procnet.Sysctls(w.ns.Sysctls); err != nil {
			return err
		}
		f, err := netfilter.Open()
		if err != nil {
			return err
		}
		defer f.Close()
		f.Read(&w.ns, gap)
		netfilter.ReadLegacy(&w.ns, gap)
		return nil
	}))
}

// flight is one packet to be sent. Its number stands in its payload, and is its source port or ICMP id.
type flight struct {
	id       int
	from     *filterHost // nil: the router itself
	to       *filterHost // bridged to this neighbour; nil: by the router
	proto    uint8
	src, dst netip.AddrPort
	flags    uint8
	mark     uint32
}

const magic = "nscope:"

func (f *flight) payload() []byte { return fmt.Appendf(nil, "%s%08d", magic, f.id) }

// packet is the flight as an IP packet.
func (f *flight) packet() []byte {
	var l4 []byte
	six := f.src.Addr().Is6()
	switch f.proto {
	case unix.IPPROTO_TCP:
		l4 = make([]byte, 20)
		wire.BigEndian.PutUint16(l4, f.src.Port())
		wire.BigEndian.PutUint16(l4[2:], f.dst.Port())
		wire.BigEndian.PutUint32(l4[4:], 1000)
		l4[12], l4[13] = 5<<4, f.flags
		wire.BigEndian.PutUint16(l4[14:], 1000)
	case unix.IPPROTO_UDP:
		l4 = make([]byte, 8)
		wire.BigEndian.PutUint16(l4, f.src.Port())
		wire.BigEndian.PutUint16(l4[2:], f.dst.Port())
		wire.BigEndian.PutUint16(l4[4:], uint16(8+len(f.payload())))
	default:
		l4 = make([]byte, 8)
		if l4[0] = 8; six {
			l4[0] = 128
		}
		wire.BigEndian.PutUint16(l4[4:], f.src.Port())
	}
	l4 = append(l4, f.payload()...)
	if six {
		return f.packet6(l4)
	}
	ip := make([]byte, 20, 20+len(l4))
	ip[0], ip[8], ip[9] = 0x45, 64, f.proto
	wire.BigEndian.PutUint16(ip[2:], uint16(20+len(l4)))
	src, dst := f.src.Addr().As4(), f.dst.Addr().As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	wire.BigEndian.PutUint16(ip[10:], checksum(ip, 0))
	at, sum := map[uint8]int{unix.IPPROTO_TCP: 16, unix.IPPROTO_UDP: 6, unix.IPPROTO_ICMP: 2}[f.proto], uint32(0)
	if f.proto != unix.IPPROTO_ICMP {
		sum = uint32(f.proto) + uint32(len(l4))
		for i := 12; i < 20; i += 2 {
			sum += uint32(wire.BigEndian.Uint16(ip[i:]))
		}
	}
	wire.BigEndian.PutUint16(l4[at:], checksum(l4, sum))
	return append(ip, l4...)
}

// packet6 puts an IPv6 header before what it carries.
func (f *flight) packet6(l4 []byte) []byte {
	proto := f.number()
	ip := make([]byte, 40, 40+len(l4))
	ip[0], ip[6], ip[7] = 0x60, proto, 64
	wire.BigEndian.PutUint16(ip[4:], uint16(len(l4)))
	src, dst := f.src.Addr().As16(), f.dst.Addr().As16()
	copy(ip[8:], src[:])
	copy(ip[24:], dst[:])
	sum := uint32(proto) + uint32(len(l4))
	for i := 8; i < 40; i += 2 {
		sum += uint32(wire.BigEndian.Uint16(ip[i:]))
	}
	at := map[uint8]int{unix.IPPROTO_TCP: 16, unix.IPPROTO_UDP: 6, unix.IPPROTO_ICMPV6: 2}[proto]
	wire.BigEndian.PutUint16(l4[at:], checksum(l4, sum))
	return append(ip, l4...)
}

// number is the protocol's: ICMP has another one in IPv6.
func (f *flight) number() uint8 {
	if f.proto == unix.IPPROTO_ICMP && f.src.Addr().Is6() {
		return unix.IPPROTO_ICMPV6
	}
	return f.proto
}

func (f *flight) etherType() uint16 {
	if f.src.Addr().Is6() {
		return unix.ETH_P_IPV6
	}
	return unix.ETH_P_IP
}

// to6 is how an address of these tests is written in IPv6.
func to6(a string) string {
	b := netip.MustParseAddr(a).As4()
	out := ""
	switch b[0] {
	case 10:
		out = fmt.Sprintf("fd00:9:%x::%x", b[2], b[3])
	case 0: // a mask
		out = fmt.Sprintf("::%x", b[3])
	default:
		out = fmt.Sprintf("2001:db8:%x::%x", b[2], b[3])
	}
	return netip.MustParseAddr(out).String()
}

var (
	addr4  = regexp.MustCompile(`\b(?:10\.9|198\.51\.100|203\.0\.113|0\.0\.0)\.[0-9.]+(?:/[0-9]+)?(?:(:)[0-9]+)?`)
	words6 = strings.NewReplacer("-p icmp", "-p ipv6-icmp", "-m icmp ", "-m icmp6 ", "--icmp-type 8", "--icmpv6-type 128", "--icmp-type echo-reply", "--icmpv6-type 129",
		"--icmp-type any", "--icmpv6-type 1", "icmp-port-unreachable", "icmp6-port-unreachable", "icmp-host-prohibited", "icmp6-addr-unreachable",
		"icmp-admin-prohibited", "icmp6-adm-prohibited", "icmp-net-unreachable", "icmp6-no-route", "LOCAL,BROADCAST", "LOCAL,MULTICAST",
		"ip saddr", "ip6 saddr", "ip daddr", "ip6 daddr", "ipv4_addr", "ipv6_addr", "table ip ", "table ip6 ", "icmp type", "icmpv6 type", "ip ttl", "ip6 hoplimit",
		"ip protocol icmp", "ip6 nexthdr icmpv6", "nfproto ipv4", "nfproto ipv6", "l4proto { tcp, icmp }", "l4proto { tcp, icmpv6 }", ". icmp }", ". icmpv6 }",
		"nat ip to", "nat ip6 to", "icmp host-prohibited", "icmpv6 addr-unreachable", "length > 45", "length > 65", "ether type ip ", "ether type ip6 ", "ip addr add", "ip -6 addr add",
		"ip neigh add", "ip -6 neigh add", "ip route add", "ip -6 route add")
	lengths6 = map[string]string{"/24": "/64", "/16": "/32", "/31": "/127", "/28": "/124", "/30": "/126"}
)

// text is a text of these tests in the world's family.
func (w *filterWorld) text(s string) string {
	if !w.six {
		return s
	}
	return words6.Replace(addr4.ReplaceAllStringFunc(s, func(a string) string {
		a, port, ported := strings.Cut(a, ":")
		a, bits, _ := strings.Cut(a, "/")
		out := to6(a)
		if bits != "" {
			out += lengths6["/"+bits]
		}
		if ported {
			out = "[" + out + "]:" + port
		}
		return out
	}))
}

func checksum(b []byte, sum uint32) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(wire.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func macOf(s string) []byte {
	var b [6]byte
	fmt.Sscanf(s, "%02x:%02x:%02x:%02x:%02x:%02x", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5])
	return b[:]
}

func frame(dst, src string, etherType uint16, body []byte) []byte {
	f := append(append([]byte{}, macOf(dst)...), macOf(src)...)
	return append(wire.BigEndian.AppendUint16(f, etherType), body...)
}

// send sends all flights and takes in all that came of them. One thread on one CPU sends everything, so that all of it waits
// in one backlog, in order: what was sent before a sentinel has been forwarded when that comes out of it, and what
// that led to stands before the next one.
func (w *filterWorld) send(flights []*flight) {
	w.t.Helper()
	w.seen, w.refused = map[int][]sighting{}, map[int]string{}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, one unix.CPUSet
	w.must(unix.SchedGetaffinity(0, &before))
	for i := range 1024 {
		if before.IsSet(i) {
			one.Set(i)
			break
		}
	}
	w.must(unix.SchedSetaffinity(0, &one))
	defer func() { w.must(unix.SchedSetaffinity(0, &before)) }()
	for _, f := range flights {
		if f.from == nil {
			var to unix.Sockaddr
			if w.six {
				to = &unix.SockaddrInet6{Addr: f.dst.Addr().As16()}
			} else {
				to = &unix.SockaddrInet4{Addr: f.dst.Addr().As4()}
			}
			err := unix.Sendto(w.out[f.mark], f.packet(), 0, to)
			// What a rule drops, or has no route once it is translated, is told to the sender.
			for _, ok := range []error{unix.EPERM, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EACCES, unix.EINVAL, unix.ECONNREFUSED} {
				if errors.Is(err, ok) {
					err = nil
				}
			}
			w.must(err)
			continue
		}
		mac := f.from.gateway
		if f.to != nil {
			mac = f.to.mac
		}
		w.must(unix.Sendto(f.from.fd, frame(mac, f.from.mac, f.etherType(), f.packet()), 0,
			&unix.SockaddrLinklayer{Ifindex: f.from.ifindex, Halen: 6}))
	}
	for range 6 {
		for _, h := range w.hosts {
			w.must(unix.Sendto(h.fd, frame(h.gateway, h.mac, sentinelType, make([]byte, 46)), 0,
				&unix.SockaddrLinklayer{Ifindex: h.ifindex, Halen: 6}))
			w.await(h.mac)
		}
	}
	for _, h := range w.hosts {
		drain(h.fd, func(b []byte, out bool) {
			if !out && len(b) > 34 && string(b[:6]) == string(macOf(h.mac)) {
				w.saw(h.name, b[14:], flights)
			}
		})
	}
	for i, fd := range w.raw {
		if w.six {
			drain6(fd, [...]uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_ICMPV6}[i], func(b []byte) { w.saw("router", b, flights) })
			continue
		}
		drain(fd, func(b []byte, _ bool) { w.saw("router", b, flights) })
	}
}

// await waits for a sentinel.
func (w *filterWorld) await(mac string) {
	for {
		p := []unix.PollFd{{Fd: int32(w.marker), Events: unix.POLLIN}}
		if n, err := unix.Poll(p, 10000); errors.Is(err, unix.EINTR) {
			continue
		} else if err != nil || n == 0 {
			w.t.Fatalf("the sentinel does not come: %v", err)
		}
		found := false
		drain(w.marker, func(b []byte, out bool) {
			found = found || !out && len(b) > 12 && string(b[6:12]) == string(macOf(mac))
		})
		if found {
			return
		}
	}
}

func drain(fd int, see func(b []byte, outgoing bool)) {
	buf := make([]byte, 65536)
	for {
		n, from, err := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		see(buf[:n], ok && ll.Pkttype == unix.PACKET_OUTGOING)
	}
}

// drain6 gives the packets of a raw socket of IPv6, which tells the header's addresses beside the packet, with a header again.
func drain6(fd int, proto uint8, see func(b []byte)) {
	buf, oob := make([]byte, 65536), make([]byte, 256)
	for {
		n, oobn, _, from, err := unix.Recvmsg(fd, buf, oob, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		ip := make([]byte, 40, 40+n)
		ip[0], ip[6] = 0x60, proto
		if sa, ok := from.(*unix.SockaddrInet6); ok {
			copy(ip[8:], sa.Addr[:])
		}
		all, _ := unix.ParseSocketControlMessage(oob[:oobn])
		for _, m := range all {
			if m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= 16 {
				copy(ip[24:], m.Data[:16])
			}
		}
		see(append(ip, buf[:n]...))
	}
}

// saw notes a packet that came out somewhere: a flight, or the refusal of one.
func (w *filterWorld) saw(where string, b []byte, flights []*flight) {
	var proto uint8
	var src, dst netip.Addr
	var l4 []byte
	switch {
	case len(b) >= 28 && b[0]>>4 == 4 && len(b) >= int(b[0]&15)*4+8:
		proto, l4 = b[9], b[int(b[0]&15)*4:]
		src, _ = netip.AddrFromSlice(b[12:16])
		dst, _ = netip.AddrFromSlice(b[16:20])
	case len(b) >= 48 && b[0]>>4 == 6:
		proto, l4 = b[6], b[40:]
		src, _ = netip.AddrFromSlice(b[8:24])
		dst, _ = netip.AddrFromSlice(b[24:40])
	default:
		return
	}
	echo := proto == unix.IPPROTO_ICMP && l4[0] == 8 || proto == unix.IPPROTO_ICMPV6 && l4[0] == 128
	switch {
	case proto == unix.IPPROTO_ICMP && (l4[0] == 3 || l4[0] == 11), proto == unix.IPPROTO_ICMPV6 && l4[0] < 128:
		if id := idIn(l4[8:]); id >= 0 {
			w.refused[id] = fmt.Sprintf("icmp %d/%d", l4[0], l4[1])
		}
		return
	case proto == unix.IPPROTO_TCP && len(l4) >= 20 && l4[13]&4 != 0:
		port := wire.BigEndian.Uint16(l4[2:])
		for _, f := range flights {
			if f.proto == unix.IPPROTO_TCP && f.src.Port() == port {
				w.refused[f.id] = "tcp-reset"
			}
		}
		return
	}
	id := idIn(l4)
	icmp := proto == unix.IPPROTO_ICMP || proto == unix.IPPROTO_ICMPV6
	if id < 0 || icmp && !echo {
		return // an echo reply is the answer of the router to a flight that came
	}
	s := sighting{where: where, src: netip.AddrPortFrom(src, 0), dst: netip.AddrPortFrom(dst, 0)}
	if !icmp {
		s.src = netip.AddrPortFrom(src, wire.BigEndian.Uint16(l4))
		s.dst = netip.AddrPortFrom(dst, wire.BigEndian.Uint16(l4[2:]))
	}
	w.seen[id] = append(w.seen[id], s)
}

// idIn is the number of the flight that a payload belongs to, -1 for none.
func idIn(b []byte) int {
	_, rest, ok := strings.Cut(string(b), magic)
	var id int
	if !ok || len(rest) < 8 {
		return -1
	}
	if _, err := fmt.Sscanf(rest[:8], "%d", &id); err != nil {
		return -1
	}
	return id
}
