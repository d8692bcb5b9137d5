package netns

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestEndedWhileRead: of a process that ends while it is read, after its network namespace was and before its mount namespace, nothing is told: half
// of it would be a process without a mount namespace.
func TestEndedWhileRead(t *testing.T) {
	proc := t.TempDir()
	for pid, files := range map[int][]string{1: {"net", "mnt"}, 100: {"net", "mnt"}, 200: {"net"}} {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		if err := os.MkdirAll(filepath.Join(dir, "ns"), 0o755); err != nil {
			t.Fatal(err)
		}
		content := map[string]string{
			"stat":    strconv.Itoa(pid) + " (containerd-shim) S 1 1 1 0 -1 4194560 0 0",
			"cmdline": "containerd-shim\x00-namespace\x00moby\x00",
		}
		for _, f := range files {
			content["ns/"+f] = ""
		}
		for name, text := range content {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	found, err := Find(t.Context(), WithProc(proc))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range found.Processes {
		pids = append(pids, p.PID)
	}
	if len(pids) != 2 || pids[0] != 1 || pids[1] != 100 {
		t.Errorf("processes %v, want 1 and 100", pids)
	}
	for _, ns := range found.Namespaces {
		for _, h := range ns.Holders {
			if h.PID == 200 {
				t.Errorf("%s is held by what has ended", ns.ID)
			}
		}
	}
}
