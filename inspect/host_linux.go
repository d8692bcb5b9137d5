package inspect

import (
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/procnet"
	"github.com/nscope/nscope/inspect/snapshot"
)

// readHost reads what is of the whole kernel.
func readHost(proc string) (snapshot.Host, []snapshot.Gap) {
	h := snapshot.Host{Arch: runtime.GOARCH, BootID: readLine(proc + "/sys/kernel/random/boot_id")}
	var gaps []snapshot.Gap
	h.Name, _ = os.Hostname()
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		h.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	// Where our /proc is the host's and we are in a container, pid 1's root is the host's: its identity files and not
	// the image's. It may be closed to us; then ours are the best there is.
	for _, root := range []string{proc + "/1/root", ""} {
		if h.MachineID == "" {
			h.MachineID = readLine(root + "/etc/machine-id")
		}
		if h.OS == "" {
			h.OS = osName(root)
		}
	}
	var err error
	if h.Counters, err = procnet.HostCounters(proc); err != nil {
		gaps = append(gaps, snapshot.Gap{Reader: "host counters", Error: err.Error(), Needs: needsOf(err)})
	}
	return h, gaps
}

func readLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	s, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(s)
}

// osName is PRETTY_NAME of os-release(5).
func osName(root string) string {
	b, err := os.ReadFile(root + "/etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}
