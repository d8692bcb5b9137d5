package flow

import (
	"encoding/binary"
	"net/netip"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/text"
)

// asks are questions (of DNS, echo requests) and their answers.
type asks struct {
	isDNS    bool
	asked    uint32
	again    uint32 // the same question, not answered yet
	answered uint32
	failed   uint32 // of DNS: with an error but "no such name"
	noName   uint32
	time     latency
	waiting  [8]ask // the oldest first
	n        int
}

type ask struct {
	id uint32
	at int64
}

func (c *conv) ask(id uint32, now int64) {
	if c.asks == nil {
		c.asks = &asks{}
	}
	a := c.asks
	for i := range a.n {
		if a.waiting[i].id == id {
			a.again++
			return // timed from the first one on
		}
	}
	a.asked++
	if a.n == len(a.waiting) {
		copy(a.waiting[:], a.waiting[1:])
		a.n--
	}
	a.waiting[a.n] = ask{id, now}
	a.n++
}

// answer tells whether it was asked for.
func (c *conv) answer(id uint32, now int64) bool {
	a := c.asks
	if a == nil {
		return false // asked before the capture began
	}
	for i := range a.n {
		if a.waiting[i].id == id {
			a.time.add(max(now-a.waiting[i].at, 0))
			a.answered++
			copy(a.waiting[i:], a.waiting[i+1:a.n])
			a.n--
			return true
		}
	}
	return false
}

// lookup is a DNS message; the zero value is none.
type lookup struct {
	id           uint16
	response, ok bool
	rcode        int
}

// dockerDNS is where containers on networks of their own ask for names. Their own rules translate questions to a port of the engine's, and
// answers back: on the loopback interface questions are seen behind that, answers from port 53.
var dockerDNS = netip.AddrFrom4([4]byte{127, 0, 0, 11})

func (c *conv) dns(q lookup, now int64) {
	if !q.response {
		c.ask(uint32(q.id), now)
		c.asks.isDNS = true
		return
	}
	if !c.answer(uint32(q.id), now) {
		return
	}
	switch q.rcode {
	case 0:
	case text.NoSuchName:
		c.asks.noName++
	default:
		c.asks.failed++
	}
}

// icmp times echoes, and notes errors with the conversation that they are about.
func (t *Table) icmp(e *text.Event, at *place, h *packet.Head, c *conv) {
	b := e.Bytes(h.L4, h.End)
	if len(b) < 8 {
		return
	}
	v6 := h.Proto == packet.ICMPv6
	switch typ := b[0]; {
	case typ == 8 && !v6, typ == 128 && v6:
		c.ask(binary.BigEndian.Uint32(b[4:]), e.Nanos)
	case typ == 0 && !v6, typ == 129 && v6:
		c.answer(binary.BigEndian.Uint32(b[4:]), e.Nanos)
	case typ == 3 && !v6, typ == 1 && v6, typ == 2 && v6:
		about := t.about(e, at, b[8:], v6)
		if about == nil {
			about = c
		}
		switch {
		case v6 && typ == 2:
			about.tooLarge(binary.BigEndian.Uint32(b[4:]))
		case !v6 && b[1] == 4:
			about.tooLarge(uint32(binary.BigEndian.Uint16(b[6:])))
		default:
			about.unreachable++
		}
	}
}

func (c *conv) tooLarge(mtu uint32) {
	c.tooBig++
	if m := uint16(min(mtu, 65535)); m != 0 && (c.mtu == 0 || m < c.mtu) {
		c.mtu = m
	}
}

// about is the conversation that an error quotes a packet of, nil for none that is known.
func (t *Table) about(e *text.Event, at *place, q []byte, v6 bool) *conv {
	link := packet.RawIPv4
	if v6 {
		link = packet.RawIPv6
	}
	t.decoder.Decode(&t.quoted, q, 1<<20, link) // only its beginning is quoted
	h := t.quoted.Outer()
	if h.Version == 0 {
		return nil
	}
	// What it quotes is in the same network as the error itself.
	in := *e.Inner()
	in.Proto = h.Proto
	_, _, c := t.find(at, &in, e.Tunnel(), netip.AddrPortFrom(h.Src, h.SrcPort), netip.AddrPortFrom(h.Dst, h.DstPort))
	return c
}
