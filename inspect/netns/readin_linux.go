package netns

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// maxReadIn bounds what ReadIn reads.
const maxReadIn = 1 << 20

// ReadIn reads a regular file of at most 1 MiB below a process's root. It is what that process sees: a link that is absolute
// is one in that root, not in ours. proc is where the host's /proc is mounted. The error is an [OpError]: it wraps
// [ErrGone] where the process is, fs.ErrNotExist where it has no such file, fs.ErrPermission where a capability is missing.
func ReadIn(proc string, pid int, name string) ([]byte, error) {
	root := fmt.Sprintf("%s/%d/root", proc, pid)
	name = strings.TrimLeft(name, "/")
	fail := func(err error) ([]byte, error) {
		if errors.Is(err, fs.ErrPermission) {
			return nil, opErr("open", root+"/"+name, err)
		}
		return nil, &OpError{Op: "read", What: root + "/" + name, Err: err}
	}
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		err = ErrGone
	}
	if err != nil {
		return fail(err)
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, name, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.6: a link is not followed
		fd, err = unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return fail(err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return fail(errors.New("it is no regular file"))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxReadIn+1))
	if err != nil {
		return fail(err)
	}
	if len(b) > maxReadIn {
		return fail(errors.New("it is too large"))
	}
	return b, nil
}
