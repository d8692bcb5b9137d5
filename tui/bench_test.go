package tui

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/nscope/nscope/inspect/snapshot"
)

// crowd is a host with n containers on as many bridges as one may have of 50 ports each.
func crowd(n int) *snapshot.Snapshot {
	s := &snapshot.Snapshot{Schema: snapshot.Schema, Taken: noon, Host: snapshot.Host{Name: "crowd", BootID: "0123456789abcdef"}}
	home := snapshot.Namespace{ID: snapshot.MakeNSID(4, 4026531840)}
	s.Host.InitNS, s.Host.SelfNS = home.ID, home.ID
	home.Holders = []snapshot.Holder{{Kind: snapshot.HolderProc, PID: 1, Comm: "init"}}
	addr := func(text string) []snapshot.Addr {
		return []snapshot.Addr{{Prefix: netip.MustParsePrefix(text), Scope: "global"}}
	}
	home.Links = append(home.Links, snapshot.Link{Index: 1, Name: "lo", Type: "loopback", State: "unknown"}, snapshot.Link{Index: 2, Name: "eth0", Type: "ether", State: "up", Addrs: addr("192.0.2.1/24")})
	var rest []snapshot.Namespace
	for i := range n {
		br := 10 + i/50
		if i%50 == 0 {
			home.Links = append(home.Links, snapshot.Link{Index: br, Name: fmt.Sprintf("br-%d", i/50), Kind: "bridge", Type: "ether", State: "up", Bridge: &snapshot.Bridge{}, Addrs: addr(fmt.Sprintf("10.%d.0.1/24", i/50))})
		}
		id := snapshot.MakeNSID(4, uint64(4026540000+i))
		nsid := i
		outer, inner := 1000+2*i, 1001+2*i
		home.Links = append(home.Links, snapshot.Link{Index: outer, Name: fmt.Sprintf("veth%07x", i), Kind: "veth", Type: "ether", State: "up", Master: br, MasterKind: "bridge",
			BridgePort: &snapshot.BridgePort{State: "forwarding"}, Veth: &snapshot.Veth{}, Peer: &snapshot.Peer{Index: inner, NSID: &nsid, Namespace: id}})
		home.NSIDs = append(home.NSIDs, snapshot.PeerNSID{NSID: nsid, Namespace: id})
		zero := 0
		rest = append(rest, snapshot.Namespace{ID: id, Holders: []snapshot.Holder{{Kind: snapshot.HolderProc, PID: 10000 + i, Comm: "app"}}, NSIDs: []snapshot.PeerNSID{{NSID: 0, Namespace: home.ID}},
			Links: []snapshot.Link{{Index: 1, Name: "lo", Type: "loopback", State: "unknown"}, {Index: inner, Name: "eth0", Kind: "veth", Type: "ether", State: "up", Veth: &snapshot.Veth{},
				Peer: &snapshot.Peer{Index: outer, NSID: &zero, Namespace: home.ID}, Addrs: addr(fmt.Sprintf("10.%d.0.%d/24", i/50, 2+i%50))}}})
		s.Workloads = append(s.Workloads, snapshot.Workload{Engine: "docker", ID: fmt.Sprintf("%064x", i), Name: fmt.Sprintf("app-%d", i), Image: "example/app:1", State: "running", PID: 10000 + i, Namespace: id, Mode: "bridge"})
	}
	s.Namespaces = append([]snapshot.Namespace{home}, rest...)
	return s
}

// TestCrowd proves of the benchmarks' world that it is what it claims: every container is drawn on its wire.
func TestCrowd(t *testing.T) {
	d := newDriver(t, 200, 60, Config{}, crowd(1000))
	d.press(":find app-777<enter>hh")
	if got := d.selected(); got != fmt.Sprintf("veth%07x", 777) {
		t.Fatalf("app-777 hangs on %s:\n%s", got, d.frame())
	}
	d.press("2")
	d.wants("1000 containers")
}

// The first picture, from the snapshot on: the graph is built, laid out and drawn.
func BenchmarkFirstPicture(b *testing.B) {
	for _, n := range []int{30, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := crowd(n)
			for b.Loop() {
				d := newDriver(b, 200, 60, Config{}, s)
				d.m.View()
			}
		})
	}
}

// mostForKey is how long a key may take on a host with 1000 namespaces, with all that it leads to and the frame after it.
const mostForKey = 30 * time.Millisecond

// walk presses keys in every view: the first look at it, moves, sorting, wide, a filter letter by letter, what enter opens and all its
// tabs.
func walk() (out []tea.KeyPressMsg) {
	add := func(keys string) { out = append(out, keyPresses(keys)...) }
	add("jjjjlhkkG<pgup>gl<pgdown><pgdown>jjhhww/app-77<enter><esc>:find app-777<enter>hh<space>ll<space>p<esc>?jG<esc>")
	for v := range viewList {
		add(strconv.Itoa(v+1) + "jjG<pgup>gl<pgdown>hsss")
		add("ww/!app7<enter>jj<esc>")
		add("<enter>" + strings.Repeat("<tab>jG", 12) + "<esc><esc>")
	}
	add("1[[]]:show host<enter>" + strings.Repeat("<tab>jGw", 12) + "<esc>")
	return out
}

// spent is the processor time that this process has used, with the garbage collector's: what a clock would say on a machine with
// nothing else to do.
func spent() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// timed presses a key and runs what it asks for, and returns how long that and the frame took, waiting left out.
func (d *driver) timed(k tea.Msg) time.Duration {
	began := spent()
	for list := []tea.Msg{k}; len(list) > 0; list = list[1:] {
		_, cmd := d.m.Update(list[0])
		for cmds := []tea.Cmd{cmd}; len(cmds) > 0; cmds = cmds[1:] {
			if cmds[0] == nil {
				continue
			}
			said := make(chan tea.Msg, 1)
			go func() { said <- cmds[0]() }()
			select {
			case m := <-said:
				switch m := m.(type) {
				case nil, tea.QuitMsg:
				case tea.BatchMsg:
					cmds = append(cmds, m...)
				default:
					list = append(list, m)
				}
			case <-time.After(2 * mostForKey): // a blink, the source
			}
		}
	}
	d.m.View()
	return spent() - began
}

func spelled(keys []tea.KeyPressMsg) string {
	var out []string
	for _, k := range keys {
		out = append(out, k.String())
	}
	return strings.Join(out, " ")
}

// The slowest of all keys, which is what a person notices: each as fast as it is the best of three times, of more where that is too
// slow: the machine may have other things to do.
func BenchmarkKey(b *testing.B) {
	s := crowd(1000)
	for _, size := range [][2]int{{80, 24}, {200, 60}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			for b.Loop() {
				steps := walk()
				best := make([]time.Duration, len(steps))
				for round := 0; round < 3 || round < 8 && slices.Max(best) > mostForKey; round++ {
					d := newDriver(b, size[0], size[1], Config{}, s)
					d.m.View()
					runtime.GC()
					for i, k := range steps {
						if took := d.timed(k); round == 0 || took < best[i] {
							best[i] = took
						}
					}
				}
				at := 0
				for i := range best {
					if best[i] > best[at] {
						at = i
					}
					if best[i] > mostForKey {
						b.Errorf("%s takes %v, after %s", steps[i], best[i], spelled(steps[max(0, i-12):i]))
					}
				}
				b.ReportMetric(float64(best[at].Microseconds())/1000, "ms-slowest")
				b.Logf("the slowest of %d keys is %s after %s", len(steps), steps[at], spelled(steps[max(0, at-12):at]))
			}
		})
	}
}

// mostMB is how much memory the view of a host with 1000 namespaces may take. As much again is what reads the host, and the room that the
// garbage collector takes.
const mostMB = 50

// What 1000 namespaces take in memory, with everything that was looked at, and what a frame allocates while nothing happens.
func BenchmarkMemory(b *testing.B) {
	s := crowd(1000)
	var m, before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before) // other benchmarks' are kept by what waits for their sources
		d := newDriver(b, 200, 60, Config{}, s)
		for _, v := range "123456" {
			d.press(string(v))
			d.m.View()
		}
		d.m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
		d.press("1")
		runtime.GC()
		runtime.ReadMemStats(&m)
		for range 100 {
			d.m.View()
		}
		runtime.ReadMemStats(&after)
		mb := (float64(m.HeapAlloc) - float64(before.HeapAlloc)) / (1 << 20)
		if mb > mostMB {
			b.Errorf("it takes %.0f MB", mb)
		}
		b.ReportMetric(mb, "MB")
		b.ReportMetric(float64(after.TotalAlloc-m.TotalAlloc)/100/1024, "KB/frame")
		runtime.KeepAlive(d)
	}
}
