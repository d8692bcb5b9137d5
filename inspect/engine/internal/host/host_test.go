package host

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

func TestRootStaysInside(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("outside"), 0o600))
	must(t, os.MkdirAll(filepath.Join(dir, "run/docker"), 0o755))
	must(t, os.MkdirAll(filepath.Join(dir, "var"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "run/docker/file"), []byte("inside"), 0o600))
	for link, to := range map[string]string{"var/run": "/run", "up": "../../../..", "out": secret, "circle": "circle", "rel": "run/docker"} {
		must(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	for _, r := range []Root{{Prefix: dir}} {
		for name, want := range map[string]string{
			"/run/docker/file": "inside", "/var/run/docker/file": "inside", "/up/up/run/docker/file": "inside", "rel/file": "inside",
			"/../../run/docker/file": "inside", "/out": "", "/circle": "", "/missing": "", "/run/docker": "",
		} {
			data, err := r.ReadFile(name, 100)
			if string(data) != want || (want == "") != (err != nil) {
				t.Errorf("%s: %q, %v", name, data, err)
			}
			// By hand, as on an old kernel.
			file, err := r.resolve(name)
			if err == nil && !strings.HasPrefix(file, dir) {
				t.Errorf("%s resolves to %s", name, file)
			}
			if want != "" && err != nil {
				t.Errorf("%s does not resolve: %v", name, err)
			}
		}
	}
	if _, err := (Root{Prefix: dir}).ReadFile("/run/docker/file", 3); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a file over its limit: %v", err)
	}
	if names, err := (Root{Prefix: dir}).ReadDir("/var/run"); err != nil || len(names) != 1 {
		t.Errorf("ReadDir: %v, %v", names, err)
	}
}

func TestRootNoFIFO(t *testing.T) {
	dir := t.TempDir()
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	if _, err := (Root{Prefix: dir}).ReadFile("/fifo", 100); !errors.Is(err, ErrNotRegular) {
		t.Errorf("a FIFO: %v", err)
	}
}

// The path of a socket may be longer than an address can be, and lead over an absolute link.
func TestDialLong(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "run", strings.Repeat("d", 100))
	must(t, os.MkdirAll(deep, 0o755))
	must(t, os.Mkdir(filepath.Join(dir, "var"), 0o755))
	must(t, os.Symlink("/run", filepath.Join(dir, "var/run")))
	t.Chdir(deep)
	l, err := net.Listen("unix", "s")
	must(t, err)
	defer l.Close()
	if runtime.GOOS != "linux" {
		t.Skip("skip: needs Linux (O_PATH)")
	}
	conn, err := Root{Prefix: dir}.Dial(context.Background(), "/var/run/"+filepath.Base(deep)+"/s")
	must(t, err)
	defer conn.Close()
	if pid := PeerPID(conn); pid != os.Getpid() {
		t.Errorf("the peer is %d, want %d", pid, os.Getpid())
	}
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o644))
	if _, err := (Root{Prefix: dir}).Dial(context.Background(), "/file"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting to a file: %v", err)
	}
	if _, err := (Root{Prefix: dir}).Dial(context.Background(), "/missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("connecting to nothing: %v", err)
	}
}

const (
	idA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	idB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	// idK is an outer container, in which a nested engine runs.
	idK = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

func TestTranslate(t *testing.T) {
	proc := func(pid, ppid int, pidns uint64, cgroup string, nspids ...int) netns.Process {
		return netns.Process{PID: pid, PPID: ppid, PidNS: pidns, Cgroup: cgroup, NSPids: nspids}
	}
	all := []netns.Process{
		proc(1, 0, 1, "/", 1),
		proc(10, 1, 1, "/system.slice/docker.service", 10),
		proc(20, 1, 1, "/system.slice/containerd.service", 20), // a shim
		proc(100, 20, 2, "/docker/"+idA, 100, 1),
		proc(101, 100, 2, "/docker/"+idA, 101, 2),
		// A nested engine (kind, dind) in container K: its init is 200, its daemon 201, a shim 202.
		proc(200, 20, 3, "/docker/"+idK, 200, 1),
		proc(201, 200, 3, "/docker/"+idK+"/init", 201, 5),
		proc(202, 200, 3, "/docker/"+idK+"/init", 202, 6),
		proc(300, 202, 4, "/docker/"+idK+"/docker/"+idB, 300, 100, 1),
		// One of its containers without a cgroup of its own.
		proc(301, 202, 5, "/docker/"+idK, 301, 101, 1),
		// Another machine's worth of namespaces, with equal pids.
		proc(400, 20, 6, "/elsewhere", 400, 1),
		proc(401, 400, 7, "/elsewhere", 401, 101, 1),
		proc(402, 400, 8, "/elsewhere/"+idB, 402, 100, 1),
		// Two processes that may both be the one: the same pid below the nested engine cannot happen but by a torn reading.
		proc(500, 202, 9, "/docker/"+idK, 500, 103, 1),
		proc(501, 202, 9, "/docker/"+idK, 501, 103, 1),
		// A circle.
		proc(600, 601, 0, "/", 600, 100),
		proc(601, 600, 0, "/", 601, 101),
	}
	tab := NewTable(all)
	outer, nested := tab.Get(10), tab.Get(201)
	for name, c := range map[string]struct {
		id   string
		pid  int
		home *netns.Process
		want int
		err  error
	}{
		"host":                               {idA, 100, outer, 100, nil},
		"not its first process":              {idA, 101, outer, 101, nil},
		"the pid is another container's":     {idB, 100, outer, 0, ErrNoProcess},
		"container with an engine in it":     {idK, 200, outer, 200, nil},
		"nested":                             {idB, 100, nested, 300, nil},
		"nested, by its shim":                {idB, 100, tab.Get(202), 300, nil},
		"nested, without a cgroup":           {idA, 101, nested, 301, nil},
		"ambiguous":                          {idA, 103, nested, 0, ErrAmbiguous},
		"gone":                               {idB, 999, nested, 0, ErrNoProcess},
		"none":                               {idB, 0, nested, 0, ErrNoProcess},
		"no home, one of that cgroup":        {idA, 100, nil, 100, nil},
		"no home, two engines could mean it": {idB, 100, nil, 0, ErrAmbiguous},
		"no home, and no cgroup":             {strings.Repeat("d", 64), 100, nil, 0, ErrNoProcess},
	} {
		p, err := tab.Translate(c.id, c.pid, c.home)
		got := 0
		if p != nil {
			got = p.PID
		}
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v; want %d, %v", name, got, err, c.want, c.err)
		}
	}
}

func TestNetns(t *testing.T) {
	proc, dir := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(filepath.Join(proc, "self/ns"), 0o755))
	must(t, os.WriteFile(filepath.Join(proc, "self/ns/net"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "sandbox"), nil, 0o644))
	v := NewView(proc, []netns.Process{{PID: 2, NetNS: "4:1"}})
	if id := v.Netns(Root{Prefix: dir}, "/sandbox"); id.Inode() == 0 {
		t.Error("a file on the same device as /proc/self/ns/net is a namespace, but was not taken for one")
	}
	if id := v.Netns(Root{}, "/proc/version"); id != "" {
		t.Errorf("/proc/version is not a namespace, but %s", id)
	}
	if v.HostNS != "4:1" {
		t.Errorf("the kernel thread's namespace is not the host's: %s", v.HostNS)
	}
}

func TestLocate(t *testing.T) {
	proc, dir := t.TempDir(), t.TempDir()
	must(t, os.MkdirAll(filepath.Join(proc, "self/ns"), 0o755))
	must(t, os.WriteFile(filepath.Join(proc, "self/ns/net"), nil, 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "sandbox"), nil, 0o644))
	home := netns.Process{PID: 10, NSPids: []int{10}, PidNS: 1}
	v := NewView(proc, []netns.Process{home, {PID: 100, PPID: 10, NSPids: []int{100, 1}, NetNS: "4:7", PidNS: 2, Cgroup: "/docker/" + idA}})
	sandbox := v.Netns(Root{Prefix: dir}, "/sandbox")
	for name, c := range map[string]struct {
		pid  int
		key  string
		want snapshot.NSID
		gaps int
	}{
		"process":               {100, "", "4:7", 0},
		"sandbox only":          {0, "/sandbox", sandbox, 0},
		"both, and they differ": {100, "/sandbox", "4:7", 1},
		"a file that is none":   {0, "/missing", "", 0},
	} {
		var a Answer
		w := snapshot.Workload{ID: idA, SandboxKey: c.key}
		a.Locate(v, &w, c.pid, &home, Root{Prefix: dir})
		if w.Namespace != c.want || len(a.Gaps) != c.gaps {
			t.Errorf("%s: %q, gaps %v", name, w.Namespace, a.Gaps)
		}
	}
}

func TestArgs(t *testing.T) {
	args := []string{"dockerd", "-H", "fd://", "--host=unix:///x", "--data-root", "/a", "--data-root=/b", "--exec-root"}
	if got := Args(args, "-H", "--host"); strings.Join(got, " ") != "fd:// unix:///x" {
		t.Errorf("%v", got)
	}
	if Arg(args, "--data-root", "-g") != "/b" || Arg(args, "--exec-root") != "" {
		t.Error("Arg")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
