package vmtest

import (
	"bytes"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// modules are those of the tests' kinds, although the kernel would load most by itself: what a distribution drops shows at once.
var modules = []string{
	"8021q", "dummy", "bridge", "br_netfilter", "veth", "macvlan", "macvtap", "ipvlan", "ipvtap", "vxlan", "geneve", "wireguard", "bonding", "vrf",
	"ip_gre", "ip6_gre", "ipip", "sit", "ip6_tunnel", "ip_vti", "ip6_vti", "xfrm_interface", "ifb", "tun",
	"esp4", "esp6", "xfrm_user", "sch_netem", "sch_ingress", "sch_tbf",
	// All schedulers: a service that makes the kernel load ip_vs_lblc or ip_vs_lblcr can stop the machine (fixtures/ipvs, hasScheduler).
	"nf_tables", "nft_compat", "nft_chain_nat", "xt_ipvs", "xt_mark", "xt_policy", "xt_u32", "nf_conntrack_netlink",
	"ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_lblc", "ip_vs_lblcr", "ip_vs_dh", "ip_vs_sh", "ip_vs_sed", "ip_vs_nq", "ip_vs_fo", "ip_vs_ovf", "ip_vs_mh",
	// nscope causes none of these to be loaded: without them it reads less.
	"inet_diag", "tcp_diag", "udp_diag", "raw_diag", "unix_diag",
}

// packages are those whose tests run in the machine, with the arguments of each.
var packages = []struct {
	path string
	args []string
}{
	{"inspect/rtnl", nil},
	{"inspect/netns", nil},
	{"inspect/bpf", nil},
	{"inspect/procnet", nil},
	{"inspect/sockdiag", nil},
	{"inspect", nil},
	{"internal/e2e", []string{"-test.run=^TestRandomTopologies$", "-test.short"}},
	{"internal/vmtest", []string{"-test.run=^TestInside"}},
}

// maySkip are those that only write files.
var maySkip = []string{"TestRecord"}

// TestPackages runs test binaries, built here, in a machine whose kernel has everything: nothing may be skipped.
func TestPackages(t *testing.T) {
	nettest.NeedsRoot(t)
	binaries := map[string]string{}
	for _, p := range packages {
		binaries[p.path] = buildTests(t, p.path)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}

	// An emulated machine stands still now and then, with both processors idle: then another one is asked, once. A test that fails has
	// failed.
	if still := runPackages(t, root, binaries); still {
		if still = runPackages(t, root, binaries); still {
			t.Error("two machines stood still")
		}
	}
}

// runPackages runs them all in a new machine; true where it did not answer to the end.
func runPackages(t *testing.T, root string, binaries map[string]string) bool {
	begin := time.Now()
	m := vm.New(t, vm.Config{Modules: modules, Life: 7 * time.Minute})
	t.Logf("Linux %s by %s, up after %s", m.Release, m.Accel, time.Since(begin).Round(time.Millisecond))
	loadsNone(t, m)
	var still atomic.Bool
	// A group, so that the machine lives until all are done.
	t.Run("in", func(t *testing.T) {
		for _, p := range packages {
			t.Run(strings.ReplaceAll(p.path, "/", "-"), func(t *testing.T) {
				t.Parallel()
				var out bytes.Buffer
				code, err := m.Exec(t.Context(), vm.Command{
					Args:   append([]string{binaries[p.path], "-test.v", "-test.timeout=10m"}, p.args...),
					Env:    []string{nettest.MustRun + "=1", "NSCOPE_MUST_HAVE_KINDS=1", inside + "=1"},
					Dir:    path.Join(root, p.path),
					Stdout: &out, Stderr: &out,
				})
				t.Log(out.String())
				if err != nil {
					t.Logf("the machine: %v", err)
					still.Store(true)
					return
				}
				if code != 0 {
					t.Errorf("exit code %d", code)
				}
				passed := 0
				for line := range strings.Lines(out.String()) {
					result, test, _ := strings.Cut(strings.TrimSpace(line), ": ")
					test, _, _ = strings.Cut(test, " ")
					switch {
					case result == "--- PASS":
						passed++
					case result == "--- SKIP" && !slices.Contains(maySkip, test):
						t.Errorf("%s was skipped", test)
					}
				}
				if passed == 0 {
					t.Error("no test ran")
				}
			})
		}
	})
	if t.Failed() || still.Load() {
		t.Logf("the machine's console:\n%s", m.Console())
	}
	return still.Load()
}
