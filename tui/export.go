package tui

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// exportName is the file that `e` proposes.
func exportName(m *Model) string {
	name := "nscope"
	if h := m.env.state.Graph.Hosts; len(h) > 0 {
		name = fileName(h[0].Name)
	}
	return name + ".svg"
}

// fileName makes a file's name of a thing's.
func fileName(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
			return r
		}
		return '-'
	}, s)
}

// export writes the topology, or in the details the part of it around what is shown, to a file of the kind that its name
// says.
func (m *Model) export(file string) tea.Cmd {
	g := m.env.state.Graph
	if m.places.at().view == detailsName && m.details.Selected() != "" {
		g = g.Sub(m.details.id)
	}
	ascii := m.env.cfg.ASCII
	return func() tea.Msg {
		b, err := exported(g, file, ascii)
		if err == nil {
			err = os.WriteFile(file, b, 0o644)
		}
		if err != nil {
			return sayMsg{text: "not exported: " + err.Error(), bad: true}
		}
		return sayMsg{text: fmt.Sprintf("written: %s (%d bytes)", file, len(b))}
	}
}

func exported(g *topo.Graph, file string, ascii bool) ([]byte, error) {
	var b bytes.Buffer
	var err error
	o := render.Options{ASCII: ascii}
	switch ext := filepath.Ext(file); ext {
	case ".svg":
		err = render.SVG(&b, g, o)
	case ".html":
		err = render.HTML(&b, g, o)
	case ".json":
		err = render.JSON(&b, g)
	default:
		err = fmt.Errorf("%s: the name must end in .svg, .html or .json", file)
	}
	return b.Bytes(), err
}
