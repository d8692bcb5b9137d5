package render

import (
	_ "embed"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

//go:embed web/svg.css
var svgCSS string

// SVG draws the graph as one picture: from left to right the ends of tunnels, NICs, bridges and overlays, their ports,
// the namespaces behind them, and who is in those. It is light or dark as the viewer prefers, needs no other file, and
// carries the ids of nodes (data-id) and edges (data-from, data-to) for scripts.
func SVG(w io.Writer, g *topo.Graph, o Options) error {
	_, err := io.WriteString(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+svgText(foldedLayout(g, o), true))
	return err
}

// svgText writes a picture as an svg element, to stand alone with its style sheet and legend, or without both.
func svgText(p *picture, alone bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" class="nscope" viewBox="0 0 %s %s" width="%s" height="%s" role="img" aria-label="network topology">`+"\n",
		num(p.w), num(p.h), num(p.w), num(p.h))
	if alone {
		fmt.Fprintf(&b, "<style>\n%s</style>\n", svgCSS)
	}
	b.WriteString("<defs>\n")
	for _, k := range []topo.EdgeKind{topo.EdgeTunnel, topo.EdgeParent, topo.EdgeUnderlay, topo.EdgeBackend, topo.EdgeBalances} {
		fmt.Fprintf(&b, `<marker id="m-%s" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" markerUnits="userSpaceOnUse" orient="auto-start-reverse"><path class="a-%s" d="M0 .5L8 4L0 7.5z"/></marker>`+"\n", k, k)
	}
	b.WriteString("</defs>\n")
	fmt.Fprintf(&b, `<rect class="bg" width="%s" height="%s"/>`+"\n", num(p.w), num(p.h))
	b.WriteString(`<g class="scene">` + "\n")
	frames := slices.Clone(p.frames)
	slices.SortStableFunc(frames, func(a, b *frame) int { return strings.Compare(a.class, b.class) }) // panels below spaces
	for _, f := range frames {
		fmt.Fprintf(&b, `<g class="frame"%s><rect class="%s" x="%s" y="%s" width="%s" height="%s" rx="8"/></g>`+"\n",
			attr("data-id", f.id), f.class, num(f.x), num(f.y), num(f.w), num(f.h))
	}
	for _, w := range p.wires {
		writeWire(&b, w)
	}
	for _, f := range frames {
		for _, l := range f.labels {
			writeLabel(&b, l, 0, 0, "halo")
		}
	}
	for _, d := range p.boxes {
		writeBox(&b, d)
	}
	for _, l := range p.heads {
		writeLabel(&b, l, 0, 0, "")
	}
	b.WriteString("</g>\n")
	if alone {
		b.WriteString("<g class=\"legend\">\n")
		for _, it := range p.legend {
			writeWire(&b, &wire{kind: it.kind, path: fmt.Sprintf("M%s %sh34", num(it.x), num(it.y))})
			writeLabel(&b, it.label, 0, 0, "")
		}
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func writeWire(b *strings.Builder, w *wire) {
	marks := ""
	switch w.kind {
	case topo.EdgeTunnel, topo.EdgeParent, topo.EdgeUnderlay, topo.EdgeBackend, topo.EdgeBalances:
		marks = fmt.Sprintf(` marker-end="url(#m-%s)"`, w.kind)
		if w.both {
			marks += fmt.Sprintf(` marker-start="url(#m-%s)"`, w.kind)
		}
	}
	class := "wire e-" + string(w.kind)
	if w.class != "" {
		class += " " + w.class
	}
	fmt.Fprintf(b, `<path class="%s"%s%s%s d="%s"/>`+"\n", class, attr("data-from", w.from), attr("data-to", w.to), marks, w.path)
}

func writeBox(b *strings.Builder, d *box) {
	class := "box " + d.class
	if d.dot {
		class += " down"
	}
	fmt.Fprintf(b, `<g class="%s"%s><title>%s</title><rect x="%s" y="%s" width="%s" height="%s" rx="5"/>`,
		class, attr("data-id", d.id), escape(d.tip), num(d.x), num(d.y), num(d.w), num(d.h))
	for _, l := range d.labels {
		writeLabel(b, l, d.x, d.y, "")
	}
	b.WriteString("</g>\n")
}

func writeLabel(b *strings.Builder, l label, x, y float64, class string) {
	if class != "" {
		class = " " + class
	}
	text := fmt.Sprintf(`<text class="%s%s" x="%s" y="%s" font-size="%s">%s</text>`, l.class, class, num(x+l.x), num(y+l.y), num(l.size), escape(l.text))
	if l.id != "" {
		text = fmt.Sprintf(`<g class="row"%s><title>%s</title>%s</g>`, attr("data-id", l.id), escape(l.tip), text)
	}
	b.WriteString(text)
}

// escape makes any text safe inside XML and HTML, attributes included. What XML cannot hold becomes visible escapes.
func escape(s string) string {
	var b strings.Builder
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = clean(line, false)
	}
	// xml.EscapeText never fails on a strings.Builder.
	_ = xml.EscapeText(&b, []byte(strings.Join(lines, "\n")))
	return b.String()
}

func attr(name, value string) string {
	if value == "" {
		return ""
	}
	return fmt.Sprintf(` %s="%s"`, name, escape(clean(value, false)))
}
