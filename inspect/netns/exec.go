package netns

import (
	"errors"
	"io/fs"
)

// ExecOptions say with what files [Exec] runs a command.
type ExecOptions struct {
	// Proc is where the host's /proc is mounted; "" means /proc.
	Proc string
	// HostRoot enters the mount namespace of pid 1 first (needs CAP_SYS_CHROOT too), so that command and files are the host's.
	HostRoot bool
	// ResolvOf is a process whose /etc/resolv.conf becomes the command's, in a private mount namespace; 0 for none.
	ResolvOf int
}

// StartError is a command that could not be started.
type StartError struct {
	Name string
	Err  error
}

func (e *StartError) Error() string { return "cannot run " + e.Name + ": " + e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// ExecCode is the exit code that shells give a command that could not be started: 127 where it was not found, 126
// where it cannot be run; 0 for any other error.
func ExecCode(err error) int {
	var start *StartError
	switch {
	case !errors.As(err, &start):
		return 0
	case errors.Is(err, fs.ErrNotExist):
		return 127
	default:
		return 126
	}
}
