package inspect

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nscope/nscope/inspect/bpf"
	"github.com/nscope/nscope/inspect/engine"
	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/inspect/watch"
)

const (
	// quiet is how long nothing must be heard before what was heard is read, patience how long that is waited for at most.
	quiet    = 40 * time.Millisecond
	patience = 250 * time.Millisecond
	// breath is how many times as long as an update took is waited until the next: an endless storm of events costs a
	// quarter of a core at most.
	breath = 3
	// sweepEvery is how often it is looked for processes that came and went, findEvery for all that may hold a namespace: of
	// neither the kernel tells.
	sweepEvery = 2 * time.Second
	findEvery  = 30 * time.Second
	// lookEvery is how often what is on the screen is read again.
	lookEvery = 2 * time.Second
)

// Live keeps a snapshot up to date: it hears what changes, and reads again only those parts of those namespaces.
//
//	l := inspect.NewLive()
//	err := l.Run(ctx, func(u inspect.Update) { … })
//
// The host is read in full at the start (links and what belongs to them first, then all) and when events were lost. What the
// kernel tells nothing of (legacy iptables, IPVS, sysctls, sockets, counters) is as of then, but for namespaces that are
// looked at ([Live.Look]).
type Live struct {
	opts []Option
	w    *watch.Watcher
	c    *collector
	now  pending

	homes   map[snapshot.NSID]*home
	covered map[snapshot.NSID]nsidAt // namespaces that a home's socket hears of
	alone   map[snapshot.NSID]bool   // namespaces with a socket of their own
	doubts  int                      // how often more it is looked for what ended
	unsure  map[ref]bool
	pids    map[int]snapshot.NSID
	folders map[string]bool

	took             time.Duration
	ended, foundAt   time.Time
	engineDone       chan engine.Result
	engineChanged    chan struct{}
	asking, askAgain bool
	followed         string
	unfollow         context.CancelFunc

	mu     sync.Mutex
	looked []snapshot.NSID
	wake   chan struct{}
	stats  statReader
}

// nsidAt is an nsid in a namespace.
type nsidAt struct {
	in   snapshot.NSID
	nsid int
}

// home is a namespace in which others have nsids.
type home struct {
	conn *rtnl.Conn
	all  bool
}

// pending is what was heard since the last update.
type pending struct {
	first, last time.Time
	parts       map[snapshot.NSID]rtnl.Part
	netfilter   map[snapshot.NSID]bool
	far         map[nsidAt]bool
	names       bool // namespaces may have come or gone
	cover       bool // nsids have
	engines     bool // what engines say may have changed
	told        bool // it has
	look        bool
	lost        bool
	heard       []watch.Event
}

func newPending() pending {
	return pending{parts: map[snapshot.NSID]rtnl.Part{}, netfilter: map[snapshot.NSID]bool{}, far: map[nsidAt]bool{}}
}

func (p *pending) some() bool { return !p.first.IsZero() }

// touch notes that there is something to do.
func (p *pending) touch() {
	p.last = time.Now()
	if p.first.IsZero() {
		p.first = p.last
	}
}

// NewLive makes one; options are those of [Collect].
func NewLive(opts ...Option) *Live {
	return &Live{opts: opts, wake: make(chan struct{}, 1), engineDone: make(chan engine.Result, 1), engineChanged: make(chan struct{}, 1)}
}

// Run reads the host, calls each for every state, and returns when ctx ends, with its error, or where the host cannot be read.
// Only one Run of a Live may be.
func (l *Live) Run(ctx context.Context, each func(Update)) error {
	l.now, l.homes, l.covered, l.alone = newPending(), map[snapshot.NSID]*home{}, map[snapshot.NSID]nsidAt{}, map[snapshot.NSID]bool{}
	l.unsure, l.folders, l.doubts = map[ref]bool{}, map[string]bool{}, 0
	var err error
	if l.w, err = watch.New(); err != nil {
		return err
	}
	defer l.close()
	// The picture first. Then we listen, and read it again: what changed in between is seen.
	if err := l.full(ctx, Topology, each); err != nil {
		return err
	}
	l.listen()
	if err := l.full(ctx, Full, each); err != nil {
		return err
	}
	l.follow(ctx)
	return l.loop(ctx, each)
}

func (l *Live) close() {
	if l.unfollow != nil {
		l.unfollow()
	}
	for id := range l.homes {
		l.forget(id)
	}
	l.w.Close()
	l.stats.close()
}

// loop hears, waits until it is quiet, and updates.
func (l *Live) loop(ctx context.Context, each func(Update)) error {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		if l.now.some() {
			at := l.now.last.Add(quiet)
			if m := l.now.first.Add(patience); m.Before(at) {
				at = m
			}
			if m := l.ended.Add(breath * l.took); m.After(at) {
				at = m
			}
			due.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case batch, ok := <-l.w.Events():
			if !ok {
				return nil
			}
			l.hear(batch)
		case <-due.C:
			if !l.now.some() {
				continue
			}
			if err := l.update(ctx, each); err != nil {
				return err
			}
		case <-sweep.C:
			l.sweep()
		case <-look.C:
			if len(l.lookedAt()) > 0 {
				l.now.look = true
				l.now.touch()
			}
		case <-l.wake:
			l.now.look = true
			l.now.touch()
		case <-l.engineChanged:
			l.now.names, l.now.engines = true, true
			l.now.touch()
		case res := <-l.engineDone:
			l.told(ctx, res)
		}
	}
}

// Look names the namespaces that are on the screen: all of them is read again now and then. It replaces those named before.
func (l *Live) Look(ids ...snapshot.NSID) {
	l.mu.Lock()
	same := slices.Equal(l.looked, ids)
	l.looked = slices.Clone(ids)
	l.mu.Unlock()
	if !same && len(ids) > 0 {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

func (l *Live) lookedAt() []snapshot.NSID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.looked
}

// hear takes in what was heard.
func (l *Live) hear(batch []watch.Event) {
	for _, e := range batch {
		if e.Neighbor != nil && !e.Far && l.knows(e.In, e.Neighbor) {
			continue // only its timer ran
		}
		l.now.touch()
		l.now.heard = append(l.now.heard, e)
		switch {
		case e.Names:
			l.now.names = true
		case e.Lost && !e.All:
			l.now.parts[e.In] |= rtnl.Topology
			l.now.netfilter[e.In] = true
		case e.Lost:
			l.now.lost = true
		case e.Far:
			l.now.far[nsidAt{e.In, e.Via}] = true
		case e.Netfilter:
			l.now.netfilter[e.In] = true
		default:
			l.now.parts[e.In] |= e.Parts
		}
		if e.Parts&rtnl.NSIDs != 0 && !e.Far {
			l.nsid(&e)
		}
	}
}

// nsid takes in that a number was given or taken back.
func (l *Live) nsid(e *watch.Event) {
	if l.c.ids[e.In] != nil {
		delete(l.c.ids[e.In], e.NSID)
	}
	if h := l.homes[e.In]; h != nil {
		l.now.cover = true
		if e.Gone {
			l.w.Unname(e.In, e.NSID)
			for id, at := range l.covered {
				if at == (nsidAt{e.In, e.NSID}) {
					delete(l.covered, id)
				}
			}
		}
		l.now.names = true // with a number comes, or goes, a namespace
	}
}

// knows tells whether a neighbour is known as it is, but for its timers.
func (l *Live) knows(in snapshot.NSID, n *snapshot.Neighbor) bool {
	s := l.c.read[in]
	if s == nil {
		return false
	}
	for i := range s.ns.Neighbors {
		if o := &s.ns.Neighbors[i]; o.Ifindex == n.Ifindex && o.Addr == n.Addr {
			return sameNeighbor(o, n)
		}
	}
	return false
}

func sameNeighbor(a, b *snapshot.Neighbor) bool {
	x, y := *a, *b
	x.State, y.State = lastingState(x.State), lastingState(y.State)
	return x.MAC == y.MAC && x.State == y.State && x.Ifindex == y.Ifindex && x.Addr == y.Addr && slices.Equal(x.Flags, y.Flags) && x.Protocol == y.Protocol
}

// lastingState is a neighbour's state without its timers (neighbour.h: NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE; NUD_INCOMPLETE and
// NUD_FAILED).
func lastingState(s string) string {
	switch s {
	case "stale", "delay", "probe":
		return "reachable"
	case "incomplete":
		return "failed"
	}
	return s
}

// full reads everything, and forgets what it knew.
func (l *Live) full(ctx context.Context, depth Depth, each func(Update)) error {
	heard, lost := l.now.heard, l.now.lost
	c := &collector{options: newOptions(l.opts), start: time.Now(), read: map[snapshot.NSID]*space{}, bpf: bpf.NewReader()}
	if c.depth == Full {
		c.depth = depth
	}
	snap, err := c.collect(ctx)
	if err != nil {
		return err
	}
	l.c, l.now = c, newPending()
	for i := range snap.Namespaces {
		n := snap.Namespaces[i]
		if s := c.read[n.ID]; s != nil {
			s.ns, s.shared, s.owned = &n, true, true
		}
	}
	l.note(time.Since(c.start))
	l.foundAt = l.ended
	l.remember()
	c.progress = func(int, int) {}
	if len(l.homes) > 0 {
		l.cover() // those that came with this reading are heard of before they are known
	}
	each(Update{Snapshot: snap, Full: true, Lost: lost, Heard: heard})
	return nil
}

// note is called after each update.
func (l *Live) note(took time.Duration) {
	l.took, l.ended = took, time.Now()
	l.share()
}

// told takes what the engines say.
func (l *Live) told(ctx context.Context, res engine.Result) {
	l.asking = false
	tidy := snapshot.Snapshot{Workloads: res.Workloads, Networks: res.Networks, Services: res.Services, Flannel: res.Flannel, Gaps: res.Gaps, Host: snapshot.Host{Engines: res.Engines}}
	tidy.Normalize()
	res = engine.Result{Engines: tidy.Host.Engines, Workloads: tidy.Workloads, Networks: tidy.Networks, Services: tidy.Services, Flannel: tidy.Flannel, Gaps: tidy.Gaps}
	if !reflect.DeepEqual(res, l.c.told) {
		l.c.told = res
		l.now.told, l.now.cover = true, true
		l.now.touch()
		l.follow(ctx)
	}
	if l.askAgain {
		l.askAgain = false
		l.ask(ctx)
	}
}

// ask asks the engines, one question at a time.
func (l *Live) ask(ctx context.Context) {
	if !l.c.engines {
		return
	}
	if l.asking {
		l.askAgain = true
		return
	}
	l.asking = true
	o := l.c.engineOptions(l.c.found.Processes)
	go func() { l.engineDone <- engine.Read(ctx, o) }()
}

// follow lets the engines tell of changes, where others are there than last time.
func (l *Live) follow(ctx context.Context) {
	if !l.c.engines {
		return
	}
	var key strings.Builder
	for _, e := range l.c.told.Engines {
		if e.Reachable {
			key.WriteString(e.ID + " " + e.Endpoint + " " + e.Root + "\n")
		}
	}
	if key.String() == l.followed {
		return
	}
	l.followed = key.String()
	if l.unfollow != nil {
		l.unfollow()
	}
	ctx, l.unfollow = context.WithCancel(ctx)
	if l.followed == "" {
		return
	}
	o := l.c.engineOptions(l.c.found.Processes)
	go engine.Follow(ctx, o, func() {
		select {
		case l.engineChanged <- struct{}{}:
		default:
		}
	})
}
