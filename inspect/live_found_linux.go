package inspect

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/inspect/watch"
)

// resolve finds out of which namespaces events are whose numbers nobody had named when they were heard. It tells whether one of
// them is known by its number alone: wiring describes it anew.
func (l *Live) resolve(now *pending) (unknown bool) {
	for at := range now.far {
		id := l.named(at)
		if id == "" {
			unknown = true
			continue
		}
		now.parts[id] |= rtnl.Topology
		now.netfilter[id] = true
		for i := range now.heard {
			if e := &now.heard[i]; e.Far && e.In == at.in && e.Via == at.nsid {
				e.In, e.Far, e.Via = id, false, 0
			}
		}
	}
	return unknown
}

// known is every namespace as it is known.
func (l *Live) known() map[snapshot.NSID]*snapshot.Namespace {
	out := make(map[snapshot.NSID]*snapshot.Namespace, len(l.c.read))
	for id, s := range l.c.read {
		out[id] = s.ns
	}
	return out
}

// found makes events of what is another than before and was not heard: it happened before somebody listened there, or its event
// is still to come. That of a neighbour which is read before it is heard of is taken for one of timers then, so neighbours are
// looked at one by one.
func (l *Live) found(before map[snapshot.NSID]*snapshot.Namespace, heard []watch.Event) (out []watch.Event) {
	parts, neighbors := map[snapshot.NSID]rtnl.Part{}, map[neighborAt]bool{}
	for i := range heard {
		e := &heard[i]
		if e.Far {
			continue
		}
		parts[e.In] |= e.Parts
		if e.Neighbor != nil {
			neighbors[placeOf(e.In, e.Neighbor)] = true
		}
	}
	now := time.Now()
	for id, s := range l.c.read {
		old := before[id]
		if old == nil || old == s.ns || id.Hidden() {
			continue
		}
		if p := differentParts(old, s.ns) &^ parts[id]; p != 0 {
			out = append(out, watch.Event{At: now, In: id, Found: true, Parts: p})
		}
		was := make(map[neighborAt]*snapshot.Neighbor, len(old.Neighbors))
		for i := range old.Neighbors {
			was[placeOf(id, &old.Neighbors[i])] = &old.Neighbors[i]
		}
		for i := range s.ns.Neighbors {
			n := &s.ns.Neighbors[i]
			if n.Passing() {
				continue
			}
			at := placeOf(id, n)
			if o := was[at]; (o == nil || !sameNeighbor(o, n)) && !neighbors[at] {
				out = append(out, watch.Event{At: now, In: id, Found: true, Parts: rtnl.Neighbors, Neighbor: n})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b watch.Event) int { return strings.Compare(string(a.In), string(b.In)) })
	return out
}

// neighborAt is where a neighbour is.
type neighborAt struct {
	in      snapshot.NSID
	ifindex int
	addr    netip.Addr
}

func placeOf(in snapshot.NSID, n *snapshot.Neighbor) neighborAt {
	return neighborAt{in, n.Ifindex, n.Addr}
}

// differentParts are the parts in which two readings of a namespace differ: neighbours, and rules, which have counters, left out.
func differentParts(a, b *snapshot.Namespace) (parts rtnl.Part) {
	if !slices.EqualFunc(a.Links, b.Links, sameLink) {
		parts |= rtnl.Links
	}
	if !reflect.DeepEqual(a.Routes, b.Routes) {
		parts |= rtnl.Routes
	}
	if !reflect.DeepEqual(a.Rules, b.Rules) {
		parts |= rtnl.Rules
	}
	if !reflect.DeepEqual(a.FDB, b.FDB) {
		parts |= rtnl.FDB
	}
	return parts
}

// sameLink tells whether two readings of a link differ in counters, and in what is known of its peer, alone.
func sameLink(a, b snapshot.Link) bool {
	if (a.Peer == nil) != (b.Peer == nil) || a.Peer != nil && a.Peer.Index != b.Peer.Index {
		return false
	}
	a.Stats, b.Stats, a.Peer, b.Peer = snapshot.LinkStats{}, snapshot.LinkStats{}, nil, nil
	return reflect.DeepEqual(a, b)
}
