package tui

import (
	"slices"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// treeView is the topology as a tree, for narrow terminals. The cursor is on a piece of a line: a port, the link inside, a
// container.
type treeView struct {
	env   *env
	lines []render.TreeLine
	row   int
	piece int // index in the line's pieces
	top   int
	page  int
}

func (t *treeView) layout(g *topo.Graph, w, h int, id string) {
	t.lines = render.TreeLines(g, render.Options{Width: w - 2, ASCII: t.env.look.ascii, Wide: t.env.wide})
	t.page = max(h, 1)
	if !t.pick([]string{id}) && !(t.env.node(id) != nil && t.pick(t.env.related(id))) {
		t.goTo(t.row, 1) // the line that took the place of what is gone
	}
}

// things are the indexes of a line's pieces that stand for nodes.
func (t *treeView) things(row int) []int {
	var list []int
	for i, p := range t.lines[row].Pieces {
		if p.ID != "" {
			list = append(list, i)
		}
	}
	return list
}

// goTo puts the cursor on the row, or on the next one in the direction that has something to be on.
func (t *treeView) goTo(row, dir int) bool {
	row = clamp(row, 0, max(len(t.lines)-1, 0))
	for _, d := range []int{dir, -dir} {
		for r := row; r >= 0 && r < len(t.lines); r += d {
			if things := t.things(r); len(things) > 0 {
				t.row, t.piece = r, things[len(things)-1]
				return true
			}
		}
	}
	t.row, t.piece = 0, 0
	return false
}

func (t *treeView) selected() string {
	if t.row >= len(t.lines) || t.piece >= len(t.lines[t.row].Pieces) {
		return ""
	}
	return t.lines[t.row].Pieces[t.piece].ID
}

func (t *treeView) pick(ids []string) bool {
	for _, id := range ids {
		if id == "" {
			continue
		}
		// What is named in several lines has its place where it is told by its own colour; else the nearest will do.
		type place struct{ row, piece, cost int }
		best := place{cost: -1}
		for r := range t.lines {
			for i, p := range t.lines[r].Pieces {
				if p.ID != id {
					continue
				}
				cost := abs(r - t.row)
				if p.Kind == render.PiecePlain {
					cost += len(t.lines)
				}
				if best.cost < 0 || cost < best.cost {
					best = place{r, i, cost}
				}
			}
		}
		if best.cost >= 0 {
			t.row, t.piece = best.row, best.piece
			return true
		}
	}
	return false
}

func (t *treeView) move(to direction) bool {
	if len(t.lines) == 0 {
		return false
	}
	switch to {
	case up:
		return t.goTo(t.row-1, -1)
	case down:
		return t.goTo(t.row+1, 1)
	case pageUp:
		return t.goTo(t.row-t.page, -1)
	case pageDown:
		return t.goTo(t.row+t.page, 1)
	case first:
		return t.goTo(0, 1)
	case last:
		return t.goTo(len(t.lines)-1, -1)
	}
	things := t.things(t.row)
	at := slices.Index(things, t.piece)
	switch {
	case to == left && at > 0:
		t.piece = things[at-1]
	case to == right && at < len(things)-1:
		t.piece = things[at+1]
	case to == left:
		for p := t.lines[t.row].Parent; p >= 0; p = t.lines[p].Parent {
			if things := t.things(p); len(things) > 0 {
				t.row, t.piece = p, things[0]
				return true
			}
		}
		return false
	case to == right:
		if t.row+1 >= len(t.lines) || t.lines[t.row+1].Depth <= t.lines[t.row].Depth {
			return false
		}
		if !t.goTo(t.row+1, 1) {
			return false
		}
		t.piece = t.things(t.row)[0]
	}
	return true
}

func (t *treeView) at(x, y int) bool {
	r := t.top + y
	if r < 0 || r >= len(t.lines) {
		return false
	}
	col := 1 + render.TextWidth(t.lines[r].Branch)
	best := -1
	for i, p := range t.lines[r].Pieces {
		if p.ID != "" && (best < 0 || x >= col) {
			best = i
		}
		col += render.TextWidth(p.Text)
	}
	if best < 0 {
		return false
	}
	t.row, t.piece = r, best
	return true
}

var pieceStyles = map[render.PieceKind]style{render.PieceDim: faint, render.PieceTitle: strong, render.PieceLink: bridge, render.PieceNetwork: bridge, render.PieceWork: work, render.PieceHelper: warn, render.PieceBad: bad}

func (t *treeView) draw(cv canvas) {
	t.page = max(cv.h, 1)
	t.top = clamp(t.top, t.row-t.page+1, t.row)
	t.top = clamp(t.top, 0, max(len(t.lines)-t.page, 0))
	for y := 0; y < cv.h && t.top+y < len(t.lines); y++ {
		r := t.top + y
		line := &t.lines[r]
		x := cv.put(1, y, faint, line.Branch)
		for i, p := range line.Pieces {
			st := pieceStyles[p.Kind]
			from := x
			if t.env.path[p.ID] && p.ID != "" {
				st = lit
			}
			if sign, s := t.env.sign(p.ID); p.ID != "" && sign != "" {
				x = cv.put(x, y, s, sign)
			}
			if r == t.row && i == t.piece {
				st |= reversed
			}
			x = cv.put(x, y, st, p.Text)
			if r == t.row && i == t.piece {
				cv.put(from-1, y, strong, t.env.look.cursor) // in the space before it
			}
		}
	}
}
