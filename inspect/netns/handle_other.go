//go:build !linux

package netns

import "github.com/nscope/nscope/inspect/snapshot"

// Handle is an open network namespace; there are none outside Linux.
type Handle struct{}

// ID is the identity of the namespace.
func (h *Handle) ID() snapshot.NSID { return "" }

// Close does nothing.
func (h *Handle) Close() error { return nil }

// Do fails with [ErrUnsupported].
func (h *Handle) Do(func() error) error { return ErrUnsupported }

// OpenPath fails with [ErrUnsupported].
func OpenPath(string, snapshot.NSID) (*Handle, error) { return nil, ErrUnsupported }

// Hostname fails with [ErrUnsupported].
func Hostname(string, int) (string, error) { return "", ErrUnsupported }

// Self fails with [ErrUnsupported].
func Self() (*Handle, error) { return nil, ErrUnsupported }

// Exec fails with [ErrUnsupported].
func Exec(*Handle, []string, ExecOptions) error { return ErrUnsupported }

// ReadIn fails with [ErrUnsupported].
func ReadIn(string, int, string) ([]byte, error) { return nil, ErrUnsupported }

// InContainer is false: there are no Linux containers here.
func InContainer(string) bool { return false }

// MayEnter is false.
func MayEnter() bool { return false }

func denied(target string, err error) error { return &DeniedError{Target: target, Err: err} }
