package netns

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"

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
		var err error
		if resolv, err = ReadIn(o.Proc, o.ResolvOf, "/etc/resolv.conf"); err != nil {
			return err
		}
	}
	// Everything of the other root must be open before the root changes.
	host := -1
	if o.HostRoot {
		var err error
		if host, err = openHostRoot(o.Proc); err != nil {
			return err
		}
		if host >= 0 {
			defer unix.Close(host)
		}
	}
	// Who is there already needs no capability.
	if here, err := nsidOf(ownNetns); err != nil || here != h.id {
		if err := vns.Set(h.ns); err != nil {
			return Denied(cmp.Or(o.Target, "netns "+h.id.Short()), opErr("enter", "netns "+h.id.Short(), err))
		}
	}
	if host >= 0 || resolv != nil {
		// The thread shares its root and working directory with all others; a mount namespace cannot be entered so.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return opErr("enter", "a mount namespace", err)
		}
	}
	if host >= 0 {
		if err := unix.Setns(host, unix.CLONE_NEWNS); err != nil {
			return hostRootError(err)
		}
	}
	if resolv != nil {
		if err := ownResolvConf(resolv); err != nil {
			return err
		}
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return &StartError{argv[0], lookError(err)}
	}
	return &StartError{argv[0], unix.Exec(path, argv, os.Environ())}
}

// lookError makes of what LookPath says, which has no errno, what fs.ErrNotExist finds.
func lookError(err error) error {
	var e *exec.Error
	if !errors.As(err, &e) {
		return err
	}
	if errors.Is(e.Err, exec.ErrNotFound) {
		return errNotInPath
	}
	var path *fs.PathError
	if errors.As(e.Err, &path) {
		return path.Err
	}
	return e.Err
}

// errNotInPath is a command that no folder of $PATH has.
var errNotInPath = notInPath{}

type notInPath struct{}

func (notInPath) Error() string   { return "not found in $PATH" }
func (notInPath) Is(e error) bool { return e == fs.ErrNotExist }

// openHostRoot opens the mount namespace of pid 1; -1 where the caller is in it already.
func openHostRoot(proc string) (int, error) {
	path := proc + "/1/ns/mnt"
	if theirs := inodeOf(path); theirs != 0 && theirs == inodeOf("/proc/thread-self/ns/mnt") {
		return -1, nil
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, opErr("open", path, err)
	}
	return fd, nil
}

// hostRootError says which capability setns(2) of a mount namespace lacks.
func hostRootError(err error) error {
	e := &OpError{Op: "enter", What: "the host's mount namespace", Err: err}
	if errors.Is(err, fs.ErrPermission) {
		var lacks []string
		for _, c := range []struct {
			capability int
			name       string
		}{{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN"}, {unix.CAP_SYS_CHROOT, "CAP_SYS_CHROOT"}} {
			if !HasCap(c.capability) {
				lacks = append(lacks, c.name)
			}
		}
		e.Needs = strings.Join(lacks, " and ")
	}
	return e
}

// ownResolvConf makes content the /etc/resolv.conf of the calling thread, in a mount namespace of its own. Nothing is
// written to any disk: the file is in a tmpfs that no path leads to in the end.
func ownResolvConf(content []byte) error {
	fail := func(err error) error { return opErr("make", "a resolv.conf of its own", err) }
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fail(err)
	}
	// Without this the mounts would appear in the namespace that this one was copied from.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fail(err)
	}
	// Opened before a tmpfs covers its folder for a moment. It may be a link; what is covered is what it leads to.
	target, err := unix.Open("/etc/resolv.conf", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &OpError{Op: "make", What: "a resolv.conf of its own", Err: fmt.Errorf("there is no /etc/resolv.conf that it could cover: %w", err)}
	}
	defer unix.Close(target)
	if err := unix.Mount("tmpfs", "/etc", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755"); err != nil {
		return fail(err)
	}
	err = os.WriteFile("/etc/resolv.conf", content, 0o644)
	if err == nil {
		err = os.Chmod("/etc/resolv.conf", 0o644) // whatever the umask is
	}
	if err == nil {
		err = unix.Mount("/etc/resolv.conf", fmt.Sprintf("/proc/thread-self/fd/%d", target), "", unix.MS_BIND, "")
	}
	// The bind mount keeps the file.
	if err2 := unix.Unmount("/etc", unix.MNT_DETACH); err == nil {
		err = err2
	}
	if err != nil {
		return fail(err)
	}
	return nil
}

// denied is the error of a namespace that may not be entered.
func denied(target string, err error) error {
	return &DeniedError{Target: target, Admin: HasCap(unix.CAP_SYS_ADMIN), Ptrace: HasCap(unix.CAP_SYS_PTRACE), Err: err}
}

// MayEnter tells whether the capability is there without which no other namespace can be entered (setns(2)).
func MayEnter() bool { return HasCap(unix.CAP_SYS_ADMIN) }

// InContainer tells whether this process has another root than pid 1: then it runs in a container that sees the host's
// processes, and "the host's commands" are not its own.
func InContainer(proc string) bool {
	var ours, theirs unix.Stat_t
	if unix.Stat("/", &ours) != nil || unix.Stat(proc+"/1/root/", &theirs) != nil {
		return false
	}
	return ours.Dev != theirs.Dev || ours.Ino != theirs.Ino
}
