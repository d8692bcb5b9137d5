package render

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// examples are the graphs of the snapshots in docs/examples, which are of real hosts.
func examples(t *testing.T) map[string]*topo.Graph {
	t.Helper()
	files, err := filepath.Glob("../../docs/examples/*.json.zst")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	graphs := map[string]*topo.Graph{}
	var nodes []*snapshot.Snapshot
	for _, f := range files {
		s, err := snapshot.Load(f)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(f), ".json.zst")
		graphs[name] = topo.Build(s)
		if name == "node1" || name == "node2" {
			nodes = append(nodes, s)
		}
	}
	graphs["node1 and node2"] = topo.Build(nodes...)
	return graphs
}

// missing is what a tree says not to be there or not to be known, each with the name of the thing.
func missing(g *topo.Graph) map[string]bool {
	said := map[string]bool{}
	var walk func([]*row)
	walk = func(rows []*row) {
		for _, r := range rows {
			line := ""
			for _, s := range append(slices.Clone(r.line), r.cells...) {
				line += s.text
			}
			for _, title := range []string{"not read", "no network", "no namespace"} {
				if strings.HasPrefix(line, title+"  ") {
					for _, k := range r.kids {
						said[title+": "+k.name] = true
					}
				}
			}
			switch {
			case strings.HasPrefix(line, "networks not in use"):
				for n := range strings.SplitSeq(strings.TrimPrefix(line, "networks not in use"), ",") {
					said["not in use: "+strings.TrimSpace(n)] = true
				}
			case strings.Contains(line, "unknown"):
				said[line] = true
			}
			walk(r.kids)
		}
	}
	walk(newTree(g, Options{Full: true, Width: -1}).build())
	return said
}

// A part of a graph lacks things because it is a part: that is not said to be the host's doing.
func TestPartSaysNothingFalse(t *testing.T) {
	graphs := examples(t)
	for name, scene := range scenes {
		if name != "many" { // as small but larger, and slow here
			graphs["scene "+name] = scene()
		}
	}
	for seed := range uint64(40) {
		graphs[fmt.Sprint("random ", seed)] = random(seed, 40, false)
	}
	for name, g := range graphs {
		full := missing(g)
		for _, n := range g.Nodes {
			for what := range missing(g.Sub(n.ID)) {
				// A random link with two peers may hang elsewhere in the whole.
				if !full[what] && !(strings.HasPrefix(name, "random") && strings.Contains(what, "unknown")) {
					t.Errorf("%s: the part around %s %q says %q, the whole does not", name, n.Kind, n.Name, what)
				}
			}
		}
	}
}

func TestPartNamesWhatIsOutside(t *testing.T) {
	g := examples(t)["node1"]
	n, err := g.Resolve("web.3")
	if err != nil {
		t.Fatal(err)
	}
	got := treeOf(t, g.Sub(n.ID), Options{})
	want := "└─ outside  their links are not shown here\n   ├─ ingress_sbox  routing mesh\n"
	if !strings.Contains(got, want) {
		t.Errorf("no %q in:\n%s", want, got)
	}
}

// What engines made comes before what only happens to be there.
func TestTreeOrder(t *testing.T) {
	got := treeOf(t, examples(t)["node1"], Options{})
	at := -1
	for _, s := range []string{"\n├─ docker_gwbridge", "\n├─ 1-o9qzj6738y", "\n├─ 1-untv4arzm6", "\n├─ via-4026535029-0", "\n└─ 4026531833"} {
		i := strings.Index(got, s)
		if i <= at {
			t.Errorf("%q is not in its place in:\n%s", s, got)
		}
		at = i
	}
	if want := "─ eth0  edge.kjkdyruhv61oqo98lcszzq2pm  10.0.1.8   (docker) 8001"; !strings.Contains(got, want) {
		t.Errorf("no %q in:\n%s", want, got)
	}
}
