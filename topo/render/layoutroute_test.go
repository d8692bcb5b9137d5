package render

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

// pathPoints samples the path of a wire, of which the commands are M, L, H, Q and C with absolute coordinates.
func pathPoints(t *testing.T, path string) (pts [][2]float64) {
	t.Helper()
	at := [2]float64{}
	for path != "" {
		end := strings.IndexAny(path[1:], "MLHQC") + 1
		if end == 0 {
			end = len(path)
		}
		var n []float64
		for _, f := range strings.Fields(path[1:end]) {
			v, err := strconv.ParseFloat(f, 64)
			if err != nil {
				t.Fatalf("path %q: %v", path, err)
			}
			n = append(n, v)
		}
		knots := [][2]float64{at}
		if path[0] == 'H' {
			n = append(n, at[1])
		}
		for i := 0; i+1 < len(n); i += 2 {
			knots = append(knots, [2]float64{n[i], n[i+1]})
		}
		to := knots[len(knots)-1]
		for i := range 101 {
			if path[0] == 'M' {
				break
			}
			// De Casteljau's way works for lines and curves of any degree.
			k := append([][2]float64(nil), knots...)
			for u := float64(i) / 100; len(k) > 1; k = k[:len(k)-1] {
				for j := range len(k) - 1 {
					k[j] = [2]float64{k[j][0] + u*(k[j+1][0]-k[j][0]), k[j][1] + u*(k[j+1][1]-k[j][1])}
				}
			}
			pts = append(pts, k[0])
		}
		at, path = to, path[end:]
	}
	return pts
}

// hidden lists the wires that pass behind a box that is not theirs.
func hiddenWires(t *testing.T, p *picture) (out []string) {
	t.Helper()
	for _, w := range p.wires {
		pts := pathPoints(t, w.path)
		for _, b := range p.boxes {
			own := false // a wire may begin or end at its edge
			for _, q := range [][2]float64{pts[0], pts[len(pts)-1]} {
				own = own || math.Abs(q[0]-b.x) < 1 && q[1] >= b.y-1 && q[1] <= b.y+b.h+1 || math.Abs(q[0]-b.x-b.w) < 1 && q[1] >= b.y-1 && q[1] <= b.y+b.h+1
			}
			if own {
				continue
			}
			for _, q := range pts {
				if q[0] > b.x+1 && q[0] < b.x+b.w-1 && q[1] > b.y+1 && q[1] < b.y+b.h-1 {
					out = append(out, fmt.Sprintf("%s %s → %s behind %s", w.kind, w.from, w.to, b.id))
					break
				}
			}
		}
	}
	return out
}

// On pictures of real hosts, whole and in parts, no wire passes behind a box: it would look as if it ended there.
func TestNoWireBehindABox(t *testing.T) {
	for name, g := range examples(t) {
		for _, s := range hiddenWires(t, layout(g, Options{})) {
			t.Errorf("%s: %s", name, s)
		}
		for _, n := range g.Nodes {
			for _, s := range hiddenWires(t, layout(g.Sub(n.ID), Options{})) {
				t.Errorf("%s, around %s: %s", name, n.Name, s)
			}
		}
	}
	for name, scene := range scenes {
		for _, s := range hiddenWires(t, layout(scene(), Options{})) {
			t.Errorf("scene %s: %s", name, s)
		}
	}
}
