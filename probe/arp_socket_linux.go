package probe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
)

// neighborSock sends and gets ARP packets or neighbour discovery on links of a namespace. Only what is said of one address is
// received.
type neighborSock struct {
	*sock
	addr netip.Addr
	buf  [2048]byte
}

// saidNeighbor is what somebody said of the address.
type saidNeighbor struct {
	index      int
	at         time.Time
	mac, frame net.HardwareAddr
	answer     bool // not a request of his own
	router     bool
}

// htons is a protocol in the byte order that packet sockets want.
func htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// openNeighbors opens the socket; with one link it hears of that one only.
func (f *From) openNeighbors(addr netip.Addr, links []ARPLink) (*neighborSock, error) {
	proto := htons(unix.ETH_P_ARP)
	if addr.Is6() {
		proto = htons(unix.ETH_P_IPV6)
	}
	// With protocol 0 nothing is received before the filter is there (packet(7)).
	s, err := f.open(unix.AF_PACKET, unix.SOCK_DGRAM, 0, func(fd int) error {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		prog := neighborFilter(addr)
		err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})
		if err != nil {
			return fmt.Errorf("filter: %w", err)
		}
		bind := &unix.SockaddrLinklayer{Protocol: proto}
		if len(links) == 1 {
			bind.Ifindex = links[0].Index
		}
		if addr.Is6() {
			// Answers to who tells no source go to all nodes; a link without IPv6 addresses may not listen to them.
			for _, l := range links {
				mr := unix.PacketMreq{Ifindex: int32(l.Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6, Address: [8]uint8{0x33, 0x33, 0, 0, 0, 1}}
				unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mr)
			}
		}
		return unix.Bind(fd, bind)
	})
	var enter *netns.OpError
	switch {
	case errors.As(err, &enter):
		return nil, err
	case errors.Is(err, fs.ErrPermission):
		return nil, &NeedsError{Probe: "arp", From: f.Name, Needs: "CAP_NET_RAW", Why: "packet sockets", Err: err}
	case err != nil:
		return nil, fmt.Errorf("arp from %s: %w", f.Name, err)
	}
	return &neighborSock{sock: s, addr: addr}, nil
}

// neighborFilter is a classic BPF program (linux/filter.h) for what is said of an address: ARP packets whose sender has it,
// neighbour advertisements with it as target. Offsets are from the network header on.
func neighborFilter(addr netip.Addr) []unix.SockFilter {
	var out []unix.SockFilter
	load := func(width uint16, offset uint32) {
		out = append(out, unix.SockFilter{Code: unix.BPF_LD | width | unix.BPF_ABS, K: offset})
	}
	var fails []int
	must := func(v uint32) {
		fails = append(fails, len(out))
		out = append(out, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: v})
	}
	if addr.Is4() {
		load(unix.BPF_W, 14)
		b := addr.As4()
		must(binary.BigEndian.Uint32(b[:]))
	} else {
		load(unix.BPF_B, 6)
		must(58)
		load(unix.BPF_B, 40)
		must(ndpAdvertisement)
		b := addr.As16()
		for i := range 4 {
			load(unix.BPF_W, uint32(48+4*i))
			must(binary.BigEndian.Uint32(b[4*i:]))
		}
	}
	out = append(out, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff}, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K})
	for _, i := range fails {
		out[i].Jf = uint8(len(out) - 1 - i - 1)
	}
	return out
}

// ask sends a request on a link.
func (s *neighborSock) ask(l ARPLink) error {
	mac, err := net.ParseMAC(l.MAC)
	if err != nil || len(mac) != 6 {
		return unix.EAFNOSUPPORT
	}
	to := &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ARP), Ifindex: l.Index, Halen: 6}
	var packet []byte
	dst := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	if s.addr.Is4() {
		packet = appendARP(nil, mac, l.Src, s.addr)
	} else {
		_, dst = solicitedNode(s.addr)
		to.Protocol = htons(unix.ETH_P_IPV6)
		packet = appendSolicitation(nil, mac, l.Src, s.addr)
	}
	copy(to.Addr[:], dst)
	for range 2 {
		// A link that went down leaves ENETDOWN in the socket.
		err = s.control(func(fd int) error { return unix.Sendto(fd, packet, unix.MSG_NOSIGNAL, to) })
		if err == nil {
			return nil
		}
	}
	return os.NewSyscallError("send", err)
}

// hear waits for what is said of the address, at most until the deadline.
func (s *neighborSock) hear(deadline time.Time) (saidNeighbor, error) {
	if err := s.file.SetReadDeadline(deadline); err != nil {
		return saidNeighbor{}, err
	}
	var out saidNeighbor
	var ok bool
	var err error
	e := s.raw.Read(func(fd uintptr) bool {
		out, ok, err = s.receive(int(fd))
		for err == nil && !ok { // what is malformed is nobody's answer
			out, ok, err = s.receive(int(fd))
		}
		return err != unix.EAGAIN
	})
	if e != nil {
		return out, e
	}
	return out, os.NewSyscallError("recv", err)
}

func (s *neighborSock) receive(fd int) (out saidNeighbor, ok bool, err error) {
	var oob [256]byte
	n, oobn, _, sa, err := unix.Recvmsg(fd, s.buf[:], oob[:], unix.MSG_DONTWAIT)
	if err != nil {
		return out, false, err
	}
	ll, isLink := sa.(*unix.SockaddrLinklayer)
	if !isLink || ll.Halen != 6 || ll.Pkttype == unix.PACKET_OUTGOING {
		return out, false, nil
	}
	ev := event{at: time.Now()}
	if msgs, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
		for _, m := range msgs {
			ev.control(m)
		}
	}
	out = saidNeighbor{index: ll.Ifindex, at: ev.at, frame: macOf(ll.Addr[:])}
	if s.addr.Is4() {
		p, ok := parseARP(s.buf[:n])
		out.mac, out.answer = p.senderMAC, p.op == arpReply
		return out, ok && p.sender == s.addr, nil
	}
	a, ok := parseAdvertisement(s.buf[:n])
	out.mac, out.router, out.answer = a.mac, a.router, true
	if out.mac == nil {
		out.mac = out.frame
	}
	return out, ok && a.target == s.addr, nil
}
