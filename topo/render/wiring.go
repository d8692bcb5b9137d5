package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

// Wiring is the topology drawn on a grid of character cells: NICs and tunnels, bridges and overlays, ports, namespaces,
// containers, in columns from left to right, with wires between them. Boxes stand in their columns and wires run between
// the columns or through rows that are empty there, so no wire ever crosses a box, and no box another.
type Wiring struct {
	W, H   int
	Boxes  []WiringBox
	Wires  []WiringWire
	Titles []WiringTitle
	Cols   [WiringCols]WiringCol
}

// The columns of a [Wiring].
const (
	ColNIC = iota
	ColBridge
	ColPort
	ColNetns
	ColContainer
	WiringCols
)

// WiringCol is the place of a column; W is 0 for one that nothing stands in.
type WiringCol struct{ X, W int }

// WiringBox is one thing. A box of one row has no border; others have their name in it.
type WiringBox struct {
	ID    string
	Class string // nic, tunnel, bridge, port, netns, container, service, ref
	Col   int
	X, Y  int
	W, H  int
	Name  string
	Lines []WiringLine
	// More is what else there is to say, for a box of one row.
	More string
	// Bad is a state that is not up or running.
	Bad bool
}

// WiringLine is a line inside a box, at row Y of the picture. ID makes it a thing of its own: a link in its namespace, a
// tunnel's end at its vxlan.
type WiringLine struct {
	ID   string
	Text string
	Y    int
}

// WiringWire is a wire from one thing to another one further right: from the right edge of the first through its points to
// the left edge of the second. All its parts are horizontal or vertical.
type WiringWire struct {
	From, To string
	Points   [][2]int
}

// WiringTitle is a line of text above what follows: a host, or the namespace of an overlay.
type WiringTitle struct {
	ID    string
	Y     int
	Level int // 0 a host, 1 a namespace in it
	Text  string
	More  string
}

// WiringHeads name the columns.
var WiringHeads = [WiringCols]string{"NIC / TUNNEL", "BRIDGE / OVERLAY", "PORT", "NAMESPACE", "CONTAINER / SERVICE"}

// WiringLeast is the width below which a wiring has no room for its columns.
const WiringLeast = 96

// NewWiring lays a graph out in width columns. Compact gives each port, namespace and container one row; otherwise they
// are boxes. The same graph gives the same picture.
func NewWiring(g *topo.Graph, width int, compact bool, o Options) *Wiring {
	l := newLayouter(g, o, nil, nil)
	l.fillPanels()
	w := &wirer{layouter: l, compact: compact, out: &Wiring{W: width}, unitOf: map[*draft]*unit{}, at: map[string]spot{}, placed: map[*unit]bool{}}
	for _, p := range l.panels {
		w.panel(p)
	}
	w.out.H = w.y
	w.columns(width)
	w.connect()
	return w.out
}

// wirer places what a layouter has put together.
type wirer struct {
	*layouter
	compact bool
	out     *Wiring
	unitOf  map[*draft]*unit
	y       int // the next free row
	at      map[string]spot
	joins   []join
	placed  map[*unit]bool
	inPanel map[*unit]bool // the units of the panel that is being placed
}

// spot is where a thing is: its box, and the row where wires meet it.
type spot struct{ box, y int }

// join is a wire that is to be: y1 is the row where it leaves what it comes from, -1 for that thing's own.
type join struct {
	from, to string
	y1       int
	end      *spot // where it ends, for a thing that stands in several places; nil for where that has its own
}

func (w *wirer) panel(p *panel) {
	if w.y > 0 {
		w.y++
	}
	title, more := w.panelTitle(p)
	id := ""
	if p.s.home != nil {
		id = p.s.home.ID
	}
	w.title(id, 0, title, more)
	w.inPanel = map[*unit]bool{}
	for _, u := range p.units {
		w.inPanel[u] = true
		if u.card != nil {
			w.unitOf[u.card] = u
		}
	}
	to := func(id string) (target, bool) {
		a, ok := w.anchors[id]
		if !ok || w.unitOf[a.d] == nil || !w.inPanel[w.unitOf[a.d]] {
			return target{}, false
		}
		t := target{anchor: a, u: w.unitOf[a.d], weight: 0.05}
		if w.isPlace(t.u, id) {
			t.weight = 1
		}
		return t, true
	}
	items := w.portItems(p, to)
	w.order(p, items)
	var space *space
	for i, b := range p.bands {
		if b.space != space && b.space != nil {
			w.title(b.space.ns.ID, 1, b.space.title, "")
		} else if i > 0 && b.space == nil && space != nil {
			w.title(id, 1, title, "")
		}
		space = b.space
		w.band(b, items[b])
	}
	for _, u := range p.units {
		if !w.placed[u] {
			w.unit(u, w.y, 0)
			w.y += w.unitHeight(u)
		}
	}
}

// isPlace tells whether the wire to a link is the one on which its namespace has its place.
func (w *wirer) isPlace(u *unit, link string) bool {
	return u.ns != nil && (w.t.home[u.ns.ID] == link || w.t.home[u.ns.ID] == "")
}

func (w *wirer) title(id string, level int, text, more string) {
	w.out.Titles = append(w.out.Titles, WiringTitle{id, w.y, level, w.o.clean(text), w.o.clean(more)})
	w.y++
}

// band places a bridge with its ports, what they lead to, and what is plugged into its other side.
func (w *wirer) band(b *band, items []*port) {
	top := w.y
	row := top + 1 // where the first wire leaves the bridge
	if b.mid == nil && len(b.left) == 0 && w.compact {
		row = top
	}
	var joins []join
	for _, it := range items {
		if it.d == nil {
			continue
		}
		h := w.rows(1)
		n := w.node[it.d.id]
		u, line, ok := w.leads(it, n)
		at := row
		if ok {
			at = row + line
			h = max(h, w.unitHeight(u))
			w.unit(u, row-w.border(), line)
		}
		w.portBox(it.d, at)
		if n != nil {
			peer := w.peer[n.ID]
			switch {
			case peer == nil:
				w.ref("", w.index.g.FarEnd(n), at)
			case ok || w.inPanel[w.unitOf[w.anchors[peer.ID].d]]:
				joins = append(joins, join{n.ID, peer.ID, -1, nil})
			default:
				w.ref(peer.ID, w.farWords(peer), at)
			}
		}
		if b.mid != nil {
			joins = append(joins, join{b.mid.id, it.d.id, at, nil})
		}
		row += h
	}
	// Children of a NIC or bridge, without a port between: straight through the columns that are empty in these rows.
	for _, d := range append(slices.Clone(b.left), b.mid) {
		if d == nil || len(b.left) > 0 && b.mid != nil && d != b.mid {
			continue // a bridge stands in the way: the child says what it is on
		}
		for _, c := range w.children[d.id] {
			a, ok := w.anchors[c.ID]
			u := w.unitOf[a.d]
			if !ok || !w.inPanel[u] || w.placed[u] || !w.isPlace(u, c.ID) {
				continue
			}
			line := w.lineOf(u, c.ID)
			w.unit(u, row-w.border(), line)
			joins = append(joins, join{d.id, c.ID, row + line, nil})
			row += w.unitHeight(u)
		}
	}
	h := row - top
	if w.compact {
		h++ // the lower border
	}
	if b.mid != nil {
		h = max(h, len(w.lines(b.mid))+2, 3)
	}
	y := top
	for i, d := range b.left {
		dh := max(len(w.lines(d))+2, 3)
		if i == len(b.left)-1 && b.mid == nil {
			dh = max(dh, h-(y-top)) // its children hang on it
		}
		w.box(d, ColNIC, y, dh)
		if b.mid != nil {
			joins = append(joins, join{d.id, b.mid.id, -1, nil})
		}
		y += dh
	}
	h = max(h, y-top)
	if b.mid == nil && len(b.left) == 0 {
		h = row - top
		if !w.compact {
			h--
		}
	}
	if b.mid != nil {
		w.box(b.mid, ColBridge, top, h)
	}
	w.y = top + h
	w.joins = append(w.joins, joins...)
}

// leads is the unit that has its place on a port, and the line in it where the wire ends.
func (w *wirer) leads(it *port, n *topo.Node) (u *unit, line int, ok bool) {
	if n == nil || w.peer[n.ID] == nil {
		return nil, 0, false
	}
	peer := w.peer[n.ID]
	for _, t := range it.targets {
		if !w.placed[t.u] && w.isPlace(t.u, peer.ID) {
			return t.u, w.lineOf(t.u, peer.ID), true
		}
	}
	return nil, 0, false
}

// lineOf is the line of a unit's card that is a link.
func (w *wirer) lineOf(u *unit, id string) int {
	return max(slices.IndexFunc(w.lines(u.card), func(l line) bool { return l.id == id }), 0)
}

// lines are the lines of a box below its name.
func (w *wirer) lines(d *draft) []line {
	lines := d.lines[min(1, len(d.lines)):]
	if w.compact && d.class == "netns" {
		// One row a link, and where there is none what it is.
		links := slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return l.id == "" })
		if len(links) == 0 {
			links = lines[:min(1, len(lines))]
		}
		if ns := w.node[d.id]; len(links) > 0 && (len(w.containers[d.id]) == 0 || isHome(ns)) {
			links = slices.Clone(links)
			if links[0].text != nsName(ns) {
				links[0].text = nsName(ns) + "  " + links[0].text
			}
		}
		return links
	}
	if d.class == "tunnel" {
		return append(slices.Clone(lines), w.tunnelLines(d.id)...)
	}
	return lines
}

// tunnelLines are the far ends of a tunnel.
func (w *wirer) tunnelLines(id string) []line {
	const most = 6
	edges := w.edges(id, topo.EdgeTunnel)
	var out []line
	for i, e := range edges {
		if i == most-1 && len(edges) > most {
			return append(out, line{text: fmt.Sprintf("%s %d more", w.o.glyphs().dots, len(edges)-i)})
		}
		to := w.node[e.To]
		words := []string{w.o.glyphs().arrow, cmp.Or(to.Attrs.Node, to.Host), cmp.Or(e.Attrs.Address, to.Attrs.Address, to.Attrs.Local)}
		out = append(out, line{text: strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " "), id: to.ID})
	}
	return out
}

func (w *wirer) border() int {
	if w.compact {
		return 0
	}
	return 1
}

// rows is the height of a box of n lines in the columns that may be compact.
func (w *wirer) rows(n int) int { return max(n, 1) + 2*w.border() }

func (w *wirer) sideHeight(d *draft) int {
	if w.compact {
		return 1
	}
	return w.rows(len(w.lines(d)))
}

func (w *wirer) unitHeight(u *unit) int {
	h, side := 0, 0
	if u.card != nil {
		h = w.rows(len(w.lines(u.card)))
	}
	for _, d := range u.side {
		side += w.sideHeight(d)
	}
	return max(h, side)
}

// unit places a namespace with its top at y, and its containers beside it; line is the one that its wire comes to.
func (w *wirer) unit(u *unit, y, line int) {
	w.placed[u] = true
	if u.card != nil {
		lines := w.lines(u.card)
		w.box(u.card, ColNetns, y, w.rows(len(lines)))
	}
	for _, d := range u.side {
		h := w.sideHeight(d)
		at := w.box(d, ColContainer, y, h)
		if u.card != nil {
			w.joins = append(w.joins, join{u.card.id, d.id, -1, &at})
		}
		y += h
	}
}

func (w *wirer) portBox(d *draft, at int) { w.box(d, ColPort, at-w.border(), w.rows(1)) }

// box places a box, and returns where wires meet it.
func (w *wirer) box(d *draft, col, y, h int) spot {
	b := WiringBox{ID: d.id, Class: d.class, Col: col, Y: y, H: h, Bad: d.dot}
	if len(d.lines) > 0 {
		b.Name = w.o.clean(d.lines[0].text)
		if d.class == "container" && !w.o.Wide {
			b.Name = shortTask(b.Name)
		}
	}
	if h > 1 || col == ColNetns {
		first := y + 1
		if h == 1 || w.compact && col == ColNetns {
			first = y
		}
		for i, l := range w.lines(d) {
			b.Lines = append(b.Lines, WiringLine{l.id, w.o.clean(l.text), first + i})
		}
	}
	if h == 1 && col == ColContainer {
		var more []string
		for _, l := range w.lines(d) {
			more = append(more, w.o.clean(l.text))
		}
		b.More = strings.Join(more, " ")
	}
	at := y + min(1, h-1)
	if w.compact && col >= ColPort {
		at = y
	}
	i := len(w.out.Boxes)
	w.out.Boxes = append(w.out.Boxes, b)
	if _, ok := w.at[d.id]; !ok {
		w.at[d.id] = spot{i, at}
	}
	for _, l := range b.Lines {
		if _, ok := w.at[l.ID]; !ok && l.ID != "" && col == ColNetns {
			w.at[l.ID] = spot{i, l.Y}
		}
	}
	return spot{i, at}
}

// ref places a word for what has its place elsewhere, or nowhere.
func (w *wirer) ref(id, text string, at int) {
	if text == "" {
		return
	}
	w.out.Boxes = append(w.out.Boxes, WiringBox{ID: id, Class: "ref", Col: ColNetns, Y: at, H: 1, Name: w.o.clean(text)})
}

// farWords say where the other end of a wire is.
func (w *wirer) farWords(peer *topo.Node) string {
	s := w.o.glyphs().arrow + " " + nameOf(peer)
	if ns := w.netnsOf[peer.ID]; ns != nil {
		s += " in " + w.ownerOf(ns)
	}
	return s
}

func (w *wirer) ownerOf(ns *topo.Node) string {
	if list := w.containers[ns.ID]; len(list) > 0 && !isHome(ns) {
		return shortTask(nameOf(list[0]))
	}
	if isHome(ns) {
		return cmp.Or(ns.Host, nsName(ns))
	}
	return nsName(ns)
}
