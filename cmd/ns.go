package cmd

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

func newNS(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "ns",
		Aliases: []string{"netns"},
		Short:   "List every network namespace and who holds it",
		Long: `List every network namespace: those of processes and threads, bind mounts in
every mount namespace, open descriptors, sockets alone, and those that only a
link leads to; with role, network, holders and how many links and processes
are in each.`,
		Example: `  nscope ns
  nscope ns -o wide
  nscope ns -o json | jq '.[] | select(.role == "other")'`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return listRows(c.Context(), a, (*topo.Graph).NS, func(r topo.NSRow) string { return r.Name }, a.nsTable)
		},
	}
	a.outputFlag(c, "table", "wide", "json", "yaml", "name")
	return c
}

func (a *app) nsTable(rows []topo.NSRow) error {
	wide := a.output == "wide"
	t := render.Table{Columns: []render.Column{
		{Name: "NETNS"}, {Name: "ROLE", Rank: 1, Min: 12}, {Name: "NAME", Rank: 3, Min: 16, Short: shortTask}, {Name: "NETWORK", Rank: 2},
		{Name: "LINKS", Right: true}, {Name: "PROCS", Right: true}, {Name: "HOLDERS", Rank: 4, Min: 12},
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
