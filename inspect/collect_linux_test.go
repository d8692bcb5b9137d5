package inspect_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// lab makes a host with some namespaces on a bridge.
func lab(t *testing.T, n int) (host *netlab.Space, spaces []*netlab.Space) {
	t.Helper()
	nettest.NeedsRoot(t)
	add := func(name string) *netlab.Space {
		s, err := netlab.New(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	host = add("host")
	if err := host.Bridge("br0", netip.MustParsePrefix("10.77.0.1/24")); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s := add("c")
		port := "v" + string(rune('a'+i))
		if err := errors.Join(host.Veth(port, s, "eth0"), host.SetMaster(port, "br0")); err != nil {
			t.Fatal(err)
		}
		spaces = append(spaces, s)
	}
	return host, spaces
}

func openFiles(t *testing.T) []string {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, fd := range fds {
		if link, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && !strings.HasSuffix(link, "/fd") {
			out = append(out, fd.Name()+" "+link)
		}
	}
	slices.Sort(out)
	return out
}

// TestCollectLeavesNothing: no goroutine, no descriptor, no thread in a foreign namespace.
func TestCollectLeavesNothing(t *testing.T) {
	lab(t, 20)
	collect := func() {
		if _, err := inspect.Collect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	collect() // whatever is opened once for ever (the poller, for one) is open now
	files := openFiles(t)
	ignore := goleak.IgnoreCurrent()
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		collect()
	}
	if err := goleak.Find(ignore); err != nil {
		t.Error(err)
	}
	if now := openFiles(t); !slices.Equal(files, now) {
		t.Errorf("descriptors before:\n%s\nafter:\n%s", strings.Join(files, "\n"), strings.Join(now, "\n"))
	}
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

func TestCollectCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := inspect.Collect(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

func TestCollectNoProc(t *testing.T) {
	var op *netns.OpError
	if _, err := inspect.Collect(t.Context(), inspect.WithProc(filepath.Join(t.TempDir(), "nosuch"))); !errors.As(err, &op) {
		t.Errorf("error %v, want an OpError", err)
	}
	if _, err := inspect.Collect(t.Context(), inspect.WithProc(t.TempDir())); !errors.As(err, &op) {
		t.Errorf("an empty folder as /proc: error %v, want an OpError", err)
	}
}

// TestSelfOnly needs no privilege at all.
func TestSelfOnly(t *testing.T) {
	s, err := inspect.Collect(t.Context(), inspect.SelfOnly(), inspect.WithoutEngines())
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Namespaces) != 1 || s.Namespaces[0].ID != s.Host.SelfNS || len(s.Namespaces[0].Links) == 0 || s.Namespaces[0].Cookie == 0 {
		t.Errorf("read %d namespaces: %+v", len(s.Namespaces), s.Host)
	}
}

// TestUnchangedHostUnchangedSnapshot: two snapshots of the same namespaces differ only in time and counters.
func TestUnchangedHostUnchangedSnapshot(t *testing.T) {
	_, spaces := lab(t, 5)
	time.Sleep(10 * time.Millisecond)
	stable := func() map[snapshot.NSID]snapshot.Namespace {
		s, err := inspect.Collect(t.Context(), inspect.WithoutEngines())
		if err != nil {
			t.Fatal(err)
		}
		out := map[snapshot.NSID]snapshot.Namespace{}
		for _, ns := range s.Namespaces {
			if !slices.ContainsFunc(spaces, func(s *netlab.Space) bool { return s.ID() == ns.ID }) {
				continue
			}
			ns.Counters, ns.Qdiscs = nil, nil
			for i := range ns.Links {
				ns.Links[i].Stats = snapshot.LinkStats{}
			}
			// Addresses and neighbours of a young link come and go by themselves (duplicate address detection).
			ns.Neighbors, ns.Routes = nil, nil
			for i := range ns.Links {
				ns.Links[i].Addrs = nil
			}
			out[ns.ID] = ns
		}
		return out
	}
	a, b := stable(), stable()
	if len(a) != len(spaces) {
		t.Fatalf("%d of %d namespaces", len(a), len(spaces))
	}
	for id := range a {
		x, y := snapshot.Snapshot{Schema: 1, Namespaces: []snapshot.Namespace{a[id]}}, snapshot.Snapshot{Schema: 1, Namespaces: []snapshot.Namespace{b[id]}}
		var bx, by strings.Builder
		if err := errors.Join(x.Write(&bx), y.Write(&by)); err != nil {
			t.Fatal(err)
		}
		if bx.String() != by.String() {
			t.Errorf("differ:\n%s\n%s", bx.String(), by.String())
		}
	}
}

// TestCookieAndOwner compares with what the kernel says inside.
func TestCookieAndOwner(t *testing.T) {
	_, spaces := lab(t, 1)
	s, err := inspect.Collect(t.Context(), inspect.WithoutEngines(), inspect.WithDepth(inspect.Topology))
	if err != nil {
		t.Fatal(err)
	}
	var cookie uint64
	if err := spaces[0].Do(func() error { cookie = netns.Cookie(); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, ns := range s.Namespaces {
		if ns.ID == spaces[0].ID() {
			if ns.Cookie != cookie || cookie == 0 || ns.OwnerUserNS == 0 {
				t.Errorf("cookie %d, want %d; owner %d", ns.Cookie, cookie, ns.OwnerUserNS)
			}
			return
		}
	}
	t.Error("not found")
}
