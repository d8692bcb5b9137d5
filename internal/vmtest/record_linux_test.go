package vmtest

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// go test ./internal/vmtest -run TestRecordPictures -record
var recordPictures = flag.Bool("record", false, "write docs/examples/lab-*.json.zst anew, from labs in a virtual machine")

// pictureModules are what labs need and nothing that makes devices of its own, which would be in every picture.
var pictureModules = []string{
	"8021q", "bridge", "br_netfilter", "veth", "macvlan", "ipvlan", "vxlan", "tun", "esp4", "xfrm_user", "nf_tables", "nft_compat", "nft_chain_nat",
	"xt_ipvs", "xt_mark", "xt_policy", "xt_u32", "ip_vs", "ip_vs_rr", "nf_conntrack_netlink", "inet_diag", "tcp_diag", "udp_diag", "raw_diag",
}

// TestRecordPictures takes the snapshots of labs that docs/labs.md draws: in a machine that has nothing else, and all modes.
func TestRecordPictures(t *testing.T) {
	if !*recordPictures {
		t.Skip("skip: writes files, with -record")
	}
	nettest.NeedsRoot(t)
	nscope := buildNscope(t)
	m := vm.New(t, vm.Config{Modules: append(labModules, pictureModules...)})
	run := func(args ...string) []byte {
		t.Helper()
		var out, errs bytes.Buffer
		code, err := m.Exec(t.Context(), vm.Command{Args: args, Dir: "/", Stdout: &out, Stderr: &errs})
		if err != nil || code != 0 {
			t.Fatalf("%v: exit code %d, %v\n%s\nthe machine's console:\n%s", args, code, err, &errs, m.Console())
		}
		return out.Bytes()
	}
	run("hostname", "lab")
	for _, mode := range fixtures.Modes() {
		name := mode.Info().Name
		run(nscope, "lab", "up", name, "--name", "lab")
		s, err := snapshot.Read(bytes.NewReader(run(nscope, "snapshot", "-")))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		run(nscope, "lab", "down", "lab")
		file := filepath.Join("../../docs/examples", "lab-"+name+".json.zst")
		if err := snapshot.Save(file, s); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
