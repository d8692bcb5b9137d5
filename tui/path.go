package tui

import (
	"container/heap"

	"github.com/nscope/nscope/topo"
)

// wiresBetween is the cheapest way over wires from one node to another: the ids on it, both ends included, nil where there
// is none. Wires are followed as they are: a packet's own way may be another one, or none, where rules or routes say so.
//
// Nothing is crossed that does not pass packets on: a container between two of its links, a tunnel's far end, a service.
// Crossing a host is a matter of its routes, and dear, so that it is taken only where no bridge or tunnel leads there.
func wiresBetween(g *topo.Graph, from, to string) []string {
	dist := map[string]int{from: 0}
	prev := map[string]string{}
	done := map[string]bool{}
	q := &queue{{from, 0}}
	own := map[string]bool{} // the namespaces of containers at the ends
	for _, id := range []string{from, to} {
		if n, ok := g.Node(id); ok && n.Kind == topo.KindContainer {
			if ns, ok := g.Netns(n); ok {
				own[ns.ID] = true
			}
		}
	}
	for q.Len() > 0 {
		at := heap.Pop(q).(step)
		if done[at.id] {
			continue
		}
		done[at.id] = true
		if at.id == to {
			break
		}
		n, ok := g.Node(at.id)
		if !ok || at.id != from && !own[at.id] && !passes(n) {
			continue
		}
		for _, e := range append(g.Out(at.id), g.In(at.id)...) {
			cost, ok := wireCost[e.Kind]
			if !ok {
				continue
			}
			next := e.To
			if next == at.id {
				next = e.From
			}
			if n.Kind == topo.KindNetns || e.Kind == topo.EdgeIn && e.To == next && home(g, next) {
				cost += 10
			}
			if e.Kind == topo.EdgePort && gateway(g, e.To) {
				cost++
			}
			if d := at.cost + cost; !done[next] && (prev[next] == "" && next != from || d < dist[next]) {
				dist[next], prev[next] = d, at.id
				heap.Push(q, step{next, d})
			}
		}
	}
	if !done[to] {
		return nil
	}
	path := []string{to}
	for id := to; id != from; {
		id = prev[id]
		path = append([]string{id}, path...)
	}
	return path
}

// wireCost is what it costs to follow an edge; kinds that are no wires are missing.
var wireCost = map[topo.EdgeKind]int{
	topo.EdgeVeth: 1, topo.EdgePort: 1, topo.EdgeParent: 1, topo.EdgeIn: 1, topo.EdgeRunsIn: 1, topo.EdgeTunnel: 1, topo.EdgeBalances: 2, topo.EdgeBackend: 2,
}

// passes tells whether a way may lead through a node, and not only start or end there.
func passes(n *topo.Node) bool {
	switch n.Kind {
	case topo.KindLink:
		return n.Attrs.Type != "loopback"
	case topo.KindNetns:
		return n.Attrs.Role != topo.RoleContainer
	}
	return false
}

func home(g *topo.Graph, id string) bool {
	n, ok := g.Node(id)
	return ok && (n.Attrs.Role == topo.RoleHost || n.Attrs.Role == topo.RoleNode)
}

// gateway tells of Docker's bridge to the outside, on which containers of overlays hang but do not talk.
func gateway(g *topo.Graph, id string) bool {
	n, ok := g.Node(id)
	return ok && n.Name == "docker_gwbridge"
}

type step struct {
	id   string
	cost int
}

// queue is a heap of steps, the cheapest first, equal ones by id.
type queue []step

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].cost < q[j].cost || q[i].cost == q[j].cost && q[i].id < q[j].id
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(step)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}
