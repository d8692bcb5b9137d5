package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	tea "charm.land/bubbletea/v2"
)

var update = flag.Bool("update", false, "write the pictures in testdata anew")

// sizes are those that pictures are kept of.
var sizes = [][2]int{{80, 24}, {120, 40}, {200, 60}}

// golden compares what is seen, at every size, with testdata/NAME-WxH.txt.
func (d *driver) golden(t *testing.T, name string) {
	t.Helper()
	for _, s := range sizes {
		d.send(tea.WindowSizeMsg{Width: s[0], Height: s[1]})
		got := d.frame()
		file := filepath.Join("testdata", fmt.Sprintf("%s-%dx%d.txt", name, s[0], s[1]))
		if *update {
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
}
