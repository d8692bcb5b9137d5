package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"

	vns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Handle is an open network namespace. While it is open the namespace cannot vanish. It is safe for concurrent use
// until it is closed.
type Handle struct {
	ns  vns.NsHandle
	id  snapshot.NSID
	pin bool
}

// pins are the descriptors that enumeration itself opened: they are no holders that anybody wants to hear of.
var pins sync.Map

// ID is the identity of the namespace.
func (h *Handle) ID() snapshot.NSID { return h.id }

// FD is the descriptor of the nsfs file, valid until Close.
func (h *Handle) FD() int { return int(h.ns) }

// Close closes the descriptor.
func (h *Handle) Close() error {
	if h.pin {
		pins.Delete(int(h.ns))
	}
	return h.ns.Close()
}

// OpenPath opens the namespace at a path: a bind mount, /proc/<pid>/ns/net, /proc/<pid>/fd/<n>. Where want is not empty
// the namespace must be that one: mounts can be over-mounted and pids reused. The error is an [OpError] that wraps
// [ErrGone], [ErrChanged] or the system's.
func OpenPath(path string, want snapshot.NSID) (*Handle, error) {
	// Not vns.GetFromPath: a FIFO in the place of the file must not block, a terminal not become ours.
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	switch {
	case err == unix.ENXIO, err == unix.ENODEV: // a descriptor of a process that is a socket by now, or a FIFO, or a device
		return nil, opErr("open", path, ErrNotNetNS)
	case err != nil:
		return nil, opErr("open", path, err)
	}
	return fromFD(fd, path, want)
}

// Self opens the namespace of the calling thread.
func Self() (*Handle, error) {
	h, err := OpenPath(ownNetns, "")
	if errors.Is(err, ErrGone) {
		return nil, noProc(fs.ErrNotExist)
	}
	return h, err
}

// fromFD verifies fd and takes it over; it closes it on failure.
func fromFD(fd int, what string, want snapshot.NSID) (*Handle, error) {
	id, err := identify(fd)
	if err == nil && want != "" && id != want {
		err = fmt.Errorf("%w: %s instead of %s", ErrChanged, id.Short(), want.Short())
	}
	if err != nil {
		unix.Close(fd)
		return nil, opErr("open", what, err)
	}
	return &Handle{ns: vns.NsHandle(fd), id: id}, nil
}

// identify returns the identity of the nsfs file fd.
func identify(fd int) (snapshot.NSID, error) {
	// NS_GET_NSTYPE (linux/nsfs.h) fails with ENOTTY for whatever is not on nsfs, and tells a netns from a user or
	// mount namespace.
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		return "", ErrNotNetNS
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	return snapshot.MakeNSID(st.Dev, st.Ino), nil
}

// New makes a namespace that nothing but the returned handle holds. It needs CAP_SYS_ADMIN.
func New() (*Handle, error) {
	var h *Handle
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return opErr("make", "a network namespace", err)
		}
		var err error
		h, err = Self()
		return err
	})
	return h, err
}

// Do runs fn inside the namespace, on a thread of its own, and returns fn's error. Sockets that fn opens keep the
// namespace when they are used outside. fn must not start goroutines that matter where they run (net.Dial of a name,
// net/http), nor call runtime.UnlockOSThread.
//
// Where the process is there already nothing is entered, and no capability is needed.
func (h *Handle) Do(fn func() error) error {
	return onThread(func() error {
		if isHome(h) {
			return fn()
		}
		if err := vns.Set(h.ns); err != nil {
			return opErr("enter", "netns "+h.id.Short(), err)
		}
		return fn()
	})
}

// onThread runs fn, which may change the thread's network namespace, on a locked thread of a fresh goroutine. The thread
// goes back to the pool only when it is provably home again; otherwise it dies with its goroutine.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := Self()
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		// Deferred, so that it also runs when fn ends its goroutine (t.FailNow, runtime.Goexit).
		returned := errors.New("function ended its goroutine")
		defer func() {
			if vns.Set(home.ns) == nil || isHome(home) {
				runtime.UnlockOSThread()
			} // else: still locked, the thread dies with this goroutine
			home.Close() // before it returns: who counts descriptors then finds none of it
			done <- returned
		}()
		returned = fn()
	}()
	return <-done
}

// isHome tells whether the calling thread is in the namespace. Who never left may lack the capability to enter it.
func isHome(home *Handle) bool {
	here, err := nsidOf(ownNetns)
	return err == nil && here == home.id
}

// Cookie is SO_NETNS_COOKIE of the calling thread's namespace, 0 where the kernel has none (before Linux 5.14).
// Call it inside Do.
func Cookie() uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	c, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0
	}
	return c
}

// OwnerUserNS is the inode of the user namespace that owns the namespace, 0 where it may not be asked (it is not a
// descendant of the caller's).
func (h *Handle) OwnerUserNS() uint64 {
	fd, err := unix.IoctlRetInt(int(h.ns), unix.NS_GET_USERNS)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}

// opErr wraps err with what would help.
func opErr(op, what string, err error) error {
	e := &OpError{Op: op, What: what, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ESRCH):
		e.Err = ErrGone
	case errors.Is(err, fs.ErrPermission):
		switch {
		case op != "open":
			e.Needs = "CAP_SYS_ADMIN"
		case !HasCap(unix.CAP_SYS_PTRACE):
			e.Needs = "CAP_SYS_PTRACE"
		case !HasCap(unix.CAP_DAC_READ_SEARCH):
			// Not the process is closed, but a folder on the way (/run/docker is root's).
			e.Needs = "CAP_DAC_READ_SEARCH"
		}
	}
	return e
}

// Hostname is the host name in the UTS namespace of a process. It needs CAP_SYS_ADMIN.
func Hostname(proc string, pid int) (string, error) {
	path := fmt.Sprintf("%s/%d/ns/uts", proc, pid)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", opErr("open", path, err)
	}
	defer unix.Close(fd)
	var name string
	errc := make(chan error, 1)
	go func() {
		// Never unlocked: the thread has another UTS namespace from here on and dies with this goroutine.
		runtime.LockOSThread()
		if err := unix.Setns(fd, unix.CLONE_NEWUTS); err != nil {
			errc <- opErr("enter", path, err)
			return
		}
		name, err = os.Hostname()
		errc <- err
	}()
	return name, <-errc
}
