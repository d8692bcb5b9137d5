package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// attached is a program of the test's, at a place.
type attached struct {
	at       place
	typ      uint32
	name     string
	result   int32
	flags    uint32
	mode     string
	mayLack  bool // kernels before 6.6 have no such place
	onNetns  bool
	onCgroup bool
}

// TestPrograms: what is attached is read, in order, by name, and nothing of it where it is not.
func TestPrograms(t *testing.T) {
	h := nettest.New(t)
	nettest.Run(t, h, "ip", strings.Fields("link add w0 index 1007 type veth peer name w1")...)
	mount := unified("/proc")
	nettest.Needs(t, mount != "", "a cgroup v2 hierarchy")
	dir, err := os.MkdirTemp(mount, "nscope-test-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Rmdir(dir) })
	cgroup, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()

	all := []attached{
		{at: place{37, "xdp", 6}, typ: nettest.BPFXDP, name: "guard", result: 2, flags: 2 /* XDP_FLAGS_SKB_MODE */, mode: "generic"},
		{at: place{46, "tcx_ingress", 3}, typ: nettest.BPFSchedCls, name: "first_in", result: -1, mayLack: true},
		{at: place{46, "tcx_ingress", 3}, typ: nettest.BPFSchedCls, name: "second_in", result: -1, mayLack: true},
		{at: place{47, "tcx_egress", 3}, typ: nettest.BPFSchedCls, name: "way_out", result: -1, mayLack: true},
		{at: place{36, "sk_lookup", 30}, typ: nettest.BPFSkLookup, name: "steer", result: 1, onNetns: true},
		{at: place{0, "cgroup_inet_ingress", 8}, typ: nettest.BPFCgroupSkb, name: "cg_in", result: 1, onCgroup: true},
		{at: place{1, "cgroup_inet_egress", 8}, typ: nettest.BPFCgroupSkb, name: "a_name_too_long_for_it", result: 1, onCgroup: true},
		{at: place{10, "cgroup_inet4_connect", 18}, typ: nettest.BPFCgroupSockAddr, name: "dial", result: 1, onCgroup: true},
	}
	want := []string{}
	rel := "/" + filepath.Base(dir)
	for _, a := range all {
		fd := nettest.LoadBPF(t, a.typ, a.at.typ, a.name, a.result)
		err := h.Do(func() error {
			target := 1007
			switch {
			case a.onNetns:
				target = h.FD()
			case a.onCgroup:
				target = int(cgroup.Fd())
			}
			return nettest.AttachBPF(t, fd, target, a.at.typ, a.flags)
		})
		if a.mayLack && errors.Is(err, unix.EINVAL) {
			t.Logf("this kernel has no %s", a.at.name)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", a.name, err)
		}
		line := fmt.Sprint(a.at.name, " ", a.mode, " ", 1007, " ", " ", a.name)
		switch {
		case a.onNetns:
			line = fmt.Sprint(a.at.name, "  0  ", a.name)
		case a.onCgroup:
			line = fmt.Sprint(a.at.name, "  0 ", rel, " ", a.name[:min(15, len(a.name))])
		}
		want = append(want, line)
	}

	r := NewReader()
	ns := &snapshot.Namespace{
		Links:   []snapshot.Link{{Index: 1}, {Index: 1007, XDP: "generic"}},
		Holders: []snapshot.Holder{{Kind: snapshot.HolderProc, PID: 1, Cgroup: rel + "/gone/deeper"}, {Kind: snapshot.HolderProc, PID: 2, Cgroup: "/"}},
	}
	ns.Links[1].XDPProg = xdpOf(t, h)
	if err := h.Do(func() error { r.Namespace(ns); return nil }); err != nil {
		t.Fatal(err)
	}
	r.Cgroups("/proc", []*snapshot.Namespace{ns})
	r.Names([]*snapshot.Namespace{ns})
	got := []string{}
	for _, p := range ns.Programs {
		if p.Cgroup == "/" {
			continue // the machine's own
		}
		if p.ID == 0 || len(p.Tag) != 16 {
			t.Errorf("without an id or a tag: %+v", p)
		}
		got = append(got, fmt.Sprint(p.Attach, " ", p.Mode, " ", p.Ifindex, " ", p.Cgroup, " ", p.Name))
	}
	slices.SortStableFunc(want, bySite)
	slices.SortStableFunc(got, bySite)
	if !slices.Equal(got, want) {
		t.Errorf("read:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if gaps := r.Gaps(); len(gaps) != 0 {
		t.Errorf("gaps: %+v", gaps)
	}
	// Another namespace has nothing of it.
	other := &snapshot.Namespace{Links: []snapshot.Link{{Index: 1}, {Index: 1007}}}
	if err := nettest.New(t).Do(func() error { r.Namespace(other); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(other.Programs) != 0 || len(r.Gaps()) != 0 {
		t.Errorf("elsewhere: %+v, gaps %+v", other.Programs, r.Gaps())
	}
}

// bySite compares by the first word, so that a stable sort keeps the order within one place.
func bySite(a, b string) int {
	a, _, _ = strings.Cut(a, " ")
	b, _, _ = strings.Cut(b, " ")
	return strings.Compare(a, b)
}

// xdpOf is the program that ip says link w0 has.
func xdpOf(t *testing.T, h *nettest.Handle) (id uint32) {
	t.Helper()
	out := nettest.Run(t, h, "ip", "-d", "link", "show", "w0")
	_, after, ok := strings.Cut(out, "prog/xdp id ")
	if _, err := fmt.Sscan(after, &id); !ok || err != nil {
		t.Fatalf("ip shows no XDP program:\n%s", out)
	}
	return id
}

// TestDenied: who may not ask has one gap, however many namespaces there are.
func TestDenied(t *testing.T) {
	if os.Getenv("NSCOPE_BPF_DENIED") == "" {
		nettest.NeedsRoot(t)
		nettest.NeedsTool(t, "setpriv")
		self, remove, err := nettest.ScratchDir()
		if err != nil {
			t.Fatal(err)
		}
		defer remove()
		bin := filepath.Join(self, "test")
		b, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(bin, b, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", bin, "-test.run=^TestDenied$")
		cmd.Env, cmd.Dir = append(os.Environ(), "NSCOPE_BPF_DENIED=1"), self
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	r := NewReader()
	for range 3 {
		ns := &snapshot.Namespace{Links: []snapshot.Link{{Index: 1, XDP: "generic", XDPProg: 4}}, Holders: []snapshot.Holder{{Kind: snapshot.HolderProc, Cgroup: "/"}}}
		r.Namespace(ns)
		r.Cgroups("/proc", []*snapshot.Namespace{ns})
		r.Names([]*snapshot.Namespace{ns})
		if len(ns.Programs) != 1 || ns.Programs[0].ID != 4 || ns.Programs[0].Name != "" {
			t.Errorf("%+v", ns.Programs)
		}
	}
	gaps := r.Gaps()
	if len(gaps) != 1 || gaps[0].Needs != "CAP_SYS_ADMIN" {
		t.Errorf("gaps: %+v", gaps)
	}
}

func TestMountOf(t *testing.T) {
	const text = `24 21 0:21 / /proc rw - proc proc rw
30 21 0:26 /docker/x /sub rw shared:4 - cgroup2 cgroup2 rw
31 21 0:26 / /sys/fs/cgroup/unified rw shared:4 - cgroup2 cgroup2 rw
`
	if got := mountOf(bufio.NewScanner(strings.NewReader(text))); got != "/sys/fs/cgroup/unified" {
		t.Errorf("%q", got)
	}
	if got := mountOf(bufio.NewScanner(strings.NewReader("x - cgroup2\n - cgroup2 y\n1 2 3 / /a b\n"))); got != "" {
		t.Errorf("%q", got)
	}
}
