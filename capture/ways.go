package capture

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// Quiet is how long a packet was seen nowhere any more when its way is taken to be at its end.
const Quiet = 300 * time.Millisecond

// Ways gathers where each packet between two ends was seen.
type Ways struct {
	// Payload is what is done with that of each packet, before anything is said of it.
	Payload Payload
	// Keep has each sighting keep its packet.
	Keep  bool
	a, b  end
	lines text.Lines
	ways  map[uint64]*Way
	order []uint64
}

// end is one of the two.
type end struct {
	addrs map[netip.Addr]bool
	name  string
	netns string
}

// NewWays gathers those between two targets.
func NewWays(g *topo.Graph, namer *Namer, a, b string) (*Ways, error) {
	w := &Ways{ways: map[uint64]*Way{}}
	for target, to := range map[string]*end{a: &w.a, b: &w.b} {
		e, err := ends(g, target)
		if err != nil {
			return nil, err
		}
		to.addrs = map[netip.Addr]bool{}
		eachAddr(g.Namespace(e.ns), func(x netip.Addr) {
			if !x.IsLoopback() {
				to.addrs[x] = true
			}
		})
		to.name, _ = namer.NetnsName(e.ns)
		to.netns = g.Namespace(e.ns).ID.Short()
	}
	return w, nil
}

// Take notes a sighting.
func (p *Ways) Take(e *text.Event) {
	h := e.Inner()
	fromA, toB := p.a.addrs[h.Src], p.b.addrs[h.Dst]
	fromB, toA := p.b.addrs[h.Src], p.a.addrs[h.Dst]
	id, ok := Identity(e.Packet)
	if !ok {
		return
	}
	p.Payload.Apply(e.Packet)
	w := p.ways[id]
	if w == nil {
		// Also of others: where both addresses are translated it is told later whose it was.
		w = &Way{summed: math.MaxInt64}
		p.ways[id] = w
		p.order = append(p.order, id)
	}
	if (fromA || toB || fromB || toA) && e.Nanos < w.summed {
		w.Summary, w.summed = string(p.lines.Summary(nil, e)), e.Nanos
	}
	// A packet between the two has an address of either, somewhere on its way: translation may hide one of them here and there.
	w.FromA, w.ToB, w.FromB, w.ToA = w.FromA || fromA, w.ToB || toB, w.FromB || fromB, w.ToA || toA
	s := Sighting{
		Nanos: e.Nanos, Place: e.Place, Dir: e.Dir, Tunnel: text.Tunnels(e), Src: netip.AddrPortFrom(h.Src, h.SrcPort), Dst: netip.AddrPortFrom(h.Dst, h.DstPort), tunnels: e.NT,
	}
	if p.Keep {
		s.Event = e.Clone()
	}
	w.Sightings = append(w.Sightings, s)
}

// Waiting tells whether there are ways that are not at their end.
func (p *Ways) Waiting() bool { return len(p.order) > 0 }

// Next is the next way of a packet that was last seen before a moment, nil for none. Sightings are in the order of time.
func (p *Ways) Next(before int64) *Way {
	for len(p.order) > 0 {
		w := p.ways[p.order[0]]
		if slices.ContainsFunc(w.Sightings, func(s Sighting) bool { return s.Nanos >= before }) {
			return nil
		}
		delete(p.ways, p.order[0])
		p.order = p.order[1:]
		if !w.Between() {
			continue
		}
		from, to := p.a, p.b
		if !(w.FromA && w.ToB) {
			from, to = to, from
		}
		w.From, w.To = from.name, to.name
		w.sort(from.netns, to.netns)
		w.Arrived = slices.ContainsFunc(w.Sightings, func(s Sighting) bool { return s.Place.Netns == to.netns })
		return w
	}
	return nil
}

// sort puts sightings into the order of time. A packet that goes from a device to the next without being queued keeps its time: to a macvlan
// from its parent, out of a tunnel. Of those the ends come first and last, and headers are put on and taken off.
func (w *Way) sort(from, to string) {
	rank := func(s *Sighting) int {
		switch s.Place.Netns {
		case from:
			return -1
		case to:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(w.Sightings, func(x, y Sighting) int {
		layers := 0
		switch {
		case x.Dir != y.Dir:
		case x.Dir == text.In:
			layers = y.tunnels - x.tunnels
		default:
			layers = x.tunnels - y.tunnels
		}
		return cmp.Or(cmp.Compare(x.Nanos, y.Nanos), rank(&x)-rank(&y), layers)
	})
}

// Last gives all that are left, as Next.
func (p *Ways) Last() *Way { return p.Next(math.MaxInt64) }

// Text is one packet's way: a line per sighting with the time since the one before.
func (w *Way) Text() string {
	var b strings.Builder
	first, last := w.Sightings[0], w.Sightings[len(w.Sightings)-1]
	fmt.Fprintf(&b, "%s %s → %s  %s\n", time.Unix(0, first.Nanos).Format("15:04:05.000000"), w.From, w.To, w.Summary)
	width := 0
	for _, s := range w.Sightings {
		width = max(width, len([]rune(s.Place.Name)))
	}
	before := first
	for i, s := range w.Sightings {
		mark := map[text.Dir]string{text.In: "◂", text.Out: "▸"}[s.Dir]
		line := fmt.Sprintf("  %9s  %-*s  %s", "+"+rounded(time.Duration(s.Nanos-before.Nanos)).String(), width, s.Place.Name, mark)
		if s.Tunnel != "" {
			line += " " + strings.TrimSuffix(s.Tunnel, " | ")
		}
		if i > 0 && (s.Src != before.Src || s.Dst != before.Dst) {
			line += fmt.Sprintf(" now %s → %s", addrPort(s.Src), addrPort(s.Dst))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		before = s
	}
	if !w.Arrived {
		fmt.Fprintf(&b, "  not seen in %s: the last was %s\n", w.To, last.Place.Name)
	}
	return b.String()
}

// rounded is a time as it is said: four digits are enough.
func rounded(d time.Duration) time.Duration {
	for unit := time.Duration(1000); ; unit *= 10 {
		if d.Abs() < 10*unit {
			return d.Round(unit / 1000)
		}
	}
}

// addrPort is an address with its port, where there is one.
func addrPort(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}
