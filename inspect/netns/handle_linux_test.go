package netns_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

func inodeOf(tb testing.TB, path string) string {
	tb.Helper()
	s, err := os.Readlink(path)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestDoEntersAndLeaves(t *testing.T) {
	h := nettest.New(t)
	home := inodeOf(t, "/proc/thread-self/ns/net")
	var inside string
	if err := h.Do(func() error { inside = inodeOf(t, "/proc/thread-self/ns/net"); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("net:[%d]", h.ID().Inode()); inside != want {
		t.Errorf("inside Do the thread was in %s, want %s", inside, want)
	}
	if now := inodeOf(t, "/proc/thread-self/ns/net"); now != home {
		t.Errorf("after Do the caller is in %s, was in %s", now, home)
	}
}

// TestMainThreadNeverStrays proves design.md §6.1: whatever hundreds of goroutines do in other namespaces, no thread is
// left in one and the main thread is never in one, not even for a moment.
func TestMainThreadNeverStrays(t *testing.T) {
	a, b := nettest.New(t), nettest.New(t)
	home := inodeOf(t, "/proc/self/ns/net") // the main thread's
	stop := make(chan struct{})
	strayed := make(chan string, 1)
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if now, _ := os.Readlink("/proc/self/ns/net"); now != home {
				select {
				case strayed <- now:
				default:
				}
			}
			runtime.Gosched()
		}
	})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			h, other := a, b
			if i%2 == 1 {
				h, other = b, a
			}
			h.Do(func() error {
				// Nested, failing and goroutine-ending functions too.
				if i%5 == 0 {
					other.Do(func() error { return errors.New("nested") })
				}
				if i%7 == 0 {
					runtime.Goexit()
				}
				return nil
			})
		})
	}
	wg.Wait()
	close(stop)
	watch.Wait()
	select {
	case ns := <-strayed:
		t.Errorf("the main thread was in %s", ns)
	default:
	}
	threadsAtHome(t, home)
	for range 200 { // what domain.md calls the classic: later goroutines in the wrong namespace
		wg.Go(func() {
			if now, _ := os.Readlink("/proc/thread-self/ns/net"); now != home {
				t.Errorf("a later goroutine is in %s", now)
			}
		})
	}
	wg.Wait()
}

func threadsAtHome(t *testing.T, home string) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if ns, err := os.Readlink(task); err == nil && ns != home {
			t.Errorf("thread %s is left in %s", task, ns)
		}
	}
}

func TestSocketKeepsItsNamespace(t *testing.T) {
	h := nettest.New(t)
	var fd int
	var cookie uint64
	err := h.Do(func() (err error) {
		cookie = netns.Cookie()
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	got, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil || got != cookie || cookie == 0 || cookie == netns.Cookie() {
		t.Errorf("socket's cookie %d (%v), the namespace's %d, ours %d", got, err, cookie, netns.Cookie())
	}
}

func TestOpenPathVerifies(t *testing.T) {
	nettest.NeedsRoot(t)
	a, b := nettest.New(t), nettest.New(t)
	path := fmt.Sprintf("/proc/self/fd/%d", a.FD())
	if h, err := netns.OpenPath(path, a.ID()); err != nil {
		t.Error(err)
	} else {
		h.Close()
	}
	if _, err := netns.OpenPath(path, b.ID()); !errors.Is(err, netns.ErrChanged) {
		t.Errorf("opening a where b is wanted: %v, want ErrChanged", err)
	}
	if _, err := netns.OpenPath("/proc/self/ns/mnt", ""); err == nil || errors.Is(err, netns.ErrGone) {
		t.Errorf("a mount namespace opened as a netns: %v", err)
	}
	if _, err := netns.OpenPath("/etc/passwd", ""); err == nil {
		t.Error("a regular file opened as a netns")
	}
	if _, err := netns.OpenPath("/proc/self/ns/nosuch", ""); !errors.Is(err, netns.ErrGone) {
		t.Errorf("a path that is not there: %v, want ErrGone", err)
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := netns.OpenPath(fifo, ""); err == nil {
		t.Error("a FIFO opened as a netns")
	}
}

func find(t *testing.T) *netns.Found {
	t.Helper()
	f, err := netns.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// holders returns the holders of a namespace as "kind pid".
func holders(t *testing.T, f *netns.Found, id snapshot.NSID) []string {
	t.Helper()
	ns, ok := f.Namespace(id)
	if !ok {
		return nil
	}
	var out []string
	for _, h := range ns.Holders {
		out = append(out, fmt.Sprintf("%s %d", h.Kind, h.PID))
	}
	h, err := ns.Open()
	if err != nil {
		t.Errorf("found %s (%v) but cannot open it: %v", id, out, err)
	} else {
		if h.ID() != id {
			t.Errorf("opened %s instead of %s", h.ID(), id)
		}
		h.Close()
	}
	return out
}

// The helper process of the holder tests: it does what its argument says, prints "ready" and waits to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "hold-") {
		hold(os.Args[1])
		return
	}
	os.Exit(m.Run())
}

func hold(what string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
	h, err := netns.New()
	fail(err)
	switch what {
	case "hold-fd":
	case "hold-socket":
		fail(h.Do(func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); return err }))
	case "hold-netlink":
		fail(h.Do(func() error {
			fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
			if err == nil {
				err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
			}
			return err
		}))
	case "hold-thread":
		entered := make(chan error)
		go h.Do(func() error { entered <- nil; select {} })
		<-entered
	}
	id := h.ID()
	if what != "hold-fd" {
		h.Close()
	}
	fmt.Println("ready", id)
	os.Stdin.Read(make([]byte, 1)) // until the test ends, however it ends
}

func startHolder(t *testing.T, what string) (pid int, id snapshot.NSID, stop func()) {
	t.Helper()
	nettest.NeedsRoot(t)
	cmd := exec.Command("/proc/self/exe", what)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var word string
	if _, err := fmt.Fscan(out, &word, &id); err != nil || word != "ready" {
		t.Fatalf("holder said %q: %v", word, err)
	}
	stop = func() { in.Close(); cmd.Wait() }
	t.Cleanup(stop)
	return cmd.Process.Pid, id, stop
}

func TestFindEveryHolder(t *testing.T) {
	for _, kind := range []string{"fd", "socket", "netlink", "thread"} {
		t.Run(kind, func(t *testing.T) {
			pid, id, stop := startHolder(t, "hold-"+kind)
			want := kind
			if kind == "netlink" {
				want = "socket"
			}
			got := holders(t, find(t), id)
			if len(got) != 1 || got[0] != fmt.Sprintf("%s %d", want, pid) {
				t.Errorf("holders %v, want only %s %d", got, want, pid)
			}
			stop()
			// Its number may be another namespace's at once, which somebody else on this machine makes.
			if got := holders(t, find(t), id); slices.Contains(got, fmt.Sprintf("%s %d", want, pid)) {
				t.Errorf("still found after its holder ended: %v", got)
			}
		})
	}
	t.Run("proc", func(t *testing.T) {
		h := nettest.New(t)
		cmd := nettest.Start(t, h, "sleep", "60")
		got := strings.Join(holders(t, find(t), h.ID()), ",")
		if want := fmt.Sprintf("proc %d,fd %d", cmd.Process.Pid, os.Getpid()); got != want {
			t.Errorf("holders %s, want %s", got, want)
		}
	})
}

// TestFindMounts covers a bind mount in nscope's own mount namespace and in another one, over-mounted ones, and names
// with spaces.
func TestFindMounts(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "unshare", "mount", "sleep")
	dir := filepath.Join(t.TempDir(), "with space")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// All in a mount namespace of its own, so that nothing is left behind however the test ends.
	script := `set -e; mount --make-rprivate /; cd "$1"; touch plain covered
unshare -n sh -c 'mount --bind /proc/self/ns/net "$0/plain"; readlink /proc/self/ns/net' "$1"
unshare -n sh -c 'mount --bind /proc/self/ns/net "$0/covered"; readlink /proc/self/ns/net' "$1"
mount --bind /etc/passwd "$1/covered"
echo ready; exec cat`
	cmd := exec.Command("unshare", "-m", "sh", "-c", script, "sh", dir)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	var plain, covered, word string
	if _, err := fmt.Fscan(out, &plain, &covered, &word); err != nil || word != "ready" {
		t.Fatal(plain, covered, word, err)
	}
	f := find(t)
	var gotPlain, gotCovered *netns.Namespace
	for _, ns := range f.Namespaces {
		switch fmt.Sprintf("net:[%d]", ns.ID.Inode()) {
		case plain:
			gotPlain = ns
		case covered:
			gotCovered = ns
		}
	}
	if gotPlain == nil || gotCovered == nil {
		t.Fatalf("mounts in another mount namespace not found: plain %v covered %v", gotPlain, gotCovered)
	}
	if h := gotPlain.Holders; len(h) != 1 || h[0].Kind != snapshot.HolderMount || h[0].Path != dir+"/plain" || h[0].Root == "" || h[0].MountNS == 0 {
		t.Errorf("holders of the plain mount: %+v", h)
	}
	if h, err := gotPlain.Open(); err != nil {
		t.Errorf("opening through the other mount namespace: %v", err)
	} else {
		h.Close()
	}
	if _, err := gotCovered.Open(); err == nil {
		t.Error("an over-mounted file opened as the namespace under it")
	} else if errors.Is(err, fs.ErrPermission) {
		t.Errorf("over-mounted: %v", err)
	}
}

func TestHostname(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "unshare", "hostname")
	cmd := exec.Command("unshare", "--uts", "sh", "-c", "hostname elsewhere; echo ready; exec cat")
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); cmd.Wait() })
	var word string
	fmt.Fscan(out, &word)
	ours, _ := os.Hostname()
	got, err := netns.Hostname("/proc", cmd.Process.Pid)
	if err != nil || got != "elsewhere" {
		t.Errorf("Hostname = %q, %v", got, err)
	}
	if now, _ := os.Hostname(); now != ours {
		t.Errorf("our host name is %q, was %q", now, ours)
	}
}
