package tui

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// TestWalkToTheTunnel walks from a container to the tunnel's other end with arrow keys alone.
func TestWalkToTheTunnel(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "node1")...)
	d.press(":find cache<enter>")
	for _, want := range []string{"cache", "eth0", "veth3", "br0", "vxlan0"} {
		if got := d.selected(); got != want {
			t.Fatalf("at %s, not %s:\n%s", got, want, d.frame())
		}
		d.press("h")
	}
	d.press("j")
	if n := d.m.env.node(d.m.current().Selected()); n == nil || n.Kind != topo.KindVTEP {
		t.Fatalf("below the vxlan there is %v, not the tunnel's end:\n%s", n, d.frame())
	}
	d.wants("tunnel end of node2")
	d.press("klll")
	if got := d.selected(); got != "eth0" {
		t.Errorf("the way back over the wires leads to %s:\n%s", got, d.frame())
	}
}

// TestWalkTheTree does the same where there is no room for a picture.
func TestWalkTheTree(t *testing.T) {
	d := newDriver(t, 80, 24, Config{}, example(t, "node1")...)
	d.press(":find cache<enter>")
	for _, want := range []string{"cache", "eth0", "veth3", "br0"} {
		if got := d.selected(); got != want {
			t.Fatalf("at %s, not %s:\n%s", got, want, d.frame())
		}
		d.press("h")
	}
	d.press("l")
	d.wants("▸br0")
}

func TestWhoIsBehindAVeth(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {120, 40}} {
		d := newDriver(t, size[0], size[1], Config{}, example(t, "node1")...)
		d.press(":find veth1307086<enter>")
		d.wants("veth1307086", "cache")
	}
}

func TestMembersOfAVIP(t *testing.T) {
	d := newDriver(t, 80, 24, Config{}, example(t, "node1")...)
	d.press("5/web<enter><enter>")
	d.wants("10.0.1.10", "web.3", "more")
	d.press("G")
	d.wants("web.1", "web.2", "web.3", "node2")
}

func TestPathBetweenMarks(t *testing.T) {
	d := newDriver(t, 160, 40, Config{}, example(t, "node1")...)
	d.press("p")
	d.wants("needs two marks")
	d.press(":find cache<enter><space>:find api.1<enter><space>p")
	d.wants("cache → eth0 → veth3 → br0 → veth2 → eth0 → api.1", "━")
	for _, id := range []string{"cache", "api.1.pd31wifvcqach2wn10v7u0ij4"} {
		if !d.m.env.path[d.nodeNamed(topo.KindContainer, id).ID] {
			t.Errorf("%s is not on the path", id)
		}
	}
	d.press("<esc>")
	d.lacks("━")
	d.press(":path cache host<enter>")
	d.wants("cache → ")
}

// TestPathsAreWires holds every path against the graph: each step is an edge, and none leads through a container.
func TestPathsAreWires(t *testing.T) {
	g := topo.Build(append(example(t, "node1", "node2"), example(t, "modes")...)...)
	found := 0
	var ends []string
	for i := range g.Nodes {
		if k := g.Nodes[i].Kind; k == topo.KindContainer || k == topo.KindService {
			ends = append(ends, g.Nodes[i].ID)
		}
	}
	for _, a := range ends {
		for _, b := range ends {
			way := wiresBetween(g, a, b)
			if way == nil {
				continue
			}
			found++
			if way[0] != a || way[len(way)-1] != b {
				t.Fatalf("from %s to %s: %v", a, b, way)
			}
			for i := 1; i < len(way); i++ {
				joined := slices.ContainsFunc(append(g.Out(way[i-1]), g.In(way[i-1])...), func(e *topo.Edge) bool { return e.From == way[i] || e.To == way[i] })
				n, _ := g.Node(way[i])
				if !joined || i < len(way)-1 && i > 1 && n.Kind == topo.KindContainer {
					t.Fatalf("step %d of the way from %s to %s: %v", i, a, b, way)
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("%d paths only", found)
	}
}

func TestFilter(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "node1")...)
	d.press("2/!web")
	d.wants("3 of 4 containers", "/!web")
	d.lacks("web.3")
	d.press("<esc>")
	d.wants("4 containers", "web.3")
	d.press("/wb3<enter>")
	d.wants("1 of 4", "web.3")
	d.press("1")
	d.wants("web.3", "vxlan0")
	d.lacks("cache")
	d.press("<esc>")
	d.wants("cache")
	d.press("/nothing-of-the-kind<enter>")
	d.wants("nothing passes the filter")
	for text, want := range map[string]bool{"": true, "web": true, "WEB": true, "!web": false, "wb3": true, "10.0": true, "!10.9": true, "web !10.0": false, "eb": true, "bw": false, "w3": true, "!": true} {
		if got := parseFilter(text).match("web-3", "10.0.0.3"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestHistory(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "node1")...)
	d.press("2jj")
	was := d.selected()
	d.press("<enter>5[")
	if d.m.places.at().view != detailsName || d.selected() != was {
		t.Errorf("back leads to %+v", d.m.places.at())
	}
	d.press("[")
	if d.selected() != was || d.m.places.at().view != "containers" {
		t.Errorf("back leads to %+v", d.m.places.at())
	}
	d.press("]]")
	d.wants("[5 services]")
	d.press("]")
	d.wants("nothing further on")
	d.press("<esc><esc><esc><esc><esc><esc>[")
	d.wants("[1 topology]", "nothing further back")
}

func TestCommands(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "node1")...)
	for line, want := range map[string]string{
		"containers": "[2 containers]", "na": "[3 namespaces]", "nonsense": "no command nonsense", "show": "usage: :show TARGET", "show cache": "container cache",
		"show nobody": "nobody", "sort mode": "no table", "find 10.99.99.99": "nothing is known", "f x": "may be",
		"export x.png": "must end in .svg", "gaps": "could not be read", "path a": "usage: :path FROM TO",
	} {
		d.press("1:" + line + "<enter>")
		if !strings.Contains(d.frame(), want) && !(line == "find 10.99.99.99" && strings.Contains(d.frame(), "10.99.99.99")) {
			t.Errorf(":%s: no %q in\n%s", line, want, d.frame())
		}
		d.press("<esc>")
	}
	d.press("1:con<tab>")
	d.wants(":containers")
	d.press("<esc>:show ca<tab>")
	d.wants(":show cache")
	d.press("<enter>:<up>")
	d.wants(":show cache")
	d.press("<esc>2:sort mode<enter>")
	d.wants("MODE▲")
	d.press(":sort mode<enter>")
	d.wants("MODE▼")
	d.press(":q<enter>")
	if !d.quit {
		t.Error(":q does not quit")
	}
}

// without is a snapshot as it would be without a container.
func without(s *snapshot.Snapshot, name string) *snapshot.Snapshot {
	c := *s
	c.Workloads, c.Namespaces = nil, nil
	var gone snapshot.NSID
	for _, w := range s.Workloads {
		if w.Name == name {
			gone = w.Namespace
			continue
		}
		c.Workloads = append(c.Workloads, w)
	}
	for _, n := range s.Namespaces {
		if n.ID != gone {
			c.Namespaces = append(c.Namespaces, n)
		}
	}
	return &c
}

// cursor is the column (of a picture, else 0) and the row of the thing under the cursor.
func (d *driver) cursor() [2]int {
	switch v := d.m.current().(type) {
	case *topology:
		if v.drawn {
			it := v.pic.items[v.pic.cur]
			return [2]int{it.col, it.y}
		}
		return [2]int{0, v.tree.row}
	case interface{ row() int }:
		return [2]int{0, v.row()}
	}
	d.t.Fatal("no such view")
	return [2]int{}
}

func (t *table) row() int { return t.cursor }

// TestGoneUnderTheCursor takes the selected thing away: the cursor goes to the one that takes its place.
func TestGoneUnderTheCursor(t *testing.T) {
	s := example(t, "node1")[0]
	for _, c := range []struct {
		view    string
		w, h    int
		towards string // what is there then
	}{{"2", 120, 40, "edge"}, {"1", 120, 40, ""}, {"1", 80, 24, ""}, {"3", 100, 30, ""}} {
		d := newDriver(t, c.w, c.h, Config{}, s)
		d.press(":find cache<enter>" + c.view)
		d.m.View()
		was := d.cursor()
		d.live(without(s, "cache"))
		got := d.m.current().Selected()
		d.m.View()
		if now := d.cursor(); abs(now[0]-was[0]) > 0 || abs(now[1]-was[1]) > 4 {
			t.Errorf("view %s at %d columns: the cursor was at %v and is at %v", c.view, c.w, was, now)
		}
		if got == "" || d.m.env.node(got) == nil || !strings.HasPrefix(d.selected(), c.towards) {
			t.Errorf("view %s at %d columns: the cursor is at %q", c.view, c.w, got)
		}
		d.wants("▸")
		d.press("<enter>")
		d.lacks("it is gone")
	}
	d := newDriver(t, 120, 40, Config{}, s)
	d.press(":show cache<enter>")
	d.live(without(s, "cache"))
	d.wants("it is gone")
	d.live(s)
	d.wants("container cache")
}

func TestGapsAreSeen(t *testing.T) {
	s := *example(t, "node1")[0]
	s.Gaps = append(slices.Clone(s.Gaps), snapshot.Gap{Reader: "netfilter", Error: "not permitted", Needs: "CAP_NET_ADMIN"})
	d := newDriver(t, 80, 24, Config{}, &s)
	d.wants("⚠1", "1 gap (:gaps) netfilter: not permitted")
	d.press(":gaps<enter>")
	d.wants("needs CAP_NET_ADMIN")
}

func TestFreeze(t *testing.T) {
	s := example(t, "node1")[0]
	d := newDriver(t, 120, 40, Config{}, s)
	d.press("2f")
	d.wants("frozen")
	d.live(without(s, "cache"))
	d.wants("cache", "4 containers")
	d.press("f")
	d.lacks("cache")
	d.wants("live")
}

// TestFindAgain: of several things of one name the same question leads to one after the other, and says so.
func TestFindAgain(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "node1", "node2")...)
	seen := map[string]bool{}
	for _, want := range []string{"1 of ", "2 of "} {
		d.press(":find vxlan0<enter>")
		d.wants(want, "(:find again: the next): vxlan0")
		seen[d.m.current().Selected()] = true
	}
	if len(seen) != 2 {
		t.Errorf("it leads to %v", seen)
	}
	d.press(":find cache<enter>")
	d.lacks("(:find again")
	d.press(":find vxlan0<enter>")
	d.wants("1 of ")
}

// TestLeftOfABridge: where a bridge has no wire to what carries its packets, left leads to a NIC or tunnel of the same host, and not to a
// line of it that stands for another host's.
func TestLeftOfABridge(t *testing.T) {
	for _, size := range [][2]int{{120, 40}, {200, 60}} {
		d := newDriver(t, size[0], size[1], Config{}, example(t, "lab-flannel-vxlan")...)
		left := 0
		for i := range d.m.env.state.Graph.Nodes {
			n := &d.m.env.state.Graph.Nodes[i]
			if n.Name != "cni0" {
				continue
			}
			d.m.current().Select(n.ID)
			d.press("h")
			to := d.m.env.node(d.m.current().Selected())
			if to == nil || to.Host != n.Host || to.Name != "flannel.1" && to.Name != "eth0" {
				t.Errorf("left of cni0 on %s is %+v\n%s", n.Host, to, d.frame())
			}
			left++
		}
		if left != 3 {
			t.Errorf("%d bridges", left)
		}
	}
}

// TestNewcomer answers, on the labs that have them, the questions that the help begins with, by what the help says.
func TestNewcomer(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "lab-flannel-vxlan")...)
	d.press("?")
	d.wants("which container is behind", "members of a service behind its virtual IP", "those inside the tunnel")
	d.press("<esc>:find vethp1<enter>")
	d.wants("vethp1  veth", "eth0 in p1")
	d.press("ll")
	if got := d.selected(); got != "p1" {
		t.Errorf("at the end of the wire is %s:\n%s", got, d.frame())
	}
	d = newDriver(t, 120, 40, Config{}, example(t, "lab-overlay")...)
	d.press(":find c1<enter>hhh")
	d.wants("br0  bridge")
	d.press("h")
	d.wants("vxlan0  vxlan", "vni 4097")
	d = newDriver(t, 80, 24, Config{}, example(t, "lab-ingress")...)
	d.press("5<enter>")
	d.wants("VIPs           10.0.0.4", "10.0.0.5  w1", "10.0.0.6  w2")
}

// TestPromptWithoutRoom: a line that is being typed outlives a terminal of any width.
func TestPromptWithoutRoom(t *testing.T) {
	d := newDriver(t, 80, 24, Config{}, example(t, "node1")...)
	d.press(":find cache")
	for w := 5; w >= 0; w-- {
		d.send(tea.WindowSizeMsg{Width: w, Height: 24})
		d.m.View()
	}
	d.send(tea.WindowSizeMsg{Width: 80, Height: 24})
	d.wants(":find cache")
}

// TestQuitWhileReading: what takes long to be read can be given up, by either key.
func TestQuitWhileReading(t *testing.T) {
	for _, k := range []string{"q", "<ctrl+c>"} {
		d := newDriver(t, 80, 24, Config{})
		d.update(Update{Progress: &Progress{"reading namespaces", 3, 1200}})
		d.wants("reading namespaces 3 of 1200")
		d.press(k)
		if !d.quit {
			t.Errorf("%s does not quit", k)
		}
	}
}

func TestErrorsAndProgress(t *testing.T) {
	d := newDriver(t, 80, 24, Config{})
	d.wants("reading")
	d.update(Update{Progress: &Progress{"reading namespaces", 3, 12}})
	d.wants("reading namespaces 3 of 12")
	d.update(Update{Err: context.DeadlineExceeded})
	d.wants("cannot read: context deadline exceeded")
	d.live(example(t, "node1")...)
	d.lacks("cannot read")
	d.update(Update{Err: context.DeadlineExceeded})
	d.wants("stale", "not read: context deadline exceeded", "docker0")
}

// TestRates holds what the tables say against counters that are known, and asks only for what is on the screen.
func TestRates(t *testing.T) {
	d := newDriver(t, 200, 20, Config{}, example(t, "node1")...)
	d.press("6")
	veth := d.nodeNamed(topo.KindLink, "veth1307086").ID
	at := func(sec int, packets, bytes, drops uint64) {
		d.update(Update{Counters: &Counters{At: noon.Add(time.Duration(sec) * time.Second), Links: map[string]snapshot.LinkStats{veth: {RxPackets: packets, TxBytes: bytes, RxDropped: drops}}}})
	}
	at(1, 100, 1000, 0)
	at(2, 350, 81000, 2)
	d.press(":sort pkt/s<enter>g")
	d.wants("250", "80k", "2.0", "█")
	if got := d.selected(); got != "veth1307086" {
		t.Errorf("the busiest link is %s", got)
	}
	if x, ok := d.m.env.rates.of([]string{veth}); !ok || x != (rate{250, 80000, 2}) {
		t.Errorf("%+v", x)
	}
	at(3, 5, 0, 0) // another link under the same id
	if _, ok := d.m.env.rates.of([]string{veth}); ok {
		t.Error("counters that went back gave a rate")
	}
	w := d.src.watched[len(d.src.watched)-1]
	if n := len(w.Links); n == 0 || n > 20 || !slices.Contains(w.Links, veth) {
		t.Errorf("%d links are watched: %v", n, w.Links)
	}
	d.press("<enter>")
	d.m.View()
	if w := d.src.watched[len(d.src.watched)-1]; len(w.Links) != 0 || w.Node != veth {
		t.Errorf("in the details %+v is watched", w)
	}
}

// TestMovedCounters marks rules that counted since the state before.
func TestMovedCounters(t *testing.T) {
	d := &details{env: newEnv(t.Context(), &Config{Source: Files()}), tab: "rules"}
	d.tabs = []tab{{"rules", nil}}
	texts := []string{"web (netns)\n        5  -A INPUT -j ACCEPT\n        7  -A INPUT -j DROP\n", "web (netns)\n        5  -A INPUT -j ACCEPT\n       19  -A INPUT -j DROP\n"}
	for i, text := range texts {
		d.text.set(text)
		d.compare()
		if want := map[int]string{}; i == 0 && len(d.moved) != len(want) {
			t.Errorf("moved at first: %v", d.moved)
		}
	}
	if len(d.moved) != 1 || d.moved[2] != "+12" {
		t.Errorf("moved: %v", d.moved)
	}
}

func TestDetailsTabs(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "node1")...)
	d.press(":show host<enter>")
	for _, want := range []string{"namespace host", "LINKS", "ROUTES", "NEIGHBOURS", "FORWARDING", "SOCKETS", "SYSCTLS"} {
		f := d.frame()
		for i := 0; i < 12 && !strings.Contains(f, want); i++ {
			d.press("<tab>")
			f = d.frame()
		}
		if !strings.Contains(f, want) {
			t.Errorf("no tab has %q", want)
		}
	}
	d.press("<shift+tab>")
	d.wants("[sockets]")
}

func TestKeysOfTheRoot(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "node1")...)
	d.press("2x")
	d.wants("a shell needs the live host")
	var asked string
	d.m.env.cfg.Shell = func(target string) (tea.ExecCommand, error) {
		asked = target
		return nil, context.Canceled
	}
	d.press("2x")
	d.wants("context canceled")
	if asked == "" {
		t.Error("no shell was asked for")
	}
	d.press("y")
	d.wants("copied: ")
	d.press("e")
	d.wants(":export node1.svg")
	d.press("<esc>c")
	d.press("?")
	d.wants("How to find", "which container is behind")
	d.press("jjG")
	d.press("x")
	d.lacks("How to find")
	d.press("1<tab><tab>")
	d.wants("[3 namespaces]")
	d.press("<shift+tab>")
	d.wants("[2 containers]")
	if v := d.m.View(); v.MouseMode != tea.MouseModeNone || !v.AltScreen {
		t.Errorf("mouse %v, alternate screen %v", v.MouseMode, v.AltScreen)
	}
	if _, cmd := d.m.Update(keyPress("ctrl+z")); cmd == nil {
		t.Error("ctrl-z does nothing")
	} else if _, ok := cmd().(tea.SuspendMsg); !ok {
		t.Error("ctrl-z does not suspend")
	}
	d.press("q")
	if !d.quit {
		t.Error("q does not quit")
	}
}

// TestKeymapIsTheHelp: every binding is in the groups that help and documentation are made of, and no two have one key.
func TestKeymapIsTheHelp(t *testing.T) {
	seen := map[string]string{}
	n := 0
	for _, g := range keys.groups() {
		for _, b := range g.keys {
			n++
			for _, k := range b.Keys() {
				if seen[k] != "" {
					t.Errorf("%s is %q and %q", k, seen[k], b.Help().Desc)
				}
				seen[k] = b.Help().Desc
			}
		}
	}
	for _, k := range strings.Fields("/ : ? enter esc tab h j k l up down left right g G [ ] space c x y e f w p q ctrl+z") {
		if seen[k] == "" {
			t.Errorf("no key %s", k)
		}
	}
	if n != 30 {
		t.Errorf("%d keys are in the help, a new one belongs there too", n)
	}
}

func TestRulesInDetails(t *testing.T) {
	d := newDriver(t, 120, 40, Config{}, example(t, "rules-publish")...)
	d.press(":show nscope-lab-host<enter>")
	for i := 0; i < 12 && !strings.Contains(d.frame(), "[rules]"); i++ {
		d.press("<tab>")
	}
	d.press("w")
	d.wants("[rules]", "PREROUTING", "-j ")
}
