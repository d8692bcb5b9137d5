package render

import (
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/nscope/nscope/topo"
)

//go:embed web/page.html
var pageHTML string

//go:embed web/page.css
var pageCSS string

//go:embed web/page.js
var pageJS string

// HTML writes one self-contained page: the picture of [SVG] to move in, zoom and search, with all that the graph says
// of what is clicked. It needs no network and no other file, and its policy forbids both, and any script but its own:
// whatever a container is called, its name stays text.
func HTML(w io.Writer, g *topo.Graph, o Options) error {
	data, err := pageData(g)
	if err != nil {
		return err
	}
	p := layout(g, o)
	css := svgCSS + pageCSS
	csp := fmt.Sprintf("default-src 'none'; script-src 'sha256-%s'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", sum(pageJS), sum(css))
	page := strings.NewReplacer("{{TITLE}}", escape(pageTitle(g)), "{{CSP}}", csp, "{{CSS}}", css, "{{JS}}", pageJS, "{{DATA}}", string(data),
		"{{LEGEND}}", pageLegend(p), "{{SVG}}", svgText(p, false)).Replace(pageHTML)
	_, err = io.WriteString(w, page)
	return err
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(h[:])
}

func pageTitle(g *topo.Graph) string {
	var names []string
	for _, h := range g.Hosts {
		names = append(names, clean(h.Name, false))
	}
	return "nscope " + (Options{}).few(names, 4, ", ")
}

// pageData is the graph for the page's script: JSON that is safe inside a script element (json.Marshal writes "<" and
// its like as escapes), with ids as the picture has them.
func pageData(g *topo.Graph) ([]byte, error) {
	type data struct {
		Nodes []topo.Node `json:"nodes"`
		Edges []topo.Edge `json:"edges"`
		Gaps  []topo.Gap  `json:"gaps"`
	}
	d := data{Nodes: make([]topo.Node, len(g.Nodes)), Edges: make([]topo.Edge, len(g.Edges)), Gaps: g.Gaps}
	for i, n := range g.Nodes {
		n.ID, n.Attrs.Netns = clean(n.ID, false), clean(n.Attrs.Netns, false)
		d.Nodes[i] = n
	}
	for i, e := range g.Edges {
		e.From, e.To = clean(e.From, false), clean(e.To, false)
		d.Edges[i] = e
	}
	if d.Gaps == nil {
		d.Gaps = []topo.Gap{}
	}
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("data of the page: %w", err)
	}
	return b, nil
}

// pageLegend is the picture's legend as list items.
func pageLegend(p *picture) string {
	var b strings.Builder
	for _, it := range p.legend {
		fmt.Fprintf(&b, `<li><svg class="nscope" viewBox="0 0 36 10" aria-hidden="true">`)
		writeWire(&b, &wire{kind: it.kind, path: "M1 5h33"})
		fmt.Fprintf(&b, "</svg>%s</li>", escape(it.label.text))
	}
	return b.String()
}
