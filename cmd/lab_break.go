package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/faults"
)

func newLabBreak(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "break LAB FAULT", Short: "Break a lab as hosts break, and prove the symptom",
		Long: `Break a lab that is up in one of the ways in which container networking breaks on
real hosts: prove that it is healthy, inject the fault, prove that what must fail
does and that nothing else does. A lab has one fault at a time. The exit code is 1
when the symptom is not as it must be.`,
		Example: `  nscope lab up bridge
  nscope lab faults bridge
  nscope lab break bridge masquerade-missing
  nscope lab repair bridge`,
		ValidArgsFunction: completeBreak,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("lab break takes LAB FAULT, got %s\nsee: %s --help", countArgs(len(args)), c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			f, ok := faults.Get(args[1])
			if !ok {
				return usagef("there is no fault %q (nscope lab faults lists them)", args[1])
			}
			r, err := fixtures.Break(c.Context(), args[0], args[1])
			if errors.Is(err, fixtures.ErrCannotCarry) {
				return &usageError{err}
			}
			if err != nil {
				return err
			}
			return a.tellFault(r, fmt.Sprintf("lab %s is broken: %s", r.Lab, f.Symptom), func() {
				fmt.Fprintf(a.out, "why: %s\nproof: %s\nput it right: nscope lab repair %s\n", f.Cause, f.Proof, r.Lab)
			})
		},
	}
	a.outputFlag(c, "text", "json", "yaml")
	return c
}

func countArgs(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

func completeBreak(c *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return completeFirst(completeLab)(c, args, s)
	}
	l, err := fixtures.Load(args[0])
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, f := range faults.All() {
		if _, ok := f.For(l.Mode); ok {
			out = append(out, f.ID+"\t"+f.Symptom)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func newLabRepair(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "repair LAB", Short: "Repair a broken lab, and prove that it is healthy",
		Long: `Do what repairs the fault that a lab was broken with, and prove that all works
again. A lab whose breaking or repairing was killed half-way is taken down and made
anew. The exit code is 1 when not all works.`,
		Example:           "  nscope lab repair bridge",
		ValidArgsFunction: completeFirst(completeLab), Args: oneArg("LAB"),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := fixtures.Repair(c.Context(), args[0])
			if err != nil {
				return err
			}
			return a.tellFault(r, fmt.Sprintf("lab %s is repaired", r.Lab), func() {})
		},
	}
	a.outputFlag(c, "text", "json", "yaml")
	return c
}

// tellFault says what was done and what came of it.
func (a *app) tellFault(r *fixtures.FaultReport, headline string, after func()) error {
	ok, err := a.print(r)
	switch {
	case ok:
	case r.Status == fixtures.Pass:
		fmt.Fprintln(a.out, headline)
		for _, s := range r.Steps {
			fmt.Fprintf(a.out, "  # %s\n", s)
		}
		for _, c := range r.Failed {
			fmt.Fprintf(a.out, "  fail %s\n       %s\n", c.Name, c.Detail)
		}
		if a.verbose {
			for _, c := range r.Passed {
				fmt.Fprintf(a.out, "  pass %s\n       %s\n", c.Name, c.Detail)
			}
		} else {
			fmt.Fprintf(a.out, "  pass %d other checks\n", len(r.Passed))
		}
		after()
	default:
		fmt.Fprintf(a.out, "lab %s, fault %s: not as it must be\n", r.Lab, r.Fault)
		for _, w := range r.Wrong {
			fmt.Fprintf(a.out, "  %s\n", w)
		}
	}
	if err == nil && r.Status != fixtures.Pass {
		err = exitError(exitFailed)
	}
	return err
}

func newLabFaults(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "faults [MODE]", Short: "List the faults, and what can be broken with each", Args: cobra.MaximumNArgs(1),
		Long: `List what breaks container networking, with the modes of labs that can be broken so
and the kernel features that it takes beside those of the mode; or why no lab can:
some faults are of a whole machine or of a real engine. With MODE, those that a lab
of it can be broken with.`,
		Example:           "  nscope lab faults\n  nscope lab faults overlay\n  nscope lab faults -o json",
		ValidArgsFunction: completeFirst(completeMode),
		RunE: func(_ *cobra.Command, args []string) error {
			rows := []faults.Fault{}
			if len(args) > 0 {
				if _, err := mode(args[0]); err != nil {
					return err
				}
			}
			for _, f := range faults.All() {
				if len(args) > 0 {
					if _, ok := f.For(args[0]); !ok {
						continue
					}
				}
				rows = append(rows, f)
			}
			if ok, err := a.print(rows); ok {
				return err
			}
			for _, f := range rows {
				if a.output == "name" {
					fmt.Fprintln(a.out, f.ID)
					continue
				}
				a.entry(f.ID, f.Symptom+" ("+carriers(f)+")")
			}
			return nil
		},
	}
	a.outputFlag(c, "table", "json", "yaml", "name")
	return c
}

// carriers says in words what can be broken so.
func carriers(f faults.Fault) string {
	switch f.By {
	case faults.ByMachine:
		return "a whole machine: " + f.Why
	case faults.ByEngine:
		return "a real engine: " + f.Why
	case faults.ByNothing:
		return "no lab: " + f.Why
	}
	var out []string
	for _, l := range f.Labs {
		text := strings.Join(l.Modes, ", ")
		if needs := slices.Concat(f.Needs, l.Needs); len(needs) > 0 {
			text += ", needs " + strings.Join(needs, ", ")
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

// entry prints a name and below it, in lines that fit the screen, what is said of it.
func (a *app) entry(name, text string) {
	const indent = 4
	fmt.Fprintln(a.out, name)
	width, at := a.renderOptions().Width, 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0 || width > 0 && at+1+n > width:
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			fmt.Fprint(a.out, strings.Repeat(" ", indent), word)
			at = indent + n
		default:
			fmt.Fprint(a.out, " ", word)
			at += 1 + n
		}
	}
	fmt.Fprintln(a.out)
}
