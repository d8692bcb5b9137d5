package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nscope/nscope/fixtures/peer"
)

// TestMain ends the shared labs.
func TestMain(m *testing.M) {
	code := peer.Main(m)
	removeBinary()
	os.Exit(code)
}

var built struct {
	sync.Once
	dir, path string
	err       error
}

// binary builds nscope once, as it is shipped: static, and where everybody may run it, in a lab's hosts too.
func binary(tb testing.TB) string {
	tb.Helper()
	built.Do(func() {
		built.dir, built.err = os.MkdirTemp("/tmp", "nscope-e2e-")
		if built.err != nil {
			return
		}
		if built.err = os.Chmod(built.dir, 0o755); built.err != nil {
			return
		}
		built.path = filepath.Join(built.dir, "nscope")
		cmd := exec.Command("go", "build", "-trimpath", "-o", built.path, "github.com/nscope/nscope/cmd/nscope")
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
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
}
