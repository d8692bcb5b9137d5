package probe

import (
	"encoding/binary"
	"net/netip"
)

// Protocols (IANA) that a quoted packet may be of.
const (
	protoHopByHop = 0
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoICMP6    = 58
	protoDstOpts  = 60
	protoSCTP     = 132
	protoUDPLite  = 136
)

// quote is the packet that an ICMP error is about, as far as the error has it: at least its addresses. Ports are 0 where it
// was cut before them or has none; of an ICMP echo the identifier is the source's port and the sequence number the
// destination's.
type quote struct {
	Proto    uint8
	Src, Dst netip.AddrPort
}

// icmpMessage is an ICMP error: its type, code, the next hop's MTU of a "too big" and the packet that it quotes.
type icmpMessage struct {
	Type, Code uint8
	MTU        uint32
	Quote      quote
}

// parseICMP reads an ICMP error (v6: ICMPv6), from its own header on. Other messages, and those that quote less than a packet's
// addresses and protocol, are not ok.
func parseICMP(v6 bool, b []byte) (m icmpMessage, ok bool) {
	if len(b) < 8 {
		return m, false
	}
	m.Type, m.Code = b[0], b[1]
	switch {
	case !v6 && (m.Type == icmpUnreachable || m.Type == icmpExceeded || m.Type == icmpParameter):
		if m.Type == icmpUnreachable && m.Code == 4 {
			m.MTU = uint32(binary.BigEndian.Uint16(b[6:])) // RFC 1191 §4
		}
		m.Quote, ok = parseQuote4(b[8:])
	case v6 && m.Type >= icmp6Unreachable && m.Type <= icmp6Parameter:
		if m.Type == icmp6TooBig {
			m.MTU = binary.BigEndian.Uint32(b[4:])
		}
		m.Quote, ok = parseQuote6(b[8:])
	}
	return m, ok
}

// parseQuote4 reads an IPv4 packet that may be cut (RFC 791).
func parseQuote4(b []byte) (q quote, ok bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return q, false
	}
	header := int(b[0]&15) * 4
	if header < 20 {
		return q, false
	}
	q.Proto = b[9]
	src, dst := netip.AddrFrom4([4]byte(b[12:])), netip.AddrFrom4([4]byte(b[16:]))
	var sp, dp uint16
	if binary.BigEndian.Uint16(b[6:])&0x1fff == 0 && len(b) > header { // only the first fragment has ports
		sp, dp = ports(q.Proto, b[header:])
	}
	q.Src, q.Dst = netip.AddrPortFrom(src, sp), netip.AddrPortFrom(dst, dp)
	return q, true
}

// parseQuote6 reads an IPv6 packet that may be cut, past its extension headers (RFC 8200 §4).
func parseQuote6(b []byte) (q quote, ok bool) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return q, false
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	q.Proto = b[6]
	rest, first := b[40:], true
	for len(rest) >= 8 && first {
		length := 0
		switch q.Proto {
		case protoHopByHop, protoRouting, protoDstOpts:
			length = (int(rest[1]) + 1) * 8
		case protoAH: // RFC 4302 §2.2
			length = (int(rest[1]) + 2) * 4
		case protoFragment:
			length = 8
			first = binary.BigEndian.Uint16(rest[2:])&0xfff8 == 0
		}
		if length == 0 {
			break
		}
		q.Proto = rest[0]
		rest = rest[min(length, len(rest)):]
	}
	var sp, dp uint16
	if first {
		sp, dp = ports(q.Proto, rest)
	}
	q.Src, q.Dst = netip.AddrPortFrom(src, sp), netip.AddrPortFrom(dst, dp)
	return q, true
}

// ports reads those of a transport's header, 0 where it is cut before them.
func ports(proto uint8, b []byte) (src, dst uint16) {
	switch proto {
	case protoTCP, protoUDP, protoSCTP, protoUDPLite:
		if len(b) >= 4 {
			return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		}
	case protoICMP, protoICMP6:
		if len(b) >= 8 && (b[0] == icmpEcho || b[0] == icmp6Echo) {
			return binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
		}
	}
	return 0, 0
}
