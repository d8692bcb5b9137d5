package flow

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Report is what a table has at a moment. Times are in microseconds; what is not there is absent.
type Report struct {
	First   string  `json:"first,omitempty"`
	Last    string  `json:"last,omitempty"`
	Seconds float64 `json:"seconds"`
	Count
	Protocols []Named `json:"protocols"`
	Places    []Named `json:"interfaces"`
	Flows     []Flow  `json:"flows,omitempty"`
	Pairs     []Pair  `json:"pairs,omitempty"`
	// Gone are conversations that are no longer listed, because there were too many; Unpaired what is in no pair, likewise.
	Gone     uint64 `json:"flows_gone,omitempty"`
	Unpaired *Count `json:"unpaired,omitempty"`
}

// Named is a count of something.
type Named struct {
	Name string `json:"name"`
	Count
}

// End is one end of a conversation or pair, and what it sent.
type End struct {
	Addr string `json:"addr,omitempty"`
	Port uint16 `json:"port,omitempty"`
	Name string `json:"name,omitempty"`
	Count
	Payload       uint64 `json:"payload,omitempty"`
	Retransmitted uint32 `json:"retransmitted,omitempty"`
	OutOfOrder    uint32 `json:"out_of_order,omitempty"`
	Resets        uint32 `json:"resets,omitempty"`
	ZeroWindows   uint32 `json:"zero_windows,omitempty"`
	MSS           uint16 `json:"mss,omitempty"`
	MaxPacket     int    `json:"max_packet,omitempty"`
	AckRTT        *Times `json:"ack_rtt,omitempty"` // from a segment of this end to its acknowledgement
}

// Times are of several things of a kind.
type Times struct {
	N    uint32  `json:"n"`
	Min  float64 `json:"min_us"`
	Mean float64 `json:"mean_us"`
	Max  float64 `json:"max_us"`
}

// Asked are questions and their answers.
type Asked struct {
	Asked      uint32 `json:"asked"`
	Answered   uint32 `json:"answered"`
	Unanswered uint32 `json:"unanswered,omitempty"`
	NoName     uint32 `json:"no_such_name,omitempty"`
	Failed     uint32 `json:"failed,omitempty"`
	Time       *Times `json:"time,omitempty"`
}

// Flow is a conversation: A began it, as far as is known.
type Flow struct {
	At     string  `json:"at,omitempty"`
	SeenAt int     `json:"seen_at,omitempty"` // at how many interfaces, where more than one
	Proto  string  `json:"proto"`
	Tunnel string  `json:"tunnel,omitempty"`
	VNI    *uint32 `json:"vni,omitempty"`
	VLAN   uint16  `json:"vlan,omitempty"`
	A      End     `json:"a"`
	B      End     `json:"b"`
	First  string  `json:"first"`
	Last   string  `json:"last"`
	Rate   float64 `json:"bits_per_second"`
	// State of a TCP connection: "syn" (no answer), "refused", "open", "closed", "reset", "" where it is not known.
	State       string   `json:"state,omitempty"`
	Handshake   float64  `json:"handshake_us,omitempty"`
	DNS         *Asked   `json:"dns,omitempty"`
	Echo        *Asked   `json:"echo,omitempty"`
	Fragments   uint32   `json:"fragments,omitempty"`
	TooBig      uint32   `json:"too_big,omitempty"`
	MTU         uint16   `json:"mtu,omitempty"`
	Unreachable uint32   `json:"unreachable,omitempty"`
	BadSums     uint32   `json:"bad_checksums,omitempty"`
	Hints       []string `json:"hints,omitempty"`
}

// Pair is all that two ends have said to each other, as seen at the interface that saw most of it.
type Pair struct {
	At            string   `json:"at,omitempty"`
	SeenAt        int      `json:"seen_at,omitempty"`
	A             End      `json:"a"`
	B             End      `json:"b"`
	Flows         uint64   `json:"flows"`
	Rate          float64  `json:"bits_per_second"`
	Retransmitted uint64   `json:"retransmitted,omitempty"`
	Segments      uint64   `json:"tcp_segments,omitempty"`
	Resets        uint64   `json:"resets,omitempty"`
	Refused       uint64   `json:"refused,omitempty"`
	Handshake     *Times   `json:"handshake,omitempty"`
	AckRTT        *Times   `json:"ack_rtt,omitempty"`
	DNS           *Times   `json:"dns,omitempty"`
	Echo          *Times   `json:"echo,omitempty"`
	Unanswered    uint64   `json:"unanswered,omitempty"`
	Failed        uint64   `json:"failed,omitempty"`
	Fragments     uint64   `json:"fragments,omitempty"`
	TooBig        uint64   `json:"too_big,omitempty"`
	MTU           uint16   `json:"mtu,omitempty"`
	Unreachable   uint64   `json:"unreachable,omitempty"`
	BadSums       uint64   `json:"bad_checksums,omitempty"`
	Hints         []string `json:"hints,omitempty"`
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
