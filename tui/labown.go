package tui

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/nscope/nscope/fixtures"
)

// Labs makes labs, as `nscope lab` does. What takes long tells what it is doing ([fixtures.Doing]).
type Labs interface {
	// May says what keeps a lab from being made, nil for nothing.
	May() error
	// Where says who makes them: "" for nscope itself, or an engine's URL.
	Where() string
	// Own tells whether a lab was made without an engine: only such a one can be asked when it is up, and broken.
	Own(s *fixtures.State) bool
	// List lists those that are up. An error says what is missing in the list, or where that is nil why there is none.
	List(ctx context.Context) ([]*fixtures.State, error)
	Up(ctx context.Context, m fixtures.Mode, lab string) (*fixtures.State, error)
	// Prove asks a lab that is up and has no engine; Test makes one, asks it and takes it away.
	Prove(ctx context.Context, s *fixtures.State) ([]fixtures.CheckResult, error)
	Test(ctx context.Context, m fixtures.Mode, lab string) fixtures.Report
	Break(ctx context.Context, lab, fault string) (*fixtures.FaultReport, error)
	Repair(ctx context.Context, lab string) (*fixtures.FaultReport, error)
	Down(ctx context.Context, s *fixtures.State) error
}

// OwnLabs are those of this machine. With engine, a URL, that engine makes them. Those of the usual engine are listed too where
// usual is set and it runs.
func OwnLabs(engine string, usual bool) Labs { return ownLabs{engine, usual} }

type ownLabs struct {
	engine string
	usual  bool
}

func (o ownLabs) Where() string { return o.engine }

func (ownLabs) Own(s *fixtures.State) bool { return s.Engine == "" }

func (o ownLabs) May() error {
	if o.engine != "" {
		return nil
	}
	return fixtures.MayMake()
}

func (o ownLabs) List(ctx context.Context) ([]*fixtures.State, error) {
	var urls []string
	switch {
	case o.engine != "":
		urls = append(urls, o.engine)
	case o.usual:
		e, err := fixtures.OpenEngine(ctx, "docker")
		switch {
		case err == nil:
			urls = append(urls, e.URL)
			e.Close()
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ECONNREFUSED):
		default:
			list, errs := fixtures.ListWith(ctx)
			return list, errors.Join(append(errs, err)...)
		}
	}
	list, errs := fixtures.ListWith(ctx, urls...)
	return list, errors.Join(errs...)
}

// on opens the engine that labs are made on.
func (o ownLabs) on(ctx context.Context, do func(*fixtures.Engine) error) error {
	e, err := fixtures.OpenEngine(ctx, o.engine)
	if err != nil {
		return err
	}
	defer e.Close()
	return do(e)
}

func (o ownLabs) Up(ctx context.Context, m fixtures.Mode, lab string) (s *fixtures.State, err error) {
	if o.engine == "" {
		return fixtures.Up(ctx, m, lab)
	}
	err = o.on(ctx, func(e *fixtures.Engine) (err error) { s, err = fixtures.UpOn(ctx, e, m, lab); return err })
	return s, err
}

func (ownLabs) Prove(ctx context.Context, s *fixtures.State) ([]fixtures.CheckResult, error) {
	return fixtures.Prove(ctx, s)
}

func (o ownLabs) Test(ctx context.Context, m fixtures.Mode, lab string) (r fixtures.Report) {
	if o.engine == "" {
		return fixtures.Test(ctx, m, lab)
	}
	if err := o.on(ctx, func(e *fixtures.Engine) error { r = fixtures.TestOn(ctx, e, m, lab); return nil }); err != nil {
		return fixtures.Report{Mode: m.Info().Name, Status: fixtures.Fail, Error: err.Error()}
	}
	return r
}

func (ownLabs) Break(ctx context.Context, lab, fault string) (*fixtures.FaultReport, error) {
	return fixtures.Break(ctx, lab, fault)
}

func (ownLabs) Repair(ctx context.Context, lab string) (*fixtures.FaultReport, error) {
	return fixtures.Repair(ctx, lab)
}

func (ownLabs) Down(ctx context.Context, s *fixtures.State) error {
	if s.Engine == "" {
		return fixtures.Down(ctx, s.Name)
	}
	return ownLabs{engine: s.Engine}.on(ctx, func(e *fixtures.Engine) error { return fixtures.DownOn(ctx, e, s.Name) })
}
