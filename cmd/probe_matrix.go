package cmd

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/probe"
	"github.com/nscope/nscope/topo"
)

// mostPairs is how many pairs a matrix asks without being told to.
const mostPairs = 5000

func newMatrix(a *app) *cobra.Command {
	f := &probeFlags{}
	c := &cobra.Command{
		Use:   "matrix GROUP...",
		Short: "Everyone to everyone: who reaches whom, in one table",
		Long: `Ask from each member to each other one, by ping or with --tcp by a connection:
one table of ok, refused, filtered, no route, with the time. GROUP is net:NAME,
service:NAME, stack:NAME (a Swarm stack or Compose project), all, or containers
by name. Only containers that run on this host ask.

More than 5,000 pairs are asked only after a yes, or with --yes.`,
		Example: `  nscope probe matrix net:backend
  nscope probe matrix web db cache --tcp 5432
  nscope probe matrix stack:shop -o csv
  nscope probe matrix all --yes`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("probe matrix takes one GROUP at least\nsee: %s --help", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(a.from) > 0 {
				return usagef("probe asks on this host: it cannot be used with --from")
			}
			o, err := f.options(c)
			if err != nil {
				return err
			}
			return a.matrix(c.Context(), f, o, args)
		},
		ValidArgsFunction: a.completeProbe,
	}
	a.outputFlag(c, "text", "json", "yaml", "csv")
	addCommon(c, f, []string{"count", "timeout", "for", "family"})
	c.Flags().Uint16Var(&f.matrixTCP, "tcp", 0, "connect to this `PORT` instead of sending pings")
	c.Flags().BoolVar(&f.yes, "yes", false, "ask more than 5,000 pairs without a question")
	return c
}

func (a *app) matrix(ctx context.Context, f *probeFlags, o probe.Options, groups []string) error {
	s, err := a.setScene(ctx, inspect.Topology, false)
	if err != nil {
		return err
	}
	defer s.close()
	words := slices.Clone(groups)
	for i, w := range words {
		if n, err := s.opened(w); err != nil {
			return err
		} else if n != nil {
			words[i] = s.g.TargetOf(n)
		}
	}
	nodes, err := s.g.Group(words...)
	if err != nil {
		return s.missing(strings.Join(groups, " "), err)
	}
	if len(nodes) < 2 {
		return usagef("a matrix needs two members with a network namespace of their own, and %s has %d here", strings.Join(groups, " "), len(nodes))
	}
	if pairs := len(nodes) * (len(nodes) - 1); pairs > mostPairs && !f.yes {
		if err := a.confirm(fmt.Sprintf("%s pairs: go on?", thousands(pairs))); err != nil {
			return err
		}
	}
	members := make([]probe.Member, len(nodes))
	for i, n := range nodes {
		k, err := s.asker(ctx, n)
		if err != nil {
			return err
		}
		members[i] = probe.Member{From: k.from, To: func(asker int) probe.To { return s.member(n, nodes[asker], f.matrixTCP) }}
	}
	p := a.spinner(ctx, "probing")
	m, err := probe.Matrix(ctx, members, o, probe.MatrixOptions{TCP: f.matrixTCP, Done: func(done, all int) {
		p.say(fmt.Sprintf("%s of %s pairs, ", thousands(done), thousands(all)))
	}})
	p.end()
	if err != nil {
		return err
	}
	switch a.output {
	case "csv":
		err = m.CSV(a.out)
	case "text":
		err = a.printMatrix(m)
	default:
		_, err = a.print(m)
	}
	if err == nil && !m.OK {
		err = exitError(exitFailed)
	}
	return err
}

// member is what one member is asked at by another.
func (s *scene) member(n, asker *topo.Node, port uint16) probe.To {
	name := s.g.TargetOf(n)
	return probe.To{Asked: name, Name: name, Addrs: s.g.AddrsFor(asker, n), Port: port}
}

// confirm asks a person; where there is none the answer is no.
func (a *app) confirm(question string) error {
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || !a.isTerminal(a.err) {
		return usagef("%s there is nobody to ask: say --yes", strings.TrimSuffix(question, "go on?"))
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(io.LimitReader(in, 100)).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); err == nil && (answer == "y" || answer == "yes") {
		return nil
	}
	return exitError(exitFailed)
}

// thousands is 6,320 for 6320.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// printMatrix prints the table, as wide as the terminal is.
func (a *app) printMatrix(m *probe.MatrixResult) error {
	width := a.renderOptions().Width
	if width <= 0 {
		width = 80
	}
	var b bytes.Buffer
	m.Text(&b, width)
	_, err := fmt.Fprint(a.out, oneLine(b.String()))
	return err
}
