package privileges

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/topo"
)

const tag = "nscope:e2e"

// enough is the line of docs/image.md.
var enough = []string{"--net=host", "--pid=host", "--cap-drop=ALL", "--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--cap-add=NET_ADMIN", "--cap-add=NET_RAW", "--cap-add=DAC_READ_SEARCH"}

var archive struct {
	sync.Once
	path string
	err  error
}

// image is the archive that `make image` makes.
func image(t *testing.T) string {
	t.Helper()
	bin, dir := nscope(t), scratch.path(t)
	archive.Do(func() {
		archive.path = filepath.Join(dir, "nscope.tar")
		out, err := exec.Command("go", "run", "github.com/nscope/nscope/internal/mkimage", "-bin", bin, "-tag", tag, "-version", "1.2.3-test", "-o", archive.path).CombinedOutput()
		if err != nil {
			archive.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if archive.err != nil {
		t.Fatal(archive.err)
	}
	return archive.path
}

// dock is a node whose engine has the image.
type dock struct {
	*peer.ModesLab
	node *peer.Node
}

func newDock(t *testing.T) *dock {
	d := &dock{ModesLab: peer.SharedModes(t)}
	d.node = d.Nodes[0]
	d.node.Docker(t, "load", "-i", image(t))
	return d
}

// run is `docker run --rm` with arguments, none of which is a mount.
func (d *dock) run(t *testing.T, how []string, args ...string) result {
	t.Helper()
	cmd := exec.Command("/usr/bin/docker", append(append(append([]string{"run", "--rm"}, how...), tag), args...)...)
	cmd.Env = append(os.Environ(), "DOCKER_HOST=unix://"+d.node.Socket, "DOCKER_CONFIG=/nonexistent")
	return performCmd(t, cmd)
}

// TestImageShowsTheHost: the line of docs/image.md, without any mount, shows every container by name and every namespace.
func TestImageShowsTheHost(t *testing.T) {
	d := newDock(t)
	var seccomp = d.node.Docker(t, append(append([]string{"run", "--rm"}, enough...), peer.Image, "grep", "Seccomp:", "/proc/self/status")...)
	if !strings.HasSuffix(seccomp, "2") {
		t.Errorf("Docker's default seccomp profile is not in force: %s", seccomp)
	}
	if label := d.node.Docker(t, "image", "inspect", "-f", `{{index .Config.Labels "org.opencontainers.image.version"}} {{.Os}} {{.Config.Entrypoint}} {{len .RootFS.Layers}}`, tag); label != "1.2.3-test linux [/nscope] 1" {
		t.Errorf("the image says %q", label)
	}
	// Two namespaces that no engine knows.
	if out, err := d.node.Enter("ip", "netns", "add", "bare").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	t.Cleanup(func() { _ = d.node.Enter("ip", "netns", "del", "bare").Run() })
	nameless := d.node.Enter("unshare", "-n", "sleep", "1000")
	if err := nameless.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nameless.Process.Kill(); _ = nameless.Wait() })
	// nsenter forks: it is the child that must be killed; it goes with the lab.
	t.Cleanup(func() {
		_ = d.node.Enter("sh", "-c", `for p in /proc/[0-9]*; do [ "$(cat $p/comm)" = sleep ] && grep -q 1000 $p/cmdline && kill ${p#/proc/}; done`).Run()
	})

	truth := d.namespaces(t)
	eventually(t, "a namespace without a name", func() bool { truth = d.namespaces(t); return len(truth) >= 15 })
	for how, flags := range map[string][]string{"as documented": enough, "without --net=host": enough[1:]} {
		r := d.run(t, flags, "ns", "-o", "json").wantCode(t, 0)
		rows := map[uint64]topo.NSRow{}
		for _, row := range decode[[]topo.NSRow](t, r) {
			rows[row.Inode] = row
		}
		for ino, name := range truth {
			if row, ok := rows[ino]; !ok || row.Links == 0 {
				t.Errorf("%s: namespace %d (%s) is missing or was not read: %+v", how, ino, name, row)
			}
		}
		said := r.err
		r = d.run(t, flags, "ps", "-o", "json").wantCode(t, 0)
		d.checkPS(t, how, decode[[]topo.PSRow](t, r))
		g := decode[topo.Graph](t, d.run(t, flags, "topo", "-o", "json").wantCode(t, 0))
		if len(g.Gaps) != 0 {
			t.Errorf("%s: gaps %+v", how, g.Gaps)
		}
		said += r.err
		if how == "as documented" && said != "" || strings.Contains(said, "gap") || how != "as documented" && !strings.Contains(said, "nscope itself runs in netns") {
			t.Errorf("%s: it says %s", how, said)
		}
	}
	c2, u1 := d.node.Inspect(t, "c2"), d.node.Inspect(t, "u1")
	for what, who := range map[string]string{
		u1.NetworkSettings.Networks["appnet"].IPAddress: "u1", "8080": "c2", c2.NetworkSettings.Networks["bridge"].MacAddress: "c2", c2.ID[:12]: "c2", c2.NetworkSettings.SandboxKey: "c2", "br-noicc": "noicc",
	} {
		if r := d.run(t, enough, "find", what).wantCode(t, 0); !strings.Contains(r.out, who) {
			t.Errorf("find %s does not tell of %s: %v", what, who, r)
		}
	}
	d.run(t, enough, "find", "10.254.254.254").wantCode(t, 1)
}

// namespaces are those of the node, by inode, as ls and lsns see them.
func (d *dock) namespaces(t *testing.T) map[uint64]string {
	t.Helper()
	out := map[uint64]string{}
	for _, dir := range []string{"/run/docker/netns", "/run/netns"} {
		files, err := os.ReadDir(d.node.Root() + dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if st, err := os.Stat(filepath.Join(d.node.Root()+dir, f.Name())); err == nil {
				out[st.Sys().(*syscall.Stat_t).Ino] = dir + "/" + f.Name()
			}
		}
	}
	list, err := d.node.Enter("lsns", "-t", "net", "-n", "-o", "NS,COMMAND").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		var ino uint64
		if _, err := fmt.Sscan(line, &ino); err == nil {
			out[ino] += " " + strings.TrimSpace(line)
		}
	}
	return out
}

// checkPS compares with docker inspect.
func (d *dock) checkPS(t *testing.T, how string, rows []topo.PSRow) {
	t.Helper()
	for name := range d.Containers {
		c := d.node.Inspect(t, name)
		i := slices.IndexFunc(rows, func(r topo.PSRow) bool { return r.Name == name })
		if i < 0 {
			t.Errorf("%s: container %s is missing", how, name)
			continue
		}
		r := rows[i]
		st, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", d.node.HostPid(t, name)))
		if err != nil {
			t.Fatal(err)
		}
		if r.Engine != "docker" || r.PID != c.State.Pid || r.Netns != st.Sys().(*syscall.Stat_t).Ino {
			t.Errorf("%s: %+v, but pid %d and netns %d", how, r, c.State.Pid, st.Sys().(*syscall.Stat_t).Ino)
		}
		for net, e := range c.NetworkSettings.Networks {
			if e.IPAddress != "" && !slices.ContainsFunc(r.Addresses, func(a string) bool { return strings.HasPrefix(a, e.IPAddress) }) {
				t.Errorf("%s: %s has %v, not %s of network %s", how, name, r.Addresses, e.IPAddress, net)
			}
		}
	}
}

// TestImageAlone: without --pid=host nscope sees little, claims nothing else, and says what would help.
func TestImageAlone(t *testing.T) {
	d := newDock(t)
	caps := enough[2:]
	for _, flags := range [][]string{caps, append([]string{"--net=host"}, caps...), append([]string{"--init"}, caps...), nil} {
		r := d.run(t, flags, "ns", "-o", "json").wantCode(t, 0).wantErr(t, "--pid=host")
		for _, row := range decode[[]topo.NSRow](t, r) {
			if row.Role == "host" || row.Role == "container" {
				t.Errorf("%v: it cannot know that: %+v", flags, row)
			}
		}
		d.run(t, flags, "ps").wantCode(t, 0)
	}
	// Everything is in sight, and closed.
	d.run(t, []string{"--net=host", "--pid=host", "--cap-drop=ALL"}, "ps", "-o", "json").wantCode(t, 0).wantErr(t, "processes:", "CAP_SYS_PTRACE")
}

// TestImageSelf: in another container's namespace nothing is entered, so nothing is needed.
func TestImageSelf(t *testing.T) {
	d := newDock(t)
	addr := d.node.Inspect(t, "c2").NetworkSettings.Networks["bridge"].IPAddress
	for _, flags := range [][]string{nil, {"--cap-drop=ALL"}, {"--cap-drop=ALL", "--user=65534:65534", "--read-only"}} {
		flags = append([]string{"--net=container:c2"}, flags...)
		if r := d.run(t, flags, "show", "self").wantCode(t, 0); !strings.Contains(r.out, addr) || !strings.Contains(r.out, "0.0.0.0/0") && !strings.Contains(r.out, "default") {
			t.Errorf("%v", r)
		}
		if r := d.run(t, flags, "topo", "self", "-o", "json").wantCode(t, 0); !strings.Contains(r.out, addr) {
			t.Errorf("%v", r)
		}
		d.run(t, flags, "ps", "-o", "json").wantCode(t, 0)
		if r := d.run(t, flags, "exec", "self", "--", "/nscope", "version", "-o", "name").wantCode(t, 0); r.out != "1.2.3-test\n" {
			t.Errorf("%v", r)
		}
	}
}

// TestImageExec: the command is the host's, in the container's namespace; that takes one capability more, which is named.
func TestImageExec(t *testing.T) {
	d := newDock(t)
	chroot := append(slices.Clone(enough), "--cap-add=SYS_CHROOT")
	before, err := os.ReadFile(d.node.Root() + "/etc/resolv.conf")
	if err != nil {
		t.Fatal(err)
	}
	addr := d.node.Inspect(t, "c1").NetworkSettings.Networks["bridge"].IPAddress
	if r := d.run(t, chroot, "exec", "c1", "--", "ip", "-br", "addr").wantCode(t, 0); !strings.Contains(r.out, addr) || r.err != "" {
		t.Errorf("%v", r)
	}
	if r := d.run(t, chroot, "exec", "c1", "--", "hostname").wantCode(t, 0); r.out != "node1\n" {
		t.Errorf("%v", r)
	}
	d.run(t, chroot, "exec", "c1", "--", "sh", "-c", "exit 42").wantCode(t, 42)
	if r := d.run(t, chroot, "exec", "--resolv", "u1", "--", "cat", "/etc/resolv.conf").wantCode(t, 0); !strings.Contains(r.out, "127.0.0.11") {
		t.Errorf("%v", r)
	}
	if r := d.run(t, chroot, "exec", "--resolv", "u1", "--", "busybox", "nslookup", "-type=a", "u2").wantCode(t, 0); !strings.Contains(r.out, d.node.Inspect(t, "u2").NetworkSettings.Networks["appnet"].IPAddress) {
		t.Errorf("Docker's DNS does not answer: %v", r)
	}
	if after, err := os.ReadFile(d.node.Root() + "/etc/resolv.conf"); err != nil || string(after) != string(before) {
		t.Errorf("the host's resolv.conf is %q now, was %q (%v)", after, before, err)
	}
	d.run(t, enough, "exec", "c1", "--", "ip", "addr").wantCode(t, 3).wantErr(t, "the host's mount namespace", "(needs CAP_SYS_CHROOT)")
	if r := d.run(t, enough, "exec", "--own-root", "c1", "--", "/nscope", "show", "self").wantCode(t, 0); !strings.Contains(r.out, addr) {
		t.Errorf("%v", r)
	}
	d.run(t, []string{"--net=host", "--pid=host", "--cap-drop=ALL"}, "exec", "c1", "--", "true").wantCode(t, 3).wantErr(t, "needs CAP_SYS_ADMIN and CAP_SYS_PTRACE (have neither)")
}

// TestImageLoads: other engines take the archive too.
func TestImageLoads(t *testing.T) {
	path := image(t)
	t.Run("podman", func(t *testing.T) {
		p := peer.SharedPodman(t)
		p.Podman(t, "load", "-i", path)
		if out := p.Podman(t, "run", "--rm", tag, "version", "-o", "name"); out != "1.2.3-test" {
			t.Errorf("it says %q", out)
		}
	})
	t.Run("containerd", func(t *testing.T) {
		c := peer.SharedContainerd(t)
		c.Ctr(t, "image", "import", path)
		if out := c.Ctr(t, "run", "--rm", "docker.io/library/"+tag, "e2e", "/nscope", "version", "-o", "name"); out != "1.2.3-test" {
			t.Errorf("it says %q", out)
		}
	})
}

// TestImageUsernsRemap: an engine that remaps users refuses the host's namespaces, unless --userns=host says otherwise.
func TestImageUsernsRemap(t *testing.T) {
	nettest.NeedsTool(t, "useradd")
	d := &dock{node: peer.NewDocker(t, 1, peer.WithDockerd("--userns-remap=default")).Nodes[0]}
	d.node.Docker(t, "load", "-i", image(t))
	d.node.Docker(t, "run", "-d", "--name", "web", peer.Image)
	d.run(t, enough, "ps").wantCode(t, 125).wantErr(t, "user namespaces are enabled")
	r := d.run(t, append([]string{"--userns=host"}, enough...), "ps", "-o", "json").wantCode(t, 0)
	if rows := decode[[]topo.PSRow](t, r); r.err != "" || !slices.ContainsFunc(rows, func(p topo.PSRow) bool { return p.Name == "web" && len(p.Wires) == 1 }) {
		t.Errorf("%v", r)
	}
	d.run(t, []string{"--net=container:web", "--cap-drop=ALL"}, "show", "self").wantCode(t, 0)
}

// TestDockerfile: the other way to make the image.
func TestDockerfile(t *testing.T) {
	d := newDock(t)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(nscope(t), filepath.Join(dir, "bin", "nscope")); err != nil {
		t.Fatal(err)
	}
	d.node.Docker(t, "build", "-q", "-t", "nscope:dockerfile", "-f", filepath.Join("..", "..", "..", "Dockerfile"), dir)
	if out := d.node.Docker(t, "run", "--rm", "nscope:dockerfile", "version", "-o", "name"); out != "1.2.3-test" {
		t.Errorf("it says %q", out)
	}
}
