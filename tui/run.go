package tui

import (
	"context"
	"errors"
	"io"

	tea "charm.land/bubbletea/v2"
)

// Config says what is shown, and how.
type Config struct {
	Source Source
	// ASCII draws with ASCII only; NoColor leaves colours out; Mouse takes the mouse's clicks and wheel away from the terminal.
	ASCII, NoColor, Mouse bool
	// Light is set where the terminal's ground is thought to be a light one, until it answers what it is.
	Light bool
	// Shell makes the command that is a shell in the network namespace of a target; nil where there is none to enter.
	Shell func(target string) (tea.ExecCommand, error)
	// Capture opens a capture; nil where there is nothing live.
	Capture func(context.Context, Tap) (Session, error)
	// Labs makes labs; nil where there is nothing live.
	Labs Labs
	// Away is told that the shell gets the terminal (ctrl-z), and that it is back; nil: nobody wants to know.
	Away func(bool)
	// In and Out are the terminal; nil is standard input and output.
	In  io.Reader
	Out io.Writer
}

// Run shows the view until its user quits or ctx ends, and leaves the terminal as it was. The latter is no error.
func Run(ctx context.Context, cfg Config) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, err := program(ctx, cfg).Run()
	if ctx.Err() != nil && !errors.Is(err, tea.ErrProgramPanic) {
		return nil
	}
	return err
}

// program is the view's, as [Run] runs it.
func program(ctx context.Context, cfg Config, opts ...tea.ProgramOption) *tea.Program {
	opts = append(opts, tea.WithContext(ctx), tea.WithFPS(30))
	if cfg.In != nil {
		opts = append(opts, tea.WithInput(cfg.In))
	}
	if cfg.Out != nil {
		opts = append(opts, tea.WithOutput(cfg.Out))
	}
	return tea.NewProgram(New(ctx, cfg), opts...)
}
