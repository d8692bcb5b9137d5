package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestMain ends the shared labs.
func TestMain(m *testing.M) {
	nettest.OwnRun()
	// Labs that are broken and repaired wait for answers that do not come: more of them at a time than there are processors.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	code := peer.Main(m)
	removeBinary()
	os.Exit(code)
}

var built struct {
	sync.Once
	path   string
	remove func()
	err    error
}

// binary builds nscope once, as it is shipped: static, and where everybody may run it, in a lab's hosts too.
func binary(tb testing.TB) string {
	tb.Helper()
	built.Do(func() {
		if built.path = os.Getenv("NSCOPE_BINARY"); built.path != "" {
			return // where there is no time to build: in a virtual machine
		}
		var dir string
		if dir, built.remove, built.err = nettest.ScratchDir(); built.err != nil {
			return
		}
		built.path = filepath.Join(dir, "nscope")
		cmd := exec.Command("go", "build", "-trimpath", "-pgo=off", "-o", built.path, "github.com/nscope/nscope/cmd/nscope")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w: %s", err, out)
		}
	})
	if built.err != nil {
		tb.Fatal(built.err)
	}
	return built.path
}

func removeBinary() {
	if built.remove != nil {
		built.remove()
	}
}
