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
		if s.alive(src.ns, src.held) {
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

// alive tells whether somebody holds a namespace still. held tells that a process, a mount or a descriptor did: then a socket alone does not
// count, that an engine has not closed yet or of somebody who looks on as we do. Two of them would keep it for each other for ever.
func (s *Session) alive(ns *snapshot.Namespace, held bool) bool {
	sockets, others := false, false
	for i := range ns.Holders {
		h := &ns.Holders[i]
		switch path := s.pathOf(h); {
		case path != "":
			var st syscall.Stat_t
			if err := syscall.Stat(path, &st); err == nil && snapshot.MakeNSID(st.Dev, st.Ino) == ns.ID || errors.Is(err, os.ErrPermission) {
				return true
			}
			held = true
		case h.Kind == snapshot.HolderSocket:
			sockets = true
			if h.PID == os.Getpid() || h.Comm == s.comm {
				continue
			}
			id, err := netns.OfSocket(h.PID, h.FD)
			others = others || err == nil && id == ns.ID || errors.Is(err, os.ErrPermission)
		}
	}
	// Of one that nothing is known of which could be looked at, nothing tells that it has ended.
	return !held && (others || !sockets)
}

// pathOf is where a holder can be looked at; empty for a socket, which has no path, and for a link, whose other end keeps nothing.
func (s *Session) pathOf(h *snapshot.Holder) string {
	switch h.Kind {
	case snapshot.HolderProc:
		return fmt.Sprintf("%s/%d/ns/net", s.Proc, h.PID)
	case snapshot.HolderThread:
		return fmt.Sprintf("%s/%d/task/%d/ns/net", s.Proc, h.PID, h.TID)
	case snapshot.HolderMount:
		return h.Root + h.Path
	case snapshot.HolderFD:
		return fmt.Sprintf("%s/%d/fd/%d", s.Proc, h.PID, h.FD)
	}
	return ""
}

// hold notes what is known of a source's namespace by now.
func (s *Session) hold(src *source, ns *snapshot.Namespace) {
	src.ns = ns
	for i := range ns.Holders {
		src.held = src.held || s.pathOf(&ns.Holders[i]) != ""
	}
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
			s.hold(src, ns)
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
		// What only another who looks on holds is about to end.
		spots = slices.DeleteFunc(s.narrowed(spots), func(x Spot) bool {
			ns := g.Namespace(x.Netns)
			return ns != nil && !s.alive(ns, false)
		})
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
