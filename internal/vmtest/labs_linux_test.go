package vmtest

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// labModules are those of the labs' rules and links, beside modules.
var labModules = []string{"xt_addrtype", "xt_nat", "xt_MASQUERADE", "xt_REDIRECT", "xt_conntrack", "xt_state", "xt_comment", "xt_tcpudp", "gcm", "ctr"}

// TestLabs: in a machine whose kernel has everything, every mode of lab passes and none is skipped; and of those that other kernels
// cannot make, nscope shows live what their descriptions say.
func TestLabs(t *testing.T) {
	nettest.NeedsRoot(t)
	binary, endToEnd := buildNscope(t), buildTests(t, "internal/e2e")
	m := vm.New(t, vm.Config{Modules: append(labModules, modules...), Life: 14 * time.Minute})
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
	t.Run("capture", func(t *testing.T) { captureThere(t, m, endToEnd, binary) })
	t.Run("topo", func(t *testing.T) { onlyThere(t, m, endToEnd, "TestLabTopology", "NSCOPE_BINARY="+binary) })
	left, _, err := m.Run(t.Context(), "sh", "-c", "ls -A /run/netns; ls -d /run/nscope 2>/dev/null; ps -e -o args= | grep 'lab-[hk]'")
	if err != nil || left != "" {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// onlyThere runs a test of all modes on those that need what other kernels lack.
func onlyThere(t *testing.T, m *vm.VM, tests, name string, env ...string) {
	t.Helper()
	var only []string
	for _, mode := range fixtures.Modes() {
		if slices.ContainsFunc(mode.Info().Needs, func(need string) bool { return slices.Contains(elsewhere, need) }) {
			only = append(only, mode.Info().Name)
		}
	}
	var out bytes.Buffer
	begun := time.Now()
	code, err := m.Exec(t.Context(), vm.Command{
		// One lab at a time: what is read of one has the others, too.
		Args: []string{tests, "-test.v", "-test.timeout=15m", "-test.parallel=1", "-test.run=^" + name + "$"},
		Env:  append(env, nettest.MustRun+"=1", "NSCOPE_LABS="+strings.Join(only, " ")),
		Dir:  "/", Stdout: &out, Stderr: &out,
	})
	if passed := strings.Count(out.String(), "    --- PASS: "+name+"/"); err != nil || code != 0 || passed != len(only) || passed == 0 {
		t.Errorf("exit code %d, %v, %d of %v passed\n%s", code, err, passed, only, &out)
	}
	t.Logf("%s of %d modes in %v", name, len(only), time.Since(begun).Round(time.Second))
}
