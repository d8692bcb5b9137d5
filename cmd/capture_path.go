package cmd

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/capture"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// pathSink gathers where each packet between two ends was seen.
type pathSink struct {
	s    *captureSink
	a, b map[netip.Addr]bool
	// last is what the place of the last sighting should be called: the other end.
	nameA, nameB string
	nsA, nsB     string
	ways         map[uint64]*capture.Way
	order        []uint64
	printed      int
}

func newPathSink(s *captureSink, g *topo.Graph, namer *capture.Namer, a, b string) (*pathSink, error) {
	p := &pathSink{s: s, ways: map[uint64]*capture.Way{}}
	for _, end := range []struct {
		target string
		addrs  *map[netip.Addr]bool
		name   *string
		ns     *string
	}{{a, &p.a, &p.nameA, &p.nsA}, {b, &p.b, &p.nameB, &p.nsB}} {
		n, err := g.Resolve(end.target)
		if err != nil {
			return nil, err
		}
		ns, ok := g.Netns(n)
		if !ok {
			return nil, usagef("%s has no network namespace", end.target)
		}
		*end.addrs = map[netip.Addr]bool{}
		for _, l := range g.Namespace(ns).Links {
			for _, x := range l.Addrs {
				if !x.Prefix.Addr().IsLoopback() {
					(*end.addrs)[x.Prefix.Addr()] = true
				}
			}
		}
		*end.name, _ = namer.NetnsName(ns)
		*end.ns = g.Namespace(ns).ID.Short()
	}
	return p, nil
}

// take notes a sighting.
func (p *pathSink) take(e *text.Event) error {
	h := e.Inner()
	fromA, toB := p.a[h.Src], p.b[h.Dst]
	fromB, toA := p.b[h.Src], p.a[h.Dst]
	id, ok := capture.Identity(e.Packet)
	if !ok {
		return nil
	}
	w := p.ways[id]
	if w == nil {
		if !fromA && !toB && !fromB && !toA {
			return nil
		}
		w = &capture.Way{Summary: string(p.s.lines.Summary(nil, e))}
		p.ways[id] = w
		p.order = append(p.order, id)
	}
	// A packet between the two has an address of either, somewhere on its way: translation may hide one of them here and there.
	w.FromA, w.ToB, w.FromB, w.ToA = w.FromA || fromA, w.ToB || toB, w.FromB || fromB, w.ToA || toA
	w.Sightings = append(w.Sightings, capture.Sighting{
		Nanos: e.Nanos, Place: e.Place, Dir: e.Dir, Tunnel: text.Tunnels(e), Src: netip.AddrPortFrom(h.Src, h.SrcPort), Dst: netip.AddrPortFrom(h.Dst, h.DstPort),
	})
	return nil
}

// quiet is how long a packet was seen nowhere any more when its way is told.
const quiet = 300 * time.Millisecond

// idle tells the ways of packets that were not seen lately; true where some wait.
func (p *pathSink) idle() (bool, error) {
	err := p.tell(time.Now().Add(-quiet).UnixNano())
	return len(p.order) > 0, err
}

func (p *pathSink) tell(before int64) error {
	for len(p.order) > 0 {
		w := p.ways[p.order[0]]
		slices.SortStableFunc(w.Sightings, func(x, y capture.Sighting) int { return cmp.Compare(x.Nanos, y.Nanos) })
		if w.Sightings[len(w.Sightings)-1].Nanos >= before {
			return nil
		}
		delete(p.ways, p.order[0])
		p.order = p.order[1:]
		if !w.Between() {
			continue
		}
		if p.printed++; p.printed > 1 {
			fmt.Fprintln(p.s.a.out)
		}
		fmt.Fprint(p.s.a.out, p.render(w))
		if p.s.f.count > 0 && p.printed >= p.s.f.count {
			return errEnough
		}
	}
	return nil
}

// render is one packet's way: a line per sighting with the time since the one before.
func (p *pathSink) render(w *capture.Way) string {
	var b strings.Builder
	first, last := w.Sightings[0], w.Sightings[len(w.Sightings)-1]
	from, to, ns := p.nameA, p.nameB, p.nsB
	if !(w.FromA && w.ToB) {
		from, to, ns = p.nameB, p.nameA, p.nsA
	}
	fmt.Fprintf(&b, "%s %s → %s  %s\n", time.Unix(0, first.Nanos).Format("15:04:05.000000"), from, to, w.Summary)
	width := 0
	for _, s := range w.Sightings {
		width = max(width, len([]rune(s.Place.Name)))
	}
	before := first
	for i, s := range w.Sightings {
		mark := map[text.Dir]string{text.In: "◂", text.Out: "▸"}[s.Dir]
		line := fmt.Sprintf("  %9s  %-*s  %s", "+"+time.Duration(s.Nanos-before.Nanos).String(), width, s.Place.Name, mark)
		if s.Tunnel != "" {
			line += " " + strings.TrimSuffix(s.Tunnel, " | ")
		}
		if i > 0 && (s.Src != before.Src || s.Dst != before.Dst) {
			line += fmt.Sprintf(" now %s → %s", addrPort(s.Src), addrPort(s.Dst))
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
		before = s
	}
	if last.Place.Netns != ns {
		fmt.Fprintf(&b, "  not seen in %s: the last was %s\n", to, last.Place.Name)
	}
	return b.String()
}

// addrPort is an address with its port, where there is one.
func addrPort(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}
