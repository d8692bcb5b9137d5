package render

import (
	"cmp"
	"math"
	"slices"
)

// clearOf is how far a wire that goes round boxes stays away from them.
const clearOf = 5.0

// across leads a wire from one column to another one further right: by a curve where nothing is in its way, else down
// the gap beside its own column, across the columns between where they leave room, and up the gap before the other.
// A wire behind a box would look as if it ended there.
func (l *layouter) across(a, b anchor, lanes map[int]int) string {
	back := a.d.col > b.d.col
	from, to := a, b
	if back {
		from, to = b, a
	}
	x1, y1, x2, y2 := from.d.x+from.d.w, from.y(), to.d.x, to.y()
	if free := l.corridor(from, to, x1, y1, x2, y2); !math.IsNaN(free) {
		const laneKey = -2
		off := 10 + 6*float64(lanes[laneKey]%4)
		lanes[laneKey]++
		pts := [][2]float64{{x1, y1}, {x1 + off, y1}, {x1 + off, free}, {x2 - off, free}, {x2 - off, y2}, {x2, y2}}
		if back {
			slices.Reverse(pts)
		}
		return polyline(pts)
	}
	if back {
		return curve(x2, y2, x1, y1)
	}
	return curve(x1, y1, x2, y2)
}

// corridor is the height at which a wire may cross the columns between two boxes, NaN where a curve hits nothing.
func (l *layouter) corridor(from, to anchor, x1, y1, x2, y2 float64) float64 {
	var between []*box
	for _, d := range l.drafts {
		if d.col > from.d.col && d.col < to.d.col && d.w > 0 {
			between = append(between, d.box)
		}
	}
	if !slices.ContainsFunc(between, func(b *box) bool { return curveMeets(x1, y1, x2, y2, b) }) {
		return math.NaN()
	}
	ways := []float64{y1, y2}
	for _, b := range between {
		ways = append(ways, b.y-clearOf, b.y+b.h+clearOf)
	}
	ways = slices.DeleteFunc(ways, func(y float64) bool {
		return slices.ContainsFunc(between, func(b *box) bool { return y > b.y-clearOf && y < b.y+b.h+clearOf })
	})
	if len(ways) == 0 {
		return math.NaN()
	}
	// The shortest way, and of several that one which turns near the end where fewer wires are.
	length := func(y float64) float64 { return math.Abs(y-y1) + math.Abs(y-y2) }
	return slices.MinFunc(ways, func(p, q float64) int {
		if d := length(p) - length(q); math.Abs(d) > 0.01 {
			return cmp.Compare(d, 0)
		}
		return cmp.Compare(math.Abs(p-y2), math.Abs(q-y2))
	})
}

// curveMeets tells whether the wire that [curve] draws comes near a box.
func curveMeets(x1, y1, x2, y2 float64, b *box) bool {
	const steps = 200
	mid := (x1 + x2) / 2
	for i := range steps + 1 {
		t := float64(i) / steps
		u := 1 - t
		x := u*u*u*x1 + 3*u*u*t*mid + 3*u*t*t*mid + t*t*t*x2
		y := u*u*u*y1 + 3*u*u*t*y1 + 3*u*t*t*y2 + t*t*t*y2
		if x > b.x && x < b.x+b.w && y > b.y-2 && y < b.y+b.h+2 {
			return true
		}
	}
	return false
}
