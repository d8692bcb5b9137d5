package tui

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo"
)

// command is what can be typed after a colon.
type command struct {
	name string
	args string // "TARGET", "FILE", "" for none
	does string
	run  func(m *Model, arg string) tea.Cmd
	// words are what the argument may be, for completion; nil for none.
	words func(m *Model) []string
}

func (c command) usage() string {
	if c.args == "" {
		return c.name
	}
	return c.name + " " + c.args
}

// baseCommands are those of the root; views have their names, and may have more.
func baseCommands() []command {
	return []command{
		{name: "find", args: "WHAT", does: "who is behind an interface, MAC, address, port, VNI, VIP, mark, inode, pid", run: (*Model).find, words: (*Model).targetWords},
		{name: "show", args: "TARGET", does: "everything about one thing", run: (*Model).showTarget, words: (*Model).targetWords},
		{name: "path", args: "FROM TO", does: "light the path between two things", run: (*Model).pathBetween, words: (*Model).targetWords},
		{name: "sort", args: "COLUMN", does: "sort the table by a column; again: the other way round", run: (*Model).sortBy, words: (*Model).columnWords},
		{name: "filter", args: "WORDS", does: "as /", run: func(m *Model, arg string) tea.Cmd {
			m.env.filter = parseFilter(arg)
			return m.tell(stateMsg{})
		}},
		{name: "export", args: "FILE", does: "write what is seen to a .svg, .html or .json file", run: (*Model).export},
		{name: "gaps", does: "what could not be read, and what would help", run: func(m *Model, _ string) tea.Cmd { return m.visit(place{view: detailsName, id: gapsID}) }},
		{name: "freeze", does: "as f", run: func(m *Model, _ string) tea.Cmd { return m.freeze() }},
		{name: "wide", does: "as w", run: func(m *Model, _ string) tea.Cmd {
			m.env.wide = !m.env.wide
			return m.tell(stateMsg{})
		}},
		{name: "help", does: "as ?", run: func(m *Model, _ string) tea.Cmd {
			m.help = newHelp(m)
			return nil
		}},
		{name: "quit", does: "as q", run: func(*Model, string) tea.Cmd { return tea.Quit }},
	}
}

// commands are those that can be given now, without the views' names.
func (m *Model) commands() []command {
	list := baseCommands()
	for _, v := range m.views {
		if c, ok := v.(commander); ok {
			list = append(list, c.Commands()...)
		}
	}
	return list
}

// run runs a line of the prompt. Names may be cut short where they stay unique.
func (m *Model) run(line string) tea.Cmd {
	name, arg, _ := strings.Cut(line, " ")
	arg = strings.TrimSpace(arg)
	if name == "q" {
		return tea.Quit
	}
	var hits []string
	var run func() tea.Cmd
	try := func(full string, f func() tea.Cmd) {
		switch {
		case full == name:
			hits, run = []string{full}, f
		case strings.HasPrefix(full, name) && (len(hits) == 0 || hits[0] != name):
			hits, run = append(hits, full), f
		}
	}
	for _, v := range viewList {
		try(v.name, func() tea.Cmd { return m.visit(place{view: v.name, id: m.current().Selected()}) })
	}
	for _, c := range m.commands() {
		try(c.name, func() tea.Cmd {
			if arg == "" && c.args != "" {
				return complain("usage: :" + c.usage())
			}
			return c.run(m, arg)
		})
	}
	switch len(hits) {
	case 0:
		return complain("no command " + name + ": ? lists them")
	case 1:
		return run()
	}
	return complain(name + " may be " + strings.Join(hits, ", "))
}

// completions are what the last word of a line may become, and what stands before that word.
func (m *Model) completions(line string) (stem string, words []string) {
	name, _, more := strings.Cut(line, " ")
	var all []string
	if !more {
		for _, v := range viewList {
			all = append(all, v.name)
		}
		for _, c := range m.commands() {
			all = append(all, c.name)
		}
	} else {
		for _, c := range m.commands() {
			if c.name == name && c.words != nil {
				all = c.words(m)
			}
		}
		stem = line[:strings.LastIndexByte(line, ' ')+1]
	}
	last := line[len(stem):]
	for _, w := range all {
		if strings.HasPrefix(w, last) && !strings.ContainsAny(w, " \t") {
			words = append(words, w)
		}
	}
	return stem, sortedSet(words)
}

func (m *Model) targetWords() []string { return m.env.state.Graph.Targets() }

func (m *Model) columnWords() []string {
	if t, ok := m.current().(*table); ok {
		return t.columnNames()
	}
	return nil
}

// find selects what is behind something, in the topology; of several hits it shows the list of them as a filter would.
func (m *Model) find(what string) tea.Cmd {
	hits, err := m.env.state.Graph.Find(what)
	switch {
	case err != nil:
		return complain(err.Error())
	case len(hits) == 0:
		return complain("nothing is known by " + what)
	}
	// Asked again it goes to the next.
	n := 0
	if i := slices.IndexFunc(hits, func(h topo.Hit) bool { return h.Node.ID == m.found }); what == m.sought && i >= 0 {
		n = (i + 1) % len(hits)
	}
	m.sought, m.found = what, hits[n].Node.ID
	text := hits[n].Sentence
	if len(hits) > 1 {
		text = fmt.Sprintf("%d of %d (:find again: the next): %s", n+1, len(hits), text)
	}
	return tea.Batch(m.visit(place{view: viewList[0].name, id: hits[n].Node.ID}), say(text))
}

func (m *Model) showTarget(target string) tea.Cmd {
	n, err := m.resolve(target)
	if err != nil {
		return complain(err.Error())
	}
	return m.visit(place{view: detailsName, id: n.ID})
}

func (m *Model) resolve(target string) (*topo.Node, error) {
	n, err := m.env.state.Graph.Resolve(target)
	var several *topo.AmbiguousError
	if errors.As(err, &several) {
		return nil, errors.New(oneLine(err.Error()))
	}
	return n, err
}

func (m *Model) pathBetween(arg string) tea.Cmd {
	ends := strings.Fields(arg)
	if len(ends) != 2 {
		return complain("usage: :path FROM TO")
	}
	var ids []string
	for _, t := range ends {
		n, err := m.resolve(t)
		if err != nil {
			return complain(err.Error())
		}
		ids = append(ids, n.ID)
	}
	m.env.marks, m.env.path = ids, nil
	return tea.Batch(m.visit(place{view: viewList[0].name, id: ids[0]}), m.togglePath())
}

func (m *Model) sortBy(column string) tea.Cmd {
	t, ok := m.current().(*table)
	if !ok {
		return complain("what is open is no table")
	}
	if !t.sortBy(column) {
		return complain("no column " + column + ": there is " + strings.Join(t.columnNames(), ", "))
	}
	return nil
}
