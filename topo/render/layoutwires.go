package render

import (
	"fmt"
	"math"
	"strings"

	"github.com/nscope/nscope/topo"
)

// wireKinds are the edges that are drawn as wires, with their words for the legend. The others show as one box
// inside another or beside it.
var wireKinds = []struct {
	kind topo.EdgeKind
	word string
}{
	{topo.EdgePort, "port of a bridge"},
	{topo.EdgeVeth, "two ends of a pair"},
	{topo.EdgeParent, "child of a link (macvlan, ipvlan, vlan)"},
	{topo.EdgeTunnel, "tunnel"},
	{topo.EdgeUnderlay, "carried by"},
	{topo.EdgeRunsIn, "runs in"},
	{topo.EdgeBalances, "balances"},
	{topo.EdgeBackend, "backend of a service"},
}

// side tells on which side of the picture wires within one column are led.
func leftSide(col int) bool { return col <= colBridge }

// within tells whether an edge joins boxes so near in x that its wire needs a lane beside them.
func (l *layouter) within(e *topo.Edge) (a, b anchor, lane bool, ok bool) {
	a, ok1 := l.anchors[e.From]
	b, ok2 := l.anchors[e.To]
	if !ok1 || !ok2 || a == b {
		return a, b, false, false
	}
	return a, b, a.d.col == b.d.col, true
}

// leftLanes and rightLanes are the room that wires along the picture's edges take.
func (l *layouter) leftLanes() float64 {
	n := 0
	for i := range l.g.Edges {
		e := &l.g.Edges[i]
		if e.Kind == topo.EdgeTunnel || e.Kind == topo.EdgeUnderlay || e.Kind == topo.EdgeParent {
			if a, _, lane, ok := l.within(e); ok && lane && leftSide(a.d.col) {
				n++
			}
		}
	}
	return lanesRoom(n)
}

func (l *layouter) rightLanes() float64 {
	n := 0
	for i := range l.g.Edges {
		if e := &l.g.Edges[i]; e.Kind == topo.EdgeBackend {
			if _, _, lane, ok := l.within(e); ok && lane {
				n++
			}
		}
	}
	return lanesRoom(n)
}

func lanesRoom(n int) float64 {
	if n == 0 {
		return 0
	}
	return 16 + laneStep*float64(min(n, maxLanes))
}

// wire draws the edges.
func (l *layouter) wire() {
	lanes := map[int]int{}
	done := map[string]*wire{}
	for _, k := range wireKinds {
		for i := range l.g.Edges {
			e := &l.g.Edges[i]
			if e.Kind != k.kind || e.Kind == topo.EdgeUnderlay && l.node[e.To] != nil && l.node[e.To].Kind == topo.KindNetns {
				continue
			}
			if w := done[string(e.Kind)+e.To+"\x00"+e.From]; w != nil && e.Kind == topo.EdgeTunnel {
				w.both = true
				continue
			}
			if e.Kind == topo.EdgeRunsIn || e.Kind == topo.EdgeBalances {
				continue // drawn from the cards, below: a service has several
			}
			if w := l.lead(e, lanes); w != nil {
				done[string(e.Kind)+e.From+"\x00"+e.To] = w
				l.pic.wires = append(l.pic.wires, w)
			}
		}
	}
	for _, p := range l.panels {
		for _, u := range p.units {
			l.tie(u)
		}
	}
	l.columnHeads()
}

// tie draws the short wires between a namespace's card and those beside it.
func (l *layouter) tie(u *unit) {
	if u.card == nil {
		return
	}
	for _, d := range u.side {
		w := &wire{kind: topo.EdgeRunsIn, from: d.id, to: u.card.id}
		if d.class == "service" {
			w = &wire{kind: topo.EdgeBalances, from: u.card.id, to: d.id}
		}
		w.path = curve(u.card.x+u.card.w, u.card.y+u.card.h/2, d.x, d.y+d.h/2)
		l.pic.wires = append(l.pic.wires, w)
	}
}

// lead finds a wire's path: a curve from one column to another, or by a lane where both ends are in one.
func (l *layouter) lead(e *topo.Edge, lanes map[int]int) *wire {
	a, b, lane, ok := l.within(e)
	if !ok {
		return nil
	}
	w := &wire{kind: e.Kind, from: e.From, to: e.To}
	if e.Attrs.Source != "" {
		w.class = "claimed"
	}
	if e.Kind == topo.EdgeVeth && l.aside(e) {
		w.class = strings.TrimSpace(w.class + " aside")
	}
	switch {
	case lane && a.d.box == b.d.box:
		return nil
	case lane:
		n := lanes[a.d.col] % maxLanes
		lanes[a.d.col]++
		off := 14 + laneStep*float64(n)
		switch a.d.col {
		case colVTEP, colNIC, colBridge:
			if a.d.col == colNIC && e.Kind == topo.EdgeParent && a.d.panel == b.d.panel {
				off = 7 + 4*float64(n%3)
			} else if a.d.col == colNIC {
				off += panelFromC1
			} else {
				off = math.Min(off, columnGaps[colNIC]-10)
			}
			w.path = bracket(a.d.x, a.y(), b.d.x, b.y(), math.Min(a.d.x, b.d.x)-off)
		case colNetns:
			off = 12 + math.Mod(off, columnGaps[colPort]/2)
			w.path = bracket(a.d.x, a.y(), b.d.x, b.y(), a.d.x-off)
		case colPort:
			off = 12 + math.Mod(off, columnGaps[colPort]/2)
			w.path = bracket(a.d.x+a.d.w, a.y(), b.d.x+b.d.w, b.y(), a.d.x+a.d.w+off)
		default:
			w.path = bracket(a.d.x+a.d.w, a.y(), b.d.x+b.d.w, b.y(), a.d.x+a.d.w+panelFromC1+off)
		}
	case a.d.panel != b.d.panel && a.d.panel >= 0 && b.d.panel >= 0 && min(a.d.col, b.d.col) == colNIC && max(a.d.col, b.d.col) == colPort:
		w.path = l.between(a, b, lanes)
	default:
		w.path = l.across(a, b, lanes)
	}
	return w
}

// aside tells whether a pair is not the one on which the namespace at its end has its place.
func (l *layouter) aside(e *topo.Edge) bool {
	for _, id := range []string{e.From, e.To} {
		if ns := l.netnsOf[id]; ns != nil && l.t.home[ns.ID] != "" && l.t.home[ns.ID] != id {
			return true
		}
	}
	return false
}

// between leads a wire from a port in one host's panel to a link of a node in another one: down beside the ports,
// through the gap between the panels, and back in from the left.
func (l *layouter) between(a, b anchor, lanes map[int]int) string {
	if a.d.col == colNIC {
		a, b = b, a
	}
	const laneKey = -1
	n := float64(lanes[laneKey] % 5)
	lanes[laneKey]++
	from := l.panels[0]
	for _, p := range l.panels {
		if p.num == a.d.panel {
			from = p
		}
	}
	gap := from.y + from.h + 8 + 6*n
	if b.y() < from.y {
		gap = from.y - 8 - 6*n
	}
	x1, x2 := a.d.x+a.d.w, b.d.x
	out, in := x1+16+7*n, x2-panelFromC1-10-7*n
	return polyline([][2]float64{{x1, a.y()}, {out, a.y()}, {out, gap}, {in, gap}, {in, b.y()}, {x2, b.y()}})
}

func curve(x1, y1, x2, y2 float64) string {
	if math.Abs(y1-y2) < 0.5 {
		return fmt.Sprintf("M%s %sH%s", num(x1), num(y1), num(x2))
	}
	mid := (x1 + x2) / 2
	return fmt.Sprintf("M%s %sC%s %s %s %s %s %s", num(x1), num(y1), num(mid), num(y1), num(mid), num(y2), num(x2), num(y2))
}

// bracket leads from one point to the other by a vertical line at x.
func bracket(x1, y1, x2, y2, x float64) string {
	return polyline([][2]float64{{x1, y1}, {x, y1}, {x, y2}, {x2, y2}})
}

// polyline joins points by straight lines with round corners.
func polyline(pts [][2]float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "M%s %s", num(pts[0][0]), num(pts[0][1]))
	for i := 1; i < len(pts)-1; i++ {
		p, q, r := pts[i-1], pts[i], pts[i+1]
		in, out := math.Hypot(q[0]-p[0], q[1]-p[1]), math.Hypot(r[0]-q[0], r[1]-q[1])
		rad := math.Min(8, math.Min(in/2, out/2))
		if rad < 0.5 {
			fmt.Fprintf(&b, "L%s %s", num(q[0]), num(q[1]))
			continue
		}
		fmt.Fprintf(&b, "L%s %sQ%s %s %s %s", num(q[0]-(q[0]-p[0])/in*rad), num(q[1]-(q[1]-p[1])/in*rad),
			num(q[0]), num(q[1]), num(q[0]+(r[0]-q[0])/out*rad), num(q[1]+(r[1]-q[1])/out*rad))
	}
	last := pts[len(pts)-1]
	fmt.Fprintf(&b, "L%s %s", num(last[0]), num(last[1]))
	return b.String()
}

// num writes a coordinate with at most one decimal, and never as "-0".
func num(f float64) string {
	s := strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0")
	if s == "-0" {
		return "0"
	}
	return s
}

// columnHeads names the columns that are in use.
func (l *layouter) columnHeads() {
	used := [columns]bool{}
	for _, d := range l.drafts {
		used[d.col] = true
	}
	for c, name := range columnNames {
		if used[c] {
			l.pic.heads = append(l.pic.heads, label{x: l.colX[c] + 2, y: margin + 8, size: 10, class: "h", text: fitText(name, 10, l.colW[c], false)})
		}
	}
}

// legend explains the kinds of wires that are in the picture, in lines below it.
func (l *layouter) legend() {
	used := map[topo.EdgeKind]bool{}
	for _, w := range l.pic.wires {
		used[w.kind] = true
	}
	x, y := margin, l.pic.h+4
	for _, k := range wireKinds {
		if !used[k.kind] {
			continue
		}
		w := 44 + extent(k.word, smallSize) + 26
		if x > margin && x+w > l.pic.w-margin {
			x, y = margin, y+20
		}
		l.pic.legend = append(l.pic.legend, legendItem{kind: k.kind, x: x, y: y, label: label{x: x + 44, y: y + 4, size: smallSize, class: "s", text: k.word}})
		x += w
		l.pic.w = math.Max(l.pic.w, x+margin-26)
	}
	if len(l.pic.legend) > 0 {
		l.pic.h = y + margin
	}
}
