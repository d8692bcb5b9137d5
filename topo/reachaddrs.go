package topo

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
)

func itoa(n int) string { return strconv.Itoa(n) }

// How well an address suits, the best first.
const (
	onSharedNetwork   = iota
	onSharedIngress   // the mesh's own network: only published ports answer there
	elsewhere         // FROM must route there
	onSharedNoTraffic // a bridge on which the engine lets no container talk to another (docker_gwbridge, icc=false)
	ofInnerBridge     // of a bridge inside TO: what hangs on it is TO's own
	loopback
)

// AddrsFor are the addresses of a container, namespace, link or service by which another one may ask it, the best first:
// on a segment that both are on (proven by wires), then the others, IPv4 before IPv6. An address that FROM's packets
// would arrive somewhere else with (172.17.0.2 exists on every host) is left out. Loopback is there only, and last, where
// both are one namespace; link-local never. A network has none.
func (g *Graph) AddrsFor(from, to *Node) []netip.Addr {
	r := g.reachOf(from)
	if r == nil {
		return nil
	}
	switch to.Kind {
	case KindService:
		return g.serviceAddrs(r, to)
	case KindVTEP:
		if a, err := netip.ParseAddr(to.Attrs.Address); err == nil {
			return []netip.Addr{a}
		}
		return nil
	case KindNetwork:
		return nil
	}
	ns, ok := g.Netns(to)
	if !ok || len(r.localOf(ns).links) == 0 {
		return g.claimedAddrs(r, to)
	}
	links := r.localOf(ns).links
	if to.Kind == KindLink {
		links = []*Node{to}
	}
	same := ns == r.from
	var all []ranked
	for _, l := range links {
		rank := g.rankOf(r, ns, l)
		for _, a := range linkAddrs(l) {
			switch {
			case a.IsLinkLocalUnicast() || a.IsMulticast():
			case a.IsLoopback():
				if same {
					all = append(all, ranked{a, loopback})
				}
			case g.serviceAt(l, a) != nil && to.Kind != KindLink: // a balancer's VIP is the service's
			case same || r.mayReach(ns, a):
				all = append(all, ranked{a, rank})
			}
		}
	}
	return sortRanked(all)
}

type ranked struct {
	a    netip.Addr
	rank int
}

func sortRanked(all []ranked) []netip.Addr {
	slices.SortStableFunc(all, func(x, y ranked) int {
		return cmp.Or(cmp.Compare(x.rank, y.rank), cmp.Compare(b2i(x.a.Is6()), b2i(y.a.Is6())))
	})
	var out []netip.Addr
	for _, x := range all {
		if !slices.Contains(out, x.a) {
			out = append(out, x.a)
		}
	}
	return out
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// rankOf says how well the addresses of a link suit.
func (g *Graph) rankOf(r *reach, ns, l *Node) int {
	if ns == r.from {
		return onSharedNetwork
	}
	shared := false
	for _, s := range r.own() {
		if _, ok := s.links[l]; ok {
			shared = true
		}
	}
	switch {
	case !shared && l.Attrs.Type == "bridge":
		return ofInnerBridge
	case !shared:
		return elsewhere
	}
	// What is at home where the bridge is talks to its ports, whatever the engine forbids between these.
	for _, s := range r.segment(l).bridges {
		if s.Attrs.Netns == r.from.ID || s.Attrs.Netns == ns.ID {
			continue
		}
		if s.Name == "docker_gwbridge" {
			return onSharedNoTraffic
		}
		for _, n := range g.carriedBy(s) {
			if raw := g.Network(n); raw != nil {
				if raw.Ingress {
					return onSharedIngress
				}
				if raw.Options["com.docker.network.bridge.enable_icc"] == "false" {
					return onSharedNoTraffic
				}
			}
		}
	}
	return onSharedNetwork
}

// mayReach reports whether packets to an address may arrive in a namespace: they do, or it is not known where.
func (r *reach) mayReach(ns *Node, a netip.Addr) bool {
	got := r.arrive(a)
	return len(got.links) == 0 || got.links[0].Attrs.Netns == ns.ID
}

// claimedAddrs are the addresses that an engine gave a container whose namespace was not read.
func (g *Graph) claimedAddrs(r *reach, to *Node) []netip.Addr {
	w := g.Workload(to)
	if w == nil || !live(w) {
		return nil
	}
	nets := g.networkIDs(r.from)
	var all []ranked
	for _, ep := range w.Endpoints {
		rank := elsewhere
		if nets[ep.Network] {
			rank = onSharedNetwork
		}
		for _, p := range []netip.Prefix{ep.Addr, ep.Addr6} {
			if p.IsValid() && len(r.arrive(p.Addr()).links) == 0 {
				all = append(all, ranked{p.Addr(), rank})
			}
		}
	}
	return sortRanked(all)
}

// serviceAddrs are a service's virtual IPs, or without one its members' addresses.
func (g *Graph) serviceAddrs(r *reach, to *Node) []netip.Addr {
	s := g.index().raw[to.ID].svc
	if s == nil {
		return nil
	}
	nets := g.networkIDs(r.from)
	var all []ranked
	for _, v := range s.vips {
		rank := elsewhere
		if nets[v.network] {
			rank = onSharedNetwork
			if n := g.networkNode(v.network); n != nil && g.Network(n) != nil && g.Network(n).Ingress {
				rank = onSharedIngress
			}
		}
		got := r.arrive(v.addr)
		if len(got.links) == 0 || g.serviceAt(got.links[0], v.addr) == to {
			all = append(all, ranked{v.addr, rank})
		}
	}
	if len(all) == 0 && len(s.vips) == 0 {
		for _, m := range g.Members(to) {
			if as := g.AddrsFor(r.from, m); len(as) > 0 {
				all = append(all, ranked{as[0], onSharedNetwork})
			}
		}
		for _, t := range s.best.Tasks {
			for _, ad := range t.Addrs {
				if t.State == "running" && nets[ad.Network] && ad.Addr.IsValid() {
					all = append(all, ranked{ad.Addr.Addr(), elsewhere})
				}
			}
		}
	}
	return sortRanked(all)
}

// networkNode is the network with an engine's id, nil where there is none or several.
func (g *Graph) networkNode(id string) *Node {
	found := g.where(nil, func(n *Node) bool { return n.Kind == KindNetwork && n.Attrs.NetworkID == id })
	if len(found) != 1 {
		return nil
	}
	return found[0]
}
