package cmd

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/capture"
	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/tui"
)

// viewFlags are those of the bare command, which opens the interactive view.
type viewFlags struct{ ascii, mouse bool }

// view opens the interactive view. Where there is no terminal to draw on it prints what `ps` does, and says so.
func (a *app) view(c *cobra.Command, v viewFlags) error {
	if why := a.noScreen(); why != "" {
		fmt.Fprintf(a.err, "nscope: %s: this is nscope ps (nscope --help lists the commands)\n", why)
		a.output = "table"
		return listRows(c.Context(), a, (*topo.Graph).PS, func(r topo.PSRow) string { return r.Name }, a.psTable)
	}
	cfg := tui.Config{ASCII: v.ascii, Mouse: v.mouse, NoColor: a.noColor || os.Getenv("NO_COLOR") != "", Light: tui.LightGround(os.Getenv("COLORFGBG"))}
	if len(a.from) > 0 {
		snaps, err := a.snapshots(c.Context())
		if err != nil {
			return err
		}
		cfg.Source = tui.Saved(snaps...)
	} else {
		cfg.Source = tui.Live(func(progress func(done, total int)) *inspect.Live {
			return inspect.NewLive(append(a.liveOptions(), inspect.WithProgress(progress))...)
		})
		cfg.Shell = a.shell
		cfg.Capture = a.tap
		url, err := a.oneEngine()
		if err == nil && url != "" {
			url = fixtures.EngineURL(url)
		}
		cfg.Labs = tui.OwnLabs(url, !a.noEngine && len(a.engines) == 0) // of several engines none is the one that makes labs
	}
	// A terminal whose other end is gone, or a kill of this kind, ends it like any other: what is left is given back.
	ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGHUP)
	defer stop()
	away, over := keepTerminal(os.Stdout)
	defer over()
	cfg.Away = away
	return tui.Run(ctx, cfg)
}

// noScreen says why the view cannot be drawn, "" where it can.
func (a *app) noScreen() string {
	in, ok := a.in.(*os.File)
	switch {
	case !a.isTerminal(a.out) || !ok || !isTerminal(in):
		return "not a terminal"
	case os.Getenv("TERM") == "dumb" || os.Getenv("TERM") == "":
		return fmt.Sprintf("TERM=%s cannot move the cursor", os.Getenv("TERM"))
	case slices.Contains(a.from, "-"):
		return "the keyboard is the snapshot's (--from -)"
	}
	return ""
}

// terminalCommand is the hidden command that gives a terminal back.
const terminalCommand = "terminal-keeper"

func newTerminalKeeper(*app) *cobra.Command {
	return &cobra.Command{
		Use: terminalCommand, Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return giveBack(args[0], os.Stdin, os.Stdout, os.Stderr) },
	}
}

// viewRings is what the rings of a capture in the view take together; it lists thousands of packets, not millions.
const viewRings = 32 << 20

// tap opens a capture for the view.
func (a *app) tap(ctx context.Context, t tui.Tap) (tui.Session, error) {
	s, err := capture.NewSession(t.Graph, capture.Config{
		VXLANPorts: capture.VXLANPorts(t.Graph), Checksums: true, Buffer: viewRings, Proc: a.proc, Note: t.Note, Refresh: t.Refresh, Targets: t.Targets,
	})
	if err != nil {
		return nil, err
	}
	spots, err := captureSpots(t.Graph, t.Targets)
	if err == nil {
		err = netns.Denied("its namespaces", s.Add(ctx, spots, true))
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}
