package netns

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
