package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/topo/render"
)

func newTopo(a *app) *cobra.Command {
	var ascii, full, matrix bool
	var port string
	c := &cobra.Command{
		Use:   "topo [TARGET]",
		Short: "Show how everything is wired, as a tree or a picture",
		Long: `Show how NICs, bridges, overlays, veth pairs, macvlans, namespaces and
containers are wired together; with TARGET only what belongs to it. Large
groups are folded and counted: name one as TARGET, or use --full. A relation
that only an engine claims and the kernel does not prove is marked so. Devices
that the kernel made by itself and nobody uses (gre0, sit0, bond0 ...) are left
out of the tree and of pictures, but for -v and -o wide.

With --matrix: which network may talk to which, to the host and to the
outside, found by evaluating rules, routes and bridges for the first packet of
a connection to a port that nothing publishes (or --port): yes, no, nat (with
another source address) or unknown; -v and -o json name the rule that decided.
Networks that nothing which was read carries are named below.`,
		Example: `  nscope topo
  nscope topo net:backend
  nscope topo --matrix
  nscope topo --matrix --port 53/udp
  nscope topo -o html > host.html
  nscope topo -o svg web > web.svg
  nscope --from web1.json.zst --from web2.json.zst topo`,
		Args: atMostOneArg("TARGET"),
		RunE: func(c *cobra.Command, args []string) error {
			target, asked := "", ""
			if len(args) == 1 {
				target = args[0]
			}
			if matrix {
				return a.netMatrix(c.Context(), target, port)
			}
			if port != "" {
				return usagef("--port goes with --matrix")
			}
			g, err := a.graph(c.Context(), target, inspect.WithDepth(inspect.Topology))
			if err != nil {
				return err
			}
			if target != "" {
				n, err := g.Resolve(target)
				if err != nil {
					return err
				}
				g, asked = g.Sub(n.ID), n.ID
			}
			o := a.renderOptions()
			o.ASCII, o.Full = ascii, full || target != ""
			switch a.output {
			case "json":
				return render.JSON(a.out, g)
			case "yaml":
				return writeYAML(a.out, g)
			case "name":
				for i := range g.Nodes {
					fmt.Fprintln(a.out, g.Nodes[i].ID)
				}
				return nil
			}
			if a.output != "wide" && !a.verbose {
				g = g.Quiet(asked)
			}
			switch a.output {
			case "dot":
				return render.Dot(a.out, g)
			case "mermaid":
				return render.Mermaid(a.out, g)
			case "svg":
				return render.SVG(a.out, g, o)
			case "html":
				return render.HTML(a.out, g, o)
			}
			o.Wide = a.output == "wide"
			return render.Tree(a.out, g, o)
		},
		ValidArgsFunction: a.completeTarget,
	}
	a.outputFlag(c, "tree", "table", "wide", "dot", "mermaid", "svg", "html", "json", "yaml", "name")
	c.Flags().BoolVar(&ascii, "ascii", false, "draw with ASCII only")
	c.Flags().BoolVar(&matrix, "matrix", false, "show which network may talk to which")
	c.Flags().StringVar(&port, "port", "", "with --matrix, try packets to this `PORT[/PROTOCOL]`: 80, 53/udp, or icmp")
	c.Flags().BoolVar(&full, "full", false, "do not fold large groups")
	return c
}
