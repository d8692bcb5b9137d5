package render

import (
	"fmt"
	"io"
	"strings"

	"github.com/nscope/nscope/topo"
)

// Diff writes changes below the place where they are: + came, - went, ~ changed. Mere consequences of others are counted, and
// with [Options.Wide] told.
func Diff(w io.Writer, changes []topo.Change, hosts int, o Options) error {
	var b strings.Builder
	head, shown, hidden := "", 0, 0
	for i := range changes {
		c := &changes[i]
		if c.Follows && !o.Wide {
			hidden++
			continue
		}
		if h := diffHead(c, hosts); h != head {
			head = h
			b.WriteString(o.paint(clean(h, o.ASCII), bold) + "\n")
		}
		sign, st := DiffSign(c.Op), plain
		switch c.Op {
		case topo.Added:
			st = green
		case topo.Removed:
			st = red
		case topo.Changed:
			st = yellow
		}
		text := c.What
		if c.Detail != "" {
			text += ": " + c.Detail
		}
		if c.Follows {
			text += " (follows)"
		} else {
			shown++
		}
		text = clean(text, o.ASCII)
		if o.ASCII {
			text = strings.ReplaceAll(text, "\\u2192", asciiGlyphs.arrow)
		}
		var line strings.Builder
		writeWrapped(&line, "  "+sign+" ", text, o)
		b.WriteString(strings.Replace(line.String(), sign, o.paint(sign, st), 1))
	}
	switch {
	case hidden > 0:
		fmt.Fprintf(&b, "%s, and %d that follow from them (-o wide tells all)\n", plural(shown, "change"), hidden)
	case shown > 0:
		fmt.Fprintf(&b, "%s\n", plural(shown, "change"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// DiffSign is the sign that stands for what became of a thing.
func DiffSign(op topo.ChangeOp) string {
	switch op {
	case topo.Added:
		return "+"
	case topo.Removed:
		return "-"
	}
	return "~"
}

// diffHead is the line over the changes of one place.
func diffHead(c *topo.Change, hosts int) string {
	on := ""
	if hosts > 1 && c.Host != "" {
		on = " on " + c.Host
	}
	switch {
	case c.Place != "":
		ino := c.Netns[strings.LastIndexByte(c.Netns, ':')+1:]
		if c.Place == ino {
			return "netns " + ino + on
		}
		return c.Place + " (netns " + ino + ")" + on
	case c.Kind == topo.ChangeGap:
		return "gaps" + on
	case c.Kind == topo.ChangeHost:
		return "host" + on
	}
	return "engines" + on
}
