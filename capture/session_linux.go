package capture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/ring"
	"github.com/nscope/nscope/capture/text"
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
	done    []Counts
	pkt     packet.Packet
	event   text.Event
}

// source is one ring.
type source struct {
	spot   Spot
	ns     *snapshot.Namespace
	ring   *ring.Ring
	places map[int]*text.Place
	seen   map[int]uint64
	down   bool
}

// NewSession makes one that captures nothing yet.
func NewSession(g *topo.Graph, c Config, noNames bool) (*Session, error) {
	p, err := ring.NewPoller()
	if err != nil {
		return nil, err
	}
	n := NewNamer(g)
	n.None = noNames
	return &Session{Config: c, poller: p, namer: n, decoder: packet.Decoder{VXLANPorts: c.VXLANPorts, Checksums: c.Checksums}, sources: map[string]*source{}}, nil
}

func key(s Spot) string {
	if s.Link != nil {
		return s.Link.ID
	}
	return s.Netns.ID
}

// defBuffer is what all rings have together, of which each has at least 256 KiB and at most 8 MiB.
const defBuffer = 128 << 20

// Add opens rings. Spots in one namespace of which all links are asked for once are one. What cannot be opened is an error where strict, else
// a note.
func (s *Session) Add(ctx context.Context, spots []Spot, strict bool) error {
	for _, x := range spots {
		if _, ok := s.sources[key(x)]; ok || x.Link != nil && s.sources[x.Netns.ID] != nil {
			continue
		}
		if err := s.open(ctx, x, len(spots)); err != nil {
			if strict || errors.Is(err, os.ErrPermission) {
				return err
			}
			s.Note("%v", err)
		}
	}
	return nil
}

func (s *Session) open(ctx context.Context, x Spot, of int) error {
	name, _ := s.namer.NetnsName(x.Netns)
	ns := s.namer.g.Namespace(x.Netns)
	h, err := s.Open(ctx, ns.ID, name)
	if err != nil {
		return err
	}
	defer h.Close() // the socket keeps the namespace
	ifindex := 0
	if x.Link != nil {
		ifindex = x.Link.Attrs.Ifindex
	} else if len(s.On) == 1 {
		// One link only: the kernel need not copy the others' frames.
		for i := range ns.Links {
			if ns.Links[i].Name == s.On[0] {
				ifindex = ns.Links[i].Index
			}
		}
	}
	total := s.Buffer
	if total == 0 {
		total = defBuffer
	}
	o := ring.Options{SnapLen: s.SnapLen, Bytes: min(max(total/max(of, 1), 256<<10), 8<<20)}
	src := &source{spot: x, ns: ns, places: map[int]*text.Place{}, seen: map[int]uint64{}}
	err = h.Do(func() (err error) { src.ring, err = ring.Open(ifindex, o); return err })
	if err != nil {
		return fmt.Errorf("cannot capture in the netns of %s: %w", name, err)
	}
	src.ring.Tag = src
	if err := s.poller.Add(src.ring); err != nil {
		src.ring.Close()
		return err
	}
	s.sources[key(x)] = src
	return nil
}

// Run gives packets to fn until ctx ends or fn fails. idle is called when nothing more is ready, to flush what was said, and soon again while
// it returns true. Packets of one namespace come in their order; those of several may be up to twice [ring.RetireMS] late.
func (s *Session) Run(ctx context.Context, fn func(*text.Event) error, idle func() (bool, error)) error {
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
		s.count(src)
	}
	s.poller.Close()
	if err == nil && parent.Err() == nil {
		err = failed
	}
	return err
}

// take decodes a frame into the event; false where it is not wanted.
func (s *Session) take(src *source, f *ring.Frame) bool {
	p, ok := src.places[f.Ifindex]
	if !ok {
		p = s.place(src, f.Ifindex)
		src.places[f.Ifindex] = p
	}
	if p == nil {
		return false
	}
	link := packet.Ethernet
	if f.Raw {
		link = packet.RawIP
	}
	s.decoder.Decode(&s.pkt, f.Data, f.Len, link)
	e := &s.event
	e.Packet, e.Nanos, e.Place, e.Dir = &s.pkt, f.Nanos, p, text.In
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
	src.seen[f.Ifindex]++
	return true
}

// place names a link, nil where it is not wanted.
func (s *Session) place(src *source, ifindex int) *text.Place {
	name := s.namer.LinkName(src.spot.Netns, ifindex)
	if name == "" {
		if name = src.ring.LinkName(ifindex); name == "" { // it came after the namespace was read
			name = fmt.Sprintf("if%d", ifindex)
		}
	}
	if len(s.On) > 0 && !slices.Contains(s.On, name) {
		return nil
	}
	return s.namer.Place(src.spot.Netns, name)
}

// gone is called for a ring whose link went down or away.
func (s *Session) gone(r *ring.Ring, err error) {
	src := r.Tag.(*source)
	name, _ := s.namer.NetnsName(src.spot.Netns)
	if src.spot.Link != nil {
		name += "/" + src.spot.Link.Name
	}
	if errors.Is(err, unix.ENETDOWN) {
		if !src.down {
			s.Note("%s is down", name)
		}
		src.down = true
		return
	}
	s.Note("%s: %v", name, err)
}

func (s *Session) count(src *source) {
	name, _ := s.namer.NetnsName(src.spot.Netns)
	if src.spot.Link != nil {
		name += "/" + src.spot.Link.Name
	}
	_, drops := src.ring.Stats()
	var n uint64
	for _, c := range src.seen {
		n += c
	}
	s.done = append(s.done, Counts{name, n, drops})
}

// Close ends a session that was not run.
func (s *Session) Close() { s.poller.Close() }

// Summary are the counts of all sources, after Run, sorted by name.
func (s *Session) Summary() []Counts {
	slices.SortFunc(s.done, func(a, b Counts) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return s.done
}

// watchEvery is how often it is looked whether a namespace has a holder but us.
const watchEvery = time.Second

// newEvery is after how many of these it is looked for new namespaces, where all were asked for.
const newEvery = 5

// watch lets go of namespaces that only our ring holds any more, and has what (re)starts join.
func (s *Session) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	missing, all := false, slices.Contains(s.Targets, "all")
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		lost := make(chan bool, 1)
		s.poller.Call(func() { lost <- s.dropDead() })
		select {
		case <-ctx.Done():
			return
		case l := <-lost:
			missing = missing || l
		}
		// What is asked for and not there is looked for every time; that there is something new among all, less often: it means to read the host.
		if s.Refresh == nil || !missing && !(all && n%newEvery == 0) {
			continue
		}
		g, err := s.Refresh(ctx)
		if err != nil {
			continue // it is tried again
		}
		joined := make(chan bool, 1)
		s.poller.Call(func() { joined <- s.rejoin(ctx, g) })
		select {
		case <-ctx.Done():
			return
		case found := <-joined:
			missing = !found
		}
	}
}

// dropDead closes the rings of namespaces that have no other holder.
func (s *Session) dropDead() (lost bool) {
	for k, src := range s.sources {
		if s.alive(src.ns) {
			continue
		}
		name, _ := s.namer.NetnsName(src.spot.Netns)
		s.Note("%s has ended", name)
		s.count(src)
		s.poller.Remove(src.ring)
		delete(s.sources, k)
		lost = true
	}
	return lost
}

// alive tells whether a process or a mount holds a namespace still.
func (s *Session) alive(ns *snapshot.Namespace) bool {
	for _, h := range ns.Holders {
		path := ""
		switch h.Kind {
		case snapshot.HolderProc:
			path = fmt.Sprintf("%s/%d/ns/net", s.Proc, h.PID)
		case snapshot.HolderThread:
			path = fmt.Sprintf("%s/%d/task/%d/ns/net", s.Proc, h.PID, h.TID)
		case snapshot.HolderMount:
			path = h.Root + h.Path
		case snapshot.HolderFD:
			path = fmt.Sprintf("%s/%d/fd/%d", s.Proc, h.PID, h.FD)
		default:
			return true // nothing that could be looked at: it is kept
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err == nil && snapshot.MakeNSID(st.Dev, st.Ino) == ns.ID {
			return true
		} else if errors.Is(err, os.ErrPermission) {
			return true
		}
	}
	return len(ns.Holders) == 0
}

// rejoin opens what the targets mean now; true where each of them means something.
func (s *Session) rejoin(ctx context.Context, g *topo.Graph) bool {
	none := s.namer.None
	s.namer = NewNamer(g)
	s.namer.None = none
	for _, src := range s.sources {
		clear(src.places) // names may have changed
		if n, ok := g.Node(src.spot.Netns.ID); ok {
			src.spot.Netns = n
			if ns := g.Namespace(n); ns != nil {
				src.ns = ns
			}
		}
	}
	all := true
	for _, t := range s.Targets {
		spots, err := Spots(g, t)
		if err != nil {
			all = false
			continue
		}
		before := len(s.sources)
		if err := s.Add(ctx, spots, false); err != nil {
			s.Note("%v", err)
		}
		if len(s.sources) > before {
			s.Note("%s: capturing", t)
		}
	}
	return all
}
