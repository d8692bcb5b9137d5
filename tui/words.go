package tui

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo"
)

// name is what a node is called in the view.
func (e *env) name(id string) string {
	n := e.node(id)
	if n == nil {
		return id
	}
	return nodeName(n)
}

func nodeName(n *topo.Node) string {
	switch {
	case n.Name != "":
		return n.Name
	case n.Kind == topo.KindVTEP:
		return n.Attrs.Address
	case n.Attrs.Inode != 0:
		return strconv.FormatUint(n.Attrs.Inode, 10)
	}
	return n.ID
}

// gapWords says of a gap what, why, and what would help.
func gapWords(g *topo.Gap) string {
	s := g.Reader + ": " + oneLine(g.Error)
	if g.Namespace != "" {
		s = g.Reader + " of netns " + g.Namespace.Short() + ": " + oneLine(g.Error)
	}
	if g.Needs != "" && !strings.Contains(g.Error, g.Needs) {
		s += " (needs " + g.Needs + ")"
	}
	return s
}

// asciiKey is the name of a key without arrows and the like.
func asciiKey(s string, ascii bool) string {
	if !ascii {
		return s
	}
	return strings.NewReplacer("↑", "up", "↓", "down", "←", "left", "→", "right", "…", "-").Replace(s)
}

func sortedSet(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}
