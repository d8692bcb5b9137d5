package tui

import tea "charm.land/bubbletea/v2"

// place is a view with the node under its cursor.
type place struct{ view, id string }

// places is where one has been: what is before i is behind, what is after i was gone back from.
type places struct {
	list []place
	i    int
}

// most is how many places are remembered.
const most = 200

// at is where one is.
func (p *places) at() place {
	if len(p.list) == 0 {
		return place{}
	}
	return p.list[p.i]
}

// enter goes to a new place; what one had gone back from is forgotten.
func (p *places) enter(to place) {
	if len(p.list) > 0 {
		p.list = p.list[:p.i+1]
	}
	p.list = append(p.list, to)
	if len(p.list) > most {
		p.list = p.list[len(p.list)-most:]
	}
	p.i = len(p.list) - 1
}

// move goes n places back (negative) or forward; false at the end.
func (p *places) move(n int) bool {
	if p.i+n < 0 || p.i+n >= len(p.list) {
		return false
	}
	p.i += n
	return true
}

// visit opens a view on a node, and remembers where it was opened from.
func (m *Model) visit(to place) tea.Cmd {
	here := m.places.at()
	if len(m.places.list) > 0 {
		m.places.list[m.places.i].id = m.current().Selected()
	}
	if to.view == here.view && to.view != detailsName {
		m.current().Select(to.id)
		return nil
	}
	if to.view == detailsName && here.view == detailsName && m.details.id == to.id {
		return nil
	}
	m.places.enter(to)
	return m.arrive(to)
}

func (m *Model) arrive(to place) tea.Cmd {
	if i := viewIndex(m.open); i >= 0 && m.open != to.view {
		if l, ok := m.views[i].(leaver); ok {
			l.Leave()
		}
	}
	m.open = to.view
	if to.view == detailsName {
		m.details.show(to.id)
		return nil
	}
	if to.id != "" {
		m.current().Select(to.id)
	}
	if o, ok := m.current().(opener); ok {
		return o.Open()
	}
	return nil
}

// travel goes back or forward in history.
func (m *Model) travel(n int) tea.Cmd {
	m.places.list[m.places.i].id = m.current().Selected()
	if !m.places.move(n) {
		return say(map[bool]string{true: "nothing further back", false: "nothing further on"}[n < 0])
	}
	return m.arrive(m.places.at())
}

// back ends a filter or a path, or else goes back.
func (m *Model) back() tea.Cmd {
	switch {
	case m.env.filter.text != "" && m.places.at().view != detailsName && !m.ownFilter():
		m.env.filter = filter{}
		return m.tell(stateMsg{})
	case m.env.path != nil:
		m.env.path = nil
		return m.tell(stateMsg{})
	}
	if m.places.i == 0 {
		return nil
	}
	return m.travel(-1)
}

// step opens the next view, or the one before.
func (m *Model) step(n int) tea.Cmd {
	i := max(viewIndex(m.places.at().view), 0)
	return m.visit(place{view: viewList[(i+n+len(viewList))%len(viewList)].name, id: m.current().Selected()})
}
