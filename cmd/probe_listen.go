package cmd

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/probe"
)

func newListen(a *app) *cobra.Command {
	f := &probeFlags{}
	kind := &probeKind{name: "listen", lines: true}
	c := &cobra.Command{
		Use:   "listen FROM",
		Short: "Listen inside a namespace: a TCP, UDP or HTTP echo",
		Long: `Listen inside FROM and answer, until ctrl-C or --for ends it: TCP and UDP send
back what comes, HTTP says who asked from where. Without a word all of --tcp and
--udp listen. Each connection is a line.`,
		Example: `  nscope probe listen db --tcp --port 5432
  nscope probe listen web --http --port 8080 --for 1m
  nscope probe listen db --bench`,
		Args: oneArg("FROM"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(a.from) > 0 {
				return usagef("probe asks on this host: it cannot be used with --from")
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			return a.listen(c.Context(), kind, f, o, args[0])
		},
		ValidArgsFunction: a.completeProbe,
	}
	a.outputFlag(c, "text", "json", "yaml")
	addCommon(c, f, []string{"count", "for", "src", "iface", "family"})
	c.Flags().Lookup("count").Usage = "end after so many `TIMES` of being asked"
	c.Flags().Lookup("src").Usage = "listen on this `ADDRESS` of FROM only"
	c.Flags().Lookup("iface").Usage = "listen on this `INTERFACE` of FROM only"
	c.Flags().BoolVar(&f.tcp, "tcp", false, "echo TCP")
	c.Flags().BoolVar(&f.udp, "udp", false, "echo UDP")
	c.Flags().BoolVar(&f.http, "http", false, "answer HTTP requests")
	c.Flags().BoolVar(&f.bench, "bench", false, "be the other end of probe bench")
	c.Flags().Uint16Var(&f.port, "port", 0, "listen on this `PORT` (default: a free one, which is said)")
	return c
}

func (a *app) listen(ctx context.Context, kind *probeKind, f *probeFlags, o probe.Options, from string) error {
	s, err := a.setScene(ctx, inspect.Topology, direct(from))
	if err != nil {
		return err
	}
	defer s.close()
	askers, group, err := s.askers(ctx, from)
	if err != nil {
		return err
	}
	if group || len(askers) != 1 {
		return usagef("probe listen takes one FROM, and %q is a group", from)
	}
	k := askers[0]
	if s.g != nil && k.node != nil {
		o.Names = &probeNames{g: s.g, from: k.node}
	}
	l := probe.ListenOptions{Port: f.port, TCP: f.tcp, UDP: f.udp, HTTP: f.http, Bench: f.bench}
	if !l.TCP && !l.UDP && !l.HTTP && !l.Bench {
		l.TCP, l.UDP = true, true
	}
	// On standard error: standard output is the result alone.
	l.Ready = func(at []string) {
		fmt.Fprintf(a.err, "listening in %s on %s\n", oneLine(k.from.Name), strings.Join(at, ", "))
	}
	kind.run = func(ctx context.Context, k job) (*probe.Result, error) { return probe.Listen(ctx, k.from, k.o, l) }
	results, err := a.runJobs(ctx, kind, []job{{probeFlags: f, from: k.from, o: o}}, true)
	if e := a.printResults(results, false); e != nil {
		return e
	}
	return verdict(results, err)
}
