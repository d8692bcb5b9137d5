package e2e

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// The recorded hosts: real engines' snapshots, redacted. Everything that is pure must work on them anywhere.
var recorded = map[string][]string{
	"docker-modes": {"docker-modes"},
	"swarm":        {"swarm-node1", "swarm-node2"},
	"swarm-node1":  {"swarm-node1"},
	"podman":       {"podman"},
	"containerd":   {"containerd"},
	"all":          {"docker-modes", "swarm-node1", "swarm-node2", "podman", "containerd"},
}

const recordedDir = "../../fixtures/recorded"

func loadRecorded(t *testing.T, names []string) []*snapshot.Snapshot {
	t.Helper()
	var out []*snapshot.Snapshot
	for _, name := range names {
		s, err := snapshot.Load(filepath.Join(recordedDir, name+".json.zst"))
		if err != nil {
			t.Fatal(err)
		}
		if !s.Redacted {
			t.Errorf("%s is not redacted", name)
		}
		out = append(out, s)
	}
	return out
}

func TestRecordedSize(t *testing.T) {
	var total int64
	files, err := os.ReadDir(recordedDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if total > 300_000 || len(files) < 5 {
		t.Errorf("%d files of %d bytes", len(files), total)
	}
}

func TestRecorded(t *testing.T) {
	for name, files := range recorded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			snaps := loadRecorded(t, files)
			g := topo.Build(snaps...)
			checkShape(t, g)
			checkRenderers(t, g)
			checkTargets(t, g)
			checkNames(t, g)
			slices.Reverse(snaps)
			if a, b := graphJSON(t, g), graphJSON(t, topo.Build(snaps...)); a != b {
				t.Error("the order of the snapshots matters")
			}
		})
	}
}

func graphJSON(t *testing.T, g *topo.Graph) string {
	t.Helper()
	var b bytes.Buffer
	if err := render.JSON(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkShape: edges lead from node to node, links are in a namespace, every veth has its other end unless that is where
// the recorded host could not look: on the lab's switch.
func checkShape(t *testing.T, g *topo.Graph) {
	t.Helper()
	for _, gap := range g.Gaps {
		if !strings.Contains(gap.Error, "could not be told") {
			t.Errorf("gap: %+v", gap)
		}
	}
	degree := map[string]int{}
	for _, e := range g.Edges {
		if _, ok := g.Node(e.From); !ok {
			t.Errorf("from nowhere: %+v", e)
		}
		if _, ok := g.Node(e.To); !ok {
			t.Errorf("to nowhere: %+v", e)
		}
		if e.Kind == topo.EdgeVeth {
			degree[e.From]++
			degree[e.To]++
		}
	}
	for _, n := range g.Nodes {
		switch {
		case n.Kind == topo.KindLink && len(g.Out(n.ID, topo.EdgeIn)) != 1:
			t.Errorf("link %s is in %d namespaces", n.ID, len(g.Out(n.ID, topo.EdgeIn)))
		case n.Kind == topo.KindLink && n.Attrs.Type == "veth" && degree[n.ID] != 1 && !strings.Contains(n.ID, ":via-"):
			t.Errorf("veth %s (%s) is in %d pairs", n.ID, n.Name, degree[n.ID])
		case n.Kind == topo.KindContainer && len(g.Out(n.ID, topo.EdgeRunsIn)) != 1:
			t.Errorf("container %s runs in %d namespaces", n.Name, len(g.Out(n.ID, topo.EdgeRunsIn)))
		case n.Kind == topo.KindContainer && n.Attrs.Mode == "":
			t.Errorf("container %s has no mode", n.Name)
		}
	}
}

func checkRenderers(t *testing.T, g *topo.Graph) {
	t.Helper()
	for _, o := range []render.Options{{Width: 80}, {Width: 80, ASCII: true}, {Width: 40}, {Width: 1 << 16, Full: true}, {Width: 200, Wide: true, Color: true}} {
		var b bytes.Buffer
		if err := render.Tree(&b, g, o); err != nil {
			t.Errorf("tree %+v: %v", o, err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); !o.Color && n > o.Width {
				t.Errorf("%d columns in a tree of %d: %s", n, o.Width, line)
			}
			if o.ASCII && len(line) != utf8.RuneCountInString(line) {
				t.Errorf("not ASCII: %s", line)
			}
			if strings.TrimRight(line, " ") != line {
				t.Errorf("blanks at the end of %q", line)
			}
		}
	}
	for what, f := range map[string]func(io.Writer) error{
		"dot":     func(w io.Writer) error { return render.Dot(w, g) },
		"mermaid": func(w io.Writer) error { return render.Mermaid(w, g) },
		"svg":     func(w io.Writer) error { return render.SVG(w, g, render.Options{}) },
		"html":    func(w io.Writer) error { return render.HTML(w, g, render.Options{}) },
		"json":    func(w io.Writer) error { return render.JSON(w, g) },
	} {
		var b bytes.Buffer
		if err := f(&b); err != nil || b.Len() < 500 {
			t.Errorf("%s: %d bytes, %v", what, b.Len(), err)
		}
		if what == "svg" {
			d := xml.NewDecoder(&b)
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Errorf("svg: %v", err)
					break
				}
			}
		}
		if what == "json" {
			var again topo.Graph
			if err := json.Unmarshal(b.Bytes(), &again); err != nil || len(again.Nodes) != len(g.Nodes) || len(again.Edges) != len(g.Edges) {
				t.Errorf("json: %v", err)
			}
		}
	}
}

// checkTargets: what completion offers means one thing, which can be shown and cut out.
func checkTargets(t *testing.T, g *topo.Graph) {
	t.Helper()
	targets := g.Targets()
	if len(targets) < 10 {
		t.Errorf("only %q", targets)
	}
	for _, target := range targets {
		n, err := g.Resolve(target)
		if err != nil {
			t.Errorf("%s: %v", target, err)
			continue
		}
		if err := render.Show(io.Discard, g, n, render.Options{Width: 80}); err != nil {
			t.Errorf("show %s: %v", target, err)
		}
		var b bytes.Buffer
		if err := render.Tree(&b, g.Sub(n.ID), render.Options{Width: 80}); err != nil || b.Len() == 0 {
			t.Errorf("topo %s: %d bytes, %v", target, b.Len(), err)
		}
		if hits, err := g.Find(target); target != "self" && (err != nil || len(hits) == 0) {
			t.Errorf("find %s: %v", target, err)
		}
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if got, err := g.Resolve(g.TargetOf(n)); err != nil || got != n {
			t.Errorf("%s is said to be the target of %s, is %v, %v", g.TargetOf(n), n.ID, got, err)
		}
		if got, err := g.Resolve(topo.Explicit(n)); n.Kind != topo.KindContainer && n.Kind != topo.KindNetwork && (err != nil || got.Kind != n.Kind) {
			t.Errorf("%s is said to mean %s, means %v, %v", topo.Explicit(n), n.ID, got, err)
		}
	}
}

// checkNames: every MAC and address is found, and leads to the link that has it.
func checkNames(t *testing.T, g *topo.Graph) {
	t.Helper()
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind != topo.KindLink || n.Attrs.Type == "loopback" {
			continue
		}
		words := []string{n.Name}
		if n.Attrs.MAC != "" {
			words = append(words, n.Attrs.MAC)
		}
		for _, a := range n.Attrs.Addrs {
			ip, _, _ := strings.Cut(a, "/")
			words = append(words, ip)
		}
		for _, word := range words {
			hits, err := g.Find(word)
			if err != nil {
				t.Errorf("find %s: %v", word, err)
				continue
			}
			if !slices.ContainsFunc(hits, func(h topo.Hit) bool { return h.Node == n || slices.Contains(h.Related, n) }) {
				t.Errorf("find %s does not lead to %s: %+v", word, n.ID, hits)
			}
			for _, h := range hits {
				if strings.ContainsAny(h.Sentence, "\n\x1b") || strings.HasSuffix(h.Sentence, ".") || strings.Contains(h.Sentence, "  ") {
					t.Errorf("find %s: %q", word, h.Sentence)
				}
			}
		}
	}
}
