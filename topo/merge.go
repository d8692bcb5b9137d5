package topo

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// kernel is all that was seen of one running kernel: the snapshots with one boot id. Within it an inode means one
// namespace; across kernels it means nothing (every host's initial netns has the same).
type kernel struct {
	boot    string // the whole boot id
	id      string // as it stands in node ids
	sources []*source
	spaces  map[snapshot.NSID]*space
	order   []*space // sorted by node id
	alias   map[snapshot.NSID]snapshot.NSID
}

// source is one snapshot.
type source struct {
	snap *snapshot.Snapshot
	k    *kernel
	// outer is the snapshot of the machine on which this one's host is only a node, nil for a host of its own.
	outer *source
	// place is the Host of what it owns: the host's name, or "host/node".
	place   string
	engines []*engine
	json    []byte // only made to break a tie
}

// space is one network namespace, merged from every snapshot of its kernel that saw it.
type space struct {
	k      *kernel
	id     snapshot.NSID
	node   string
	src    *source // whose reading of it was taken
	ns     *snapshot.Namespace
	seenBy []*source

	links  []*link // by ifindex
	byIdx  map[int]*link
	byName map[string]*link
	fdbIdx map[int][]*snapshot.FDBEntry

	role, name, place string
	home              bool    // an engine's home, not the host's
	dockerName        string  // base name of Docker's mount of it: 1-<id>, lb_<id>, ingress_sbox
	netID             string  // (start of) the id of the network it serves, for overlay, loadbalancer, ingress
	net               *netw   // that network, where an engine knows it
	work              []*work // what runs in it

	rsOnce sync.Once
	rs     *ruleset.Space
	upOnce sync.Once
	ups    []*link
}

// link is one link of a space.
type link struct {
	sp   *space
	l    *snapshot.Link
	node string
}

// sighting is one snapshot's view of one namespace.
type sighting struct {
	src   *source
	ns    *snapshot.Namespace
	score [3]int
	json  []byte
}

// gather sorts the snapshots into kernels and merges their namespaces.
func (b *builder) gather(snaps []*snapshot.Snapshot) {
	var all []*source
	for _, s := range snaps {
		if s != nil {
			all = append(all, &source{snap: s})
		}
	}
	// Oldest first; the order in which snapshots are given must not matter.
	slices.SortStableFunc(all, func(x, y *source) int {
		return cmp.Or(strings.Compare(bootOf(x.snap), bootOf(y.snap)), x.snap.Taken.Compare(y.snap.Taken),
			strings.Compare(x.snap.Host.Name, y.snap.Host.Name), strings.Compare(string(x.snap.Host.InitNS), string(y.snap.Host.InitNS)),
			strings.Compare(string(x.snap.Host.SelfNS), string(y.snap.Host.SelfNS)),
			cmp.Compare(len(x.snap.Namespaces), len(y.snap.Namespaces)),
			slices.Compare(x.bytes(), y.bytes()))
	})
	b.sources = all
	ids := map[string]bool{}
	for _, s := range all {
		boot := bootOf(s.snap)
		if n := len(b.kernels); n == 0 || b.kernels[n-1].boot != boot {
			k := &kernel{boot: boot, id: strings.ReplaceAll(boot, "-", "")}
			if len(k.id) > 8 && !ids[k.id[:8]] {
				k.id = k.id[:8]
			}
			ids[k.id] = true
			b.kernels = append(b.kernels, k)
		}
		s.k = b.kernels[len(b.kernels)-1]
		s.k.sources = append(s.k.sources, s)
	}
	for _, k := range b.kernels {
		b.mergeSpaces(k)
	}
}

func (s *source) bytes() []byte {
	if s.json == nil {
		s.json, _ = json.Marshal(s.snap)
	}
	return s.json
}

// bootOf is the snapshot's boot id, or for a kernel that has none to tell, one made of the host's identity: two
// snapshots without a boot id must not be taken for one kernel only because both lack it.
func bootOf(s *snapshot.Snapshot) string {
	if s.Host.BootID != "" {
		return strings.ToLower(s.Host.BootID)
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s\x00%s", s.Host.MachineID, s.Host.Name)
	return fmt.Sprintf("x%07x", h.Sum32()>>4)
}

func (b *builder) mergeSpaces(k *kernel) {
	k.spaces = map[snapshot.NSID]*space{}
	k.alias = b.aliases(k)
	seen := map[snapshot.NSID][]sighting{}
	for _, s := range k.sources {
		for i := range s.snap.Namespaces {
			ns := &s.snap.Namespaces[i]
			if ns.ID == "" {
				continue
			}
			id := k.canon(ns.ID)
			seen[id] = append(seen[id], sighting{src: s, ns: ns})
		}
	}
	taken := map[string]bool{}
	for _, id := range sortedKeys(seen) {
		sp := b.mergeOne(k, id, seen[id])
		short := id.Short()
		if taken[short] { // the same inode on another device: not the nsfs of this kernel, but not the same thing either
			short = strings.NewReplacer("/", "_", ":", "-").Replace(string(id))
		}
		taken[short] = true
		sp.node = "netns:" + k.id + ":" + short
		sp.indexLinks(b, short)
		k.spaces[id] = sp
		k.order = append(k.order, sp)
		b.spaces[sp.node] = sp
	}
}

// aliases tells which hidden namespaces ("nsid 3 of that one") are ones that another snapshot of the same kernel, or
// another reader of the same, could open: the nsid was resolved there.
func (b *builder) aliases(k *kernel) map[snapshot.NSID]snapshot.NSID {
	real := map[snapshot.NSID]bool{}
	for _, s := range k.sources {
		for i := range s.snap.Namespaces {
			if id := s.snap.Namespaces[i].ID; !id.Hidden() {
				real[id] = true
			}
		}
	}
	out := map[snapshot.NSID]snapshot.NSID{}
	for _, s := range k.sources {
		for i := range s.snap.Namespaces {
			ns := &s.snap.Namespaces[i]
			for _, p := range ns.NSIDs {
				if p.Namespace == "" || p.Namespace.Hidden() || !real[p.Namespace] {
					continue
				}
				via := snapshot.MakeViaNSID(ns.ID, p.NSID)
				if old, ok := out[via]; ok && old != p.Namespace {
					out[via] = via // an nsid that changed hands proves nothing
					continue
				}
				out[via] = p.Namespace
			}
		}
	}
	aliasHidden(k, out)
	return out
}

// aliasHidden makes one of hidden namespaces that several snapshots of a kernel have under different names, each after
// the reader whose nsid led to it: those that agree in every link, by ifindex, name and MAC, and of which each snapshot
// has just one.
func aliasHidden(k *kernel, alias map[snapshot.NSID]snapshot.NSID) {
	type sighted struct {
		ids     []snapshot.NSID
		sources map[*source]int
	}
	all := map[string]*sighted{}
	for _, s := range k.sources {
		for i := range s.snap.Namespaces {
			ns := &s.snap.Namespaces[i]
			print := fingerprint(ns)
			if !ns.ID.Hidden() || print == "" {
				continue
			}
			if _, known := alias[ns.ID]; known {
				continue
			}
			if all[print] == nil {
				all[print] = &sighted{sources: map[*source]int{}}
			}
			all[print].ids = append(all[print].ids, ns.ID)
			all[print].sources[s]++
		}
	}
	for _, s := range all {
		slices.Sort(s.ids)
		for _, n := range s.sources {
			if n > 1 {
				s.ids = nil // two in one snapshot are two, and which is which cannot be told
			}
		}
		for _, id := range s.ids {
			if id != s.ids[0] {
				alias[id] = s.ids[0]
			}
		}
	}
}

// fingerprint is what a namespace's links are known by, "" where nothing in it has a MAC.
func fingerprint(ns *snapshot.Namespace) string {
	var out []string
	for i := range ns.Links {
		if l := &ns.Links[i]; l.MAC != "" && l.Type != "loopback" {
			out = append(out, fmt.Sprintf("%d %s %s", l.Index, l.Name, l.MAC))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "|")
}

// canon is the id under which a namespace is known in the graph.
func (k *kernel) canon(id snapshot.NSID) snapshot.NSID {
	if to, ok := k.alias[id]; ok {
		return to
	}
	return id
}

// space finds the namespace with this id, nil where no snapshot has it.
func (k *kernel) space(id snapshot.NSID) *space {
	if id == "" {
		return nil
	}
	return k.spaces[k.canon(id)]
}

func (b *builder) mergeOne(k *kernel, id snapshot.NSID, views []sighting) *space {
	sp := &space{k: k, id: id}
	views = b.sameLife(k, id, views)
	for i := range views {
		views[i].score = score(views[i].ns)
	}
	best := slices.MaxFunc(views, func(x, y sighting) int {
		c := cmp.Or(slices.Compare(x.score[:], y.score[:]), x.src.snap.Taken.Compare(y.src.snap.Taken))
		if c == 0 && len(views) > 1 {
			x.json, _ = json.Marshal(x.ns)
			y.json, _ = json.Marshal(y.ns)
			c = slices.Compare(x.json, y.json)
		}
		return c
	})
	sp.src, sp.ns = best.src, best.ns
	for _, v := range views {
		if !slices.Contains(sp.seenBy, v.src) && !v.ns.ID.Hidden() {
			sp.seenBy = append(sp.seenBy, v.src)
		}
	}
	if len(views) > 1 {
		ns := *best.ns
		ns.ID = id
		ns.Links = patchPeers(best, views)
		for _, v := range views {
			if ns.Cookie == 0 {
				ns.Cookie = v.ns.Cookie
			}
		}
		sp.ns = &ns
	}
	b.views[sp] = views // holders are united once it is known which snapshot lies within which
	return sp
}

// sameLife leaves out sightings of an earlier namespace that had the same inode: the cookie is never reused.
func (b *builder) sameLife(k *kernel, id snapshot.NSID, views []sighting) []sighting {
	var cookie uint64
	for _, v := range views { // oldest first
		if v.ns.Cookie != 0 {
			cookie = v.ns.Cookie
		}
	}
	kept := slices.DeleteFunc(slices.Clone(views), func(v sighting) bool { return v.ns.Cookie != 0 && v.ns.Cookie != cookie })
	if len(kept) < len(views) {
		b.gap(kept[0].src, id, "merge", "the inode was reused between the snapshots: the earlier namespace is left out", "")
	}
	return kept
}

// score orders readings of one namespace: links read at all, how many kinds of things were read, how many peers proven.
func score(ns *snapshot.Namespace) (s [3]int) {
	s[0] = min(len(ns.Links), 1)
	for _, n := range []int{len(ns.Links), len(ns.Routes), len(ns.Rules), len(ns.Neighbors), len(ns.FDB), len(ns.Sockets),
		len(ns.Sysctls), len(ns.Qdiscs), len(ns.Counters)} {
		s[1] += min(n, 1)
	}
	for i := range ns.Links {
		if p := ns.Links[i].Peer; p != nil && p.Namespace != "" && !p.Namespace.Hidden() {
			s[2]++
		}
	}
	return s
}

// patchPeers takes the proof of a link's peer from another reading of the same link where the best one lacks it.
func patchPeers(best sighting, views []sighting) []snapshot.Link {
	links := best.ns.Links
	cloned := false
	for i := range links {
		p := links[i].Peer
		if p == nil || p.NSID == nil || (p.Namespace != "" && !p.Namespace.Hidden()) {
			continue
		}
		for _, v := range views {
			if v.ns == best.ns || v.ns.ID != best.ns.ID {
				continue // an nsid is one namespace's own
			}
			j := slices.IndexFunc(v.ns.Links, func(o snapshot.Link) bool {
				return o.Index == links[i].Index && o.Name == links[i].Name && o.Peer != nil && o.Peer.Index == p.Index &&
					o.Peer.NSID != nil && *o.Peer.NSID == *p.NSID && o.Peer.Namespace != "" && !o.Peer.Namespace.Hidden()
			})
			if j < 0 {
				continue
			}
			if !cloned {
				links, cloned = slices.Clone(links), true
			}
			peer := *p
			peer.Namespace = v.ns.Links[j].Peer.Namespace
			links[i].Peer = &peer
			break
		}
	}
	return links
}

// indexLinks makes the links of a namespace findable; of two with one ifindex (no kernel says so) the first by
// content is taken.
func (sp *space) indexLinks(b *builder, short string) {
	sp.byIdx, sp.byName = make(map[int]*link, len(sp.ns.Links)), make(map[string]*link, len(sp.ns.Links))
	list := make([]*snapshot.Link, 0, len(sp.ns.Links))
	for i := range sp.ns.Links {
		list = append(list, &sp.ns.Links[i])
	}
	slices.SortStableFunc(list, func(x, y *snapshot.Link) int {
		c := cmp.Or(cmp.Compare(x.Index, y.Index), strings.Compare(x.Name, y.Name), strings.Compare(x.Kind, y.Kind))
		if c == 0 && x != y {
			bx, _ := json.Marshal(x)
			by, _ := json.Marshal(y)
			c = slices.Compare(bx, by)
		}
		return c
	})
	for _, l := range list {
		if sp.byIdx[l.Index] != nil || l.Index <= 0 {
			b.gap(sp.src, sp.id, "links", fmt.Sprintf("link %q has ifindex %d, which is not valid or another one's: left out", l.Name, l.Index), "")
			continue
		}
		k := &link{sp: sp, l: l, node: fmt.Sprintf("link:%s:%s/%d", sp.k.id, short, l.Index)}
		sp.byIdx[l.Index] = k
		if sp.byName[l.Name] == nil {
			sp.byName[l.Name] = k
		}
		sp.links = append(sp.links, k)
	}
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
