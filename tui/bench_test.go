package tui

import (
	"fmt"
	"net/netip"
	"runtime"
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

// A key on a host with 1000 namespaces: what it does, and the frame after it. The slowest is what a person notices.
func BenchmarkKey(b *testing.B) {
	for _, view := range []string{"1", "2", "3", "6"} {
		for _, size := range [][2]int{{80, 24}, {200, 60}} {
			b.Run(fmt.Sprintf("view%s-%dx%d", view, size[0], size[1]), func(b *testing.B) {
				d := newDriver(b, size[0], size[1], Config{}, crowd(1000))
				d.press(view)
				d.m.View()
				slowest := time.Duration(0)
				keys := keyPresses("jjjjlhkkG<pgup>gl<pgdown><pgdown>jjshw")
				i := 0
				for b.Loop() {
					start := time.Now()
					d.m.Update(keys[i%len(keys)])
					d.m.View()
					slowest = max(slowest, time.Since(start))
					i++
				}
				b.ReportMetric(float64(slowest.Microseconds())/1000, "ms-slowest")
			})
		}
	}
}

// What 1000 namespaces take in memory, with everything that was looked at, and what a frame allocates while nothing happens.
func BenchmarkMemory(b *testing.B) {
	s := crowd(1000)
	for b.Loop() {
		d := newDriver(b, 200, 60, Config{}, s)
		for _, v := range "123456" {
			d.press(string(v))
			d.m.View()
		}
		d.m.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
		d.press("1")
		runtime.GC()
		var m, after runtime.MemStats
		runtime.ReadMemStats(&m)
		for range 100 {
			d.m.View()
		}
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MB") // of one iteration: those before are kept by what waits for their sources
		b.ReportMetric(float64(after.TotalAlloc-m.TotalAlloc)/100/1024, "KB/frame")
		runtime.KeepAlive(d)
	}
}
