package bench

import (
	"bufio"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/miekg/dns"
)

// traffic makes frames as the underlay of an overlay network carries them: VXLAN between a few nodes, and in it what containers say, with right
// checksums, in sizes as on a busy host: many small (acknowledgements, questions, pings), some full.
type traffic struct {
	*rand.Rand
	buf   []byte
	dns   []byte
	conns [512]conn
}

// conn is a TCP connection between two containers.
type conn struct {
	port     uint16
	seq, ack uint32
}

func newTraffic() *traffic {
	t := &traffic{Rand: rand.New(rand.NewPCG(6, 1))}
	m := new(dns.Msg)
	m.SetQuestion("db.backend.example.", dns.TypeA)
	t.dns, _ = m.Pack()
	for i := range t.conns {
		t.conns[i] = conn{uint16(32768 + i*53), t.Uint32(), t.Uint32()}
	}
	return t
}

func ones(b []byte, s uint64) uint16 {
	for ; len(b) >= 8; b = b[8:] {
		var c uint64
		s, c = bits.Add64(s, binary.BigEndian.Uint64(b), 0)
		s += c
	}
	for ; len(b) >= 2; b = b[2:] {
		var c uint64
		s, c = bits.Add64(s, uint64(binary.BigEndian.Uint16(b)), 0)
		s += c
	}
	if len(b) == 1 {
		var c uint64
		s, c = bits.Add64(s, uint64(b[0])<<8, 0)
		s += c
	}
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// Lengths of headers.
const (
	etherLen = 14
	ipLen    = 20
	udpLen   = 8
	vxlanLen = 8
	tcpLen   = 20
	outerLen = etherLen + ipLen + udpLen + vxlanLen
)

// ip fills an IPv4 header in; the payload follows it.
func ip(b []byte, id uint16, proto byte, src, dst [4]byte) {
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], 0x4000)
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], ^ones(b[:ipLen], 0))
}

// seal fills a transport's checksum in.
func seal(b []byte, at int) {
	l4 := b[ipLen:]
	binary.BigEndian.PutUint16(l4[at:], ^ones(l4, uint64(len(l4))+uint64(b[9])+uint64(ones(b[12:20], 0))))
}

// frame makes the next frame, valid until the one after it.
func (t *traffic) frame(i int) []byte {
	return t.make(i, t.IntN(100), [...]int{0, 0, 0, 24, 120, 300, 700, 1360}[t.IntN(8)])
}

// make makes a frame of one of a hundred kinds, of which most are TCP segments with a payload of that size.
func (t *traffic) make(i, kind, size int) []byte {
	n := ipLen
	switch {
	case kind < 70:
		n += tcpLen + size
	case kind < 80:
		n += udpLen + 40 + size/2
	case kind < 88:
		n += udpLen + len(t.dns)
	case kind < 97:
		n += 64
	default:
		n = 28 // ARP
	}
	total := outerLen + etherLen + n
	if cap(t.buf) < total {
		t.buf = make([]byte, 2048)
		for j := range t.buf {
			t.buf[j] = byte(t.Uint32()) | 0x80 // no text
		}
	}
	b := t.buf[:total]
	clear(b[:outerLen+etherLen+ipLen+tcpLen])
	c := &t.conns[t.IntN(len(t.conns))]
	node := byte(c.port % 3)
	copy(b, []byte{2, 0x42, 10, 99, 0, 1 + node, 2, 0x42, 10, 99, 0, 2 + node, 8, 0})
	src, dst := [4]byte{10, 0, 1, byte(2 + c.port%100)}, [4]byte{10, 0, 1, byte(110 + c.port%90)}
	in := b[outerLen:]
	copy(in, []byte{2, 0x42, 10, 0, 1, dst[3], 2, 0x42, 10, 0, 1, src[3], 8, 0})
	p := in[etherLen:]
	ip(p, uint16(i), 6, src, dst)
	l4 := p[ipLen:]
	put := binary.BigEndian.PutUint16
	switch {
	case kind < 70:
		put(l4, c.port)
		put(l4[2:], 5432)
		binary.BigEndian.PutUint32(l4[4:], c.seq)
		binary.BigEndian.PutUint32(l4[8:], c.ack)
		l4[12], l4[13] = 5<<4, 0x10
		if size > 0 {
			l4[13] = 0x18
		}
		put(l4[14:], 502)
		c.seq += uint32(size)
		seal(p, 16)
	case kind < 88:
		p[9], p[10], p[11] = 17, 0, 0
		put(p[10:], ^ones(p[:ipLen], 0))
		put(l4, c.port)
		put(l4[2:], 9000)
		if kind >= 80 {
			put(l4[2:], 53)
			copy(l4[udpLen:], t.dns)
		}
		put(l4[4:], uint16(len(l4)))
		put(l4[6:], 0)
		seal(p, 6)
	case kind < 97:
		p[9], p[10], p[11] = 1, 0, 0
		put(p[10:], ^ones(p[:ipLen], 0))
		l4[0], l4[1], l4[2], l4[3] = byte(8*(i%2)), 0, 0, 0
		put(l4[4:], c.port)
		put(l4[6:], uint16(i))
		put(l4[2:], ^ones(l4, 0))
	default:
		copy(in[12:], []byte{8, 6, 0, 1, 8, 0, 6, 4, 0, byte(1 + i%2), 2, 0x42, 10, 0, 1, src[3], 10, 0, 1, src[3], 2, 0x42, 10, 0, 1, dst[3], 10, 0, 1, dst[3]})
	}
	ip(b[etherLen:], uint16(i), 17, [4]byte{10, 99, 0, 2 + node}, [4]byte{10, 99, 0, 1 + node})
	u := b[etherLen+ipLen:]
	put(u, c.port^0x1234|0x8000)
	put(u[2:], 4789)
	put(u[4:], uint16(len(u)))
	u[udpLen] = 8
	binary.BigEndian.PutUint32(u[udpLen+4:], uint32(4097+c.port%2)<<8)
	return b
}

// writeTraffic writes a pcap file of n packets, 4 µs apart.
func writeTraffic(tb testing.TB, path string, n int) {
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	le := binary.LittleEndian
	h := make([]byte, 24)
	le.PutUint32(h, 0xa1b2c3d4)
	le.PutUint16(h[4:], 2)
	le.PutUint16(h[6:], 4)
	le.PutUint32(h[16:], 1<<18)
	le.PutUint32(h[20:], 1)
	_, _ = w.Write(h)
	t := newTraffic()
	for i := range n {
		b := t.frame(i)
		le.PutUint32(h, uint32(1700000000+i/250000))
		le.PutUint32(h[4:], uint32(i%250000*4))
		le.PutUint32(h[8:], uint32(len(b)))
		le.PutUint32(h[12:], uint32(len(b)))
		_, _ = w.Write(h[:16])
		_, _ = w.Write(b)
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
}
