package cmd

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// listRows reads the topology and prints the rows that one of the graph's lists has, as data, names or table.
func listRows[T any](ctx context.Context, a *app, list func(*topo.Graph) []T, name func(T) string, table func([]T) error) error {
	g, err := a.graph(ctx, "", inspect.WithDepth(inspect.Topology))
	if err != nil {
		return err
	}
	rows := list(g)
	if ok, err := a.print(rows); ok {
		return err
	}
	if a.output == "name" {
		for _, r := range rows {
			fmt.Fprintln(a.out, name(r))
		}
		return nil
	}
	return table(rows)
}

// table writes a table as wide as the terminal, or all of it, nothing cut, where wide.
func (a *app) table(t render.Table, wide bool) error {
	o := a.renderOptions()
	if o.Wide = wide; wide {
		o.Width = unlimited
	}
	return t.Write(a.out, o)
}

func severalHosts[T any](rows []T, host func(T) string) bool {
	for _, r := range rows {
		if host(r) != host(rows[0]) {
			return true
		}
	}
	return false
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func number(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
}

func inode(n uint64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatUint(n, 10)
}
