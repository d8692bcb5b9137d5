package netns

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

var smallBuf = sync.Pool{New: func() any { b := make([]byte, 8192); return &b }}

// readSmall reads a /proc file of at most 8 KiB without the cost of an os.File; a longer one is cut.
func readSmall(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	bp := smallBuf.Get().(*[]byte)
	defer smallBuf.Put(bp)
	n := 0
	for n < len(*bp) {
		m, err := unix.Read(fd, (*bp)[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return "", err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return string((*bp)[:n]), nil
}

// readAll reads a /proc file whole.
func readAll(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}

// HasCap tells whether the process's effective set has a capability (linux/capability.h).
func HasCap(n int) bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	return data[n/32].Effective&(1<<(n%32)) != 0
}
