package corpus

import (
	"encoding/binary"
	"net/netip"
)

// transport is what IP carries: its protocol number and bytes. Only a whole packet has a tunnel in it.
func (g *Gen) transport(src, dst netip.Addr, depth int, whole bool) (byte, []byte) {
	v6 := src.Is6()
	if whole && depth < 3 && g.IntN(4) == 0 {
		return g.tunnel(src, dst, depth+1)
	}
	switch g.IntN(16) {
	case 0, 1, 2, 3, 4:
		return 6, g.TCP(src, dst)
	case 5, 6, 7, 8, 9:
		return 17, g.UDP(src, dst, g.Port(), g.Port(), g.body(g.IntN(60)), true)
	case 10:
		return 132, g.sctp()
	case 11:
		return 50, g.Bytes(40)
	case 12:
		return pick[byte](g, 2, 9, 89, 103, 112, 253), g.Bytes(8 + g.IntN(20))
	case 13:
		if v6 {
			return 59, nil
		}
		return 51, g.ah(src, dst)
	}
	if v6 {
		return 58, g.icmp6(src, dst)
	}
	return 1, g.icmp()
}

func seal(b []byte, at int, src, dst netip.Addr, proto byte) []byte {
	binary.BigEndian.PutUint16(b[at:], 0)
	start := uint32(proto) + uint32(len(b)) + uint32(Sum(src.AsSlice(), 0)) + uint32(Sum(dst.AsSlice(), 0))
	s := ^Sum(b, start)
	if proto == 17 && s == 0 {
		s = 0xffff
	}
	binary.BigEndian.PutUint16(b[at:], s)
	return b
}

// TCP is a segment.
func (g *Gen) TCP(src, dst netip.Addr) []byte {
	flags := pick[byte](g, 2, 0x12, 0x10, 0x18, 0x11, 4, 0x14, 0xc2)
	var opts []byte
	switch g.IntN(3) {
	case 0:
		opts = []byte{2, 4, 5, 0xb4, 4, 2, 1, 1}
	case 1:
		opts = append([]byte{1, 1, 8, 10}, g.Bytes(8)...)
	}
	b := u16(nil, g.Port(), g.Port())
	b = u32(b, g.Uint32(), g.Uint32())
	b = append(b, byte(20+len(opts))/4<<4, flags)
	b = u16(b, uint16(g.Uint32()), 0, 0)
	b = append(b, opts...)
	if flags&2 == 0 {
		b = append(b, g.payload()...)
	}
	b = seal(b, 16, src, dst, 6)
	switch g.IntN(30) {
	case 0:
		b[12] = byte(g.IntN(16)) << 4
	case 1:
		b[16] ^= 0xa5
	}
	return b
}

// body is n random bytes, or the mark.
func (g *Gen) body(n int) []byte {
	b := g.Bytes(n)
	if g.Mark != nil {
		return g.Mark
	}
	return b
}

// quoted is the beginning of a packet, or all of one that is marked.
func (g *Gen) quoted(b []byte, n int) []byte {
	if g.Mark != nil {
		return b
	}
	return b[:min(n, len(b))]
}

func (g *Gen) payload() []byte {
	if g.Mark != nil {
		return g.Mark
	}
	switch g.IntN(6) {
	case 0:
		return []byte("GET /index.html HTTP/1.1\r\nHost: web\r\n\r\n")
	case 1:
		return []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	return g.Bytes(g.IntN(100))
}

// UDP is a datagram.
func (g *Gen) UDP(src, dst netip.Addr, from, to uint16, body []byte, sum bool) []byte {
	b := u16(nil, from, to, uint16(8+len(body)), 0)
	b = append(b, body...)
	if sum || src.Is6() {
		b = seal(b, 6, src, dst, 17)
	}
	switch g.IntN(40) {
	case 0:
		b[7] ^= 0x5a
	case 1:
		binary.BigEndian.PutUint16(b[4:], uint16(g.IntN(200)))
	}
	return b
}

func (g *Gen) sctp() []byte {
	b := u16(nil, g.Port(), g.Port())
	b = u32(b, g.Uint32(), g.Uint32())
	return append(u16(append(b, 0, 3), 20), g.Bytes(16)...) // a DATA chunk
}

func (g *Gen) ah(src, dst netip.Addr) []byte {
	b := append([]byte{6, 4, 0, 0}, g.Bytes(20)...)
	return append(b, g.TCP(src, dst)...)
}

func (g *Gen) icmp() []byte {
	b := append([]byte{pick[byte](g, 8, 0, 8, 0, 3, 11, 5), byte(g.IntN(4)), 0, 0}, g.Bytes(4)...)
	if b[0] == 3 || b[0] == 11 || b[0] == 5 {
		b = append(b, g.quoted(g.IPv4(9), 28)...)
	} else {
		b[1] = 0
		b = append(b, g.body(g.IntN(56))...)
	}
	binary.BigEndian.PutUint16(b[2:], ^Sum(b, 0))
	return b
}

func (g *Gen) icmp6(src, dst netip.Addr) []byte {
	typ := pick[byte](g, 128, 129, 135, 136, 133, 134, 1, 2)
	b := append([]byte{typ, 0, 0, 0}, g.Bytes(4)...)
	switch typ {
	case 135, 136:
		b = append(b, g.Addr6().AsSlice()...)
	case 1, 2:
		b = append(b, g.quoted(g.IPv6(9), 48)...)
	default:
		b = append(b, g.body(g.IntN(32))...)
	}
	return seal(b, 2, src, dst, 58)
}

// VNI is one of a few.
func (g *Gen) VNI() uint32 { return pick[uint32](g, 1, 4096, 4097, 0xabcdef) }

// tunnel is a protocol that carries frames or packets.
func (g *Gen) tunnel(src, dst netip.Addr, depth int) (byte, []byte) {
	udp := func(port uint16, body []byte) (byte, []byte) {
		return 17, g.UDP(src, dst, uint16(32768+g.IntN(28000)), port, body, g.IntN(2) == 0)
	}
	switch g.IntN(9) {
	case 0, 1, 2:
		b := u32(nil, 0x08000000, g.VNI()<<8)
		if g.IntN(6) == 0 {
			b[0] |= 0x80
			binary.BigEndian.PutUint16(b[2:], uint16(g.IntN(1000)))
		}
		return udp(pick[uint16](g, 4789, 4789, 8472), append(b, g.Ether(depth)...))
	case 3:
		b := []byte{0x0c, 0, 0, 0}
		var body []byte
		switch b[3] = pick[byte](g, 1, 2, 3); b[3] {
		case 1:
			body = g.IPv4(depth)
		case 2:
			body = g.IPv6(depth)
		default:
			body = g.Ether(depth)
		}
		return udp(4790, append(u32(b, g.VNI()<<8), body...))
	case 4:
		var opts []byte
		if g.IntN(2) == 0 {
			opts = []byte{1, 2, 3, 1, 9, 9, 9, 9}
		}
		b := u16([]byte{byte(len(opts) / 4), 0}, 0x6558)
		b = append(u32(b, g.VNI()<<8), opts...)
		return udp(6081, append(b, g.Ether(depth)...))
	case 5:
		return 17, g.UDP(src, dst, 8285, 8285, g.IPv4(depth), true)
	case 6:
		return 4, g.IPv4(depth)
	case 7:
		return 41, g.IPv6(depth)
	}
	flags := pick[uint16](g, 0, 0x2000, 0x3000)
	typ := pick[uint16](g, 0x800, 0x86dd, 0x6558)
	b := u16(nil, flags, typ)
	if flags&0x2000 != 0 {
		b = u32(b, uint32(g.IntN(100)))
	}
	if flags&0x1000 != 0 {
		b = u32(b, g.Uint32())
	}
	switch typ {
	case 0x800:
		b = append(b, g.IPv4(depth)...)
	case 0x86dd:
		b = append(b, g.IPv6(depth)...)
	default:
		b = append(b, g.Ether(depth)...)
	}
	return 47, b
}
