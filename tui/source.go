package tui

import (
	"context"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// Source is where the view gets what it shows from.
type Source interface {
	// Start begins to read. Updates come in order on the channel, which is closed when nothing more will come or ctx ends. The
	// view takes them as fast as it can draw; a source puts together what it could not yet deliver.
	Start(ctx context.Context) <-chan Update
	// Watch tells what is on the screen: what sends no events is read again for that only. It is called when it changes, from
	// the view's own goroutine, and must not block.
	Watch(Watch)
}

// Timeline is a source that has several states of a host to choose from: saved ones. The slider is shown where a source is
// one and has more than one step.
type Timeline interface {
	Source
	// Steps are the times of the states, the oldest first.
	Steps() []time.Time
	// Step asks for a state, by its index in Steps: it comes as an update. It must not block.
	Step(i int)
}

// Update is what a source delivers; every part may be absent.
type Update struct {
	// State replaces the state that is shown.
	State *State
	// Counters are newer counters of links, without a new state.
	Counters *Counters
	// Events are what changed since the last update, the oldest first.
	Events []Event
	// Progress is how far a reading that takes long is; nil when none is under way.
	Progress *Progress
	// Err says why a reading failed. What was shown stays.
	Err error
}

// State is a topology at one moment. It is not changed once it was delivered.
type State struct {
	Graph *topo.Graph
	// Snapshots are those that the graph was built from.
	Snapshots []*snapshot.Snapshot
	// At is when it was read.
	At time.Time
	// Live is false for what came from files.
	Live bool
	// Step is the index in the timeline, for a source that has one.
	Step int
	// Changed says of node ids what became of them since the state before (in a timeline: the step before): "new", "changed".
	// What is gone is not in the graph; Gone has their names for the line that tells them.
	Changed map[string]string
	Gone    []string
}

// Counters are packet counters of links at one moment, by the links' node ids.
type Counters struct {
	At    time.Time
	Links map[string]snapshot.LinkStats
}

// Event is one change, as the Events view lists it.
type Event struct {
	At   time.Time
	Kind string // link, address, route, neighbour, fdb, rule, ipvs, container, netns
	// Node is the id of the node that it is about, "" where there is none (any more).
	Node string
	Text string // "veth1a2b went down", clean or not: it is cleaned when drawn
}

// Progress is how much of a reading is done: Done of Total namespaces; Total 0 where that is not known.
type Progress struct {
	What        string
	Done, Total int
}

// Watch is what is on the screen.
type Watch struct {
	// Links are the node ids of the links whose counters are shown, sorted.
	Links []string
	// Node is the id of the node whose details are shown: the rules, IPVS, sockets and sysctls of its namespace are wanted
	// again and again. "" for none.
	Node string
}

// files is a source of one state that never changes.
type files struct{ snaps []*snapshot.Snapshot }

// Files is the source of saved snapshots.
func Files(snaps ...*snapshot.Snapshot) Source { return files{snaps} }

func (f files) Watch(Watch) {}

func (f files) Start(ctx context.Context) <-chan Update {
	ch := make(chan Update)
	go func() {
		defer close(ch)
		select {
		case ch <- Update{State: stateOf(f.snaps, false)}:
		case <-ctx.Done():
		}
	}()
	return ch
}

// stateOf builds the graph of snapshots.
func stateOf(snaps []*snapshot.Snapshot, live bool) *State {
	st := &State{Graph: topo.Build(snaps...), Snapshots: snaps, Live: live}
	for _, s := range snaps {
		if s.Taken.After(st.At) {
			st.At = s.Taken
		}
	}
	return st
}
