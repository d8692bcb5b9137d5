package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/nscope/nscope/topo"
)

// Dot writes the graph in the language of Graphviz, with clusters for hosts and namespaces: `dot -Tsvg`.
func Dot(w io.Writer, g *topo.Graph) error {
	d := &dot{outline: newOutline(g)}
	d.line(0, "digraph nscope {")
	d.line(1, `graph [rankdir=LR, compound=true, fontname="monospace", fontsize=11, ranksep=0.9, nodesep=0.15]`)
	d.line(1, `node [shape=box, style="rounded,filled", fillcolor="#ffffff", fontname="monospace", fontsize=10, height=0.3, margin="0.1,0.05"]`)
	d.line(1, `edge [fontname="monospace", fontsize=9, color="#52606d"]`)
	for _, s := range makeSections(d.index) {
		d.section(s, 1)
	}
	for _, n := range d.stray() {
		d.box(n, 1)
	}
	for _, e := range d.drawn() {
		d.edge(e)
	}
	d.line(0, "}")
	_, err := io.WriteString(w, d.b.String())
	return err
}

type dot struct {
	*outline
	b        strings.Builder
	clusters int
}

func (d *dot) line(depth int, s string) {
	d.b.WriteString(strings.Repeat("  ", depth) + s + "\n")
}

func (d *dot) section(s *section, depth int) {
	if len(s.netns)+len(s.loose)+len(s.kids) == 0 {
		return
	}
	d.clusters++
	name := s.name
	if name == "" {
		name = "of no known host"
	}
	d.line(depth, fmt.Sprintf("subgraph cluster_h%d {", d.clusters))
	d.line(depth+1, fmt.Sprintf(`graph [label=%s, style="rounded", color="#9aa5b1", fontsize=13, labeljust=l]`, dotQuote(s.word()+" "+name)))
	for _, n := range s.netns {
		d.line(depth+1, fmt.Sprintf("subgraph cluster_%s {", d.ids[n.ID]))
		d.line(depth+2, fmt.Sprintf(`graph [label=%s, style="rounded,filled", color=%q, fillcolor=%q, fontsize=11]`, dotQuote(d.label(n)...), "#2f9488", dotFill(n)))
		// Edges cannot end at a cluster, but at a point in it.
		d.line(depth+2, fmt.Sprintf(`%s [shape=point, style=invis, width=0.01, height=0.01]`, d.ids[n.ID]))
		for _, l := range d.links[n.ID] {
			d.box(l, depth+2)
		}
		for _, c := range d.containers[n.ID] {
			d.box(c, depth+2)
			if list := d.links[n.ID]; len(list) > 0 && !isHome(n) {
				d.line(depth+2, fmt.Sprintf("%s -> %s [style=invis]", d.ids[list[0].ID], d.ids[c.ID])) // to the right of its links
			}
		}
		d.line(depth+1, "}")
	}
	for _, c := range s.loose {
		d.box(c, depth+1)
	}
	for _, k := range s.kids {
		d.section(k, depth+1)
	}
	d.line(depth, "}")
}

func (d *dot) box(n *topo.Node, depth int) {
	shape := ""
	switch n.Kind {
	case topo.KindNetwork:
		shape = ", shape=ellipse, style=filled"
	case topo.KindVTEP:
		shape = ", style=\"rounded,filled,dashed\""
	case topo.KindService:
		shape = ", shape=hexagon, style=filled"
	}
	d.line(depth, fmt.Sprintf(`%s [label=%s, fillcolor=%q%s]`, d.ids[n.ID], dotQuote(d.label(n)...), dotFill(n), shape))
}

func (d *dot) edge(e *topo.Edge) {
	from, to := d.index.node[e.From], d.index.node[e.To]
	attrs := []string{}
	if l := edgeLabel(e, "→"); l != "" {
		attrs = append(attrs, "label="+dotQuote(l))
	}
	// Left to right as in the picture: network, bridge, port, the namespace behind it. dir keeps the arrow's sense.
	dir := "forward"
	switch {
	case e.Kind == topo.EdgeVeth:
		dir = "none"
		if ns := d.netnsOf[from.ID]; ns != nil && !d.isSwitch(ns) {
			from, to = to, from
		}
	case e.Kind == topo.EdgePort:
		from, to, dir = to, from, "none"
	case e.Kind == topo.EdgeParent, e.Kind == topo.EdgeCarries, e.Kind == topo.EdgePublishes:
		from, to, dir = to, from, "back"
	}
	attrs = append(attrs, "dir="+dir)
	if from.Kind == topo.KindNetns {
		attrs = append(attrs, "ltail=cluster_"+d.ids[from.ID])
	}
	if to.Kind == topo.KindNetns {
		attrs = append(attrs, "lhead=cluster_"+d.ids[to.ID])
	}
	switch e.Kind {
	case topo.EdgeVeth:
		attrs = append(attrs, "penwidth=1.4")
	case topo.EdgePort:
		attrs = append(attrs, `color="#3f7cc4"`)
	case topo.EdgeTunnel:
		attrs = append(attrs, "style=bold", `color="#8b68c9"`)
	case topo.EdgeUnderlay:
		attrs = append(attrs, "style=dashed", `color="#8b68c9"`)
	case topo.EdgeCarries, topo.EdgePublishes:
		attrs = append(attrs, "style=dotted")
	case topo.EdgeParent, topo.EdgeBackend, topo.EdgeBalances:
		attrs = append(attrs, "style=dashed")
	}
	if e.Attrs.Source != "" {
		attrs = append(attrs, "style=dotted", "arrowhead=empty")
	}
	d.line(1, fmt.Sprintf("%s -> %s [%s]", d.ids[from.ID], d.ids[to.ID], strings.Join(attrs, ", ")))
}

func dotFill(n *topo.Node) string {
	switch n.Kind {
	case topo.KindContainer:
		return "#eaf6ea"
	case topo.KindNetwork:
		return "#e5effc"
	case topo.KindService:
		return "#fdf3e1"
	case topo.KindVTEP:
		return "#f4effd"
	case topo.KindNetns:
		return "#f3faf9"
	}
	switch {
	case isBridge(n):
		return "#e5effc"
	case n.Attrs.VNI != 0:
		return "#f4effd"
	case isNIC(n):
		return "#f0f2f5"
	}
	return "#ffffff"
}

// dotQuote makes a quoted string of lines. A backslash starts an escape there (\N is the node's name), so each is
// doubled; and an ampersand starts a character reference.
func dotQuote(lines ...string) string {
	for i, l := range lines {
		l = clean(l, false)
		lines[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "&", "&amp;").Replace(l)
	}
	return `"` + strings.Join(lines, `\n`) + `"`
}
