package cmd

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

func newPS(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "ps",
		Short: "List containers, pods and bare namespaces with their wires",
		Long: `List every running container and pod of every engine, and every network namespace
that has a process but no container: name, engine, network mode, pid, netns,
addresses, and what each interface hangs on: eth0 → veth1a2b@docker0.`,
		Example: `  nscope ps
  nscope ps -o wide
  nscope ps -o json | jq -r '.[] | select(.mode == "host") | .name'
  nscope --from web1.json.zst ps`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			g, err := a.graph(c.Context(), "", inspect.WithDepth(inspect.Topology))
			if err != nil {
				return err
			}
			rows := g.PS()
			if ok, err := a.print(rows); ok {
				return err
			}
			if a.output == "name" {
				for _, r := range rows {
					fmt.Fprintln(a.out, r.Name)
				}
				return nil
			}
			return a.psTable(rows)
		},
	}
	a.outputFlag(c, "table", "wide", "json", "yaml", "name")
	return c
}

func (a *app) psTable(rows []topo.PSRow) error {
	wide := a.output == "wide"
	t := render.Table{Columns: []render.Column{
		{Name: "NAME", Rank: 3, Min: 12, Short: shortTask}, {Name: "ENGINE", Rank: 4}, {Name: "MODE", Rank: 1}, {Name: "PID", Right: true},
		{Name: "NETNS"}, {Name: "ADDRESSES", Rank: 2, Short: firstOf}, {Name: "WIRES", Rank: 5, Below: true},
		{Name: "STATE", Wide: true}, {Name: "IMAGE", Wide: true}, {Name: "PORTS", Wide: true}, {Name: "NETWORKS", Wide: true}, {Name: "POD", Wide: true},
	}}
	for _, r := range rows {
		t.Rows = append(t.Rows, []string{
			r.Name, dash(r.Engine), dash(r.Mode), number(r.PID), inode(r.Netns), dash(strings.Join(r.Addresses, ",")), dash(strings.Join(r.Wires, ", ")),
			dash(r.State), dash(r.Image), dash(strings.Join(r.Ports, ",")), dash(strings.Join(r.Networks, ",")), dash(r.Pod),
		})
	}
	if severalHosts(rows, func(r topo.PSRow) string { return r.Host }) {
		for _, r := range rows {
			t.Groups = append(t.Groups, r.Host)
		}
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.err, "nscope: no container and no other process with a network namespace of its own (nscope ns lists all namespaces)")
	}
	return a.table(t, wide)
}

// taskName is a Swarm task's container: service, slot or node, task id.
var taskName = regexp.MustCompile(`^(.+\.(?:[0-9]+|[0-9a-z]{25}))\.[0-9a-z]{25}$`)

func shortTask(name string) string { return taskName.ReplaceAllString(name, "$1") }

func firstOf(list string) string {
	first, rest, more := strings.Cut(list, ",")
	if !more {
		return list
	}
	return fmt.Sprintf("%s +%d", first, strings.Count(rest, ",")+1)
}

func newNS(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "ns",
		Aliases: []string{"netns"},
		Short:   "List every network namespace and who holds it",
		Long: `List every network namespace: those of processes and threads, bind mounts in every
mount namespace, open descriptors, sockets alone, and those that only a link leads
to; with role, network, holders and how many links and processes are in each.`,
		Example: `  nscope ns
  nscope ns -o wide
  nscope ns -o json | jq '.[] | select(.role == "other")'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			g, err := a.graph(c.Context(), "", inspect.WithDepth(inspect.Topology))
			if err != nil {
				return err
			}
			rows := g.NS()
			if ok, err := a.print(rows); ok {
				return err
			}
			if a.output == "name" {
				for _, r := range rows {
					fmt.Fprintln(a.out, r.Name)
				}
				return nil
			}
			return a.nsTable(rows)
		},
	}
	a.outputFlag(c, "table", "wide", "json", "yaml", "name")
	return c
}

func (a *app) nsTable(rows []topo.NSRow) error {
	wide := a.output == "wide"
	t := render.Table{Columns: []render.Column{
		{Name: "NETNS"}, {Name: "ROLE", Rank: 1, Min: 12}, {Name: "NAME", Rank: 3, Min: 12, Short: shortTask}, {Name: "NETWORK", Rank: 2},
		{Name: "LINKS", Right: true}, {Name: "PROCS", Right: true}, {Name: "HOLDERS", Rank: 4, Min: 16},
		{Name: "CONTAINERS", Wide: true}, {Name: "COOKIE", Wide: true},
	}}
	for _, r := range rows {
		cookie := "-"
		if r.Cookie != 0 {
			cookie = strconv.FormatUint(r.Cookie, 10)
		}
		t.Rows = append(t.Rows, []string{
			inode(r.Inode), r.Role, r.Name, dash(r.Network), strconv.Itoa(r.Links), strconv.Itoa(r.Procs), dash(r.Holders),
			dash(strings.Join(r.Containers, ",")), cookie,
		})
	}
	if severalHosts(rows, func(r topo.NSRow) string { return r.Host }) {
		for _, r := range rows {
			t.Groups = append(t.Groups, r.Host)
		}
	}
	return a.table(t, wide)
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
