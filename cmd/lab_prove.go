package cmd

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/fixtures"
)

func newLabTest(a *app) *cobra.Command {
	c := &cobra.Command{
		Use: "test MODE... | all", Short: "Make modes, prove them by traffic, take them away",
		Long: `Make a lab of each mode, prove by packets that what must work does and that what
must not does not, and take it away. A mode that the kernel cannot do is skipped,
with the feature that it lacks. The exit code is 1 when a check failed.

With --engine docker, or an engine's URL, the engine makes each lab, and what is
not a mode of Docker is skipped.`,
		Example: `  nscope lab test bridge
  nscope lab test all
  nscope lab test all -o json
  nscope lab test all --engine docker`,
		ValidArgsFunction: completeMode,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("lab test takes network modes, or all\nsee: %s --help", c.CommandPath())
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			modes, err := testedModes(args)
			if err != nil {
				return err
			}
			e, err := a.labEngine(c.Context())
			if err != nil {
				return err
			}
			test := fixtures.Test
			if e != nil {
				defer e.Close()
				test = func(ctx context.Context, m fixtures.Mode, lab string) fixtures.Report {
					return fixtures.TestOn(ctx, e, m, lab)
				}
			}
			reports := []fixtures.Report{}
			failed := false
			for _, m := range modes {
				r := test(c.Context(), m, "test-"+m.Info().Name)
				failed = failed || r.Status == fixtures.Fail
				reports = append(reports, r)
				if a.output == "text" {
					a.tellReport(r)
				}
				if c.Context().Err() != nil {
					break
				}
			}
			if ok, err := a.print(reports); ok && err != nil {
				return err
			}
			if failed {
				return exitError(exitFailed)
			}
			return c.Context().Err()
		},
	}
	a.outputFlag(c, "text", "json", "yaml")
	return c
}

func testedModes(args []string) ([]fixtures.Mode, error) {
	if slices.Equal(args, []string{"all"}) {
		return fixtures.Modes(), nil
	}
	var out []fixtures.Mode
	for _, name := range args {
		m, err := mode(name)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (a *app) tellReport(r fixtures.Report) {
	passed := 0
	for _, c := range r.Checks {
		if c.Status == fixtures.Pass {
			passed++
		}
	}
	switch {
	case r.Status == fixtures.Skip:
		fmt.Fprintf(a.out, "skip  %-17s needs %s\n", r.Mode, r.Needs[0])
		return
	default:
		fmt.Fprintf(a.out, "%-5s %-17s %d of %d checks, %d ms\n", r.Status, r.Mode, passed, len(r.Checks), r.TookMS)
	}
	for _, c := range r.Checks {
		if c.Status != fixtures.Pass || a.verbose {
			fmt.Fprintf(a.out, "  %-4s %s\n       %s\n", c.Status, c.Name, c.Detail)
		}
	}
	if r.Error != "" {
		fmt.Fprintf(a.out, "  %s\n", oneLine(r.Error))
	}
}
