package topo

import (
	"fmt"
	"strings"
)

// isPair tells the kinds that come in pairs.
func isPair(l *link) bool { return l.l.Kind == "veth" || l.l.Kind == "netkit" }

// veths draws the veth pairs. A pair is right when each end's IFLA_LINK is the other's ifindex and an nsid proves the
// namespace, from one end at least: ifindexes are per namespace and collide all the time (domain.md §2).
func (b *builder) veths() {
	b.pairs = map[*link]*link{}
	type claim struct {
		other *link
		both  bool // each end proves the other's namespace
	}
	claims := map[*link][]claim{}
	add := func(l, o *link, both bool) {
		for i, c := range claims[l] {
			if c.other == o {
				claims[l][i].both = c.both || both
				return
			}
		}
		claims[l] = append(claims[l], claim{o, both})
	}
	var all []*link
	for _, sp := range b.allSpaces() {
		for _, l := range sp.links {
			if !isPair(l) {
				continue
			}
			all = append(all, l)
			if o, ok := b.provenPeer(l); ok {
				both := o.peerSpace() == l.sp
				add(l, o, both)
				add(o, l, both)
			}
		}
	}
	// settled picks the one partner of a link: a proof from both ends wins over one from one end.
	settled := func(l *link) *link {
		var one *link
		n := 0
		for _, c := range claims[l] {
			if c.both {
				return c.other // an end that proves one peer cannot prove another
			}
			one, n = c.other, n+1
		}
		if n == 1 {
			return one
		}
		return nil
	}
	untold := map[*space][]string{}
	for _, l := range all {
		o := settled(l)
		switch {
		case o != nil && settled(o) == l:
			b.pairs[l] = o
			if l.node < o.node {
				b.edge(EdgeVeth, l.node, o.node, EdgeAttrs{})
			}
		case len(claims[l]) > 1:
			b.gap(l.sp.src, l.sp.id, "links", fmt.Sprintf("several veths claim to be the other end of %s", l.l.Name), "")
		case len(claims[l]) == 0:
			if p := l.l.Peer; p != nil && p.Index != 0 && p.Namespace == "" && p.NSID != nil {
				untold[l.sp] = append(untold[l.sp], l.l.Name) // by the hundred where nscope lacks privileges
				continue
			}
			b.vethGap(l)
		}
	}
	for sp, names := range untold {
		text := fmt.Sprintf("the other end of %s is in a namespace that could not be told", names[0])
		if n := len(names); n > 1 {
			text = fmt.Sprintf("the other ends of %d veths (%s, …) are in namespaces that could not be told", n, strings.Join(names[:min(n-1, 3)], ", "))
		}
		b.untold(sp, text)
	}
}

// untold is the gap of a relation into a namespace that could not be told. It is none where nobody could have told it:
// for what is in a namespace that cannot be entered, known only by an nsid, and for a snapshot of nscope's own namespace
// alone, where nothing else was looked for. What would help is said where the collector lacked it.
func (b *builder) untold(sp *space, text string) {
	s := sp.src.snap
	if sp.id.Hidden() || len(s.Namespaces) == 1 && s.Namespaces[0].ID == s.Host.SelfNS {
		return
	}
	needs := ""
	for _, gp := range s.Gaps {
		if strings.Contains(gp.Needs, "CAP_SYS_ADMIN") {
			needs = "CAP_SYS_ADMIN"
		}
	}
	b.gap(sp.src, sp.id, "links", text, needs)
}

// FarEnd says what is known of the other end of a pair that is not in the graph: "ifindex 9 in another namespace
// (nsid 0)". It is empty where the kernel names none.
func (g *Graph) FarEnd(l *Node) string {
	raw := g.Link(l)
	if raw == nil || raw.Peer == nil || raw.Peer.Index == 0 {
		return ""
	}
	p := raw.Peer
	switch {
	case p.Namespace != "" && !p.Namespace.Hidden():
		return fmt.Sprintf("ifindex %d in netns %s", p.Index, p.Namespace.Short())
	case p.NSID != nil:
		return fmt.Sprintf("ifindex %d in another namespace (nsid %d)", p.Index, *p.NSID)
	}
	return fmt.Sprintf("ifindex %d beside it", p.Index)
}

// provenPeer finds the other end of a veth where this end proves in which namespace it is, and that end does not
// deny it.
func (b *builder) provenPeer(l *link) (*link, bool) {
	p := l.l.Peer
	if p == nil || p.Index == 0 {
		return nil, false
	}
	in := l.peerSpace()
	if in == nil {
		return nil, false
	}
	o := in.byIdx[p.Index]
	if o == nil || o == l || o.l.Kind != l.l.Kind || o.l.Peer == nil || o.l.Peer.Index != l.l.Index {
		return nil, false
	}
	if back := o.peerSpace(); back != l.sp && (back == nil || !back.id.Hidden()) && o.l.Peer.Namespace != "" {
		return nil, false // it names another namespace; one known only by an nsid may be this one
	} else if back != l.sp && o.l.Peer.NSID == nil {
		return nil, false // no nsid: its other end is beside it
	}
	return o, true
}

// vethGap says why a veth has no other end.
func (b *builder) vethGap(l *link) {
	p := l.l.Peer
	text := ""
	in := l.peerSpace()
	switch {
	case p == nil || p.Index == 0:
		text = "the kernel names no other end"
	case in == nil:
		text = fmt.Sprintf("the other end, ifindex %d, is in netns %s, which was not read", p.Index, p.Namespace.Short())
	case len(in.links) == 0:
		return // that the namespace could not be read is a gap already
	case in.byIdx[p.Index] == nil:
		text = fmt.Sprintf("the other end, ifindex %d in netns %s, is gone", p.Index, in.id.Short())
	default:
		text = fmt.Sprintf("%s in netns %s, said to be the other end, does not say so itself", in.byIdx[p.Index].l.Name, in.id.Short())
	}
	b.gap(l.sp.src, l.sp.id, "links", fmt.Sprintf("%s %s: %s", l.l.Kind, l.l.Name, text), "")
}
