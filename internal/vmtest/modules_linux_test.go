package vmtest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/vm"
)

// loadsNone fails a test during which the kernel of its machine loads a module of IPVS by itself, and names what else it loads: what
// tests need is best loaded before them.
//
// Some modules are asked for under a lock that the end of another namespace waits for, while loading them waits for that end. A service
// of IPVS with the scheduler lblc or lblcr does so in Linux 6.1: adding it holds __ip_vs_mutex (ip_vs_genl_set_cmd, ip_vs_scheduler_get),
// modprobe waits for pernet_ops_rwsem (register_pernet_subsys), cleanup_net holds that and, when a device of its namespace goes down,
// waits for __ip_vs_mutex with rtnl held (ip_vs_dst_event). From then on nothing in the machine gets rtnl.
func loadsNone(t *testing.T, m *vm.VM) {
	t.Helper()
	read := func() ([]string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // a test's own context is over when it cleans up
		defer cancel()
		out, code, err := m.Run(ctx, "cut", "-d ", "-f1", "/proc/modules")
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d: %s", code, out)
		}
		return strings.Fields(out), err
	}
	before, err := read()
	if err != nil {
		t.Fatalf("the machine's modules: %v", err)
	}
	t.Cleanup(func() {
		after, err := read()
		if err != nil {
			t.Logf("the machine's modules: %v", err) // it ended: whoever ran in it says so
			return
		}
		for _, name := range after {
			switch {
			case slices.Contains(before, name):
			case strings.HasPrefix(name, "ip_vs"):
				t.Errorf("the kernel loaded %s while tests ran: name it among the machine's modules", name)
			default:
				t.Logf("the kernel loaded %s while tests ran", name)
			}
		}
	})
}
