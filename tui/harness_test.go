package tui

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// driver runs a model without a terminal: messages in, frames out. Commands are run at once, but those that wait.
type driver struct {
	t    testing.TB
	m    *Model
	src  *fakeSource
	quit bool
	said []tea.Msg
	late chan tea.Msg // what came of commands that waited
	// patience is how long a command may take that is not one of those.
	patience time.Duration
}

// fakeSource delivers what a test gives it.
type fakeSource struct {
	watched []Watch
	ch      chan Update
}

func (s *fakeSource) Start(context.Context) <-chan Update { return s.ch }
func (s *fakeSource) Watch(w Watch)                       { s.watched = append(s.watched, w) }

// noon is the time in every test.
var noon = time.Date(2026, 3, 1, 12, 3, 4, 0, time.UTC)

func newDriver(t testing.TB, w, h int, cfg Config, snaps ...*snapshot.Snapshot) *driver {
	t.Helper()
	d := &driver{t: t, src: &fakeSource{ch: make(chan Update)}, late: make(chan tea.Msg, 100), patience: 50 * time.Millisecond}
	if cfg.Source == nil {
		cfg.Source = d.src
	}
	d.m = New(t.Context(), cfg)
	d.m.env.now = func() time.Time { return noon }
	d.m.Init()
	d.send(tea.WindowSizeMsg{Width: w, Height: h})
	if len(snaps) > 0 {
		d.live(snaps...)
	}
	return d
}

func (d *driver) update(u Update) { d.send(sourceMsg{u, true}) }

// live shows snapshots as the live host's.
func (d *driver) live(snaps ...*snapshot.Snapshot) {
	st := stateOf(snaps, true)
	st.At = noon
	d.update(Update{State: st})
}

// send gives the model a message and runs what it asks for, and that again, but what waits for the source.
func (d *driver) send(msg tea.Msg) {
	d.said = append(d.said, msg)
	_, cmd := d.m.Update(msg)
	if _, ok := msg.(sourceMsg); ok {
		// The wait for the next update is left out: the test delivers it.
		d.run(cmd, true)
		return
	}
	d.run(cmd, false)
}

func (d *driver) run(cmd tea.Cmd, skipLast bool) {
	if cmd == nil {
		return
	}
	msg := make(chan tea.Msg, 1)
	go func() { msg <- cmd() }()
	select {
	case m := <-msg:
		switch m := m.(type) {
		case nil:
		case tea.BatchMsg:
			for i, c := range m {
				if skipLast && i == len(m)-1 {
					break
				}
				d.run(c, false)
			}
		case tea.QuitMsg:
			d.quit = true
		default:
			if _, own := m.(sourceMsg); !own {
				d.send(m)
			}
		}
	case <-time.After(d.patience): // it waits for something: a blink, the source
		go func() { d.late <- <-msg }()
	}
}

// press presses keys, as [Shot] has them. Between two of them there is a frame, as there is for people.
func (d *driver) press(keys string) {
	for _, k := range keyPresses(keys) {
		d.m.View()
		d.send(k)
	}
}

// frame is what is seen, without styles.
func (d *driver) frame() string {
	d.m.View()
	return d.m.scr.plain()
}

// wants checks that the frame has all texts.
func (d *driver) wants(texts ...string) {
	d.t.Helper()
	f := d.frame()
	for _, s := range texts {
		if !strings.Contains(f, s) {
			d.t.Fatalf("the frame has no %q:\n%s", s, f)
		}
	}
}

// lacks checks that the frame has none of the texts.
func (d *driver) lacks(texts ...string) {
	d.t.Helper()
	f := d.frame()
	for _, s := range texts {
		if strings.Contains(f, s) {
			d.t.Fatalf("the frame has %q:\n%s", s, f)
		}
	}
}

// selected is the name of the node under the cursor.
func (d *driver) selected() string {
	d.m.View()
	return d.m.env.name(d.m.current().Selected())
}

// recorded loads snapshots of real hosts, example those of the documentation.
func recorded(t testing.TB, names ...string) []*snapshot.Snapshot {
	t.Helper()
	return load(t, filepath.Join("..", "fixtures", "recorded"), names...)
}

func example(t testing.TB, names ...string) []*snapshot.Snapshot {
	t.Helper()
	return load(t, filepath.Join("..", "docs", "examples"), names...)
}

func load(t testing.TB, dir string, names ...string) (out []*snapshot.Snapshot) {
	t.Helper()
	for _, name := range names {
		s, err := snapshot.Load(filepath.Join(dir, name+".json.zst"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// nodeNamed finds a node of a kind by its name.
func (d *driver) nodeNamed(kind topo.Kind, name string) *topo.Node {
	d.t.Helper()
	for i := range d.m.env.state.Graph.Nodes {
		if n := &d.m.env.state.Graph.Nodes[i]; n.Kind == kind && n.Name == name {
			return n
		}
	}
	d.t.Fatalf("no %s %s", kind, name)
	return nil
}
