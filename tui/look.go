package tui

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// The styles of the palette. What they say is said in words or signs too.
const (
	plain  style = iota
	faint        // lines, hints, what is of second importance
	strong       // titles
	head         // headings of columns
	nic          // NICs and tunnels
	bridge       // bridges and overlays
	wire         // veth ends
	space        // namespaces
	work         // containers and services
	good         // up, new
	warn         // changed, gaps
	bad          // down, drops, errors
	lit          // the path between two marks
	keyed        // keys in hints
	lastStyle
)

// look is how everything is drawn: colours of the terminal's own palette, and the signs.
type look struct {
	ascii bool
	color bool
	seq   [lastStyle]string
	glyphs
}

// glyphs are the signs that differ between Unicode and ASCII.
type glyphs struct {
	h, v, tl, tr, bl, br, lt, rt, tt, bt, x rune // of boxes and wires; lt has its branch to the right, rt to the left
	lh, lv                                  rune // of a lit wire
	cursor, mark, arrow, dots, dot          string
	live, frozen, gap                       string
	asc, desc                               string
	spark                                   []rune
	tree                                    [4]string
}

var unicodeGlyphs = glyphs{
	'─', '│', '╭', '╮', '╰', '╯', '├', '┤', '┬', '┴', '┼', '━', '┃', "▸", "●", "→", "…", "·", "●", "❄", "⚠", "▲", "▼",
	[]rune("▁▂▃▄▅▆▇█"), [4]string{"├─ ", "╰─ ", "│  ", "   "},
}

var asciiGlyphs = glyphs{
	'-', '|', '+', '+', '+', '+', '+', '+', '+', '+', '+', '=', '"', ">", "*", "->", "...", "-", "*", "#", "!", "^", "v",
	[]rune(".:-=+*#@"), [4]string{"|- ", "`- ", "|  ", "   "},
}

func newLook(ascii, color, dark bool) *look {
	l := &look{ascii: ascii, color: color, glyphs: unicodeGlyphs}
	if ascii {
		l.glyphs = asciiGlyphs
	}
	// The sixteen colours are the terminal's own; on a light ground its yellow and cyan are too pale to be read.
	on := lipgloss.LightDark(dark)
	c := func(light, dark string) lipgloss.Style {
		return lipgloss.NewStyle().Foreground(on(lipgloss.Color(light), lipgloss.Color(dark)))
	}
	none := lipgloss.NewStyle()
	for st, s := range map[style]lipgloss.Style{
		faint: none.Faint(true), strong: none.Bold(true), head: none.Bold(true).Underline(true), nic: c("5", "5"), bridge: c("4", "6").Bold(true), wire: c("4", "4"),
		space: none, work: c("2", "2"), good: c("2", "2"), warn: c("5", "3"), bad: c("1", "1").Bold(true), lit: c("5", "3").Bold(true), keyed: c("4", "6").Bold(true),
	} {
		l.seq[st], _, _ = strings.Cut(s.Render("x"), "x")
		if !color {
			l.seq[st], _, _ = strings.Cut(s.UnsetForeground().Render("x"), "x")
		}
	}
	return l
}

// sgr is the sequence that switches a style on.
func (l *look) sgr(st style) string {
	s := l.seq[st&paletteOnly]
	if st&bold != 0 {
		s += "\x1b[1m"
	}
	if st&underlined != 0 {
		s += "\x1b[4m"
	}
	if st&reversed != 0 {
		s += "\x1b[7m"
	}
	return s
}
