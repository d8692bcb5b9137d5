package topo

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
)

// engine is one engine as one snapshot knows it.
type engine struct {
	src   *source
	e     *snapshot.Engine
	home  *space // nil where it is not known
	place string
}

// at is where an engine's things are: its kernel, and within it its home.
func (e *engine) homeInode() uint64 {
	if e.home == nil {
		return 0
	}
	return e.home.id.Inode()
}

// nest finds out which snapshots were taken inside a node of the machine that another snapshot (of the same kernel)
// shows whole: the outer one sees the inner one's initial namespace as one of many, the inner one does not see back.
func (b *builder) nest() {
	sees := func(s, t *source) bool {
		id := s.k.canon(t.snap.Host.InitNS)
		if id == "" || s.k.canon(s.snap.Host.InitNS) == id {
			return false
		}
		sp := s.k.spaces[id]
		if sp == nil || !slices.Contains(sp.seenBy, s) {
			return false
		}
		return s.snap.Host.InitNS != "" || slices.ContainsFunc(s.snap.Host.Engines, func(e snapshot.Engine) bool { return s.k.canon(e.Home) == id })
	}
	houses := func(s, t *source) bool {
		id := s.k.canon(t.snap.Host.InitNS)
		return slices.ContainsFunc(s.snap.Host.Engines, func(e snapshot.Engine) bool { return s.k.canon(e.Home) == id })
	}
	inside := func(t, s *source) bool { // t is inside s
		return sees(s, t) && (!sees(t, s) || (houses(s, t) && !houses(t, s)))
	}
	for _, k := range b.kernels {
		for _, t := range k.sources {
			for _, s := range k.sources {
				// The outermost is wanted: one that is in no other itself.
				if s != t && inside(t, s) && !slices.ContainsFunc(k.sources, func(r *source) bool { return r != s && r != t && inside(s, r) }) {
					t.outer = s
					break
				}
			}
		}
		for _, t := range k.sources {
			if t.outer != nil && t.outer.outer != nil {
				t.outer = nil // a circle: nothing is proven
			}
		}
	}
}

// hosts names the hosts. Snapshots of one kernel with one initial namespace are one host at several times.
func (b *builder) hosts() {
	type key struct{ boot, id string }
	byKey := map[key]*GraphHost{}
	var order []key
	keys := map[*source]key{}
	newest := map[key]time.Time{}
	for _, s := range b.sources {
		if s.outer != nil {
			continue
		}
		h := &s.snap.Host
		k := key{s.k.boot, string(s.k.canon(h.InitNS))}
		if h.InitNS == "" {
			k.id = "name " + h.Name
			for _, t := range s.k.sources { // the same host, read when its initial namespace could be told
				if t.snap.Host.InitNS != "" && t.snap.Host.Name == h.Name && t.outer == nil {
					k.id = string(t.k.canon(t.snap.Host.InitNS))
				}
			}
		}
		keys[s] = k
		g := byKey[k]
		if g == nil {
			g = &GraphHost{Boot: s.k.id}
			byKey[k] = g
			order = append(order, k)
		}
		if g.Name == "" || !s.snap.Taken.Before(newest[k]) {
			g.Name, g.Kernel, newest[k] = cmp.Or(h.Name, g.Name), h.Kernel, s.snap.Taken
		}
	}
	// Two hosts of one name are told apart by the kernel, two nodes of one kernel by their namespace.
	count := map[string]int{}
	for _, k := range order {
		g := byKey[k]
		g.Name = cmp.Or(g.Name, "host")
		count[g.Name]++
	}
	boots := map[string]int{}
	for _, k := range order {
		if g := byKey[k]; count[g.Name] > 1 {
			boots[g.Name+"~"+g.Boot]++
		}
	}
	for _, k := range order {
		g := byKey[k]
		if count[g.Name] > 1 {
			name := g.Name + "~" + g.Boot
			if boots[name] > 1 {
				name += "~" + snapshot.NSID(k.id).Short()
			}
			g.Name = name
		}
		if t := newest[k]; !t.IsZero() {
			g.Taken = t.UTC().Format(time.RFC3339)
		}
		b.g.Hosts = append(b.g.Hosts, *g)
	}
	for s, k := range keys {
		s.place = byKey[k].Name
	}
	slices.SortFunc(b.g.Hosts, func(x, y GraphHost) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Boot, y.Boot))
	})
}

// places finds the engines' homes and gives every node of a host its name.
func (b *builder) places() {
	for _, s := range b.sources {
		if s.outer != nil {
			continue
		}
		if sp := s.k.space(s.snap.Host.InitNS); sp != nil {
			sp.role, sp.place = RoleHost, s.place
		}
	}
	nodes := map[*space][]*engine{}
	for _, s := range b.sources {
		root := s
		if s.outer != nil {
			root = s.outer
		}
		s.place = root.place
		for i := range s.snap.Host.Engines {
			e := &engine{src: s, e: &s.snap.Host.Engines[i], home: s.k.space(s.snap.Host.Engines[i].Home), place: root.place}
			s.engines = append(s.engines, e)
		}
		slices.SortStableFunc(s.engines, func(x, y *engine) int {
			return cmp.Or(strings.Compare(x.e.ID, y.e.ID), strings.Compare(x.e.Endpoint, y.e.Endpoint), strings.Compare(x.e.StateDir, y.e.StateDir))
		})
		for _, e := range s.engines {
			_, at, nested := strings.Cut(e.e.ID, "@")
			switch {
			case e.home != nil && e.home.role == RoleHost:
				e.place = e.home.place
			case e.home != nil && s.snap.Host.InitNS == "" && s.outer == nil && !nested:
				// Whether this is the host's own namespace or a node's cannot be told; a container's it is not.
				e.home.role = RoleOther
				b.gap(s, e.home.id, "roles", "the host's own namespace is not known: whether this one, engine "+e.e.ID+"'s home, is it cannot be told", "CAP_SYS_PTRACE")
			case e.home != nil:
				nodes[e.home] = append(nodes[e.home], e)
			case nested:
				e.place = root.place + "/" + at
			}
		}
	}
	b.nameNodes(nodes)
	for _, s := range b.sources {
		if s.outer == nil {
			continue
		}
		if sp := s.k.space(s.snap.Host.InitNS); sp != nil && sp.home {
			s.place = sp.place
			for _, e := range s.engines {
				if e.home == nil {
					e.place = s.place
				}
			}
		}
	}
}

// nameNodes names the homes of nested engines: by what the engine calls its host.
func (b *builder) nameNodes(nodes map[*space][]*engine) {
	homes := make([]*space, 0, len(nodes))
	for sp := range nodes {
		homes = append(homes, sp)
	}
	slices.SortFunc(homes, func(x, y *space) int { return strings.Compare(x.node, y.node) })
	shared := map[string]int{}
	for _, sp := range homes {
		name := ""
		for _, e := range nodes[sp] {
			_, at, _ := strings.Cut(e.e.ID, "@")
			name = cmp.Or(name, e.e.Name, at)
		}
		for _, s := range sp.k.sources {
			if s.outer != nil && s.k.canon(s.snap.Host.InitNS) == sp.id {
				name = cmp.Or(name, s.snap.Host.Name)
			}
		}
		sp.role, sp.home, sp.name = RoleNode, true, cmp.Or(name, "node-"+sp.id.Short())
		shared[nodes[sp][0].place+"/"+sp.name]++
	}
	for _, sp := range homes {
		host := nodes[sp][0].place
		if shared[host+"/"+sp.name] > 1 { // none of them may have the name alone
			sp.name += "~" + sp.id.Short()
		}
		sp.place = host + "/" + sp.name
		for _, e := range nodes[sp] {
			e.place = sp.place
		}
	}
}

// holders unites what the snapshots saw of each namespace's holders. A process has another pid inside a node: what an
// inner snapshot saw of processes is left out where the outer one read the namespace too.
func (b *builder) holders() {
	for _, sp := range b.allSpaces() {
		views := b.views[sp]
		if len(views) == 1 && slices.IsSortedFunc(views[0].ns.Holders, compareHolders) {
			continue
		}
		outer := map[*source]bool{}
		for _, v := range views {
			outer[v.src] = true
		}
		seen := map[holderKey]bool{}
		var all []snapshot.Holder
		for i := len(views) - 1; i >= 0; i-- { // newest first
			v := views[i]
			inner := v.src.outer != nil && outer[v.src.outer]
			for _, h := range v.ns.Holders {
				key := keyOfHolder(h)
				if seen[key] || (inner && h.Kind != snapshot.HolderMount) || (h.Kind == snapshot.HolderLink && !sp.id.Hidden()) {
					continue
				}
				seen[key] = true
				all = append(all, h)
			}
		}
		slices.SortStableFunc(all, compareHolders)
		ns := *sp.ns
		ns.Holders = all
		if ns.Holders == nil {
			ns.Holders = []snapshot.Holder{}
		}
		sp.ns = &ns
	}
}

type holderKey struct {
	kind         string
	pid, tid, fd int
	path         string
	mntNS        uint64
	via          snapshot.NSID
}

func keyOfHolder(h snapshot.Holder) holderKey {
	k := holderKey{kind: h.Kind, pid: h.PID, tid: h.TID, fd: h.FD, path: h.Path, mntNS: h.MountNS, via: h.Via}
	if h.Kind == snapshot.HolderMount && h.MountNS != 0 {
		k.pid = 0 // any process of that mount namespace may stand for it
	}
	return k
}

var holderOrder = map[string]int{snapshot.HolderProc: 1, snapshot.HolderThread: 2, snapshot.HolderMount: 3,
	snapshot.HolderFD: 4, snapshot.HolderSocket: 5, snapshot.HolderLink: 6}

func compareHolders(x, y snapshot.Holder) int {
	return cmp.Or(cmp.Compare(holderOrder[x.Kind], holderOrder[y.Kind]), cmp.Compare(x.PID, y.PID), cmp.Compare(x.TID, y.TID),
		cmp.Compare(x.FD, y.FD), strings.Compare(x.Path, y.Path), cmp.Compare(x.MountNS, y.MountNS), strings.Compare(string(x.Via), string(y.Via)),
		strings.Compare(x.Comm, y.Comm), strings.Compare(x.Root, y.Root))
}
