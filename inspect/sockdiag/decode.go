package sockdiag

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

const (
	afInet  = 2
	afInet6 = 10

	protoTCP = 6
	protoUDP = 17
	protoRaw = 255

	reqLen = 56 // struct inet_diag_req_v2
	msgLen = 72 // struct inet_diag_msg

	attrSkmeminfo = 7 // INET_DIAG_*
	attrV6Only    = 11
	attrMark      = 15

	skDrops = 8 // SK_MEMINFO_DROPS (sock_diag.h)

	sockDiagByFamily = 20

	allStates = 0x1fff
)

// states are TCP_* (net/tcp_states.h); sockets of every kind use them.
var states = [...]string{
	1: "established", 2: "syn-sent", 3: "syn-recv", 4: "fin-wait-1", 5: "fin-wait-2", 6: "time-wait", 7: "unconnected",
	8: "close-wait", 9: "last-ack", 10: "listen", 11: "closing", 12: "syn-recv", 13: "bound-inactive",
}

func stateName(s uint8) string {
	if int(s) < len(states) && states[s] != "" {
		return states[s]
	}
	return strconv.Itoa(int(s))
}

// request makes the header of a dump of these states (bits), with memory figures (for the drops).
func request(family, proto uint8, states uint32) []byte {
	b := make([]byte, reqLen)
	b[0], b[1], b[2] = family, proto, 1<<(attrSkmeminfo-1)
	binary.NativeEndian.PutUint32(b[4:], states)
	return b
}

// decode decodes struct inet_diag_msg and its attributes. Ports stand in network byte order; that of a raw socket is its IP
// protocol. An IPv4 peer of an IPv6 socket keeps its mapped form, ::ffff:10.0.0.1.
func decode(b []byte, proto string, s *snapshot.Socket) bool {
	if len(b) < msgLen {
		return false
	}
	n := 0
	*s = snapshot.Socket{Proto: proto}
	switch b[0] {
	case afInet:
		s.Family, n = "inet", 4
	case afInet6:
		s.Family, n = "inet6", 16
	default:
		return false
	}
	s.State = stateName(b[1])
	s.Local = netip.AddrPortFrom(nlwire.Addr(b[8:8+n]), nlwire.BE16(b[4:]))
	s.Remote = remote(netip.AddrPortFrom(nlwire.Addr(b[24:24+n]), nlwire.BE16(b[6:])))
	s.Ifindex = nlwire.I32(b[40:])
	s.RxQueue = nlwire.U32(b[56:])
	s.TxQueue = nlwire.U32(b[60:])
	s.UID = nlwire.U32(b[64:])
	s.Inode = uint64(nlwire.U32(b[68:]))
	for a := nlwire.WalkAfter(b, msgLen); a.Next(); {
		switch a.Type {
		case attrSkmeminfo:
			if len(a.Val) >= 4*(skDrops+1) {
				s.Drops = nlwire.U32(a.Val[4*skDrops:])
			}
		case attrV6Only:
			s.V6Only = nlwire.U8(a.Val) != 0
		case attrMark:
			s.Mark = nlwire.U32(a.Val)
		}
	}
	return true
}

// remote is the zero AddrPort where a socket has no peer.
func remote(a netip.AddrPort) netip.AddrPort {
	if a.Port() == 0 && a.Addr().IsUnspecified() {
		return netip.AddrPort{}
	}
	return a
}
