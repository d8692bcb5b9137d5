package probe

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Neighbour discovery (RFC 4861 §4.3, §4.4, §4.6.1).
const (
	ndpSolicitation  = 135
	ndpAdvertisement = 136
	ndpSourceMAC     = 1
	ndpTargetMAC     = 2
	ndpHopLimit      = 255
	ndpLength        = 24 // of both messages, without options
)

// solicitedNode is the multicast group of all that may have an address (RFC 4291 §2.7.1), and its Ethernet address (RFC 2464).
func solicitedNode(a netip.Addr) (netip.Addr, net.HardwareAddr) {
	b := a.As16()
	group := netip.AddrFrom16([16]byte{0xff, 2, 11: 1, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
	return group, net.HardwareAddr{0x33, 0x33, 0xff, b[13], b[14], b[15]}
}

// appendSolicitation appends an IPv6 packet that asks for target's hardware address. A zero source makes it what duplicate
// address detection sends (RFC 4862 §5.4.2): the answer then goes to all nodes, and nobody learns from it.
func appendSolicitation(b []byte, mac net.HardwareAddr, src, target netip.Addr) []byte {
	dst, _ := solicitedNode(target)
	length := ndpLength
	if src.IsValid() {
		length += 8
	} else {
		src = netip.IPv6Unspecified()
	}
	b = append(b, 0x60, 0, 0, 0, 0, byte(length), 58, ndpHopLimit)
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	begin := len(b)
	b = append(b, ndpSolicitation, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, target.WithZone("").AsSlice()...)
	if length > ndpLength {
		b = append(append(b, ndpSourceMAC, 1), mac[:6]...)
	}
	binary.BigEndian.PutUint16(b[begin+2:], onesComplement(b[begin:], pseudoSum(src, dst, length)))
	return b
}

// advertisement is a neighbour advertisement.
type advertisement struct {
	from, target                netip.Addr
	router, solicited, override bool
	mac                         net.HardwareAddr // nil where it says none
}

// parseAdvertisement reads an IPv6 packet. ok is false for all that a host must ignore (RFC 4861 §7.1.2).
func parseAdvertisement(b []byte) (a advertisement, ok bool) {
	if len(b) < 40+ndpLength || b[0]>>4 != 6 || b[6] != 58 || b[7] != ndpHopLimit {
		return a, false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < ndpLength || len(b) < 40+n {
		return a, false
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:])), netip.AddrFrom16([16]byte(b[24:]))
	m := b[40 : 40+n]
	if m[0] != ndpAdvertisement || m[1] != 0 || onesComplement(m, pseudoSum(src, dst, n)) != 0 {
		return a, false
	}
	a.from, a.target = src, netip.AddrFrom16([16]byte(m[8:]))
	a.router, a.solicited, a.override = m[4]&0x80 != 0, m[4]&0x40 != 0, m[4]&0x20 != 0
	if a.target.IsMulticast() || dst.IsMulticast() && a.solicited {
		return a, false
	}
	for o := m[ndpLength:]; len(o) > 0; {
		if len(o) < 8 || o[1] == 0 || len(o) < int(o[1])*8 {
			return a, false
		}
		if o[0] == ndpTargetMAC && o[1] == 1 {
			a.mac = macOf(o[2:])
		}
		o = o[int(o[1])*8:]
	}
	return a, true
}
