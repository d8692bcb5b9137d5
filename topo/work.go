package topo

import (
	"cmp"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// work is one container or pod sandbox, merged from every engine and snapshot that knows it.
type work struct {
	w    *snapshot.Workload
	eng  *engine
	src  *source
	all  []workView // the best first
	node string
	ns   *space
	// claimed is set where the namespace is only what the engine's configuration implies.
	claimed bool
	mode    string
	nets    []*netw // parallel to w.Endpoints, nil where unknown
	place   string
}

type workView struct {
	src *source
	eng *engine
	w   *snapshot.Workload
}

func (w *work) kind() string {
	if w.eng != nil {
		return w.eng.e.Kind
	}
	kind, _, _ := strings.Cut(w.w.Engine, "@")
	kind, _, _ = strings.Cut(kind, "#")
	return kind
}

// full reports whether an id is unique in the world: 32 hex digits and more are drawn at random.
func fullID(id string) bool {
	return len(id) >= 32 && strings.Trim(id, "0123456789abcdef") == ""
}

// One container is known to several engines: Docker's to the containerd below it, and each to its cgroup. The first of
// these names it.
var engineRank = map[string]int{"docker": 1, "podman": 2, "crio": 3, "containerd": 4, "nscope": 5, "cgroup": 6}
var sourceRank = map[string]int{"api": 1, "state": 2, "cgroup": 4}

func rank(m map[string]int, k string) int { return cmp.Or(m[k], 5) }

// live reports whether a workload has processes.
func live(w *snapshot.Workload) bool { return liveState(w.State) }

func liveState(state string) bool {
	switch state {
	case "exited", "created", "dead", "stopped", "removing", "configured":
		return false
	}
	return true
}

// collectWork merges workloads, and puts them into their namespaces.
func (b *builder) collectWork() {
	type key struct {
		k    *kernel
		id   string
		kind string
		home *space
	}
	groups := map[key]*work{}
	var order []*work
	for _, s := range b.sources {
		byID := map[string]*engine{}
		for _, e := range s.engines {
			if byID[e.e.ID] == nil {
				byID[e.e.ID] = e
			}
		}
		for i := range s.snap.Workloads {
			v := workView{src: s, w: &s.snap.Workloads[i]}
			v.eng = byID[v.w.Engine]
			if v.w.ID == "" {
				continue
			}
			k := key{k: s.k, id: v.w.ID}
			if !fullID(v.w.ID) {
				k.kind = v.w.Engine
				if v.eng != nil {
					k.kind, k.home = v.eng.e.Kind, v.eng.home
				}
			}
			g := groups[k]
			if g == nil {
				g = &work{}
				groups[k] = g
				order = append(order, g)
			}
			g.all = append(g.all, v)
		}
	}
	for _, g := range order {
		slices.SortStableFunc(g.all, compareViews)
		best := *g.all[0].w
		for _, v := range g.all[1:] { // what the best lacks
			best.Namespace = cmp.Or(best.Namespace, v.w.Namespace)
			best.SandboxKey = cmp.Or(best.SandboxKey, v.w.SandboxKey)
			best.Image = cmp.Or(best.Image, v.w.Image)
			if best.Pod == nil {
				best.Pod = v.w.Pod
			}
			if len(best.Endpoints) == 0 {
				best.Endpoints = v.w.Endpoints
			}
			if len(best.Ports) == 0 {
				best.Ports = v.w.Ports
			}
		}
		best.PID = g.pid()
		g.w, g.eng, g.src = &best, g.all[0].eng, g.all[0].src
		g.place = g.src.place
		if g.eng != nil {
			g.place = g.eng.place
		}
	}
	slices.SortStableFunc(order, func(x, y *work) int {
		return cmp.Or(strings.Compare(x.src.k.id, y.src.k.id), strings.Compare(x.w.ID, y.w.ID), strings.Compare(x.w.Engine, y.w.Engine), strings.Compare(x.place, y.place))
	})
	b.work = order
	b.nameWorkNodes()
	b.collectDockerDirs()
	b.placeWork()
}

func compareViews(x, y workView) int {
	engineOf := func(v workView) string {
		if v.eng != nil {
			return v.eng.e.Kind
		}
		return v.w.Engine
	}
	level := func(v workView) int { // a node's own snapshot knows its containers best, but not what they are outside
		if v.src.outer != nil {
			return 1
		}
		return 0
	}
	if c := cmp.Or(cmp.Compare(rank(engineRank, engineOf(x)), rank(engineRank, engineOf(y))),
		cmp.Compare(rank(sourceRank, x.w.Source), rank(sourceRank, y.w.Source)),
		cmp.Compare(level(x), level(y)), y.src.snap.Taken.Compare(x.src.snap.Taken),
		strings.Compare(x.w.Engine, y.w.Engine), strings.Compare(x.w.Name, y.w.Name), strings.Compare(string(x.w.Namespace), string(y.w.Namespace))); c != 0 {
		return c
	}
	return strings.Compare(asJSON(x.w), asJSON(y.w))
}

// pid is the container's process as the machine sees it; a node's own snapshot has another number for it.
func (w *work) pid() int {
	for _, inner := range []bool{false, true} {
		for _, v := range w.all {
			if v.w.PID > 0 && (v.src.outer != nil) == inner {
				return v.w.PID
			}
		}
	}
	return 0
}

// nameWorkNodes gives each container its id. A container that exists on two kernels (a cloned machine), or a short id
// given by hand in two places, is qualified.
func (b *builder) nameWorkNodes() {
	byID := map[string][]*work{}
	for _, w := range b.work {
		w.node = "container:" + w.kind() + ":" + w.w.ID
		byID[w.node] = append(byID[w.node], w)
	}
	for id, ws := range byID {
		if len(ws) < 2 {
			continue
		}
		seen := map[string]int{}
		for _, w := range ws {
			home := uint64(0)
			if w.eng != nil {
				home = w.eng.homeInode()
			}
			w.node = fmt.Sprintf("container:%s:%s-%d-%s", w.kind(), w.src.k.id, home, strings.TrimPrefix(id, "container:"+w.kind()+":"))
			if seen[w.node]++; seen[w.node] > 1 {
				w.node += fmt.Sprintf("~%d", seen[w.node])
			}
		}
	}
}

// placeWork finds each workload's namespace: that of its process, else that of its sandbox file, else the one that
// its configuration names.
func (b *builder) placeWork() {
	type file struct {
		src  *source
		path string
	}
	files := map[file][]*space{}
	for _, sp := range b.allSpaces() {
		for _, v := range b.views[sp] {
			for _, h := range v.ns.Holders {
				if h.Kind == snapshot.HolderMount {
					f := file{v.src, h.Root + "\x00" + cleanRun(h.Path)}
					if !slices.Contains(files[f], sp) {
						files[f] = append(files[f], sp)
					}
				}
			}
		}
	}
	byID := map[string][]*work{}
	for _, w := range b.work {
		byID[w.w.ID] = append(byID[w.w.ID], w)
		for _, v := range w.all {
			if w.ns == nil {
				w.ns = v.src.k.space(v.w.Namespace)
			}
		}
		for _, v := range w.all {
			if w.ns != nil || !live(v.w) || v.w.SandboxKey == "" || v.eng == nil {
				continue
			}
			if sps := files[file{v.src, v.eng.e.Root + "\x00" + cleanRun(v.w.SandboxKey)}]; len(sps) == 1 {
				w.ns = sps[0]
			}
		}
	}
	for _, w := range b.work {
		if w.ns != nil || !live(w.w) {
			continue
		}
		target, joined := strings.CutPrefix(w.w.Mode, "container:")
		switch {
		case w.w.Mode == "host" && w.eng != nil && w.eng.home != nil:
			w.ns, w.claimed = w.eng.home, true
		case joined:
			for _, o := range byID[target] {
				if o.src.k == w.src.k && o.ns != nil && !o.claimed {
					w.ns, w.claimed = o.ns, true
				}
			}
		}
	}
	for _, w := range b.work {
		if w.ns != nil {
			w.ns.work = append(w.ns.work, w)
		}
	}
}

// ownerOf is the workload after which a namespace is called: not one that joined another's.
func ownerOf(sp *space) *work {
	return slices.MinFunc(sp.work, func(x, y *work) int {
		weight := func(w *work) int {
			switch {
			case w.w.Pod != nil && w.w.Pod.Sandbox:
				return 0
			case strings.HasPrefix(w.w.Mode, "container:"), w.w.Pod != nil:
				return 3
			case w.kind() == "cgroup":
				return 2
			}
			return 1
		}
		return cmp.Or(cmp.Compare(weight(x), weight(y)), strings.Compare(x.w.Name, y.w.Name), strings.Compare(x.node, y.node))
	})
}

// short is the name as people call it: a task without its id.
func (w *work) short() string {
	name := cmp.Or(w.w.Name, shortID(w.w.ID))
	if s, ok := taskAlias(w.w); ok {
		return s
	}
	return name
}

// taskAlias is "web.2" for the swarm task "web.2.nmc2i3ibcbw78ei8xuu4mk6mx".
func taskAlias(w *snapshot.Workload) (string, bool) {
	i := strings.LastIndexByte(w.Name, '.')
	if i <= 0 || w.Task == "" && w.Service == "" {
		return "", false
	}
	if id := w.Name[i+1:]; id == w.Task || len(id) == 25 {
		return w.Name[:i], true
	}
	return "", false
}

func shortID(id string) string {
	if fullID(id) {
		return id[:12]
	}
	return id
}

// addWork makes the container nodes.
func (b *builder) addWork() {
	for _, w := range b.work {
		b.setMode(w)
		a := NodeAttrs{
			Engine: w.kind(), EngineID: w.w.Engine, ContainerID: w.w.ID, Image: w.w.Image, PID: w.w.PID, Mode: w.mode, State: w.w.State,
			Source: w.w.Source, Sandbox: w.w.SandboxKey, Task: w.w.Task, Ports: portStrings(w.w.Ports), Addrs: w.addrs(),
		}
		for i, ep := range w.w.Endpoints {
			name := ep.NetworkName
			if i < len(w.nets) && w.nets[i] != nil {
				name = w.nets[i].name
			}
			a.Networks = append(a.Networks, cmp.Or(name, ep.Network))
		}
		a.Networks = sortedSet(a.Networks)
		if p := w.w.Pod; p != nil {
			a.Pod = path.Join(p.Namespace, p.Name)
		}
		if w.w.Service != "" {
			a.Service = b.serviceName(w)
		}
		b.node(Node{ID: w.node, Kind: KindContainer, Name: cmp.Or(w.w.Name, shortID(w.w.ID)), Host: w.place, Attrs: a}, raw{src: w.src, work: w})
		if w.ns != nil {
			src := ""
			if w.claimed {
				src = SourceEngine
			}
			b.edge(EdgeRunsIn, w.node, w.ns.node, EdgeAttrs{Source: src})
		}
	}
}

// addrs are a container's addresses: those that its namespace has, where it has one of its own that was read, else
// those that its engine gave it.
func (w *work) addrs() []string {
	var given []string
	for _, ep := range w.w.Endpoints {
		for _, p := range []netip.Prefix{ep.Addr, ep.Addr6} {
			if p.IsValid() {
				given = append(given, p.Addr().String())
			}
		}
	}
	if w.mode == "host" {
		return nil
	}
	if w.ns == nil || len(w.ns.links) == 0 || w.ns.role == RoleHost || w.ns.role == RoleNode && len(given) > 0 {
		return sortAddrs(given)
	}
	return w.ns.ownAddrs()
}

// ownAddrs are the addresses by which others reach what runs in a namespace: not loopback, link-local, nor those of
// bridges inside.
func (sp *space) ownAddrs() []string {
	var out []string
	for _, l := range sp.links {
		if l.l.Type == "loopback" || l.l.Kind == "bridge" && sp.role == RoleNode {
			continue
		}
		for _, a := range l.l.Addrs {
			if ad := a.Prefix.Addr(); ad.IsValid() && !ad.IsLoopback() && !ad.IsLinkLocalUnicast() {
				out = append(out, ad.String())
			}
		}
	}
	return sortAddrs(out)
}
