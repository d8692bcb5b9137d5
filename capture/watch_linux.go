package capture

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// watchEvery is how often it is looked whether a namespace has a holder but us.
const watchEvery = time.Second

// newEvery is after how many of these it is looked for new namespaces, where all were asked for; and who has which address now, where packets
// came meanwhile.
const newEvery = 5

// watch lets go of namespaces that only our ring holds any more, tells of links that go down or away, and has what (re)starts join.
func (s *Session) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	missing, all := s.Await, slices.Contains(s.Targets, "all")
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		type looked struct{ lost, busy bool }
		now := make(chan looked, 1)
		s.poller.Call(func() { now <- looked{s.dropDead(), s.busy} })
		busy := false
		select {
		case <-ctx.Done():
			return
		case l := <-now:
			missing, busy = missing || l.lost, l.busy
		}
		// What is asked for and not there is looked for every time; what is new, less often: it means to read the host.
		named := !s.NoNames || s.Refilter != nil
		if s.Refresh == nil || !missing && !(n%newEvery == 0 && (all || busy && named)) {
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
			lost = s.lookAfter(src) || lost
			continue
		}
		name, _ := s.namer.NetnsName(src.spot.Netns)
		s.Note("%s has ended", name)
		s.drop(k)
		lost = true
	}
	return lost
}

func (s *Session) drop(k string) {
	src := s.sources[k]
	s.done = append(s.done, s.count(src))
	s.poller.Remove(src.ring)
	delete(s.sources, k)
}

// linkState is how a link was when it was last looked at.
type linkState struct {
	name string
	up   bool
}

// lookAfter tells which links of a source went down, up again or away since it was last asked; true where the one is away that the ring is for.
func (s *Session) lookAfter(src *source) (away bool) {
	of, _ := s.namer.NetnsName(src.spot.Netns)
	links := map[int]bool{}
	for i := range src.ns.Links {
		l := &src.ns.Links[i]
		if (src.spot.Link == nil || src.spot.Link.Attrs.Ifindex == l.Index) && (len(s.On) == 0 || slices.Contains(s.On, l.Name)) {
			links[l.Index] = true
		}
	}
	for index, l := range src.links { // those that came later
		if l.place != nil {
			links[index] = true
		}
	}
	for _, index := range slices.Sorted(maps.Keys(links)) {
		old, known := src.states[index]
		name, up := src.ring.LinkState(index)
		now := linkState{name, up}
		src.states[index] = now
		switch {
		case !known || old == now:
		case name == "":
			s.Note("%s/%s is gone", of, old.name)
			away = away || src.spot.Link != nil
		case old.up && !up:
			if !src.down { // else the ring has said so
				s.Note("%s/%s is down", of, name)
			}
		case !old.up && up:
			src.down = false
			s.Note("%s/%s is up", of, name)
		}
	}
	return away
}

// alive tells whether a process or a mount holds a namespace still. A socket does not count where there was something else: it may be that of
// another capture, which looks at ours.
func (s *Session) alive(ns *snapshot.Namespace) bool {
	looked := 0
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
		case snapshot.HolderSocket:
			// Docker's engine has one in each container's namespace, until it has ended. Our own keep what is to be let go.
			if h.PID == os.Getpid() {
				continue
			}
			id, err := netns.OfSocket(h.PID, h.FD)
			if err == nil && id == ns.ID || errors.Is(err, os.ErrPermission) {
				return true
			}
			continue
		case snapshot.HolderLink:
			continue // a link's other end keeps nothing, and is itself kept by our ring
		default:
			continue // nothing that could be looked at
		}
		looked++
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err == nil && snapshot.MakeNSID(st.Dev, st.Ino) == ns.ID {
			return true
		} else if errors.Is(err, os.ErrPermission) {
			return true
		}
	}
	return looked == 0
}

// rejoin opens what the targets mean now; true where each of them means something.
func (s *Session) rejoin(ctx context.Context, g *topo.Graph) bool {
	s.busy = false
	s.namer = NewNamer(g)
	s.namer.None = s.NoNames
	s.refilter(g)
	for k, src := range s.sources {
		n, ok := g.Node(src.spot.Netns.ID)
		if !ok {
			continue
		}
		if l := src.spot.Link; l != nil {
			if _, ok := g.Node(l.ID); !ok {
				s.drop(k) // another link may have its name now
				continue
			}
		}
		src.spot.Netns = n
		if ns := g.Namespace(n); ns != nil {
			src.ns = ns
		}
		for ifindex, l := range src.links { // names may have changed
			l.place = s.place(src, ifindex)
		}
	}
	all := true
	for _, t := range s.Targets {
		spots, err := Spots(g, t)
		if err != nil {
			all = false
			continue
		}
		spots = s.narrowed(spots)
		before := len(s.sources)
		if err := s.Add(ctx, spots, false); err != nil {
			s.Note("%v", err)
		}
		if len(s.sources) > before {
			s.Note("%s: capturing", t)
		}
		// What ends just now is still known, and cannot be opened any more: it is looked for again.
		if !slices.ContainsFunc(spots, func(x Spot) bool { return s.sources[key(x)] != nil || s.sources[x.Netns.ID] != nil }) {
			all = false
		}
	}
	return all
}

// refilter has names in the filter mean what they do now. A name that means nothing at the moment keeps what it meant.
func (s *Session) refilter(g *topo.Graph) {
	if s.Refilter == nil {
		return
	}
	if f, err := s.Refilter(g); err == nil {
		s.setFilter(f)
	}
}
