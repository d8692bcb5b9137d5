package topo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// NotFoundError says that nothing is called so, and what is called nearly so.
type NotFoundError struct {
	Target string
	Near   []string
}

func (e *NotFoundError) Error() string {
	s := fmt.Sprintf("nothing is known as %q", e.Target)
	if len(e.Near) > 0 {
		s += " (did you mean " + strings.Join(e.Near, ", ") + "?)"
	}
	return s
}

// AmbiguousError says that several things are called so.
type AmbiguousError struct {
	Target string
	// Candidates are all of them, sorted by id; Forms are targets that mean each alone.
	Candidates []*Node
	Forms      []string
}

func (e *AmbiguousError) Error() string {
	const most = 10
	forms, more := e.Forms, ""
	if len(forms) > most {
		forms, more = forms[:most], fmt.Sprintf(" and %d more", len(forms)-most)
	}
	return fmt.Sprintf("%q may be any of %s%s", e.Target, strings.Join(forms, ", "), more)
}

// Resolve finds what a TARGET of the command line means: a name, a unique start of one, or an explicit form
// ("container:web", "netns:4026532184", "pid:1234", "net:backend", "service:web", "if:veth1a2b", "path:/run/netns/x",
// "host", "self"), with a host or node in front where there are several ("web1/nginx", "node2/net:bridge",
// "web/eth0" for an interface of a container). A node id is a target too. An exact name beats a start, an explicit form
// beats both. The error is a [*NotFoundError] or an [*AmbiguousError].
func (g *Graph) Resolve(target string) (*Node, error) {
	if n, ok := g.Node(target); ok {
		return n, nil
	}
	found := g.lookup(target, nil)
	if len(found) == 0 {
		found = g.lookupQualified(target)
	}
	switch len(found) {
	case 0:
		return nil, &NotFoundError{Target: target, Near: g.near(target)}
	case 1:
		return found[0], nil
	}
	e := &AmbiguousError{Target: target, Candidates: slices.Clone(found)}
	slices.SortFunc(e.Candidates, func(x, y *Node) int { return strings.Compare(x.ID, y.ID) })
	for _, n := range e.Candidates {
		e.Forms = append(e.Forms, g.TargetOf(n))
	}
	return nil, e
}

// lookupQualified reads "<host>/<target>", "<kind>:<host>/<name>" and "<container>/<interface>".
func (g *Graph) lookupQualified(target string) []*Node {
	kind := ""
	if k, rest, ok := cutExplicit(target); ok && k != "path" {
		kind, target = k+":", rest
	}
	for i := range len(target) {
		if target[i] != '/' {
			continue
		}
		left, right := target[:i], target[i+1:]
		at := func(n *Node) bool {
			return n.Host == left || strings.HasSuffix(n.Host, "/"+left) || strings.HasPrefix(n.Host, left+"/")
		}
		if left == "" || right == "" || !g.names().places[left] {
			continue
		}
		if found := g.lookup(kind+right, at); len(found) > 0 {
			// What is the host's own comes before what its nodes have: "vm/bridge" is not vm/node1's.
			if own := filter(found, func(n *Node) bool { return n.Host == left || strings.HasSuffix(n.Host, "/"+left) }); len(own) > 0 {
				return own
			}
			return found
		}
	}
	if kind == "" {
		return g.lookupLink(target, nil)
	}
	return nil
}

// ResolveAll is Resolve, but a network or a service stands for the containers on or in it that run.
func (g *Graph) ResolveAll(target string) ([]*Node, error) {
	n, err := g.Resolve(target)
	if err != nil {
		return nil, err
	}
	switch n.Kind {
	case KindNetwork, KindService:
		return g.Members(n), nil
	}
	return []*Node{n}, nil
}

// Members are the running containers on a network or in a service, sorted by name.
func (g *Graph) Members(n *Node) []*Node {
	var out []*Node
	add := func(id string) {
		if c, ok := g.Node(id); ok && !slices.Contains(out, c) && len(g.Out(c.ID, EdgeRunsIn)) > 0 {
			out = append(out, c)
		}
	}
	switch n.Kind {
	case KindService:
		for _, e := range g.Out(n.ID, EdgeBackend) {
			if e.Attrs.Note != notATask {
				add(e.To)
			}
		}
	case KindNetwork:
		for _, id := range g.index().members()[n.ID] {
			add(id)
		}
	}
	slices.SortFunc(out, func(x, y *Node) int { return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.ID, y.ID)) })
	return out
}

// members are the containers of each network, by node ids.
func (ix *index) members() map[string][]string {
	ix.netOnce.Do(func() {
		ix.byNet = map[string][]string{}
		for id, r := range ix.raw {
			if r.work == nil {
				continue
			}
			for _, n := range r.work.nets {
				if n != nil && !slices.Contains(ix.byNet[n.node], id) {
					ix.byNet[n.node] = append(ix.byNet[n.node], id)
				}
			}
		}
	})
	return ix.byNet
}

// TargetOf is the shortest form that means this node and no other.
func (g *Graph) TargetOf(n *Node) string {
	for _, f := range g.forms(n) {
		if m := g.lookupForm(f); len(m) == 1 && m[0] == n {
			return f
		}
	}
	return n.ID
}

// lookupForm is lookup without prefixes, which an exact name beats.
func (g *Graph) lookupForm(f string) []*Node {
	if _, _, ok := cutExplicit(f); ok || f == "host" || f == "self" {
		return g.lookup(f, nil)
	}
	if found := g.lookupExact(f, nil); len(found) > 0 {
		return found
	}
	return g.lookupQualified(f)
}

// forms are the ways to name a node, the shortest first.
func (g *Graph) forms(n *Node) []string {
	kind, name := "", n.Name
	switch n.Kind {
	case KindContainer:
		kind = "container:"
	case KindNetwork:
		kind = "net:"
	case KindService:
		kind = "service:"
	case KindVTEP:
		return []string{"vtep:" + n.Attrs.Address}
	case KindNetns:
		kind = "netns:"
		if n.Attrs.Role == RoleHost {
			return []string{"host", n.Host, n.Host + "/host", "netns:" + shortOf(n)}
		}
		if n.Attrs.Role == RoleContainer && len(g.In(n.ID, EdgeRunsIn)) > 0 {
			return []string{"netns:" + shortOf(n), n.Host + "/netns:" + shortOf(n)} // the bare name is its container's
		}
		if name == shortOf(n) {
			return []string{"netns:" + name, n.Host + "/netns:" + name}
		}
	case KindLink:
		out := []string{name, n.Host + "/" + name}
		if ns, ok := g.Node(n.Attrs.Netns); ok {
			owner := ns
			if c := g.holderOf(ns); c != nil {
				owner = c
			}
			out = append(out, "if:"+g.TargetOf(owner)+"/"+name)
			out = append(out, "if:netns:"+shortOf(ns)+"/"+name)
		}
		return out
	}
	last := n.Host[strings.LastIndexByte(n.Host, '/')+1:]
	var out []string
	if a, ok := g.taskName(n); ok && n.Kind == KindContainer {
		out = append(out, a)
	}
	out = append(out, name, kind+name)
	if n.Host != "" {
		out = append(out, last+"/"+kind+name, n.Host+"/"+kind+name)
	}
	if n.Kind == KindNetns {
		out = append(out, "netns:"+shortOf(n), n.Host+"/netns:"+shortOf(n))
	}
	return out
}

// Targets are all names that mean one thing, for completion: bare where that is enough, else in an explicit form.
func (g *Graph) Targets() []string {
	var out []string
	for i := range g.Nodes {
		n := &g.Nodes[i]
		switch n.Kind {
		case KindVTEP:
			continue
		case KindLink:
			if len(g.names().links[n.Name]) > 1 || len(g.lookupExact(n.Name, nil)) > 1 {
				continue // every container has an eth0
			}
		case KindNetns:
			if n.Attrs.Role == RoleContainer && len(g.In(n.ID, EdgeRunsIn)) > 0 {
				continue // the container is the better name
			}
			for _, a := range g.netnsNames(n) {
				if m := g.lookupExact(a, nil); len(m) == 1 && m[0] == n {
					out = append(out, a)
				}
			}
		case KindContainer:
			for _, a := range g.aliases(n) {
				if m := g.lookupExact(a, nil); len(m) == 1 && m[0] == n {
					out = append(out, a)
				}
			}
		}
		out = append(out, g.TargetOf(n))
	}
	if len(g.selves()) == 1 {
		out = append(out, "self")
	}
	return sortedSet(out)
}

// near are up to three names that are almost the target.
func (g *Graph) near(target string) []string {
	_, bare, ok := strings.Cut(target, ":")
	if !ok || bare == "" {
		bare = target
	}
	type scored struct {
		text string
		d    int
	}
	var all []scored
	seen := map[string]bool{}
	try := func(text string) {
		if seen[text] {
			return
		}
		seen[text] = true
		d := distance(strings.ToLower(bare), strings.ToLower(text))
		if len(bare) >= 3 && strings.Contains(strings.ToLower(text), strings.ToLower(bare)) {
			d = 1
		}
		if d <= max(1, len(bare)/3) && d <= 3 {
			all = append(all, scored{text, d})
		}
	}
	for _, e := range g.names().all {
		if !e.id {
			try(e.text)
		}
	}
	for name := range g.names().links {
		try(name)
	}
	slices.SortFunc(all, func(x, y scored) int { return cmp.Or(cmp.Compare(x.d, y.d), strings.Compare(x.text, y.text)) })
	var out []string
	for _, s := range all[:min(len(all), 3)] {
		out = append(out, s.text)
	}
	return out
}

// distance is the number of letters to insert, delete, replace or swap with the next to make one word another.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			c := 1
			if a[i-1] == b[j-1] {
				c = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+c)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}

// Explicit is a target that names a node by its id: longer than [Graph.TargetOf]'s, but it needs no graph to make.
func Explicit(n *Node) string {
	at := ""
	if n.Host != "" {
		at = n.Host + "/"
	}
	switch n.Kind {
	case KindContainer:
		return "container:" + shortID(n.Attrs.ContainerID)
	case KindNetwork:
		return at + "net:" + shortID(n.Attrs.NetworkID)
	case KindService:
		return at + "service:" + n.Attrs.ServiceID
	case KindVTEP:
		return n.ID
	case KindNetns:
		return at + "netns:" + shortOf(n)
	case KindLink:
		return at + "if:netns:" + n.Attrs.Netns[strings.LastIndexByte(n.Attrs.Netns, ':')+1:] + "/" + n.Name
	}
	return n.ID
}
