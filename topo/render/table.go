package render

import (
	"io"
	"strings"
)

// Table is rows of text under headings. Columns are as wide as what is in them; where that is more than
// [Options.Width], the least important ones are cut first.
type Table struct {
	Columns []Column
	Rows    [][]string // one cell per column; missing ones are empty
	// Indent is put before each line, heading included.
	Indent string
	// Groups are the titles of the groups that the rows belong to, one for each row; a title is written before its first.
	Groups []string
}

// Column is one column of a [Table].
type Column struct {
	Name string
	// Rank tells how important a column is: those with the highest are cut first. Equal ranks: the last first.
	Rank int
	// Right aligns to the right, for numbers.
	Right bool
	// Wide columns are shown with [Options.Wide] only.
	Wide bool
	// Min is the width below which it is not cut as long as others can give way; 0 is 8, or the heading where longer.
	Min int
	// Below says that where the table is too wide, the cell is written below its row, each of its parts (separated by
	// ", ") on a line of its own, rather than cut.
	Below bool
	// Short makes a cell shorter where the table is too wide, before anything is cut; nil for none.
	Short func(cell string) string
	// soft is a width to which it gives way before any other column is cut at all, 0 for none.
	soft int
}

// WriteTable writes rows under headers; the first column is the most important one, the last the least.
func WriteTable(w io.Writer, headers []string, rows [][]string, o Options) error {
	t := Table{Rows: rows}
	for i, h := range headers {
		t.Columns = append(t.Columns, Column{Name: h, Rank: i})
	}
	return t.Write(w, o)
}

// Write writes the table. Columns that are empty in every row stay: scripts count them.
func (t *Table) Write(w io.Writer, o Options) error {
	var b strings.Builder
	t.write(&b, o)
	_, err := io.WriteString(w, b.String())
	return err
}

const columnGap = 2

func (t *Table) write(b *strings.Builder, o Options) {
	var shown []int
	for i, c := range t.Columns {
		if !c.Wide || o.Wide {
			shown = append(shown, i)
		}
	}
	cells := make([][]string, 0, len(t.Rows)+1)
	head := make([]string, len(shown))
	for i, c := range shown {
		head[i] = o.clean(t.Columns[c].Name)
	}
	cells = append(cells, head)
	for _, r := range t.Rows {
		row := make([]string, len(shown))
		for i, c := range shown {
			if c < len(r) {
				row[i] = o.clean(r[c])
			}
		}
		cells = append(cells, row)
	}
	cols := make([]Column, len(shown))
	for i, c := range shown {
		cols[i] = t.Columns[c]
	}
	limit := o.fits(textWidth(t.Indent))
	below := t.squeeze(cols, cells, limit)
	size := fitColumns(cols, cells, limit)
	group := ""
	for n, row := range cells {
		if n > 0 && n <= len(t.Groups) && t.Groups[n-1] != group {
			group = t.Groups[n-1]
			b.WriteString(o.fitLine([]span{{text: t.Indent}, {o.clean(group), strong}}))
			b.WriteByte('\n')
		}
		spans := []span{{text: t.Indent}}
		for i, s := range row {
			if cols[i].Below && below != nil {
				continue
			}
			s = o.truncate(s, size[i])
			if cols[i].Right {
				s = padLeft(s, size[i])
			} else {
				s = pad(s, size[i])
			}
			if i < len(row)-1 {
				s += strings.Repeat(" ", columnGap)
			}
			st := plain
			if n == 0 {
				st = bold
			}
			spans = append(spans, span{s, st})
		}
		// The last cell's padding is nothing that an ellipsis should stand for.
		last := &spans[len(spans)-1]
		last.text = strings.TrimRight(last.text, " ")
		b.WriteString(o.fitLine(spans))
		b.WriteByte('\n')
		if n > 0 && below != nil {
			for _, part := range below[n] {
				b.WriteString(o.fitLine([]span{{text: t.Indent + "    "}, {part, dim}}))
				b.WriteByte('\n')
			}
		}
	}
}

// squeeze shortens cells where the table is too wide, and where it still is takes out the columns that may go below the
// rows: their widths become 0, and their parts are returned for each row. Nil where there is room.
func (t *Table) squeeze(cols []Column, cells [][]string, limit int) [][]string {
	if limit == 0 || naturalWidth(cols, cells) <= limit {
		return nil
	}
	below := make([][]string, len(cells))
	any := false
	for i, c := range cols {
		for n, row := range cells {
			switch {
			case n == 0 && c.Below:
				any = true
				row[i] = ""
			case n == 0:
			case c.Below:
				if row[i] != "" && row[i] != "-" {
					below[n] = append(below[n], strings.Split(row[i], ", ")...)
				}
				row[i] = ""
			case c.Short != nil:
				row[i] = c.Short(row[i])
			}
		}
	}
	if !any {
		return nil
	}
	return below
}

func naturalWidth(cols []Column, cells [][]string) int {
	total := columnGap * max(0, len(cols)-1)
	for i := range cols {
		most := 1
		for _, row := range cells {
			most = max(most, textWidth(row[i]))
		}
		total += most
	}
	return total
}

// fitColumns returns the width of each column so that all of them and the gaps take at most limit (0: no limit).
func fitColumns(cols []Column, cells [][]string, limit int) []int {
	size := make([]int, len(cols))
	least := make([]int, len(cols))
	total := columnGap * max(0, len(cols)-1)
	for i := range cols {
		for _, row := range cells {
			size[i] = max(size[i], textWidth(row[i]), 1)
		}
		least[i] = cols[i].Min
		if least[i] == 0 {
			least[i] = max(8, textWidth(cells[0][i]))
		}
		total += size[i]
	}
	if limit == 0 {
		return size
	}
	for _, i := range byRank(cols) {
		if cut := min(size[i]-cols[i].soft, total-limit); cols[i].soft > 0 && cut > 0 {
			size[i] -= cut
			total -= cut
		}
	}
	// Then every column may be cut to its minimum, the least important one first; when that is not enough, to 12, to 8
	// and so on. Whatever is too long even then is cut with the line.
	for _, floor := range []int{0, 12, 8, 4, 1} {
		for _, i := range byRank(cols) {
			if total <= limit {
				return size
			}
			to := least[i]
			if floor > 0 {
				to = min(floor, to)
			}
			if cut := min(size[i]-to, total-limit); cut > 0 {
				size[i] -= cut
				total -= cut
			}
		}
	}
	return size
}

// byRank returns the columns' indexes, the one to cut first in front.
func byRank(cols []Column) []int {
	var order []int
	for i := range cols {
		at := 0
		for at < len(order) && cols[order[at]].Rank > cols[i].Rank {
			at++
		}
		order = append(order[:at], append([]int{i}, order[at:]...)...)
	}
	return order
}
