package probe

import (
	"encoding/binary"
	"net/netip"
)

// echoHeader is the length of an ICMP or ICMPv6 echo's header in bytes (RFC 792, RFC 4443 §4.1).
const echoHeader = 8

// ipHeader is the length of an IP header without options or extension headers, in bytes.
func ipHeader(v6 bool) int {
	if v6 {
		return 40
	}
	return 20
}

// maxEcho is the largest payload of an echo request, in bytes: the length fields of both versions have 16 bits, and IPv6's
// does not count the header.
func maxEcho(v6 bool) int {
	if v6 {
		return 65535 - echoHeader
	}
	return 65535 - 20 - echoHeader
}

// echoMessage is an echo request or reply.
type echoMessage struct {
	typ     uint8
	id, seq uint16
	payload []byte
}

// appendEcho appends an echo request, in network byte order. The checksum is that of ICMP; that of ICMPv6 covers the addresses
// and is the kernel's to fill in.
func appendEcho(b []byte, v6 bool, id, seq uint16, payload []byte) []byte {
	begin := len(b)
	typ := uint8(icmpEcho)
	if v6 {
		typ = icmp6Echo
	}
	b = append(b, typ, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = append(b, payload...)
	if !v6 {
		binary.BigEndian.PutUint16(b[begin+2:], onesComplement(b[begin:], 0))
	}
	return b
}

// parseEchoMessage reads an echo message; header tells that an IPv4 header stands before it, as a raw socket has it. The payload is
// part of b.
func parseEchoMessage(b []byte, header bool) (m echoMessage, ok bool) {
	if header {
		if len(b) < 20 || b[0]>>4 != 4 {
			return m, false
		}
		n := int(b[0]&0xf) * 4
		if n < 20 || len(b) < n {
			return m, false
		}
		b = b[n:]
	}
	if len(b) < echoHeader || b[1] != 0 {
		return m, false
	}
	m.typ, m.id, m.seq = b[0], binary.BigEndian.Uint16(b[4:]), binary.BigEndian.Uint16(b[6:])
	m.payload = b[echoHeader:]
	return m, true
}

// onesComplement is the Internet checksum (RFC 1071) of b, after sum.
func onesComplement(b []byte, sum uint32) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
		sum = sum&0xffff + sum>>16
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// pseudoSum is the part of an ICMPv6 checksum that covers the pseudo-header (RFC 8200 §8.1).
func pseudoSum(src, dst netip.Addr, length int) uint32 {
	s, d := src.As16(), dst.As16()
	sum := uint32(length) + 58
	for i := 0; i < 16; i += 2 {
		sum += uint32(s[i])<<8 | uint32(s[i+1])
		sum += uint32(d[i])<<8 | uint32(d[i+1])
	}
	return sum
}
