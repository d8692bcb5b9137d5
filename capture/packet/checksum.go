package packet

import (
	"encoding/binary"
	"math/bits"
)

// sum is the one's complement sum of b over 16-bit words in network byte order, folded (RFC 1071): 0xffff over what includes its
// own right checksum. start is added as it is.
func sum(b []byte, start uint64) uint16 { return swapped(add(b, 0), start) }

// swapped makes of what add gives the sum in network byte order: the sum of swapped words is the swapped sum (RFC 1071 §2 (B)).
func swapped(s, start uint64) uint16 { return fold(uint64(bits.ReverseBytes16(fold(s))) + start) }

// add adds b, over words as they lie in a little-endian machine's memory, to s.
func add(b []byte, s uint64) uint64 {
	carry := uint64(0)
	for len(b) >= 32 { // four at a time: the carry stays in the processor's flag between them
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[8:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[16:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	for len(b) >= 8 {
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b), carry)
		b = b[8:]
	}
	last := uint64(0)
	if len(b) >= 4 {
		last = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
		for i, c := range b {
			last |= uint64(c) << (32 + 8*i)
		}
	} else {
		for i, c := range b {
			last |= uint64(c) << (8 * i)
		}
	}
	s, carry = bits.Add64(s, last, carry)
	s, carry = bits.Add64(s, carry, 0)
	return s + carry
}

// headerOK tells whether the sum over an IPv4 header is right. Nearly all have 20 bytes.
func headerOK(b []byte) bool {
	if len(b) != 20 {
		return sum(b, 0) == 0xffff
	}
	s, carry := bits.Add64(binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), 0)
	s, carry = bits.Add64(s, uint64(binary.LittleEndian.Uint32(b[16:])), carry)
	s, carry = bits.Add64(s, carry, 0)
	return fold(s+carry) == 0xffff
}

// fold adds the halves of a sum until one word is left: what is carried out of the lower half is carried into the higher, and out of that
// comes round again.
func fold(s uint64) uint16 {
	x := uint32((s + bits.RotateLeft64(s, 32)) >> 32)
	return uint16((x + bits.RotateLeft32(x, 16)) >> 16)
}

// pseudo is the sum of the pseudo header's addresses as add gives it, and the rest of it (RFC 9293 §3.1, RFC 8200 §8.1).
func pseudo(p *Packet, h *Head, length int) (addrs, rest uint64) {
	if h.Version == 4 {
		addrs = binary.LittleEndian.Uint64(p.Data[h.Net+12:])
	} else {
		addrs = add(p.Data[h.Net+8:h.Net+40], 0)
	}
	return addrs, uint64(length) + uint64(h.Proto)
}

// verify checks the transport's checksum, where the whole packet is there. One that is only the pseudo header's sum is still
// to be completed by the device (CHECKSUM_PARTIAL): a packet that is sent on this host.
func (d *Decoder) verify(p *Packet, h *Head) {
	if h.L4 < 0 || h.End > len(p.Data) || h.Status&(Malformed|Truncated|Fragment|MoreFrags) != 0 || h.Version == 0 {
		return
	}
	b := p.Data[h.L4:h.End]
	at := 0
	switch h.Proto {
	case TCP:
		at = 16
	case UDP:
		at = 6
		if len(b) < 8 || b[6] == 0 && b[7] == 0 {
			return // none: allowed over IPv4, and in tunnels
		}
	case ICMPv6:
		at = 2
	case ICMP:
		if sum(b, 0) != 0xffff {
			h.Status |= BadL4Sum
		}
		return
	default:
		return
	}
	if h.Version == 6 && h.routed(p) {
		return // the pseudo header has the final destination
	}
	addrs, rest := pseudo(p, h, len(b))
	if swapped(add(b, addrs), rest) == 0xffff {
		return
	}
	if field := binary.BigEndian.Uint16(b[at:]); field == swapped(addrs, rest) {
		h.Status |= Offloaded
		return
	}
	h.Status |= BadL4Sum
}

// routed tells whether there is an IPv6 routing header with segments left.
func (h *Head) routed(p *Packet) bool {
	next, off := p.Data[h.Net+6], h.Net+40
	for off < h.L4 && off+8 <= len(p.Data) {
		switch next {
		case Routing:
			if p.Data[off+3] != 0 {
				return true
			}
			next, off = p.Data[off], off+int(p.Data[off+1])*8+8
		case FragHdr:
			next, off = p.Data[off], off+8
		case AH:
			next, off = p.Data[off], off+(int(p.Data[off+1])+2)*4
		default:
			next, off = p.Data[off], off+int(p.Data[off+1])*8+8
		}
	}
	return false
}
