package render

import (
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

// TreeLine is a line of the tree, for those who draw it themselves.
type TreeLine struct {
	// Branch is what stands before it, Depth how deep it is, Parent the line above it that it hangs on, -1 for none.
	Branch string
	Depth  int
	Parent int
	Pieces []TreePiece
}

// TreePiece is a part of a line. Those with an ID are things: a port, the link inside, a container.
type TreePiece struct {
	Text string
	ID   string
	Kind PieceKind
}

// PieceKind says what a piece is, for whoever colours it.
type PieceKind int

// The kinds of pieces.
const (
	PiecePlain PieceKind = iota
	PieceDim
	PieceTitle   // a host
	PieceLink    // a link, in bold
	PieceNetwork // a network's name
	PieceWork    // a container
	PieceHelper  // a load balancer or service
	PieceBad     // a state
)

var pieceKinds = map[style]PieceKind{dim: PieceDim, strong: PieceTitle, bold: PieceLink, cyan: PieceNetwork, green: PieceWork, magenta: PieceHelper, red: PieceBad}

// TreeLines are the lines of [Tree], each of its things with its node's id. None is folded.
func TreeLines(g *topo.Graph, o Options) []TreeLine {
	o.Full = true
	t := newTree(g, o)
	var out []TreeLine
	t.lines(&out, t.build(), "", -1, 0)
	return out
}

func (t *tree) lines(out *[]TreeLine, rows []*row, prefix string, parent, depth int) {
	used := textWidth(prefix)
	if depth > 0 {
		used += 3
	}
	size := t.memberSizes(rows, t.o.fits(used))
	for i, r := range rows {
		branch, below := t.g.tee, t.g.pipe
		if i == len(rows)-1 {
			branch, below = t.g.corner, t.g.blank
		}
		if depth == 0 {
			branch, below = "", ""
		}
		line := TreeLine{Branch: prefix + branch, Depth: depth, Parent: parent}
		id := func(i int) string {
			if i < len(r.ids) {
				return r.ids[i]
			}
			return ""
		}
		if r.cells != nil {
			for i, s := range trimSpans(t.memberSpans(r, size)) {
				text := strings.TrimLeft(s.text, " ")
				line.add(s.text[:len(s.text)-len(text)], "", plain)
				if wire := t.g.wire + " "; i == 1 && strings.HasPrefix(text, wire) {
					line.add(wire, "", dim)
					text = text[len(wire):]
				}
				own := ""
				if i < 3 {
					own = id(i)
				}
				name := strings.TrimRight(text, " ")
				line.add(name, own, s.style)
				line.add(text[len(name):], "", plain)
			}
		} else {
			for i, s := range trimSpans(slices.Clone(r.line)) {
				own := ""
				if i == 0 {
					own = id(0)
				}
				line.add(s.text, own, s.style)
			}
		}
		at := len(*out)
		*out = append(*out, line)
		t.lines(out, r.kids, prefix+below, at, depth+1)
	}
}

func (l *TreeLine) add(text, id string, st style) {
	if text != "" {
		l.Pieces = append(l.Pieces, TreePiece{text, id, pieceKinds[st]})
	}
}
