package vmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if built.remove != nil {
		built.remove()
	}
	os.Exit(code)
}

// built are the programs that machines run, each built once.
var built struct {
	sync.Mutex
	dir    string
	remove func()
}

// buildNscope builds the program and returns its path.
func buildNscope(t *testing.T) string {
	t.Helper()
	return goBuilds(t, "nscope", "build", "cmd/nscope")
}

// buildTests builds a package's tests and returns their path.
func buildTests(t *testing.T, pkg string) string {
	t.Helper()
	return goBuilds(t, strings.ReplaceAll(pkg, "/", "-")+".test", "test -c", pkg)
}

// goBuilds builds as other tests do, so that it is compiled once: as what is shipped, but without the profile (default.pgo), by which every
// package of the program would be compiled a second time.
func goBuilds(t *testing.T, name, verb, pkg string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		var err error
		if built.dir, built.remove, err = nettest.ScratchDir(); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(built.dir, name)
	if _, err := os.Stat(file); err == nil {
		return file
	}
	cmd := exec.Command("go", append(strings.Fields(verb), "-trimpath", "-pgo=off", "-o", file, "github.com/nscope/nscope/"+pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	return file
}
