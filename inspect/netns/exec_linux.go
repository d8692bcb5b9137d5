package netns

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"

	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Exec replaces this process by a command inside the namespace: signals, terminal and exit code are the command's own. It
// returns only when that fails; then the process goes on where it was.
//
// execve(2) on a thread that is not the leader makes it the leader and ends all others; the namespaces are those of
// the thread that called.
func Exec(h *Handle, argv []string, o ExecOptions) error {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: where it failed halfway the thread must die
		failed <- execHere(h, argv, o)
	}()
	return <-failed
}

func execHere(h *Handle, argv []string, o ExecOptions) error {
	var resolv []byte
	if o.ResolvOf != 0 {
		path := fmt.Sprintf("%s/%d/root/etc/resolv.conf", o.Proc, o.ResolvOf)
		var err error
		if resolv, err = os.ReadFile(path); err != nil {
			return opErr("read", path, err)
		}
	}
	// Everything of the other root must be open before the root changes.
	host := -1
	if o.HostRoot {
		path := o.Proc + "/1/ns/mnt"
		var err error
		if host, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return opErr("open", path, err)
		}
		defer unix.Close(host)
	}
	if err := vns.Set(h.ns); err != nil {
		return opErr("enter", "netns "+h.id.Short(), err)
	}
	if o.HostRoot || resolv != nil {
		// The thread shares its root and working directory with all others; a mount namespace cannot be entered so.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return opErr("enter", "a mount namespace", err)
		}
	}
	if o.HostRoot {
		if err := unix.Setns(host, unix.CLONE_NEWNS); err != nil {
			e := opErr("enter", "the host's mount namespace", err).(*OpError)
			if e.Needs != "" {
				e.Needs = "CAP_SYS_ADMIN and CAP_SYS_CHROOT"
			}
			return e
		}
	}
	if resolv != nil {
		if err := ownResolvConf(resolv); err != nil {
			return err
		}
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		// LookPath says "executable file not found" without an errno.
		if _, ok := err.(*exec.Error); ok && !os.IsPermission(err) {
			err = fmt.Errorf("%w in $PATH", fs.ErrNotExist)
		}
		return &StartError{argv[0], err}
	}
	return &StartError{argv[0], unix.Exec(path, argv, os.Environ())}
}

// ownResolvConf makes content the /etc/resolv.conf of the calling thread, in a mount namespace of its own.
func ownResolvConf(content []byte) error {
	const what = "a resolv.conf of its own"
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return opErr("make", what, err)
	}
	// Without this the bind mount would appear in the namespace that this one was copied from.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return opErr("make", what, err)
	}
	f, err := os.CreateTemp("", "nscope-resolv-*")
	if err != nil {
		return opErr("make", what, err)
	}
	defer f.Close()
	defer os.Remove(f.Name()) // the mount keeps the file
	if _, err := f.Write(content); err != nil {
		return opErr("make", what, err)
	}
	if err := f.Chmod(0o644); err != nil {
		return opErr("make", what, err)
	}
	if err := unix.Mount(f.Name(), "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return opErr("make", what, err)
	}
	return nil
}

// InContainer tells whether this process has another root than pid 1: then it runs in a container that sees the host's
// processes, and "the host's commands" are not its own.
func InContainer(proc string) bool {
	var ours, theirs unix.Stat_t
	if unix.Stat("/", &ours) != nil || unix.Stat(proc+"/1/root/", &theirs) != nil {
		return false
	}
	return ours.Dev != theirs.Dev || ours.Ino != theirs.Ino
}
