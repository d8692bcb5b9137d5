package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

func newShow(a *app) *cobra.Command {
	var ascii bool
	c := &cobra.Command{
		Use:   "show TARGET",
		Short: "Show everything about one container, namespace, link or network",
		Long: `Show everything that nscope knows about one thing: for a container or namespace
its links, addresses, routes, rules, neighbours, FDB, sockets, sysctls, IPsec
states, qdiscs and counters; for a link what its other end is; for a network or
service who takes part.`,
		Example: `  nscope show web
  nscope show if:veth1a2b
  nscope show net:backend -o json
  nscope show self`,
		Args: oneArg("TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			g, err := a.graph(c.Context(), args[0])
			if err != nil {
				return err
			}
			n, err := g.Resolve(args[0])
			if err != nil {
				return err
			}
			if ok, err := a.print(details(g, n)); ok {
				return err
			}
			if a.output == "name" {
				fmt.Fprintln(a.out, n.ID)
				return nil
			}
			o := a.renderOptions()
			o.ASCII, o.Wide = ascii, a.output == "wide"
			return render.Show(a.out, g, n, o)
		},
		ValidArgsFunction: a.completeTarget,
	}
	a.outputFlag(c, "table", "wide", "json", "yaml", "name")
	c.Flags().BoolVar(&ascii, "ascii", false, "draw with ASCII only")
	return c
}

// detail is `show -o json`: the node, its edges, and the raw data of the snapshot behind it.
type detail struct {
	Node      *topo.Node   `json:"node"`
	Edges     []*topo.Edge `json:"edges"`
	Namespace any          `json:"namespace,omitempty"`
	Link      any          `json:"link,omitempty"`
	Workload  any          `json:"workload,omitempty"`
	Network   any          `json:"network,omitempty"`
	Service   any          `json:"service,omitempty"`
}

func details(g *topo.Graph, n *topo.Node) detail {
	d := detail{Node: n, Edges: append(append([]*topo.Edge{}, g.Out(n.ID)...), g.In(n.ID)...)}
	// Each only where there is one: a nil pointer in an interface would be printed as null.
	if ns, ok := g.Netns(n); ok && n.Kind != topo.KindLink {
		if raw := g.Namespace(ns); raw != nil {
			d.Namespace = raw
		}
	}
	if raw := g.Link(n); raw != nil {
		d.Link = raw
	}
	if raw := g.Workload(n); raw != nil {
		d.Workload = raw
	}
	if raw := g.Network(n); raw != nil {
		d.Network = raw
	}
	if raw := g.Service(n); raw != nil {
		d.Service = raw
	}
	return d
}
