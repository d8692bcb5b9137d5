package tui

import (
	"os"
	"testing"
	"time"
)

// TestMain settles the time zone of what is drawn, once: what still waits in another test reads it, too.
func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}
