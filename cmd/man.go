package cmd

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "man [DIR]",
		Short: "Print the manual page, or write one page per command into a folder",
		Example: `  nscope man | man -l -
  nscope man /usr/local/share/man/man1`,
		Args: atMostOneArg("folder"),
		RunE: func(c *cobra.Command, args []string) error {
			// The date of a generated page would differ every day and say nothing.
			head := &doc.GenManHeader{Title: "NSCOPE", Section: "1", Source: "nscope", Manual: "nscope manual"}
			if len(args) == 0 {
				return doc.GenMan(c.Root(), head, a.out)
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("cannot make the folder: %w", err)
			}
			return doc.GenManTree(c.Root(), head, args[0])
		},
	}
}
