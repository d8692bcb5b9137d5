package tui

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/topo/render"
)

// TestAnyKeyAnySize presses random keys and resizes at random: nothing may panic, and no frame may be larger than the
// terminal.
func TestAnyKeyAnySize(t *testing.T) {
	names := []string{"enter", "esc", "tab", "shift+tab", "up", "down", "left", "right", "space", "backspace", "pgup", "pgdown", "home", "end", "ctrl+u", "ctrl+d"}
	for c := '!'; c <= '~'; c++ {
		if c != 'q' {
			names = append(names, string(c))
		}
	}
	worlds := [][]string{{"docker-modes"}, {"swarm-node1", "swarm-node2"}, {"podman"}, {}}
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			d := newDriver(t, 80, 24, Config{ASCII: seed%2 == 1, NoColor: seed%3 == 1}, recorded(t, worlds[seed%4]...)...)
			var trail []string
			defer func() {
				if p := recover(); p != nil {
					t.Fatalf("seed %d: %v after %s", seed, p, strings.Join(trail, " "))
				}
			}()
			for range 250 {
				switch n := r.IntN(30); {
				case n == 0:
					w, h := r.IntN(220), r.IntN(70)
					trail = append(trail, fmt.Sprintf("(%dx%d)", w, h))
					d.m.Update(tea.WindowSizeMsg{Width: w, Height: h})
				case n == 1:
					world := worlds[r.IntN(4)]
					trail = append(trail, fmt.Sprint(world))
					d.m.Update(sourceMsg{Update{State: stateOf(recorded(t, world...), true)}, true})
				default:
					k := names[r.IntN(len(names))]
					trail = append(trail, k)
					d.pressOnly(k)
				}
				check(t, d, trail)
			}
		})
	}
}

// pressOnly presses a key and runs none of what it asks for but messages that are there at once.
func (d *driver) pressOnly(k string) {
	_, cmd := d.m.Update(keyPress(k))
	if cmd == nil || d.m.prompt.open() {
		return
	}
	switch m := cmd().(type) {
	case openMsg, gotoMsg, sayMsg, captureMsg:
		d.m.Update(m)
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
