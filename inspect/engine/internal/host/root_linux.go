package host

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// open opens for reading; O_NONBLOCK so that a FIFO in place of a file does not hold the reader.
func (r Root) open(name string) (*os.File, error) {
	return r.openFlags(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY)
}

// openPath opens a file only to name it: works for sockets and without permission to read.
func (r Root) openPath(name string) (*os.File, error) {
	return r.openFlags(name, unix.O_PATH|unix.O_CLOEXEC)
}

func (r Root) openFlags(name string, flags int) (*os.File, error) {
	fail := func(err error) error { return &fs.PathError{Op: "open", Path: r.Path(name), Err: err} }
	if r.Prefix != "" {
		dir := r.held
		if dir == nil {
			var err error
			if dir, err = holdRoot(r.Prefix); err != nil {
				return nil, err
			}
			defer dir.Close()
		}
		root := int(dir.Fd())
		rel := strings.TrimPrefix(path.Clean("/"+name), "/")
		if rel == "" {
			rel = "."
		}
		fd, err := retry(func() (int, error) {
			return unix.Openat2(root, rel, &unix.OpenHow{Flags: uint64(flags), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
		})
		if err == nil {
			return os.NewFile(uintptr(fd), r.Path(name)), nil
		}
		// ENOSYS: a kernel before 5.6; EPERM: a container runtime that does not know the call.
		if !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EPERM) {
			return nil, fail(err)
		}
	}
	file, err := r.resolve(name)
	if err != nil {
		return nil, err
	}
	fd, err := retry(func() (int, error) { return unix.Open(file, flags, 0) })
	if err != nil {
		return nil, fail(err)
	}
	return os.NewFile(uintptr(fd), r.Path(name)), nil
}

func holdRoot(prefix string) (*os.File, error) {
	fd, err := unix.Open(prefix+"/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: prefix, Err: err}
	}
	return os.NewFile(uintptr(fd), prefix), nil
}

// walkFrom is the path from which resolve walks.
func (r Root) walkFrom() string {
	if r.held != nil {
		return dialAddress(r.held)
	}
	return r.Prefix
}

func retry(open func() (int, error)) (int, error) {
	for {
		fd, err := open()
		// EAGAIN: openat2 saw a rename while it resolved "..".
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}

func fileInfo(f *os.File) (FileInfo, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return FileInfo{}, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	info := FileInfo{Dev: uint64(st.Dev), Ino: st.Ino, Mode: fs.FileMode(st.Mode & 0o777)} //nolint:unconvert // Dev is uint32 elsewhere
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFSOCK:
		info.Mode |= fs.ModeSocket
	case unix.S_IFDIR:
		info.Mode |= fs.ModeDir
	case unix.S_IFREG:
	default:
		info.Mode |= fs.ModeIrregular
	}
	var sfs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &sfs); err == nil {
		info.FSType = int64(sfs.Type) //nolint:unconvert // int32 elsewhere
	}
	return info, nil
}

// dialAddress names an opened socket file so that connect finds it, however long its path.
func dialAddress(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// PeerPID is the process that listens at the other end (SO_PEERCRED: the one that called listen), 0 where unknown or in a
// pid namespace that is not below the reader's.
func PeerPID(conn net.Conn) int {
	uc, ok := conn.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := uc.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}
