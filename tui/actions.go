package tui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo"
)

// mark marks a node, or takes its mark away. A third mark takes the place of the first.
func (m *Model) mark(id string) tea.Cmd {
	e := m.env
	switch {
	case id == "":
		return nil
	case e.marked(id):
		e.marks = slices.DeleteFunc(e.marks, func(x string) bool { return x == id })
	default:
		e.marks = append(e.marks, id)
		if len(e.marks) > 2 {
			e.marks = e.marks[1:]
		}
	}
	if e.path != nil {
		e.path = nil
	}
	return m.tell(stateMsg{})
}

// togglePath lights the path between the two marks, or ends it.
func (m *Model) togglePath() tea.Cmd {
	e := m.env
	if e.path != nil {
		e.path = nil
		return m.tell(stateMsg{})
	}
	if len(e.marks) != 2 {
		return complain("a path needs two marks: space marks the selected thing (" + plural(len(e.marks), "is", "are") + " marked)")
	}
	way := m.lightPath()
	if way == nil {
		return complain(fmt.Sprintf("no wires lead from %s to %s", e.name(e.marks[0]), e.name(e.marks[1])))
	}
	var names []string
	for _, id := range way {
		if n := e.node(id); n.Kind != topo.KindNetns || len(names) == 0 || id == way[len(way)-1] || n.Attrs.Role != topo.RoleContainer {
			names = append(names, nodeName(n))
		}
	}
	return tea.Batch(m.tell(stateMsg{}), say(strings.Join(names, " "+e.look.arrow+" ")))
}

// lightPath finds the path between the marks anew.
func (m *Model) lightPath() []string {
	e := m.env
	e.path = nil
	if len(e.marks) != 2 {
		return nil
	}
	way := wiresBetween(e.state.Graph, e.marks[0], e.marks[1])
	if way != nil {
		e.path = map[string]bool{}
		for _, id := range way {
			e.path[id] = true
		}
	}
	return way
}

// freeze stops what is seen, or goes on with the newest.
func (m *Model) freeze() tea.Cmd {
	m.env.frozen = !m.env.frozen
	if m.env.frozen || m.pending == nil {
		return nil
	}
	st := m.pending
	m.pending = nil
	return m.setState(st)
}

// targets are the marked nodes, or the selected one.
func (m *Model) targets(id string) []string {
	if len(m.env.marks) > 0 {
		return slices.Clone(m.env.marks)
	}
	if id == "" {
		return nil
	}
	return []string{id}
}

// capture opens the packets of nodes, in the view that shows packets.
func (m *Model) capture(ids []string) tea.Cmd {
	for i, v := range viewList {
		if c, ok := m.views[i].(capturer); ok {
			cmd := m.visit(place{view: v.name})
			return tea.Batch(cmd, c.Capture(ids))
		}
	}
	var targets []string
	for _, id := range ids {
		if n := m.env.node(id); n != nil {
			targets = append(targets, m.env.state.Graph.TargetOf(n))
		}
	}
	return say("nscope capture " + strings.Join(targets, " "))
}

// capturer is the view that shows packets.
type capturer interface{ Capture(ids []string) tea.Cmd }

// shell opens a shell in the namespace of a node.
func (m *Model) shell(id string) tea.Cmd {
	n := m.env.node(id)
	switch {
	case n == nil:
		return nil
	case m.env.cfg.Shell == nil || !m.env.state.Live:
		return complain("a shell needs the live host: these are saved snapshots")
	}
	ns, ok := m.env.state.Graph.Netns(n)
	if !ok || m.env.state.Graph.Namespace(ns) == nil {
		return complain(nodeName(n) + " has no network namespace of its own")
	}
	c, err := m.env.cfg.Shell(m.env.state.Graph.TargetOf(ns))
	if err != nil {
		return complain(err.Error())
	}
	return tea.Exec(c, func(err error) tea.Msg {
		if err != nil {
			return sayMsg{text: "the shell ended: " + err.Error(), bad: true}
		}
		return sayMsg{}
	})
}

// copy puts what other commands call a node into the clipboard, through the terminal (OSC 52).
func (m *Model) copy(id string) tea.Cmd {
	n := m.env.node(id)
	if n == nil {
		return nil
	}
	target := m.env.state.Graph.TargetOf(n)
	return tea.Batch(tea.SetClipboard(target), say("copied: "+target))
}

// timeStep goes to another snapshot of the timeline.
func (m *Model) timeStep(n int) tea.Cmd {
	tl, ok := m.env.cfg.Source.(Timeline)
	if !ok || len(tl.Steps()) < 2 {
		return complain("there is one state only: nscope --from A --from B with two snapshots of one host has a timeline")
	}
	to := clamp(m.env.state.Step+n, 0, len(tl.Steps())-1)
	if to != m.env.state.Step {
		tl.Step(to)
	}
	return nil
}
