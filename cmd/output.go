package cmd

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"

	"github.com/nscope/nscope/topo/render"
)

// outputFlag adds -o with the formats that a command has; the first is the default.
func (a *app) outputFlag(c *cobra.Command, formats ...string) {
	c.Flags().StringVarP(&a.output, "output", "o", formats[0], "`FORMAT`: "+strings.Join(formats, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	before := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("output") {
			a.output = formats[0] // the last command made has left its own default
		}
		if !slices.Contains(formats, a.output) {
			return usagef("no output format %q: %s has %s", a.output, c.CommandPath(), strings.Join(formats, ", "))
		}
		if before != nil {
			return before(c, args)
		}
		return nil
	}
}

// print writes v in one of the formats that are data; ok is false for the others.
func (a *app) print(v any) (ok bool, err error) {
	switch a.output {
	case "json":
		return true, writeJSON(a.out, v)
	case "yaml":
		return true, writeYAML(a.out, v)
	}
	return false, nil
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeYAML writes v with the names and the order that its JSON form has: JSON is YAML, so it is read as such and only
// its style changed.
func writeYAML(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var n yaml.Node
	if err := yaml.Unmarshal(b, &n); err != nil {
		return err
	}
	blockStyle(&n)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&n); err != nil {
		return err
	}
	_, err = w.Write(out.Bytes())
	return err
}

func blockStyle(n *yaml.Node) {
	// A string keeps its quotes: yes, 1e3 and 0x10 must stay strings.
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
	}
	for i, c := range n.Content {
		blockStyle(c)
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			c.Style = 0 // a key needs none; the encoder quotes those that do
		}
	}
}

// renderOptions are those of the terminal that out is; what goes into a pipe or file is not cut, unless COLUMNS says how
// wide it may be, and has no colour.
func (a *app) renderOptions() render.Options {
	o := render.Options{Width: unlimited}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n >= 20 {
		o.Width = n
	}
	f, ok := file(a.out)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return o
	}
	o.Width = 80
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w >= 20 {
		o.Width = w
	}
	o.Color = !a.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return o
}

// unlimited is the width that cuts nothing.
const unlimited = -1

func (a *app) isTerminal(w io.Writer) bool {
	f, ok := file(w)
	return ok && isTerminal(f)
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// sink is standard output that remembers what could not be written: no command may end well when its answer got lost.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}

// file is the file behind a writer.
func file(w io.Writer) (*os.File, bool) {
	if s, ok := w.(*sink); ok {
		w = s.w
	}
	f, ok := w.(*os.File)
	return f, ok
}
