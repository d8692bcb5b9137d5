package inspect

import (
	"cmp"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
)

// update reads what the events since the last one name.
func (l *Live) update(ctx context.Context, each func(Update)) error {
	if l.now.lost {
		// What came before is in what is read now.
		return l.full(ctx, Full, each)
	}
	start := time.Now()
	now := l.now
	l.now = newPending()
	c := l.c
	c.start, c.gaps = start, nil
	defer c.release()
	changed := now.told
	before := l.known()
	if now.names {
		some, err := l.refind(ctx)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		changed = changed || some
		now.engines = now.engines || l.now.engines
	}
	if now.cover || l.now.cover {
		l.cover()
	}
	changed = l.resolve(&now) || changed
	// What cover found out, it wants read now.
	for id, p := range l.now.parts {
		now.parts[id] |= p
		now.netfilter[id] = true
	}
	l.now = newPending()
	for id := range now.netfilter {
		now.parts[id] |= 0
	}
	looked := map[snapshot.NSID]bool{}
	if now.look {
		for _, id := range l.lookedAt() {
			looked[id] = true
			if c.read[id] != nil && !id.Hidden() {
				changed = l.whole(id) || changed
			}
		}
	}
	for id, parts := range now.parts {
		if c.read[id] == nil || looked[id] {
			continue
		}
		changed = l.again(id, parts, now.netfilter[id]) || changed
	}
	u := Update{Heard: now.heard}
	if changed {
		l.rewire(ctx, before)
		u.Snapshot = l.publish()
		u.Heard = append(u.Heard, l.found(before, u.Heard)...)
	}
	l.note(time.Since(start))
	if u.Snapshot != nil || len(u.Heard) > 0 {
		each(u)
	}
	if now.engines {
		l.ask(ctx)
	}
	return nil
}

// refind looks which namespaces there are. It reads those that came, and tells whether anything is different.
func (l *Live) refind(ctx context.Context) (changed bool, err error) {
	c := l.c
	found, err := c.find(ctx)
	if err != nil {
		return false, err
	}
	c.found, l.foundAt = found, time.Now()
	l.remember()
	l.endings()
	for id := range c.read {
		if _, ok := found.Namespace(id); !ok && !id.Hidden() {
			l.forget(id)
			c.drop(id)
			changed, l.now.engines = true, true
		}
	}
	var fresh []*netns.Namespace
	for _, ns := range found.Namespaces {
		s := c.read[ns.ID]
		if s == nil {
			fresh = append(fresh, ns)
			continue
		}
		if !slices.Equal(s.ns.Holders, ns.Holders) {
			// An inode that others hold may be another namespace by now.
			if !slices.ContainsFunc(ns.Holders, func(h snapshot.Holder) bool { return slices.Contains(s.ns.Holders, h) }) {
				l.now.parts[ns.ID] |= rtnl.Topology
			}
			s.own()
			s.ns.Holders = ns.Holders
			changed = true
		}
	}
	if len(fresh) > 0 {
		changed, l.now.engines = true, true
		for _, ns := range fresh {
			c.put(ns.ID, &space{ns: &snapshot.Namespace{ID: ns.ID, Holders: ns.Holders}})
		}
		l.cover() // before they are read: what changes from now on is heard
		c.readAll(ctx, fresh)
		for _, ns := range fresh {
			delete(l.now.parts, ns.ID)
			if s := c.read[ns.ID]; s != nil && s.ns.Cookie == 0 && len(s.gaps) == 0 && len(s.ns.Links) == 0 {
				c.drop(ns.ID) // it is gone already
				l.forget(ns.ID)
			} else if s != nil {
				l.programs(s.ns)
			}
		}
	}
	return changed, nil
}

// forget lets go of a namespace.
func (l *Live) forget(id snapshot.NSID) {
	l.w.Forget(id)
	if h := l.homes[id]; h != nil {
		if h.conn != nil {
			h.conn.Close()
		}
		delete(l.homes, id)
	}
	for k, at := range l.covered {
		if at.in == id {
			delete(l.covered, k)
			l.now.cover = true
		}
	}
	delete(l.covered, id)
	delete(l.alone, id)
	delete(l.c.ids, id)
	for _, m := range l.c.ids {
		for k, to := range m {
			if to == id {
				delete(m, k)
			}
		}
	}
}

// errOther tells that an inode is another namespace by now.
var errOther = errors.New("another namespace")

// netfilterReaders are the readers of readNetfilter.
var netfilterReaders = []string{"nftables", "firewall rules", "legacy iptables", "legacy ip6tables", "legacy arptables"}

// again reads parts of a namespace again, and tells whether they are others.
func (l *Live) again(id snapshot.NSID, parts rtnl.Part, rules bool) bool {
	c := l.c
	old := c.read[id]
	if slices.ContainsFunc(old.gaps, func(g snapshot.Gap) bool { return g.Reader == "namespace" }) {
		return l.whole(id)
	}
	s := &space{ns: old.ns, handle: old.handle, shared: true, owned: true}
	s.own() // wiring writes into what is not read again, too
	fresh := s.ns
	readers := parts.Readers()
	if rules {
		readers = append(readers, netfilterReaders...)
	}
	for _, g := range old.gaps {
		if !slices.Contains(readers, g.Reader) {
			s.gaps = append(s.gaps, g)
		}
	}
	gap := func(reader string, err error, needs string) {
		s.gaps = append(s.gaps, snapshot.Gap{Namespace: id, Reader: reader, Error: err.Error(), Needs: cmp.Or(needs, needsOf(err))})
	}
	err := c.inside(id, func() error {
		if fresh.Cookie != netns.Cookie() {
			return errOther
		}
		if parts != 0 {
			conn, err := rtnl.OpenTopology()
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.ReadParts(fresh, parts, gap)
		}
		if rules {
			fresh.Netfilter = snapshot.Netfilter{}
			readNetfilter(fresh, gap)
		}
		return nil
	})
	switch {
	case err == errOther:
		l.forget(id)
		l.now.cover, l.now.names = true, true
		l.now.touch()
		return l.whole(id)
	case err != nil:
		if netns.Vanished(err) { // or the way to it has: the host is looked at again
			l.now.names = true
			l.now.touch()
			return false
		}
		gap("namespace", shortly(err), "")
	}
	tidy := snapshot.Snapshot{Namespaces: []snapshot.Namespace{*fresh}}
	tidy.Normalize()
	*fresh = tidy.Namespaces[0]
	if parts&rtnl.NSIDs != 0 {
		delete(c.ids, id)
	}
	if parts&(rtnl.Links|rtnl.NSIDs) == 0 && slices.Equal(s.gaps, old.gaps) && sameParts(old.ns, fresh) {
		return false
	}
	c.put(id, s)
	return true
}

// sameParts tells whether two readings of a namespace differ in timers alone.
func sameParts(a, b *snapshot.Namespace) bool {
	return reflect.DeepEqual(a.Routes, b.Routes) && reflect.DeepEqual(a.Rules, b.Rules) && reflect.DeepEqual(a.FDB, b.FDB) && reflect.DeepEqual(a.Netfilter, b.Netfilter) &&
		slices.EqualFunc(lasting(a.Neighbors), lasting(b.Neighbors), func(x, y snapshot.Neighbor) bool { return sameNeighbor(&x, &y) })
}

// lasting leaves out those that only pass.
func lasting(list []snapshot.Neighbor) []snapshot.Neighbor {
	return slices.DeleteFunc(slices.Clone(list), func(n snapshot.Neighbor) bool { return n.Passing() })
}

// whole reads all of a namespace again.
func (l *Live) whole(id snapshot.NSID) bool {
	c := l.c
	ns, ok := c.found.Namespace(id)
	if !ok {
		return false
	}
	s := c.readOne(ns)
	if s == nil {
		l.now.names = true
		l.now.touch()
		return false
	}
	l.programs(s.ns)
	c.put(id, s)
	return true
}

// deep is how much of a namespace is read whole.
func (l *Live) deep() Depth { return newOptions(l.opts).depth }

// programs adds what the cgroups of a namespace's processes do to packets.
func (l *Live) programs(spaces ...*snapshot.Namespace) {
	if l.deep() == Full {
		l.c.bpf.Cgroups(l.c.proc, spaces)
		l.c.bpf.Names(spaces)
	}
}

// rewire finds out where links lead to. before is what was known before this update.
func (l *Live) rewire(ctx context.Context, before map[snapshot.NSID]*snapshot.Namespace) {
	c := l.c
	for id := range c.read {
		if id.Hidden() {
			c.drop(id) // described anew, as long as something leads there
		}
	}
	for _, m := range c.ids {
		for k, to := range m {
			if to == "" || to.Hidden() {
				delete(m, k)
			}
		}
	}
	for id := range c.ids {
		if id.Hidden() {
			delete(c.ids, id)
		}
	}
	c.rewire(ctx, func(list []ref) bool {
		// The host is looked at again for what was not unresolved before already.
		fresh := false
		now := map[ref]bool{}
		for _, r := range list {
			now[r] = true
			fresh = fresh || !l.unsure[r]
		}
		l.unsure = now
		return fresh
	})
	for id := range c.read {
		if before[id] == nil && !id.Hidden() {
			l.cover() // the search read more: from the moment on that they are known they are heard of
			break
		}
	}
}

// publish makes a snapshot of what is known. What was not read again is the same as in the last one.
func (l *Live) publish() *snapshot.Snapshot {
	c := l.c
	snap := c.assemble()
	var kept, fresh []snapshot.Namespace
	for i := range snap.Namespaces {
		if n := snap.Namespaces[i]; c.read[n.ID].shared {
			kept = append(kept, n)
		} else {
			fresh = append(fresh, n)
		}
	}
	snap.Namespaces = fresh
	snap.Normalize()
	for i := range snap.Namespaces {
		n := snap.Namespaces[i]
		s := c.read[n.ID]
		s.ns, s.shared, s.owned = &n, true, true
	}
	snap.Namespaces = append(snap.Namespaces, kept...)
	slices.SortFunc(snap.Namespaces, func(a, b snapshot.Namespace) int {
		return cmp.Or(cmp.Compare(a.ID.Inode(), b.ID.Inode()), strings.Compare(string(a.ID), string(b.ID)))
	})
	return snap
}
