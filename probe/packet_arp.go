package probe

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// arpLength is that of an ARP packet for Ethernet and IPv4, in bytes (RFC 826).
const arpLength = 28

// ARP operations.
const (
	arpRequest = 1
	arpReply   = 2
)

// arpPacket is one for Ethernet and IPv4.
type arpPacket struct {
	op                   uint16
	senderMAC, targetMAC net.HardwareAddr
	sender, target       netip.Addr
}

// appendARP appends a request for target in network byte order. A zero sender makes it a probe (RFC 5227 §2.1.1), which nobody
// learns from.
func appendARP(b []byte, mac net.HardwareAddr, sender, target netip.Addr) []byte {
	b = append(b, 0, 1, 8, 0, 6, 4, 0, arpRequest)
	b = append(b, mac[:6]...)
	if sender.Is4() {
		b = append(b, sender.AsSlice()...)
	} else {
		b = append(b, 0, 0, 0, 0)
	}
	b = append(b, 0, 0, 0, 0, 0, 0)
	return append(b, target.AsSlice()...)
}

// parseARP reads a packet. ok is false where it is cut or not about Ethernet and IPv4.
func parseARP(b []byte) (p arpPacket, ok bool) {
	if len(b) < arpLength || binary.BigEndian.Uint16(b) != 1 || binary.BigEndian.Uint16(b[2:]) != 0x800 || b[4] != 6 || b[5] != 4 {
		return p, false
	}
	p.op = binary.BigEndian.Uint16(b[6:])
	p.senderMAC, p.targetMAC = macOf(b[8:]), macOf(b[18:])
	p.sender, p.target = netip.AddrFrom4([4]byte(b[14:])), netip.AddrFrom4([4]byte(b[24:]))
	return p, p.op == arpRequest || p.op == arpReply
}

// macOf copies six bytes.
func macOf(b []byte) net.HardwareAddr { return append(net.HardwareAddr(nil), b[:6]...) }
