package render

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// Rules writes rules by namespace, hook and chain. A line is the packets that a rule has counted ("." where it does not
// count, "?" before one that is not understood whole) and the rule, indented by how many jumps lead to it.
func Rules(w io.Writer, spaces []topo.RuleSpace, o Options) error {
	var b strings.Builder
	for i, s := range spaces {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s (%s)\n", clean(s.Name, false), s.Netns)
		if s.Unread {
			b.WriteString("not all firewall rules were read\n")
		}
		writeStages(&b, "links, in", s.Ingress, o)
		hook := ""
		for j := range s.Chains {
			c := &s.Chains[j]
			if h := c.Family + " " + c.Hook; h != hook {
				hook = h
				fmt.Fprintf(&b, "%s\n", h)
			}
			writeChain(&b, c, o)
		}
		writeStages(&b, "links, out", s.Egress, o)
		writeStages(&b, "sockets", s.Sockets, o)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// SavedRules writes whole tables as they are: one text that nft takes, and one for each other tool, begun by a comment that names it.
func SavedRules(w io.Writer, tables []topo.SavedTable) error {
	var b strings.Builder
	last := ""
	tables = slices.Clone(tables)
	slices.SortStableFunc(tables, func(a, b topo.SavedTable) int { return strings.Compare(a.For, b.For) })
	for i := range tables {
		t := &tables[i]
		if t.For != last {
			fmt.Fprintf(&b, "# for %s\n", t.For)
			last = t.For
		}
		b.WriteString(t.Text)
		if strings.HasSuffix(t.For, "-restore") {
			b.WriteString("COMMIT\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeChain(b *strings.Builder, c *topo.RuleChain, o Options) {
	kind := c.Backend
	if c.Backend == snapshot.NfNft && c.TableFamily != c.Family {
		kind += " " + c.TableFamily
	}
	fmt.Fprintf(b, "  %5d %s %s", c.Priority, clean(c.Table, false), clean(c.Chain, false))
	if c.Policy != "" {
		fmt.Fprintf(b, ", policy %s", c.Policy)
	}
	fmt.Fprintf(b, " (%s)\n", kind)
	for i := range c.Rules {
		r := &c.Rules[i]
		n := "."
		if r.Packets != nil {
			n = strconv.FormatUint(*r.Packets, 10)
		}
		mark := " "
		if len(r.Unknown) > 0 {
			mark = "?"
		}
		lead := fmt.Sprintf("%9s %s%s", n, mark, strings.Repeat("  ", min(r.Depth, 8)))
		text := clean(r.Text, false)
		if !strings.HasPrefix(text, "-A ") && r.Depth > 0 {
			text = clean(r.Chain, false) + ": " + text
		}
		writeWrapped(b, lead, text, o)
	}
}

// writeStages writes what packets pass besides rules: "eth0 tc ingress: pref 10 …", and how many were dropped there.
func writeStages(b *strings.Builder, title string, stages []topo.RuleStage, o Options) {
	if len(stages) > 0 {
		fmt.Fprintf(b, "%s\n", title)
	}
	for i := range stages {
		s := &stages[i]
		n := "."
		if s.Packets != nil {
			n = strconv.FormatUint(*s.Packets, 10)
		}
		text := words(clean(s.Link, false), clean(s.Cgroup, false), s.At) + ": " + clean(s.Text, false)
		if s.Drops != nil && *s.Drops > 0 {
			text += fmt.Sprintf(", dropped %d", *s.Drops)
		}
		writeWrapped(b, fmt.Sprintf("%9s  ", n), text, o)
	}
}

// writeWrapped writes text after lead, and what does not fit the width on lines of its own below it.
func writeWrapped(b *strings.Builder, lead, text string, o Options) {
	room := o.Width - len(lead) - 2
	b.WriteString(lead)
	if o.Wide || o.Width <= 0 || room < 20 {
		b.WriteString(text + "\n")
		return
	}
	col := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case col+1+len(word) > room:
			b.WriteString("\n" + strings.Repeat(" ", len(lead)+2))
			col = 0
		default:
			b.WriteByte(' ')
			col++
		}
		b.WriteString(word)
		col += len(word)
	}
	b.WriteByte('\n')
}
