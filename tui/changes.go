package tui

import (
	"strings"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// compare fills in what became of a state's nodes since the one before, and returns it as events. when gives the time of what
// happened in a namespace.
func compare(before, now *State, when func(netns string) time.Time) []Event {
	changes := topo.Diff(before.Graph, now.Graph)
	now.Changed = map[string]string{}
	var out []Event
	for i := range changes {
		c := &changes[i]
		_, there := now.Graph.Node(c.Node)
		switch {
		case c.Follows:
			continue
		case c.Op == topo.Removed && !there:
			if c.Kind == topo.ChangeNetns || c.Kind == topo.ChangeContainer || c.Kind == topo.ChangeLink || c.Kind == topo.ChangeNetwork || c.Kind == topo.ChangeService {
				now.Gone = append(now.Gone, goneName(c))
			}
		case there && c.Op == topo.Added && now.Changed[c.Node] == "" && ofNode(c.Kind):
			now.Changed[c.Node] = "new"
		case there && now.Changed[c.Node] == "":
			now.Changed[c.Node] = "changed"
		}
		id := ""
		for _, n := range []string{c.Node, c.Netns} {
			if _, ok := now.Graph.Node(n); ok && id == "" {
				id = n
			}
		}
		out = append(out, Event{At: when(c.Netns), Kind: string(c.Kind), Node: id, Text: c.String()})
	}
	return out
}

// ofNode tells the kinds of changes that are of nodes themselves, and not of something at one.
func ofNode(k topo.ChangeKind) bool {
	switch k {
	case topo.ChangeNetns, topo.ChangeLink, topo.ChangeContainer, topo.ChangeNetwork, topo.ChangeService:
		return true
	}
	return false
}

func goneName(c *topo.Change) string {
	_, name, _ := strings.Cut(c.What, " ")
	if c.Kind == topo.ChangeLink && c.Place != "" {
		return name + " in " + c.Place
	}
	return name
}

// idOf is the id of the namespace that a node is, or is in.
func idOf(g *topo.Graph, node string) snapshot.NSID {
	n, ok := g.Node(node)
	if !ok {
		return ""
	}
	if raw := g.Namespace(n); raw != nil {
		return raw.ID
	}
	return ""
}
