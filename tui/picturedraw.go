package tui

import (
	"github.com/nscope/nscope/topo/render"
)

// The directions in which a wire leaves a cell.
const (
	toLeft = 1 << iota
	toRight
	toUp
	toDown
	litWire
)

func (p *picture) draw(cv canvas) {
	if cv.h > 6 {
		for i, c := range p.wires.Cols {
			if c.W > 0 {
				cv.text(c.X, 0, c.W, head, render.WiringHeads[i])
			}
		}
		cv = cv.sub(0, 1, cv.w, cv.h-1)
	}
	p.h = max(cv.h, 1)
	cur := item{}
	if p.cur < len(p.items) {
		cur = p.items[p.cur]
	}
	p.scroll(cur)
	p.drawWires(cv)
	for _, t := range p.wires.Titles {
		y := t.Y - p.top
		if y < 0 || y >= cv.h {
			continue
		}
		st := strong
		if t.Level > 0 {
			st = bridge
		}
		on := cur.box < 0 && cur.y == t.Y && cur.id == t.ID
		x := 1
		if t.Level > 0 {
			x = 3
		}
		x = p.name(cv, x, y, cv.w-x-1, st, t.ID, t.Text, on)
		cv.text(x+2, y, cv.w-x-3, faint, t.More)
	}
	for i := range p.wires.Boxes {
		b := &p.wires.Boxes[i]
		if b.Y+b.H > p.top && b.Y < p.top+cv.h {
			p.box(cv, i, b, cur)
		}
	}
}

// scroll keeps the cursor's box in sight.
func (p *picture) scroll(cur item) {
	y1, y2 := cur.y, cur.y
	if cur.box >= 0 && cur.box < len(p.wires.Boxes) {
		b := &p.wires.Boxes[cur.box]
		y1, y2 = max(b.Y, cur.y-p.h/3), min(b.Y+b.H-1, cur.y+p.h/3)
	}
	p.top = min(p.top, max(y1-1, 0))
	p.top = max(p.top, y2+2-p.h)
	p.top = clamp(p.top, 0, max(p.wires.H-p.h, 0))
}

// drawWires draws the wires that are in sight, the lit ones last.
func (p *picture) drawWires(cv canvas) {
	bits := make([]uint8, cv.w*cv.h)
	mark := func(x, y int, b uint8) {
		if x >= 0 && x < cv.w && y >= 0 && y < cv.h {
			bits[y*cv.w+x] |= b
		}
	}
	for _, w := range p.wires.Wires {
		var flag uint8
		if p.lit(w.From) && p.lit(w.To) {
			flag = litWire
		}
		for i := 1; i < len(w.Points); i++ {
			a, b := w.Points[i-1], w.Points[i]
			x1, x2, y1, y2 := min(a[0], b[0]), max(a[0], b[0]), min(a[1], b[1])-p.top, max(a[1], b[1])-p.top
			if y1 == y2 {
				for x := x1; x <= x2; x++ {
					var d uint8
					if x > x1 || i == 1 && x == a[0] {
						d |= toLeft
					}
					if x < x2 || i == len(w.Points)-1 && x == b[0] {
						d |= toRight
					}
					mark(x, y1, d|flag)
				}
				continue
			}
			for y := max(y1, 0); y <= min(y2, cv.h-1); y++ {
				var d uint8
				if y > y1 {
					d |= toUp
				}
				if y < y2 {
					d |= toDown
				}
				mark(x1, y, d|flag)
			}
		}
	}
	for y := range cv.h {
		for x := range cv.w {
			if b := bits[y*cv.w+x]; b != 0 {
				r, st := p.env.look.joint(b)
				cv.set(x, y, st, r)
			}
		}
	}
}

func (p *picture) lit(id string) bool { return p.env.path[id] }

// joint is the sign of a wire that leaves a cell in some directions.
func (l *look) joint(b uint8) (rune, style) {
	st := faint
	h, v := l.h, l.v
	if b&litWire != 0 {
		st, h, v = lit, l.lh, l.lv
	}
	switch b &^ litWire {
	case toLeft, toRight, toLeft | toRight:
		return h, st
	case toUp, toDown, toUp | toDown:
		return v, st
	case toRight | toDown:
		return l.tl, st
	case toLeft | toDown:
		return l.tr, st
	case toRight | toUp:
		return l.bl, st
	case toLeft | toUp:
		return l.br, st
	case toUp | toDown | toRight:
		return l.lt, st
	case toUp | toDown | toLeft:
		return l.rt, st
	case toLeft | toRight | toDown:
		return l.tt, st
	case toLeft | toRight | toUp:
		return l.bt, st
	}
	return l.x, st
}

var classStyles = map[string]style{"nic": nic, "tunnel": nic, "bridge": bridge, "port": wire, "netns": space, "container": work, "service": warn, "ref": faint}

func (p *picture) box(cv canvas, i int, b *render.WiringBox, cur item) {
	st := classStyles[b.Class]
	y := b.Y - p.top
	on := func(line int) bool { return cur.box == i && cur.line == line }
	if b.Class == "port" || b.Class == "netns" || b.Class == "container" {
		p.watch(b)
	}
	if b.H == 1 || b.Class == "netns" && len(b.Lines) > 0 && b.Lines[0].Y == b.Y {
		p.bare(cv, b, st, on)
		return
	}
	p.frame(cv, b, st)
	in := b.W - 4
	if b.Class == "port" && b.H == 3 {
		p.name(cv, b.X+2, y+1, in, st, b.ID, b.Name, on(-1))
	} else {
		x := p.name(cv, b.X+2, y, in, st, b.ID, b.Name, on(-1))
		if x < b.X+b.W-1 {
			cv.put(x, y, st, " ")
		}
		cv.put(b.X+1, y, st, " ")
	}
	for k, l := range b.Lines {
		lst := plain
		if l.ID == "" {
			lst = faint
		}
		p.name(cv, b.X+2, l.Y-p.top, in, lst, l.ID, l.Text, on(k))
	}
	if b.Bad {
		cv.put(b.X+b.W-2, y, bad, "!")
	}
}

// bare draws a box of one row, or of one row a line, without a border; what is left of its width is wire where one is.
func (p *picture) bare(cv canvas, b *render.WiringBox, st style, on func(int) bool) {
	draw := func(y int, id, text string, sel bool, st style) {
		end := p.name(cv, b.X, y, b.W, st, id, text, sel)
		if b.Col < render.ColContainer && b.Class != "ref" && cv.at(b.X+b.W, y) != ' ' && end < b.X+b.W {
			s := faint
			r := p.env.look.h
			if p.litBeyond(id, b) {
				s, r = lit, p.env.look.lh
			}
			for x := end + 1; x < b.X+b.W; x++ {
				cv.set(x, y, s, r)
			}
		}
	}
	if len(b.Lines) == 0 || b.Col != render.ColNetns {
		draw(b.Y-p.top, b.ID, b.Name, on(-1), st)
		if b.More != "" {
			x := b.X + render.TextWidth(b.Name) + 2
			cv.text(x, b.Y-p.top, b.X+b.W-x, faint, b.More)
		}
		return
	}
	for k, l := range b.Lines {
		id := l.ID
		if id == "" {
			id = b.ID
		}
		draw(l.Y-p.top, id, l.Text, on(k) || l.ID == "" && on(-1), st)
	}
}

// litBeyond tells whether the path goes on to the right of a thing.
func (p *picture) litBeyond(id string, b *render.WiringBox) bool {
	if !p.lit(id) && !p.lit(b.ID) {
		return false
	}
	for _, end := range append(p.to[id], p.to[b.ID]...) {
		if p.lit(end) {
			return true
		}
	}
	return false
}

// name writes a name with its sign, and the cursor, and returns the column behind it.
func (p *picture) name(cv canvas, x, y, w int, st style, id, text string, cursor bool) int {
	if p.lit(id) && id != "" {
		st = lit
	}
	if sign, s := p.env.sign(id); id != "" && sign != "" {
		cv.put(x, y, s, sign)
		x, w = x+1, w-1
	}
	if cursor {
		cv.put(x-1, y, strong, p.env.look.cursor)
		st |= reversed
	}
	return cv.text(x, y, w, st, text)
}

// frame draws a box's border, with a joint where a wire meets it.
func (p *picture) frame(cv canvas, b *render.WiringBox, st style) {
	l := p.env.look
	if p.lit(b.ID) {
		st = lit
	} else {
		st &^= bold
	}
	y1, y2, x1, x2 := b.Y-p.top, b.Y+b.H-1-p.top, b.X, b.X+b.W-1
	for y := max(y1, 0); y <= min(y2, cv.h-1); y++ {
		r1, r2 := l.v, l.v
		if cv.at(x1-1, y) != ' ' && y > y1 && y < y2 {
			r1 = l.rt
		}
		if cv.at(x2+1, y) != ' ' && y > y1 && y < y2 {
			r2 = l.lt
		}
		cv.fill(x1+1, y, b.W-2, 1, plain, ' ')
		cv.set(x1, y, st, r1)
		cv.set(x2, y, st, r2)
	}
	for x := x1; x <= x2; x++ {
		cv.set(x, y1, st, l.h)
		cv.set(x, y2, st, l.h)
	}
	cv.set(x1, y1, st, l.tl)
	cv.set(x2, y1, st, l.tr)
	cv.set(x1, y2, st, l.bl)
	cv.set(x2, y2, st, l.br)
}

// watch says that a thing's counters are on the screen.
func (p *picture) watch(b *render.WiringBox) {
	if b.Class == "port" && b.ID != "" && p.env.node(b.ID) != nil {
		p.env.watch(b.ID)
	}
}
