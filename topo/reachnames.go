package topo

import (
	"net"
	"net/netip"
	"slices"
)

// WhoHas names who has an address as a container, namespace or link sees it: who packets from there to the address arrive
// at, by the routes and wires that the snapshot has ("db", "bridge docker0", "host eth0", the name of a service for its
// virtual IP). It is empty where nothing is known, or where more than one may have it: a wrong name is worse than none.
func (g *Graph) WhoHas(from *Node, a netip.Addr) string {
	r := g.reachOf(from)
	a = a.Unmap()
	if r == nil || !a.IsValid() || a.IsMulticast() || a.IsUnspecified() {
		return ""
	}
	zone := a.Zone()
	a = a.WithZone("")
	switch {
	case a == embeddedDNS:
		return "" // the engine answers there
	case a.IsLoopback():
		return g.ownerName(r.from)
	case a.IsLinkLocalUnicast():
		return g.linkLocal(r, a, zone)
	}
	got := r.arrive(a)
	switch {
	case len(got.links) > 0:
		return g.holderName(got.links[0], a)
	case got.left || got.last == r.from:
		return g.claimed(r, got, a)
	}
	return ""
}

// embeddedDNS is where Docker's name server answers in every container of a user-defined network.
var embeddedDNS = netip.MustParseAddr("127.0.0.11")

// linkLocal names the holder of an address that means something on one link only.
func (g *Graph) linkLocal(r *reach, a netip.Addr, zone string) string {
	var found []*Node
	for _, l := range r.localOf(r.from).links {
		if l.Attrs.Type == "loopback" || zone != "" && zone != l.Name && zone != itoa(l.Attrs.Ifindex) {
			continue
		}
		if slices.Contains(linkAddrs(l), a) {
			return g.holderName(l, a)
		}
		for _, h := range r.segment(l).holders(a) {
			if !slices.Contains(found, h) {
				found = append(found, h)
			}
		}
	}
	if len(found) != 1 {
		return ""
	}
	return g.holderName(found[0], a)
}

// claimed names the holder of an address that no link that was read has, by what an engine says of it: a service's virtual
// IP or a task elsewhere, on a network that FROM is on; a node of the cluster, where the packets leave by its engine's home.
func (g *Graph) claimed(r *reach, got arrival, a netip.Addr) string {
	found := map[string]bool{}
	if got.last == r.from {
		nets := g.networkIDs(r.from)
		for i := range g.Nodes {
			n := &g.Nodes[i]
			s := g.index().raw[n.ID].svc
			if n.Kind != KindService || s == nil {
				continue
			}
			for _, v := range s.vips {
				if v.addr == a && nets[v.network] {
					found[n.Name] = true
				}
			}
			for _, t := range s.best.Tasks {
				for _, ad := range t.Addrs {
					if ad.Addr.IsValid() && ad.Addr.Addr() == a && nets[ad.Network] && t.State == "running" && t.Name != "" {
						found[t.Name] = true
					}
				}
			}
		}
		for _, n := range g.Nodes {
			if n.Kind != KindContainer {
				continue
			}
			w := g.Workload(&n)
			if w == nil || !live(w) {
				continue
			}
			for _, ep := range w.Endpoints {
				if (ep.Addr.IsValid() && ep.Addr.Addr() == a || ep.Addr6.IsValid() && ep.Addr6.Addr() == a) && nets[ep.Network] {
					if ns, ok := g.Netns(&n); !ok || g.Namespace(ns) == nil || len(g.linksIn(ns)) == 0 {
						found[g.shortName(&n)] = true // a namespace that was read would have it
					}
				}
			}
		}
	}
	if len(found) == 0 && got.left && got.last != nil {
		if name := g.clusterNode(got.last, a); name != "" {
			found[name] = true
		}
	}
	if len(found) != 1 {
		return ""
	}
	return sortedKeys(found)[0]
}

// networkIDs are the networks that what runs in a namespace is on.
func (g *Graph) networkIDs(ns *Node) map[string]bool {
	out := map[string]bool{}
	for _, e := range g.In(ns.ID, EdgeRunsIn) {
		c, ok := g.Node(e.From)
		if !ok {
			continue
		}
		if w := g.Workload(c); w != nil {
			for _, ep := range w.Endpoints {
				if ep.Network != "" {
					out[ep.Network] = true
				}
			}
		}
	}
	return out
}

// clusterNode is the node that has an address, as the swarm of the engine at home in a namespace or a flannel lease says.
func (g *Graph) clusterNode(home *Node, a netip.Addr) string {
	s, raw := g.Snapshot(home), g.Namespace(home)
	if s == nil || raw == nil {
		return ""
	}
	found := map[string]bool{}
	atHome := false
	for i := range s.Host.Engines {
		e := &s.Host.Engines[i]
		atHome = atHome || e.Home == raw.ID
		if e.Swarm == nil || e.Home != raw.ID {
			continue
		}
		for _, m := range e.Swarm.Nodes {
			if m.Name != "" && parseHost(m.Addr) == a {
				found[m.Name] = true
			}
		}
	}
	if atHome || home.Attrs.Role == RoleHost {
		for i := range s.Flannel {
			for _, l := range s.Flannel[i].Leases {
				// A node's own flannel.1 has the first address of its subnet.
				if l.Node != "" && (l.PublicIP.Unmap() == a || l.Subnet.IsValid() && l.Subnet.Masked().Addr() == a) {
					found[l.Node] = true
				}
			}
		}
	}
	if len(found) != 1 {
		return ""
	}
	return sortedKeys(found)[0]
}

// WhoHasMAC are the links on the layer 2 segments of a container, namespace or link that have a hardware address: "db
// eth0". There may be several: an ipvlan has its parent's.
func (g *Graph) WhoHasMAC(from *Node, mac net.HardwareAddr) []string {
	r := g.reachOf(from)
	if r == nil || len(mac) == 0 {
		return nil
	}
	text := mac.String()
	var out []string
	for _, s := range r.own() {
		for l := range s.links {
			if l.Attrs.MAC != text {
				continue
			}
			name := g.holderName(l, netip.Addr{})
			if ns, ok := g.Netns(l); ok && ns.Attrs.Role != RoleHost && ns.Attrs.Role != RoleNode {
				name = g.ownerName(ns) + " " + l.Name
			}
			out = append(out, name)
		}
	}
	return sortedSet(out)
}

// holderName is what the holder of an address is called.
func (g *Graph) holderName(l *Node, a netip.Addr) string {
	if s := g.serviceAt(l, a); s != nil {
		return g.distinct(s, s.Name)
	}
	ns, ok := g.Netns(l)
	if !ok {
		return ""
	}
	switch ns.Attrs.Role {
	case RoleHost, RoleNode:
		if l.Attrs.Type == "loopback" {
			return g.ownerName(ns)
		}
		if l.Attrs.Type == "bridge" && ns.Attrs.Role == RoleHost && !g.many() {
			return "bridge " + l.Name
		}
		return g.ownerName(ns) + " " + l.Name
	}
	return g.ownerName(ns)
}

// ownerName is what a namespace is called where an address or MAC of it is told: its container's name, its node's.
func (g *Graph) ownerName(ns *Node) string {
	of := ""
	if ns.Attrs.Network != "" {
		of = " of " + ns.Attrs.Network
	}
	switch ns.Attrs.Role {
	case RoleHost:
		if len(g.Hosts) > 1 {
			return ns.Host
		}
		return "host"
	case RoleOverlay:
		return "overlay" + of
	case RoleLoadBalancer:
		return "load balancer" + of
	case RoleIngress:
		return "ingress balancer"
	}
	if c := g.holderOf(ns); c != nil {
		return g.distinct(c, g.shortName(c))
	}
	if ns.Attrs.Role == RoleOther {
		return "netns:" + ns.Name // a number alone says nothing
	}
	return g.distinct(ns, ns.Name)
}

// distinct adds where a thing is to a name that another one has too.
func (g *Graph) distinct(n *Node, name string) string {
	x := g.names()
	if n.Host == "" || len(x.exact[name])+len(x.alias[name]) < 2 {
		return name
	}
	return name + " on " + n.Host
}
