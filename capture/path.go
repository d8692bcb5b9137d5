package capture

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo"
)

// PathSpots are the namespaces that packets between two targets may cross: those of the shortest way over wires (veth, bridge, macvlan, tunnel), and
// over forwarding namespaces where no wire leads on; with the namespaces whose UDP sockets carry the tunnels on it. Where an end is a
// member of services, also those of the ways by each of their load balancers (of its networks, of the routing mesh). Where a packet
// really came by is told by capturing in all of them.
func PathSpots(g *topo.Graph, a, b string) ([]Spot, error) {
	from, err := ends(g, a)
	if err != nil {
		return nil, err
	}
	to, err := ends(g, b)
	if err != nil {
		return nil, err
	}
	var out []Spot
	seen := map[string]bool{}
	add := func(way []*topo.Node) {
		for _, ns := range way {
			if !seen[ns.ID] && g.Namespace(ns) != nil {
				seen[ns.ID] = true
				out = append(out, Spot{Netns: ns, Asked: a})
			}
		}
	}
	way, ok := wayOf(g, from, to)
	if !ok {
		return nil, fmt.Errorf("no wires are known that lead from %s to %s", a, b)
	}
	add(way)
	for _, ns := range append(balancersOf(g, from.ns), balancersOf(g, to.ns)...) {
		by := ending{ns, linksIn(g, ns)}
		there, ok := wayOf(g, from, by)
		on, leads := wayOf(g, by, to)
		if ok && leads {
			add(there)
			add(on)
		}
	}
	return out, nil
}

// balancersOf are the namespaces that balance services whose members run in a namespace.
func balancersOf(g *topo.Graph, ns *topo.Node) (out []*topo.Node) {
	for _, c := range g.In(ns.ID, topo.EdgeRunsIn) {
		for _, m := range g.In(c.From, topo.EdgeBackend) {
			for _, b := range g.In(m.From, topo.EdgeBalances) {
				if n, ok := g.Node(b.From); ok && !slices.Contains(out, n) {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// wayOf are the namespaces of the shortest way between two ends, from the last to the first but for the ends; false where there is none.
func wayOf(g *topo.Graph, from, to ending) (out []*topo.Node, ok bool) {
	w := &walk{g: g, cost: map[string]int{}, back: map[string]string{}}
	goal := map[string]bool{}
	for _, l := range to.links {
		goal[l.ID] = true
	}
	end := w.search(from.links, goal)
	if end == "" && from.ns.ID != to.ns.ID {
		return nil, false
	}
	out = append(out, from.ns)
	for id := end; id != ""; id = w.back[id] {
		n, _ := g.Node(id)
		if ns, ok := g.Netns(n); ok {
			out = append(out, ns)
		}
		for _, e := range g.Out(id, topo.EdgeUnderlay) {
			u, ok := g.Node(e.To)
			if ok && u.Kind != topo.KindNetns {
				u, ok = g.Netns(u)
			}
			if ok {
				out = append(out, u)
			}
		}
	}
	return append(out, to.ns), true
}

// ending is where a path begins or ends.
type ending struct {
	ns    *topo.Node
	links []*topo.Node
}

func ends(g *topo.Graph, target string) (ending, error) {
	n, err := g.Resolve(target)
	if err != nil {
		return ending{}, err
	}
	ns, ok := g.Netns(n)
	if !ok || g.Namespace(ns) == nil {
		return ending{}, fmt.Errorf("%s %q has no namespace here", n.Kind, n.Name)
	}
	return ending{ns, linksIn(g, ns)}, nil
}

// linksIn are a namespace's links, but for loopback.
func linksIn(g *topo.Graph, ns *topo.Node) []*topo.Node {
	return slices.DeleteFunc(linksOf(g, ns), func(l *topo.Node) bool { return l.Attrs.Type == "loopback" })
}

func linksOf(g *topo.Graph, ns *topo.Node) (out []*topo.Node) {
	for _, e := range g.In(ns.ID, topo.EdgeIn) {
		if l, ok := g.Node(e.From); ok {
			out = append(out, l)
		}
	}
	return out
}

// forwarded is what it costs to be routed inside a namespace, where a wire costs 1: packets take the wire where there is one.
const forwarded = 20

// walk is Dijkstra's search over links.
type walk struct {
	g    *topo.Graph
	cost map[string]int
	back map[string]string
	todo queue
}

func (w *walk) search(from []*topo.Node, goal map[string]bool) string {
	for _, l := range from {
		w.cost[l.ID] = 0
		heap.Push(&w.todo, item{l.ID, 0})
	}
	for len(w.todo) > 0 {
		at := heap.Pop(&w.todo).(item)
		if at.cost > w.cost[at.id] {
			continue
		}
		if goal[at.id] {
			return at.id
		}
		for _, e := range w.g.Out(at.id, topo.EdgeVeth, topo.EdgePort, topo.EdgeParent, topo.EdgeTunnel) {
			w.step(at, e.To, 1)
		}
		for _, e := range w.g.In(at.id, topo.EdgeVeth, topo.EdgePort, topo.EdgeParent, topo.EdgeTunnel) {
			w.step(at, e.From, 1)
		}
		n, _ := w.g.Node(at.id)
		if ns, ok := w.g.Netns(n); ok {
			for _, l := range linksIn(w.g, ns) {
				w.step(at, l.ID, forwarded)
			}
		}
	}
	return ""
}

func (w *walk) step(at item, to string, cost int) {
	n, ok := w.g.Node(to)
	if !ok || n.Kind != topo.KindLink {
		return
	}
	c := at.cost + cost
	if old, ok := w.cost[to]; ok && old <= c {
		return
	}
	w.cost[to], w.back[to] = c, at.id
	heap.Push(&w.todo, item{to, c})
}

type item struct {
	id   string
	cost int
}

type queue []item

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].cost < q[j].cost }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(item)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

var seed = maphash.MakeSeed()

// Identity tells the same packet again at another interface, also when addresses and ports were translated on the way: by protocol, IPv4's
// identification, sequence numbers, ICMP's, and the payload. ok is false for what cannot be told again.
func Identity(p *packet.Packet) (id uint64, ok bool) {
	h := p.Inner()
	if p.N == 0 || h.Version == 0 || h.Status&(packet.Truncated|packet.Malformed) != 0 {
		return 0, false
	}
	var m maphash.Hash
	m.SetSeed(seed)
	m.WriteByte(h.Proto)
	if h.Version == 4 {
		m.Write(p.Bytes(h.Net+4, h.Net+6))
	}
	binaryInt(&m, h.FragOff)
	binaryInt(&m, h.End-h.Payload)
	switch {
	case h.L4 < 0:
	case h.Proto == packet.TCP:
		m.Write(p.Bytes(h.L4+4, h.L4+14))
	case h.Proto == packet.ICMP, h.Proto == packet.ICMPv6:
		m.Write(p.Bytes(h.L4, h.L4+2))
		m.Write(p.Bytes(h.L4+4, h.L4+8))
	}
	m.Write(p.PayloadOf(h))
	return m.Sum64(), true
}

func binaryInt(m *maphash.Hash, n int) {
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	m.Write(b[:])
}

// Sighting is one packet at one interface.
type Sighting struct {
	Nanos  int64
	Place  *text.Place
	Dir    text.Dir
	Tunnel string // "vxlan 4097 10.99.0.1→10.99.0.2 | ", "" for none
	// Src and Dst are the innermost addresses: they change where they are translated.
	Src, Dst netip.AddrPort
	// Event is the packet, where Ways.Keep.
	Event *text.Event

	tunnels int
}

// Way is one packet's way.
type Way struct {
	// From and To are the two ends' names; Arrived tells that it was seen in the namespace of To.
	From, To  string
	Arrived   bool
	Sightings []Sighting
	// Summary is what was seen first of those that have an address of either end.
	Summary string
	summed  int64
	// FromA, ToB, FromB, ToA: an address of that end was seen as its source or destination, here or there.
	FromA, ToB, FromB, ToA bool
}

// Between tells whether it was a packet from one end to the other.
func (w *Way) Between() bool { return w.FromA && w.ToB || w.FromB && w.ToA }
