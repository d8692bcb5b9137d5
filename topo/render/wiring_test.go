package render

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/nscope/nscope/topo"
)

// checkWiring proves of a drawing what it promises: nothing outside, no box on another, no wire through a box, wires of
// straight parts from right edges to left edges, and none that tells of what the graph does not have.
func checkWiring(t *testing.T, g *topo.Graph, w *Wiring) {
	t.Helper()
	at := map[[2]int]int{}
	byID := map[string][]int{}
	for i, b := range w.Boxes {
		if b.X < 0 || b.Y < 0 || b.W < 1 || b.H < 1 || b.X+b.W > w.W || b.Y+b.H > w.H {
			t.Fatalf("box %s %q is at %d,%d %dx%d of %dx%d", b.Class, b.ID, b.X, b.Y, b.W, b.H, w.W, w.H)
		}
		for y := b.Y; y < b.Y+b.H; y++ {
			for x := b.X; x < b.X+b.W; x++ {
				if j, ok := at[[2]int{x, y}]; ok {
					t.Fatalf("box %s %q stands on %s %q at %d,%d", b.Class, b.ID, w.Boxes[j].Class, w.Boxes[j].ID, x, y)
				}
				at[[2]int{x, y}] = i
			}
		}
		byID[b.ID] = append(byID[b.ID], i)
		for _, l := range b.Lines {
			if l.Y < b.Y || l.Y >= b.Y+b.H {
				t.Fatalf("line %q of box %q is at row %d, the box from %d, %d high", l.Text, b.ID, l.Y, b.Y, b.H)
			}
			if l.ID != "" {
				byID[l.ID] = append(byID[l.ID], i)
			}
		}
	}
	for _, title := range w.Titles {
		for x := range w.W {
			if i, ok := at[[2]int{x, title.Y}]; ok {
				t.Fatalf("the title %q is under box %q", title.Text, w.Boxes[i].ID)
			}
		}
	}
	edges := map[[2]string]bool{}
	for _, e := range g.Edges {
		edges[[2]string{e.From, e.To}], edges[[2]string{e.To, e.From}] = true, true
	}
	for _, wire := range w.Wires {
		if !edges[[2]string{wire.From, wire.To}] {
			t.Fatalf("a wire from %s to %s, which the graph does not have", wire.From, wire.To)
		}
		p := wire.Points
		starts := slices.ContainsFunc(byID[wire.From], func(i int) bool {
			b := w.Boxes[i]
			return b.X+b.W == p[0][0] && p[0][1] >= b.Y && p[0][1] < b.Y+b.H
		})
		end := p[len(p)-1]
		ends := slices.ContainsFunc(byID[wire.To], func(i int) bool {
			b := w.Boxes[i]
			return b.X-1 == end[0] && end[1] >= b.Y && end[1] < b.Y+b.H
		})
		if !starts || !ends {
			t.Fatalf("the wire from %s to %s runs %v: at its start %v, at its end %v", wire.From, wire.To, p, starts, ends)
		}
		for i := 1; i < len(p); i++ {
			a, b := p[i-1], p[i]
			if a[0] != b[0] && a[1] != b[1] {
				t.Fatalf("the wire from %s to %s is not straight: %v", wire.From, wire.To, p)
			}
			for x := min(a[0], b[0]); x <= max(a[0], b[0]); x++ {
				for y := min(a[1], b[1]); y <= max(a[1], b[1]); y++ {
					if j, ok := at[[2]int{x, y}]; ok {
						t.Fatalf("the wire from %s to %s crosses box %s %q at %d,%d: %v", wire.From, wire.To, w.Boxes[j].Class, w.Boxes[j].ID, x, y, p)
					}
				}
			}
		}
	}
	// Everything that has a place in a picture is in it, once.
	for _, n := range g.Nodes {
		places := 0
		for _, i := range byID[n.ID] {
			if w.Boxes[i].Class != "ref" {
				places++
			}
		}
		if n.Kind == topo.KindContainer && places != 1 {
			t.Fatalf("container %s is drawn %d times", n.ID, places)
		}
	}
}

func TestWiringScenes(t *testing.T) {
	for name, g := range map[string]*topo.Graph{"modes": modes(), "swarm": swarm(), "nested": nested(), "many": many(300), "small": small(), "one of three": oneOfThree(), "none": {}} {
		for _, compact := range []bool{true, false} {
			for _, width := range []int{WiringLeast, 120, 200} {
				t.Run(fmt.Sprint(name, compact, width), func(t *testing.T) {
					w := NewWiring(g, width, compact, Options{})
					checkWiring(t, g, w)
					if again := NewWiring(g, width, compact, Options{}); !reflect.DeepEqual(w, again) {
						t.Error("the same graph gave another picture")
					}
				})
			}
		}
	}
}

func TestWiringRandom(t *testing.T) {
	for seed := range uint64(200) {
		g := random(seed, 10+int(seed)%60, seed%2 == 0)
		w := NewWiring(g, 96+int(seed)%110, seed%3 != 0, Options{ASCII: seed%5 == 0})
		checkWiring(t, g, w)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestTreeLinesAreTheTree holds the lines with ids against the tree as text.
func TestTreeLinesAreTheTree(t *testing.T) {
	for seed := range uint64(60) {
		g := random(seed, 10+int(seed)%60, seed%2 == 0)
		o := Options{Width: -1, Full: true}
		want := treeOf(t, g, o)
		got := ""
		for i, l := range TreeLines(g, o) {
			if i > 0 && l.Depth == 0 {
				got += "\n"
			}
			line := l.Branch
			for _, p := range l.Pieces {
				line += p.Text
				if _, ok := g.Node(p.ID); p.ID != "" && !ok {
					t.Fatalf("seed %d: no node %s", seed, p.ID)
				}
			}
			got += line + "\n"
		}
		if got != want {
			t.Fatalf("seed %d: the lines are\n%s\nthe tree is\n%s", seed, got, want)
		}
	}
}
