package topo

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Sub is the neighbourhood of one node, as a graph of its own: what it takes to understand how that one thing is
// wired.
//
//   - a container: its namespace and links, and each wire outwards up to the device or tunnel that leaves the host, its
//     networks, services and published ports;
//   - a link: the wire in both directions; for a bridge all its ports with what is behind them;
//   - a namespace: all its links, what is at their other ends, what runs in it;
//   - a network: what carries it, and everything on it;
//   - a service: its members, and the sandboxes that balance it;
//   - a tunnel end: the tunnels to it.
//
// An unknown id gives an empty graph.
func (g *Graph) Sub(id string) *Graph {
	s := &subset{g: g, keep: map[string]bool{}, done: map[string]bool{}}
	if n, ok := g.Node(id); ok {
		switch n.Kind {
		case KindContainer:
			s.container(n)
		case KindLink:
			s.link(n)
		case KindNetns:
			s.netns(n)
		case KindNetwork:
			s.network(n)
		case KindService:
			s.service(n)
		case KindVTEP:
			s.keep[n.ID] = true
			for _, l := range s.froms(n, EdgeTunnel) {
				s.wire(l)
			}
		}
	}
	return s.graph()
}

// subset collects the nodes of a neighbourhood.
type subset struct {
	g    *Graph
	keep map[string]bool
	done map[string]bool // links whose wires were followed, bridges whose ports were
}

func (s *subset) tos(n *Node, kinds ...EdgeKind) (out []*Node) {
	for _, e := range s.g.Out(n.ID, kinds...) {
		if o, ok := s.g.Node(e.To); ok {
			out = append(out, o)
		}
	}
	return out
}

func (s *subset) froms(n *Node, kinds ...EdgeKind) (out []*Node) {
	for _, e := range s.g.In(n.ID, kinds...) {
		if o, ok := s.g.Node(e.From); ok {
			out = append(out, o)
		}
	}
	return out
}

// place keeps a link with its namespace, and what runs there where it is a container's.
func (s *subset) place(l *Node) {
	s.keep[l.ID] = true
	if ns, ok := s.g.Netns(l); ok {
		s.inside(ns)
	}
}

func (s *subset) inside(ns *Node) {
	s.keep[ns.ID] = true
	if ns.Attrs.Role == RoleHost {
		return // what runs there has no wire of its own
	}
	for _, c := range s.froms(ns, EdgeRunsIn) {
		s.keep[c.ID] = true
	}
}

// wire follows a link outwards: through its pair, master, parent or tunnel.
func (s *subset) wire(l *Node) {
	if s.done[l.ID] {
		return
	}
	s.done[l.ID] = true
	s.place(l)
	if p := s.g.Peer(l); p != nil {
		s.place(p)
		s.up(p)
		for _, par := range s.froms(p, EdgeParent) { // a macvlan or vlan on the other end
			s.place(par)
		}
	}
	s.up(l)
	for _, p := range s.tos(l, EdgeParent) {
		s.wire(p)
	}
	for _, u := range s.tos(l, EdgeUnderlay) {
		if u.Kind == KindLink {
			s.place(u)
		} else {
			s.keep[u.ID] = true
		}
	}
	for _, t := range s.tos(l, EdgeTunnel) {
		if t.Kind == KindLink {
			s.place(t)
		} else {
			s.keep[t.ID] = true
		}
	}
	for _, t := range s.froms(l, EdgeTunnel) {
		s.place(t)
	}
	s.carried(l)
}

// up keeps the bridge that a link is a port of, and the way on from there: tunnels and devices among its ports, the
// networks that it carries, and the device of its namespace's default route, by which what is bridged leaves the host.
func (s *subset) up(l *Node) {
	m := s.g.Master(l)
	if m == nil || s.done["up "+m.ID] {
		return
	}
	s.done["up "+m.ID] = true
	s.place(m)
	s.carried(m)
	for _, p := range s.froms(m, EdgePort) {
		switch p.Attrs.Type {
		case "veth", "netkit", "tun":
		default:
			s.wire(p)
		}
	}
	s.up(m)
	ns, ok := s.g.Netns(m)
	if !ok || ns.Attrs.Role != RoleHost && ns.Attrs.Role != RoleNode {
		return
	}
	for _, d := range s.g.defaultLinks(ns) {
		s.place(d)
	}
}

func (s *subset) carried(l *Node) {
	for _, n := range s.g.carriedBy(l) {
		s.keep[n.ID] = true
	}
}

// defaultLinks are the links of a namespace's default routes.
func (g *Graph) defaultLinks(ns *Node) (out []*Node) {
	data := g.Namespace(ns)
	if data == nil {
		return nil
	}
	oifs := map[int]bool{}
	for _, r := range data.Routes {
		const mainTable = 254
		if r.Table != mainTable || !r.Dst.IsValid() || r.Dst.Bits() != 0 {
			continue
		}
		oifs[r.OIF] = true
		for _, h := range r.NextHops {
			oifs[h.OIF] = true
		}
	}
	for _, l := range g.linksIn(ns) {
		if oifs[l.Attrs.Ifindex] {
			out = append(out, l)
		}
	}
	return out
}

// ports follows everything behind a bridge.
func (s *subset) ports(br *Node) {
	if s.done["ports "+br.ID] {
		return
	}
	s.done["ports "+br.ID] = true
	s.place(br)
	s.carried(br)
	for _, p := range s.froms(br, EdgePort) {
		s.wire(p)
	}
	s.up(br)
}

func (s *subset) container(c *Node) {
	s.keep[c.ID] = true
	for _, t := range s.tos(c, EdgePublishes) {
		s.keep[t.ID] = true
	}
	for _, svc := range s.froms(c, EdgeBackend) {
		s.keep[svc.ID] = true
		for _, b := range s.froms(svc, EdgeBalances) {
			s.keep[b.ID] = true
		}
	}
	s.networksOf(c)
	ns, ok := s.g.Netns(c)
	if !ok {
		return
	}
	s.inside(ns)
	if ns.Attrs.Role == RoleHost {
		return
	}
	for _, l := range s.g.linksIn(ns) {
		if s.g.outward(l) {
			s.wire(l)
		}
	}
}

func (s *subset) networksOf(c *Node) {
	r := s.g.index().raw[c.ID]
	if r.work == nil {
		return
	}
	for _, n := range r.work.nets {
		if n != nil {
			s.keep[n.node] = true
		}
	}
}

func (s *subset) netns(ns *Node) {
	s.inside(ns)
	for _, l := range s.g.linksIn(ns) {
		s.link(l)
	}
	for _, l := range s.froms(ns, EdgeUnderlay) {
		s.place(l)
		s.carried(l)
	}
	for _, n := range s.tos(ns, EdgeCarries, EdgeBalances) {
		s.keep[n.ID] = true
	}
	for _, n := range s.froms(ns, EdgePublishes, EdgeRunsIn) {
		s.keep[n.ID] = true
	}
}

func (s *subset) link(l *Node) {
	s.wire(l)
	if len(s.g.In(l.ID, EdgePort)) > 0 {
		s.ports(l)
	}
	for _, o := range s.froms(l, EdgeParent, EdgeUnderlay) {
		s.place(o)
	}
}

func (s *subset) network(n *Node) {
	s.keep[n.ID] = true
	for _, e := range s.g.In(n.ID, EdgeCarries) {
		c, ok := s.g.Node(e.From)
		switch {
		case !ok:
		case c.Kind == KindNetns:
			s.netns(c)
		case c.Attrs.Type == "bridge":
			s.ports(c)
		default: // the parent of macvlans and ipvlans
			s.wire(c)
			for _, child := range s.froms(c, EdgeParent) {
				s.place(child)
			}
		}
	}
	for _, c := range s.g.Members(n) {
		s.keep[c.ID] = true
		if ns, ok := s.g.Netns(c); ok {
			s.keep[ns.ID] = true
		}
	}
	for id := range s.keep {
		if ns, ok := s.g.Node(id); ok && ns.Kind == KindNetns {
			for _, e := range s.g.Out(id, EdgeBalances) {
				if e.Attrs.Network == n.Name || e.Attrs.Network == "" {
					s.keep[e.To] = true
				}
			}
		}
	}
}

func (s *subset) service(n *Node) {
	s.keep[n.ID] = true
	for _, c := range s.tos(n, EdgeBackend) {
		s.container(c)
	}
	for _, b := range s.froms(n, EdgeBalances) {
		s.keep[b.ID] = true
		for _, l := range s.g.linksIn(b) {
			s.wire(l)
		}
	}
	for _, t := range s.tos(n, EdgePublishes) {
		s.keep[t.ID] = true
	}
}

// graph is what was kept, with the edges between it, the hosts it is on and the gaps that concern it.
func (s *subset) graph() *Graph {
	g := s.g
	out := &Graph{Schema: g.Schema, Hosts: []GraphHost{}, Nodes: []Node{}, Edges: []Edge{}, Gaps: []Gap{}}
	hosts := map[string]bool{}
	spaces := map[snapshot.NSID]bool{}
	for _, n := range g.Nodes {
		if !s.keep[n.ID] {
			continue
		}
		out.Nodes = append(out.Nodes, n)
		host, _, _ := strings.Cut(n.Host, "/")
		hosts[host] = true
		if n.Kind == KindNetns {
			if sp := g.index().raw[n.ID].sp; sp != nil {
				spaces[sp.id] = true
			}
		}
	}
	for _, e := range g.Edges {
		if s.keep[e.From] && s.keep[e.To] {
			out.Edges = append(out.Edges, e)
		}
	}
	for _, h := range g.Hosts {
		if hosts[h.Name] {
			out.Hosts = append(out.Hosts, h)
		}
	}
	for _, gp := range g.Gaps {
		host, _, _ := strings.Cut(gp.Host, "/")
		if hosts[host] && (gp.Namespace == "" || spaces[gp.Namespace]) {
			out.Gaps = append(out.Gaps, gp)
		}
	}
	out.ix = newIndex(out)
	out.ix.raw, out.ix.sources, out.ix.whole = g.index().raw, g.index().sources, g.Whole()
	return out
}
