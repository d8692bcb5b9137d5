package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

// machine is a host for labs of a test alone: its own network, processes, mounts and /run. All of it ends with the test
// process, however that ends: its first process reads a pipe that only the test holds.
type machine struct {
	// pid is its first process.
	pid    int
	nscope string
}

// machineInit is the life of a machine's first process. It ignores SIGCHLD, so that orphans leave no zombies.
const machineInit = `
umount -l -R /run 2>/dev/null; mkdir -p /run && mount -t tmpfs tmpfs /run && mkdir -p /run/lock || exit 1
trap '' CHLD
sh -c 'ip link set lo up' || exit 1
echo ready
exec cat >/dev/null
`

func newMachine(t *testing.T) *machine {
	t.Helper()
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "unshare", "nsenter", "ip")
	nscope := binary(t)
	cmd := exec.Command("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "sh", "-c", machineInit)
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
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the machine does not start: %q, %v", line, err)
	}
	child, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", cmd.Process.Pid, cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{nscope: nscope}
	if m.pid, err = strconv.Atoi(strings.TrimSpace(string(child))); err != nil {
		t.Fatal(err)
	}
	return m
}

// command is a program on the machine.
func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"-t", strconv.Itoa(m.pid), "-n", "-m", "-p", "--"}, args...)...)
	cmd.WaitDelay = time.Second
	return cmd
}

// longest is how long any single command may take.
const longest = 60 * time.Second

// try runs a program on the machine: what it printed, its errors, its exit code.
func (m *machine) try(t *testing.T, args ...string) (out, errText string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	cmd := m.command(ctx, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatalf("%q: %v", args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("%q hangs\n%s%s", args, o.String(), e.String())
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// run runs a program that must succeed.
func (m *machine) run(t *testing.T, args ...string) string {
	t.Helper()
	out, errText, code := m.try(t, args...)
	if code != 0 {
		t.Fatalf("%q: exit code %d\n%s%s", args, code, out, errText)
	}
	return out
}

// lab runs nscope lab.
func (m *machine) lab(t *testing.T, args ...string) (out, errText string, code int) {
	t.Helper()
	return m.try(t, append([]string{m.nscope, "lab"}, args...)...)
}

// labOK runs nscope lab, which must succeed.
func (m *machine) labOK(t *testing.T, args ...string) string {
	t.Helper()
	return m.run(t, append([]string{m.nscope, "lab"}, args...)...)
}

// up makes a lab, or skips the test for the feature that the kernel lacks.
func (m *machine) up(t *testing.T, mode, name string) {
	t.Helper()
	out, errText, code := m.lab(t, "up", mode, "--name", name)
	if code == 0 {
		return
	}
	if _, after, ok := strings.Cut(errText, "this kernel has no "); ok {
		feature, _, _ := strings.Cut(after, ":")
		if lacks(t, m, feature) {
			t.Skip("skip: needs " + feature)
		}
	}
	t.Fatalf("lab up %s: exit code %d\n%s%s", mode, code, out, errText)
}

// missing makes links of the kinds, and asks for the files, that a feature brings: where that fails too it is missing indeed.
var missing = map[string][]string{
	"ipvlan":            {"sh", "-c", "ip link add p type veth peer name q && ip link add link p name i type ipvlan; r=$?; ip link del p; exit $r"},
	"8021q":             {"sh", "-c", "ip link add p type veth peer name q && ip link add link p name i type vlan id 5; r=$?; ip link del p; exit $r"},
	"ip_vs":             {"test", "-e", "/proc/net/ip_vs"},
	"br_netfilter":      {"test", "-e", "/proc/sys/net/bridge"},
	"esp4":              {"ip", "xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0x1", "mode", "transport", "aead", "rfc4106(gcm(aes))", "0x4434663336353233343536373839", "64"},
	"rfc4106(gcm(aes))": {"ip", "xfrm", "state", "add", "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0x1", "mode", "transport", "aead", "rfc4106(gcm(aes))", "0x4434663336353233343536373839", "64"},
}

// lacks tells whether the kernel has not got a feature, as another program sees it.
func lacks(t *testing.T, m *machine, feature string) bool {
	t.Helper()
	probe, ok := missing[feature]
	if !ok {
		t.Errorf("lacks %q, which this test does not know to ask for", feature)
		return false
	}
	out, errText, code := m.try(t, append([]string{"unshare", "--net"}, probe...)...)
	t.Logf("%s: exit code %d %s%s", feature, code, out, errText)
	return code != 0
}

// jsonOf decodes what a command prints.
func jsonOf[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return v
}

// traces are what labs could leave on a machine: names of namespaces, mounts, processes, files.
type traces struct {
	Names, Mounts, Processes, Files []string
}

func (m *machine) traces(t *testing.T) traces {
	t.Helper()
	root := fmt.Sprintf("/proc/%d/root", m.pid)
	var out traces
	walk := func(dir string, into *[]string) {
		filepath.Walk(root+dir, func(path string, _ os.FileInfo, err error) error {
			if err == nil {
				*into = append(*into, strings.TrimPrefix(path, root))
			}
			return nil
		})
	}
	walk("/run/netns", &out.Names)
	walk("/run/nscope", &out.Files)
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", m.pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if at := strings.Fields(line)[4]; at == "/run" || strings.HasPrefix(at, "/run/") {
			out.Mounts = append(out.Mounts, at)
		}
	}
	for _, p := range m.processes(t) {
		out.Processes = append(out.Processes, p.line)
	}
	slices.Sort(out.Processes)
	return out
}

type process struct {
	pid  int // as the machine calls it
	line string
}

// processes are those of the machine that live, but its first.
func (m *machine) processes(t *testing.T) (out []process) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/root/proc", m.pid)
	entries, err := os.ReadDir(proc)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == 1 {
			continue
		}
		line, err := os.ReadFile(filepath.Join(proc, e.Name(), "cmdline"))
		stat, err2 := os.ReadFile(filepath.Join(proc, e.Name(), "stat"))
		if err != nil || err2 != nil {
			continue
		}
		if state := string(stat[bytes.LastIndexByte(stat, ')')+2]); state == "Z" || state == "X" {
			continue
		}
		out = append(out, process{pid, string(bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '}))})
	}
	return out
}

// noTraces waits for the machine to be as before.
func (m *machine) noTraces(t *testing.T, before traces) {
	t.Helper()
	eventually(t, "nothing is left", func() error {
		if now := m.traces(t); !slices.Equal(now.Names, before.Names) || !slices.Equal(now.Mounts, before.Mounts) ||
			!slices.Equal(now.Processes, before.Processes) || !slices.Equal(now.Files, before.Files) {
			return fmt.Errorf("before %+v\nnow %+v", before, now)
		}
		return nil
	})
}
