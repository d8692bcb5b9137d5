package render

import (
	"math"

	"github.com/nscope/nscope/topo"
)

// picture is a finished drawing: everything has its place, nothing is left to the viewer's layout. Units are pixels.
type picture struct {
	w, h   float64
	frames []*frame
	boxes  []*box
	wires  []*wire
	heads  []label
	legend []legendItem
}

// frame is a labelled rectangle around boxes: a host, or the namespace of an overlay.
type frame struct {
	id, class  string
	x, y, w, h float64
	labels     []label
}

// box is one card. Its labels are relative to its top left corner.
type box struct {
	id, class  string
	col        int
	x, y, w, h float64
	labels     []label
	tip        string // the whole text of what may be cut in the labels
	panel      int
	dot        bool // a state that is not up or running
}

// label is one line of text; x, y is the start of its baseline.
type label struct {
	x, y  float64
	size  float64
	class string
	text  string
	// id makes the line a thing of its own: a link in its namespace's card.
	id, tip string
}

// wire is one edge, or both of a pair of tunnels.
type wire struct {
	kind     topo.EdgeKind
	from, to string
	path     string
	class    string
	both     bool
}

type legendItem struct {
	kind  topo.EdgeKind
	x, y  float64
	label label
}

// em is how wide a character is for its size in a monospaced font: 0.602 in DejaVu, Menlo and their like.
const em = 0.605

// extent is the width of a text, never less than what a browser draws.
func extent(s string, size float64) float64 { return float64(textWidth(s)) * size * em }

// fitText shortens a text so that it takes at most w pixels.
func fitText(s string, size, w float64, middle bool) string {
	s = clean(s, false)
	cols := int(math.Floor(w / (size * em)))
	switch {
	case textWidth(s) <= cols:
		return s
	case cols < 1:
		return ""
	case middle:
		return Options{}.truncateMiddle(s, cols)
	}
	return Options{}.truncate(s, cols)
}

// The columns, from left to right.
const (
	colVTEP = iota
	colNIC
	colBridge
	colPort
	colNetns
	colContainer
	columns
)

// columnNames head the columns.
var columnNames = [columns]string{"TUNNEL ENDS", "NICS, TUNNELS", "BRIDGES", "PORTS", "NAMESPACES", "CONTAINERS"}

// columnWidths are the least and the most that a column's boxes may take.
var columnWidths = [columns][2]float64{{110, 190}, {120, 230}, {130, 240}, {90, 140}, {150, 290}, {130, 300}}

const (
	textSize  = 12
	smallSize = 11
	boxPad    = 9
	lineStep  = 15
)

// line is a text that a box is to show, before it is known how wide the box will be.
type line struct {
	text   string
	class  string
	size   float64
	middle bool // cut in the middle
	id     string
	tip    string
}

// draft is a box whose size is not known yet.
type draft struct {
	*box
	lines []line
}

func newDraft(id, class string, col int, lines ...line) *draft {
	d := &draft{box: &box{id: id, class: class, col: col}}
	for _, l := range lines {
		if l.text != "" {
			d.lines = append(d.lines, l)
		}
	}
	d.h = 2*7 + lineStep*float64(len(d.lines)) - 3
	for _, l := range d.lines {
		if d.tip != "" {
			d.tip += "\n"
		}
		d.tip += clean(l.text, false)
		d.w = math.Max(d.w, extent(clean(l.text, false), l.size)+2*boxPad)
	}
	return d
}

// settle gives the box its width and makes its labels.
func (d *draft) settle(w float64) {
	d.w = w
	for i, l := range d.lines {
		d.labels = append(d.labels, label{
			x: boxPad, y: 7 + lineStep*float64(i) + 10, size: l.size, class: l.class, id: l.id, tip: clean(l.tip, false),
			text: fitText(l.text, l.size, w-2*boxPad, l.middle),
		})
	}
}

// lineY is where a wire meets the line of the given number.
func (d *draft) lineY(i int) float64 { return 7 + lineStep*float64(i) + 6 }
