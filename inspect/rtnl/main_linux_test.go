package rtnl

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// needRoot skips a test that cannot run here, and fails it where everything must.
func needRoot(tb testing.TB) {
	tb.Helper()
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("NSCOPE_MUST_RUN") == "1" {
		tb.Fatal("needs root, and NSCOPE_MUST_RUN is set")
	}
	tb.Skip("skip: needs root")
}

// testNS is a network namespace that lives as long as the test, held by a descriptor.
type testNS struct {
	tb testing.TB
	fd *os.File
}

// newNS makes a namespace on a thread that dies with it: a thread that unshared never goes back to the scheduler.
func newNS(tb testing.TB) *testNS {
	tb.Helper()
	needRoot(tb)
	ns := &testNS{tb: tb}
	ns.onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
		ns.fd, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	tb.Cleanup(func() { ns.fd.Close() })
	return ns
}

// onThread runs f on a locked thread that then dies.
func (ns *testNS) onThread(f func() error) {
	ns.tb.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	if err := <-done; err != nil {
		ns.tb.Fatal(err)
	}
}

// do runs f inside the namespace.
func (ns *testNS) do(f func() error) {
	ns.tb.Helper()
	ns.onThread(func() error {
		if err := unix.Setns(int(ns.fd.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return f()
	})
}

// run runs a program inside and returns what it prints; it must succeed.
func (ns *testNS) run(line string, args ...string) string {
	ns.tb.Helper()
	args = append(strings.Fields(line), args...)
	var out []byte
	ns.do(func() (err error) {
		out, err = exec.Command(args[0], args[1:]...).CombinedOutput()
		return err
	})
	return string(out)
}

// try runs a program inside and tells whether it succeeded.
func (ns *testNS) try(line string) bool {
	ok := false
	ns.do(func() error {
		args := strings.Fields(line)
		ok = exec.Command(args[0], args[1:]...).Run() == nil
		return nil
	})
	return ok
}

// ip runs one ip command per line.
func (ns *testNS) ip(lines string) {
	ns.tb.Helper()
	for line := range strings.Lines(lines) {
		args := strings.Fields(line)
		if len(args) == 0 {
			continue
		}
		ns.do(func() error {
			out, err := exec.Command("ip", args...).CombinedOutput()
			if err != nil {
				ns.tb.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
			}
			return nil
		})
	}
}

// path is one that other programs can open.
func (ns *testNS) path() string {
	return "/proc/" + itoa(os.Getpid()) + "/fd/" + itoa(int(ns.fd.Fd()))
}

// open opens a Conn inside.
func (ns *testNS) open() *Conn {
	ns.tb.Helper()
	var c *Conn
	ns.do(func() (err error) { c, err = Open(); return err })
	ns.tb.Cleanup(func() { c.Close() })
	return c
}
