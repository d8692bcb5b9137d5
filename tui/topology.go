package tui

import (
	"slices"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// topology is the view of how everything is wired: a picture where there is room for one, else a tree. Both are made of
// items, each of which stands for a node; the cursor is on one of them.
type topology struct {
	env   *env
	graph *topo.Graph // what passes the filter
	shown int         // how many nodes pass, of all

	w, h  int
	laid  laid // what the layout was made of, and for
	fresh bool // what is laid out is of this graph and width
	drawn bool // as a picture, not as a tree
	pic   picture
	tree  treeView

	id string // the node under the cursor, whatever draws it
}

// laid is what a layout depends on beside the filter.
type laid struct {
	of   *topo.Graph
	w, h int
	wide bool
}

// sameNodes tells whether two parts of one graph have the same nodes.
func sameNodes(a, b *topo.Graph) bool {
	return slices.EqualFunc(a.Nodes, b.Nodes, func(x, y topo.Node) bool { return x.ID == y.ID })
}

// drawing is one of the two ways to show it.
type drawing interface {
	// layout places everything anew; the cursor goes to the node of the id, or to what is nearest to where it was.
	layout(g *topo.Graph, w, h int, id string)
	draw(cv canvas)
	move(to direction) (moved bool)
	selected() string
	pick(ids []string) bool
	at(x, y int) bool // puts the cursor on what is drawn there
}

// direction is where an arrow key leads.
type direction int

const (
	up direction = iota
	down
	left
	right
	pageUp
	pageDown
	first
	last
)

func newTopology(e *env) view {
	t := &topology{env: e}
	t.pic.env, t.tree.env = e, e
	return t
}

func (t *topology) drawing() drawing {
	if t.drawn {
		return &t.pic
	}
	return &t.tree
}

func (t *topology) Title() string { return "how everything is wired" }

var wireKeys = []key.Binding{
	bind("h l", "along the wire: to the bridge and the NIC, to the namespace and its container", "h", "l"),
	bind("j k", "to the next and the previous thing of its kind", "j", "k"),
}

func (t *topology) Keys() []key.Binding { return wireKeys }

func (t *topology) Selected() string {
	t.prepare() // it may be gone
	return t.id
}

func (t *topology) Select(id string) bool {
	if id == "" {
		return false
	}
	t.prepare()
	if t.fresh && t.drawing().pick(t.env.related(id)) {
		t.id = t.drawing().selected()
		return true
	}
	if t.env.node(id) != nil {
		t.id = id // it is found when there is a size
	}
	return false
}

func (t *topology) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	for d, b := range []key.Binding{up: keys.Up, down: keys.Down, left: keys.Left, right: keys.Right, pageUp: keys.PageUp, pageDown: keys.PageDown, first: keys.Top, last: keys.Bottom} {
		if is(b) {
			t.prepare()
			if t.drawing().move(direction(d)) {
				t.id = t.drawing().selected()
			}
			return nil, true
		}
	}
	return nil, false
}

func (t *topology) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case stateMsg:
		t.fresh = false
	case tea.MouseWheelMsg:
		d := up
		if msg.Button == tea.MouseWheelDown {
			d = down
		}
		if t.drawing().move(d) {
			t.id = t.drawing().selected()
		}
	case tea.MouseClickMsg:
		if t.drawing().at(msg.X, msg.Y-1) {
			t.id = t.drawing().selected()
		}
	}
	return nil
}

// prepare lays out what is not yet, for the size that was drawn last.
func (t *topology) prepare() {
	if t.fresh || t.w == 0 {
		return
	}
	g, shown := t.env.filtered()
	t.shown = shown
	now := laid{t.env.state.Graph, t.w, t.h, t.env.wide}
	if t.graph != nil && now == t.laid && sameNodes(t.graph, g) {
		t.fresh = true // another letter of a filter that lets the same pass
		return
	}
	t.graph, t.laid = g, now
	t.drawn = t.w >= render.WiringLeast
	t.drawing().layout(t.graph, t.w, t.h, t.id)
	t.fresh = true
	if s := t.drawing().selected(); s != "" || t.env.node(t.id) == nil {
		t.id = s
	}
}

func (t *topology) Draw(cv canvas) {
	info := 0
	if cv.h >= 6 {
		info = 1
	}
	if t.w != cv.w || t.h != cv.h-info {
		t.w, t.h, t.fresh = cv.w, cv.h-info, false
	}
	t.prepare()
	if len(t.env.state.Graph.Nodes) == 0 {
		cv.text(2, 1, cv.w-2, faint, "no network namespace is known")
		return
	}
	if t.shown == 0 {
		cv.text(2, 1, cv.w-2, faint, "nothing passes the filter; esc ends it")
		return
	}
	t.drawing().draw(cv.sub(0, 0, cv.w, cv.h-info))
	if info > 0 {
		t.env.drawInfo(cv.sub(0, cv.h-1, cv.w, 1), t.id)
	}
}
