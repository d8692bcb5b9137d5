package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path"
	"slices"
	"strings"
)

// ErrTooLarge is wrapped by errors about files and answers that exceed their limit.
var ErrTooLarge = errors.New("larger than its limit")

// ErrNotRegular is wrapped by the error of reading what is not a regular file.
var ErrNotRegular = errors.New("not a regular file")

// Root is the root folder of a mount namespace. The zero value is the reader's own.
type Root struct {
	// Prefix is the path at which it is reached ("/proc/1234/root"), empty for the reader's own.
	Prefix string
	// held keeps the mount namespace in reach when the process of Prefix ends; nil where it is reached by name.
	held *os.File
}

// Hold opens a root, so that it stays in reach when the process ends through which it is. Release lets go of it.
func Hold(prefix string) (Root, error) {
	f, err := holdRoot(prefix)
	return Root{Prefix: prefix, held: f}, err
}

// Release undoes Hold.
func (r Root) Release() {
	if r.held != nil {
		r.held.Close()
	}
}

// Path is how a file of the root is called in messages.
func (r Root) Path(name string) string { return r.Prefix + path.Clean("/"+name) }

// FileInfo is what tells one file from another.
type FileInfo struct {
	Dev, Ino uint64
	Mode     fs.FileMode
	// FSType is the magic number of the file system (statfs), 0 where unknown.
	FSType int64
}

// IsSocket tells whether it is a unix socket.
func (i FileInfo) IsSocket() bool { return i.Mode&fs.ModeSocket != 0 }

// Stat follows symbolic links inside the root.
func (r Root) Stat(name string) (FileInfo, error) {
	f, err := r.openPath(name)
	if err != nil {
		return FileInfo{}, err
	}
	defer f.Close()
	return fileInfo(f)
}

// ReadFile reads a regular file of at most limit bytes.
func (r Root) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: r.Path(name), Err: ErrNotRegular}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, &fs.PathError{Op: "read", Path: r.Path(name), Err: fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)}
	}
	return data, nil
}

// maxEntries bounds a folder: more containers than that no machine runs.
const maxEntries = 1 << 16

// ReadDir returns the sorted names in a folder.
func (r Root) ReadDir(name string) ([]string, error) {
	f, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxEntries)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// Dial connects to a unix socket of the root.
//
// The address of a socket has room for 108 bytes, and a link on the way may be absolute: so the file is opened first (O_PATH),
// where the kernel allows it, and connected to by descriptor.
func (r Root) Dial(ctx context.Context, name string) (net.Conn, error) {
	f, err := r.openPath(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", dialAddress(f))
	if err != nil {
		// The address says nothing to the user: /proc/self/fd/7.
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, &fs.PathError{Op: "connect to", Path: r.Path(name), Err: err}
	}
	return conn, nil
}

// maxLinks is the kernel's limit (MAXSYMLINKS).
const maxLinks = 40

// resolve walks a path inside a root by hand, where the kernel cannot (openat2 is Linux 5.6). Between the walk and the
// use the path may change; the kernel's way has no such gap.
func (r Root) resolve(name string) (string, error) {
	if r.Prefix == "" {
		return name, nil
	}
	prefix := r.walkFrom()
	todo := strings.Split(path.Clean("/"+name), "/")
	at, links := "/", 0
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		info, err := os.Lstat(prefix + next)
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "resolve", Path: r.Path(name), Err: errors.New("too many links")}
		}
		target, err := os.Readlink(prefix + next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			at = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return prefix + at, nil
}
