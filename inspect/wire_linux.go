package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Wiring: which namespace is meant by each nsid that a link carries.
//
// The kernel answers RTM_GETNSID "which id has the namespace of this fd here", not the reverse. So for a link with an
// nsid we ask about candidates, and only about those whose own links agree. Each answer settles that candidate's nsid
// for every link here; and where a veth is proven from one end, the other end's nsid is settled without asking.

// fewCandidates is how many candidates are simply asked; of more, those are asked that the kernel's own description of
// the peer (RTM_GETLINK with IFLA_TARGET_NETNSID) leaves.
const fewCandidates = 3

// mostCandidates bounds how many are asked where even that leaves many.
const mostCandidates = 64

// end is one end of a pair by index: a link with this ifindex that says that its peer has that one.
type end struct{ index, peer int }

// wiring is the state of one pass over all links.
type wiring struct {
	c *collector
	// ids is what is proven: for a namespace, what each of its nsids means; "" for one that leads nowhere known.
	ids map[snapshot.NSID]map[int]snapshot.NSID
	// ends finds the namespaces that have a link with given indexes of its own and of its peer.
	ends map[end][]snapshot.NSID
	// prints finds namespaces by fingerprint; made when first needed.
	prints map[string][]snapshot.NSID
	// hubs are the namespaces with most links first: the likely home of a parent or of an underlay.
	hubs   []snapshot.NSID
	unsure []ref
	hidden []snapshot.Namespace
}

// ref is one link that refers to another namespace.
type ref struct {
	from  snapshot.NSID
	index int
	nsid  int
}

// wire resolves every nsid; what a second look at the host does not resolve either is a namespace that nothing but the
// link leads to.
func (c *collector) wire(ctx context.Context) {
	c.rewire(ctx, func([]ref) bool { return true })
}

// rewire does so with what is proven already (c.ids). Whether it is worth looking at the host again for what is not resolved,
// lookAgain tells.
func (c *collector) rewire(ctx context.Context, lookAgain func([]ref) bool) {
	w := c.newWiring()
	if c.ids != nil {
		w.ids = c.ids
	}
	w.run(ctx)
	if len(w.unsure) > 0 && !c.selfOnly && lookAgain(w.unsure) && c.findNew(ctx) {
		// A container that started after we listed the processes: look again before calling it hidden.
		for _, ids := range w.ids {
			for k, v := range ids {
				if v == "" {
					delete(ids, k)
				}
			}
		}
		w = w.again(ctx)
	}
	w = w.settle(ctx)
	if len(w.unsure) > 0 && !c.selfOnly {
		w.hide()
	}
	w.store()
	c.ids = w.ids
}

// again is a new pass over all links, with what is proven.
func (w *wiring) again(ctx context.Context) *wiring {
	n := w.c.newWiring()
	n.ids = w.ids
	n.run(ctx)
	return n
}

// findNew reads namespaces that have come since the first look, and tells whether there are any.
func (c *collector) findNew(ctx context.Context) bool {
	again, err := c.find(ctx)
	if err != nil {
		return false
	}
	var fresh []*netns.Namespace
	for _, ns := range again.Namespaces {
		if _, ok := c.found.Namespace(ns.ID); !ok {
			fresh = append(fresh, ns)
		}
	}
	for ino, pid := range again.SocketOwners {
		if _, ok := c.found.SocketOwners[ino]; !ok {
			c.found.SocketOwners[ino] = pid
		}
	}
	if len(fresh) > 0 {
		c.found.Add(fresh...) // so that those can be opened again, too
		c.readAll(ctx, fresh)
	}
	return len(fresh) > 0
}

func (c *collector) newWiring() *wiring {
	w := &wiring{c: c, ids: map[snapshot.NSID]map[int]snapshot.NSID{}, ends: map[end][]snapshot.NSID{}}
	for id, s := range c.read {
		w.hubs = append(w.hubs, id)
		for i := range s.ns.Links {
			if l := &s.ns.Links[i]; crosses(l) && paired(l) {
				w.ends[end{l.Index, l.Peer.Index}] = append(w.ends[end{l.Index, l.Peer.Index}], id)
			}
		}
	}
	slices.SortFunc(w.hubs, func(a, b snapshot.NSID) int {
		return cmp.Or(len(c.read[b].ns.Links)-len(c.read[a].ns.Links), strings.Compare(string(a), string(b)))
	})
	for _, ids := range w.ends {
		slices.Sort(ids)
	}
	return w
}

// crosses tells whether a link refers to another namespace.
func crosses(l *snapshot.Link) bool { return l.Peer != nil && l.Peer.NSID != nil }

// paired tells whether the link's peer refers back to it.
func paired(l *snapshot.Link) bool { return l.Veth != nil }

func (w *wiring) run(ctx context.Context) {
	w.unsure = nil
	for _, id := range w.hubs {
		if ctx.Err() != nil {
			return
		}
		w.namespace(id)
	}
}

// namespace resolves the nsids of one namespace's links. Its connection is opened when the first question comes up.
func (w *wiring) namespace(id snapshot.NSID) {
	a := &asker{w: w, id: id}
	defer a.close()
	links := w.c.read[id].ns.Links
	for i := range links {
		l := &links[i]
		if !crosses(l) {
			continue
		}
		k := *l.Peer.NSID
		if k < 0 {
			continue // NETNSA_NSID_NOT_ASSIGNED: in another namespace, and the kernel does not say which
		}
		if _, ok := w.ids[id][k]; !ok {
			a.resolve(l, k)
		}
		peer, ok := w.ids[id][k]
		if !ok || peer == "" {
			w.unsure = append(w.unsure, ref{id, l.Index, k})
			continue
		}
		w.settleOther(id, l, peer)
	}
}

// settleOther notes what a veth proven from one end says of the other end's nsid.
func (w *wiring) settleOther(id snapshot.NSID, l *snapshot.Link, peer snapshot.NSID) {
	s := w.c.read[peer]
	if s == nil || !paired(l) {
		return
	}
	for i := range s.ns.Links {
		o := &s.ns.Links[i]
		if o.Index == l.Peer.Index && crosses(o) && paired(o) && o.Peer.Index == l.Index {
			w.set(peer, *o.Peer.NSID, id)
			return
		}
	}
}

func (w *wiring) set(in snapshot.NSID, nsid int, means snapshot.NSID) {
	m := w.ids[in]
	if m == nil {
		m = map[int]snapshot.NSID{}
		w.ids[in] = m
	}
	m[nsid] = means
}

// asker asks the kernel in one namespace.
type asker struct {
	w      *wiring
	id     snapshot.NSID
	conn   *rtnl.Conn
	failed bool
	asked  map[snapshot.NSID]bool
	self   bool // ask about the namespace itself too
}

func (a *asker) close() {
	if a.conn != nil {
		a.conn.Close()
	}
}

func (a *asker) open() bool {
	if a.conn != nil || a.failed {
		return a.conn != nil
	}
	err := a.w.c.inside(a.id, func() (err error) { a.conn, err = rtnl.OpenTopology(); return err })
	if err != nil {
		a.failed = true
		if !netns.Vanished(err) {
			a.w.c.gaps = append(a.w.c.gaps, snapshot.Gap{Namespace: a.id, Reader: "nsids", Error: err.Error(), Needs: needsOf(err)})
		}
	}
	return !a.failed
}

// inside runs f in a namespace that was read.
func (c *collector) inside(id snapshot.NSID, f func() error) error {
	if id == c.found.Self {
		return f()
	}
	h, done, err := c.open(id)
	if err != nil {
		return err
	}
	defer done()
	return h.Do(f)
}

// open returns the pinned handle of a namespace, or opens it again.
func (c *collector) open(id snapshot.NSID) (h *netns.Handle, done func(), err error) {
	s := c.read[id]
	if s != nil && s.handle != nil {
		return s.handle, func() {}, nil
	}
	ns, ok := c.found.Namespace(id)
	if !ok {
		return nil, nil, netns.ErrGone
	}
	if h, err = ns.Open(); err != nil {
		return nil, nil, err
	}
	return h, func() { h.Close() }, nil
}

// resolve finds out what nsid k means here, for link l.
func (a *asker) resolve(l *snapshot.Link, k int) {
	if !a.open() {
		return
	}
	var candidates []snapshot.NSID
	if paired(l) {
		candidates = a.w.ends[end{l.Peer.Index, l.Index}]
	} else {
		candidates = a.w.hubs[:min(fewCandidates, len(a.w.hubs))]
	}
	if len(candidates) <= fewCandidates {
		if a.ask(candidates, k) {
			return
		}
	}
	// Either too many could be meant, or none of the likely ones was: let the kernel describe the namespace.
	there, err := a.conn.LinksIn(k)
	switch {
	case err == nil:
		a.ask(a.w.alike(there), k)
	case errors.Is(err, fs.ErrPermission):
		// Without CAP_NET_ADMIN there: ask about as many as is bearable.
		if !paired(l) {
			candidates = a.w.hubs
		}
		a.ask(candidates[:min(mostCandidates, len(candidates))], k)
	}
}

// ask asks about candidates until one has the id k here. Every answer is kept.
func (a *asker) ask(candidates []snapshot.NSID, k int) bool {
	if a.asked == nil {
		a.asked = map[snapshot.NSID]bool{}
	}
	for i, cand := range candidates {
		if i >= mostCandidates {
			break
		}
		if cand == a.id && !a.self || a.asked[cand] {
			continue
		}
		a.asked[cand] = true
		h, done, err := a.w.c.open(cand)
		if err != nil {
			continue
		}
		nsid, err := a.conn.NSIDOf(h.FD())
		done()
		if err != nil {
			continue // it has no id here, or vanished
		}
		a.w.set(a.id, nsid, cand)
		if nsid == k {
			return true
		}
	}
	return false
}

// alike returns the namespaces that may be the one with these links: those that share a link with it, by index, name
// and MAC. A namespace that has nothing but lo can be any such.
func (w *wiring) alike(links []snapshot.Link) []snapshot.NSID {
	if w.prints == nil {
		w.prints = map[string][]snapshot.NSID{}
		for _, id := range w.hubs {
			for _, p := range prints(w.c.read[id].ns.Links) {
				w.prints[p] = append(w.prints[p], id)
			}
		}
	}
	var out []snapshot.NSID
	for _, p := range prints(links) {
		for _, id := range w.prints[p] {
			if len(out) < mostCandidates && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

func prints(links []snapshot.Link) []string {
	var out []string
	for i := range links {
		l := &links[i]
		if l.Type == "loopback" {
			continue
		}
		out = append(out, fmt.Sprint(l.Index, l.Name, l.MAC))
	}
	if len(out) == 0 {
		out = append(out, "lo only")
	}
	return out
}

// store writes what was proven into the links and the lists of nsids.
func (w *wiring) store() {
	for id, s := range w.c.read {
		peer := func(p *snapshot.Peer) snapshot.NSID {
			if p.NSID == nil {
				return id
			}
			return w.ids[id][*p.NSID]
		}
		for i := range s.ns.Links {
			if p := s.ns.Links[i].Peer; p != nil && p.Namespace != peer(p) {
				s.own()
				p = s.ns.Links[i].Peer
				p.Namespace = peer(p)
			}
		}
		for i := range s.ns.NSIDs {
			if n := s.ns.NSIDs[i]; n.Namespace != w.ids[id][n.NSID] {
				s.own()
				s.ns.NSIDs[i].Namespace = w.ids[id][n.NSID]
			}
		}
	}
}
