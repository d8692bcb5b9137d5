package netns

import (
	"errors"
	"io/fs"
)

// ExecOptions say with what files [Exec] runs a command.
type ExecOptions struct {
	// Target is what the namespace is called in errors: `container "web"`.
	Target string
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

// DeniedError is a namespace that may not be entered.
type DeniedError struct {
	// Target is what was to be entered: `container "web"`.
	Target string
	// Admin and Ptrace tell whether CAP_SYS_ADMIN and CAP_SYS_PTRACE are there.
	Admin, Ptrace bool
	Err           error
}

func (e *DeniedError) Error() string {
	have := "have neither"
	switch {
	case e.Admin && e.Ptrace:
		return "cannot enter the netns of " + e.Target + ": " + e.Err.Error() +
			": CAP_SYS_ADMIN and CAP_SYS_PTRACE are there, so AppArmor, SELinux or a user namespace forbids it: see docs/privileges.md"
	case e.Admin:
		have = "have only the first"
	case e.Ptrace:
		have = "have only the second"
	}
	return "cannot enter the netns of " + e.Target + ": needs CAP_SYS_ADMIN and CAP_SYS_PTRACE (" + have + "): run as root or see docs/privileges.md"
}

func (e *DeniedError) Unwrap() error { return e.Err }

// Denied returns err, about entering target, as a [DeniedError] where it is about a missing permission, else as it is.
func Denied(target string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return denied(target, err)
}
