package tui

import (
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

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
