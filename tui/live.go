package tui

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/inspect/watch"
)

const (
	// sampleEvery is how often the counters of the links on the screen are read.
	sampleEvery = time.Second
	// markFor is how long what changed stays marked.
	markFor = 8 * time.Second
	// rest is how many times as long as drawing up a state took is waited until the next one.
	rest = 3
	// mostHeard bounds what was heard and could not be told yet.
	mostHeard = 4096
)

// Live is the source that hears what changes on the live host. start makes what hears; it passes on how far the first reading is.
func Live(start func(progress func(done, total int)) *inspect.Live) Source {
	l := &live{wake: make(chan struct{}, 1), marks: map[string]mark{}}
	l.in = start(func(done, total int) {
		l.mu.Lock()
		if !l.begun {
			l.progress = &Progress{"reading namespaces", done, total}
		}
		l.mu.Unlock()
		l.nudge()
	})
	return l
}

type live struct {
	in   *inspect.Live
	wake chan struct{}

	mu       sync.Mutex
	snap     *snapshot.Snapshot // the newest that is not told yet
	heard    []watch.Event
	lost     bool
	err      error
	ended    bool
	begun    bool
	progress *Progress
	watched  Watch
	state    *State // the last that was told

	marks map[string]mark
}

// mark is a change that is shown for a while.
type mark struct {
	what  string
	until time.Time
}

func (l *live) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Watch tells what is on the screen.
func (l *live) Watch(w Watch) {
	l.mu.Lock()
	l.watched = w
	st := l.state
	l.mu.Unlock()
	l.look(st, w.Node)
}

// look has the namespace of a node read again and again.
func (l *live) look(st *State, node string) {
	if st == nil || node == "" {
		l.in.Look()
		return
	}
	if id := idOf(st.Graph, node); id != "" {
		l.in.Look(id)
	} else {
		l.in.Look()
	}
}

// Start begins.
func (l *live) Start(ctx context.Context) <-chan Update {
	ch := make(chan Update)
	go func() {
		err := l.in.Run(ctx, func(u inspect.Update) {
			l.mu.Lock()
			l.begun, l.progress = true, nil
			if u.Snapshot != nil {
				l.snap = u.Snapshot
			}
			l.lost = l.lost || u.Lost
			if l.heard = append(l.heard, u.Heard...); len(l.heard) > mostHeard {
				l.heard = l.heard[len(l.heard)-mostHeard:]
			}
			l.mu.Unlock()
			l.nudge()
		})
		l.mu.Lock()
		l.err, l.ended = err, true
		l.mu.Unlock()
		l.nudge()
	}()
	go l.tell(ctx, ch)
	return ch
}

// tell puts together what there is to tell, and waits until the view takes it.
func (l *live) tell(ctx context.Context, ch chan<- Update) {
	defer close(ch)
	sample := time.NewTicker(sampleEvery)
	defer sample.Stop()
	idle := time.NewTimer(0)
	<-idle.C
	for {
		var u Update
		select {
		case <-ctx.Done():
			return
		case <-sample.C:
			u.Counters = l.counters()
			u.State = l.unmark(time.Now())
		case <-l.wake:
			began := time.Now()
			u = l.update()
			idle.Reset(rest * time.Since(began))
			select {
			case <-idle.C:
			case <-ctx.Done():
				return
			}
		}
		if u.State == nil && u.Counters == nil && u.Events == nil && u.Progress == nil && u.Err == nil {
			continue
		}
		select {
		case ch <- u:
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		over := l.ended && l.snap == nil
		l.mu.Unlock()
		if over {
			return
		}
	}
}

// update takes what came.
func (l *live) update() (u Update) {
	l.mu.Lock()
	snap, heard, lost, before := l.snap, l.heard, l.lost, l.state
	l.snap, l.heard, l.lost = nil, nil, false
	u.Progress = l.progress
	if l.ended {
		u.Err = l.err
	}
	w := l.watched
	l.mu.Unlock()
	if lost {
		u.Events = append(u.Events, Event{At: time.Now(), Kind: "lost", Text: "more happened than could be heard: everything was read again"})
	}
	if snap == nil {
		u.Events = append(u.Events, passing(before, heard, nil)...)
		return u
	}
	st := stateOf([]*snapshot.Snapshot{snap}, true)
	if before != nil {
		at := map[snapshot.NSID]time.Time{}
		for _, e := range heard {
			if _, ok := at[e.In]; !ok && !e.Far {
				at[e.In] = e.At
			}
		}
		events := compare(before, st, func(netns string) time.Time {
			for _, g := range []*State{st, before} {
				if t, ok := at[idOf(g.Graph, netns)]; ok {
					return t
				}
			}
			return snap.Taken
		})
		told := map[snapshot.NSID]bool{}
		for _, e := range events {
			told[idOf(st.Graph, e.Node)] = true
		}
		events = append(events, passing(st, heard, told)...)
		slices.SortStableFunc(events, func(a, b Event) int { return a.At.Compare(b.At) })
		u.Events = append(u.Events, events...)
		for id, what := range st.Changed {
			l.marks[id] = mark{what, time.Now().Add(markFor)}
		}
	}
	st.Changed = l.marked(time.Now())
	u.State, u.Counters = st, countersOf(st)
	l.mu.Lock()
	l.state = st
	l.mu.Unlock()
	if w.Node != "" {
		l.look(st, w.Node)
	}
	return u
}

// passing are events of things that went and are there again: what was heard of a namespace of which nothing is different.
func passing(st *State, heard []watch.Event, told map[snapshot.NSID]bool) (out []Event) {
	if st == nil {
		return nil
	}
	parts := map[snapshot.NSID]rtnl.Part{}
	at := map[snapshot.NSID]time.Time{}
	for _, e := range heard {
		if e.Gone && !e.Far && !told[e.In] && e.Parts&(rtnl.Routes|rtnl.Rules|rtnl.Links) != 0 {
			if parts[e.In] == 0 {
				at[e.In] = e.At
			}
			parts[e.In] |= e.Parts
		}
	}
	for i := range st.Snapshots {
		for j := range st.Snapshots[i].Namespaces {
			id := st.Snapshots[i].Namespaces[j].ID
			if parts[id] == 0 {
				continue
			}
			kind, what := "route", "routes"
			switch {
			case parts[id]&rtnl.Links != 0:
				kind, what = "link", "links or addresses"
			case parts[id]&rtnl.Rules != 0:
				kind, what = "rule", "routing rules"
			}
			for k := range st.Graph.Nodes {
				if n := &st.Graph.Nodes[k]; n.Kind == "netns" && idOf(st.Graph, n.ID) == id {
					out = append(out, Event{At: at[id], Kind: kind, Node: n.ID, Text: cmp.Or(n.Name, string(id)) + ": " + what + " went and are there again, or others like them"})
				}
			}
		}
	}
	return out
}

func (l *live) marked(now time.Time) map[string]string {
	out := map[string]string{}
	for id, m := range l.marks {
		if now.After(m.until) {
			delete(l.marks, id)
			continue
		}
		out[id] = m.what
	}
	return out
}

// unmark is the state again where marks have had their time.
func (l *live) unmark(now time.Time) *State {
	l.mu.Lock()
	st := l.state
	l.mu.Unlock()
	if st == nil || len(st.Changed) == 0 {
		return nil
	}
	left := l.marked(now)
	if maps.Equal(left, st.Changed) {
		return nil
	}
	next := *st
	next.Changed, next.Gone = left, nil
	l.mu.Lock()
	l.state = &next
	l.mu.Unlock()
	return &next
}

// counters reads those that are on the screen; nil where none is.
func (l *live) counters() *Counters {
	l.mu.Lock()
	st, ids := l.state, l.watched.Links
	l.mu.Unlock()
	if st == nil || len(ids) == 0 {
		return nil
	}
	refs, byRef := make([]inspect.LinkRef, 0, len(ids)), make(map[inspect.LinkRef]string, len(ids))
	for _, id := range ids {
		if n, ok := st.Graph.Node(id); ok {
			ref := inspect.LinkRef{In: idOf(st.Graph, id), Index: n.Attrs.Ifindex}
			refs = append(refs, ref)
			byRef[ref] = id
		}
	}
	c := &Counters{At: time.Now(), Links: map[string]snapshot.LinkStats{}}
	for ref, stats := range l.in.Stats(refs) {
		c.Links[byRef[ref]] = stats
	}
	return c
}
