package render

import (
	"cmp"
	"slices"

	"github.com/nscope/nscope/topo"
)

// leftovers returns the rows of a section's namespaces that no wire of a host or overlay leads to.
func (t *tree) leftovers(s *section) []*row {
	list := slices.Clone(s.netns)
	// Those with bridges first: what hangs on them has its place there.
	weight := func(n *topo.Node) int {
		if slices.ContainsFunc(t.links[n.ID], isBridge) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(list, func(a, b *topo.Node) int { return cmp.Compare(weight(a), weight(b)) })
	var rows, alone, unread, outside []*row
	for _, n := range list {
		if t.placed[n.ID] {
			continue
		}
		t.placed[n.ID] = true
		name, more := t.netnsWords(n)
		r := text(span{t.o.clean(name), green}, span{"  " + t.o.clean(more), dim}).of(t.tenant(n))
		r.class, r.name = classMember, name
		r.kids = t.inside(n)
		switch {
		case len(t.links[n.ID]) > 0:
			rows = append(rows, r)
		case t.index.g.Outside(n):
			outside = append(outside, r)
		case t.loopback[n.ID]:
			alone = append(alone, r)
		default:
			unread = append(unread, r)
		}
	}
	rows = t.foldMembers(sortRows(rows), nil)
	rows = append(rows, t.group("no network", "loopback only", alone)...)
	rows = append(rows, t.group("not read", "their links are not known", unread)...)
	return append(rows, t.group("outside", "their links are not shown here", outside)...)
}

// group puts rows under a heading.
func (t *tree) group(title, what string, rows []*row) []*row {
	if len(rows) == 0 {
		return nil
	}
	r := text(span{title, bold}, span{"  " + what, dim})
	r.class = classGroup
	r.kids = t.foldMembers(sortRows(rows), nil)
	return []*row{r}
}

// hostMode returns the group of the containers that run in a home namespace, and of those in an overlay's, which would
// be odd but must not be lost.
func (t *tree) hostMode(s *section) []*row {
	var rows []*row
	for _, n := range s.netns {
		if t.isSwitch(n) {
			for _, c := range t.containers[n.ID] {
				if !t.placed[c.ID] {
					rows = append(rows, t.containerRow(c))
				}
			}
		}
	}
	return t.group("host mode", "containers in the "+s.word()+"'s own namespace", rows)
}

// loose returns the group of a section's containers that run in no namespace that is known.
func (t *tree) loose(s *section) []*row {
	var rows, outside []*row
	for _, c := range s.loose {
		switch {
		case t.placed[c.ID]:
		case t.index.g.Outside(c):
			outside = append(outside, t.containerRow(c))
		default:
			rows = append(rows, t.containerRow(c))
		}
	}
	return append(t.group("no namespace", "not running, or not to be seen", rows), t.group("elsewhere", "their namespace is not shown here", outside)...)
}

func (t *tree) containerRow(c *topo.Node) *row {
	t.placed[c.ID] = true
	r := text(span{t.o.clean(nameOf(c)), green}, span{"  " + t.o.clean(t.containerWords(c)), dim}).of(c)
	r.class, r.name = classMember, c.Name
	return r
}

// idle returns the row that names a section's networks without a link of their own.
func (t *tree) idle(s *section) []*row {
	if len(s.idle) == 0 {
		return nil
	}
	var names []string
	for _, n := range s.idle {
		w := nameOf(n)
		if n.Attrs.Driver != "" {
			w += " (" + n.Attrs.Driver + ")"
		}
		names = append(names, w)
	}
	slices.SortFunc(names, natural)
	list := ""
	for i, n := range names {
		if i > 0 {
			list += ", "
		}
		list += t.o.clean(n)
	}
	return []*row{text(span{"networks not in use", bold}, span{"  " + list, plain})}
}
