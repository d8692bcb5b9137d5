package topo

import (
	"fmt"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// netnsSentence says whose a namespace is.
func (g *Graph) netnsSentence(n *Node) string { return "netns " + shortOf(n) + " is " + g.netnsWhat(n) }

func (g *Graph) netnsWhat(n *Node) string {
	s := g.netnsPhrase(n)
	c := g.runner(n)
	switch {
	case n.Attrs.Role == RoleNamed:
		s = "the one named " + n.Name + g.on(n)
	case n.Attrs.Role == RoleOther && c == nil:
		return g.loneWhat(n)
	}
	var also []string
	if c != nil {
		for _, e := range g.In(n.ID, EdgeRunsIn) {
			if o, ok := g.Node(e.From); ok && o != c {
				also = append(also, g.shortName(o))
			}
		}
	}
	if len(also) > 3 {
		also = append(also[:3], fmt.Sprintf("%d more", len(also)-3))
	}
	if len(also) > 0 {
		s += ", also that of " + strings.Join(also, ", ")
	}
	if h := holderSummary(n); h != "" {
		s += ", held by " + h
	}
	return s + ", with " + count(len(g.In(n.ID, EdgeIn)), "link")
}

// loneWhat is for a namespace that nothing names: what holds it is all that there is to say.
func (g *Graph) loneWhat(n *Node) string {
	s := "held by nothing that was found"
	if ns := g.Namespace(n); ns != nil && len(ns.Holders) > 0 {
		s = "held by " + holdersPhrase(ns.Holders)
	} else if h := holderSummary(n); h != "" {
		s = "held by " + h
	}
	if n.Attrs.Inode == 0 { // no process can be in what nothing but a link leads to, as far as anybody can see
		return s + g.on(n) + ", with " + count(len(g.In(n.ID, EdgeIn)), "link")
	}
	return s + g.on(n) + ", with " + count(len(g.In(n.ID, EdgeIn)), "link") + "; no container is known in it"
}

// holdersPhrase is "1 fd of process 12 (foo) and the mount /run/netns/x"; more than three are counted by kind.
func holdersPhrase(list []snapshot.Holder) string {
	type group struct {
		kind, comm, path string
		pid              int
		via              snapshot.NSID
		nsid             int
	}
	var order []group
	counts := map[group]int{}
	for _, h := range list {
		gr := group{kind: h.Kind}
		switch h.Kind {
		case snapshot.HolderMount:
			gr.path = h.Path
		case snapshot.HolderLink:
			gr.via, gr.nsid = h.Via, -1
			if h.NSID != nil {
				gr.nsid = *h.NSID
			}
		default:
			gr.pid, gr.comm = h.PID, h.Comm
		}
		if counts[gr] == 0 {
			order = append(order, gr)
		}
		counts[gr]++
	}
	if len(order) > 3 {
		var texts []string
		for _, h := range list {
			texts = append(texts, holderText(h))
		}
		return holderSummary(&Node{Attrs: NodeAttrs{Holders: sortedSet(texts)}})
	}
	var parts []string
	for _, gr := range order {
		process := fmt.Sprintf("process %d%s", gr.pid, paren(gr.comm))
		switch gr.kind {
		case snapshot.HolderProc:
			parts = append(parts, process)
		case snapshot.HolderMount:
			parts = append(parts, "the mount "+gr.path)
		case snapshot.HolderLink:
			link := "a link"
			if gr.via != "" && gr.nsid >= 0 {
				link += fmt.Sprintf(" of netns %s (nsid %d)", gr.via.Short(), gr.nsid)
			}
			parts = append(parts, link)
		default: // fds, sockets, threads
			parts = append(parts, count(counts[gr], gr.kind)+" of "+process)
		}
	}
	return enumerate(parts)
}
