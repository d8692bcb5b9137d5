package probe

import (
	"fmt"
)

// NeedsError says that a probe was not allowed its sockets. It wraps the system's error (fs.ErrPermission is in its chain).
type NeedsError struct {
	// Probe is the kind; From where it was to run.
	Probe, From string
	// Needs is the capability ("CAP_NET_RAW"), Why what for ("packet sockets"), Or what would do instead, may be empty.
	Needs, Why, Or string
	Err            error
}

func (e *NeedsError) Error() string {
	s := fmt.Sprintf("%s from %s needs %s (%s)", e.Probe, e.From, e.Needs, e.Why)
	if e.Or != "" {
		s += ", or " + e.Or
	}
	return s
}

func (e *NeedsError) Unwrap() error { return e.Err }

// OptionError is an option that cannot be: a size too large, an interface that FROM does not have, a source address of the
// wrong family. For cmd it is a usage error.
type OptionError struct{ Err error }

func (e *OptionError) Error() string { return e.Err.Error() }
func (e *OptionError) Unwrap() error { return e.Err }

// optionf makes an OptionError.
func optionf(format string, args ...any) error { return &OptionError{fmt.Errorf(format, args...)} }
