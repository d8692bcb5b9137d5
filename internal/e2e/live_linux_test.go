package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/ipcmd"
	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/fixtures/nft"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/topo"
)

// liveWorld is namespaces of which some are tied to the test's own by a veth, so that they have an nsid there, and some to nobody.
type liveWorld struct {
	t      *testing.T
	r      *rand.Rand
	spaces []*liveSpace
	serial int
	up     chan inspect.Update
	last   *snapshot.Snapshot
	heard  map[snapshot.NSID]int // events by namespace
	done   map[*liveSpace]int    // things done, by namespace
	fulls  int
}

// newLiveWorld is an empty one; its names begin with a number that no other test's do.
func newLiveWorld(t *testing.T, seed uint64, serial int) *liveWorld {
	return &liveWorld{t: t, r: rand.New(rand.NewPCG(seed, 1)), heard: map[snapshot.NSID]int{}, done: map[*liveSpace]int{}, serial: serial, up: make(chan inspect.Update, 1024)}
}

// begin has a Live run until the test ends, and waits until it listens.
func (w *liveWorld) begin(each func(inspect.Update)) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	live := inspect.NewLive(inspect.WithoutEngines(), inspect.WithDepth(inspect.Topology))
	done := make(chan error, 1)
	go func() { done <- live.Run(ctx, each) }()
	w.t.Cleanup(func() {
		cancel()
		<-done
	})
	w.await("the second full reading", func() bool { return w.last != nil && w.fulls >= 2 })
}

type liveSpace struct {
	*netlab.Space
	sh    *ipcmd.Shell
	links []string
	down  map[string]bool
}

// TestLiveIsCurrent does random things to a random topology while a Live runs. Each must be heard of, in the right namespace; and
// when all is quiet, what the Live knows is what a new reading of everything says.
func TestLiveIsCurrent(t *testing.T) {
	nettest.NeedsRoot(t)
	worlds := 2
	if os.Getenv(withoutBroadcast) != "" {
		worlds = 1
		if netns.HasCap(unix.CAP_NET_BROADCAST) {
			t.Fatal("CAP_NET_BROADCAST is there")
		}
	}
	first := seed.Of(t)
	for i := range worlds {
		seed := first + uint64(i)
		t.Run(fmt.Sprintf("%d-seed-%d", i, seed), func(t *testing.T) {
			w := newLiveWorld(t, seed, i*100)
			for range 5 {
				w.space()
			}
			w.tie(w.spaces[0], w.spaces[1])
			w.numbered(w.spaces[1])
			w.numbered(w.spaces[2])
			w.begin(func(u inspect.Update) { w.up <- u })
			w.heardBy(w.spaces[1], w.spaces[2])
			w.current("at the start")
			for round := range 6 {
				var wait []func()
				for range 1 + w.r.IntN(12) {
					wait = append(wait, w.do())
				}
				for _, f := range wait {
					f()
				}
				w.current(fmt.Sprintf("round %d", round))
				w.keepsNothing()
			}
		})
	}
}

func (w *liveWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *liveWorld) space() *liveSpace {
	w.serial++
	s, err := netlab.New(fmt.Sprintf("live%d", w.serial))
	w.must(err)
	sh, err := ipcmd.Open(ipcmd.Env{NS: s.Handle})
	w.must(err)
	x := &liveSpace{Space: s, sh: sh, down: map[string]bool{}}
	w.t.Cleanup(func() {
		if slices.Contains(w.spaces, x) {
			sh.Close()
			s.Close()
		}
	})
	w.spaces = append(w.spaces, x)
	return x
}

// take takes one update in.
func (w *liveWorld) take(u inspect.Update) {
	if u.Snapshot != nil {
		w.last = u.Snapshot
	}
	if u.Full {
		w.fulls++
	}
	for _, e := range u.Heard {
		if !e.Far {
			w.heard[e.In]++
		}
	}
}

// await fails where something is not heard of for long: a look at what nobody tells of, every two seconds, is in it.
func (w *liveWorld) await(what string, ok func() bool) {
	w.t.Helper()
	late := time.After(15 * time.Second)
	for !ok() {
		select {
		case u := <-w.up:
			w.take(u)
		case <-late:
			w.t.Fatalf("not heard within 15 s: %s", what)
		}
	}
}

// current waits until the Live says what a new reading says.
func (w *liveWorld) current(when string) {
	w.t.Helper()
	late := time.After(20 * time.Second)
	for {
		fresh, err := inspect.Collect(w.t.Context(), inspect.WithoutEngines(), inspect.WithDepth(inspect.Topology))
		w.must(err)
		diff := w.ours(topo.Diff(topo.Build(w.last), topo.Build(fresh)))
		if len(diff) == 0 {
			return
		}
		select {
		case u := <-w.up:
			w.take(u)
		case <-time.After(time.Second): // what is different may have come after the last event
		case <-late:
			w.t.Fatalf("%s: what a new reading says is different:\n%s", when, strings.Join(diff, "\n"))
		}
	}
}

// keepsNothing waits until no namespace is open but those of the test: what the Live opens to read it closes again.
func (w *liveWorld) keepsNothing() {
	w.t.Helper()
	var open []string
	for late := time.Now().Add(10 * time.Second); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		open = nil
		fds, err := os.ReadDir("/proc/self/fd")
		w.must(err)
		for _, fd := range fds {
			if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, "net:[") {
				open = append(open, fd.Name()+" "+to)
			}
		}
		if len(open) <= len(w.spaces) {
			return
		}
	}
	w.t.Errorf("namespaces are open: %q; the test has %d", open, len(w.spaces))
}

// ours are the changes in the test's own namespaces: others may be at work on this machine.
func (w *liveWorld) ours(all []topo.Change) (out []string) {
	mine := map[string]bool{}
	for _, s := range w.spaces {
		mine[s.ID().Short()] = true
	}
	for i := range all {
		if c := &all[i]; mine[c.Netns[strings.LastIndexByte(c.Netns, ':')+1:]] {
			out = append(out, c.String())
		}
	}
	return out
}

// tie joins two namespaces by a veth: each then has a number for the other.
func (w *liveWorld) tie(a, b *liveSpace) {
	w.serial++
	x, y := fmt.Sprintf("v%d", w.serial), fmt.Sprintf("p%d", w.serial)
	w.must(a.Veth(x, b.Space, y))
	a.links, b.links = append(a.links, x), append(b.links, y)
}

// homeLinks counts the links in the test's own namespace, which all worlds share.
var homeLinks atomic.Int32

// numbered gives a namespace a number in the test's own, by a veth that goes with it.
func (w *liveWorld) numbered(s *liveSpace) {
	self, err := netns.Self()
	w.must(err)
	home, err := netlab.Wrap("home", self)
	w.must(err)
	defer home.Close()
	w.serial++
	name := fmt.Sprintf("p%d", w.serial)
	w.must(home.Veth(fmt.Sprintf("nsl%d-%d", os.Getpid()%100000, homeLinks.Add(1)), s.Space, name))
	s.links = append(s.links, name)
}

func (w *liveWorld) any() *liveSpace { return w.spaces[w.r.IntN(len(w.spaces))] }

// do does one thing. What it returns waits until it is heard of in each namespace in which it was done.
func (w *liveWorld) do() (wait func()) {
	w.t.Helper()
	s := w.any()
	touched := []*liveSpace{s}
	name := ""
	if len(s.links) > 0 {
		name = s.links[w.r.IntN(len(s.links))]
	}
	line := ""
	w.serial++
	op := w.r.IntN(14)
	if name == "" && op > 2 && op < 9 {
		op = 0
	}
	switch op {
	case 0:
		o := w.any()
		w.tie(s, o)
		touched, line = []*liveSpace{s, o}, "veth"
	case 1:
		w.tie(s, s)
		line = "veth to itself"
	case 2:
		n := fmt.Sprintf("b%d", w.serial)
		w.must(s.Bridge(n, netip.Prefix{}))
		s.links, line = append(s.links, n), "bridge"
	case 3:
		line = fmt.Sprintf("ip addr add 10.%d.%d.1/24 dev %s", w.serial/250, w.serial%250, name)
	case 4:
		state := "down"
		if s.down[name] {
			state = "up"
		}
		s.down[name] = !s.down[name]
		line = "ip link set " + name + " " + state
	case 5:
		line = fmt.Sprintf("ip link set %s mtu %d", name, 1300+w.serial)
	case 6:
		line = fmt.Sprintf("ip neigh replace 10.99.%d.%d lladdr 02:00:00:00:00:%02x dev %s nud permanent", w.serial/250, w.serial%250, w.serial%256, name)
	case 7:
		line = fmt.Sprintf("ip addr add fd00:%x::1/64 dev %s nodad", w.serial, name)
	case 8: // another namespace hears of the other end, too, but need not be asked
		o := w.any()
		if o == s || s.Move(name, o.Space) != nil {
			return func() {}
		}
		s.drop(name)
		o.down[name] = true // as every link is that was moved
		o.links = append(o.links, name)
		touched, line = []*liveSpace{s, o}, "move"
	case 9:
		line = fmt.Sprintf("ip rule add pref %d from 10.1.0.0/16 lookup 77", 1000+w.serial)
	case 10:
		line = fmt.Sprintf("ip route add blackhole 10.200.%d.0/24", w.serial%250)
	case 11:
		c, err := nft.Parse(fmt.Sprintf("nft add table ip t%d", w.serial))
		w.must(err)
		if err := s.Do(c.Run); err != nil {
			return func() {} // a kernel without nf_tables
		}
		line = "nft"
	case 12:
		if len(w.spaces) < 8 {
			n := w.space()
			w.spaces = w.spaces[:len(w.spaces)-1]
			if w.r.IntN(2) == 0 {
				w.tie(w.spaces[0], n)
			} else {
				w.numbered(n)
			}
			return func() { // before somebody knows of it nobody listens there
				w.await("a namespace", func() bool { return w.has(n.ID()) })
				w.spaces = append(w.spaces, n)
			}
		}
	case 13:
		if at := w.r.IntN(len(w.spaces)); at > 0 {
			gone := w.spaces[at]
			w.spaces = append(w.spaces[:at], w.spaces[at+1:]...)
			id := gone.ID()
			gone.sh.Close()
			w.must(gone.Close())
			return func() {
				w.await("the end of a namespace", func() bool { return !w.has(id) })
				w.prune()
			}
		}
	}
	if strings.HasPrefix(line, "ip ") {
		if err := s.sh.Line(line); err != nil {
			w.t.Logf("%s: %v", line, err)
			return func() {}
		}
	}
	if line == "" {
		return func() {}
	}
	before := map[*liveSpace]int{}
	for _, x := range touched {
		w.done[x]++
		before[x] = w.done[x]
	}
	return func() {
		for _, x := range touched {
			if slices.Contains(w.spaces, x) { // as many events as things done, at least
				w.await(fmt.Sprintf("an event of %q in %s", line, x.Name), func() bool { return w.heard[x.ID()] >= before[x] })
			}
		}
	}
}

func (w *liveWorld) has(id snapshot.NSID) bool {
	return slices.ContainsFunc(w.last.Namespaces, func(n snapshot.Namespace) bool { return n.ID == id })
}

// prune forgets links that went with a namespace.
func (w *liveWorld) prune() {
	for _, s := range w.spaces {
		s.links = slices.DeleteFunc(s.links, func(name string) bool { _, err := s.Link(name); return err != nil })
	}
}

func (s *liveSpace) drop(name string) {
	for i, l := range s.links {
		if l == name {
			s.links = append(s.links[:i], s.links[i+1:]...)
			return
		}
	}
}
