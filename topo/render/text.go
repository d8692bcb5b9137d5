package render

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// widths measures text. It does not look at the locale: a box-drawing character counts as one column everywhere, so
// that output is the same on every machine.
var widths = &runewidth.Condition{StrictEmojiNeutral: true}

// textWidth is the number of columns that s takes in a terminal.
func textWidth(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return widths.StringWidth(s)
		}
	}
	return len(s)
}

// clean makes s harmless to print: control characters, invalid UTF-8, and what changes direction or has no width become
// visible escapes; with ascii so does everything above 0x7e.
func clean(s string, ascii bool) string {
	ok := true
	for _, r := range s {
		if !harmless(r, ascii) {
			ok = false
			break
		}
	}
	if ok && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, w := 0, 0; i < len(s); i += w {
		var r rune
		r, w = utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && w <= 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case harmless(r, ascii):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

func harmless(r rune, ascii bool) bool {
	if r >= 0x20 && r < 0x7f {
		return true
	}
	if ascii || r == utf8.RuneError {
		return false
	}
	// Marks of no width would let a name pile up on its neighbours, and variation selectors fool width tables.
	return unicode.IsPrint(r) && !unicode.Is(unicode.M, r)
}

func (o Options) clean(s string) string { return clean(s, o.ASCII) }

// truncate shortens s to at most w columns, ending in an ellipsis where something was cut. w 0 is no limit.
func (o Options) truncate(s string, w int) string {
	if w <= 0 || textWidth(s) <= w {
		return s
	}
	dots := o.glyphs().dots
	if w <= len(dots) && o.ASCII {
		return dots[:w]
	}
	return widths.Truncate(s, w, dots)
}

// truncateMiddle shortens s to at most w columns, and keeps its end as well as its start.
func (o Options) truncateMiddle(s string, w int) string {
	n, dots := textWidth(s), o.glyphs().dots
	room := w - textWidth(dots)
	if w <= 0 || n <= w || room < 6 {
		return o.truncate(s, w)
	}
	tail := room / 3
	head := widths.Truncate(s, room-tail, "")
	return head + dots + widths.TruncateLeft(s, n-tail, "")
}

// pad fills s with spaces to w columns.
func pad(s string, w int) string {
	if n := w - textWidth(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

func padLeft(s string, w int) string {
	if n := w - textWidth(s); n > 0 {
		return strings.Repeat(" ", n) + s
	}
	return s
}

// span is a piece of a line with one style.
type span struct {
	text  string
	style style
}

// fitLine joins spans to a line of at most the width, and paints them. Their text must be clean already.
func (o Options) fitLine(spans []span) string {
	limit, total := o.width(), 0
	for _, s := range spans {
		total += textWidth(s.text)
	}
	room, end := total, ""
	if limit > 0 && total > limit {
		if end = o.glyphs().dots; textWidth(end) > limit {
			end = end[:limit] // only the ASCII one is longer than a column
		}
		room = limit - textWidth(end)
	}
	var b strings.Builder
	for _, s := range spans {
		if room <= 0 {
			break
		}
		t := s.text
		if textWidth(t) > room {
			t = widths.Truncate(t, room, "")
		}
		room -= textWidth(t)
		b.WriteString(o.paint(t, s.style))
	}
	return strings.TrimRight(b.String()+end, " ")
}

// natural compares names as people count: "web-2" comes before "web-10".
func natural(a, b string) int {
	for a != "" && b != "" {
		if digit(a[0]) && digit(b[0]) {
			da, ra := digits(a)
			db, rb := digits(b)
			ta, tb := strings.TrimLeft(da, "0"), strings.TrimLeft(db, "0")
			if len(ta) != len(tb) {
				return len(ta) - len(tb)
			}
			if c := strings.Compare(ta, tb); c != 0 {
				return c
			}
			if c := len(da) - len(db); c != 0 {
				return c
			}
			a, b = ra, rb
			continue
		}
		if a[0] != b[0] {
			return int(a[0]) - int(b[0])
		}
		a, b = a[1:], b[1:]
	}
	return len(a) - len(b)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func digits(s string) (head, rest string) {
	n := 0
	for n < len(s) && digit(s[n]) {
		n++
	}
	return s[:n], s[n:]
}
