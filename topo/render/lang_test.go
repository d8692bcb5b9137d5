package render

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/nscope/nscope/topo"
)

// needs skips a test whose program is not there, unless everything must run.
func needs(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("NSCOPE_MUST_RUN") == "1" {
		t.Fatalf("needs %s", names[0])
	}
	t.Skipf("skip: needs %s", names[0])
	return ""
}

func dotOf(t *testing.T, g *topo.Graph) []byte {
	return rendered(t, func(w io.Writer) error { return Dot(w, g) })
}

func mermaidOf(t *testing.T, g *topo.Graph) []byte {
	return rendered(t, func(w io.Writer) error { return Mermaid(w, g) })
}

func TestDotMermaidGolden(t *testing.T) {
	golden(t, "small.dot", dotOf(t, small()))
	golden(t, "small.mmd", mermaidOf(t, small()))
	golden(t, "three.dot", dotOf(t, oneOfThree()))
	golden(t, "three.mmd", mermaidOf(t, oneOfThree()))
}

// Graphviz draws the scenes, and reads whatever names there are.
func TestDotGraphviz(t *testing.T) {
	bin := needs(t, "dot")
	run := func(in []byte, format string) string {
		cmd := exec.Command(bin, "-T"+format)
		cmd.Stdin = bytes.NewReader(in)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || strings.Contains(errs.String(), "syntax") {
			t.Fatalf("dot: %v: %s", err, errs.String())
		}
		return string(out)
	}
	for name, g := range map[string]*topo.Graph{"modes": modes(), "swarm": swarm(), "nested": nested(), "three": oneOfThree(), "small": small()} {
		out := html.UnescapeString(run(dotOf(t, g), "svg"))
		for i := range g.Nodes {
			if n := &g.Nodes[i]; n.Kind == topo.KindContainer && !strings.Contains(out, ">"+n.Name+"<") {
				t.Errorf("%s: container %s is not drawn", name, n.Name)
			}
		}
	}
	for seed := range uint64(20) {
		run(dotOf(t, random(seed, 60, true)), "canon")
	}
}

// What Mermaid may be given is little: every line is one of a few forms, blocks are closed, and an edge's ends exist.
// (Mermaid's own parser accepted the same graphs when this was written.)
func TestMermaidForm(t *testing.T) {
	quoted := `"(?:[\pL\pN .,:/@()→·…-]|#\d+;|<br/>)*"`
	subgraph := regexp.MustCompile(`^ *subgraph (\w+)\[` + quoted + `\]$`)
	box := regexp.MustCompile(`^ *(n\d+)(?:\[\[` + quoted + `\]\]|\(\[` + quoted + `\]\)|\[` + quoted + `\]|\(` + quoted + `\)|\{\{` + quoted + `\}\})(?::::(?:container|bridge|tunnel|service|link))?$`)
	edge := regexp.MustCompile(`^  (n\d+) (?:-->|---|==>|-\.->)(?:\|` + quoted + `\|)? (n\d+)$`)
	class := regexp.MustCompile(`^  classDef \w+ fill:#\w{6},stroke:#\w{6},color:#\w{6}$`)
	for seed := range uint64(80) {
		g := random(seed, 60, true)
		if seed == 0 {
			g = nested()
		}
		known := map[string]bool{}
		depth := 0
		for i, line := range strings.Split(strings.TrimSuffix(string(mermaidOf(t, g)), "\n"), "\n") {
			declare := func(id string) {
				if known[id] {
					t.Errorf("seed %d: %s is declared twice", seed, id)
				}
				known[id] = true
			}
			switch {
			case i == 0 && line == "flowchart LR", class.MatchString(line):
			case strings.TrimSpace(line) == "end":
				depth--
			case subgraph.MatchString(line):
				depth++
				declare(subgraph.FindStringSubmatch(line)[1])
			case box.MatchString(line):
				declare(box.FindStringSubmatch(line)[1])
			case edge.MatchString(line):
				m := edge.FindStringSubmatch(line)
				if !known[m[1]] || !known[m[2]] {
					t.Errorf("seed %d: %q: an end does not exist", seed, line)
				}
			default:
				t.Errorf("seed %d: line %d has no known form: %q", seed, i, line)
			}
		}
		if depth != 0 {
			t.Errorf("seed %d: %d blocks are not closed", seed, depth)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

func TestJSON(t *testing.T) {
	g := small()
	got := rendered(t, func(w io.Writer) error { return JSON(w, g) })
	golden(t, "small.json", got)
	var back topo.Graph
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	again := rendered(t, func(w io.Writer) error { return JSON(w, &back) })
	if !bytes.Equal(got, again) {
		t.Error("read and written again it differs")
	}
	if n := bytes.Count(got, []byte("\n")); n < len(g.Nodes)+len(g.Edges) {
		t.Errorf("%d lines: not one per node and edge", n)
	}
	empty := string(rendered(t, func(w io.Writer) error { return JSON(w, &topo.Graph{Schema: 1}) }))
	if strings.Contains(empty, "null") {
		t.Errorf("a list is null: %s", empty)
	}
}
