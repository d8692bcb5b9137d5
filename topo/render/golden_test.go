package render

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/topo"
)

var update = flag.Bool("update", false, "write what is rendered to testdata")

// golden compares what was rendered with testdata/name.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); d != "" {
		t.Errorf("%s (-want +got), -update writes it anew:\n%s", path, d)
	}
}

// rendered runs a renderer into memory.
func rendered(t *testing.T, f func(io.Writer) error) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func treeOf(t *testing.T, g *topo.Graph, o Options) string {
	t.Helper()
	return string(rendered(t, func(w io.Writer) error { return Tree(w, g, o) }))
}

// checkWidth fails for every line that takes more than w columns.
func checkWidth(t *testing.T, text string, w int) {
	t.Helper()
	for i, line := range strings.Split(text, "\n") {
		if n := textWidth(line); n > w {
			t.Errorf("line %d takes %d columns, not %d: %q", i+1, n, w, line)
		}
	}
}

func checkASCII(t *testing.T, text string) {
	t.Helper()
	for i := range len(text) {
		if c := text[i]; c >= 0x7f || c < 0x20 && c != '\n' {
			t.Fatalf("byte %#x at %d of ASCII output: %q", c, i, text[max(0, i-40):i+1])
		}
	}
}
