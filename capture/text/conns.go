package text

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/nscope/nscope/capture/packet"
)

// connKey is a TCP connection, of both directions: the lower address (16 bytes), the other, and lower port, the other's, and the VNI that they
// are in.
type connKey [5]uint64

// conn remembers where a connection's sequence numbers begin, by direction.
type conn struct {
	key   connKey
	first [2]uint32
	known [2]bool
}

// maxConns bounds what is remembered; then it begins anew.
const maxConns = 1 << 16

// conns is a hash table of connections with open addressing, at most half full: one look for a packet, where a map would need one for either
// direction, and no pointer in it.
type conns struct {
	slots []conn
	used  int
	seed  [2]uint64 // what is sent by others cannot be made to collide
}

// of gives the connection of a packet, and which of its directions (0, 1) this is; back is the other.
func (c *conns) of(p *packet.Packet, h *packet.Head) (x *conn, side, back int) {
	a, b := h.Src.As16(), h.Dst.As16()
	k := connKey{binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
	low, high := uint64(h.SrcPort), uint64(h.DstPort)
	side, back = 0, 1
	if k[0] == k[2] && k[1] == k[3] && low == high {
		back = 0 // a connection with itself
	} else if k[0] > k[2] || k[0] == k[2] && (k[1] > k[3] || k[1] == k[3] && low > high) {
		side, back = 1, 0
		k[0], k[1], k[2], k[3] = k[2], k[3], k[0], k[1]
		low, high = high, low
	}
	k[4] = low<<48 | high<<32
	if p.NT > 0 {
		k[4] |= uint64(p.Tunnels[p.NT-1].VNI)
	}
	if c.used*2 >= len(c.slots) {
		c.grow()
	}
	x = c.slot(k)
	if !x.known[0] && !x.known[1] {
		x.key = k
		c.used++
	}
	return x, side, back
}

// slot is where a key is, or where it belongs: there is always a free one.
func (c *conns) slot(k connKey) *conn {
	mask := uint64(len(c.slots) - 1)
	hi, lo := bits.Mul64(k[1]^k[0]*0x9e3779b97f4a7c15^c.seed[0], k[3]^k[2]*0xc2b2ae3d27d4eb4f^c.seed[1])
	hi, lo = bits.Mul64(hi^lo^k[4], c.seed[1]|1)
	for i := hi ^ lo; ; i++ {
		x := &c.slots[i&mask]
		if y := &x.key; y[1] == k[1] && y[3] == k[3] && y[4] == k[4] && y[0] == k[0] && y[2] == k[2] || !x.known[0] && !x.known[1] {
			return x
		}
	}
}

func (c *conns) grow() {
	old := c.slots
	switch {
	case old == nil:
		c.seed = [2]uint64{rand.Uint64(), rand.Uint64()}
		c.slots = make([]conn, 512)
	case c.used >= maxConns:
		clear(c.slots)
		c.used = 0
	default:
		c.slots = make([]conn, 2*len(old))
		for i := range old {
			if x := &old[i]; x.known[0] || x.known[1] {
				*c.slot(x.key) = *x
			}
		}
	}
}

// relative gives the sequence number as counted from the connection's first, and the acknowledgement likewise, where they are known.
func (l *Lines) relative(e *Event, h *packet.Head, flags uint8, seq, ack uint32) (uint32, uint32) {
	if l.Absolute {
		return seq, ack
	}
	const syn, acked = 2, 16
	c, side, back := l.conns.of(e.Packet, h)
	if !c.known[side] || flags&syn != 0 {
		c.first[side], c.known[side] = seq, true
		if flags&syn == 0 {
			c.first[side] = seq - 1 // seen in the middle: as if it began with this byte, number 1
		}
	}
	if flags&acked != 0 {
		if !c.known[back] {
			c.first[back], c.known[back] = ack-1, true
		}
		ack -= c.first[back]
	}
	if flags&syn == 0 {
		seq -= c.first[side]
	}
	return seq, ack
}
