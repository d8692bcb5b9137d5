package flow

import (
	"net/netip"
)

// pairKey is two ends, by name or address, in whatever network, as seen at one interface.
type pairKey struct {
	at   *place
	a, b string
}

// pair is what two ends have said to each other.
type pair struct {
	flows       uint64
	sides       [2]Count
	again       uint64
	segments    uint64
	resets      uint64
	refused     uint64
	handshake   latency
	rtt         latency
	dns, echo   latency
	asked       uint64
	unanswered  uint64
	failed      uint64
	fragments   uint64
	tooBig      uint64
	mtu         uint16
	unreachable uint64
	badSums     uint64
	hole        bool
}

func nameOr(name string, a netip.Addr) string {
	if name != "" {
		return name
	}
	return a.String()
}

// fold adds a conversation to its pair in the table.
func (t *Table) fold(c *conv) { t.pairOf(t.pairs, c).take(c) }

// pairOf is the pair of a conversation in a map, a new one where there is none and room.
func (t *Table) pairOf(pairs map[pairKey]*pair, c *conv) *pair {
	k := pairKey{c.at, nameOr(c.names[0], c.lo.Addr()), nameOr(c.names[1], c.hi.Addr())}
	if k.b < k.a {
		k.a, k.b = k.b, k.a
	}
	p := pairs[k]
	if p == nil {
		if len(pairs) >= t.most() {
			t.unpaired.join(c.sides[0].Count)
			t.unpaired.join(c.sides[1].Count)
			return &pair{}
		}
		p = &pair{}
		pairs[k] = p
	}
	return p
}

func (p *pair) take(c *conv) {
	p.flows++
	for i := range c.sides {
		s := &c.sides[i]
		to := i
		if nameOr(c.names[1], c.hi.Addr()) < nameOr(c.names[0], c.lo.Addr()) {
			to = 1 - i
		}
		p.sides[to].join(s.Count)
		p.again += uint64(s.seq.retransmitted)
		p.resets += uint64(s.resets)
		p.rtt.join(s.seq.rtt)
		if c.proto == 6 {
			p.segments += s.Packets
		}
	}
	if c.tcp.handshake != 0 {
		p.handshake.add(c.tcp.handshake)
	}
	if c.tcp.refused {
		p.refused++
	}
	if a := c.asks; a != nil {
		p.asked += uint64(a.asked)
		p.unanswered += uint64(a.n)
		p.failed += uint64(a.failed)
		if a.isDNS {
			p.dns.join(a.time)
		} else {
			p.echo.join(a.time)
		}
	}
	p.fragments += uint64(c.fragments)
	p.tooBig += uint64(c.tooBig)
	if c.mtu != 0 && (p.mtu == 0 || c.mtu < p.mtu) {
		p.mtu = c.mtu
	}
	p.unreachable += uint64(c.unreachable)
	p.badSums += uint64(c.badSums)
	p.hole = p.hole || c.blackHole() != 0
}

// blackHole is the length from which on segments are sent again and never acknowledged while shorter ones are, 0 for none: an MTU on the way is
// smaller, and nobody says so.
func (c *conv) blackHole() int {
	for i := range c.sides {
		s := &c.sides[i].seq
		if s.retransmitted >= 3 && s.againMin >= 500 && s.ackedMax < s.againMin && (s.ackedMax > 0 || c.tcp.handshake != 0) {
			return s.againMin
		}
	}
	return 0
}
