package nettest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// ownRun marks a process that has a /run of its own already.
const ownRun = "NSCOPE_TEST_OWN_RUN"

// OwnRun gives the test process a mount namespace of its own with an empty /run; call it first in TestMain. What its tests name
// under /run/netns is then seen by nobody else: a mount namespace that another package's tests make at the same time would
// copy the names, and hold the namespaces for as long as it lives. It begins the program anew, under the same pid, and does
// nothing for who is not root.
func OwnRun() {
	if os.Geteuid() != 0 || os.Getenv(ownRun) != "" {
		return
	}
	unshare, err := exec.LookPath("unshare")
	if err == nil {
		var self string
		if self, err = os.Executable(); err == nil {
			const script = `umount -l -R /run 2>/dev/null || umount -l -R /run/netns 2>/dev/null
mount -t tmpfs -o mode=755 nscope-test /run && exec "$0" "$@"`
			args := append([]string{"unshare", "-m", "--propagation", "private", "sh", "-c", script, self}, os.Args[1:]...)
			err = syscall.Exec(unshare, args, append(os.Environ(), ownRun+"=1"))
		}
	}
	fmt.Fprintln(os.Stderr, "a /run of its own:", err)
	os.Exit(1)
}
