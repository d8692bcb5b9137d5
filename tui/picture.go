package tui

import (
	"cmp"
	"slices"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// picture is the topology drawn in columns. The cursor is on an item: a box, or a line in one.
type picture struct {
	env   *env
	wires *render.Wiring
	items []item // by column, then row
	cur   int
	top   int
	h     int
	// to and from are the items at the right and left end of each item's wires, from what is drawn.
	to, from map[string][]string
	// came remembers over which wire one came to a thing from its right, so that right leads back there.
	came map[string]string
}

// item is something that the cursor can be on.
type item struct {
	id        string
	col, y    int
	box, line int // line -1: the box itself; box -1: a title
	ref       bool
}

func (p *picture) layout(g *topo.Graph, w, h int, id string) {
	old := item{}
	if p.cur < len(p.items) {
		old = p.items[p.cur]
	}
	o := render.Options{ASCII: p.env.look.ascii, Wide: p.env.wide}
	if p.h = max(h, 1); h > 6 {
		p.h-- // the columns' names
	}
	p.wires = nil
	if !p.env.wide {
		p.wires = render.NewWiring(g, w, true, o)
	}
	if p.env.wide || len(p.wires.Boxes) < 200 {
		if roomy := render.NewWiring(g, w, false, o); p.env.wide || roomy.H <= p.h {
			p.wires = roomy
		}
	}
	p.index()
	if p.pickNear(id, old) || p.env.node(id) != nil && p.pick(p.env.related(id)) {
		return
	}
	// What is gone leaves the cursor to what is nearest in its column.
	best := -1
	for i, it := range p.items {
		if best < 0 || distance(it, old) < distance(p.items[best], old) {
			best = i
		}
	}
	p.cur = max(best, 0)
	if old == (item{}) {
		p.start()
	}
}

func distance(a, b item) int { return abs(a.col-b.col)*1000 + abs(a.y-b.y) }

func abs(n int) int { return max(n, -n) }

// start puts the cursor where a newcomer finds the first wire: the first port, else the first thing.
func (p *picture) start() {
	p.cur = max(slices.IndexFunc(p.items, func(it item) bool { return it.col == render.ColPort && !it.ref && len(p.to[it.id]) > 0 }), 0)
	p.top = 0
}

// index makes the items and finds out which wires lead where.
func (p *picture) index() {
	p.items, p.to, p.from = nil, map[string][]string{}, map[string][]string{}
	if p.came == nil {
		p.came = map[string]string{}
	}
	for _, t := range p.wires.Titles {
		if t.ID != "" {
			p.items = append(p.items, item{t.ID, render.ColNIC, t.Y, -1, -1, false})
		}
	}
	for i := range p.wires.Boxes {
		b := &p.wires.Boxes[i]
		if b.ID == "" {
			continue
		}
		named := !(b.Col == render.ColNetns && onlyLines(b))
		if named {
			p.items = append(p.items, item{b.ID, b.Col, nameRow(b), i, -1, b.Class == "ref"})
		}
		for k, l := range b.Lines {
			if l.ID != "" {
				p.items = append(p.items, item{l.ID, b.Col, l.Y, i, k, b.Class == "tunnel"})
			}
		}
	}
	slices.SortStableFunc(p.items, func(a, b item) int { return cmp.Or(cmp.Compare(a.col, b.col), cmp.Compare(a.y, b.y)) })
	for _, w := range p.wires.Wires {
		p.to[w.From] = append(p.to[w.From], w.To)
		p.from[w.To] = append(p.from[w.To], w.From)
	}
}

// onlyLines tells of a namespace's box that its lines are all there is to see: one row a link.
func onlyLines(b *render.WiringBox) bool {
	return len(b.Lines) > 0 && b.Lines[0].Y == b.Y && slices.ContainsFunc(b.Lines, func(l render.WiringLine) bool { return l.ID != "" })
}

// nameRow is the row where a box's name stands: in its border, or in a port's middle.
func nameRow(b *render.WiringBox) int {
	if b.Class == "port" && b.H == 3 {
		return b.Y + 1
	}
	return b.Y
}

func (p *picture) selected() string {
	if p.cur >= len(p.items) {
		return ""
	}
	return p.items[p.cur].id
}

// pickNear puts the cursor on the item of an id that is nearest to where it was; a reference only where there is nothing else.
func (p *picture) pickNear(id string, old item) bool {
	best := -1
	for i, it := range p.items {
		if it.id != id || id == "" {
			continue
		}
		if best < 0 || !it.ref && p.items[best].ref || it.ref == p.items[best].ref && distance(it, old) < distance(p.items[best], old) {
			best = i
		}
	}
	if best >= 0 {
		p.cur = best
	}
	return best >= 0
}

func (p *picture) pick(ids []string) bool {
	here := item{}
	if p.cur < len(p.items) {
		here = p.items[p.cur]
	}
	return slices.ContainsFunc(ids, func(id string) bool { return p.pickNear(id, here) })
}

func (p *picture) move(to direction) bool {
	if len(p.items) == 0 {
		return false
	}
	it := p.items[p.cur]
	switch to {
	case up, down, pageUp, pageDown:
		step := map[direction]int{up: -1, down: 1, pageUp: -p.h, pageDown: p.h}[to]
		if to == up || to == down {
			if n := p.cur + step; n >= 0 && n < len(p.items) && p.items[n].col == it.col {
				p.cur = n
			}
			return true
		}
		p.nearest(it.col, it.y+step)
	case first:
		p.nearest(it.col, 0)
	case last:
		p.nearest(it.col, p.wires.H)
	case left:
		p.follow(it, p.from, -1)
	case right:
		if it.ref {
			// A word for what has its place elsewhere leads there.
			if n := slices.IndexFunc(p.items, func(x item) bool { return x.id == it.id && !x.ref }); n >= 0 {
				p.cur = n
				return true
			}
		}
		p.follow(it, p.to, 1)
	}
	return true
}

// nearest puts the cursor on the item of a column that is nearest to a row.
func (p *picture) nearest(col, y int) bool {
	return p.nearestOf(col, y, func(item) bool { return true })
}

func (p *picture) nearestOf(col, y int, ok func(item) bool) bool {
	best := -1
	for i, it := range p.items {
		if it.col == col && ok(it) && (best < 0 || abs(it.y-y) < abs(p.items[best].y-y)) {
			best = i
		}
	}
	if best >= 0 {
		p.cur = best
	}
	return best >= 0
}

// follow moves along a wire; of several along the one that one came by, else the nearest. Where there is no wire it goes to
// what is nearest in the next column that has something.
func (p *picture) follow(it item, ends map[string][]string, dir int) {
	ids := ends[it.id]
	if it.box >= 0 {
		b := &p.wires.Boxes[it.box]
		if len(ids) == 0 && it.line >= 0 {
			ids = ends[b.ID]
		}
		if len(ids) == 0 && it.line < 0 {
			for _, l := range b.Lines {
				ids = append(ids, ends[l.ID]...)
			}
		}
		if ref := p.refAt(it); dir > 0 && len(ids) == 0 && ref >= 0 {
			p.cur = ref
			return
		}
		if it.ref && dir < 0 {
			p.nearest(render.ColPort, it.y)
			return
		}
	}
	best := -1
	for i, x := range p.items {
		if !slices.Contains(ids, x.id) && !(x.box >= 0 && x.line >= 0 && slices.Contains(ids, p.wires.Boxes[x.box].ID)) || x.ref || (x.col-it.col)*dir <= 0 {
			continue
		}
		if dir > 0 && p.came[it.id] == x.id {
			best = i
			break
		}
		if best < 0 || abs(x.y-it.y) < abs(p.items[best].y-it.y) {
			best = i
		}
	}
	if best >= 0 {
		if p.cur = best; dir < 0 {
			p.came[p.items[best].id] = it.id
		}
		return
	}
	// What is near on another host, and words for what is there, come last.
	for _, near := range []bool{true, false} {
		for c := it.col + dir; c >= 0 && c < render.WiringCols; c += dir {
			if p.nearestOf(c, it.y, func(x item) bool { return !near || !x.ref && p.host(x) == p.host(it) }) {
				return
			}
		}
	}
}

func (p *picture) host(it item) string {
	if n := p.env.node(it.id); n != nil {
		return n.Host
	}
	return ""
}

// refAt is the word beside a port that says where its other end is, -1 for none.
func (p *picture) refAt(it item) int {
	return slices.IndexFunc(p.items, func(x item) bool { return x.ref && x.col == render.ColNetns && x.y == it.y && it.col == render.ColPort })
}

func (p *picture) at(x, y int) bool {
	if p.h > 5 {
		y-- // the columns' names
	}
	best := -1
	for i, it := range p.items {
		if it.y != p.top+y || it.box < 0 {
			continue
		}
		if b := &p.wires.Boxes[it.box]; x >= b.X && x < b.X+b.W {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	p.cur = best
	return true
}
