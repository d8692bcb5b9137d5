package render

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

func sketch(w *Wiring) string {
	grid := make([][]rune, w.H)
	for y := range grid {
		grid[y] = []rune(strings.Repeat(" ", w.W))
	}
	set := func(x, y int, r rune) {
		if y >= 0 && y < len(grid) && x >= 0 && x < w.W {
			grid[y][x] = r
		}
	}
	put := func(x, y int, s string) {
		for _, r := range s {
			set(x, y, r)
			x++
		}
	}
	for _, t := range w.Titles {
		put(1, t.Y, t.Text+"  "+t.More)
	}
	for _, wr := range w.Wires {
		for i := 1; i < len(wr.Points); i++ {
			a, b := wr.Points[i-1], wr.Points[i]
			for x := min(a[0], b[0]); x <= max(a[0], b[0]); x++ {
				for y := min(a[1], b[1]); y <= max(a[1], b[1]); y++ {
					set(x, y, map[bool]rune{true: '-', false: '|'}[a[1] == b[1]])
				}
			}
		}
	}
	for _, b := range w.Boxes {
		if b.H == 1 && len(b.Lines) <= 1 {
			s := b.Name
			if len(b.Lines) == 1 {
				s = b.Lines[0].Text
			}
			put(b.X, b.Y, Options{}.truncate(s, b.W))
			continue
		}
		for x := b.X; x < b.X+b.W; x++ {
			set(x, b.Y, '-')
			set(x, b.Y+b.H-1, '-')
		}
		for y := b.Y; y < b.Y+b.H; y++ {
			set(b.X, y, '|')
			set(b.X+b.W-1, y, '|')
		}
		put(b.X+2, b.Y, Options{}.truncate(b.Name, b.W-4))
		for _, l := range b.Lines {
			put(b.X+2, l.Y, Options{}.truncate(l.Text, b.W-4))
		}
	}
	var out strings.Builder
	for _, r := range grid {
		out.WriteString(strings.TrimRight(string(r), " ") + "\n")
	}
	return out.String()
}

func TestSketch(t *testing.T) {
	s, err := snapshot.Load("../../fixtures/recorded/" + os.Getenv("F") + ".json.zst")
	if err != nil {
		t.Skip()
	}
	g := topo.Build(s)
	fmt.Println(sketch(NewWiring(g, 150, os.Getenv("C") != "", Options{})))
}
