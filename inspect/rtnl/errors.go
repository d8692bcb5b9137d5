package rtnl

import "errors"

// ErrNoNSID tells that a namespace has no id for another one.
var ErrNoNSID = errors.New("no nsid assigned")

// Error is a read that failed.
type Error struct {
	// Op is what was being read: "links", "routes", "nsid".
	Op  string
	Err error
}

func (e *Error) Error() string { return "read " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause: a [syscall.Errno] is found by errors.Is.
func (e *Error) Unwrap() error { return e.Err }
