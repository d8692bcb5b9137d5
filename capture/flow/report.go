package flow

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Report is what a table has at a moment. Times of day are RFC 3339, UTC, nanoseconds; what is not there is absent.
type Report struct {
	First   string  `json:"first,omitempty"` // when the first packet came
	Last    string  `json:"last,omitempty"`  // when the last one did
	Seconds float64 `json:"seconds"`         // from the first to the last
	Count
	Protocols []Named `json:"protocols"`  // by protocol, most bytes first; what crossed several interfaces counts at each
	Places    []Named `json:"interfaces"` // by interface, most bytes first
	// Flows are conversations, of --flows; Pairs are who talks with whom, of --stats: each most bytes first.
	Flows []Flow `json:"flows,omitempty"`
	Pairs []Pair `json:"pairs,omitempty"`
	// Gone are conversations that are no longer listed, because there were too many; Unpaired what is in no pair, likewise.
	Gone     uint64 `json:"flows_gone,omitempty"`
	Unpaired *Count `json:"unpaired,omitempty"`
}

// Named is a count of something.
type Named struct {
	Name string `json:"name"` // of the protocol or interface
	Count
}

// End is one end of a conversation or pair, and what it sent.
type End struct {
	Addr string `json:"addr,omitempty"`
	Port uint16 `json:"port,omitempty"` // TCP's, UDP's, SCTP's
	Name string `json:"name,omitempty"` // who has the address; of a pair without names, the address
	Count
	Payload       uint64 `json:"payload,omitempty"`       // bytes behind the headers, those sent again included
	Retransmitted uint32 `json:"retransmitted,omitempty"` // segments sent again
	OutOfOrder    uint32 `json:"out_of_order,omitempty"`  // segments that came later than a newer one
	Resets        uint32 `json:"resets,omitempty"`        // RST segments
	ZeroWindows   uint32 `json:"zero_windows,omitempty"`  // segments that said that there is no room for more
	MSS           uint16 `json:"mss,omitempty"`           // longest segment that this end takes, as its SYN says
	MaxPacket     int    `json:"max_packet,omitempty"`    // the longest IP packet, in bytes
	AckRTT        *Times `json:"ack_rtt,omitempty"`       // from a segment of this end to its acknowledgement
}

// Times are of several things of a kind, in microseconds.
type Times struct {
	N    uint32  `json:"n"`       // of how many
	Min  float64 `json:"min_us"`  // the shortest
	Mean float64 `json:"mean_us"` // their mean
	Max  float64 `json:"max_us"`  // the longest
}

// Asked are questions and their answers.
type Asked struct {
	Asked      uint32 `json:"asked"`                  // questions
	Answered   uint32 `json:"answered"`               // those with an answer
	Unanswered uint32 `json:"unanswered,omitempty"`   // those that waited too long for one
	NoName     uint32 `json:"no_such_name,omitempty"` // answers of DNS that there is no such name
	Failed     uint32 `json:"failed,omitempty"`       // other errors that DNS answered
	Time       *Times `json:"time,omitempty"`         // from question to answer
}

// Flow is a conversation: A began it, as far as is known.
type Flow struct {
	At     string  `json:"at,omitempty"`      // the interface that saw most of it: all numbers are of there
	SeenAt int     `json:"seen_at,omitempty"` // at how many interfaces, where more than one
	Proto  string  `json:"proto"`             // tcp, udp, icmp …
	Tunnel string  `json:"tunnel,omitempty"`  // that it is in there: vxlan, flannel-udp, geneve, gre, ipip, esp
	VNI    *uint32 `json:"vni,omitempty"`     // of that tunnel
	VLAN   uint16  `json:"vlan,omitempty"`
	A      End     `json:"a"`               // who began
	B      End     `json:"b"`               // the other one
	First  string  `json:"first"`           // when its first packet came
	Last   string  `json:"last"`            // when its last one did
	Rate   float64 `json:"bits_per_second"` // of both directions, from the first packet to the last; 0 where that is less than a millisecond
	// State of a TCP connection: syn (no answer), refused, open, closed, reset; absent where it is not known.
	State       string   `json:"state,omitempty"`
	Handshake   float64  `json:"handshake_us,omitempty"`  // from the SYN to the opener's ACK, in microseconds
	DNS         *Asked   `json:"dns,omitempty"`           // questions in it
	Echo        *Asked   `json:"echo,omitempty"`          // pings in it
	Fragments   uint32   `json:"fragments,omitempty"`     // packets that are parts of one
	TooBig      uint32   `json:"too_big,omitempty"`       // ICMP errors that said that a packet of it is too big
	MTU         uint16   `json:"mtu,omitempty"`           // that those told, in bytes
	Unreachable uint32   `json:"unreachable,omitempty"`   // ICMP errors that said that the other end cannot be reached
	BadSums     uint32   `json:"bad_checksums,omitempty"` // packets with a wrong checksum
	Hints       []string `json:"hints,omitempty"`         // what that may mean, in words
}

// Pair is all that two ends have said to each other, as seen at the interface that saw most of it.
type Pair struct {
	At            string   `json:"at,omitempty"`            // that interface
	SeenAt        int      `json:"seen_at,omitempty"`       // at how many interfaces, where more than one
	A             End      `json:"a"`                       // one of them
	B             End      `json:"b"`                       // the other one
	Flows         uint64   `json:"flows"`                   // conversations
	Rate          float64  `json:"bits_per_second"`         // of both directions, from the first packet of all to the last
	Retransmitted uint64   `json:"retransmitted,omitempty"` // TCP segments sent again
	Segments      uint64   `json:"tcp_segments,omitempty"`  // TCP segments
	Resets        uint64   `json:"resets,omitempty"`        // RST segments
	Refused       uint64   `json:"refused,omitempty"`       // connections that were refused
	Handshake     *Times   `json:"handshake,omitempty"`     // from SYN to the opener's ACK
	AckRTT        *Times   `json:"ack_rtt,omitempty"`       // from segments to their acknowledgements
	DNS           *Times   `json:"dns,omitempty"`           // from question to answer
	Echo          *Times   `json:"echo,omitempty"`          // from ping to answer
	Unanswered    uint64   `json:"unanswered,omitempty"`    // DNS questions and pings
	Failed        uint64   `json:"failed,omitempty"`        // errors that DNS answered, but for names that there are not
	Fragments     uint64   `json:"fragments,omitempty"`     // packets that are parts of one
	TooBig        uint64   `json:"too_big,omitempty"`       // ICMP errors that said that a packet is too big
	MTU           uint16   `json:"mtu,omitempty"`           // that those told, in bytes
	Unreachable   uint64   `json:"unreachable,omitempty"`   // ICMP errors that said that the other end cannot be reached
	BadSums       uint64   `json:"bad_checksums,omitempty"` // packets with a wrong checksum
	Hints         []string `json:"hints,omitempty"`         // what that may mean, in words
}

func stamp(nanos int64) string {
	return time.Unix(0, nanos).UTC().Format("2006-01-02T15:04:05.000000000Z")
}

func (l *latency) times() *Times {
	if l.n == 0 {
		return nil
	}
	return &Times{l.n, float64(l.min) / 1e3, float64(l.sum) / float64(l.n) / 1e3, float64(l.max) / 1e3}
}

// Report lists conversations and pairs, those with most bytes first. Rates are over a conversation's life, or since the last live report.
func (t *Table) Report(live bool) *Report {
	r := &Report{Count: t.all, Protocols: []Named{}, Places: []Named{}, Gone: t.gone}
	if t.flows == nil {
		return r
	}
	r.First, r.Last, r.Seconds = stamp(t.first), stamp(t.last), float64(t.last-t.first)/1e9
	for name, c := range t.protos {
		r.Protocols = append(r.Protocols, Named{name, *c})
	}
	for _, p := range t.places {
		r.Places = append(r.Places, Named{p.name, p.Count})
	}
	for _, l := range [][]Named{r.Protocols, r.Places} {
		slices.SortFunc(l, func(a, b Named) int { return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(a.Name, b.Name)) })
	}
	r.Flows = t.listFlows(live)
	unpaired := t.unpaired
	r.Pairs = t.listPairs()
	if t.unpaired.Packets > 0 {
		c := t.unpaired
		r.Unpaired = &c
	}
	t.unpaired = unpaired
	t.reported = t.last
	return r
}

func (t *Table) listFlows(live bool) []Flow {
	best := map[same]*conv{}
	seen := map[same]int{}
	for c := t.head; c != nil; c = c.next {
		k := c.same()
		seen[k]++
		if b := best[k]; b == nil || better(c.packets(), b.packets(), c.total(), b.total(), c.at.name, b.at.name) {
			best[k] = c
		}
	}
	list := slices.Collect(maps.Values(best))
	slices.SortFunc(list, func(a, b *conv) int {
		return cmp.Or(cmp.Compare(b.total(), a.total()), cmp.Compare(a.first, b.first), a.lo.Compare(b.lo), a.hi.Compare(b.hi), cmp.Compare(a.proto, b.proto), cmp.Compare(a.vni, b.vni), cmp.Compare(a.vlan, b.vlan), cmp.Compare(a.tunnel, b.tunnel))
	})
	out := make([]Flow, len(list))
	for i, c := range list {
		out[i] = c.flow()
		if live && t.reported != 0 {
			out[i].Rate = rate(c.total()-c.seenBytes, t.last-t.reported)
		}
		if n := seen[c.same()]; n > 1 {
			out[i].SeenAt = n
		}
	}
	if live {
		for c := t.head; c != nil; c = c.next {
			c.seenBytes = c.total()
		}
	}
	return out
}

// same is what a conversation has in common with itself at another interface: its ends and its network; or, where both ends are named (which the
// topology proves), whatever tunnel it is in.
type same struct {
	talk
	names [2]string
}

func (c *conv) same() same {
	k := same{talk: c.talk}
	if c.names[0] != "" && c.names[1] != "" {
		k.names = c.names
		k.vni, k.vlan, k.tunnel = 0, 0, 0
	}
	return k
}

// better tells which of two interfaces saw more: more packets, of as many those without a tunnel's bytes.
func better(packets, of, bytes, ofBytes uint64, at, ofAt string) bool {
	return cmp.Or(cmp.Compare(of, packets), cmp.Compare(bytes, ofBytes), cmp.Compare(at, ofAt)) < 0
}

func (c *conv) packets() uint64 { return c.sides[0].Packets + c.sides[1].Packets }

func (c *conv) total() uint64 { return c.sides[0].Bytes + c.sides[1].Bytes }

// rate is in bits a second; 0 for no time, and for a time so short that it says nothing.
func rate(bytes uint64, nanos int64) float64 {
	if nanos < int64(time.Millisecond) {
		return 0
	}
	return float64(bytes) * 8 / (float64(nanos) / 1e9)
}

func (t *Table) listPairs() []Pair {
	pairs := map[pairKey]*pair{}
	for k, p := range t.pairs {
		copied := *p
		pairs[k] = &copied
	}
	for c := t.head; c != nil; c = c.next {
		t.pairOf(pairs, c).take(c)
	}
	type ends struct{ a, b string }
	best := map[ends]pairKey{}
	seen := map[ends]int{}
	total := func(k pairKey) uint64 { return pairs[k].sides[0].Bytes + pairs[k].sides[1].Bytes }
	packets := func(k pairKey) uint64 { return pairs[k].sides[0].Packets + pairs[k].sides[1].Packets }
	for k := range pairs {
		e := ends{k.a, k.b}
		seen[e]++
		if b, ok := best[e]; !ok || better(packets(k), packets(b), total(k), total(b), k.at.name, b.at.name) {
			best[e] = k
		}
	}
	list := slices.Collect(maps.Values(best))
	slices.SortFunc(list, func(x, y pairKey) int {
		return cmp.Or(cmp.Compare(total(y), total(x)), cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b))
	})
	out := make([]Pair, len(list))
	for i, k := range list {
		p := pairs[k]
		out[i] = Pair{
			At: k.at.name, A: End{Name: k.a, Count: p.sides[0]}, B: End{Name: k.b, Count: p.sides[1]}, Flows: p.flows, Rate: rate(total(k), t.last-t.first), Retransmitted: p.again, Segments: p.segments, Resets: p.resets,
			Refused: p.refused, Handshake: p.handshake.times(), AckRTT: p.rtt.times(), DNS: p.dns.times(), Echo: p.echo.times(), Unanswered: p.unanswered, Failed: p.failed, Fragments: p.fragments,
			TooBig: p.tooBig, MTU: p.mtu, Unreachable: p.unreachable, BadSums: p.badSums, Hints: p.hints(),
		}
		if n := seen[ends{k.a, k.b}]; n > 1 {
			out[i].SeenAt = n
		}
	}
	return out
}
