package cmd

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/topo"
)

// completeTarget offers every name that is a target now. A shell waits for it, so it takes a second at most and keeps quiet.
func (a *app) completeTarget(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		if c.Name() == "exec" {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	g := a.completionGraph()
	if g == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return withPrefix(g.Targets(), prefix), cobra.ShellCompDirectiveNoFileComp
}

// completionGraph is the graph for a shell that waits: within a second, and quiet. It is nil where there is none.
func (a *app) completionGraph() *topo.Graph {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	quiet := *a
	quiet.err = io.Discard
	quiet.timeout = min(a.timeout, 500*time.Millisecond)
	g, err := quiet.graph(ctx, "", inspect.WithDepth(inspect.Topology))
	if err != nil {
		return nil
	}
	return g
}

func withPrefix(words []string, prefix string) (out []string) {
	for _, w := range words {
		if strings.HasPrefix(w, prefix) {
			out = append(out, w)
		}
	}
	return out
}

// completeProbe offers FROM, TO or a matrix's groups: every target, and the words that mean several.
func (a *app) completeProbe(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if c.Name() == "listen" && len(args) > 0 || c.Name() != "matrix" && len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	g := a.completionGraph()
	if g == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	words := g.Targets()
	if c.Name() != "listen" && (c.Name() == "matrix" || len(args) == 0) {
		words = append(words, "all")
		for _, s := range g.Stacks() {
			words = append(words, "stack:"+s)
		}
		for i := range g.Nodes {
			switch n := &g.Nodes[i]; n.Kind {
			case topo.KindNetwork:
				words = append(words, "net:"+n.Name)
			case topo.KindService:
				words = append(words, "service:"+n.Name)
			}
		}
		slices.Sort(words)
		words = slices.Compact(words)
	}
	return withPrefix(words, prefix), cobra.ShellCompDirectiveNoFileComp
}
