package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/topo"
)

// TestHolders has namespaces that only one thing holds each: `nscope ns` lists them all, with what holds them.
func TestHolders(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "unshare", "mount")
	own := fmt.Sprint(os.Getpid())
	var want []heldBy

	// A descriptor of this process.
	h := nettest.New(t)
	want = append(want, heldBy{h.ID().Inode(), "fd", own, topo.RoleOther})

	// A thread of this process that is elsewhere, and the descriptor by which it went there.
	inside, done := make(chan uint64), make(chan struct{})
	away := nettest.New(t)
	go func() {
		if err := away.Do(func() error {
			inside <- netnsInode("/proc/thread-self/ns/net")
			<-done
			return nil
		}); err != nil {
			t.Error(err)
		}
		inside <- 0
	}()
	want = append(want, heldBy{<-inside, "thread", "", topo.RoleOther})
	defer func() { close(done); <-inside }()

	// A socket alone: it was opened inside, and nothing else is left.
	alone, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if err := alone.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	want = append(want, heldBy{alone.ID().Inode(), "socket", own, topo.RoleOther})
	alone.Close()

	// A mount in a mount namespace of its own, that the machine's mount table does not show.
	cmd := exec.Command("unshare", "-m", "sh", "-ec", `mount --make-rprivate /; mount -t tmpfs tmpfs /mnt; touch /mnt/hidden
unshare -n sh -ec 'mount --bind /proc/self/ns/net /mnt/hidden; stat -L -c %i /proc/self/ns/net'; exec cat`)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	var mounted uint64
	line, err := bufio.NewReader(out).ReadString('\n')
	if _, err2 := fmt.Sscan(line, &mounted); err != nil || err2 != nil {
		t.Fatalf("%q: %v %v", line, err, err2)
	}
	want = append(want, heldBy{mounted, "mount", "hidden", topo.RoleOther})

	// A process alone.
	p := nettest.Start(t, nettest.New(t), "sleep", "1000")
	want = append(want, heldBy{netnsInode(fmt.Sprintf("/proc/%d/ns/net", p.Process.Pid)), "proc", "", topo.RoleOther}) // and the descriptor by which it was started

	text, _ := run(t, 0, "--no-engine", "ns", "-o", "json")
	var rows []topo.NSRow
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		t.Fatal(err)
	}
	table, _ := run(t, 0, "--no-engine", "ns", "-o", "wide")
	for _, w := range want {
		found := false
		for _, r := range rows {
			if r.Inode != w.inode {
				continue
			}
			found = true
			if r.Role != w.role || !w.in(r.Holders) {
				t.Errorf("%+v, want %+v", r, w)
			}
		}
		if !found || !strings.Contains(table, fmt.Sprint(w.inode)) {
			t.Errorf("netns %+v is missing", w)
		}
	}
}

type heldBy struct {
	inode      uint64
	kind, what string
	role       string
}

// in tells whether the row says so: "fd 1234 e2e.test", or "1 proc, 1 fd" where there are several.
func (w heldBy) in(holders string) bool {
	return strings.Contains(holders, w.kind) && strings.Contains(holders, w.what)
}
