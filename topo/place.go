package topo

import (
	"cmp"
	"slices"
	"strconv"
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
	taken := map[string]bool{}
	for _, sp := range homes {
		es := nodes[sp]
		name := ""
		for _, e := range es {
			_, at, _ := strings.Cut(e.e.ID, "@")
			name = cmp.Or(name, e.e.Name, at)
		}
		for _, s := range sp.k.sources {
			if s.outer != nil && s.k.canon(s.snap.Host.InitNS) == sp.id {
				name = cmp.Or(name, s.snap.Host.Name)
			}
		}
		if name == "" {
			name = "node-" + sp.id.Short()
		}
		if place := es[0].place + "/" + name; taken[place] {
			name += "~" + sp.id.Short()
		}
		sp.role, sp.home, sp.name = RoleNode, true, name
		sp.place = es[0].place + "/" + name
		taken[sp.place] = true
		for _, e := range es {
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

// owners decides for every namespace which host or node it is of: whose engine has a workload in it, whose mount
// namespace holds it, whose daemon has sockets in it; else the host that showed it.
func (b *builder) owners() {
	mounts := b.mountOwners()
	daemons := map[*kernel]map[int]*engine{}
	for _, s := range b.sources {
		if s.outer != nil {
			continue // its pids are another pid namespace's
		}
		m := daemons[s.k]
		if m == nil {
			m = map[int]*engine{}
			daemons[s.k] = m
		}
		for _, e := range s.engines {
			if e.e.PID > 0 && m[e.e.PID] == nil {
				m[e.e.PID] = e
			}
		}
	}
	for _, sp := range b.allSpaces() {
		if sp.place != "" {
			continue
		}
		places := map[string]bool{}
		for _, w := range sp.work {
			if w.eng != nil && w.eng.e.Kind != "cgroup" {
				places[w.eng.place] = true
			}
		}
		if len(places) != 1 {
			clear(places)
			for _, h := range sp.ns.Holders {
				if h.Kind != snapshot.HolderMount {
					continue
				}
				p := mounts[mountOf(sp.k, h)]
				if own := h.Root == "" && sp.src.outer == nil; own && (p == "" || !b.dockerFile(h.Path)) {
					// A private engine may live in the host's mount namespace; only Docker's own files are its then.
					p = sp.src.place
				}
				if p != "" {
					places[p] = true
				}
			}
		}
		if len(places) == 0 {
			for _, so := range sp.ns.Sockets {
				if e := daemons[sp.k][so.PID]; e != nil && so.PID > 0 {
					places[e.place] = true
				}
			}
		}
		if len(places) == 0 { // seen from within exactly one node, and so of its pid or mount namespaces
			for _, s := range sp.seenBy {
				if s.outer != nil {
					places[s.place] = true
				}
			}
		}
		if len(places) == 1 {
			for p := range places {
				sp.place = p
			}
			continue
		}
		sp.place = rootOf(sp.src).place
	}
}

func rootOf(s *source) *source {
	if s.outer != nil {
		return s.outer
	}
	return s
}

// mount names a mount namespace: by inode, where unknown by the root through which it was reached.
type mount struct {
	k    *kernel
	ns   uint64
	root string
}

func mountOf(k *kernel, h snapshot.Holder) mount {
	if h.MountNS != 0 {
		return mount{k: k, ns: h.MountNS}
	}
	return mount{k: k, root: h.Root}
}

// mountOwners tells which host or node each mount namespace is of. What proves it: it has the sandbox file of a
// workload, it is the one through which an engine was reached, or the process that stands for it is in an engine's
// home. A mount namespace with several answers has none.
func (b *builder) mountOwners() map[mount]string {
	type claim map[string]bool
	strong, weak := map[mount]claim{}, map[mount]claim{}
	add := func(to map[mount]claim, m mount, place string) {
		if m.ns == 0 && m.root == "" || place == "" {
			return
		}
		if to[m] == nil {
			to[m] = claim{}
		}
		to[m][place] = true
	}
	for _, k := range b.kernels {
		pids := map[int]*space{}
		for _, sp := range k.order {
			for _, h := range sp.ns.Holders {
				if h.Kind == snapshot.HolderProc && sp.src.outer == nil {
					pids[h.PID] = sp
				}
			}
		}
		roots := map[string]string{}
		for _, s := range k.sources {
			if s.outer != nil {
				continue
			}
			for _, e := range s.engines {
				if e.e.Root != "" {
					roots[e.e.Root] = e.place
				}
				if e.e.PID > 0 {
					roots[procRoot(e.e.PID)] = e.place
				}
			}
		}
		for _, sp := range k.order {
			for _, h := range sp.ns.Holders {
				if h.Kind != snapshot.HolderMount {
					continue
				}
				m := mountOf(k, h)
				for _, w := range sp.work {
					if w.eng != nil && w.w.SandboxKey != "" && sameRun(w.w.SandboxKey, h.Path) {
						add(strong, m, w.eng.place)
					}
				}
				if sp.src.outer != nil {
					continue
				}
				if p := roots[h.Root]; p != "" && h.Root != "" {
					add(strong, m, p)
				} else if p := roots[procRoot(h.PID)]; p != "" {
					add(strong, m, p)
				}
				pid := h.PID
				if n, ok := pidOfRoot(h.Root); ok {
					pid = n
				}
				if home := pids[pid]; home != nil && (home.home || home.role == RoleHost) {
					add(weak, m, home.place)
				}
			}
		}
	}
	out := map[mount]string{}
	for _, claims := range []map[mount]claim{weak, strong} { // the stronger overwrites
		for m, c := range claims {
			delete(out, m)
			if len(c) == 1 {
				for p := range c {
					out[m] = p
				}
			}
		}
	}
	return out
}

func procRoot(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/root" }

// pidOfRoot is the process of "/proc/1234/root".
func pidOfRoot(root string) (int, bool) {
	rest, ok := strings.CutSuffix(root, "/root")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(rest[strings.LastIndexByte(rest, '/')+1:])
	return n, err == nil && n > 0
}

// sameRun compares two paths of which one may go through /var/run, which is a link to /run.
func sameRun(a, b string) bool { return cleanRun(a) == cleanRun(b) }

func cleanRun(p string) string {
	if strings.HasPrefix(p, "/var/run/") {
		return p[len("/var"):]
	}
	return p
}
