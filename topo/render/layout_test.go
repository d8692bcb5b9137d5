package render

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/nscope/nscope/topo"
)

type rect struct {
	x1, y1, x2, y2 float64
	what           string
}

func (r rect) meets(s rect) bool { return r.x1 < s.x2 && s.x1 < r.x2 && r.y1 < s.y2 && s.y1 < r.y2 }
func (r rect) holds(s rect) bool {
	return s.x1 >= r.x1 && s.x2 <= r.x2 && s.y1 >= r.y1 && s.y2 <= r.y2
}

// textRect is what a label takes: from a little above its capitals to below its baseline.
func textRect(l label, x, y float64) rect {
	return rect{x + l.x, y + l.y - 0.8*l.size, x + l.x + extent(l.text, l.size), y + l.y + 0.25*l.size, l.text}
}

func checkPicture(t *testing.T, p *picture) {
	t.Helper()
	whole := rect{0, 0, p.w, p.h, "picture"}
	var labels, boxes []rect
	for _, b := range p.boxes {
		r := rect{b.x, b.y, b.x + b.w, b.y + b.h, b.id}
		if !whole.holds(r) {
			t.Errorf("box %q %v leaves the picture %v", b.id, r, whole)
		}
		boxes = append(boxes, r)
		for _, l := range b.labels {
			lr := textRect(l, b.x, b.y)
			if !r.holds(lr) {
				t.Errorf("label %v leaves its box %v", lr, r)
			}
			labels = append(labels, lr)
		}
	}
	for _, f := range p.frames {
		r := rect{f.x, f.y, f.x + f.w, f.y + f.h, f.id}
		if !whole.holds(r) {
			t.Errorf("frame %v leaves the picture %v", r, whole)
		}
		for _, l := range f.labels {
			lr := textRect(l, 0, 0)
			if !r.holds(lr) {
				t.Errorf("label %v leaves its frame %v", lr, r)
			}
			labels = append(labels, lr)
			for _, b := range boxes {
				if b.meets(lr) {
					t.Errorf("label %v is covered by box %v", lr, b)
				}
			}
		}
	}
	for _, l := range p.heads {
		labels = append(labels, textRect(l, 0, 0))
	}
	for _, l := range p.legend {
		labels = append(labels, textRect(l.label, 0, 0))
	}
	for i, a := range labels {
		if !whole.holds(a) {
			t.Errorf("label %v leaves the picture %v", a, whole)
		}
		for _, b := range labels[:i] {
			if a.meets(b) {
				t.Errorf("labels %v and %v overlap", a, b)
			}
		}
	}
	for i, a := range boxes {
		for _, b := range boxes[:i] {
			if a.meets(b) {
				t.Errorf("boxes %v and %v overlap", a, b)
			}
		}
	}
}

// svgIDs parses an SVG and returns the ids in it and the number of texts.
func svgIDs(t *testing.T, text string) (ids map[string]bool, texts int) {
	t.Helper()
	ids = map[string]bool{}
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return ids, texts
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		if e, ok := tok.(xml.StartElement); ok {
			switch e.Name.Local {
			case "text":
				texts++
			case "script", "img", "b", "foreignObject", "a":
				t.Fatalf("a name became an element <%s>", e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") {
					t.Fatalf("a name became a handler %s", a.Name.Local)
				}
				if a.Name.Local == "data-id" {
					ids[a.Value] = true
				}
			}
		}
	}
}

// checkDrawn fails unless every namespace and container, and every link but lo, is somewhere in the SVG.
func checkDrawn(t *testing.T, g *topo.Graph, text string) {
	t.Helper()
	ids, _ := svgIDs(t, text)
	for i := range g.Nodes {
		n := &g.Nodes[i]
		switch n.Kind {
		case topo.KindLink:
			if isLoopback(n) {
				continue
			}
		case topo.KindNetwork, topo.KindVTEP:
			continue
		}
		if !ids[clean(n.ID, false)] {
			t.Errorf("%s is not drawn", n.ID)
		}
	}
}

func TestLayoutScenes(t *testing.T) {
	for name, scene := range scenes {
		t.Run(name, func(t *testing.T) {
			g := scene()
			checkPicture(t, layout(g, Options{}))
			checkPicture(t, foldedLayout(g, Options{}))
			text := string(rendered(t, func(w io.Writer) error { return SVG(w, g, Options{Full: true}) }))
			checkDrawn(t, g, text)
			if name == "small" || name == "three" {
				golden(t, name+".svg", []byte(text))
			}
		})
	}
}

// Graphs that no kernel would make are drawn as legibly, and nothing in them is lost.
func TestLayoutRandom(t *testing.T) {
	for seed := range uint64(150) {
		size := 5 + int(seed*7)%250
		g := random(seed, size, seed%2 == 0)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			checkPicture(t, layout(g, Options{}))
			checkPicture(t, foldedLayout(g, Options{}))
			text := string(rendered(t, func(w io.Writer) error { return SVG(w, g, Options{Full: true}) }))
			checkDrawn(t, g, text)
			again := string(rendered(t, func(w io.Writer) error { return SVG(w, random(seed, size, seed%2 == 0), Options{Full: true}) }))
			if text != again {
				t.Error("two drawings of one graph differ")
			}
		})
	}
}

// Wires of ports go out to their namespaces without any crossing where each namespace has one.
func TestLayoutStraight(t *testing.T) {
	p := layout(small(), Options{})
	for _, w := range p.wires {
		if w.kind == topo.EdgeVeth && strings.Contains(w.path, "C") {
			t.Errorf("wire %s → %s is not straight: %s", w.from, w.to, w.path)
		}
	}
}

func TestSpread(t *testing.T) {
	got := make([]float64, 4)
	spread([]float64{10, 10, 10, 100}, []float64{1, 1, 1, 1}, []float64{0, 10, 10, 10}, func(i int, y float64) { got[i] = y })
	if want := []float64{0, 10, 20, 100}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("spread: %v, want %v", got, want)
	}
}

// A picture of a big host shows some members of each bridge, how many more there are, and what draws them all.
func TestLayoutFolds(t *testing.T) {
	g := many(500)
	folded, full := foldedLayout(g, Options{}), foldedLayout(g, Options{Full: true})
	if folded.h > 2500 || full.h < 10*folded.h {
		t.Errorf("%v high folded, %v in full", folded.h, full.h)
	}
	if hidden := hiddenWires(t, folded); len(hidden) > 0 {
		t.Error(hidden)
	}
	text := svgText(folded, true)
	for _, want := range []string{">net:monitoring</text>", " more</text>", "500 containers · 501 namespaces"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	// Nothing is lost: what is not drawn is counted.
	ids, _ := svgIDs(t, text)
	_, more := newTree(g, Options{}).foldable()
	for _, n := range g.Nodes {
		if isBridge(&n) {
			drawn := 0
			for _, e := range g.In(n.ID, topo.EdgePort) {
				if ids[e.From] {
					drawn++
				}
			}
			if all := len(g.In(n.ID, topo.EdgePort)); drawn+more[n.ID] != all || more[n.ID] == 0 {
				t.Errorf("%s: %d drawn and %d more of %d", n.Name, drawn, more[n.ID], all)
			}
		}
	}
}
