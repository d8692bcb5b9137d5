package flow

import (
	"cmp"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/text"
)

// shot is a frame at a moment.
type shot struct {
	nanos int64
	data  []byte
}

// world makes conversations.
type world struct {
	*rand.Rand
	shots []shot
}

func newWorld(seed uint64) *world { return &world{Rand: rand.New(rand.NewPCG(seed, 11))} }

func (w *world) at(nanos int64, data []byte) { w.shots = append(w.shots, shot{nanos, data}) }

// sorted are all frames in the order of time.
func (w *world) sorted() []shot {
	slices.SortStableFunc(w.shots, func(a, b shot) int { return cmp.Compare(a.nanos, b.nanos) })
	return w.shots
}

func u16(b []byte, v ...uint16) []byte {
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, x)
	}
	return b
}

// ip4 is a frame with an IPv4 packet; frag are its flags and offset.
func ip4(proto byte, src, dst netip.Addr, frag uint16, l4 []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0}
	b = append(u16(b, uint16(20+len(l4)), 1, frag), 64, proto, 0, 0)
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	return append(b, l4...)
}

// tcp is a segment with n bytes.
func tcp(src, dst netip.AddrPort, seq, acked uint32, flags byte, win uint16, n int) []byte {
	b := u16(nil, src.Port(), dst.Port())
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, seq), acked)
	b = u16(append(b, 0x50, flags), win, 0, 0)
	return ip4(6, src.Addr(), dst.Addr(), 0x4000, append(b, make([]byte, n)...))
}

func udp(src, dst netip.AddrPort, body []byte) []byte {
	return ip4(17, src.Addr(), dst.Addr(), 0, append(u16(nil, src.Port(), dst.Port(), uint16(8+len(body)), 0), body...))
}

// connection is one whose sender loses, swaps and repeats segments behind the point of capture, and what came of it.
func (w *world) connection(start int64, a, b netip.AddrPort) {
	ms := int64(time.Millisecond)
	rtt := ms + w.Int64N(40*ms)
	now := start
	x, y := w.Uint32(), w.Uint32() // sequence numbers
	const win = 500
	for range 1 + w.IntN(2)*w.IntN(2) { // sometimes the first SYN is lost
		w.at(now, tcp(a, b, x, 0, 2, win, 0))
		start, now = now, now+1000*ms
	}
	now = start + rtt*2/3
	w.at(now, tcp(b, a, y, x+1, 0x12, win, 0))
	now += rtt / 3
	x, y = x+1, y+1
	w.at(now, tcp(a, b, x, y, 0x10, win, 0))
	acks := func(at int64, acked uint32) { w.at(at, tcp(b, a, y, acked, 0x10, win, 0)) }
	for range 5 + w.IntN(10) {
		n, size := 1+w.IntN(8), 100+w.IntN(1300)
		now += ms / 2
		seg := func(i int) []byte { return tcp(a, b, x+uint32(i*size), y, 0x18, win, size) }
		switch end := x + uint32(n*size); w.IntN(6) {
		case 0: // one is lost, and sent again because of duplicate acknowledgements, or after a time
			lost := w.IntN(n)
			for i := range n {
				w.at(now+int64(i)*10000, seg(i))
			}
			now += rtt
			for i := range n - lost {
				acks(now+int64(i)*10000, x+uint32(lost*size))
			}
			if now += ms / 10; n-lost < 4 {
				now += 200 * ms
			}
			w.at(now, seg(lost))
			now += rtt
			acks(now, end)
		case 1: // two change places
			order := w.Perm(n)
			for i, s := range order {
				w.at(now+int64(i)*10000, seg(s))
			}
			now += rtt
			acks(now, end)
		case 2: // an acknowledgement is lost before the capture: all is sent again, though it arrived
			for i := range n {
				w.at(now+int64(i)*10000, seg(i))
			}
			acks(now+rtt, end)
			now += 300 * ms
			w.at(now, seg(w.IntN(n)))
			acks(now+rtt, end)
			now += rtt
		case 3: // a keep-alive, and its answer
			w.at(now, tcp(a, b, x-1, y, 0x10, win, w.IntN(2)))
			acks(now+rtt, x)
			now += rtt
			continue
		default:
			for i := range n {
				w.at(now+int64(i)*10000, seg(i))
			}
			now += rtt
			acks(now, end)
		}
		x += uint32(n * size)
	}
	now += ms
	if w.IntN(4) == 0 {
		w.at(now, tcp(b, a, y, x, 0x14, 0, 0))
		return
	}
	w.at(now, tcp(a, b, x, y, 0x11, win, 0))
	if w.IntN(3) == 0 {
		w.at(now+400*ms, tcp(a, b, x, y, 0x11, win, 0))
		now += 400 * ms
	}
	w.at(now+rtt, tcp(b, a, y, x+1, 0x11, win, 0))
	w.at(now+rtt+ms, tcp(a, b, x+1, y+1, 0x10, win, 0))
}

// lookup is a question of DNS, asked again sometimes, and its answer.
func (w *world) lookup(start int64, a, b netip.AddrPort) {
	m := new(dns.Msg)
	m.SetQuestion("db.example.", dns.TypeA)
	m.Id = uint16(w.Uint32())
	q, _ := m.Pack()
	m.Response = true
	m.Rcode = []int{0, 0, 0, 2, 3}[w.IntN(5)]
	r, _ := m.Pack()
	w.at(start, udp(a, b, q))
	if w.IntN(8) != 0 {
		w.at(start+int64(w.IntN(50_000_000)), udp(b, a, r))
	}
}

// decode is an event of a frame at a place.
func decode(s shot, p *text.Place) *text.Event {
	var pkt packet.Packet
	var d packet.Decoder
	d.Decode(&pkt, s.data, len(s.data), packet.Ethernet)
	return &text.Event{Packet: &pkt, Nanos: s.nanos, Place: p}
}

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
