package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/nscope/nscope/topo"
)

// Tree writes the topology as a tree: host by host its NICs, its bridges and overlays with the network each carries,
// and behind every port whose namespace it leads to.
//
// Every namespace and every container has one place: on the port of the network that is most its own. Its other
// ports name it and refer there. Groups of more than a dozen are folded, with a count, unless [Options.Full].
func Tree(w io.Writer, g *topo.Graph, o Options) error {
	t := newTree(g, o)
	var b strings.Builder
	for i, r := range t.build() {
		if i > 0 {
			b.WriteByte('\n')
		}
		t.printRows(&b, []*row{r}, "", true)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tree builds rows from a graph.
type tree struct {
	*index
	o        Options
	g        glyphs
	sections []*section
	home     map[string]string // namespace → the link in it whose wire is its place
	placed   map[string]bool   // namespaces and containers that have had their place
	shown    map[string]bool   // links that have been drawn
}

func newTree(g *topo.Graph, o Options) *tree {
	t := &tree{index: newIndex(g), o: o, g: o.glyphs(), home: map[string]string{}, placed: map[string]bool{}, shown: map[string]bool{}}
	t.sections = makeSections(t.index)
	t.planHomes()
	return t
}

// row is one line with what hangs below it: free text, or the cells of a member, which are aligned with those of its
// neighbours.
type row struct {
	line  []span
	cells []span
	kids  []*row
	// ids are the nodes that it shows: of a member the port, the link inside and whose that is, "" where there is none; of
	// a line the one that it is about.
	ids []string

	class int    // order among siblings: see the class constants
	name  string // order within a class
}

// The classes of rows below one parent, in order.
const (
	classUplink    = iota // NICs, tunnels, what is not a member
	classBridge           // bridges and overlays
	classHelper           // load balancers, ingress
	classMember           // what has its place here
	classReference        // what has it elsewhere
	classGroup            // groups by what they are not: host mode, no network
)

// text is a row of one line without columns.
func text(spans ...span) *row { return &row{line: spans} }

// member is the row of a port and what is behind it: port, wire and inner link, name, address, more.
func member(port, inner, name, addr, more span) *row {
	return &row{cells: []span{port, inner, name, addr, more}, class: classMember, name: name.text}
}

// of says which nodes a row shows.
func (r *row) of(nodes ...*topo.Node) *row {
	for _, n := range nodes {
		id := ""
		if n != nil {
			id = n.ID
		}
		r.ids = append(r.ids, id)
	}
	return r
}

// memberColumns says how a member's cells give way when the line is too long: what is said beside it, then its name, and
// what people search for (addresses, link names) last.
var memberColumns = []Column{{Rank: 0, Min: 11}, {Rank: 1, Min: 6}, {Rank: 3, Min: 20, soft: 32}, {Rank: 2, Min: 15}, {Rank: 4, Min: 14}}

// memberGaps are the spaces before each cell of a member.
var memberGaps = []int{0, 1, 2, 2, 2}

// printRows writes siblings and what is below them. Top rows have no branch before them.
func (t *tree) printRows(b *strings.Builder, rows []*row, prefix string, top bool) {
	used := textWidth(prefix)
	if !top {
		used += 3
	}
	size := t.memberSizes(rows, t.o.fits(used))
	for i, r := range rows {
		branch, below := t.g.tee, t.g.pipe
		if i == len(rows)-1 {
			branch, below = t.g.corner, t.g.blank
		}
		if top {
			branch, below = "", ""
		}
		spans := []span{{prefix + branch, dim}}
		if r.cells != nil {
			spans = append(spans, t.memberSpans(r, size)...)
		} else {
			spans = append(spans, r.line...)
		}
		b.WriteString(t.o.fitLine(trimSpans(spans)))
		b.WriteByte('\n')
		t.printRows(b, r.kids, prefix+below, false)
	}
}

// memberSizes returns the widths of the columns that the members among rows share.
func (t *tree) memberSizes(rows []*row, limit int) []int {
	cells := [][]string{make([]string, len(memberColumns))}
	for _, r := range rows {
		if r.cells != nil {
			line := make([]string, len(memberColumns))
			for i, c := range r.cells {
				line[i] = c.text
			}
			cells = append(cells, line)
		}
	}
	gaps := 0
	for _, g := range memberGaps {
		gaps += g
	}
	if limit > 0 {
		// fitColumns counts its own gaps.
		limit = max(1, limit-gaps+columnGap*(len(memberColumns)-1))
	}
	return fitColumns(memberColumns, cells, limit)
}

func (t *tree) memberSpans(r *row, size []int) []span {
	var spans []span
	for i, c := range r.cells {
		cut := t.o.truncate
		if i == 2 {
			cut = t.o.truncateMiddle // "shop-…-17": what tells a name from its neighbours is often at its end
		}
		c.text = strings.Repeat(" ", memberGaps[i]) + pad(cut(c.text, size[i]), size[i])
		spans = append(spans, c)
	}
	return spans
}

// trimSpans drops spaces at the end, which no ellipsis should stand for.
func trimSpans(spans []span) []span {
	for n := len(spans) - 1; n >= 0; n-- {
		spans[n].text = strings.TrimRight(spans[n].text, " ")
		if spans[n].text != "" {
			break
		}
	}
	return spans
}

// The sizes at which groups are folded, and how many stay.
const (
	foldMembers, keepMembers   = 12, 8
	foldNetworks, keepNetworks = 24, 16
)

// fold shortens a group, and says how many are left out and how to see them.
func (t *tree) fold(rows []*row, limit, keep int, group *topo.Node) []*row {
	if t.o.Full || len(rows) <= limit {
		return rows
	}
	kept := append([]*row(nil), rows[:keep]...)
	s := fmt.Sprintf("%s %d more", t.g.dots, len(rows)-keep)
	if group != nil {
		if target := t.target(group); target != "" {
			s += " (nscope topo " + target + ")"
		}
	}
	more := text(span{s, dim})
	more.class = rows[len(rows)-1].class
	return append(kept, more)
}

// target is how to name a node on a command line: none where a shell would need quotes.
func (t *tree) target(n *topo.Node) string {
	form := map[topo.Kind]string{topo.KindNetwork: "net:", topo.KindLink: "if:"}[n.Kind] + n.Name
	if m, err := t.index.g.Resolve(form); err != nil || m != n {
		form = t.index.g.TargetOf(n)
	}
	for _, r := range form {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_.:/@-", r) {
			return ""
		}
	}
	return form
}
