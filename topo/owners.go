package topo

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

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
			// Where an engine has a file for it, names that others gave it say nothing.
			files := slices.ContainsFunc(sp.ns.Holders, func(h snapshot.Holder) bool {
				return h.Kind == snapshot.HolderMount && b.dockerFile(h.Path) && mounts[mountOf(sp.k, h)] != ""
			})
			for _, h := range sp.ns.Holders {
				if h.Kind != snapshot.HolderMount || files && !b.dockerFile(h.Path) {
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
