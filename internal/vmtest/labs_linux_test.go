package vmtest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// labModules are those of the labs' rules and links, beside modules.
var labModules = []string{"xt_addrtype", "xt_nat", "xt_MASQUERADE", "xt_REDIRECT", "xt_conntrack", "xt_state", "xt_comment", "xt_tcpudp", "gcm", "ctr"}

// buildNscope builds the program into a folder and returns its path.
func buildNscope(t *testing.T, dir string) string {
	t.Helper()
	binary := filepath.Join(dir, "nscope")
	goDoes(t, "build", "-trimpath", "-o", binary, "github.com/nscope/nscope/cmd/nscope")
	return binary
}

// buildTests builds a package's tests into a file.
func buildTests(t *testing.T, file, pkg string) {
	t.Helper()
	goDoes(t, "test", "-c", "-trimpath", "-o", file, "github.com/nscope/nscope/"+pkg)
}

// goDoes builds as everything is built that is shipped, so that it is compiled once.
func goDoes(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %q: %v\n%s", args, err, out)
	}
}

// TestLabs: in a machine whose kernel has everything, every mode of lab passes and none is skipped.
func TestLabs(t *testing.T) {
	nettest.NeedsRoot(t)
	dir, remove, err := nettest.ScratchDir()
	if err != nil {
		t.Fatal(err)
	}
	defer remove()
	binary, tests := buildNscope(t, dir), filepath.Join(dir, "e2e")
	buildTests(t, tests, "internal/e2e")
	m := vm.New(t, vm.Config{Modules: append(labModules, modules...)})
	loadsNone(t, m)
	args := []string{binary, "lab", "test", "-o", "json"}
	if only := os.Getenv("NSCOPE_LABS"); only != "" {
		args = append(args, strings.Fields(only)...) // while one is worked on
	} else {
		args = append(args, "all")
	}
	var out, errs bytes.Buffer
	begun := time.Now()
	code, err := m.Exec(t.Context(), vm.Command{Args: args, Dir: "/", Stdout: &out, Stderr: &errs})
	t.Logf("exit code %d after %v\n%s", code, time.Since(begun).Round(time.Millisecond), &errs)
	if err != nil {
		t.Fatalf("%v\nthe machine's console:\n%s", err, m.Console())
	}
	var reports []fixtures.Report
	if err := json.Unmarshal(out.Bytes(), &reports); err != nil {
		t.Fatalf("%v in %s", err, &out)
	}
	if len(reports) == 0 || len(reports) != len(fixtures.Modes()) && args[len(args)-1] == "all" {
		t.Errorf("%d reports for %d modes", len(reports), len(fixtures.Modes()))
	}
	for _, r := range reports {
		t.Run(r.Mode, func(t *testing.T) {
			if r.Status != fixtures.Pass || len(r.Checks) == 0 {
				t.Errorf("%s: lacks %v; %s", r.Status, r.Needs, r.Error)
			}
			for _, c := range r.Checks {
				if c.Status != fixtures.Pass {
					t.Errorf("%s: %s\n%s", c.Status, c.Name, c.Detail)
				}
			}
			t.Logf("%d checks in %d ms", len(r.Checks), r.TookMS)
		})
	}
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	t.Run("capture", func(t *testing.T) { captureThere(t, m, tests, binary) })
	left, _, err := m.Run(t.Context(), "sh", "-c", "ls -A /run/netns; ls -d /run/nscope 2>/dev/null; ps -e -o args= | grep 'lab-[hk]'")
	if err != nil || left != "" {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
