package probe

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// matrixMarks are how a table shows what is not ok, in the order of the legend.
var matrixMarks = []struct {
	class      Class
	mark, word string
}{
	{Refused, "R", "refused"},
	{Filtered, "X", "filtered"},
	{NoRoute, "N", "no route"},
	{Unreachable, "H", "host unreachable"},
	{Timeout, ".", "timeout"},
	{Denied, "D", "denied by its own kernel"},
	{NotFound, "A", "no address"},
	{Failed, "F", "failed"},
	{"", "!", "another error"},
}

func matrixMark(c Class) string {
	for _, m := range matrixMarks {
		if m.class == c || m.class == "" {
			return m.mark
		}
	}
	return "!"
}

const (
	matrixLines = 25 // lines of failing pairs
	matrixTable = 64 // members, above which there is no table
	matrixCol   = 5
)

// Text prints the matrix in lines of at most width columns (80 where it is 0): one line where everybody reaches everybody,
// else a table and what does not work, bounded.
func (m *MatrixResult) Text(w io.Writer, width int) {
	if width <= 0 {
		width = 80
	}
	fmt.Fprintln(w, m.Headline())
	if m.Note != "" {
		fold(w, "note: "+m.Note, width)
	}
	if m.OK {
		return
	}
	if len(m.Members) <= matrixTable {
		m.table(w, width)
	}
	m.failures(w, width)
}

// Headline is the first line: "FAILED: matrix of 3 by ping: 4 of 6 pairs ok, 2 timeout".
func (m *MatrixResult) Headline() string {
	var lo, hi, sum MS
	n := map[Class]int{}
	for _, c := range m.Cells {
		n[c.Class]++
		if c.Class == OK {
			if n[OK] == 1 || c.MS < lo {
				lo = c.MS
			}
			hi = max(hi, c.MS)
			sum += c.MS
		}
	}
	s := fmt.Sprintf("matrix of %d by %s: ", len(m.Members), m.By)
	times := ""
	if n[OK] > 0 {
		times = fmt.Sprintf("%.3f/%.3f/%.3f ms (min/avg/max)", float64(lo), float64(sum)/float64(n[OK]), float64(hi))
	}
	switch {
	case m.OK && len(m.Cells) == 0:
		return "ok: " + s + "no pairs"
	case m.OK:
		return fmt.Sprintf("ok: %sall %d pairs, %s", s, len(m.Cells), times)
	}
	s += fmt.Sprintf("%d of %d pairs ok", n[OK], len(m.Cells)+m.Unasked)
	var classes []Class
	for c := range n {
		if c != OK {
			classes = append(classes, c)
		}
	}
	slices.SortFunc(classes, func(a, b Class) int {
		if n[a] != n[b] {
			return n[b] - n[a]
		}
		return strings.Compare(string(a), string(b))
	})
	for _, c := range classes {
		s += fmt.Sprintf(", %d %s", n[c], c)
	}
	if m.Unasked > 0 {
		s += fmt.Sprintf(", %d not asked", m.Unasked)
	}
	return "FAILED: " + s
}

// cells is the table by index; nil where there is none.
func (m *MatrixResult) cells() [][]*Cell {
	t := make([][]*Cell, len(m.Members))
	for i := range t {
		t[i] = make([]*Cell, len(t))
	}
	for i := range m.Cells {
		if c := &m.Cells[i]; c.From >= 0 && c.From < len(t) && c.To >= 0 && c.To < len(t) {
			t[c.From][c.To] = c
		}
	}
	return t
}

func (m *MatrixResult) table(w io.Writer, width int) {
	t := m.cells()
	number := len(fmt.Sprint(len(t)))
	name, addr := 4, 0
	for i, s := range m.Members {
		name = min(max(name, utf8.RuneCountInString(s)), 20)
		if i < len(m.Addrs) {
			addr = max(addr, len(m.Addrs[i]))
		}
	}
	if addr > 15 {
		addr = 0 // of IPv6 too long for a table
	}
	left := number + 1 + name + 1
	if addr > 0 {
		left += addr + 1
	}
	cols := max(1, (width-left)/matrixCol)
	uncertain := false
	used := map[string]bool{}
	for lo := 0; lo < len(t); lo += cols {
		hi := min(lo+cols, len(t))
		fmt.Fprintf(w, "\n%*s", left, "")
		for j := lo; j < hi; j++ {
			fmt.Fprintf(w, "%*d", matrixCol, j+1)
		}
		fmt.Fprintln(w)
		for i, row := range t {
			fmt.Fprintf(w, "%*d %s ", number, i+1, padded(m.Members[i], name))
			if addr > 0 {
				a := ""
				if i < len(m.Addrs) {
					a = m.Addrs[i]
				}
				fmt.Fprintf(w, "%-*s ", addr, a)
			}
			for j := lo; j < hi; j++ {
				s := ""
				switch c := row[j]; {
				case i == j:
					s = "-"
				case c == nil:
				case c.Class == OK:
					s = short(c.MS)
				default:
					s = matrixMark(c.Class)
					used[s] = true
					if c.NotCertain != "" {
						s += "?"
						uncertain = true
					}
				}
				fmt.Fprintf(w, "%*s", matrixCol, s)
			}
			fmt.Fprintln(w)
		}
	}
	legend := []string{"ms"}
	for _, x := range matrixMarks {
		if used[x.mark] {
			legend = append(legend, x.mark+" "+x.word)
		}
	}
	if uncertain {
		legend = append(legend, "? not certain")
	}
	fmt.Fprintf(w, "\n  rows ask columns: %s\n", strings.Join(legend, ", "))
}

// short is a time in at most four columns, milliseconds unless it says otherwise.
func short(m MS) string {
	switch {
	case m < 9.95:
		return fmt.Sprintf("%.1f", float64(m))
	case m < 999.5:
		return fmt.Sprintf("%.0f", float64(m))
	}
	return fmt.Sprintf("%.0fs", float64(m)/1000)
}

// padded cuts or fills a name to a number of characters.
func padded(s string, n int) string {
	if l := utf8.RuneCountInString(s); l <= n {
		return s + strings.Repeat(" ", n-l)
	}
	return string([]rune(s)[:n-1]) + "…"
}

// failures lists what does not work: members that reach nobody or that nobody reaches first, then pairs.
func (m *MatrixResult) failures(w io.Writer, width int) {
	t := m.cells()
	told := map[*Cell]bool{}
	var lines []string
	whole := func(cells []*Cell, say func(why string)) {
		var first *Cell
		for _, c := range cells {
			switch {
			case c == nil:
			case c.Class == OK:
				return
			case first == nil:
				first = c
			case c.Class != first.Class || c.By != first.By || c.NotCertain != first.NotCertain:
				return
			}
		}
		n := 0
		for _, c := range cells {
			if c != nil && !told[c] {
				n++
			}
		}
		if first == nil || n < 2 {
			return
		}
		for _, c := range cells {
			told[c] = true
		}
		say(m.why(first))
	}
	for i, row := range t {
		whole(row, func(why string) { lines = append(lines, m.name(i)+" reaches nobody: "+why) })
	}
	for j := range t {
		var column []*Cell
		for i := range t {
			column = append(column, t[i][j])
		}
		whole(column, func(why string) { lines = append(lines, "nobody reaches "+m.who(j)+": "+why) })
	}
	// The others by who asks and why it failed.
	type group struct {
		from int
		why  string
	}
	var order []group
	to := map[group][]string{}
	for i, row := range t {
		for j, c := range row {
			if c == nil || told[c] || c.Class == OK {
				continue
			}
			g := group{i, m.why(c)}
			if to[g] == nil {
				order = append(order, g)
			}
			to[g] = append(to[g], m.who(j))
		}
	}
	// Many who fail in the same way are one line.
	same := map[string][]string{}
	pairs := map[string]int{}
	for _, g := range order {
		same[g.why] = append(same[g.why], m.name(g.from))
		pairs[g.why] += len(to[g])
	}
	for _, g := range order {
		names := to[g]
		if asking := same[g.why]; len(asking) > 6 {
			if pairs[g.why] > 0 {
				lines = append(lines, fmt.Sprintf("%d pairs, asked by %s and %d more: %s", pairs[g.why], strings.Join(asking[:3], ", "), len(asking)-3, g.why))
				pairs[g.why] = 0
			}
			continue
		}
		s := m.name(g.from) + " → " + names[0]
		for k, n := range names[1:] {
			if rest := len(names) - 1 - k; utf8.RuneCountInString(s)+len(n) > width/2+10 && rest > 1 {
				s += fmt.Sprintf(" and %d more", rest)
				break
			}
			s += ", " + n
		}
		lines = append(lines, s+": "+g.why)
	}
	for k, l := range lines {
		if k == matrixLines {
			fmt.Fprintf(w, "  … and %d more lines like these (-o csv has every pair)\n", len(lines)-k)
			break
		}
		fold(w, l, width)
	}
	if m.Unasked > 0 {
		fmt.Fprintf(w, "  %d pairs were not asked: it was ended before\n", m.Unasked)
	}
}

func (m *MatrixResult) who(i int) string {
	if len(m.Members) <= matrixTable {
		return m.name(i)
	}
	if i < len(m.Addrs) && m.Addrs[i] != "" {
		return m.name(i) + " (" + m.Addrs[i] + ")"
	}
	return m.name(i)
}

// why is a cell's class and reason.
func (m *MatrixResult) why(c *Cell) string {
	s := string(c.Class)
	if c.Reason != "" {
		s += ", " + c.Reason
	}
	if c.By != "" {
		s += ", says " + c.By
	}
	if c.NotCertain != "" {
		s += " (not certain: " + c.NotCertain + ")"
	}
	return s
}

// fold prints a line indented, broken at spaces so that it fits.
func fold(w io.Writer, s string, width int) {
	indent := "  "
	for {
		room := max(20, width-len(indent))
		if utf8.RuneCountInString(s) <= room {
			fmt.Fprintln(w, indent+s)
			return
		}
		head := string([]rune(s)[:room+1])
		cut := strings.LastIndexByte(head, ' ')
		if cut <= 0 {
			cut = len(string([]rune(s)[:room]))
		}
		fmt.Fprintln(w, indent+s[:cut])
		s = strings.TrimLeft(s[cut:], " ")
		indent = "      "
	}
}
