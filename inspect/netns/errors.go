package netns

import (
	"errors"
	"fmt"
)

// Errors that callers tell apart with errors.Is.
var (
	// ErrGone: the namespace (or what led to it) no longer exists.
	ErrGone = errors.New("namespace is gone")
	// ErrChanged: what led to the namespace leads to another one by now (a reused pid, an over-mounted file).
	ErrChanged = errors.New("leads to another namespace by now")
	// ErrNotNetNS: what is there is something else, such as the empty file that a removed mount leaves for a moment.
	ErrNotNetNS = errors.New("not a network namespace")
	// ErrNoWay: nothing was found through which the namespace could be opened.
	ErrNoWay = errors.New("no process, mount, descriptor or socket leads to it")
	// ErrUnsupported: this is not Linux.
	ErrUnsupported = errors.New("network namespaces exist only on Linux")
)

// OpError is a failed operation on a namespace. Its cause is found with errors.Is (fs.ErrPermission, ErrGone …).
type OpError struct {
	Op    string // "open", "enter", "find"
	What  string // path or namespace
	Needs string // what would have let it succeed, if known: "CAP_SYS_ADMIN"
	Err   error
}

func (e *OpError) Error() string {
	s := fmt.Sprintf("cannot %s %s: %v", e.Op, e.What, e.Err)
	if e.Needs != "" {
		s += " (needs " + e.Needs + ")"
	}
	return s
}

// Vanished tells whether an error of opening a namespace says that it is not there any more.
func Vanished(err error) bool {
	return errors.Is(err, ErrGone) || errors.Is(err, ErrChanged) || errors.Is(err, ErrNotNetNS)
}

func (e *OpError) Unwrap() error { return e.Err }
