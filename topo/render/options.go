package render

// DefaultWidth is the width in columns where [Options.Width] is 0.
const DefaultWidth = 80

// Options say how something is to look. The zero value is 80 columns of uncoloured Unicode, folded.
type Options struct {
	// Width is the number of columns that a line may take: 0 is [DefaultWidth], negative is no limit.
	Width int
	// ASCII keeps every byte of text output below 0x80; other characters of names become \u escapes.
	ASCII bool
	// Color uses ANSI colours.
	Color bool
	// Full shows every member of large groups instead of folding them.
	Full bool
	// Wide adds what is of second importance: images, MAC addresses, MTUs, inodes.
	Wide bool
}

// width returns the number of columns to keep to, or 0 for no limit.
func (o Options) width() int {
	switch {
	case o.Width == 0:
		return DefaultWidth
	case o.Width < 0:
		return 0
	}
	return o.Width
}

// fits returns how many columns are left beside what is used already, never less than 1; 0 stands for no limit.
func (o Options) fits(used int) int {
	w := o.width()
	if w == 0 {
		return 0
	}
	return max(1, w-used)
}

// glyphs are the characters that differ between Unicode and ASCII output.
type glyphs struct {
	tee, corner, pipe, blank string // of the tree, four columns less one each
	wire                     string // between the two ends of a pair
	arrow, dot, dots, times  string
}

var (
	unicodeGlyphs = glyphs{"├─ ", "└─ ", "│  ", "   ", "─", "→", "·", "…", "×"}
	asciiGlyphs   = glyphs{"|- ", "`- ", "|  ", "   ", "-", "->", "-", "...", "x"}
)

func (o Options) glyphs() glyphs {
	if o.ASCII {
		return asciiGlyphs
	}
	return unicodeGlyphs
}

// style is an ANSI SGR sequence's parameters; the empty one is plain.
type style string

const (
	plain   style = ""
	bold    style = "1"
	dim     style = "2"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	blue    style = "34"
	magenta style = "35"
	cyan    style = "36"
	strong  style = "1;36"
)

func (o Options) paint(s string, st style) string {
	if !o.Color || st == plain || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}
