package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/ring"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// Session captures.
type Session struct {
	Config
	poller  *ring.Poller
	namer   *Namer
	decoder packet.Decoder
	sources map[string]*source // by node id of the namespace, and of the link where one was asked for
	done    []Counts           // of rings that are closed
	busy    bool               // packets came since names were made
	ended   chan struct{}      // closed when Run has ended
	comm    string             // what this process, and others like it, is called
	pkt     packet.Packet
	event   text.Event
}

// source is one ring.
type source struct {
	spot  Spot
	ns    *snapshot.Namespace
	held  bool // by more than sockets, once at least
	ring  *ring.Ring
	links map[int]*link
	// states are the links that are looked after, by ifindex.
	states map[int]linkState
	down   bool
	lost   uint64 // frames that no packet told of yet
}

// link is one interface of a source, by ifindex; place is nil where it is not wanted.
type link struct {
	place          *text.Place
	packets, bytes uint64
}

// NewSession makes one that captures nothing yet; names and targets are those of the graph.
func NewSession(g *topo.Graph, c Config) (*Session, error) {
	p, err := ring.NewPoller()
	if err != nil {
		return nil, err
	}
	if c.Proc == "" {
		c.Proc = "/proc"
	}
	if c.Open == nil {
		c.Open = netns.NewOpener(c.Proc).Open
	}
	if c.Note == nil {
		c.Note = func(string, ...any) {}
	}
	n := NewNamer(g)
	n.None = c.NoNames
	comm, _ := os.ReadFile("/proc/self/comm") // empty: no process is called so
	return &Session{Config: c, comm: strings.TrimSpace(string(comm)), poller: p, namer: n, decoder: packet.Decoder{VXLANPorts: c.VXLANPorts, Checksums: c.Checksums}, sources: map[string]*source{}, ended: make(chan struct{})}, nil
}

func key(s Spot) string {
	if s.Link != nil {
		return s.Link.ID
	}
	return s.Netns.ID
}

// Sizes of rings: what all have together, and the least and the most that one has.
const (
	defBuffer = 96 << 20
	minBuffer = 256 << 10
	maxBuffer = 32 << 20
)

// atOnce is how many rings are opened at a time. The kernel waits for an RCU grace period with each (packet_set_ring calls synchronize_net), some
// ten milliseconds in which those beside it wait for the same one.
const atOnce = 16

// Add opens rings. Spots in one namespace of which all links are asked for once are one. What cannot be opened is an error where strict, else
// a note. It may be called before Run, and by [Session.Call].
func (s *Session) Add(ctx context.Context, spots []Spot, strict bool) error {
	var todo []Spot
	asked := map[string]bool{}
	known := func(id string) bool { return asked[id] || s.sources[id] != nil }
	for _, x := range s.narrowed(spots) {
		if known(key(x)) || x.Link != nil && known(x.Netns.ID) {
			continue
		}
		asked[key(x)] = true
		todo = append(todo, x)
	}
	for some := range slices.Chunk(todo, atOnce) {
		errs := s.open(ctx, some, len(spots))
		for _, err := range errs {
			if err == nil {
				continue
			}
			if strict || errors.Is(err, os.ErrPermission) {
				return err
			}
			s.Note("%v", err)
		}
	}
	if len(todo) > 1 {
		shedThreads()
	}
	return nil
}

// open opens rings at the same time, of so many as there will be; each has its error.
func (s *Session) open(ctx context.Context, spots []Spot, of int) []error {
	errs := make([]error, len(spots))
	sources := make([]*source, len(spots))
	var wg sync.WaitGroup
	for i, x := range spots {
		name, _ := s.namer.NetnsName(x.Netns)
		ns := s.namer.g.Namespace(x.Netns)
		h, err := s.Open(ctx, ns.ID, name)
		if err != nil {
			errs[i] = err
			continue
		}
		defer h.Close() // the socket keeps the namespace
		src := &source{spot: x, links: map[int]*link{}, states: map[int]linkState{}}
		s.hold(src, ns)
		ifindex, o := s.options(src, of)
		wg.Go(func() {
			if err := h.Do(func() (err error) { src.ring, err = ring.Open(ifindex, o); return err }); err != nil {
				errs[i] = fmt.Errorf("cannot capture in the netns of %s: %w", name, err)
				return
			}
			sources[i] = src
		})
	}
	wg.Wait()
	for i, src := range sources {
		if src == nil {
			continue
		}
		src.ring.Tag = src
		if err := s.poller.Add(src.ring); err != nil {
			src.ring.Close()
			errs[i] = err
			continue
		}
		s.sources[key(src.spot)] = src
		s.lookAfter(src)
	}
	return errs
}

// narrowed are spots of one link where all of a namespace's are asked for and only one name is wanted: the kernel need not copy the others'
// frames. Where there is no link of that name (yet), it stays the namespace.
func (s *Session) narrowed(spots []Spot) []Spot {
	if len(s.On) != 1 {
		return spots
	}
	out := slices.Clone(spots)
	for i := range out {
		if out[i].Link != nil {
			continue
		}
		for _, l := range linksOf(s.namer.g, out[i].Netns) {
			if l.Name == s.On[0] {
				out[i].Link = l
			}
		}
	}
	return out
}

// options are those of a source's ring, one of so many.
func (s *Session) options(src *source, of int) (ifindex int, o ring.Options) {
	if src.spot.Link != nil {
		ifindex = src.spot.Link.Attrs.Ifindex
	}
	total := s.Buffer
	if total == 0 {
		total = defBuffer
	}
	return ifindex, ring.Options{Program: s.program(src.spot, s.Filter), Bytes: min(max(total/max(of, 1), minBuffer), maxBuffer)}
}

// Run gives packets to fn until ctx ends or fn fails. The event and what it points to are used again: [text.Event.Clone] keeps one. idle (which
// may be nil) is called when nothing more is ready, to flush what was said, and soon again while it returns true. Packets of one namespace come
// in their order; those of several may be up to twice [ring.RetireMS] late. All callbacks run in the caller's goroutine. Run closes the session.
func (s *Session) Run(ctx context.Context, fn func(*text.Event) error, idle func() (bool, error)) error {
	defer close(s.ended)
	parent := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx)
	}()
	err := s.poller.Wait(ctx, func(r *ring.Ring, f *ring.Frame) {
		if ctx.Err() != nil && parent.Err() == nil {
			return // fn said stop: nothing after that
		}
		if !s.take(r.Tag.(*source), f) {
			return
		}
		if err := fn(&s.event); err != nil {
			cancel(err)
		}
	}, s.gone, func() bool {
		if idle == nil {
			return false
		}
		again, err := idle()
		if err != nil {
			cancel(err)
		}
		return again
	})
	failed := context.Cause(ctx)
	cancel(nil)
	<-watched
	for _, src := range s.sources {
		s.done = append(s.done, s.count(src))
	}
	s.sources = nil
	s.poller.Close()
	if err == nil && parent.Err() == nil {
		err = failed
	}
	return err
}

// Call has fn called in the goroutine that runs the session, between two packets, and waits for it; false where the session has ended.
// It is for other goroutines than that one.
func (s *Session) Call(fn func()) bool {
	called := make(chan struct{})
	s.poller.Call(func() { fn(); close(called) })
	select {
	case <-called:
		return true
	case <-s.ended:
		return false
	}
}

// SetFilter has another filter from now on, nil for none. It may be called by any goroutine but Run's.
func (s *Session) SetFilter(f *filter.Filter) {
	s.Call(func() { s.setFilter(f) })
}

func (s *Session) setFilter(f *filter.Filter) {
	for _, src := range s.sources {
		if err := src.ring.SetProgram(s.program(src.spot, f)); err != nil {
			s.Note("%s: %v", s.name(src), err)
		}
	}
	s.Filter = f
}

// program is what the kernel runs for a filter: what it lets through is tested again.
func (s *Session) program(x Spot, f *filter.Filter) []unix.SockFilter {
	prog := f.Prefilter(filter.Kernel{SnapLen: uint32(s.SnapLen), Workload: x.Netns.ID, VXLANPorts: s.VXLANPorts})
	out := make([]unix.SockFilter, len(prog))
	for i, p := range prog {
		out[i] = unix.SockFilter{Code: p.Op, Jt: p.JT, Jf: p.JF, K: p.K}
	}
	return out
}

// Counts are those of all rings so far, sorted by name: while Run runs, for any other goroutine, and after it.
func (s *Session) Counts() (out []Counts) {
	if s.Call(func() { out = s.counts() }) {
		return out
	}
	return s.counts()
}

// Drained is a moment: packets from before it have been given, of all namespaces. It is for Run's callbacks.
func (s *Session) Drained() time.Time { return s.poller.Drained().Add(-handedOver) }

// handedOver is how long a packet may wait in a block that is not full: until the timer has gone off twice, and a little.
const handedOver = (2*ring.RetireMS + 20) * time.Millisecond

// Dropped is how many frames the rings had no room for so far: for Run's callbacks, and before it.
func (s *Session) Dropped() (n uint64) {
	for i := range s.done {
		n += s.done[i].Dropped
	}
	for _, src := range s.sources {
		_, d := src.ring.Stats()
		n += d
	}
	return n
}

func (s *Session) counts() []Counts {
	all := slices.Clone(s.done)
	for _, src := range s.sources {
		all = append(all, s.count(src))
	}
	return merge(all)
}

// take decodes a frame into the event; false where it is not wanted. On a loopback link each frame comes twice, sent and received: as
// libpcap does, only the received one is taken.
func (s *Session) take(src *source, f *ring.Frame) bool {
	src.lost += f.Lost
	if f.HwType == unix.ARPHRD_LOOPBACK && f.PktType == unix.PACKET_OUTGOING {
		return false
	}
	l := src.links[f.Ifindex]
	if l == nil {
		l = &link{place: s.place(src, f.Ifindex)}
		src.links[f.Ifindex] = l
	}
	if l.place == nil {
		return false
	}
	typ := packet.Ethernet
	if f.Raw {
		typ = packet.RawIP
	}
	if s.Undecoded && s.Filter == nil {
		s.pkt.Reset(f.Data, f.Len, typ)
	} else {
		s.decoder.Decode(&s.pkt, f.Data, f.Len, typ)
	}
	e := &s.event
	e.Packet, e.Nanos, e.Place, e.Dir = &s.pkt, f.Nanos, l.place, text.In
	if f.PktType == unix.PACKET_OUTGOING {
		e.Dir = text.Out
	}
	if f.NoSum {
		for i := range s.pkt.N {
			s.pkt.Heads[i].Status &^= packet.BadL4Sum
		}
	}
	if s.Filter != nil && !s.Filter.Match(&s.pkt, filter.Meta{Dir: filter.Dir(e.Dir), Workload: src.spot.Netns.ID}) {
		return false
	}
	s.busy = true
	e.Drop, e.DropShared, src.lost = src.lost, src.spot.Link == nil, 0
	l.packets++
	l.bytes += uint64(s.pkt.Len)
	return true
}

// linkName is what a link is called now, or was when the host was read.
func (s *Session) linkName(src *source, ifindex int) string {
	name := s.namer.LinkName(src.spot.Netns, ifindex)
	if name == "" {
		name = src.ring.LinkName(ifindex) // it came after the namespace was read
	}
	if name == "" {
		name = fmt.Sprintf("if%d", ifindex)
	}
	return name
}

// place names a link, nil where it is not wanted.
func (s *Session) place(src *source, ifindex int) *text.Place {
	name := s.linkName(src, ifindex)
	if len(s.On) > 0 && !slices.Contains(s.On, name) {
		return nil
	}
	return s.namer.Place(src.spot.Netns, name)
}

// gone is called for a ring whose link went down or away.
func (s *Session) gone(r *ring.Ring, err error) {
	src := r.Tag.(*source)
	if errors.Is(err, unix.ENETDOWN) {
		if !src.down {
			s.Note("%s is down", s.name(src))
		}
		src.down = true
		return
	}
	s.Note("%s: %v", s.name(src), err)
}

// name is what a source is called: its namespace, or the link that was asked for.
func (s *Session) name(src *source) string {
	name, _ := s.namer.NetnsName(src.spot.Netns)
	if src.spot.Link != nil {
		name += "/" + src.spot.Link.Name
	}
	return name
}

func (s *Session) count(src *source) Counts {
	c := Counts{Name: s.name(src)}
	c.Netns, _ = s.namer.NetnsName(src.spot.Netns)
	c.Taken, c.Dropped = src.ring.Stats()
	for _, l := range src.links {
		if l.packets > 0 {
			c.Links = append(c.Links, LinkCounts{l.place, l.packets, l.bytes})
		}
	}
	return c
}

// Close ends a session that was not run.
func (s *Session) Close() { s.poller.Close() }
