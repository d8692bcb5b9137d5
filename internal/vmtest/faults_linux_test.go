package vmtest

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/faults"
	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// elsewhere are the features that kernels of development and CI machines may lack: what needs one of them is run here.
var elsewhere = []string{
	"8021q", "ipvlan", "esp4", "ip_vs", "VLAN filtering of bridges", "sch_netem",
}

// here tells whether a fault in a mode is run here.
func here(f faults.Fault, l faults.Lab, m fixtures.Mode) bool {
	return slices.ContainsFunc(slices.Concat(f.Needs, l.Needs, m.Info().Needs), func(need string) bool { return slices.Contains(elsewhere, need) })
}

// vmPatience is how long a command may take there.
const vmPatience = 3 * time.Minute

// faultVM is a machine with nscope.
type faultVM struct {
	*vm.VM
	nscope string
}

// TestFaults: what labs can be broken with where the kernel has more, and what is the whole machine's.
func TestFaults(t *testing.T) {
	nettest.NeedsRoot(t)
	m := faultVM{nscope: buildNscope(t)}
	m.VM = vm.New(t, vm.Config{Modules: append(labModules, modules...)})
	loadsNone(t, m.VM)
	only := strings.Fields(os.Getenv("NSCOPE_FAULTS")) // while some are worked on
	t.Run("labs", func(t *testing.T) {
		for _, mode := range fixtures.Modes() {
			var ids []string
			name := mode.Info().Name
			for _, f := range faults.All() {
				if l, ok := f.For(name); ok && here(f, l, mode) && (len(only) == 0 || slices.Contains(only, f.ID)) {
					ids = append(ids, f.ID)
				}
			}
			if len(ids) == 0 {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				m.must(t, "up", name)
				for _, id := range ids {
					m.fault(t, name, id)
				}
				m.must(t, "down", name)
			})
		}
	})
	for _, f := range faults.All() {
		if f.By == faults.ByMachine && (len(only) == 0 || slices.Contains(only, f.ID)) {
			t.Run(f.ID, func(t *testing.T) { m.whole(t, f.ID) })
		}
	}
	left, _, err := m.Run(t.Context(), "sh", "-c", "ls -A /run/netns; ls -d /run/nscope 2>/dev/null; ps -e -o args= | grep 'lab-[hk]'")
	if err != nil || left != "" {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// lab runs nscope lab there.
func (m faultVM) lab(t *testing.T, args ...string) (out, errText string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), vmPatience)
	defer cancel()
	var o, e bytes.Buffer
	code, err := m.Exec(ctx, vm.Command{Args: append([]string{m.nscope, "lab"}, args...), Dir: "/", Stdout: &o, Stderr: &e})
	if err != nil {
		t.Fatalf("lab %q: %v\nthe machine's console:\n%s", args, err, m.Console())
	}
	return o.String(), e.String(), code
}

func (m faultVM) must(t *testing.T, args ...string) {
	t.Helper()
	if out, errText, code := m.lab(t, args...); code != 0 {
		t.Fatalf("lab %q: exit code %d\n%s%s", args, code, out, errText)
	}
}

// fault breaks a lab and repairs it; one that is not whole then is made anew.
func (m faultVM) fault(t *testing.T, lab, id string) {
	t.Helper()
	for _, args := range [][]string{{"break", lab, id}, {"repair", lab}} {
		out, errText, code := m.lab(t, append(args, "-o", "json")...)
		var r fixtures.FaultReport
		if code == 0 {
			if err := json.Unmarshal([]byte(out), &r); err != nil {
				t.Fatalf("%v in %s", err, out)
			}
		}
		if code != 0 || r.Fault != id || r.Status != fixtures.Pass || args[0] == "break" && len(r.Failed) == 0 {
			t.Errorf("lab %q of %s: exit code %d\n%s\n%s", args, id, code, errText, out)
			m.must(t, "down", lab)
			m.must(t, "up", lab)
			return
		}
		t.Logf("lab %q of %s: %d ms", args, id, r.TookMS)
	}
}

// wholes are the lines that break the whole machine, in the initial namespace, and those that repair it.
var wholes = map[string]struct{ breakIt, repair string }{
	"neigh-table-overflow": {
		"cd /proc/sys/net/ipv4/neigh/default; cat gc_thresh1 gc_thresh2 gc_thresh3 >/tmp/thresh; for n in 1 2 3; do echo 1 >gc_thresh$n; done",
		"cd /proc/sys/net/ipv4/neigh/default; { read a; read b; read c; } </tmp/thresh; echo $c >gc_thresh3; echo $b >gc_thresh2; echo $a >gc_thresh1",
	},
	"conntrack-full": {
		"cd /proc/sys/net/netfilter; cat nf_conntrack_max >/tmp/max; echo 1 >nf_conntrack_max",
		"cat /tmp/max >/proc/sys/net/netfilter/nf_conntrack_max",
	},
}

// whole: a lab made on a healthy machine works, on a broken one it does not, on a repaired one it works again.
func (m faultVM) whole(t *testing.T, id string) {
	lines, ok := wholes[id]
	if !ok {
		t.Fatal("nothing breaks a machine so")
	}
	sh := func(line string) {
		if out, code, err := m.Run(t.Context(), "sh", "-ec", line); err != nil || code != 0 {
			t.Errorf("%s: exit code %d, %v\n%s", line, code, err, out)
		}
	}
	test := func(healthy bool) {
		out, errText, code := m.lab(t, "test", "bridge", "-o", "json")
		var r []fixtures.Report
		if err := json.Unmarshal([]byte(out), &r); err != nil || len(r) != 1 || r[0].Error != "" {
			t.Fatalf("exit code %d, %v, %s\n%s", code, err, errText, out)
		}
		failed := 0
		for _, c := range r[0].Checks {
			if c.Status != fixtures.Pass {
				failed++
				t.Logf("%s: %s", c.Name, c.Detail)
			}
		}
		if healthy != (failed == 0) {
			t.Errorf("healthy: %v, and %d of %d checks fail", healthy, failed, len(r[0].Checks))
		}
	}
	test(true)
	sh(lines.breakIt)
	test(false)
	sh(lines.repair)
	test(true)
}
