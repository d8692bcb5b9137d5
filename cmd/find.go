package cmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/topo"
)

func newFind(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "find WHAT",
		Short: "Say who is behind an interface, address, port, VNI, pid or id",
		Long: `Say, in one sentence for each hit, who is behind WHAT: an interface name, a
MAC, an IP address, a published port (8080, 53/udp), a VNI, a service's VIP, a
netns inode or path, a pid, a container's name or id (or its beginning), a
network, a service. Nothing found: exit code 1.`,
		Example: `  nscope find veth1a2b
  nscope find 10.0.1.7
  nscope find 02:42:0a:00:01:07
  nscope find 8080
  nscope find /run/docker/netns/1-gz7t7pfi85`,
		Args: oneArg("thing to look for"),
		RunE: func(c *cobra.Command, args []string) error {
			// Everything is read: what is looked for may be a socket.
			g, err := a.graph(c.Context(), "")
			if err != nil {
				return err
			}
			hits, err := g.Find(args[0])
			var missing *topo.NotFoundError
			if errors.As(err, &missing) {
				// Nothing is wrong with the question.
				return fmt.Errorf("%s", missing.Error())
			}
			if err != nil {
				return err
			}
			if ok, err := a.print(hits); ok {
				return err
			}
			for _, h := range hits {
				switch {
				case a.output == "name" && h.Node != nil:
					fmt.Fprintln(a.out, h.Node.ID)
				case a.output == "wide" && h.Node != nil:
					fmt.Fprintf(a.out, "%s\n  %s\n", oneLine(h.Sentence), h.Node.ID)
				case a.output != "name":
					fmt.Fprintln(a.out, oneLine(h.Sentence))
				}
			}
			return nil
		},
		ValidArgsFunction: a.completeTarget,
	}
	a.outputFlag(c, "table", "wide", "json", "yaml", "name")
	return c
}
