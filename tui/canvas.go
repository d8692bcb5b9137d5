package tui

import (
	"strings"

	"github.com/nscope/nscope/topo/render"
)

// style is an index into the look's palette, with flags.
type style uint16

// Flags of a style.
const (
	reversed style = 1 << (8 + iota)
	bold
	underlined

	paletteOnly style = 1<<8 - 1
)

// cell is one column of one row; r is 0 for the right half of a wide character.
type cell struct {
	r  rune
	st style
}

// screen is a picture of cells.
type screen struct {
	w, h  int
	cells []cell
	opt   render.Options
}

// reset makes it blank and of the given size, in the memory that it has.
func (s *screen) reset(w, h int, ascii bool) {
	s.w, s.h, s.opt = max(w, 0), max(h, 0), render.Options{ASCII: ascii}
	n := s.w * s.h
	if cap(s.cells) < n {
		s.cells = make([]cell, n)
	}
	s.cells = s.cells[:n]
	for i := range s.cells {
		s.cells[i] = cell{r: ' '}
	}
}

// all is a canvas on the whole screen.
func (s *screen) all() canvas { return canvas{s: s, w: s.w, h: s.h} }

// canvas is a rectangle of a screen to draw in. Coordinates are its own, from its upper left corner; what is outside of
// it is not drawn.
type canvas struct {
	s          *screen
	x, y, w, h int
}

// sub is a part of a canvas, as much of it as there is.
func (c canvas) sub(x, y, w, h int) canvas {
	x0, y0 := max(x, 0), max(y, 0)
	x1, y1 := min(x+w, c.w), min(y+h, c.h)
	return canvas{c.s, c.x + x0, c.y + y0, max(x1-x0, 0), max(y1-y0, 0)}
}

// put writes text from (x, y) on and returns the column behind it. It is cleaned; what does not fit is left out.
func (c canvas) put(x, y int, st style, text string) int {
	if y < 0 || y >= c.h {
		return x + render.TextWidth(c.s.opt.Clean(text))
	}
	row := c.s.cells[(c.y+y)*c.s.w+c.x:][:c.w]
	for _, r := range c.s.opt.Clean(text) {
		n := 1
		if r >= 0x80 {
			n = render.TextWidth(string(r))
		}
		if x >= 0 && x+n <= c.w {
			clearHalf(row, x)
			row[x] = cell{r, st}
			if n == 2 {
				clearHalf(row, x+1)
				row[x+1] = cell{0, st}
			}
		}
		x += n
	}
	return x
}

// clearHalf makes the other half of a wide character blank where one half is about to be overwritten.
func clearHalf(row []cell, x int) {
	if row[x].r == 0 && x > 0 {
		row[x-1].r = ' '
	}
	if x+1 < len(row) && row[x+1].r == 0 {
		row[x+1].r = ' '
	}
}

// text writes text into w columns from x on, with an ellipsis where it was cut, and returns the column behind it.
func (c canvas) text(x, y, w int, st style, text string) int {
	w = min(w, c.w-x)
	if w <= 0 {
		return x
	}
	return c.put(x, y, st, c.s.opt.Cut(c.s.opt.Clean(text), w))
}

// right writes text so that it ends before column x, cut to w.
func (c canvas) right(x, y, w int, st style, text string) {
	s := c.s.opt.Cut(c.s.opt.Clean(text), w)
	c.put(x-render.TextWidth(s), y, st, s)
}

// fill writes one character all over a rectangle.
func (c canvas) fill(x, y, w, h int, st style, r rune) {
	for j := max(y, 0); j < min(y+h, c.h); j++ {
		for i := max(x, 0); i < min(x+w, c.w); i++ {
			c.set(i, j, st, r)
		}
	}
}

// set writes one character of one column, without cleaning it.
func (c canvas) set(x, y int, st style, r rune) {
	if x < 0 || y < 0 || x >= c.w || y >= c.h {
		return
	}
	row := c.s.cells[(c.y+y)*c.s.w+c.x:][:c.w]
	clearHalf(row, x)
	row[x] = cell{r, st}
}

// at is the character of a place, a space outside.
func (c canvas) at(x, y int) rune {
	if x < 0 || y < 0 || x >= c.w || y >= c.h {
		return ' '
	}
	return c.s.cells[(c.y+y)*c.s.w+c.x+x].r
}

// restyle adds flags to the styles of w columns of a row.
func (c canvas) restyle(x, y, w int, flags style) {
	if y < 0 || y >= c.h {
		return
	}
	for i := max(x, 0); i < min(x+w, c.w); i++ {
		c.s.cells[(c.y+y)*c.s.w+c.x+i].st |= flags
	}
}

// rowText is a row without styles, without spaces at its end.
func (s *screen) rowText(y int) string {
	var b strings.Builder
	for _, c := range s.cells[y*s.w : (y+1)*s.w] {
		if c.r != 0 {
			b.WriteRune(c.r)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// plain is the whole picture without styles.
func (s *screen) plain() string {
	var b strings.Builder
	for y := range s.h {
		b.WriteString(s.rowText(y))
		b.WriteByte('\n')
	}
	return b.String()
}

// painted is the picture with the SGR sequences of a look, rows joined by newlines.
func (s *screen) painted(l *look) string {
	var b strings.Builder
	b.Grow(len(s.cells) * 2)
	for y := range s.h {
		if y > 0 {
			b.WriteByte('\n')
		}
		row := s.cells[y*s.w : (y+1)*s.w]
		end := len(row)
		for end > 0 && row[end-1] == (cell{r: ' '}) {
			end--
		}
		cur := style(0)
		for _, c := range row[:end] {
			if c.st != cur {
				if cur != 0 {
					b.WriteString("\x1b[m")
				}
				b.WriteString(l.sgr(c.st))
				cur = c.st
			}
			if c.r != 0 {
				b.WriteRune(c.r)
			}
		}
		if cur != 0 {
			b.WriteString("\x1b[m")
		}
	}
	return b.String()
}
