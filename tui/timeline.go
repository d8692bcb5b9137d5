package tui

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Saved is the source of saved snapshots. Several of one host are a timeline: at each of their times every host is as its last
// snapshot until then says (before its first, as that does). Of different hosts all are shown at once.
func Saved(snaps ...*snapshot.Snapshot) Source {
	byHost := map[string][]*snapshot.Snapshot{}
	for _, s := range snaps {
		k := hostKey(s)
		byHost[k] = append(byHost[k], s)
	}
	several := false
	for _, list := range byHost {
		slices.SortStableFunc(list, func(a, b *snapshot.Snapshot) int { return a.Taken.Compare(b.Taken) })
		several = several || len(list) > 1 && !list[0].Taken.Equal(list[len(list)-1].Taken)
	}
	if !several {
		return Files(snaps...)
	}
	t := &timeline{hosts: byHost, ask: make(chan int, 1), graphs: map[int]*State{}}
	for _, s := range snaps {
		t.steps = append(t.steps, s.Taken)
	}
	slices.SortFunc(t.steps, time.Time.Compare)
	t.steps = slices.CompactFunc(t.steps, time.Time.Equal)
	t.step = len(t.steps) - 1
	return t
}

// hostKey is what two snapshots of one host have in common: the kernel, or after a reboot the machine, and the namespace that is
// the host's; nodes of engines on one kernel are hosts of their own.
func hostKey(s *snapshot.Snapshot) string {
	return cmp.Or(s.Host.MachineID, s.Host.BootID) + "\x00" + s.Host.Name
}

// timeline is a source of several states.
type timeline struct {
	hosts map[string][]*snapshot.Snapshot // by hostKey, the oldest first
	steps []time.Time
	ask   chan int

	mu     sync.Mutex
	step   int
	graphs map[int]*State
}

func (t *timeline) Watch(Watch) {}

// Steps are the times of the snapshots.
func (t *timeline) Steps() []time.Time { return t.steps }

// Step asks for a state; only the last one that was asked for matters.
func (t *timeline) Step(i int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.step = clamp(i, 0, len(t.steps)-1)
	select {
	case t.ask <- 0:
	default:
	}
}

// Start shows the newest state, and then tells as events what changed from each to the next.
func (t *timeline) Start(ctx context.Context) <-chan Update {
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
		if !send(Update{State: t.at(t.wanted())}) {
			return
		}
		for i := 1; i < len(t.steps); i++ {
			before, now := t.plain(i-1), *t.plain(i)
			events := compare(before, &now, func(string) time.Time { return t.steps[i] })
			if len(events) > 0 && !send(Update{Events: events}) {
				return
			}
		}
		for {
			select {
			case <-t.ask:
				if !send(Update{State: t.at(t.wanted())}) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch
}

func (t *timeline) wanted() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.step
}

// plain is the state at a step, without marks.
func (t *timeline) plain(i int) *State {
	if st := t.graphs[i]; st != nil {
		return st
	}
	var snaps []*snapshot.Snapshot
	for _, list := range t.hosts {
		s := list[0]
		for _, x := range list {
			if !x.Taken.After(t.steps[i]) {
				s = x
			}
		}
		snaps = append(snaps, s)
	}
	st := stateOf(snaps, false)
	st.At, st.Step = t.steps[i], i
	t.graphs[i] = st
	return st
}

// at is the state at a step, with marks on what is different from the one before.
func (t *timeline) at(i int) *State {
	st := *t.plain(i)
	if i > 0 {
		compare(t.plain(i-1), &st, func(string) time.Time { return t.steps[i] })
	}
	return &st
}
