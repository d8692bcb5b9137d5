package corpus

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// Gen makes random frames.
type Gen struct {
	*rand.Rand
	// Mark is what every transport carries, where not nil, and what errors quote whole.
	Mark []byte
}

// New makes a generator; the same seed gives the same frames.
func New(seed uint64) *Gen { return &Gen{Rand: rand.New(rand.NewPCG(seed, 7))} }

// Frame is one Ethernet frame, of WireLen bytes of which Data were captured.
type Frame struct {
	Data    []byte
	WireLen int
}

// Frames makes n frames; cut tells how many of a hundred are cut off somewhere.
func (g *Gen) Frames(n, cut int) []Frame {
	out := make([]Frame, 0, n)
	for range n {
		b := g.Ether(0)
		f := Frame{b, len(b)}
		if g.IntN(100) < cut {
			f.Data = b[:g.IntN(len(b)+1)]
		}
		out = append(out, f)
	}
	return out
}

// Truncations are all the beginnings of a frame, the whole last.
func Truncations(b []byte) []Frame {
	out := make([]Frame, 0, len(b)+1)
	for i := range len(b) + 1 {
		out = append(out, Frame{b[:i], len(b)})
	}
	return out
}

func u16(b []byte, v ...uint16) []byte {
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, x)
	}
	return b
}

func u32(b []byte, v ...uint32) []byte {
	for _, x := range v {
		b = binary.BigEndian.AppendUint32(b, x)
	}
	return b
}

// pick takes one of a few values, so that filters that name them match often.
func pick[T any](g *Gen, v ...T) T { return v[g.IntN(len(v))] }

// MAC is one of four stations, broadcast, or a multicast address.
func (g *Gen) MAC() []byte {
	return pick(g, []byte{2, 0x42, 10, 0, 0, 2}, []byte{2, 0x42, 10, 0, 0, 3}, []byte{2, 0x42, 10, 0, 1, 2}, []byte{0xaa, 0xbb, 0xcc, 0, 0, 1},
		[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, []byte{1, 0, 0x5e, 0, 0, 1})
}

// Addr4 and Addr6 are one of a few addresses.
func (g *Gen) Addr4() netip.Addr {
	return netip.MustParseAddr(pick(g, "10.0.1.2", "10.0.1.3", "10.0.2.2", "10.99.0.1", "10.99.0.2", "192.168.1.77", "224.0.0.1", "255.255.255.255"))
}

func (g *Gen) Addr6() netip.Addr {
	return netip.MustParseAddr(pick(g, "fd00::2", "fd00::3", "fe80::42:aff:fe00:2", "ff02::1", "2001:db8::1"))
}

// Port is often a known one, never a tunnel's.
func (g *Gen) Port() uint16 {
	p := pick(g, 80, 443, 53, 22, 8080, 5432, uint16(1024+g.IntN(60000)))
	switch p {
	case 4789, 8472, 4790, 6081, 8285:
		return 40000
	}
	return p
}

// Ether is a whole frame; depth is how many tunnels it is in already.
func (g *Gen) Ether(depth int) []byte {
	b := append(append([]byte{}, g.MAC()...), g.MAC()...)
	for range pick(g, 0, 0, 0, 0, 0, 0, 1, 1, 2) {
		b = u16(b, pick[uint16](g, 0x8100, 0x8100, 0x88a8), uint16(g.IntN(4))<<13|pick[uint16](g, 1, 100, 4094))
	}
	switch x := g.IntN(20); {
	case x == 0:
		return append(u16(b, 0x806), g.ARP(pick[uint16](g, 1, 2))...)
	case x == 1:
		return append(u16(b, 0x8035), g.ARP(3)...)
	case x == 2:
		return append(u16(b, pick[uint16](g, 0x88cc, 0x9000, 0x22f0)), g.Bytes(g.IntN(40))...)
	case x == 3: // 802.2
		return append(u16(b, 43), append([]byte{0x42, 0x42, 3}, make([]byte, 43)...)...)
	case x == 4:
		return append(u16(b, 0x8847), g.mpls(depth)...)
	case x < 14:
		return g.pad(append(u16(b, 0x800), g.IPv4(depth)...))
	}
	return append(u16(b, 0x86dd), g.IPv6(depth)...)
}

// pad fills a frame up to the least length, as NICs do.
func (g *Gen) pad(b []byte) []byte {
	if len(b) < 60 && g.IntN(3) == 0 {
		return append(b, make([]byte, 60-len(b))...)
	}
	return b
}

func (g *Gen) mpls(depth int) []byte {
	var b []byte
	for n := pick(g, 1, 1, 2); n > 0; n-- {
		last := uint32(0)
		if n == 1 {
			last = 1 << 8
		}
		b = u32(b, pick[uint32](g, 16, 1000, 1024)<<12|last|64)
	}
	if g.IntN(2) == 0 {
		return append(b, g.IPv4(depth)...)
	}
	return append(b, g.IPv6(depth)...)
}

// Bytes are n random bytes.
func (g *Gen) Bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// ARP is an ARP packet for IPv4 over Ethernet.
func (g *Gen) ARP(op uint16) []byte {
	b := append(u16(nil, 1, 0x800), 6, 4)
	b = u16(b, op)
	b = append(append(b, g.MAC()...), g.Addr4().AsSlice()...)
	return append(append(b, g.MAC()...), g.Addr4().AsSlice()...)
}

// IPv4 is a packet with whatever in it.
func (g *Gen) IPv4(depth int) []byte {
	src, dst := g.Addr4(), g.Addr4()
	var opts []byte
	switch g.IntN(12) {
	case 0:
		opts = []byte{148, 4, 0, 0} // router alert
	case 1:
		opts = append([]byte{7, 11, 4}, make([]byte, 9)...) // record route, end of options
	}
	frag := uint16(0)
	switch g.IntN(12) {
	case 0:
		frag = 0x4000
	case 1:
		frag = 0x2000
	case 2:
		frag = uint16(1 + g.IntN(100))
	case 3:
		frag = 0x2000 | uint16(1+g.IntN(100))
	}
	proto, body := g.transport(src, dst, depth, frag == 0 || frag == 0x4000)
	b := []byte{0x45 + byte(len(opts)/4), byte(g.IntN(2) * 0xb8)}
	b = u16(b, uint16(20+len(opts)+len(body)), uint16(g.Uint32()), frag)
	b = append(b, byte(1+g.IntN(64)), proto, 0, 0)
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	b = append(b, opts...)
	binary.BigEndian.PutUint16(b[10:], ^Sum(b, 0))
	if g.IntN(40) == 0 {
		b[10] ^= 0x55
	}
	return append(b, body...)
}

// IPv6 is a packet with whatever in it, behind some extension headers.
func (g *Gen) IPv6(depth int) []byte {
	src, dst := g.Addr6(), g.Addr6()
	whole := true
	var ext []byte
	var types []byte
	add := func(typ byte, body []byte) { types, ext = append(types, typ), append(ext, body...) }
	if g.IntN(10) == 0 {
		add(0, []byte{0, 0, 5, 2, 0, 0, 1, 0}) // hop by hop: router alert
	}
	if g.IntN(12) == 0 {
		add(60, []byte{0, 0, 1, 4, 0, 0, 0, 0})
	}
	if g.IntN(12) == 0 {
		add(43, append([]byte{0, 2, 0, 0, 0, 0, 0, 0}, g.Addr6().AsSlice()...))
	}
	if g.IntN(10) == 0 {
		off := pick[uint16](g, 0, 0, 1, 8, 100)
		more := uint16(g.IntN(2))
		whole = off == 0 && more == 0
		add(44, u32(u16([]byte{0, 0}, off<<3|more), g.Uint32()))
	}
	proto, body := g.transport(src, dst, depth, whole)
	// Each header names the next.
	at := 0
	for i := range types {
		next := proto
		if i+1 < len(types) {
			next = types[i+1]
		}
		ext[at] = next
		if types[i] == 44 {
			at += 8
		} else {
			at += int(ext[at+1])*8 + 8
		}
	}
	first := proto
	if len(types) > 0 {
		first = types[0]
	}
	b := u32(nil, 6<<28|uint32(g.IntN(1<<20)))
	b = u16(b, uint16(len(ext)+len(body)))
	b = append(b, first, byte(1+g.IntN(64)))
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	return append(append(b, ext...), body...)
}

// Sum is the one's complement sum of b.
func Sum(b []byte, start uint32) uint16 {
	s := start
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
