package render

import (
	"fmt"
	"slices"
	"strings"
)

// page is the text of `nscope show`: a title, fields, and sections of lines or tables.
type page struct {
	b strings.Builder
	o Options
	g glyphs
}

// title writes the first line: what it is, its name, and where.
func (p *page) title(what, name, where string) {
	spans := []span{{what + " ", plain}, {p.o.clean(name), strong}}
	if where != "" {
		spans = append(spans, span{"  " + p.o.clean(where), dim})
	}
	p.b.WriteString(p.o.fitLine(spans) + "\n")
}

// field is one line "key  value" of a page; empty ones are left out.
type field struct{ key, value string }

// fields writes fields with their values under each other. Long values are wrapped: nothing of them is cut.
func (p *page) fields(list ...field) {
	list = slices.DeleteFunc(list, func(f field) bool { return f.value == "" })
	keyWidth := 0
	for _, f := range list {
		keyWidth = max(keyWidth, textWidth(p.o.clean(f.key)))
	}
	if w := p.o.width(); w > 0 {
		keyWidth = min(keyWidth, w/3)
	}
	for _, f := range list {
		for i, line := range p.o.wrap(p.o.clean(f.value), p.o.fits(keyWidth+4)) {
			key := ""
			if i == 0 {
				key = p.o.truncate(p.o.clean(f.key), keyWidth)
			}
			p.b.WriteString(p.o.fitLine([]span{{"  " + pad(key, keyWidth) + "  ", dim}, {line, plain}}) + "\n")
		}
	}
}

// section starts a part of the page.
func (p *page) section(title string) {
	p.b.WriteString("\n" + p.o.fitLine([]span{{p.o.clean(title), bold}}) + "\n")
}

// lines writes lines of a section, wrapped.
func (p *page) lines(list ...string) {
	list, more := foldList(p.o, list)
	for _, s := range list {
		for i, line := range p.o.wrap(p.o.clean(s), p.o.fits(4)) {
			indent := "  "
			if i > 0 {
				indent = "    "
			}
			p.b.WriteString(p.o.fitLine([]span{{indent + line, plain}}) + "\n")
		}
	}
	p.more(more)
}

// list writes a section of lines, and nothing at all where there are none.
func (p *page) list(title string, list []string) {
	if len(list) > 0 {
		p.section(title)
		p.lines(list...)
	}
}

// table writes a table in a section, and nothing at all where there are no rows.
func (p *page) table(title string, cols []Column, rows [][]string) {
	if len(rows) == 0 {
		return
	}
	p.section(title)
	// A column without anything in it only takes room.
	var used []int
	for i := range cols {
		if slices.ContainsFunc(rows, func(r []string) bool { return i < len(r) && r[i] != "" }) {
			used = append(used, i)
		}
	}
	t := Table{Indent: "  "}
	for _, i := range used {
		t.Columns = append(t.Columns, cols[i])
	}
	rows, more := foldList(p.o, rows)
	for _, r := range rows {
		row := make([]string, 0, len(used))
		for _, i := range used {
			if i < len(r) {
				row = append(row, r[i])
			} else {
				row = append(row, "")
			}
		}
		t.Rows = append(t.Rows, row)
	}
	t.write(&p.b, p.o)
	p.more(more)
}

func (p *page) more(n int) {
	if n > 0 {
		p.b.WriteString(p.o.fitLine([]span{{fmt.Sprintf("  %s %d more", p.g.dots, n), dim}}) + "\n")
	}
}

// The size at which lists of a page are folded, and how many stay.
const foldRows, keepRows = 60, 48

func foldList[T any](o Options, list []T) (kept []T, more int) {
	if o.Full || len(list) <= foldRows {
		return list, 0
	}
	return list[:keepRows], len(list) - keepRows
}

// cols makes columns of equal standing from headings: the last is cut first. A heading that starts with ">" is of
// numbers, one with "+" is for wide output, one with "!" is cut last, one with "_" goes below its row where
// there is no room, and one with "~" is of names of which a swarm task's
// gives its id first.
func cols(heads ...string) []Column {
	list := make([]Column, 0, len(heads))
	for i, h := range heads {
		c := Column{Rank: i + 1}
		for h != "" && strings.ContainsRune(">+!~_", rune(h[0])) {
			switch h[0] {
			case '>':
				c.Right = true
			case '+':
				c.Wide = true
			case '!':
				c.Rank = 0
			case '_':
				c.Below = true
			case '~':
				c.Short = shortTask
			}
			h = h[1:]
		}
		c.Name = h
		list = append(list, c)
	}
	return list
}

// wrap breaks a text at spaces, and where a word is too long anywhere, into lines of at most w columns (0: no limit).
func (o Options) wrap(s string, w int) []string {
	if w <= 0 || textWidth(s) <= w {
		return []string{s}
	}
	var lines []string
	line := ""
	flush := func() {
		if line != "" {
			lines = append(lines, line)
			line = ""
		}
	}
	for _, word := range strings.Split(s, " ") {
		if line != "" && textWidth(line)+1+textWidth(word) > w {
			flush()
		}
		for textWidth(word) > w {
			head := widths.Truncate(word, w, "")
			if head == "" {
				break // not even one character fits; the line is cut later
			}
			flush()
			lines = append(lines, head)
			word = word[len(head):]
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	flush()
	return lines
}

// words joins what is not empty.
func words(list ...string) string {
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return s == "" }), " ")
}

// when returns word if it is so.
func when(ok bool, word string) string {
	if ok {
		return word
	}
	return ""
}
