package capture

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// alone is a graph of one namespace with a loopback and two tied links.
func alone(t *testing.T, h *nettest.Handle) *topo.Graph {
	t.Helper()
	nettest.Run(t, h, "ip", "link", "set", "lo", "up")
	nettest.Run(t, h, "ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
	number, _, _ := strings.Cut(nettest.Run(t, h, "ip", "-o", "link", "show", "va"), ":")
	index, err := strconv.Atoi(number)
	if err != nil {
		t.Fatal(err)
	}
	ns := snapshot.Namespace{ID: h.ID(), Links: []snapshot.Link{{Index: 1, Name: "lo", Kind: "loopback", State: "up"}, {Index: index, Name: "va", Kind: "veth"}}}
	return topo.Build(&snapshot.Snapshot{Schema: 1, Host: snapshot.Host{BootID: "12345678-0000"}, Namespaces: []snapshot.Namespace{ns}})
}

// opens opens that namespace, whatever is asked for.
func opens(h *nettest.Handle) func(context.Context, snapshot.NSID, string) (*netns.Handle, error) {
	return func(context.Context, snapshot.NSID, string) (*netns.Handle, error) {
		return netns.OpenPath(fmt.Sprintf("/proc/self/fd/%d", h.FD()), h.ID())
	}
}

// TestSession runs one as a library does: filter changed, counts asked and a note of a link that goes down, from another goroutine; the
// packets in a file, with the interface's counters.
func TestSession(t *testing.T) {
	h := nettest.New(t)
	g := alone(t, h)
	notes := make(chan string, 10)
	f, err := filter.Parse("icmp", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(g, Config{
		Filter: f, Checksums: true,
		Open: opens(h),
		Note: func(format string, args ...any) { notes <- format },
	})
	if err != nil {
		t.Fatal(err)
	}
	spots, err := Spots(g, "all")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := s.Add(ctx, spots, true); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "s.pcapng")
	w, err := NewWriter(&pcap.Files{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	events, done := make(chan *text.Event, 1000), make(chan error, 1)
	go func() {
		done <- s.Run(ctx, func(e *text.Event) error {
			events <- e.Clone()
			return w.Write(e)
		}, func() (bool, error) { return false, w.Flush() })
	}()
	nettest.Run(t, h, "ping", "-c", "1", "127.0.0.1")
	for range 2 { // echo and answer, each once
		if e := <-events; e.Outer().Proto != 1 || !strings.HasSuffix(e.Place.Name, "/lo") {
			t.Errorf("%+v", e.Outer())
		}
	}
	c := s.Counts()
	if len(c) != 1 || c[0].Packets() != 2 || c[0].Taken < 4 || len(c[0].Links) != 1 || c[0].Links[0].Bytes != 2*98 {
		t.Errorf("%+v", c)
	}
	none, err := filter.Parse("tcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	s.SetFilter(none)
	nettest.Run(t, h, "ping", "-c", "1", "127.0.0.1")
	nettest.Run(t, h, "ip", "link", "set", "lo", "down")
	if n := <-notes; n != "%s/%s is down" {
		t.Errorf("note %q", n)
	}
	nettest.Run(t, h, "ip", "link", "del", "va")
	if n := <-notes; n != "%s/%s is gone" {
		t.Errorf("note %q", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(events) != 0 {
		t.Errorf("%d events in spite of the filter", len(events))
	}
	if s.Call(func() { t.Error("called after the end") }) {
		t.Error("a session that has ended")
	}
	if err := w.Close(1, s.Counts()); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	r, err := pcap.Open(in)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var rec pcap.Record
	n := 0
	for ; r.Next(&rec) == nil; n++ {
	}
	if n != 2 || len(r.Interfaces) != 1 || r.Stats[0] != (pcap.Stats{Received: 2}) {
		t.Errorf("%d packets, %+v, %+v", n, r.Interfaces, r.Stats)
	}
}

// TestNamesAnew: what is read while a capture runs has names in lines and filters mean what they do now.
func TestNamesAnew(t *testing.T) {
	h := nettest.New(t)
	g := alone(t, h)
	web := netip.MustParseAddr("127.0.0.1") // until it has started again
	refilter := func(*topo.Graph) (*filter.Filter, error) {
		if !web.IsValid() {
			return nil, errors.New("nothing is known as web")
		}
		return filter.Parse("dst host "+web.String(), nil)
	}
	f, err := refilter(g)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(g, Config{Filter: f, Open: opens(h), Targets: []string{"all"}, Refilter: refilter})
	if err != nil {
		t.Fatal(err)
	}
	spots, err := Spots(g, "all")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := s.Add(ctx, spots, true); err != nil {
		t.Fatal(err)
	}
	events, done := make(chan netip.Addr, 1000), make(chan error, 1)
	go func() {
		done <- s.Run(ctx, func(e *text.Event) error { events <- e.Outer().Dst; return nil }, nil)
	}()
	ping := func() {
		for _, a := range []string{"127.0.0.1", "127.0.0.2"} { // the answers go back to it
			nettest.Run(t, h, "ping", "-c", "1", "-I", a, a)
		}
	}
	for _, now := range []string{"127.0.0.1", "", "127.0.0.2"} {
		if web, _ = netip.ParseAddr(now); !s.Call(func() { s.rejoin(ctx, g) }) {
			t.Fatal("it has ended")
		}
		ping()
		want := netip.MustParseAddr("127.0.0.1") // also while there is nothing of that name
		if web.IsValid() {
			want = web
		}
		for range 2 {
			if got := <-events; got != want {
				t.Errorf("web is %q: to %s", now, got)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(events) != 0 {
		t.Errorf("%d more", len(events))
	}
}

func TestStopByCallback(t *testing.T) {
	h := nettest.New(t)
	g := alone(t, h)
	s, err := NewSession(g, Config{Open: opens(h)})
	if err != nil {
		t.Fatal(err)
	}
	spots, _ := Spots(g, "all")
	if err := s.Add(t.Context(), spots, true); err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	done, n := make(chan error, 1), 0
	go func() { done <- s.Run(t.Context(), func(*text.Event) error { n++; return enough }, nil) }()
	nettest.Run(t, h, "ping", "-c", "2", "-i", "0.01", "127.0.0.1")
	if err := <-done; !errors.Is(err, enough) || n != 1 {
		t.Errorf("%v after %d", err, n)
	}
}

// TestAlive: what has ended for everybody else is not kept alive by sockets: an engine's that is not closed yet, those of two captures that look
// at each other. Where there never was anything else, another's socket counts.
func TestAlive(t *testing.T) {
	nettest.NeedsRoot(t)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	own := os.NewFile(uintptr(fd), "socket")
	defer own.Close()
	cat := exec.Command("cat")
	cat.ExtraFiles = []*os.File{own}
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cat.Wait()
	})
	var st syscall.Stat_t
	if err := syscall.Stat("/proc/self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	gone, self := snapshot.Holder{Kind: snapshot.HolderProc, PID: 1 << 30}, snapshot.Holder{Kind: snapshot.HolderProc, PID: os.Getpid()}
	ours := snapshot.Holder{Kind: snapshot.HolderSocket, PID: os.Getpid(), FD: fd}
	others := snapshot.Holder{Kind: snapshot.HolderSocket, PID: cat.Process.Pid, FD: 3, Comm: "cat"}
	closed := snapshot.Holder{Kind: snapshot.HolderSocket, PID: cat.Process.Pid, FD: 77, Comm: "cat"}
	for _, tt := range []struct {
		comm    string // of the program that captures
		held    bool
		holders []snapshot.Holder
		want    bool
	}{
		{"", false, nil, true},
		{"", true, nil, false},
		{"", false, []snapshot.Holder{ours}, false},
		{"", false, []snapshot.Holder{gone}, false},
		{"", false, []snapshot.Holder{gone, ours}, false},
		{"", false, []snapshot.Holder{ours, gone, self}, true},
		{"", false, []snapshot.Holder{others}, true},
		{"", false, []snapshot.Holder{closed}, false},
		{"cat", false, []snapshot.Holder{others}, false},
		{"", true, []snapshot.Holder{others}, false},
		{"", false, []snapshot.Holder{gone, others}, false},
		{"", true, []snapshot.Holder{others, self}, true},
	} {
		s := &Session{Config: Config{Proc: "/proc"}, comm: tt.comm}
		if got := s.alive(&snapshot.Namespace{ID: snapshot.MakeNSID(st.Dev, st.Ino), Holders: tt.holders}, tt.held); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}
