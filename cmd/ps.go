package cmd

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

func newPS(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "ps",
		Short: "List containers, pods and bare namespaces with their wires",
		Long: `List every running container and pod of every engine, and every network
namespace that has a process but no container: name, engine, network mode, pid,
netns, addresses, and what each interface hangs on: eth0 → veth1a2b@docker0.`,
		Example: `  nscope ps
  nscope ps -o wide
  nscope ps -o json | jq -r '.[] | select(.mode == "host") | .name'
  nscope --from web1.json.zst ps`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return listRows(c.Context(), a, (*topo.Graph).PS, func(r topo.PSRow) string { return r.Name }, a.psTable)
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
