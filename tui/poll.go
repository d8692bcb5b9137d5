package tui

import (
	"context"
	"slices"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// pollEvery is the time between two readings of the whole host.
const pollEvery = 3 * time.Second

// Collect reads the host once; progress is told to the function it is given. quick asks for the topology alone, which is
// read much faster than everything.
type Collect func(ctx context.Context, quick bool, progress func(done, total int)) (*snapshot.Snapshot, error)

// Poll is a live source that reads the whole host again and again.
func Poll(read Collect) Source { return poll{read} }

type poll struct{ read Collect }

func (p poll) Watch(Watch) {}

func (p poll) Start(ctx context.Context) <-chan Update {
	ch := make(chan Update)
	send := func(u Update) bool {
		select {
		case ch <- u:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		defer close(ch)
		for quick := true; ; quick = false {
			s, err := p.read(ctx, quick, func(done, total int) {
				if quick {
					select {
					case ch <- Update{Progress: &Progress{"reading namespaces", done, total}}:
					default: // the view is busy: the next one will do
					}
				}
			})
			u := Update{Err: err}
			if err == nil {
				u.State = stateOf([]*snapshot.Snapshot{s}, true)
				u.Counters = countersOf(u.State)
			}
			if !send(u) {
				return
			}
			if quick {
				continue
			}
			select {
			case <-time.After(pollEvery):
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

// countersOf are the counters that a state's links had when it was read.
func countersOf(st *State) *Counters {
	c := &Counters{At: st.At, Links: map[string]snapshot.LinkStats{}}
	for i := range st.Graph.Nodes {
		n := &st.Graph.Nodes[i]
		if n.Kind != topo.KindLink {
			continue
		}
		if l := st.Graph.Link(n); l != nil {
			c.Links[n.ID] = l.Stats
		}
	}
	return c
}

// sameWatch tells whether two are the same.
func sameWatch(a, b Watch) bool { return a.Node == b.Node && slices.Equal(a.Links, b.Links) }
