package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/topo/render"
)

// dockerName is what --engine calls the engine of DOCKER_HOST or of the usual socket.
const dockerName = "docker"

// labEngine opens the engine that --engine names; nil where it names none.
func (a *app) labEngine(ctx context.Context) (*fixtures.Engine, error) {
	name, err := a.oneEngine()
	if err != nil || name == "" {
		return nil, err
	}
	return fixtures.OpenEngine(ctx, name)
}

func (a *app) oneEngine() (string, error) {
	switch {
	case len(a.engines) == 0:
		return "", nil
	case len(a.engines) > 1:
		return "", usagef("a lab is made by one engine: --engine is given %d times", len(a.engines))
	case a.engines[0] != dockerName && !strings.Contains(a.engines[0], "://"):
		return "", usagef("--engine %q: it is neither %q nor a URL such as unix:///run/docker.sock", a.engines[0], dockerName)
	}
	return a.engines[0], nil
}

// asked are the engines to ask for labs beside those where labs are written down: the one that is named, or else the usual
// one, where it is running.
func (a *app) asked(ctx context.Context) ([]string, error) {
	name, err := a.oneEngine()
	if err != nil || name != "" {
		return []string{fixtures.EngineURL(name)}, err
	}
	if a.noEngine {
		return nil, nil
	}
	e, err := fixtures.OpenEngine(ctx, dockerName)
	switch {
	case err == nil:
		e.Close()
		return []string{e.URL}, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, nil
	}
	a.noteEngine(err)
	return nil, nil
}

func (a *app) noteEngine(err error) {
	fmt.Fprintf(a.err, "nscope: note: %s; labs there are not listed\n", oneLine(err.Error()))
}

// labs are those that are up. An engine that was named must answer.
func (a *app) labs(ctx context.Context) ([]*fixtures.State, error) {
	urls, err := a.asked(ctx)
	if err != nil {
		return nil, err
	}
	labs, errs := fixtures.ListWith(ctx, urls...)
	for _, err := range errs {
		var e *fixtures.EngineError
		if !errors.As(err, &e) || len(a.engines) > 0 && e.URL == urls[0] {
			return nil, err
		}
		a.noteEngine(err)
	}
	return labs, nil
}

// downLab takes a lab away, wherever it is.
func (a *app) downLab(ctx context.Context, name string) error {
	if err := fixtures.CheckName(name); err != nil {
		return &usageError{err}
	}
	s, err := fixtures.Load(name)
	if err == nil && (len(a.engines) == 0 || s.Engine == fixtures.EngineURL(a.engines[0])) {
		return fixtures.Down(ctx, name)
	}
	if err != nil && !errors.Is(err, fixtures.ErrNoLab) {
		return err
	}
	urls, err := a.asked(ctx)
	if err != nil {
		return err
	}
	for _, u := range urls {
		e, err := fixtures.OpenEngine(ctx, u)
		if err != nil {
			return err
		}
		defer e.Close()
		there, err := fixtures.LabsOn(ctx, e)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(there, func(s *fixtures.State) bool { return s.Name == name }) {
			return fixtures.DownOn(ctx, e, name)
		}
	}
	if len(a.engines) > 0 {
		return fmt.Errorf("lab %s: %w at %s", name, fixtures.ErrNoLab, urls[0])
	}
	return fixtures.Down(ctx, name)
}

// downAll takes all labs away: of the engine that is named, or else of all and those without one.
func (a *app) downAll(ctx context.Context) (names []string, err error) {
	urls, err := a.asked(ctx)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, u := range urls {
		e, err := fixtures.OpenEngine(ctx, u)
		if err != nil {
			return nil, err
		}
		defer e.Close()
		there, err := fixtures.LabsOn(ctx, e)
		if err == nil {
			err = fixtures.DownOn(ctx, e, "")
		}
		errs = append(errs, err)
		for _, s := range there {
			names = append(names, s.Name)
		}
	}
	if len(a.engines) == 0 {
		more, err := fixtures.DownAll(ctx)
		errs = append(errs, err)
		names = append(names, more...)
	}
	slices.Sort(names)
	return slices.Compact(names), errors.Join(errs...)
}

// tellEngineLab says what an engine made and what to try.
func (a *app) tellEngineLab(s *fixtures.State) error {
	fmt.Fprintf(a.out, "lab %s (%s) is up at %s:\n", s.Name, s.Mode, s.Engine)
	t := render.Table{Indent: "  ", Columns: []render.Column{{Name: "NAME"}, {Name: "CONTAINER"}, {Name: "ROLE"}}}
	var first string
	for _, x := range s.Spaces {
		if first == "" && x.Role == fixtures.RoleContainer {
			first = x.Full
		}
		t.Rows = append(t.Rows, []string{x.Name, x.Full, x.Role})
	}
	if err := a.table(t, false); err != nil {
		return err
	}
	flag := ""
	if s.Engine != fixtures.EngineURL(dockerName) {
		flag = " --engine " + s.Engine
	}
	fmt.Fprintf(a.out, "try:\n  nscope topo %s%s\n  nscope exec %s%s -- ip route\n  nscope lab down %s%s\n", first, flag, first, flag, s.Name, flag)
	return nil
}

func completeEngine(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	out := []string{dockerName + "\tthe one of DOCKER_HOST, or of the usual socket"}
	for _, path := range []string{"/run/docker.sock", "/run/podman/podman.sock", fmt.Sprintf("/run/user/%d/docker.sock", os.Getuid())} {
		if _, err := os.Stat(path); err == nil {
			out = append(out, "unix://"+path)
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
