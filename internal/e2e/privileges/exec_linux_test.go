package privileges

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestExecTargets: every form of TARGET, by what the command sees.
func TestExecTargets(t *testing.T) {
	m := newMachine(t)
	bin := nscope(t)
	m.must(t, `ip netns add red; ip -n red link add mark0 type veth peer name near0 netns 1 2>/dev/null || true
		ip -n red link show mark0 >/dev/null`)
	red := m.inode(t, "/run/netns/red")
	pid, _ := m.start(t, "", "ip netns exec red")
	show := []string{"ip", "-br", "link", "show"}
	for _, target := range []string{"red", fmt.Sprintf("netns:%d", red), fmt.Sprintf("pid:%d", pid), "path:/run/netns/red", "if:mark0"} {
		r := m.run(t, append([]string{bin, "exec", target, "--"}, show...)...).wantCode(t, 0)
		if !strings.Contains(r.out, "mark0") || strings.Contains(r.out, "near0") || r.err != "" {
			t.Errorf("%s: %v", target, r)
		}
	}
	for _, target := range []string{"host", "self"} {
		if r := m.run(t, append([]string{bin, "exec", target, "--"}, show...)...).wantCode(t, 0); !strings.Contains(r.out, "near0") {
			t.Errorf("%s: %v", target, r)
		}
	}
	for target, says := range map[string]string{
		"nobody-knows": "nothing is known", "pid:x": "no process id", "pid:4194304": "no process 4194304",
		"path:/etc/passwd": "not a network namespace", "path:/nowhere": "/nowhere", "netns:1": "nothing is known", "if:none0": "nothing is known",
	} {
		m.run(t, bin, "exec", target, "--", "true").wantCode(t, 2).wantErr(t, says)
	}
	m.run(t, bin, "exec", "red").wantCode(t, 2).wantErr(t, "exec takes a TARGET")
	m.run(t, bin, "exec").wantCode(t, 2)
	m.run(t, bin, "exec", "red", "--").wantCode(t, 2)
	m.run(t, bin, "--from", "x.json", "exec", "red", "--", "true").wantCode(t, 2).wantErr(t, "--from")
}

// TestExecCommand: exit codes, arguments, descriptors, signals and the terminal are the command's own.
func TestExecCommand(t *testing.T) {
	m := newMachine(t)
	bin := nscope(t)
	m.must(t, "ip netns add red")
	do := func(args ...string) result {
		t.Helper()
		return m.run(t, append([]string{bin, "exec", "red", "--"}, args...)...)
	}
	do("true").wantCode(t, 0)
	for _, code := range []int{1, 2, 3, 42, 255} {
		do("sh", "-c", fmt.Sprintf("exit %d", code)).wantCode(t, code)
	}
	do("no-such-command").wantCode(t, 127).wantErr(t, "cannot run no-such-command: not found in $PATH")
	do("/no/such/file").wantCode(t, 127).wantErr(t, "cannot run /no/such/file: no such file")
	do("/etc/passwd").wantCode(t, 126).wantErr(t, "cannot run /etc/passwd: permission denied")
	do("/etc").wantCode(t, 126).wantErr(t, "is a directory")
	if r := do("sh", "-c", `printf "%s|" "$@"`, "-", "a b", "--", "", "-x"); r.out != "a b|--||-x|" {
		t.Errorf("arguments: %v", r)
	}
	const list = "ls /proc/self/fd | tr '\\n' ' '"
	if r, want := do("sh", "-c", list), m.run(t, "sh", "-c", list); r.out != want.out {
		t.Errorf("descriptors: %v\nwant %v", r, want)
	}
	if r := do("sh", "-c", "ulimit -n"); r.out != m.run(t, "sh", "-c", "ulimit -n").out {
		t.Errorf("the limit of descriptors is not the caller's: %v", r)
	}

	// It is the same process: a signal to nscope's pid is one to the command.
	for sig, code := range map[syscall.Signal]int{syscall.SIGTERM: 17, syscall.SIGINT: 18} {
		args := m.enter(bin, "exec", "red", "--", "sh", "-c", `trap 'exit 17' TERM; trap 'exit 18' INT; echo $$ ready; while :; do sleep 0.05; done`)
		cmd := exec.Command(args[0], args[1:]...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 64)
		n, _ := out.Read(b)
		said := string(b[:n])
		if !strings.HasSuffix(said, " ready\n") {
			t.Fatalf("the command says %q", said)
		}
		m.must(t, fmt.Sprintf("kill -%d %s", sig, strings.Fields(said)[0]))
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%v: exit code %d, want %d", sig, got, code)
		}
	}

	nettest.NeedsTool(t, "script")
	if r := m.run(t, "script", "-qec", bin+" exec red -- sh -c 'test -t 0 && test -t 1 && tty'", "/dev/null").wantCode(t, 0); !strings.Contains(r.out, "/dev/pts/") {
		t.Errorf("no terminal: %v", r)
	}
}

// TestExecResolv: the command sees the target's resolv.conf, and nobody else sees a difference, also where one of the two
// is a link, and where nscope dies halfway.
func TestExecResolv(t *testing.T) {
	m := newMachine(t)
	bin := nscope(t)
	// A machine whose /etc is its own, with a resolv.conf that is a link, as systemd-resolved makes it.
	m.must(t, `mkdir /run/etc /run/work /run/resolve; mount -t tmpfs tmpfs /run/etc; mkdir /run/etc/up /run/etc/work
		mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/up,workdir=/run/etc/work overlay /etc
		rm -f /etc/resolv.conf; echo "nameserver 192.0.2.1" >/run/resolve/stub; ln -s ../run/resolve/stub /etc/resolv.conf`)
	// A container: a root of its own, in which the link is absolute and leads to what only exists there.
	pid, _ := m.start(t, "", `unshare -nm sh -ec '
		mkdir -p /run/c && mount -t tmpfs tmpfs /run/c && mkdir -p /run/c/etc /run/c/run/inner /run/c/bin
		echo "nameserver 127.0.0.11" >/run/c/run/inner/conf; ln -s /run/inner/conf /run/c/etc/resolv.conf
		cp "$(command -v busybox)" /run/c/bin/sleep; exec chroot /run/c /bin/sleep 1000' -`)
	eventually(t, "the container", func() bool {
		return m.run(t, "sh", "-c", fmt.Sprintf("readlink /proc/%d/root | grep -q /run/c", pid)).code == 0
	})
	target := fmt.Sprintf("pid:%d", pid)
	if r := m.run(t, bin, "exec", "--resolv", target, "--", "cat", "/etc/resolv.conf").wantCode(t, 0); r.out != "nameserver 127.0.0.11\n" {
		t.Errorf("the command's: %v", r)
	}
	if r := m.run(t, bin, "exec", target, "--", "cat", "/etc/resolv.conf").wantCode(t, 0); r.out != "nameserver 192.0.2.1\n" {
		t.Errorf("without --resolv: %v", r)
	}
	before := m.must(t, "cat /proc/1/mountinfo; ls /tmp | grep nscope-resolv || true; ls -la /etc/resolv.conf /run/resolve")
	args := m.enter(bin, "exec", "--resolv", target, "--", "sh", "-c", "echo $$; exec sleep 1000")
	cmd := exec.Command(args[0], args[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 32)
	n, _ := out.Read(b)
	if got := m.must(t, "cat /etc/resolv.conf"); got != "nameserver 192.0.2.1" {
		t.Errorf("the host's became %q meanwhile", got)
	}
	m.must(t, "kill -9 "+strings.TrimSpace(string(b[:n])))
	_ = cmd.Wait()
	if after := m.must(t, "cat /proc/1/mountinfo; ls /tmp | grep nscope-resolv || true; ls -la /etc/resolv.conf /run/resolve"); after != before {
		t.Errorf("it left something:\n%s\nbefore:\n%s", after, before)
	}
	m.must(t, "ip netns add lonely")
	m.run(t, bin, "exec", "--resolv", "lonely", "--", "true").wantCode(t, 1).wantErr(t, "no process is known in lonely")
	m.must(t, "rm /etc/resolv.conf")
	m.run(t, bin, "exec", "--resolv", target, "--", "true").wantCode(t, 1).wantErr(t, "there is no /etc/resolv.conf")
}

// TestExecHostRoot: in a container the command is the host's, with the same exit codes; each capability that lacks is named.
func TestExecHostRoot(t *testing.T) {
	m := newMachine(t)
	bin := nscope(t)
	m.must(t, `ip netns add red; mkdir -p /run/image/proc; cp `+bin+` /run/image/nscope; mount -t proc proc /run/image/proc; echo host >/run/whose`)
	in := func(how []string, args ...string) result {
		t.Helper()
		line := append([]string{"unshare", "-m"}, how...)
		return m.run(t, append(append(line, "chroot", "/run/image", "/nscope"), args...)...)
	}
	if r := in(nil, "exec", "netns:"+fmt.Sprint(m.inode(t, "/run/netns/red")), "--", "cat", "/run/whose").wantCode(t, 0); r.out != "host\n" {
		t.Errorf("the default in a container: %v", r)
	}
	if r := in(nil, "exec", "--own-root", "self", "--", "/nscope", "version").wantCode(t, 0); !strings.Contains(r.out, "1.2.3-test") {
		t.Errorf("--own-root: %v", r)
	}
	in(nil, "exec", "--own-root", "self", "--", "cat", "/run/whose").wantCode(t, 127)
	in(nil, "exec", "--own-root", "--host-root", "self", "--", "true").wantCode(t, 2)
	in(nil, "exec", "self", "--", "sh", "-c", "exit 9").wantCode(t, 9)
	// chroot(1) itself needs the capability, so nscope is started by its path in the machine.
	withFive := caps(0, five...)
	m.run(t, append(append([]string{"unshare", "-m"}, withFive...), bin, "exec", "--host-root", "self", "--", "true")...).
		wantCode(t, 3).wantErr(t, "the host's mount namespace", "(needs CAP_SYS_CHROOT)")
	m.run(t, append(append([]string{"unshare", "-m"}, caps(0, append([]string{"CAP_SYS_CHROOT"}, five...)...)...), bin, "exec", "--host-root", "self", "--", "true")...).wantCode(t, 0)
	// Who is there already needs nothing.
	m.run(t, append(caps(0, "CAP_SYS_PTRACE"), bin, "exec", "--host-root", "self", "--", "true")...).wantCode(t, 0)
}

// TestExecDenied: what may not be entered is exit code 3 and the two capabilities, whatever the form.
func TestExecDenied(t *testing.T) {
	m := newMachine(t)
	bin := nscope(t)
	m.must(t, "ip netns add red")
	pid, _ := m.start(t, "", "unshare -n")
	for target, name := range map[string]string{
		"red": `netns "red"`, "pid:" + fmt.Sprint(pid): fmt.Sprintf("process %d", pid), "path:/run/netns/red": `"/run/netns/red"`, "host": `"host"`, "c17": `"c17"`,
	} {
		r := m.run(t, append(caps(65534), bin, "exec", target, "--", "true")...).wantCode(t, 3)
		if want := "nscope: cannot enter the netns of " + name + ": needs CAP_SYS_ADMIN and CAP_SYS_PTRACE (have neither): run as root or see docs/privileges.md\n"; r.err != want {
			t.Errorf("%s: %q, want %q", target, r.err, want)
		}
	}
	m.run(t, append(caps(65534, "CAP_SYS_PTRACE"), bin, "exec", "red", "--", "true")...).wantCode(t, 3).wantErr(t, "(have only the second)")
	m.run(t, append(caps(65534, "CAP_SYS_ADMIN"), bin, "exec", "red", "--", "true")...).wantCode(t, 0) // mounted where anybody may look
	m.run(t, append(caps(65534, "CAP_SYS_ADMIN"), bin, "exec", fmt.Sprintf("pid:%d", pid), "--", "true")...).wantCode(t, 3).wantErr(t, "(have only the first)")
	m.run(t, append(caps(65534), bin, "exec", "self", "--", "true")...).wantCode(t, 0)
	m.run(t, append(caps(65534), bin, "exec", "--resolv", "self", "--", "true")...).wantCode(t, 3).wantErr(t, "CAP_SYS_ADMIN")
}

// TestPlugins: by the names that docker and kubectl look for.
func TestPlugins(t *testing.T) {
	bin := nscope(t)
	dir := t.TempDir()
	link := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(bin, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kubectl, docker := link("kubectl-nscope"), link("docker-nscope")
	if r := perform(t, kubectl, "show", "self", "-o", "name").wantCode(t, 0); !strings.HasPrefix(r.out, "netns:") {
		t.Errorf("kubectl: %v", r)
	}
	perform(t, kubectl, "shwo").wantCode(t, 2).wantErr(t, "kubectl nscope --help")
	perform(t, docker, "nscope", "version", "-o", "name").wantCode(t, 0)
	for _, cli := range []string{"/usr/bin/docker", "/usr/local/bin/docker"} {
		if _, err := os.Stat(cli); err != nil {
			continue
		}
		config := t.TempDir()
		if err := os.MkdirAll(filepath.Join(config, "cli-plugins"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(bin, filepath.Join(config, "cli-plugins", "docker-nscope")); err != nil {
			t.Fatal(err)
		}
		call := func(args ...string) result {
			t.Helper()
			cmd := exec.Command(cli, append([]string{"--config", config}, args...)...)
			cmd.Env = append(os.Environ(), "DOCKER_HOST=unix:///nowhere/docker.sock")
			return performCmd(t, cmd)
		}
		if r := call("nscope", "version", "-o", "name").wantCode(t, 0); r.out != "1.2.3-test\n" {
			t.Errorf("%s nscope version: %v", cli, r)
		}
		if r := call("nscope", "ns", "--no-engine", "-o", "json").wantCode(t, 0); len(decode[[]any](t, r)) == 0 {
			t.Errorf("%s nscope ns: %v", cli, r)
		}
		if r := call("nscope", "exec", "self", "--", "sh", "-c", "exit 42"); r.code != 42 {
			t.Errorf("%s nscope exec: %v", cli, r)
		}
		if r := call("--help"); !strings.Contains(r.out, "nscope*") || !strings.Contains(r.out, "network namespaces") {
			t.Errorf("%s does not list the plugin: %v", cli, r)
		}
		call("nscope", "shwo").wantCode(t, 2).wantErr(t, "docker nscope --help")
	}
	nettest.Needs(t, exec.Command("/usr/bin/docker", "--version").Run() == nil, "docker")
}
