package render

import (
	"cmp"
	"slices"
)

// The spaces to the right of the columns, in cells: the least, and what they may become.
var wiringGaps = [WiringCols][2]int{{3, 4}, {3, 4}, {5, 14}, {3, 4}, {0, 0}}

// wiringWidths are the least and the most that a column takes.
var wiringWidths = [WiringCols][2]int{{14, 34}, {18, 40}, {13, 20}, {20, 42}, {16, 60}}

// columns gives each column its place: as wide as what stands in it, within the width that there is.
func (w *wirer) columns(width int) {
	var size, least, gap, full [WiringCols]int
	for i := range w.out.Boxes {
		b := &w.out.Boxes[i]
		n := textWidth(b.Name) + 4
		if b.More != "" {
			n += textWidth(b.More) + 2
		}
		for _, l := range b.Lines {
			n = max(n, textWidth(l.Text)+4)
		}
		full[b.Col] = max(full[b.Col], n)
		size[b.Col] = clampInt(max(size[b.Col], n), wiringWidths[b.Col][0], wiringWidths[b.Col][1])
	}
	total := 2
	for c := range size {
		if size[c] == 0 {
			continue
		}
		least[c] = min(size[c], wiringWidths[c][0])
		gap[c] = wiringGaps[c][0]
		total += size[c] + gap[c]
	}
	for total > width { // the widest of those that may still give way, a cell at a time
		at := -1
		for c := range size {
			if size[c] > least[c] && (at < 0 || size[c]-least[c] > size[at]-least[at]) {
				at = c
			}
		}
		if at < 0 {
			break
		}
		size[at]--
		total--
	}
	for total < width { // what is still free goes where most is cut, before wires get longer
		at := -1
		for c := range size {
			if size[c] > 0 && size[c] < full[c] && (at < 0 || full[c]-size[c] > full[at]-size[at]) {
				at = c
			}
		}
		if at < 0 {
			break
		}
		size[at]++
		total++
	}
	for _, c := range []int{ColPort, ColNIC, ColBridge, ColNetns} {
		if more := min(wiringGaps[c][1]-wiringGaps[c][0], width-total); size[c] > 0 && more > 0 {
			gap[c] += more
			total += more
		}
	}
	x := 1
	for c := range size {
		w.out.Cols[c] = WiringCol{x, size[c]}
		x += size[c] + gap[c]
	}
	for i := range w.out.Boxes {
		b := &w.out.Boxes[i]
		b.X, b.W = w.out.Cols[b.Col].X, w.out.Cols[b.Col].W
		if b.Class == "ref" {
			b.W = min(textWidth(b.Name), b.W)
		}
	}
}

func clampInt(n, low, high int) int { return max(low, min(n, high)) }

// connect leads the wires. Those between two rows turn in the space to the left of the column where they end, each on a
// track of its own; where there is no track left, the far end is named instead.
func (w *wirer) connect() {
	var bent []int
	for _, j := range w.joins {
		a, ok1 := w.at[j.from]
		b, ok2 := w.at[j.to]
		if !ok1 || !ok2 {
			continue
		}
		if j.end != nil {
			b = *j.end
		}
		from, to := &w.out.Boxes[a.box], &w.out.Boxes[b.box]
		if from.Col >= to.Col {
			continue
		}
		y1, y2 := a.y, b.y
		if j.y1 >= 0 {
			y1 = j.y1
		}
		// What is higher than one row is met where it is straight.
		if from.Col == ColNetns {
			y1 = clampInt(y2, from.Y, from.Y+from.H-1)
		}
		if to.Col == ColBridge {
			y2 = clampInt(y1, to.Y+1, to.Y+to.H-2)
		}
		if from.Col == ColBridge || from.Col == ColNIC && to.Col == ColNetns {
			y2 = b.y
			y1 = clampInt(y1, from.Y, from.Y+from.H-1)
		}
		wire := WiringWire{From: j.from, To: j.to, Points: [][2]int{{from.X + from.W, y1}, {to.X - 1, y2}}}
		if y1 != y2 {
			bent = append(bent, len(w.out.Wires))
		}
		w.out.Wires = append(w.out.Wires, wire)
	}
	w.bend(bent)
}

// longest is how many rows a wire may pass: beyond, its ends are never seen together.
const longest = 60

// bend gives tracks to the wires that change their row.
func (w *wirer) bend(list []int) {
	wires := w.out.Wires
	span := func(i int) (from, to int) {
		p := wires[i].Points
		return min(p[0][1], p[1][1]), max(p[0][1], p[1][1])
	}
	slices.SortStableFunc(list, func(a, b int) int {
		a1, a2 := span(a)
		b1, b2 := span(b)
		return cmp.Or(cmp.Compare(a2-a1, b2-b1), cmp.Compare(a1, b1))
	})
	type track struct{ x, from, to int }
	var used []track
	drop := map[int]bool{}
	for _, i := range list {
		p := wires[i].Points
		from, to := span(i)
		x := -1
		if to-from <= longest {
			for at := p[1][0] - 1; at > p[0][0]; at-- {
				if !slices.ContainsFunc(used, func(t track) bool { return t.x == at && t.from <= to && from <= t.to }) {
					x = at
					break
				}
			}
		}
		if x < 0 {
			drop[i] = true
			continue
		}
		used = append(used, track{x, from, to})
		wires[i].Points = [][2]int{p[0], {x, p[0][1]}, {x, p[1][1]}, p[1]}
	}
	kept := wires[:0]
	for i, wire := range wires {
		if !drop[i] {
			kept = append(kept, wire)
			continue
		}
		if n := w.node[wire.To]; n != nil && w.out.Boxes[w.at[wire.From].box].Col == ColPort {
			w.ref(n.ID, w.farWords(n), wire.Points[0][1])
			b := &w.out.Boxes[len(w.out.Boxes)-1]
			c := w.out.Cols[ColNetns]
			b.X, b.W = c.X, min(textWidth(b.Name), c.W)
		}
	}
	w.out.Wires = kept
}
