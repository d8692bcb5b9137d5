package vmtest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// captureThere runs the tests that capture in labs which other kernels cannot make: an encrypted overlay, the routing mesh.
func captureThere(t *testing.T, m *vm.VM, tests, nscope string) {
	t.Helper()
	var out bytes.Buffer
	begun := time.Now()
	code, err := m.Exec(t.Context(), vm.Command{
		Args: []string{tests, "-test.v", "-test.timeout=4m", "-test.parallel=1", "-test.run=^TestCapture(Encrypted|Mesh)$"},
		Env:  []string{nettest.MustRun + "=1", "NSCOPE_BINARY=" + nscope},
		Dir:  "/", Stdout: &out, Stderr: &out,
	})
	if passed := strings.Count(out.String(), "\n--- PASS: TestCapture"); err != nil || code != 0 || passed != 2 {
		t.Errorf("exit code %d, %v, %d passed\n%s", code, err, passed, &out)
	}
	t.Logf("%v", time.Since(begun).Round(time.Second))
}
