package flow

import (
	"net/netip"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/text"
)

// DefaultMax is how many conversations a [Table] keeps.
const DefaultMax = 10000

// Table aggregates. The zero value is ready.
type Table struct {
	// Max is how many conversations are kept, 0 for [DefaultMax]. Of more, the one that was quiet the longest goes: it is counted in its pair
	// still. Of pairs and interfaces as many are kept; what comes beyond is counted together.
	Max int

	flows       map[key]*conv
	head, tail  *conv // by the last packet, the latest first
	pairs       map[pairKey]*pair
	places      map[string]*place
	byPtr       map[*text.Place]*place
	gone        uint64 // conversations that went
	unpaired    Count  // of pairs beyond Max
	protos      map[string]*Count
	all         Count
	first, last int64
	reported    int64
	quoted      packet.Packet
	decoder     packet.Decoder
}

// Count are packets and their bytes on the wire.
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

func (c *Count) add(n int) { c.Packets, c.Bytes = c.Packets+1, c.Bytes+uint64(n) }

func (c *Count) join(o Count) { c.Packets, c.Bytes = c.Packets+o.Packets, c.Bytes+o.Bytes }

// place is one interface.
type place struct {
	name string
	Count
}

// talk is a conversation, wherever it is seen; lo is the lesser end.
type talk struct {
	lo, hi netip.AddrPort
	vni    uint32
	vlan   uint16
	tunnel packet.TunnelType
	proto  uint8
}

type key struct {
	talk
	at *place
}

// conv is a conversation at one interface.
type conv struct {
	key
	prev, next  *conv
	names       [2]string
	sides       [2]side
	first, last int64
	opener      int8 // which side began, as far as is known
	sure        bool // it sent a SYN
	tcp         tcpState
	asks        *asks
	fragments   uint32
	tooBig      uint32 // ICMP errors that said so of it
	mtu         uint16 // what they said, the least
	unreachable uint32
	badSums     uint32
	seenBytes   uint64 // when it was last reported
}

// side is what one end sent.
type side struct {
	Count
	payload   uint64
	maxPacket int
	resets    uint32
	seq       sequence
}

// most bounds how many of anything are kept.
func (t *Table) most() int {
	if t.Max > 0 {
		return t.Max
	}
	return DefaultMax
}

// maxPlaces bounds the interfaces; a capture has hundreds.
const maxPlaces = 1 << 12

func (t *Table) placeOf(p *text.Place) *place {
	if x, ok := t.byPtr[p]; ok {
		return x
	}
	name := ""
	if p != nil {
		name = p.Name
	}
	if t.places == nil || len(t.byPtr) > maxPlaces {
		t.byPtr = map[*text.Place]*place{}
	}
	if t.places == nil {
		t.places = map[string]*place{}
	}
	x := t.places[name]
	if x == nil {
		if len(t.places) >= maxPlaces {
			name = "others"
		}
		if x = t.places[name]; x == nil {
			x = &place{name: name}
			t.places[name] = x
		}
	}
	t.byPtr[p] = x
	return x
}

// Add takes a packet.
func (t *Table) Add(e *text.Event) {
	if t.flows == nil {
		t.flows, t.pairs, t.protos = map[key]*conv{}, map[pairKey]*pair{}, map[string]*Count{}
		t.first = e.Nanos
	}
	t.first, t.last = min(t.first, e.Nanos), max(t.last, e.Nanos)
	at := t.placeOf(e.Place)
	at.add(e.Len)
	t.all.add(e.Len)
	t.count(protoOf(e), e.Len)
	h := e.Inner()
	if e.N == 0 || h.Version == 0 {
		return
	}
	src, dst := netip.AddrPortFrom(h.Src, h.SrcPort), netip.AddrPortFrom(h.Dst, h.DstPort)
	var q lookup
	if h.Proto == packet.UDP && h.L4 >= 0 && h.Status&packet.Fragment == 0 {
		q.id, q.response, q.rcode, q.ok = text.DNS(e.PayloadOf(h))
		if q.ok && h.Dst == dockerDNS && !q.response {
			dst = netip.AddrPortFrom(h.Dst, 53)
		}
	}
	c, from := t.conv(e, at, h, src, dst)
	s := &c.sides[from]
	s.add(e.Len)
	n := max(h.End-h.Payload, 0)
	s.payload += uint64(n)
	s.maxPacket = max(s.maxPacket, h.End-h.Net)
	if h.Status&(packet.Fragment|packet.MoreFrags) != 0 {
		c.fragments++
	}
	if h.Status&(packet.BadIPSum|packet.BadL4Sum) != 0 {
		c.badSums++
	}
	switch {
	case h.L4 < 0 || h.Status&packet.Fragment != 0:
	case h.Proto == packet.TCP:
		c.segment(e, h, from, n)
	case q.ok:
		c.dns(q, e.Nanos)
	case h.Proto == packet.ICMP, h.Proto == packet.ICMPv6:
		t.icmp(e, at, h, c)
	}
}

func (t *Table) count(proto string, n int) {
	c := t.protos[proto]
	if c == nil {
		c = &Count{}
		t.protos[proto] = c
	}
	c.add(n)
}

// protoOf is what a packet is counted as: there are a few dozen of them.
func protoOf(e *text.Event) string {
	h := e.Inner()
	switch {
	case e.N == 0:
		return "other"
	case h.Version != 0:
		return text.ProtoKey(h)
	case h.EtherType == packet.TypeARP:
		return "arp"
	case h.EtherType == packet.TypeRARP:
		return "rarp"
	}
	return "other"
}

// find is the conversation of a packet, nil for a new one, and which side sent it.
func (t *Table) find(at *place, h *packet.Head, tun packet.Tunnel, src, dst netip.AddrPort) (k key, from int, c *conv) {
	k = key{talk{lo: src, hi: dst, proto: h.Proto}, at}
	if tun.HasVNI && tun.Type != packet.ESPt {
		k.vni = tun.VNI
	}
	if h.NTags > 0 {
		k.vlan = h.VLAN(h.NTags - 1)
	}
	k.tunnel = tun.Type
	if dst.Compare(src) < 0 {
		k.lo, k.hi, from = dst, src, 1
	}
	return k, from, t.flows[k]
}

func (t *Table) conv(e *text.Event, at *place, h *packet.Head, src, dst netip.AddrPort) (*conv, int) {
	k, from, c := t.find(at, h, e.Tunnel(), src, dst)
	if c == nil {
		if len(t.flows) >= t.most() {
			old := t.tail
			t.unlink(old)
			delete(t.flows, old.key)
			t.fold(old)
			t.gone++
			*old = conv{}
			c = old
		} else {
			c = &conv{}
		}
		c.key, c.first, c.opener = k, e.Nanos, int8(from)
		c.names = [2]string{e.Name(k.lo.Addr()), e.Name(k.hi.Addr())}
		t.flows[k] = c
	} else {
		t.unlink(c)
	}
	c.next = t.head
	if t.head != nil {
		t.head.prev = c
	}
	t.head = c
	if t.tail == nil {
		t.tail = c
	}
	c.first, c.last = min(c.first, e.Nanos), max(c.last, e.Nanos)
	return c, from
}

func (t *Table) unlink(c *conv) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		t.head = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		t.tail = c.prev
	}
	c.prev, c.next = nil, nil
}
