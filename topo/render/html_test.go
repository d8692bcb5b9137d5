package render

import (
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/nscope/nscope/topo"
)

func htmlOf(t *testing.T, g *topo.Graph) string {
	t.Helper()
	return string(rendered(t, func(w io.Writer) error { return HTML(w, g, Options{}) }))
}

// Whatever the names: the page has its own two script elements, refers to nothing outside, and its data can be read.
func TestHTMLSelfContained(t *testing.T) {
	script := regexp.MustCompile(`(?is)<script.*?>`)
	outside := regexp.MustCompile(`(?i)(?:src|href|srcset|action)\s*=\s*["']?(?:https?:|//)|url\((?:["']?)(?:https?:|//)|@import`)
	policy := regexp.MustCompile(`content="(default-src[^"]*)"`)
	graphs := []*topo.Graph{small(), swarm(), {Schema: 1}}
	for seed := range uint64(30) {
		graphs = append(graphs, random(seed, 60, true))
	}
	for _, g := range graphs {
		page := htmlOf(t, g)
		if n := len(script.FindAllString(page, -1)); n != 2 {
			t.Errorf("%d script elements", n)
		}
		if m := outside.FindString(page); m != "" {
			t.Errorf("refers outside: %s", m)
		}
		m := policy.FindStringSubmatch(page)
		if m == nil || !strings.Contains(m[1], "script-src 'sha256-"+sum(pageJS)) {
			t.Errorf("policy: %v", m)
		}
		if strings.Contains(page, "{{TITLE") || strings.Contains(page, "{{DATA") {
			t.Error("a part of the page is missing")
		}
		_, rest, _ := strings.Cut(page, `<script type="application/json" id="data">`)
		text, _, _ := strings.Cut(rest, "</script>")
		var data struct {
			Nodes []topo.Node
			Edges []topo.Edge
		}
		if err := json.Unmarshal([]byte(text), &data); err != nil || len(data.Nodes) != len(g.Nodes) || len(data.Edges) != len(g.Edges) {
			t.Errorf("data: %v, %d nodes of %d", err, len(data.Nodes), len(g.Nodes))
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}
