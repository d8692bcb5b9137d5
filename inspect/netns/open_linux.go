package netns

import (
	"errors"
	"io/fs"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Open opens the namespace by the first way that still leads to it. The error is an [OpError]; it wraps [ErrGone] where
// every way has vanished.
func (n *Namespace) Open() (*Handle, error) {
	var first error
	for _, w := range n.ways {
		h, err := w.open(n.ID)
		if err == nil {
			h.pin = true
			pins.Store(h.FD(), nil)
			return h, nil
		}
		// What says most wins: "not permitted" before "changed" before "gone".
		if first == nil || errors.Is(first, ErrGone) || (errors.Is(err, fs.ErrPermission) && !errors.Is(first, fs.ErrPermission)) {
			first = err
		}
	}
	if first == nil {
		first = &OpError{Op: "open", What: "netns " + n.ID.Short(), Err: ErrNoWay}
	}
	return nil, first
}

// Mounted tells whether a bind mount of the namespace is still there, by the mount table of a process that saw it, read
// anew. A file that cannot be opened although it is mounted is covered by something.
func (n *Namespace) Mounted(proc string) bool {
	for _, h := range n.Holders {
		if h.Kind != snapshot.HolderMount {
			continue
		}
		b, err := readAll(proc + "/" + strconv.Itoa(h.PID) + "/mountinfo")
		if err != nil {
			continue
		}
		mounts, _ := parseMountinfo(b, proc)
		if slices.Contains(mounts, mountPoint{n.ID.Inode(), h.Path}) {
			return true
		}
	}
	return false
}

func (w way) open(want snapshot.NSID) (*Handle, error) {
	if w.path != "" {
		return OpenPath(w.path, want)
	}
	fd, err := socketNS(w.pid, w.fd)
	switch {
	case errors.Is(err, unix.EBADF): // pidfd_getfd(2): it was closed since
		err = ErrGone
	case errors.Is(err, unix.ENOTTY), errors.Is(err, unix.EOPNOTSUPP): // the number is another file's by now
		err = ErrChanged
	}
	if err != nil {
		return nil, opErr("open", w.String(), err)
	}
	return fromFD(fd, w.String(), want)
}

// Reachable tells whether one of the ways to the namespace still leads there. It is not kept open.
func (n *Namespace) Reachable() bool {
	for _, w := range n.ways {
		if w.path == "" {
			if id, err := OfSocket(w.pid, w.fd); err == nil && id == n.ID {
				return true
			}
			continue
		}
		if id, err := nsidOf(w.path); err == nil && id == n.ID {
			return true
		}
	}
	return false
}
