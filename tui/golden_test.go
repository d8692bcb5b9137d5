package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// updating tells whether -update was given, a flag of teatest's, to write the pictures in testdata anew.
func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

// sizes are those that pictures are kept of.
var sizes = [][2]int{{80, 24}, {120, 40}, {200, 60}}

// golden compares what is seen, at every size, with testdata/NAME-WxH.txt.
func (d *driver) golden(t *testing.T, name string) {
	t.Helper()
	for _, s := range sizes {
		d.send(tea.WindowSizeMsg{Width: s[0], Height: s[1]})
		got := d.frame()
		keep(t, fmt.Sprintf("%s-%dx%d", name, s[0], s[1]), got)
	}
}

// keep compares a frame with testdata/NAME.txt.
func keep(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if updating() {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (go test ./tui -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s is another (go test ./tui -update writes it anew)\ngot:\n%swant:\n%s", file, got, want)
	}
}

func TestFrames(t *testing.T) {
	for _, c := range []struct {
		name, world, keys string
		ascii             bool
		sizes             []string
	}{
		{"topology", "node1", "", false, []string{"80x24", "120x40", "200x60"}},
		{"topology-ascii", "node1", "", true, []string{"80x24", "120x40"}},
		{"modes", "modes", "", false, []string{"120x40", "200x60"}},
		{"containers", "node1", "2", false, []string{"80x24", "120x40"}},
		{"containers-wide", "node1", "2w", false, []string{"200x60"}},
		{"namespaces", "node1", "3", false, []string{"80x24"}},
		{"networks", "node1", "4", false, []string{"80x24"}},
		{"services", "node1", "5", false, []string{"120x40"}},
		{"links", "node1", "6", false, []string{"120x40"}},
		{"details", "node1", "2<enter>", false, []string{"80x24"}},
		{"help", "node1", "?", false, []string{"80x24", "120x40"}},
		{"filter", "node1", "/web !1<enter>", false, []string{"120x40"}},
		{"command", "node1", ":con", false, []string{"80x24"}},
		{"empty", "", "", false, []string{"80x24"}},
	} {
		for _, size := range c.sizes {
			t.Run(c.name+"-"+size, func(t *testing.T) {
				var w, h int
				if _, err := fmt.Sscanf(size, "%dx%d", &w, &h); err != nil {
					t.Fatal(err)
				}
				d := newDriver(t, w, h, Config{ASCII: c.ascii, NoColor: true})
				if c.world != "" {
					d.live(example(t, c.world)...)
				}
				d.press(c.keys)
				f := d.frame()
				if c.ascii {
					for i := range len(f) {
						if f[i] >= 0x80 {
							t.Fatalf("not ASCII at %q", f[max(0, i-20):i+3])
						}
					}
				}
				if v := d.m.View(); strings.Contains(v.Content, "\x1b[3") || strings.Contains(v.Content, ";3") {
					t.Error("a colour without colours")
				}
				if c.name != "topology" {
					_, f, _ = strings.Cut(f, "\n") // the names of all views stand in one picture: a new one is no change of the others
				}
				keep(t, c.name+"-"+size, f)
			})
		}
	}
}
