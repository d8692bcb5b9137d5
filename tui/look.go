package tui

import (
	"strconv"
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
	// The sixteen colours are the terminal's own. On a light ground its yellow, cyan and green are too pale to be read, on a dark one its
	// red, blue and magenta too dark, but the bright ones are not.
	on := lipgloss.LightDark(dark)
	c := func(light, dark string) lipgloss.Style {
		return lipgloss.NewStyle().Foreground(on(lipgloss.Color(light), lipgloss.Color(dark)))
	}
	none := lipgloss.NewStyle()
	for st, s := range map[style]lipgloss.Style{
		faint: none.Faint(true), strong: none.Bold(true), head: none.Bold(true).Underline(true), nic: c("5", "13"), bridge: c("4", "6").Bold(true), wire: c("4", "12"),
		space: none, work: workStyle(dark), good: c("4", "2"), warn: c("5", "3"), bad: c("1", "9").Bold(true), lit: c("5", "3").Bold(true), keyed: c("4", "6").Bold(true),
	} {
		l.seq[st], _, _ = strings.Cut(s.Render("x"), "x")
		if !color {
			l.seq[st], _, _ = strings.Cut(s.UnsetForeground().Render("x"), "x")
		}
	}
	return l
}

// workStyle is that of containers: on a light ground no colour is left for it.
func workStyle(dark bool) lipgloss.Style {
	if dark {
		return lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	}
	return lipgloss.NewStyle().Bold(true)
}

// LightGround tells whether the environment variable COLORFGBG, which some terminals set ("0;15", "0;default;15"), says that the ground is
// a light one. What the terminal answers when it is asked counts more.
func LightGround(colorfgbg string) bool {
	n, err := strconv.Atoi(colorfgbg[strings.LastIndexByte(colorfgbg, ';')+1:])
	return err == nil && (n == 7 || n >= 9 && n <= 15)
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
