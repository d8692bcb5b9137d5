package cmd

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func newMan(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "man [COMMAND | DIR]",
		Short: "Print a manual page, or write one page per command into a folder",
		Example: `  nscope man | man -l -
  nscope man topo | man -l -
  nscope man /usr/local/share/man/man1`,
		Args: atMostOneArg("command or folder"),
		RunE: func(c *cobra.Command, args []string) error {
			page := c.Root()
			if len(args) == 1 {
				// A folder of a command's name is meant as ./name.
				page, _, _ = c.Root().Find(args)
			}
			if len(args) == 0 || page != c.Root() {
				text, err := manPage(page)
				if err != nil {
					return err
				}
				_, err = a.out.Write(text)
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("cannot make the folder: %w", err)
			}
			pages, err := manPages(c.Root())
			if err != nil {
				return err
			}
			for _, name := range slices.Sorted(maps.Keys(pages)) {
				if err := os.WriteFile(filepath.Join(args[0], name), pages[name], 0o644); err != nil {
					return fmt.Errorf("cannot write the page: %w", err)
				}
			}
			return nil
		},
	}
}

// Root is the command tree, for those who write or check documents about it.
func Root() *cobra.Command {
	return newRoot(&app{in: strings.NewReader(""), out: io.Discard, err: io.Discard}, "nscope")
}

// ManPages are the manual pages of all commands by their file names: the same bytes for the same program.
func ManPages() (map[string][]byte, error) { return manPages(Root()) }

func manPages(c *cobra.Command) (map[string][]byte, error) {
	pages := map[string][]byte{}
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
			continue
		}
		more, err := manPages(sub)
		if err != nil {
			return nil, err
		}
		maps.Copy(pages, more)
	}
	text, err := manPage(c)
	pages[strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"] = text
	return pages, err
}

// manTitle is the line that opens a page: name, section and date. The date on which a page was generated would differ
// with every month and say nothing, so it is left empty.
var manTitle = regexp.MustCompile(`(?m)^(\.TH "[^"]*" "1" )"[^"]*"`)

func manPage(c *cobra.Command) ([]byte, error) {
	var b bytes.Buffer
	head := &doc.GenManHeader{Title: strings.ToUpper(strings.ReplaceAll(c.CommandPath(), " ", "-")), Section: "1", Source: "nscope", Manual: "nscope manual"}
	if err := doc.GenMan(c, head, &b); err != nil {
		return nil, err
	}
	return manTitle.ReplaceAll(b.Bytes(), []byte(`$1""`)), nil
}
