package tui

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo/render"
)

// draw draws the whole frame: the tabs, the open view (or the help), a line for what there is to say, and the hints.
func (m *Model) draw() {
	m.scr.reset(m.w, m.h, m.env.cfg.ASCII)
	cv := m.scr.all()
	m.env.seen = Watch{}
	if cv.h == 0 {
		return
	}
	m.drawTabs(cv.sub(0, 0, cv.w, 1))
	body := cv.sub(0, 1, cv.w, cv.h-3)
	switch {
	case m.help != nil:
		m.help.draw(body)
	case m.loading && m.places.at().view != "lab":
		m.drawLoading(body)
	default:
		m.current().Draw(body)
	}
	if cv.h >= 2 {
		m.drawLine(cv.sub(0, cv.h-2, cv.w, 1))
	}
	if cv.h >= 3 {
		m.drawHints(cv.sub(0, cv.h-1, cv.w, 1))
	}
	m.tellWatch()
}

// drawTabs draws the names of the views, as long as there is room for, and whether it is live.
func (m *Model) drawTabs(cv canvas) {
	right, st := m.stateWords()
	room := cv.w - render.TextWidth(right) - 3
	tabs := func(name func(viewEntry) string) (list []string, width int) {
		for i, v := range viewList {
			s := " " + strconv.Itoa(i+1) + " " + name(v) + " "
			list, width = append(list, s), width+render.TextWidth(s)
		}
		return list, width
	}
	list, width := tabs(func(v viewEntry) string { return v.name })
	at := viewIndex(m.places.at().view)
	if width > room {
		list, width = tabs(func(v viewEntry) string { return v.short })
	}
	for i := len(list) - 1; width > room && i >= 0; i-- { // then the numbers of the last ones have to do
		if i != at {
			width -= render.TextWidth(list[i]) - 3
			list[i] = fmt.Sprintf(" %d ", i+1)
		}
	}
	x := 0
	for i, s := range list {
		w := render.TextWidth(s)
		if x+w > cv.w {
			break
		}
		st := plain
		if i == at {
			st = strong | reversed
			s = strings.TrimSuffix(strings.Replace(s, " ", "[", 1), " ") + "]"
		}
		x = cv.put(x, 0, st, s)
	}
	if w := render.TextWidth(right); x+w+1 <= cv.w {
		cv.put(cv.w-w-1, 0, st, right)
	}
}

// stateWords say of when what is seen is.
func (m *Model) stateWords() (string, style) {
	l, st := m.env.look, m.env.state
	at := st.At.Format("15:04:05")
	if tl, ok := m.env.cfg.Source.(Timeline); ok && len(tl.Steps()) > 1 {
		at = fmt.Sprintf("%d/%d %s", st.Step+1, len(tl.Steps()), st.At.Format("2006-01-02 15:04:05"))
	} else if !st.Live && !st.At.IsZero() {
		at = st.At.Format("2006-01-02 15:04")
	}
	gaps := ""
	if n := len(st.Graph.Gaps); n > 0 {
		gaps = fmt.Sprintf("%s%d ", l.gap, n)
	}
	switch {
	case m.loading:
		return "reading", warn
	case m.env.frozen:
		return gaps + l.frozen + " frozen " + at, warn
	case m.err != nil:
		return gaps + l.gap + " stale " + at, bad
	case st.Live:
		return gaps + l.live + " live " + at, good
	}
	return gaps + "file " + at, plain
}

func (m *Model) drawLoading(cv canvas) {
	text := "reading"
	switch p := m.progress; {
	case m.err != nil:
		cv.text(2, 1, cv.w-4, bad, "cannot read: "+oneLine(m.err.Error()))
		return
	case p != nil && p.Total > 0:
		text = fmt.Sprintf("%s %d of %d", p.What, p.Done, p.Total)
	case p != nil:
		text = p.What
	}
	cv.text(2, 1, cv.w-4, plain, text+" "+m.env.look.dots)
	cv.text(2, 2, cv.w-4, faint, "q ends it")
}

// drawLine draws what there is to say: the prompt, an answer, an error, the filter, or the gaps.
func (m *Model) drawLine(cv canvas) {
	l := m.env.look
	st := m.env.state
	switch {
	case m.prompt.open():
		m.prompt.draw(cv)
	case m.line.text != "":
		s := plain
		if m.line.bad {
			s = bad
		}
		cv.text(1, 0, cv.w-1, s, oneLine(m.line.text))
	case m.err != nil:
		cv.text(1, 0, cv.w-1, bad, "not read: "+oneLine(m.err.Error()))
	case m.progress != nil && m.progress.Total > 0 && !m.loading:
		cv.text(1, 0, cv.w-1, faint, fmt.Sprintf("%s %d of %d", m.progress.What, m.progress.Done, m.progress.Total))
	case m.env.filter.text != "" && !m.ownFilter():
		x := cv.put(1, 0, keyed, "/"+m.env.filter.text)
		cv.text(x+2, 0, cv.w-x-2, faint, "esc ends the filter")
	case len(st.Gone) > 0:
		cv.text(1, 0, cv.w-1, warn, "gone: "+strings.Join(st.Gone, ", "))
	case len(st.Graph.Gaps) > 0:
		g := st.Graph.Gaps[0]
		x := cv.put(1, 0, warn, fmt.Sprintf("%s %s (:gaps)", l.gap, plural(len(st.Graph.Gaps), "gap", "gaps")))
		cv.text(x+1, 0, cv.w-x-1, faint, gapWords(&g))
	}
}

// ownFilter tells whether the open view has a filter of its own: that of the others means nothing there.
func (m *Model) ownFilter() bool {
	_, own := m.current().(typist)
	return own
}

// drawHints draws the keys that are of use most, and the marks.
func (m *Model) drawHints(cv canvas) {
	hints := []struct{ key, does string }{{"?", "help"}, {"/", "filter"}, {":", "command"}, {"enter", "open"}, {"esc", "back"}, {"tab", "next"},
		{"space", "mark"}, {"p", "path"}, {"c", "capture"}, {"x", "shell"}, {"w", "wide"}, {"f", "freeze"}, {"y", "copy"}, {"e", "export"}, {"q", "quit"}}
	if m.help != nil {
		hints = hints[:0]
		hints = append(hints, struct{ key, does string }{"j k", "scroll"}, struct{ key, does string }{"any other key", "closes the help"})
	}
	marks := ""
	if n := len(m.env.marks); n > 0 {
		var names []string
		for _, id := range m.env.marks {
			names = append(names, m.env.name(id))
		}
		marks = m.env.look.mark + " " + strings.Join(names, " "+m.env.look.mark+" ")
		marks = cv.s.opt.Cut(cv.s.opt.Clean(marks), cv.w/2)
	}
	room := cv.w - render.TextWidth(marks) - 1
	x := 1
	for _, h := range hints {
		if x+len(h.key)+1+len(h.does) > room {
			break
		}
		x = cv.put(x, 0, keyed, h.key)
		x = cv.put(x+1, 0, faint, h.does) + 2
	}
	cv.put(cv.w-render.TextWidth(marks)-1, 0, lit, marks)
}

// tellWatch tells the source what is on the screen, where that changed.
func (m *Model) tellWatch() {
	w := m.env.seen
	w.Links = sortedSet(w.Links)
	if !sameWatch(w, m.watched) {
		m.watched = w
		m.env.cfg.Source.Watch(w)
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
