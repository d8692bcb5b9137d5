package cmd

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
)

// completeTarget offers every name that is a target now. A shell waits for it, so it takes a second at most and keeps quiet.
func (a *app) completeTarget(c *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		if c.Name() == "exec" {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	quiet := *a
	quiet.err = io.Discard
	quiet.timeout = min(a.timeout, 500*time.Millisecond)
	g, err := quiet.graph(ctx, "", inspect.WithDepth(inspect.Topology))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, t := range g.Targets() {
		if strings.HasPrefix(t, prefix) {
			out = append(out, t)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
