package render

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/nscope/nscope/topo"
)

var scenes = map[string]func() *topo.Graph{
	"modes": modes, "swarm": swarm, "three": oneOfThree, "nested": nested, "small": small,
	"many": func() *topo.Graph { return many(500) },
}

func TestTreeGolden(t *testing.T) {
	for name, scene := range scenes {
		t.Run(name, func(t *testing.T) {
			g := scene()
			got := treeOf(t, g, Options{})
			checkWidth(t, got, 80)
			golden(t, "tree-"+name+".txt", []byte(got))

			ascii := treeOf(t, g, Options{ASCII: true})
			checkASCII(t, ascii)
			checkWidth(t, ascii, 80)
			if name == "modes" || name == "three" {
				golden(t, "tree-"+name+"-ascii.txt", []byte(ascii))
				wide := treeOf(t, g, Options{Wide: true, Width: 140})
				checkWidth(t, wide, 140)
				golden(t, "tree-"+name+"-wide.txt", []byte(wide))
			}
		})
	}
}

// Colour adds nothing but colour.
func TestTreeColor(t *testing.T) {
	sgr := regexp.MustCompile("\x1b\\[[0-9;]*m")
	for name, scene := range scenes {
		colored := treeOf(t, scene(), Options{Color: true})
		if !sgr.MatchString(colored) {
			t.Errorf("%s: no colour", name)
		}
		if got, want := sgr.ReplaceAllString(colored, ""), treeOf(t, scene(), Options{}); got != want {
			t.Errorf("%s: colour changes the text", name)
		}
	}
}

func TestTreeFolding(t *testing.T) {
	g := many(500)
	folded := treeOf(t, g, Options{})
	if n := strings.Count(folded, "\n"); n > 60 {
		t.Errorf("500 containers folded take %d lines", n)
	}
	if !strings.Contains(folded, "… 192 more (nscope topo net:monitoring)") {
		t.Errorf("no count or hint in:\n%s", folded)
	}
	full := treeOf(t, g, Options{Full: true})
	if n := strings.Count(full, "\n"); n < 600 {
		t.Errorf("500 containers unfolded take only %d lines", n)
	}
	// A dozen is not folded, one more is.
	for n, want := range map[int]bool{12: false, 13: true} {
		s := newScene("h")
		host := s.netns("h", topo.RoleHost, "host")
		br := s.link(host, "br-x y", "bridge")
		for i := range n {
			ns := s.netns("h", topo.RoleContainer, fmt.Sprint("c", i))
			s.veth(host, fmt.Sprint("veth", i), br, ns, "eth0")
			s.container(ns, "docker", fmt.Sprint("c", i), topo.NodeAttrs{})
		}
		got := treeOf(t, s.graph(), Options{})
		if strings.Contains(got, " more") != want {
			t.Errorf("%d members: folded is not %v:\n%s", n, want, got)
		}
		if strings.Contains(got, "nscope topo") {
			t.Errorf("a hint that a shell would split:\n%s", got)
		}
	}
}

// Whatever the graph, nothing is lost: every namespace is there by its own name or that of a container in it, every
// container by its name, and each has one place.
func TestTreeLosesNothing(t *testing.T) {
	for seed := range uint64(300) {
		g := random(seed, 5+int(seed)%120, seed%3 == 0)
		ix := newIndex(g)
		tr := newTree(g, Options{Full: true, Width: -1})
		tr.build()
		got := treeOf(t, g, Options{Full: true, Width: -1})
		for _, n := range g.Nodes {
			name := clean(nameOf(&n), false)
			switch n.Kind {
			case topo.KindContainer:
				if !strings.Contains(got, name) {
					t.Errorf("seed %d: container %q is lost", seed, name)
				}
			case topo.KindNetns:
				if !tr.placed[n.ID] {
					t.Errorf("seed %d: namespace %q has no place", seed, name)
				}
				if isHome(&n) && n.Host != "" || len(ix.containers[n.ID]) > 0 {
					continue
				}
				if !strings.Contains(got, name) {
					t.Errorf("seed %d: namespace %q (%s) is lost", seed, name, n.Attrs.Role)
				}
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, got)
		}
	}
}

func TestTreeFits(t *testing.T) {
	for seed := range uint64(120) {
		g := random(seed, 5+int(seed)%100, true)
		for _, w := range []int{1, 2, 7, 20, 40, 80, 133} {
			got := treeOf(t, g, Options{Width: w})
			checkWidth(t, got, w)
			ascii := treeOf(t, g, Options{Width: w, ASCII: true, Wide: true})
			checkWidth(t, ascii, w)
			checkASCII(t, ascii)
			if strings.ContainsAny(got, "\x1b\u009b\u202e\r\t") {
				t.Fatalf("seed %d: control characters reach the terminal", seed)
			}
			if t.Failed() {
				t.Fatalf("seed %d, width %d", seed, w)
			}
		}
	}
}

func TestTreeSameBytes(t *testing.T) {
	for seed := range uint64(20) {
		a, b := treeOf(t, random(seed, 80, false), Options{}), treeOf(t, random(seed, 80, false), Options{})
		if a != b {
			t.Fatalf("seed %d: two renderings differ", seed)
		}
	}
	if got := treeOf(t, &topo.Graph{}, Options{}); got != "" {
		t.Errorf("an empty graph gives %q", got)
	}
}

func TestTable(t *testing.T) {
	rows := [][]string{{"web", "docker", "172.17.0.2", "eth0 - veth1a2b@docker0"}, {"a-name-that-is-rather-long", "podman", "10.0.0.1", ""}, {"x\x1b[2J"}}
	head := []string{"NAME", "ENGINE", "ADDRESS", "WIRE"}
	var b bytes.Buffer
	if err := WriteTable(&b, head, rows, Options{Width: 60}); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", b.Bytes())
	for w := 1; w < 90; w++ {
		var b bytes.Buffer
		if err := WriteTable(&b, head, rows, Options{Width: w, ASCII: w%2 == 0}); err != nil {
			t.Fatal(err)
		}
		checkWidth(t, b.String(), w)
	}
	b.Reset()
	tab := Table{Columns: []Column{{Name: "N", Right: true}, {Name: "WHAT", Wide: true}, {Name: "ID"}}, Rows: [][]string{{"7", "secret", "x"}, {"1234", "s", "y"}}, Indent: "  "}
	if err := tab.Write(&b, Options{Width: -1}); err != nil {
		t.Fatal(err)
	}
	if got, want := b.String(), "     N  ID\n     7  x\n  1234  y\n"; got != want {
		t.Errorf("table: %q, want %q", got, want)
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{"web": "web", "a\x1b[0m": `a\x1b[0m`, "a\u202eb": `a\u202eb`, "\xff": `\xff`, "日本": "日本"} {
		if got := clean(in, false); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := clean("日😀", true); got != `\u65e5\U0001f600` {
		t.Errorf("ASCII: %q", got)
	}
	if got := (Options{}).truncateMiddle("web.2.s2sqhzr4du4qnfyi7qbimai4k", 20); got != "web.2.s2sqhzr…bimai4k" && textWidth(got) != 20 {
		t.Errorf("middle: %q", got)
	}
	for _, p := range [][2]string{{"web-2", "web-10"}, {"a", "b"}, {"a1b", "a1c"}, {"x", "x1"}} {
		if natural(p[0], p[1]) >= 0 || natural(p[1], p[0]) <= 0 || natural(p[0], p[0]) != 0 {
			t.Errorf("natural order of %q", p)
		}
	}
}
