package inspect

import (
	"sync"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
)

// statReader reads counters. It asks in the homes, whose sockets keep nothing alive that is not alive anyway.
type statReader struct {
	mu    sync.Mutex
	conns map[snapshot.NSID]*rtnl.Conn
	// ways are copied from the Live's after each update.
	covered map[snapshot.NSID]nsidAt
	found   *netns.Found
	c       *collector
}

func (r *statReader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
	r.conns = nil
}

// Stats reads the counters of links, as few questions as there are links. A link that is gone is left out. It may be called from
// any goroutine, after the first update.
func (l *Live) Stats(links []LinkRef) map[LinkRef]snapshot.LinkStats {
	r := &l.stats
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[LinkRef]snapshot.LinkStats, len(links))
	if r.c == nil {
		return out
	}
	rest := map[snapshot.NSID][]int{}
	for _, k := range links {
		at, ok := r.covered[k.In]
		conn := r.conns[at.in]
		if ok && conn != nil {
			if st, err := conn.Stats(&at.nsid, k.Index); err == nil {
				out[k] = st
			}
			continue
		}
		if conn := r.conns[k.In]; conn != nil {
			if st, err := conn.Stats(nil, k.Index); err == nil {
				out[k] = st
			}
			continue
		}
		rest[k.In] = append(rest[k.In], k.Index)
	}
	for id, list := range rest {
		_ = r.inside(id, func() error {
			conn, err := rtnl.OpenTopology()
			if err != nil {
				return err
			}
			defer conn.Close()
			for _, i := range list {
				if st, err := conn.Stats(nil, i); err == nil {
					out[LinkRef{id, i}] = st
				}
			}
			return nil
		})
	}
	return out
}

func (r *statReader) inside(id snapshot.NSID, f func() error) error {
	if id == r.found.Self {
		return f()
	}
	ns, ok := r.found.Namespace(id)
	if !ok {
		return netns.ErrGone
	}
	h, err := ns.Open()
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Do(f)
}

// share gives the reader of counters what was found out last.
func (l *Live) share() {
	r := &l.stats
	r.mu.Lock()
	defer r.mu.Unlock()
	r.c, r.found = l.c, l.c.found
	r.covered = make(map[snapshot.NSID]nsidAt, len(l.covered))
	for id, at := range l.covered {
		r.covered[id] = at
	}
	if r.conns == nil {
		r.conns = map[snapshot.NSID]*rtnl.Conn{}
	}
	for id, c := range r.conns {
		if l.homes[id] == nil {
			c.Close()
			delete(r.conns, id)
		}
	}
	for id := range l.homes {
		if r.conns[id] == nil {
			_ = r.inside(id, func() error {
				c, err := rtnl.OpenTopology()
				if err == nil {
					r.conns[id] = c
				}
				return err
			})
		}
	}
}
