package tui

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"charm.land/bubbles/v2/key"
	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// detailsName is the place of the details, which are no tab of their own; gapsID shows the gaps there.
const (
	detailsName = "details"
	gapsID      = "gaps"
)

// details is everything about one node, as `nscope show` and `nscope rules` have it, in tabs.
type details struct {
	env   *env
	id    string
	tab   string
	tabs  []tab
	text  lines
	width int

	// before are the lines of the state before, by their words, and counters by rule: what is new or moved has a mark.
	before map[string]bool
	counts map[string]uint64
	moved  map[int]string
}

// tab is a part of the page, with its lines.
type tab struct {
	name string
	list []string
}

// tabOf says in which tab a section of the page stands; what is not named here is in the first.
var tabOf = map[string][]string{
	"links":      {"LINKS", "WIRES", "ATTRIBUTES OF LINKS", "PACKETS", "QUEUES", "CLASSES", "FILTERS", "BPF PROGRAMS", "PORTS", "CHILDREN", "ADDRESSES"},
	"routes":     {"ROUTES", "RULES", "TO THE OUTSIDE"},
	"neighbours": {"NEIGHBOURS"},
	"fdb":        {"FORWARDING (FDB)"},
	"ipvs":       {"LOAD BALANCER (IPVS)", "BALANCED IN", "BALANCES", "BACKENDS", "CONNECTION TRACKING"},
	"sockets":    {"SOCKETS"},
	"dns":        {"NAME SERVER"},
	"sysctls":    {"SYSCTLS", "COUNTERS"},
	"ipsec":      {"IPSEC STATES (XFRM)", "IPSEC POLICIES"},
}

var tabOrder = []string{"overview", "links", "routes", "neighbours", "fdb", "rules", "ipvs", "sockets", "dns", "sysctls", "ipsec"}

func newDetails(e *env) *details { return &details{env: e, tab: tabOrder[0]} }

func (d *details) Title() string { return d.env.name(d.id) }

var detailKeys = []key.Binding{
	bind("tab l", "next part: links, routes, neighbours, FDB, rules, IPVS, sockets, DNS, sysctls", "tab", "l"),
	bind("shift-tab h", "the part before", "shift+tab", "h"),
	bind("w", "also what is rarely asked for: idle rules, local routes, all rows", "w"),
}

func (d *details) Keys() []key.Binding { return detailKeys }

func (d *details) Key(msg tea.KeyPressMsg) (cmd tea.Cmd, used bool) {
	is := func(b key.Binding) bool { return key.Matches(msg, b) }
	switch {
	case is(keys.Pane), is(keys.Right):
		d.turn(1)
	case is(keys.PrevPane), is(keys.Left):
		d.turn(-1)
	default:
		return nil, d.text.key(msg)
	}
	return nil, true
}

// turn opens the next tab that there is.
func (d *details) turn(n int) {
	i := slices.IndexFunc(d.tabs, func(t tab) bool { return t.name == d.tab })
	if len(d.tabs) > 0 {
		d.tab = d.tabs[(i+n+len(d.tabs))%len(d.tabs)].name
	}
	d.text.top, d.before, d.counts = 0, nil, nil
	d.fill()
}

func (d *details) Select(string) bool { return false }

func (d *details) Selected() string {
	if d.env.node(d.id) == nil {
		return ""
	}
	return d.id
}

func (d *details) Update(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case stateMsg:
		d.width = 0
	case tea.MouseWheelMsg:
		d.text.top += map[bool]int{true: 3, false: -3}[msg.Button == tea.MouseWheelDown]
	}
	return nil
}

func (d *details) show(id string) {
	if id != d.id {
		d.id, d.tab, d.before, d.counts = id, tabOrder[0], nil, nil
		d.text.top = 0
	}
	d.width = 0
}

func (d *details) Draw(cv canvas) {
	d.env.seen.Node = d.id
	if d.width != cv.w {
		d.width = cv.w
		d.split(d.page(cv.w - 2))
		d.fill()
	}
	x := 1
	for _, t := range d.tabs {
		s, st := " "+t.name+" ", plain
		if t.name == d.tab {
			s, st = "["+t.name+"]", strong|reversed
		}
		x = cv.put(x, 0, st, s)
	}
	body := cv.sub(0, 2, cv.w, cv.h-2)
	d.text.draw(body)
	for y := range body.h {
		if m := d.moved[d.text.top+y]; m != "" {
			body.put(0, y, warn, "~")
			body.right(body.w-1, y, len(m), warn, m)
		}
	}
}

// split puts the sections of a page into tabs.
func (d *details) split(page string) {
	of := map[string]string{}
	for name, heads := range tabOf {
		for _, h := range heads {
			of[h] = name
		}
	}
	parts := map[string][]string{}
	at := tabOrder[0]
	all := strings.Split(strings.TrimRight(page, "\n"), "\n")
	if n := d.env.node(d.id); n != nil && (n.Kind == topo.KindService || n.Kind == topo.KindNetwork || n.Kind == topo.KindVTEP) {
		of = nil // few enough to be seen together
	}
	for i, line := range all {
		if i > 0 && all[i-1] == "" && line != "" && line[0] != ' ' {
			if at = of[line]; at == "" {
				at = tabOrder[0]
			}
		}
		if line == "" && (i+1 == len(all) || of[all[i+1]] != at) && at != tabOrder[0] {
			continue
		}
		parts[at] = append(parts[at], line)
	}
	d.tabs = nil
	for _, name := range tabOrder {
		if list := parts[name]; len(list) > 0 || name == "rules" && d.hasRules() {
			d.tabs = append(d.tabs, tab{name, list})
		}
	}
	if !slices.ContainsFunc(d.tabs, func(t tab) bool { return t.name == d.tab }) {
		d.tab = tabOrder[0]
	}
}

// fill puts the open tab's lines into the text, and finds out what of them is new.
func (d *details) fill() {
	d.text.list = nil
	for _, t := range d.tabs {
		if t.name == d.tab {
			d.text.list = t.list
		}
	}
	if d.tab == "rules" {
		d.text.set(d.rules(d.width - 2))
	}
	d.compare()
}

// compare finds out what of the open tab is new since the state before.
func (d *details) compare() {
	now, counts := map[string]bool{}, map[string]uint64{}
	d.moved = map[int]string{}
	for i, line := range d.text.list {
		words := strings.Join(strings.Fields(line), " ")
		now[words] = true
		if d.tab == "rules" {
			if n, rest, ok := counter(line); ok {
				for counts[rest] != 0 { // the same rule twice
					rest += "'"
				}
				counts[rest] = n
				if old, ok := d.counts[rest]; ok && n > old {
					d.moved[i] = "+" + strconv.FormatUint(n-old, 10)
				}
			}
			continue
		}
		if d.before != nil && words != "" && !d.before[words] {
			d.moved[i] = " "
		}
	}
	d.before, d.counts = now, counts
}

// counter takes the packet counter off a line of rules.
func counter(line string) (n uint64, rest string, ok bool) {
	first, rest, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
	n, err := strconv.ParseUint(first, 10, 64)
	return n, rest, err == nil
}

func (d *details) hasRules() bool {
	n := d.env.node(d.id)
	if n == nil {
		return false
	}
	ns, ok := d.env.state.Graph.Netns(n)
	return ok && d.env.state.Graph.Namespace(ns) != nil
}

// rules are the rules that can touch the node's packets, those that have counted none left out but in wide output.
func (d *details) rules(w int) string {
	e := d.env
	var b strings.Builder
	list := e.state.Graph.Rules(e.node(d.id), topo.RuleOptions{Used: !e.wide})
	if err := render.Rules(&b, list, render.Options{Width: w, ASCII: e.look.ascii}); err != nil {
		return err.Error()
	}
	if strings.TrimSpace(b.String()) == "" {
		if e.wide {
			return "  no rule"
		}
		return "  none has counted a packet (w shows those too)"
	}
	return b.String()
}

// page is all that `show` has.
func (d *details) page(w int) string {
	e := d.env
	if d.id == gapsID {
		var b strings.Builder
		fmt.Fprintf(&b, "%s\n", plural(len(e.state.Graph.Gaps), "gap: what could not be read", "gaps: what could not be read"))
		for i := range e.state.Graph.Gaps {
			fmt.Fprintf(&b, "  %s\n", gapWords(&e.state.Graph.Gaps[i]))
		}
		return b.String()
	}
	n := e.node(d.id)
	if n == nil {
		return "it is gone; esc goes back\n"
	}
	var b strings.Builder
	if err := render.Show(&b, e.state.Graph, n, render.Options{Width: w, ASCII: e.look.ascii, Wide: e.wide, Full: e.wide}); err != nil {
		return err.Error()
	}
	return b.String()
}
