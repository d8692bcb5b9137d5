package privileges

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// machine is a small host of its own: pid, mount, network, UTS and IPC namespaces, in which nothing runs that the test did
// not start. Its first process reads a pipe of the test process and ends with it, and everything else with that.
type machine struct {
	pid   int
	files int
}

const machineScript = `
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/pids
hostname machine
ip link set lo up
echo ready
exec cat
`

func newMachine(t *testing.T) *machine {
	t.Helper()
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "nsenter", "unshare", "setpriv", "ip", "mount", "hostname")
	cmd := exec.Command("sh", "-c", machineScript)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC}
	cmd.Dir = "/"
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := nettest.New(t).Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the machine is not ready: %q %v", line, err)
	}
	return &machine{pid: cmd.Process.Pid}
}

// enter is the command line that runs another one in the machine.
func (m *machine) enter(args ...string) []string {
	return append([]string{"nsenter", "-t", strconv.Itoa(m.pid), "-a", "--"}, args...)
}

func (m *machine) run(t *testing.T, args ...string) result {
	t.Helper()
	return perform(t, m.enter(args...)...)
}

// must runs a shell script in the machine.
func (m *machine) must(t *testing.T, script string) string {
	t.Helper()
	return strings.TrimSpace(m.run(t, "sh", "-ec", script).wantCode(t, 0).out)
}

// start runs a shell script in the machine and then, in its place, sleep, with the files open; as tells how sleep is
// started. It returns sleep's pid in the machine and what $say was.
func (m *machine) start(t *testing.T, script, as string, files ...*os.File) (pid int, said string) {
	t.Helper()
	m.files++
	note := fmt.Sprintf("/run/pids/%d", m.files)
	args := m.enter("sh", "-ec", script+"\necho $$ $say >"+note+".new; mv "+note+".new "+note+"; exec "+as+" sleep 1000")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.ExtraFiles, cmd.Stderr = "/", files, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	var b []byte
	eventually(t, script, func() (ok bool) {
		var err error
		b, err = os.ReadFile(m.path(note))
		return err == nil
	})
	first, said, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatalf("%s said %q", script, b)
	}
	return pid, said
}

// path is a file of the machine as the test sees it.
func (m *machine) path(name string) string { return fmt.Sprintf("/proc/%d/root%s", m.pid, name) }

func (m *machine) inode(t *testing.T, name string) uint64 {
	t.Helper()
	st, err := os.Stat(m.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Ino
}

// netns opens the machine's own network namespace.
func (m *machine) netns(t *testing.T) *netns.Handle {
	t.Helper()
	h, err := netns.OpenPath(fmt.Sprintf("/proc/%d/ns/net", m.pid), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

// loose makes a namespace that nothing but the returned file holds.
func loose(t *testing.T) (*os.File, uint64) {
	t.Helper()
	h := nettest.New(t)
	fd, err := unix.FcntlInt(uintptr(h.FD()), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	id := h.ID()
	h.Close()
	return os.NewFile(uintptr(fd), "netns"), id.Inode()
}

// write writes a file of the machine.
func (m *machine) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(m.path(filepath.Dir(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.path(name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// inodeOf parses "net:[4026532184]".
func inodeOf(t *testing.T, link string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(link, "net:["), "]"), 10, 64)
	if err != nil {
		t.Fatalf("%q is no netns", link)
	}
	return n
}

// caps is the command line that runs another one with these capabilities alone; as a user other than root they are
// ambient, so that the command has them.
func caps(uid int, names ...string) []string {
	set := "-all"
	for _, n := range names {
		set += ",+" + strings.ToLower(strings.TrimPrefix(n, "CAP_"))
	}
	if uid == 0 {
		return []string{"setpriv", "--inh-caps=-all", "--bounding-set=" + set}
	}
	args := []string{"setpriv", fmt.Sprintf("--reuid=%d", uid), fmt.Sprintf("--regid=%d", uid), "--clear-groups", "--inh-caps=" + set, "--bounding-set=" + set}
	if len(names) > 0 {
		args = append(args, "--ambient-caps="+set)
	}
	return args
}

// find returns the namespace of a snapshot with that inode.
func find(s *snapshot.Snapshot, inode uint64) *snapshot.Namespace {
	for i := range s.Namespaces {
		if s.Namespaces[i].ID.Inode() == inode {
			return &s.Namespaces[i]
		}
	}
	return nil
}
