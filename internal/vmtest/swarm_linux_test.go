package vmtest

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// swarmModules are what engines load or need loaded, beside modules and labModules.
var swarmModules = []string{"overlay", "iptable_nat", "iptable_mangle", "iptable_filter", "xt_mark", "xt_bpf", "ip_vs_rr"}

// TestSwarm: a real swarm, in a machine whose kernel has IPVS.
func TestSwarm(t *testing.T) {
	nettest.NeedsRoot(t)
	binary, nscope := buildTests(t, "internal/vmtest"), buildNscope(t)
	m := vm.New(t, vm.Config{Memory: 4096, Modules: append(append(swarmModules, labModules...), modules...), Life: 18 * time.Minute})
	loadsNone(t, m)
	var out bytes.Buffer
	begun := time.Now()
	code, err := m.Exec(t.Context(), vm.Command{
		Args: []string{binary, "-test.v", "-test.timeout=16m", "-test.run=^TestSwarmInside$"},
		Env:  []string{nettest.MustRun + "=1", inside + "=1", "NSCOPE_BINARY=" + nscope, long + "=" + os.Getenv(long)},
		Dir:  "/", Stdout: &out, Stderr: &out,
	})
	t.Logf("after %v:\n%s", time.Since(begun).Round(time.Second), &out)
	if err != nil || code != 0 || !bytes.Contains(out.Bytes(), []byte("--- PASS: TestSwarmInside")) {
		t.Errorf("exit code %d, %v\nthe machine's console:\n%s", code, err, m.Console())
	}
}
