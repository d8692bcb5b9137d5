package topo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Labels that tell which stack a container belongs to.
var stackLabels = []string{"com.docker.stack.namespace", "com.docker.compose.project", "io.podman.compose.project"}

// GroupWords begin a group for [Graph.Group], beside "all".
var GroupWords = []string{"net:", "network:", "service:", "stack:"}

// IsGroup tells whether words mean several containers: "all", "net:x", "service:x", "stack:x".
func IsGroup(what string) bool {
	if what == "all" {
		return true
	}
	return slices.ContainsFunc(GroupWords, func(w string) bool { return strings.HasPrefix(what, w) })
}

// Group are the running containers that each of some words means: "all" of them, those on "net:x" or in "service:x", those
// of "stack:x" (a Swarm stack or a Compose project), or any one target. Each namespace is there once, by its first name;
// what runs in a host's or node's own is left out of groups. The error is a [*NotFoundError] or an [*AmbiguousError]; a
// group without a member is a NotFoundError too.
func (g *Graph) Group(what ...string) ([]*Node, error) {
	var out []*Node
	seen := map[string]bool{}
	add := func(n *Node) {
		if ns, ok := g.Netns(n); ok && g.Namespace(ns) != nil && !seen[ns.ID] {
			seen[ns.ID] = true
			out = append(out, n)
		}
	}
	for _, w := range what {
		if !IsGroup(w) {
			n, err := g.Resolve(w)
			if err != nil {
				return nil, err
			}
			if n.Kind == KindNetwork || n.Kind == KindService {
				// A bare name that means a network: its members, as with the word in front.
				before := len(out)
				for _, m := range g.Members(n) {
					add(m)
				}
				if len(out) == before && len(g.Members(n)) == 0 {
					return nil, &NoMemberError{w}
				}
				continue
			}
			add(n)
			continue
		}
		members, err := g.groupOf(w)
		if err != nil {
			return nil, err
		}
		if len(members) == 0 {
			return nil, &NoMemberError{w}
		}
		for _, n := range members {
			add(n)
		}
	}
	return out, nil
}

// NoMemberError says that a group has no running container here with a namespace of its own.
type NoMemberError struct{ Group string }

func (e *NoMemberError) Error() string {
	return fmt.Sprintf("%q has no running container here with a network namespace of its own", e.Group)
}

func (g *Graph) groupOf(what string) ([]*Node, error) {
	var found []*Node
	switch name, stack := strings.CutPrefix(what, "stack:"); {
	case what == "all":
		found = g.where(nil, func(n *Node) bool { return n.Kind == KindContainer })
	case stack:
		found = g.where(nil, func(n *Node) bool {
			w := g.Workload(n)
			return w != nil && name != "" && slices.ContainsFunc(stackLabels, func(l string) bool { return w.Labels[l] == name })
		})
	default:
		n, err := g.Resolve(what)
		if err != nil {
			return nil, err
		}
		found = g.Members(n)
	}
	found = filter(found, func(n *Node) bool {
		ns, ok := g.Netns(n)
		return ok && ns.Attrs.Role == RoleContainer && g.Namespace(ns) != nil && liveState(n.Attrs.State)
	})
	slices.SortStableFunc(found, func(x, y *Node) int {
		return cmp.Or(strings.Compare(x.Host, y.Host), cmp.Compare(g.joiner(x), g.joiner(y)), strings.Compare(x.Name, y.Name), strings.Compare(x.ID, y.ID))
	})
	return found, nil
}

// joiner is 1 for a container that is not the one after which its namespace is called.
func (g *Graph) joiner(n *Node) int {
	if ns, ok := g.Netns(n); ok && g.runner(ns) != n {
		return 1
	}
	return 0
}

// ResolveExact is Resolve for what may also be a name that a name server knows: an explicit form ("container:db"), "host",
// "self", a node id, a qualified name ("node1/web"), or the whole name of a container, service, node, namespace or link. A
// start of a name is not enough.
func (g *Graph) ResolveExact(target string) (*Node, error) {
	if _, _, ok := cutExplicit(target); ok || target == "host" || target == "self" {
		return g.Resolve(target)
	}
	if _, ok := g.Node(target); !ok && !strings.Contains(target, "/") && len(g.lookupExact(target, nil)) == 0 {
		return nil, &NotFoundError{Target: target}
	}
	return g.Resolve(target)
}

// Stacks are the names of stacks and projects of running containers, for completion.
func (g *Graph) Stacks() []string {
	var out []string
	for i := range g.Nodes {
		if w := g.Workload(&g.Nodes[i]); w != nil && live(w) {
			for _, l := range stackLabels {
				if w.Labels[l] != "" {
					out = append(out, w.Labels[l])
				}
			}
		}
	}
	return sortedSet(out)
}
