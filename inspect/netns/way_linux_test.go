package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestWayTaken: where the descriptor that led to a namespace is closed, or another file's, the namespace is not there any more.
func TestWayTaken(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	w := way{pid: os.Getpid(), fd: int(f.Fd())}
	if _, err := w.open("4:1"); !errors.Is(err, ErrChanged) || !Vanished(err) {
		t.Errorf("a descriptor that is a file's: %v", err)
	}
	if (&Namespace{ways: []way{w}}).Reachable() {
		t.Error("by a descriptor that is a file's a namespace is reached")
	}
	f.Close()
	w.fd = 9999 // its own number is what the search opens next
	if _, err := w.open("4:1"); !errors.Is(err, ErrGone) || !Vanished(err) {
		t.Errorf("a descriptor that is closed: %v", err)
	}
}

// TestOpenSocket: what is opened in the place of a namespace may be anything.
func TestOpenSocket(t *testing.T) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := OpenPath(fmt.Sprintf("/proc/self/fd/%d", fd), ""); !errors.Is(err, ErrNotNetNS) || !Vanished(err) {
		t.Errorf("a socket: %v", err)
	}
}
