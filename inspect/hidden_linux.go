package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// hide makes namespaces of what the unresolved nsids lead to, as far as the kernel describes them.
func (w *wiring) hide() {
	type seen struct {
		print string
		at    int // in w.hidden
	}
	var all []seen
	for _, r := range w.unsure {
		if w.ids[r.from][r.nsid] != "" {
			continue // settled since, from the other end or by an earlier link
		}
		a := &asker{w: w, id: r.from}
		if !a.open() {
			continue
		}
		links, err := a.conn.LinksIn(r.nsid)
		if err != nil {
			a.close()
			// EINVAL: the nsid is gone, and with it the link that carried it.
			w.c.stale(r, nil)
			if errors.Is(err, fs.ErrPermission) {
				w.c.gaps = append(w.c.gaps, snapshot.Gap{Namespace: r.from, Reader: "nsids", Error: fmt.Sprintf("nsid %d of link %d: %v", r.nsid, r.index, err), Needs: "CAP_NET_ADMIN"})
			}
			continue
		}
		if w.c.stale(r, links) {
			a.close()
			continue
		}
		nsid := r.nsid
		holder := snapshot.Holder{Kind: snapshot.HolderLink, Via: r.from, NSID: &nsid}
		print := strings.Join(prints(links), "|")
		// Seen from two namespaces it is one where every link agrees; two ids in one namespace are two in any case.
		at := slices.IndexFunc(all, func(s seen) bool {
			return s.print == print && print != "lo only" &&
				!slices.ContainsFunc(w.hidden[s.at].Holders, func(h snapshot.Holder) bool { return h.Via == r.from })
		})
		if at < 0 {
			id := snapshot.MakeViaNSID(r.from, r.nsid)
			w.hidden = append(w.hidden, snapshot.Namespace{ID: id, Links: links})
			all = append(all, seen{print, len(w.hidden) - 1})
			at = len(all) - 1
		}
		ns := &w.hidden[all[at].at]
		ns.Holders = append(ns.Holders, holder)
		w.set(r.from, r.nsid, ns.ID)
		if len(ns.Holders) == 1 {
			// Only where its links were read: seen from elsewhere they carry other numbers.
			a.resolveHidden(ns)
		}
		a.close()
	}
	for _, ns := range w.hidden {
		w.c.put(ns.ID, &space{ns: &ns})
	}
}

// resolveHidden resolves the nsids of a hidden namespace's links, which the kernel gives by the numbers of the namespace
// that asked (rtnl.Conn.LinksIn), this one; it may itself be meant.
func (a *asker) resolveHidden(ns *snapshot.Namespace) {
	a.self = true
	for i := range ns.Links {
		l := &ns.Links[i]
		if !crosses(l) {
			continue
		}
		k := *l.Peer.NSID
		if k < 0 {
			continue
		}
		if _, ok := a.w.ids[a.id][k]; !ok {
			a.resolve(l, k)
		}
		if peer := a.w.ids[a.id][k]; peer != "" {
			a.w.set(ns.ID, k, peer)
		}
	}
}
