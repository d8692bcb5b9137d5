package cmd

import (
	"fmt"
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
	hosts := severalHosts(rows, func(r topo.PSRow) string { return r.Host })
	head := []string{"NAME", "ENGINE", "MODE", "PID", "NETNS", "ADDRESSES", "WIRES"}
	wide := a.output == "wide"
	if wide {
		head = append(head, "STATE", "IMAGE", "PORTS", "NETWORKS", "POD")
	}
	if hosts {
		head = append([]string{"HOST"}, head...)
	}
	var table [][]string
	for _, r := range rows {
		row := []string{r.Name, dash(r.Engine), dash(r.Mode), number(r.PID), inode(r.Netns), dash(strings.Join(r.Addresses, ",")), dash(strings.Join(r.Wires, ", "))}
		if wide {
			row = append(row, dash(r.State), dash(r.Image), dash(strings.Join(r.Ports, ",")), dash(strings.Join(r.Networks, ",")), dash(r.Pod))
		}
		if hosts {
			row = append([]string{dash(r.Host)}, row...)
		}
		table = append(table, row)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.err, "nscope: no container and no other process with a network namespace of its own (nscope ns lists all namespaces)")
	}
	return a.table(head, table, wide)
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
	hosts := severalHosts(rows, func(r topo.NSRow) string { return r.Host })
	head := []string{"NETNS", "ROLE", "NAME", "NETWORK", "LINKS", "PROCS", "HOLDERS"}
	wide := a.output == "wide"
	if wide {
		head = append(head, "CONTAINERS", "COOKIE")
	}
	if hosts {
		head = append([]string{"HOST"}, head...)
	}
	var table [][]string
	for _, r := range rows {
		row := []string{inode(r.Inode), r.Role, r.Name, dash(r.Network), strconv.Itoa(r.Links), strconv.Itoa(r.Procs), dash(r.Holders)}
		if wide {
			cookie := "-"
			if r.Cookie != 0 {
				cookie = strconv.FormatUint(r.Cookie, 10)
			}
			row = append(row, dash(strings.Join(r.Containers, ",")), cookie)
		}
		if hosts {
			row = append([]string{dash(r.Host)}, row...)
		}
		table = append(table, row)
	}
	return a.table(head, table, wide)
}

// table writes a table as wide as the terminal, or with all it has where wide.
func (a *app) table(head []string, rows [][]string, wide bool) error {
	o := a.renderOptions()
	o.Wide = wide
	return render.WriteTable(a.out, head, rows, o)
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
