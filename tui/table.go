package tui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo/render"
)

// column is one column of a table.
type column struct {
	name  string
	right bool
	wide  bool // shown with w only
	// rank says which columns give way first where the terminal is narrow: the highest; least is the width that stays.
	rank, least int
	// live is the cell of what changes without a new state, drawn for the rows on the screen only; number is what such a column
	// is sorted by.
	live   func(e *env, r *tableRow) (string, style)
	number func(e *env, r *tableRow) float64
}

// tableRow is one row.
type tableRow struct {
	id    string
	group string // the host, where there are several
	cells []string
	style style
	links []string // whose counters are its rates
}

// table is a view of rows: containers, namespaces, networks, services, links.
type table struct {
	env     *env
	what    [2]string // one, many
	columns []column
	fill    func(*env) []tableRow // all rows, sorted as they are without a sort

	all    []tableRow // as fill made them of the state below; a new one is taken when it is looked at
	of     *State
	wide   bool
	stale  bool       // the filter may be another one
	rows   []tableRow // those that pass it
	total  int
	cursor int
	top    int
	page   int
	left   int // columns scrolled away
	sort   int // column, -1 for the order of fill
	desc   bool
	lastID string
}

func newTable(e *env, one, many string, columns []column, fill func(*env) []tableRow) *table {
	return &table{env: e, what: [2]string{one, many}, columns: columns, fill: fill, sort: -1, page: 1}
}

var (
	sortKey    = bind("s", "sort by the next column; S the other way round", "s")
	reverseKey = bind("S", "sort the other way round", "S")
)

func (t *table) Keys() []key.Binding { return []key.Binding{sortKey, reverseKey} }

func (t *table) Title() string {
	t.prepare()
	s := plural(len(t.rows), t.what[0], t.what[1])
	if len(t.rows) != t.total {
		s = fmt.Sprintf("%d of %s", len(t.rows), plural(t.total, t.what[0], t.what[1]))
	}
	return s
}

func (t *table) Selected() string {
	t.prepare()
	if t.cursor < len(t.rows) {
		return t.rows[t.cursor].id
	}
	return ""
}

func (t *table) Select(id string) bool {
	t.prepare()
	for _, id := range t.env.related(id) {
		if i := slices.IndexFunc(t.rows, func(r tableRow) bool { return r.id == id }); i >= 0 {
			t.cursor, t.lastID = i, id
			return true
		}
	}
	return false
}

func (t *table) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.MouseWheelMsg:
		t.moveTo(t.cursor + map[bool]int{true: 3, false: -3}[msg.Button == tea.MouseWheelDown])
	case tea.MouseClickMsg:
		if row := msg.Y - 3; row >= 0 && t.top+row < len(t.rows) { // below the views' names, the title and the headings
			t.moveTo(t.top + row)
		}
	case stateMsg:
		t.stale = true
	case countersMsg:
		if t.sort >= 0 && t.columns[t.sort].number != nil && !t.stale {
			t.order()
		}
	}
	return nil
}

// refresh makes the rows anew, for what has others without a new state.
func (t *table) refresh() {
	t.of = nil
	t.prepare()
}

// prepare takes over a new state or filter, when the table is looked at. The cursor stays on its row; where that is gone, on the
// one that took its place.
func (t *table) prepare() {
	if !t.stale && t.of != nil {
		return
	}
	if t.of != t.env.state || t.wide != t.env.wide {
		t.all = t.fill(t.env)
		t.of, t.wide = t.env.state, t.env.wide
	}
	t.stale = false
	t.total = len(t.all)
	t.rows = t.rows[:0]
	for _, r := range t.all {
		if t.env.filter.match(r.cells[0], append(slices.Clone(r.cells[1:]), t.env.hostWord(r.group))...) {
			t.rows = append(t.rows, r)
		}
	}
	t.order()
}

// order sorts the rows and finds the cursor's again.
func (t *table) order() {
	if t.sort >= 0 {
		c := t.columns[t.sort]
		slices.SortStableFunc(t.rows, func(a, b tableRow) int {
			var d int
			if c.number != nil {
				d = cmp.Compare(c.number(t.env, &b), c.number(t.env, &a)) // the busiest first
			} else {
				x, y := a.cells[t.sort], b.cells[t.sort]
				if d = render.Natural(x, y); (x == "") != (y == "") {
					d = len(y) - len(x) // nothing comes last
				}
			}
			if t.desc {
				d = -d
			}
			return cmp.Or(strings.Compare(a.group, b.group), d)
		})
	}
	if i := slices.IndexFunc(t.rows, func(r tableRow) bool { return r.id == t.lastID }); i >= 0 {
		t.cursor = i
	}
	t.moveTo(t.cursor)
}

func (t *table) moveTo(i int) {
	if t.cursor = clamp(i, 0, max(len(t.rows)-1, 0)); len(t.rows) > 0 {
		t.lastID = t.rows[t.cursor].id
	}
}

func (t *table) Key(msg tea.KeyPressMsg) (tea.Cmd, bool) {
	t.prepare()
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	switch {
	case is(keys.Up):
		t.moveTo(t.cursor - 1)
	case is(keys.Down):
		t.moveTo(t.cursor + 1)
	case is(keys.PageUp):
		t.moveTo(t.cursor - t.page)
	case is(keys.PageDown):
		t.moveTo(t.cursor + t.page)
	case is(keys.Top):
		t.moveTo(0)
	case is(keys.Bottom):
		t.moveTo(len(t.rows) - 1)
	case is(keys.Left):
		t.left = max(t.left-1, 0)
	case is(keys.Right):
		t.left = min(t.left+1, max(len(t.shown())-2, 0))
	case is(sortKey):
		shown := t.shown()
		i := slices.Index(shown, t.sort) + 1
		t.sort, t.desc = -1, false
		if i < len(shown) {
			t.sort = shown[i]
		}
		t.stale = true
		t.prepare()
	case is(reverseKey):
		t.desc = !t.desc
		t.sort = max(t.sort, 0)
		t.order()
	default:
		return nil, false
	}
	return nil, true
}

// columnNames are those of the columns, as `:sort` takes them.
func (t *table) columnNames() []string {
	var names []string
	for _, c := range t.columns {
		names = append(names, strings.ToLower(strings.ReplaceAll(c.name, " ", "-")))
	}
	return names
}

func (t *table) sortBy(name string) bool {
	i := slices.Index(t.columnNames(), strings.ToLower(name))
	if i < 0 {
		return false
	}
	t.prepare()
	t.desc = t.sort == i && !t.desc
	t.sort = i
	t.order()
	return true
}

// shown are the indexes of the columns that are not for wide output alone.
func (t *table) shown() []int {
	var list []int
	for i, c := range t.columns {
		if !c.wide || t.env.wide {
			list = append(list, i)
		}
	}
	return list
}
