package nettest

import (
	"os"
	"os/exec"
	"testing"

	"github.com/nscope/nscope/inspect/netns"
)

// MustRun is the environment variable that turns a skip for something missing into a failure: CI sets it, so that
// nothing that must run there is skipped silently.
const MustRun = "NSCOPE_MUST_RUN"

// Handle is [netns.Handle], for the tests of packages that may not import inspect/netns.
type Handle = netns.Handle

// Needs skips the test for lack of what, or fails it where [MustRun] is set.
func Needs(tb testing.TB, ok bool, what string) {
	tb.Helper()
	switch {
	case ok:
	case os.Getenv(MustRun) == "1":
		tb.Fatalf("must run here, but needs %s", what)
	default:
		tb.Skipf("skip: needs %s", what)
	}
}

// NeedsRoot skips the test unless it runs as root.
func NeedsRoot(tb testing.TB) {
	tb.Helper()
	Needs(tb, os.Geteuid() == 0, "root")
}

// NeedsTool skips the test unless a program is installed.
func NeedsTool(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		_, err := exec.LookPath(name)
		Needs(tb, err == nil, name)
	}
}

// New makes a namespace that only the test's handle holds: it is gone when the test process is, however that ends.
func New(tb testing.TB) *netns.Handle {
	tb.Helper()
	NeedsRoot(tb)
	h, err := netns.New()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { h.Close() })
	return h
}

// Run runs a command inside a namespace and returns its standard output.
func Run(tb testing.TB, h *netns.Handle, name string, args ...string) string {
	tb.Helper()
	out, err := Try(h, name, args...)
	if err != nil {
		tb.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// Try runs a command inside a namespace and returns what it printed.
func Try(h *netns.Handle, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out []byte
	// The child is born of the thread that is inside; the goroutine that copies its output needs no namespace.
	err := h.Do(func() (err error) { out, err = cmd.CombinedOutput(); return err })
	return string(out), err
}

// Start starts a command inside a namespace and ends it (by its pid) with the test.
func Start(tb testing.TB, h *netns.Handle, name string, args ...string) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command(name, args...)
	if err := h.Do(cmd.Start); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd
}
