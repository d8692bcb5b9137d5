package render

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/nscope/nscope/topo"
)

// Mermaid writes the graph as a Mermaid flowchart, with subgraphs for hosts and namespaces, for pages that draw such
// themselves. Viewers refuse large ones (by default from 500 edges or 50,000 characters on): a part of the graph, or
// [SVG], is the better choice there.
func Mermaid(w io.Writer, g *topo.Graph) error {
	m := &mermaid{outline: newOutline(g)}
	m.line(0, "flowchart LR")
	for _, s := range makeSections(m.index) {
		m.section(s, 1)
	}
	for _, n := range m.stray() {
		m.box(n, 1)
	}
	for _, e := range m.drawn() {
		m.edge(e)
	}
	for _, c := range []string{"container fill:#eaf6ea,stroke:#4b9a4e", "bridge fill:#e5effc,stroke:#3f7cc4", "tunnel fill:#f4effd,stroke:#8b68c9", "service fill:#fdf3e1,stroke:#c98a1b", "link fill:#ffffff,stroke:#7b8794"} {
		m.line(1, "classDef "+c+",color:#1f2933")
	}
	_, err := io.WriteString(w, m.b.String())
	return err
}

type mermaid struct {
	*outline
	b        strings.Builder
	sections int
}

func (m *mermaid) line(depth int, s string) {
	m.b.WriteString(strings.Repeat("  ", depth) + s + "\n")
}

func (m *mermaid) section(s *section, depth int) {
	if len(s.netns)+len(s.loose)+len(s.kids) == 0 {
		return
	}
	m.sections++
	name := s.name
	if name == "" {
		name = "of no known host"
	}
	m.line(depth, fmt.Sprintf("subgraph h%d[%s]", m.sections, mermaidQuote(s.word()+" "+name)))
	for _, n := range s.netns {
		if len(m.links[n.ID])+len(m.containers[n.ID]) == 0 {
			m.line(depth+1, fmt.Sprintf("%s[%s]", m.ids[n.ID], mermaidQuote(m.label(n)...))) // an empty subgraph is not drawn
			continue
		}
		m.line(depth+1, fmt.Sprintf("subgraph %s[%s]", m.ids[n.ID], mermaidQuote(m.label(n)...)))
		for _, l := range m.links[n.ID] {
			m.box(l, depth+2)
		}
		for _, c := range m.containers[n.ID] {
			m.box(c, depth+2)
		}
		m.line(depth+1, "end")
	}
	for _, c := range s.loose {
		m.box(c, depth+1)
	}
	for _, k := range s.kids {
		m.section(k, depth+1)
	}
	m.line(depth, "end")
}

func (m *mermaid) box(n *topo.Node, depth int) {
	open, end, class := "[", "]", "link"
	switch n.Kind {
	case topo.KindContainer:
		open, end, class = "(", ")", "container"
	case topo.KindNetwork:
		open, end, class = "([", "])", "bridge"
	case topo.KindService:
		open, end, class = "{{", "}}", "service"
	case topo.KindVTEP:
		open, end, class = "[[", "]]", "tunnel"
	default:
		if isBridge(n) {
			class = "bridge"
		} else if n.Attrs.VNI != 0 {
			class = "tunnel"
		}
	}
	m.line(depth, m.ids[n.ID]+open+mermaidQuote(m.label(n)...)+end+":::"+class)
}

func (m *mermaid) edge(e *topo.Edge) {
	arrow := "-->"
	switch e.Kind {
	case topo.EdgeVeth, topo.EdgePort:
		arrow = "---"
	case topo.EdgeTunnel:
		arrow = "==>"
	case topo.EdgeUnderlay, topo.EdgeCarries, topo.EdgePublishes:
		arrow = "-.->"
	}
	if e.Attrs.Source != "" {
		arrow = "-.->"
	}
	label := ""
	if l := edgeLabel(e, "→"); l != "" {
		label = "|" + mermaidQuote(l) + "|"
	}
	m.line(1, m.ids[e.From]+" "+arrow+label+" "+m.ids[e.To])
}

// mermaidQuote makes a quoted string of lines. Whatever could mean something to Mermaid, to Markdown inside it or to
// the HTML that it makes becomes a character reference.
func mermaidQuote(lines ...string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, l := range lines {
		if i > 0 {
			b.WriteString("<br/>")
		}
		for _, r := range clean(l, false) {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(" .,:/@()-→·…", r) {
				b.WriteRune(r)
			} else {
				fmt.Fprintf(&b, "#%d;", r)
			}
		}
	}
	b.WriteByte('"')
	return b.String()
}
