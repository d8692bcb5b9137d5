package cmd

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/topo/render"
)

func newLab(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "lab",
		Short: "Make, test and take away network modes, with or without an engine",
		Long: `Make a network mode as Docker, flannel or CNI would lay it out, in namespaces of
its own and with no engine; prove by traffic that it works; take it away. "Is it
my host, or my Docker?"

A lab touches none of the host's links, rules and sysctls. Its namespaces are
called nscope-<lab>-<name> under /run/netns, so that ip netns works on them.

With --engine docker, or an engine's URL, that engine makes the lab, and the same
checks are made: the host's, or the Docker's? Then the engine writes its bridges,
rules and sysctls on its own machine, as for any container.`,
		Example: `  nscope lab modes              what there is
  nscope lab up bridge          make one
  nscope lab test bridge        make it, prove it, take it away
  nscope lab up bridge --dry-run  the commands that make it by hand
  nscope lab test bridge --engine docker  the same, made by Docker
  nscope lab down --all`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newLabModes(a), newLabUp(a), newLabList(a), newLabTest(a), newLabBreak(a), newLabRepair(a), newLabFaults(a), newLabDown(a))
	return c
}

func newLabModes(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "modes", Short: "List the network modes", Args: noArgs,
		Example: "  nscope lab modes\n  nscope lab modes -o json",
		RunE: func(*cobra.Command, []string) error {
			rows := []fixtures.Info{}
			for _, m := range fixtures.Modes() {
				rows = append(rows, m.Info())
			}
			if ok, err := a.print(rows); ok {
				return err
			}
			for _, r := range rows {
				if a.output == "name" {
					fmt.Fprintln(a.out, r.Name)
					continue
				}
				needs := ""
				if len(r.Needs) > 0 {
					needs = " (needs " + strings.Join(r.Needs, ", ") + ")"
				}
				a.entry(r.Name, r.Summary+needs)
			}
			return nil
		},
	}
	a.outputFlag(c, "table", "json", "yaml", "name")
	return c
}

// mode finds a mode by its name.
func mode(name string) (fixtures.Mode, error) {
	m, ok := fixtures.ModeByName(name)
	if !ok {
		return nil, usagef("there is no network mode %q (nscope lab modes lists them)", name)
	}
	return m, nil
}

func completeMode(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, m := range fixtures.Modes() {
		if i := m.Info(); !slices.Contains(args, i.Name) {
			out = append(out, i.Name+"\t"+i.Summary)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func completeLab(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	labs, _ := fixtures.List()
	var out []string
	for _, l := range labs {
		if !slices.Contains(args, l.Name) {
			out = append(out, l.Name+"\t"+l.Mode)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func newLabUp(a *app) *cobra.Command {
	var name string
	var dry bool
	c := &cobra.Command{
		Use: "up MODE", Short: "Make a lab of a network mode", Args: oneArg("MODE"),
		Long: `Make a lab of a network mode. It stays until "nscope lab down".

--dry-run makes nothing and prints the commands that make the same by hand.

--engine docker lets the engine make it that DOCKER_HOST names, or else the one at
the usual socket; --engine URL another one. Containers and networks are called
nscope-<lab>-<name>, have the label nscope.lab=<lab>, and run nscope itself: an
image with nothing else in it is loaded, no registry is asked. A container in the
engine's own namespace stands for the machine, another at the end of a veth pair
for what is outside.`,
		Example: `  nscope lab up bridge
  nscope lab up bridge --name mine
  nscope lab up bridge --dry-run
  nscope lab up user-bridge --engine docker
  nscope lab up publish --engine unix:///run/user/1000/docker.sock`,
		ValidArgsFunction: completeFirst(completeMode),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := mode(args[0])
			if err != nil {
				return err
			}
			if name == "" {
				name = m.Info().Name
			}
			if err := fixtures.CheckName(name); err != nil {
				return &usageError{err}
			}
			e, err := a.labEngine(c.Context())
			if err != nil {
				return err
			}
			if e != nil {
				defer e.Close()
				if dry {
					return usagef("--dry-run prints what a lab without an engine is made of: leave out --engine")
				}
				s, err := fixtures.UpOn(c.Context(), e, m, name)
				if err != nil {
					return err
				}
				return a.tellEngineLab(s)
			}
			if dry {
				for _, line := range fixtures.NewPlan(m, name).Commands() {
					fmt.Fprintln(a.out, line)
				}
				return nil
			}
			s, err := fixtures.Up(c.Context(), m, name)
			if err != nil {
				return err
			}
			return a.tellLab(s)
		},
	}
	c.Flags().StringVar(&name, "name", "", "the lab's `NAME`; default: the mode's")
	c.Flags().BoolVar(&dry, "dry-run", false, "print the commands that make it by hand, and make nothing")
	return c
}

// completeFirst completes only the first argument.
func completeFirst(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(c, args, s)
	}
}

// tellLab says what was made and what to try.
func (a *app) tellLab(s *fixtures.State) error {
	fmt.Fprintf(a.out, "lab %s (%s) is up:\n", s.Name, s.Mode)
	t := render.Table{Indent: "  ", Columns: []render.Column{{Name: "NAME"}, {Name: "NETNS"}, {Name: "ROLE"}, {Name: "PID", Right: true}}}
	var first string
	for _, x := range s.Spaces {
		if first == "" && x.Role == fixtures.RoleContainer {
			first = x.Full
		}
		t.Rows = append(t.Rows, []string{x.Name, x.Full, x.Role, number(x.Holder.PID)})
	}
	if err := a.table(t, false); err != nil {
		return err
	}
	if first == "" {
		first = s.Spaces[0].Full
	}
	fmt.Fprintf(a.out, "try:\n  nscope topo %s\n  nscope exec %s -- ip route\n  nscope lab down %s\n", first, first, s.Name)
	return nil
}

func newLabList(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "list", Aliases: []string{"ls"}, Short: "List the labs that are up", Args: noArgs,
		Long: `List the labs that are up: those without an engine, those that engines made, and
whatever bears a lab's label at the usual Docker engine or at the one of --engine.`,
		Example: "  nscope lab list\n  nscope lab list -o json\n  nscope lab list --engine unix:///run/docker.sock",
		RunE: func(c *cobra.Command, _ []string) error {
			labs, err := a.labs(c.Context())
			if err != nil {
				return err
			}
			if ok, err := a.print(labs); ok {
				return err
			}
			t := render.Table{Columns: []render.Column{{Name: "LAB"}, {Name: "MODE"}, {Name: "STATE"}, {Name: "MADE"}, {Name: "ENGINE", Rank: 1}, {Name: "NAMESPACES", Rank: 2, Below: true}}}
			for _, s := range labs {
				if a.output == "name" {
					fmt.Fprintln(a.out, s.Name)
					continue
				}
				var names []string
				for _, x := range s.Spaces {
					names = append(names, x.Name)
				}
				t.Rows = append(t.Rows, []string{s.Name, s.Mode, s.Condition(), s.Made.Local().Format("15:04:05"), s.Engine, strings.Join(names, ", ")})
			}
			if a.output == "name" {
				return nil
			}
			return a.table(t, false)
		},
	}
	a.outputFlag(c, "table", "json", "yaml", "name")
	return c
}

func newLabDown(a *app) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "down LAB... | --all", Short: "Take labs away, also what a killed nscope left",
		Long: `Take labs away, also what a killed nscope left. What an engine made goes by its
labels: containers, networks, services and the image that was loaded for them.
Engines are those of the labs, the usual Docker engine, or the one of --engine.`,
		Example:           "  nscope lab down bridge\n  nscope lab down --all\n  nscope lab down --all --engine docker",
		ValidArgsFunction: completeLab,
		Args: func(c *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usagef("lab down takes the names of labs, or --all\nsee: %s --help", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if all {
				names, err := a.downAll(c.Context())
				for _, n := range names {
					fmt.Fprintf(a.out, "lab %s is gone\n", n)
				}
				return err
			}
			for _, n := range args {
				if err := a.downLab(c.Context(), n); err != nil {
					return err
				}
				fmt.Fprintf(a.out, "lab %s is gone\n", n)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&all, "all", false, "every lab, and whatever bears a lab's name")
	return c
}

// newInside is how nscope runs itself in a container that an engine made.
func newInside(a *app) *cobra.Command {
	return &cobra.Command{
		Use: fixtures.InsideCommand, Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return fixtures.Inside(c.Context(), args[0], a.out) },
	}
}

// newKeeper and newHolder are how nscope runs itself: as the keeper of a lab and as the process of a lab's container.
func newKeeper(*app) *cobra.Command {
	return &cobra.Command{
		Use: fixtures.KeeperCommand, Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := mode(args[0])
			if err != nil {
				return err
			}
			return fixtures.Keep(c.Context(), m, args[1], os.Stdin, os.Stdout)
		},
	}
}

func newHolder(*app) *cobra.Command {
	return &cobra.Command{
		Use: fixtures.HolderCommand, Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return fixtures.Hold(c.Context(), args[0], args[1], os.Stdin, os.Stdout)
		},
	}
}

func newService(*app) *cobra.Command {
	return &cobra.Command{
		Use: fixtures.ServiceCommand, Hidden: true, Args: cobra.MinimumNArgs(3),
		RunE: func(_ *cobra.Command, args []string) error { return fixtures.Service(args[0], args[1:]) },
	}
}
