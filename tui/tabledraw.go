package tui

import (
	"slices"

	"github.com/nscope/nscope/topo/render"
)

// tableGap is the space between two columns.
const tableGap = 2

// Draw draws the title, the headings and the rows around the cursor.
func (t *table) Draw(cv canvas) {
	t.prepare()
	l := t.env.look
	if cv.h < 3 {
		t.drawRows(cv, nil)
		return
	}
	x := cv.text(1, 0, cv.w-1, strong, t.Title())
	if len(t.rows) == 0 {
		word := "none on this host"
		if t.total > 0 {
			word = "none passes the filter; esc ends it"
		}
		cv.text(3, 2, cv.w-3, faint, word)
		return
	}
	if t.env.severalHosts() {
		x = cv.text(x+2, 0, cv.w-x-2, faint, "on "+t.rows[t.cursor].group)
	}
	_ = x
	body := cv.sub(0, 2, cv.w, cv.h-2)
	t.page = max(body.h, 1)
	t.scroll()
	cols, widths := t.layout(cv.w - 2)
	x = 2
	for i, c := range cols {
		name := t.columns[c].name
		if c == t.sort {
			if name += l.asc; t.desc {
				name = name[:len(name)-len(l.asc)] + l.desc
			}
		}
		if t.columns[c].right {
			cv.right(x+widths[i], 1, widths[i], head, name)
		} else {
			cv.text(x, 1, widths[i], head, name)
		}
		x += widths[i] + tableGap
	}
	t.drawRows(body, widths)
}

// scroll keeps the cursor on the page.
func (t *table) scroll() {
	t.top = clamp(t.top, t.cursor-t.page+1, t.cursor)
	t.top = clamp(t.top, 0, max(len(t.rows)-t.page, 0))
}

func (t *table) drawRows(cv canvas, widths []int) {
	if widths == nil {
		t.page = max(cv.h, 1)
		t.scroll()
	}
	cols, widths := t.layout(cv.w - 2)
	for y := 0; y < cv.h && t.top+y < len(t.rows); y++ {
		r := &t.rows[t.top+y]
		t.env.watch(r.links...)
		x := 2
		for i, c := range cols {
			text, st := t.cell(c, r)
			if t.columns[c].right {
				cv.right(x+widths[i], y, widths[i], st, text)
			} else {
				cv.text(x, y, widths[i], st, text)
			}
			x += widths[i] + tableGap
		}
		t.env.drawSigns(cv, y, r.id, t.top+y == t.cursor)
	}
}

// drawSigns draws the cursor, a mark or a change in front of a row, and the cursor's row reversed.
func (e *env) drawSigns(cv canvas, y int, id string, cursor bool) {
	switch sign, st := e.sign(id); {
	case sign != "":
		cv.put(1, y, st, sign)
	}
	if cursor {
		cv.put(0, y, strong, e.look.cursor)
		cv.restyle(1, y, cv.w-1, reversed)
	}
}

// sign is what stands in front of a node that is marked, on the path, new or changed.
func (e *env) sign(id string) (string, style) {
	switch {
	case e.marked(id):
		return e.look.mark, lit
	case e.path[id]:
		return "=", lit
	case e.state.Changed[id] == "new":
		return "+", good
	case e.state.Changed[id] != "":
		return "~", warn
	}
	return "", plain
}

func (t *table) cell(c int, r *tableRow) (string, style) {
	if live := t.columns[c].live; live != nil {
		return live(t.env, r)
	}
	st := plain
	if c == 0 {
		st = r.style
	}
	return r.cells[c], st
}

// layout chooses the columns and their widths, so that they fit into w: what is on the page decides how wide one would
// like to be.
func (t *table) layout(w int) (cols, widths []int) {
	cols = t.shown()
	if t.left > 0 && len(cols) > 1 { // the first column stays
		cols = append([]int{cols[0]}, cols[1+min(t.left, len(cols)-2):]...)
	}
	total := 0
	for _, c := range cols {
		most := render.TextWidth(t.columns[c].name) + render.TextWidth(t.env.look.asc)
		for y := 0; y < t.page && t.top+y < len(t.rows); y++ {
			text, _ := t.cell(c, &t.rows[t.top+y])
			most = max(most, render.TextWidth(t.env.clean(text)))
		}
		widths = append(widths, most)
		total += most + tableGap
	}
	total -= tableGap
	order := make([]int, len(cols))
	for i := range cols {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return t.columns[cols[b]].rank - t.columns[cols[a]].rank })
	for _, i := range order { // first every column to its least, what matters least first
		if total <= w {
			break
		}
		least := max(t.columns[cols[i]].least, min(widths[i], 6))
		cut := min(max(widths[i]-least, 0), total-w)
		widths[i] -= cut
		total -= cut
	}
	for _, i := range order { // then whole columns
		if total <= w || i == 0 {
			continue
		}
		total -= widths[i] + tableGap
		widths[i] = -1
	}
	for i := len(cols) - 1; i >= 0; i-- {
		if widths[i] < 0 {
			cols, widths = slices.Delete(slices.Clone(cols), i, i+1), slices.Delete(widths, i, i+1)
		}
	}
	return cols, widths
}
