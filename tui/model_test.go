package tui

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/topo/render"
)

// keysFor is how long random keys are pressed at each size: NSCOPE_KEYS=60s for long.
func keysFor(t *testing.T) time.Duration {
	value := cmp.Or(os.Getenv("NSCOPE_KEYS"), "2s")
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Fatalf("NSCOPE_KEYS=%s: %v", value, err)
	}
	return d
}

// TestAnyKeyAnySize presses random keys and resizes at random, while states, counters and events come, and captures and labs are at
// work: nothing may panic, and no frame may be larger than the terminal.
func TestAnyKeyAnySize(t *testing.T) {
	names := []string{"enter", "enter", "esc", "tab", "shift+tab", "up", "down", "left", "right", "space", "backspace", "pgup", "pgdown", "home", "end", "ctrl+u", "ctrl+d"}
	for c := '!'; c <= '~'; c++ {
		if c != 'q' {
			names = append(names, string(c))
		}
	}
	var worlds []*State
	for _, w := range [][]string{{"docker-modes"}, {"swarm-node1", "swarm-node2"}, {"podman"}, {}} {
		worlds = append(worlds, stateOf(recorded(t, w...), true))
	}
	sizes := [][2]int{{80, 24}, {120, 40}, {200, 60}}
	took := keysFor(t)
	t.Chdir(t.TempDir()) // pictures may be exported
	first := seed.Of(t)
	for i, size := range sizes {
		seed := first + uint64(i)
		t.Run(fmt.Sprintf("%dx%d-seed-%d", size[0], size[1], seed), func(t *testing.T) {
			var trail []string
			defer func() {
				if p := recover(); p != nil {
					t.Fatalf("%v after %s\n%s", p, strings.Join(trail, " "), debug.Stack())
				}
			}()
			for n, end := uint64(0), time.Now().Add(took); time.Now().Before(end); n++ {
				r := rand.New(rand.NewPCG(seed, n))
				trail = trail[:0]
				cfg := Config{ASCII: r.IntN(2) == 0, NoColor: r.IntN(3) == 0}
				if r.IntN(4) > 0 {
					cfg.Labs, cfg.Capture = &fakeLabs{}, func(context.Context, Tap) (Session, error) {
						x := &fakeSession{events: make(chan *text.Event, 100), closed: make(chan struct{})}
						for range 5 {
							for _, e := range few(t) {
								x.events <- e
							}
						}
						return x, nil
					}
				}
				d := newDriver(t, size[0], size[1], cfg)
				d.patience = time.Millisecond
				if k := r.IntN(len(worlds) + 1); k < len(worlds) {
					trail = append(trail, fmt.Sprintf("(world %d)", k))
					st := *worlds[k]
					d.update(Update{State: &st})
				}
				for range 300 {
					switch what := r.IntN(40); what {
					case 0:
						w, h := r.IntN(220), r.IntN(70)
						if r.IntN(2) == 0 {
							w, h = sizes[i][0], sizes[i][1]
						}
						trail = append(trail, fmt.Sprintf("(%dx%d)", w, h))
						d.send(tea.WindowSizeMsg{Width: w, Height: h})
					case 1, 2:
						k := r.IntN(len(worlds))
						trail = append(trail, fmt.Sprintf("(world %d)", k))
						st := *worlds[k]
						u := Update{State: &st}
						if old := d.m.env.state; old.Graph != nil && what == 2 {
							u.Events = compare(old, &st, func(string) time.Time { return noon })
						}
						d.update(u)
					case 3:
						trail = append(trail, "(late)")
						select {
						case m := <-d.late:
							if m != nil {
								d.send(m)
							}
						default:
						}
					default:
						k := names[r.IntN(len(names))]
						trail = append(trail, k)
						d.send(keyPress(k))
					}
					d.said = nil
					check(t, d, trail)
				}
			}
		})
	}
}

func check(t *testing.T, d *driver, trail []string) {
	t.Helper()
	v := d.m.View()
	rows := strings.Split(stripSGR(v.Content), "\n")
	if len(rows) > max(d.m.h, 1) {
		t.Fatalf("%d rows on %dx%d after %s", len(rows), d.m.w, d.m.h, strings.Join(trail, " "))
	}
	for _, row := range rows {
		if n := render.TextWidth(row); n > d.m.w {
			t.Fatalf("a row of %d columns on %dx%d after %s:\n%s", n, d.m.w, d.m.h, strings.Join(trail, " "), row)
		}
	}
	if v.Cursor != nil && (v.Cursor.X >= max(d.m.w, 1) || v.Cursor.Y >= d.m.h) {
		t.Fatalf("the cursor is at %d,%d on %dx%d", v.Cursor.X, v.Cursor.Y, d.m.w, d.m.h)
	}
}

// stripSGR takes the style sequences out.
func stripSGR(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "\x1b[")
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		s = s[i+2:]
		s = s[strings.IndexByte(s, 'm')+1:]
	}
}
