package tui

import (
	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo/render"
)

// help is the page of `?`, made from the keymap, the list of views and the commands.
type help struct {
	lines []helpLine
	top   int
	page  int
}

// helpLine is a heading, or what a key, view or command does.
type helpLine struct{ title, key, does string }

func newHelp(m *Model) *help {
	h := &help{}
	add := func(title string) { h.lines = append(h.lines, helpLine{title: title}) }
	add("How to find")
	for _, l := range howTo {
		h.lines = append(h.lines, helpLine{key: l.key, does: l.does})
	}
	if own := m.current().Keys(); len(own) > 0 {
		add("Here: " + m.current().Title())
		h.bindings(own)
	}
	for _, g := range keys.groups() {
		add(g.title)
		h.bindings(g.keys)
	}
	add("Views")
	for i, v := range viewList {
		h.lines = append(h.lines, helpLine{key: string(rune('1'+i)) + "  :" + v.name, does: v.what})
	}
	add("Commands")
	for _, c := range m.commands() {
		h.lines = append(h.lines, helpLine{key: ":" + c.usage(), does: c.does})
	}
	return h
}

func (h *help) bindings(list []key.Binding) {
	for _, b := range list {
		if b.Enabled() {
			h.lines = append(h.lines, helpLine{key: b.Help().Key, does: b.Help().Desc})
		}
	}
}

// howTo answers what people come with.
var howTo = []struct{ key, does string }{
	{":find veth1a2b", "which container is behind an interface, address, MAC, port, VNI, VIP, mark, pid"},
	{"1, then h and l", "walk the wires: NIC, bridge or overlay, veth, namespace, container"},
	{"5, then enter", "the members of a service behind its virtual IP"},
	{"c", "packets of the selected thing; on a vxlan link: those inside the tunnel"},
	{"space, space, p", "the path between two things"},
}

// key takes a key; it returns true for one that closes the help.
func (h *help) key(msg tea.KeyPressMsg) bool {
	last := max(len(h.lines)-h.page, 0)
	switch {
	case key.Matches(msg, keys.Down):
		h.top = min(h.top+1, last)
	case key.Matches(msg, keys.Up):
		h.top = max(h.top-1, 0)
	case key.Matches(msg, keys.PageDown), msg.String() == "space":
		h.top = min(h.top+h.page, last)
	case key.Matches(msg, keys.PageUp):
		h.top = max(h.top-h.page, 0)
	case key.Matches(msg, keys.Top):
		h.top = 0
	case key.Matches(msg, keys.Bottom):
		h.top = last
	default:
		return true
	}
	return false
}

func (h *help) draw(cv canvas) {
	h.page = max(cv.h, 1)
	h.top = clamp(h.top, 0, max(len(h.lines)-h.page, 0))
	keyWidth := 0
	for _, l := range h.lines {
		keyWidth = max(keyWidth, render.TextWidth(cv.s.opt.Clean(asciiKey(l.key, cv.s.opt.ASCII))))
	}
	keyWidth = min(keyWidth, cv.w/3)
	for y, l := range h.lines[min(h.top, len(h.lines)):] {
		if l.title != "" {
			cv.text(1, y, cv.w-1, strong, l.title)
			continue
		}
		cv.text(3, y, keyWidth, keyed, asciiKey(l.key, cv.s.opt.ASCII))
		cv.text(5+keyWidth, y, cv.w-5-keyWidth, plain, l.does)
	}
}
