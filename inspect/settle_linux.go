package inspect

import (
	"context"
	"slices"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
)

// settleRounds is how often namespaces that do not agree are read again.
const settleRounds = 4

// settle makes a picture of one moment out of namespaces that were read one after the other. A veth cannot lose its other
// end: where one is not there, or belongs to another, the pair was made, moved or removed between the two reads, and both
// namespaces are read again.
func (w *wiring) settle(ctx context.Context) *wiring {
	for range settleRounds {
		ids := w.disagreeing()
		if len(ids) == 0 || ctx.Err() != nil {
			break
		}
		for _, id := range ids {
			w.c.reread(id)
			delete(w.ids, id) // what its nsids mean may have changed too
		}
		w = w.again(ctx)
	}
	return w
}

// at is the place of a link.
type at struct {
	in    snapshot.NSID
	index int
}

// disagreeing returns the namespaces with a veth that its other end does not confirm, and those of the other ends.
func (w *wiring) disagreeing() []snapshot.NSID {
	veths := map[at]*snapshot.Link{}
	for id, s := range w.c.read {
		for i := range s.ns.Links {
			if l := &s.ns.Links[i]; paired(l) && l.Peer != nil && l.Peer.Index != 0 {
				veths[at{id, l.Index}] = l
			}
		}
	}
	var out []snapshot.NSID
	for here, l := range veths {
		peer := w.peerOf(here.in, l)
		if p := w.c.read[peer]; p == nil || len(p.ns.Links) == 0 {
			continue // unknown, or not readable
		}
		o := veths[at{peer, l.Peer.Index}]
		if o != nil && o.Peer.Index == l.Index {
			if back := w.peerOf(peer, o); back == here.in || back == "" {
				continue
			}
		}
		for _, id := range []snapshot.NSID{here.in, peer} {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}

// peerOf is the namespace in which a link's other end is, "" where that is not known.
func (w *wiring) peerOf(in snapshot.NSID, l *snapshot.Link) snapshot.NSID {
	if l.Peer.NSID == nil {
		return in
	}
	return w.ids[in][*l.Peer.NSID]
}

// reread reads a namespace's links, and what hangs on them, anew. One that is gone is nothing.
func (c *collector) reread(id snapshot.NSID) {
	fresh := &snapshot.Namespace{ID: id}
	failed := false
	err := c.inside(id, func() error { return readTopology(fresh, &failed) })
	s := c.read[id]
	switch {
	case err != nil && netns.Vanished(err):
		c.drop(id)
	case err != nil || failed: // the first reading stays
	default:
		s.own()
		s.ns.Links, s.ns.NSIDs, s.ns.Routes, s.ns.Rules = fresh.Links, fresh.NSIDs, fresh.Routes, fresh.Rules
		s.ns.Neighbors, s.ns.FDB = fresh.Neighbors, fresh.FDB
	}
}

// stale tells whether the link that refers to a namespace which nothing leads to is gone, as its other end is, which
// should be among the links there; it then leaves the link out.
func (c *collector) stale(r ref, there []snapshot.Link) bool {
	s := c.read[r.from]
	here := slices.IndexFunc(s.ns.Links, func(l snapshot.Link) bool { return l.Index == r.index })
	if here < 0 {
		return true
	}
	l := s.ns.Links[here]
	if !paired(&l) || slices.ContainsFunc(there, func(o snapshot.Link) bool { return o.Index == l.Peer.Index }) {
		return false
	}
	fresh := &snapshot.Namespace{ID: r.from}
	failed := false
	err := c.inside(r.from, func() error { return readTopology(fresh, &failed) })
	if err != nil || failed || slices.ContainsFunc(fresh.Links, func(o snapshot.Link) bool { return o.Index == l.Index && o.Name == l.Name && o.MAC == l.MAC }) {
		return false
	}
	s.own()
	s.ns.Links = slices.Delete(s.ns.Links, here, here+1)
	return true
}

func readTopology(ns *snapshot.Namespace, failed *bool) error {
	conn, err := rtnl.OpenTopology()
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.ReadTopology(ns, func(reader string, _ error, _ string) { *failed = *failed || reader == "links" })
	return nil
}
