package privileges

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

func TestMain(m *testing.M) {
	code := peer.Main(m)
	scratch.remove()
	os.Exit(code)
}

// scratch is a folder that everybody may read. A shell that waits for the test process to end, however it does, removes it.
var scratch scratchDir

type scratchDir struct {
	once   sync.Once
	dir    string
	err    error
	rmdirs func()
}

func (s *scratchDir) path(tb testing.TB) string {
	tb.Helper()
	s.once.Do(s.make)
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.dir
}

func (s *scratchDir) make() { s.dir, s.rmdirs, s.err = nettest.ScratchDir() }

func (s *scratchDir) remove() {
	if s.rmdirs != nil {
		s.rmdirs()
	}
}

var build struct {
	sync.Once
	err error
}

// nscope is the real binary, static as it is released, built once for all tests of the process.
func nscope(tb testing.TB) string {
	tb.Helper()
	nettest.NeedsRoot(tb)
	path := filepath.Join(scratch.path(tb), "nscope")
	build.Do(func() {
		cmd := exec.Command("go", "build", "-trimpath", "-pgo=off", "-ldflags", "-s -w -X github.com/nscope/nscope/cmd.version=1.2.3-test", "-o", path, "github.com/nscope/nscope/cmd/nscope")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			build.err = fmt.Errorf("build nscope: %w\n%s", err, out)
		}
	})
	if build.err != nil {
		tb.Fatal(build.err)
	}
	return path
}

// result is what a command did.
type result struct {
	args     []string
	out, err string
	code     int
}

func (r result) String() string {
	return fmt.Sprintf("%s\nexit code %d\n%s%s", strings.Join(r.args, " "), r.code, r.out, r.err)
}

// perform runs a command to its end. That it fails is a result.
func perform(tb testing.TB, args ...string) result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	return performCmd(tb, exec.CommandContext(ctx, args[0], args[1:]...))
}

func performCmd(tb testing.TB, cmd *exec.Cmd) result {
	tb.Helper()
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	r := result{args: cmd.Args, out: out.String(), err: errOut.String(), code: cmd.ProcessState.ExitCode()}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		tb.Fatalf("%v: %v", r, err)
	}
	for _, bad := range []string{"panic:", "goroutine ", "SIGSEGV", "runtime error", "DATA RACE"} {
		if strings.Contains(r.err, bad) {
			tb.Errorf("a stack trace: %v", r)
		}
	}
	return r
}

// decode parses a command's output.
func decode[T any](tb testing.TB, r result) (v T) {
	tb.Helper()
	if err := json.Unmarshal([]byte(r.out), &v); err != nil {
		tb.Errorf("no JSON: %v: %v", err, r)
	}
	return v
}

// wantCode fails the test unless the exit code is that.
func (r result) wantCode(tb testing.TB, code int) result {
	tb.Helper()
	if r.code != code {
		tb.Errorf("want exit code %d: %v", code, r)
	}
	return r
}

// wantErr fails the test unless standard error has all of the texts.
func (r result) wantErr(tb testing.TB, texts ...string) result {
	tb.Helper()
	for _, s := range texts {
		if !strings.Contains(r.err, s) {
			tb.Errorf("want %q on standard error: %v", s, r)
		}
	}
	return r
}

// eventually waits for something.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("still not: %s", what)
		}
	}
}
