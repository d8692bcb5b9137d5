package privileges

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// rows runs `nscope ns` and returns its rows and standard error.
func (m *machine) rows(t *testing.T, how []string, args ...string) (map[uint64]topo.NSRow, string) {
	t.Helper()
	r := m.run(t, append(append(append([]string{}, how...), nscope(t), "ns", "-o", "json"), args...)...).wantCode(t, 0)
	rows := map[uint64]topo.NSRow{}
	for _, row := range decode[[]topo.NSRow](t, r) {
		rows[row.Inode] = row
	}
	return rows, r.err
}

// TestUnprivileged: a user without any capability gets what can be read, exit code 0, and few lines about the rest.
func TestUnprivileged(t *testing.T) {
	m := newMachine(t)
	for range 20 {
		m.start(t, "", "unshare -n")
	}
	for _, cmd := range [][]string{{"ps", "-o", "json"}, {"ns", "-o", "json"}, {"topo", "-o", "json"}, {"show", "self", "-o", "json"}, {"snapshot", "-"}} {
		r := m.run(t, append(append(caps(65534), nscope(t)), cmd...)...).wantCode(t, 0)
		decode[any](t, r)
		lines := strings.Count(r.err, "\n")
		if cmd[1] != "self" && (lines == 0 || lines > 4) || !strings.HasPrefix(r.err+"nscope: gap: ", "nscope: gap: ") {
			t.Errorf("%d lines: %v", lines, r)
		}
	}
	m.run(t, append(caps(65534), nscope(t), "find", "10.0.0.1")...).wantCode(t, 1).wantErr(t, "CAP_SYS_PTRACE")
}

// TestHidepid: a /proc that hides other users' processes looks like one where they are not.
func TestHidepid(t *testing.T) {
	m := newMachine(t)
	m.start(t, "", "unshare -n")
	m.must(t, "mount -o remount,hidepid=2 /proc")
	rest := []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_DAC_READ_SEARCH"}
	rows, said := m.rows(t, caps(65534, rest...))
	if len(rows) != 1 || !strings.Contains(said, "hidepid=") || !strings.Contains(said, "CAP_SYS_PTRACE") {
		t.Errorf("%d namespaces: %s", len(rows), said)
	}
	if rows, said := m.rows(t, caps(65534, five...)); len(rows) != 2 || said != "" {
		t.Errorf("with CAP_SYS_PTRACE %d namespaces: %s", len(rows), said)
	}
}

// TestHost: on the machine itself the initial namespace is known and nothing is missing, also where pid 1 alone is closed to
// root, as on some hypervisors: the kernel's threads are in it too.
func TestHost(t *testing.T) {
	bin := nscope(t)
	st, err := os.Stat("/proc/2/ns/net")
	comm, _ := os.ReadFile("/proc/2/comm")
	if err != nil || string(comm) != "kthreadd\n" {
		t.Skip("skip: needs the initial pid namespace")
	}
	r := perform(t, bin, "ns", "--no-engine", "-o", "json").wantCode(t, 0)
	rows := decode[[]topo.NSRow](t, r)
	if !slices.ContainsFunc(rows, func(n topo.NSRow) bool {
		return n.Role == "host" && n.Inode == st.Sys().(*syscall.Stat_t).Ino && n.Links > 0
	}) {
		t.Errorf("the host's namespace is not among %+v", rows)
	}
	if strings.Contains(r.err, "processes:") || strings.Contains(r.err, "note:") {
		t.Errorf("it says %s", r.err)
	}
}

// TestNoInit: from a user namespace below, pid 1 and everything else is closed, whatever capabilities there are.
func TestNoInit(t *testing.T) {
	m := newMachine(t)
	how := []string{"unshare", "--user", "--map-root-user"}
	rows, said := m.rows(t, how)
	if len(rows) == 0 || !strings.Contains(said, "AppArmor, SELinux, Yama or a user namespace") {
		t.Errorf("%v %s", rows, said)
	}
}

// TestFewDescriptors: with 64 descriptors a hundred namespaces are read all the same.
func TestFewDescriptors(t *testing.T) {
	nettest.NeedsTool(t, "prlimit")
	m := newMachine(t)
	m.must(t, "for i in $(seq 100); do ip netns add n$i; done")
	rows, said := m.rows(t, []string{"prlimit", "--nofile=64:64"})
	if len(rows) != 101 || said != "" {
		t.Errorf("%d namespaces, want 101: %s", len(rows), said)
	}
	for _, r := range rows {
		if r.Links == 0 {
			t.Errorf("%+v was not read", r)
		}
	}
	m.run(t, "prlimit", "--nofile=64:64", nscope(t), "snapshot", "/run/s.json").wantCode(t, 0).wantErr(t, "101 namespaces", " 0 gaps")
}

// TestNoProc: nothing can be done without /proc, and that is said.
func TestNoProc(t *testing.T) {
	m := newMachine(t)
	for _, cmd := range []string{"ps", "ns", "topo", "show self", "exec self -- true"} {
		m.run(t, "unshare", "-m", "sh", "-c", "while umount -l /proc 2>/dev/null; do :; done; exec "+nscope(t)+" "+cmd).wantCode(t, 1).wantErr(t, "/proc")
	}
	m.run(t, nscope(t), "--proc", "/etc", "ps").wantCode(t, 1).wantErr(t, "no procfs")
	m.run(t, nscope(t), "--proc", "/nowhere", "ps").wantCode(t, 1).wantErr(t, "/nowhere")
}

// TestClosedSocket: an engine's socket that may not be written to costs a line, and only the names.
func TestClosedSocket(t *testing.T) {
	m := newMachine(t)
	l, err := net.Listen("unix", m.path("/run/docker.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m.must(t, "chmod 660 /run/docker.sock")
	m.start(t, "", "unshare -n")
	rows, said := m.rows(t, caps(65534, five...))
	if len(rows) != 2 || strings.Count(said, "\n") != 1 || !strings.Contains(said, "/run/docker.sock") || !strings.Contains(said, "group docker") {
		t.Errorf("%d namespaces: %s", len(rows), said)
	}
	// The same one, as one that hangs.
	begin := time.Now()
	if rows, said := m.rows(t, nil, "--timeout", "200ms"); len(rows) != 2 || !strings.Contains(said, "--timeout") || time.Since(begin) > 5*time.Second {
		t.Errorf("%d namespaces in %v: %s", len(rows), time.Since(begin), said)
	}
}

// TestChurn: namespaces that come and go while nscope looks are no error and no gap.
func TestChurn(t *testing.T) {
	m := newMachine(t)
	m.must(t, "ip netns add stays")
	ctx, cancel := context.WithCancel(t.Context())
	args := m.enter("sh", "-c", `while :; do for i in 1 2 3 4 5 6 7 8; do ip netns add n$i; ip link add v$i type veth peer name p$i netns n$i 2>/dev/null; done; for i in 1 2 3 4 5 6 7 8; do ip netns del n$i; done; done`)
	churn := exec.CommandContext(ctx, args[0], args[1:]...)
	if err := churn.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = churn.Wait() }()
	rounds := 50
	if testing.Short() {
		rounds = 10
	}
	met := 0
	for range rounds {
		r := m.run(t, nscope(t), "snapshot", "-").wantCode(t, 0)
		snap := decode[snapshot.Snapshot](t, r)
		if len(snap.Gaps) > 0 || r.err != "" {
			t.Errorf("gaps %+v, said %q", snap.Gaps, r.err)
		}
		if n := len(snap.Namespaces); n < 2 {
			t.Errorf("%d namespaces", n)
		} else if n > 2 {
			met++
		}
	}
	if met == 0 {
		t.Error("no namespace of the churn was ever seen: nothing was tested")
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		t.Error("the churn ended early")
	}
}
