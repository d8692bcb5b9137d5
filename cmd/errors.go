package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/probe"
	"github.com/nscope/nscope/topo"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitDenied = 3
)

// usageError is a wrong command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// exitError carries an exit code that needs no message.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// troubleError is why a command failed of which exit code 1 is an answer.
type troubleError struct{ error }

func (e *troubleError) Unwrap() error { return e.error }

// report prints an error for people and returns the exit code.
func report(w io.Writer, err error) int {
	var exit exitError
	var usage *usageError
	var ambiguous *topo.AmbiguousError
	var missing *topo.NotFoundError
	var op *netns.OpError
	var command *commandError
	var denied *netns.DeniedError
	var option *probe.OptionError
	var trouble *troubleError
	failed := exitFailed
	if errors.As(err, &trouble) {
		failed = exitUsage // as of diff(1)
	}
	if err == nil {
		return exitOK
	}
	if errors.As(err, &exit) {
		return int(exit)
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "nscope: interrupted")
		return failed
	}
	if errors.As(err, &ambiguous) {
		listCandidates(w, ambiguous)
		return exitUsage
	}
	fmt.Fprintf(w, "nscope: %s\n", oneLine(err.Error()))
	switch {
	case errors.As(err, &command):
		return command.code
	case errors.As(err, &missing):
		return exitUsage
	case errors.As(err, &usage), errors.As(err, &option):
		return exitUsage
	case errors.As(err, &denied):
		return exitDenied
	case errors.As(err, &op) && errors.Is(err, fs.ErrPermission):
		fmt.Fprintln(w, "  run as root, or see docs/privileges.md for the capabilities that are enough")
		return exitDenied
	case errors.Is(err, fs.ErrPermission):
		return exitDenied
	}
	return failed
}

// mostCandidates is how many things that a target could mean are listed.
const mostCandidates = 20

// listCandidates lists what an ambiguous target could mean: how to name each without doubt, and what it is.
func listCandidates(w io.Writer, e *topo.AmbiguousError) {
	fmt.Fprintf(w, "nscope: %q may be any of %d things:\n", e.Target, len(e.Candidates))
	for i, n := range e.Candidates {
		if i == mostCandidates {
			fmt.Fprintf(w, "  … and %d more\n", len(e.Candidates)-i)
			return
		}
		where := ""
		if n.Host != "" {
			where = " on " + n.Host
		}
		fmt.Fprintf(w, "  %s\n", oneLine(fmt.Sprintf("%-32s  %s %s%s", e.Forms[i], n.Kind, n.Name, where)))
	}
}

// oneLine keeps a hostile name from writing to the terminal what it likes.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
