package topo

import (
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// names finds nodes by what people call them.
type names struct {
	// exact are names as they stand: of containers, networks, services, nodes, and of namespaces that no container
	// stands for. alias are the shorter forms: a task without its id, a container without its pod, a pod.
	exact, alias map[string][]*Node
	links        map[string][]*Node
	inodes       map[string][]*Node
	places       map[string]bool // hosts and nodes by which a target may be qualified
	// all are exact, alias and ids with the node of each, for prefixes.
	all []named
}

type named struct {
	text string
	n    *Node
	id   bool // an id: three characters at least are wanted
}

func (g *Graph) names() *names {
	ix := g.index()
	ix.nameOnce.Do(func() { ix.names = g.makeNames() })
	return ix.names
}

func (g *Graph) makeNames() *names {
	x := &names{exact: map[string][]*Node{}, alias: map[string][]*Node{}, links: map[string][]*Node{}, inodes: map[string][]*Node{}, places: map[string]bool{}}
	add := func(m map[string][]*Node, text string, n *Node) {
		if text != "" && !slices.Contains(m[text], n) {
			m[text] = append(m[text], n)
			x.all = append(x.all, named{text: text, n: n})
		}
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if !x.places[n.Host] {
			host, node, _ := strings.Cut(n.Host, "/")
			x.places[n.Host], x.places[host], x.places[node] = true, true, true
		}
		switch n.Kind {
		case KindLink:
			x.links[n.Name] = append(x.links[n.Name], n)
			continue
		case KindNetns:
			x.inodes[shortOf(n)] = append(x.inodes[shortOf(n)], n)
			switch {
			case n.Attrs.Role == RoleHost:
				if n.Host != "" {
					add(x.exact, n.Host, n)
				}
			case n.Attrs.Role == RoleNode:
				add(x.exact, n.Name, n)
				add(x.alias, n.Host, n)
			case len(g.In(n.ID, EdgeRunsIn)) == 0 && n.Name != shortOf(n):
				add(x.exact, n.Name, n)
			}
			for _, a := range g.netnsNames(n) {
				add(x.alias, a, n)
			}
		case KindContainer:
			add(x.exact, n.Name, n)
			for _, a := range g.aliases(n) {
				if a != n.Name {
					add(x.alias, a, n)
				}
			}
			x.all = append(x.all, named{text: n.Attrs.ContainerID, n: n, id: true})
		case KindNetwork:
			add(x.exact, n.Name, n)
			x.all = append(x.all, named{text: n.Attrs.NetworkID, n: n, id: true})
		case KindService:
			add(x.exact, n.Name, n)
			x.all = append(x.all, named{text: n.Attrs.ServiceID, n: n, id: true})
		}
	}
	return x
}

// shortOf is the part of a netns node's id that names it within its kernel: the inode, or "via-<inode>-<nsid>".
func shortOf(n *Node) string { return n.ID[strings.LastIndexByte(n.ID, ':')+1:] }

// netnsNames are the names that `ip netns` has for a namespace that no container stands for, beside its own: those in /run/netns.
func (g *Graph) netnsNames(n *Node) (out []string) {
	if n.Attrs.Role == RoleHost || len(g.In(n.ID, EdgeRunsIn)) > 0 && n.Attrs.Role != RoleNode {
		return nil
	}
	for _, p := range n.Attrs.Paths {
		if base, ok := strings.CutPrefix(cleanRun(p), "/run/netns/"); ok && base != n.Name && !podFile(base) {
			out = append(out, base)
		}
	}
	return out
}

// aliases are shorter names of a container, and an id that is no random number but a name that a user gave.
func (g *Graph) aliases(n *Node) (out []string) {
	if a, ok := g.taskName(n); ok {
		out = append(out, a)
	}
	if parts := strings.Split(n.Name, "/"); len(parts) == 3 { // <namespace>/<pod>/<container>
		out = append(out, parts[1]+"/"+parts[2])
	}
	if raw := g.Workload(n); raw != nil && raw.Pod != nil && raw.Pod.Sandbox {
		out = append(out, n.Attrs.Pod, raw.Pod.Name)
	}
	if n.Attrs.Engine == kindLab {
		out = append(out, n.Attrs.ContainerID)
	}
	return out
}

// taskName is "web.2" for the container of a swarm task.
func (g *Graph) taskName(n *Node) (string, bool) {
	return taskAlias(&snapshot.Workload{Name: n.Name, Task: n.Attrs.Task, Service: n.Attrs.Service})
}

// lookup finds what a target without a host in front may mean, within a scope. The first rule that finds something
// decides: explicit form, exact name, alias, interface, inode, start of a name or id, start of an interface's name.
func (g *Graph) lookup(target string, scope func(*Node) bool) []*Node {
	if kind, val, ok := cutExplicit(target); ok {
		return g.lookupExplicit(kind, val, scope)
	}
	switch target {
	case "host":
		return g.where(scope, func(n *Node) bool { return n.Attrs.Role == RoleHost })
	case "self":
		return filter(g.selves(), scope)
	}
	if found := g.lookupExact(target, scope); len(found) > 0 {
		return found
	}
	x := g.names()
	if found := prefixed(x.all, target, scope, ""); len(found) > 0 {
		return found
	}
	return g.linkPrefix(target, scope)
}

// lookupExact is the part of lookup that needs no search.
func (g *Graph) lookupExact(target string, scope func(*Node) bool) []*Node {
	x := g.names()
	for _, m := range []map[string][]*Node{x.exact, x.alias, x.links, x.inodes} {
		if found := filter(m[target], scope); len(found) > 0 {
			return found
		}
	}
	return nil
}

func prefixed(all []named, target string, scope func(*Node) bool, kind Kind) (found []*Node) {
	for _, e := range all {
		if (kind == "" || e.n.Kind == kind) && (!e.id || len(target) >= 3) && target != "" && strings.HasPrefix(e.text, target) && inScope(scope, e.n) && !slices.Contains(found, e.n) {
			found = append(found, e.n)
		}
	}
	return found
}

func (g *Graph) linkPrefix(target string, scope func(*Node) bool) []*Node {
	return g.where(scope, func(n *Node) bool {
		return n.Kind == KindLink && target != "" && strings.HasPrefix(n.Name, target)
	})
}

// explicitKinds are the words that may stand before the colon of an explicit form.
var explicitKinds = []string{"container", "if", "link", "net", "netns", "network", "path", "pid", "service", "vtep"}

// cutExplicit takes an explicit form apart.
func cutExplicit(target string) (kind, val string, ok bool) {
	kind, val, ok = strings.Cut(target, ":")
	if !ok || !slices.Contains(explicitKinds, kind) {
		return "", target, false
	}
	return kind, val, true
}

// lookupExplicit finds what "kind:val" may mean.
func (g *Graph) lookupExplicit(kind, val string, scope func(*Node) bool) []*Node {
	switch kind {
	case "container":
		return g.lookupNamed(KindContainer, val, scope)
	case "net", "network":
		return g.lookupNamed(KindNetwork, val, scope)
	case "service":
		return g.lookupNamed(KindService, val, scope)
	case "netns":
		return g.lookupNetns(val, scope)
	case "pid":
		return g.lookupPID(val, scope)
	case "path":
		return g.lookupPath(val, scope)
	case "if", "link":
		return g.lookupLink(val, scope)
	case "vtep":
		return g.where(scope, func(n *Node) bool {
			return n.Kind == KindVTEP && (n.Attrs.Address == val || n.Attrs.Node == val && val != "")
		})
	}
	return nil
}

// lookupNamed finds things of one kind by name, alias, or the start of a name or id.
func (g *Graph) lookupNamed(kind Kind, val string, scope func(*Node) bool) []*Node {
	x := g.names()
	is := func(n *Node) bool { return n.Kind == kind && inScope(scope, n) }
	for _, m := range []map[string][]*Node{x.exact, x.alias} {
		if found := filter(m[val], is); len(found) > 0 {
			return found
		}
	}
	return prefixed(x.all, val, scope, kind)
}

func (g *Graph) lookupNetns(val string, scope func(*Node) bool) []*Node {
	if found := filter(g.names().inodes[val], scope); len(found) > 0 {
		return found
	}
	isNetns := func(n *Node) bool { return n.Kind == KindNetns }
	if found := g.where(scope, func(n *Node) bool { return isNetns(n) && (n.Name == val || n.Host == val && n.Attrs.Role == RoleHost) }); len(found) > 0 {
		return found
	}
	if found := g.where(scope, func(n *Node) bool {
		return isNetns(n) && val != "" && (strings.HasPrefix(n.Name, val) || strings.HasPrefix(shortOf(n), val))
	}); len(found) > 0 {
		return found
	}
	return nil
}

// lookupPID finds the container whose first process it is, else the namespace that the process is in.
func (g *Graph) lookupPID(val string, scope func(*Node) bool) []*Node {
	pid, err := strconv.Atoi(val)
	if err != nil || pid <= 0 {
		return nil
	}
	if found := g.where(scope, func(n *Node) bool { return n.Kind == KindContainer && n.Attrs.PID == pid }); len(found) > 0 {
		return found
	}
	return g.where(scope, func(n *Node) bool { return n.Kind == KindNetns && g.holds(n, pid) })
}

// holds reports whether a process (not only a thread of it) is in a namespace.
func (g *Graph) holds(n *Node, pid int) bool {
	ns := g.Namespace(n)
	if ns == nil {
		return slices.Contains(n.Attrs.PIDs, pid)
	}
	return slices.ContainsFunc(ns.Holders, func(h snapshot.Holder) bool { return h.Kind == snapshot.HolderProc && h.PID == pid })
}

// lookupPath finds the namespace of a mount point; "/proc/1234/ns/net" is that of the process.
func (g *Graph) lookupPath(val string, scope func(*Node) bool) []*Node {
	if rest, ok := strings.CutPrefix(val, "/proc/"); ok {
		if pid, ok := strings.CutSuffix(rest, "/ns/net"); ok {
			p, err := strconv.Atoi(pid)
			if err != nil {
				return nil
			}
			return g.where(scope, func(n *Node) bool { return n.Kind == KindNetns && g.holds(n, p) })
		}
	}
	return g.where(scope, func(n *Node) bool {
		return n.Kind == KindNetns && slices.ContainsFunc(n.Attrs.Paths, func(p string) bool { return sameRun(p, val) })
	})
}

// lookupLink finds interfaces by name, "web/eth0" being the one of a container or namespace.
func (g *Graph) lookupLink(val string, scope func(*Node) bool) []*Node {
	if found := filter(g.names().links[val], scope); len(found) > 0 {
		return found
	}
	if i := strings.LastIndexByte(val, '/'); i > 0 {
		if owner := g.lookup(val[:i], scope); len(owner) == 1 {
			if ns, ok := g.Netns(owner[0]); ok {
				return filter(g.names().links[val[i+1:]], func(n *Node) bool { return n.Attrs.Netns == ns.ID })
			}
		}
		return nil
	}
	return g.linkPrefix(val, scope)
}

// selves are the namespaces in which nscope ran when the snapshots were taken.
func (g *Graph) selves() (out []*Node) {
	for _, s := range g.index().sources {
		if sp := s.k.space(s.snap.Host.SelfNS); sp != nil {
			if n, ok := g.Node(sp.node); ok && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

func (g *Graph) where(scope, want func(*Node) bool) (out []*Node) {
	for i := range g.Nodes {
		if n := &g.Nodes[i]; want(n) && inScope(scope, n) {
			out = append(out, n)
		}
	}
	return out
}

func filter(ns []*Node, want func(*Node) bool) (out []*Node) {
	for _, n := range ns {
		if inScope(want, n) {
			out = append(out, n)
		}
	}
	return out
}

func inScope(scope func(*Node) bool, n *Node) bool { return scope == nil || scope(n) }
