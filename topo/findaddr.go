package topo

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// mac looks for a MAC; it reports whether the word is one.
func (f *finder) mac(val string) bool {
	hw, err := net.ParseMAC(val)
	if err != nil || len(hw) != 6 || !strings.ContainsAny(val, ":-.") {
		return false // twelve digits in a row are a container's id
	}
	mac := hw.String()
	for _, l := range f.g.where(nil, func(n *Node) bool { return n.Kind == KindLink && n.Attrs.MAC == mac }) {
		f.link(l, "MAC", fmt.Sprintf("%s is the MAC of %s, %s", mac, f.g.linkPhrase(l), f.g.linkWhat(l)+f.g.withAddrs(l)))
	}
	owned := len(f.hits) > 0
	for i := range f.g.Edges {
		e := &f.g.Edges[i]
		if e.Kind != EdgeTunnel || !slices.Contains(e.Attrs.MACs, mac) {
			continue
		}
		l, ok1 := f.g.Node(e.From)
		to, ok2 := f.g.Node(e.To)
		if ok1 && ok2 {
			f.hit(l, "FDB entry", fmt.Sprintf("%s is reached by %s through the tunnel to %s", mac, f.g.linkPhrase(l), f.endPhrase(e, to)), to)
		}
	}
	for _, c := range f.g.where(nil, func(n *Node) bool { return n.Kind == KindContainer }) {
		w := f.g.Workload(c)
		if w == nil || owned {
			continue
		}
		for _, ep := range w.Endpoints {
			if strings.EqualFold(ep.MAC, mac) {
				f.hit(c, "endpoint", fmt.Sprintf("%s is the MAC that %s has on network %s, says %s", mac, f.g.containerPhrase(c), ep.NetworkName, c.Attrs.Engine))
			}
		}
	}
	if len(f.hits) == 0 {
		f.neighbours(func(a netip.Addr, m string) bool { return strings.EqualFold(m, mac) }, mac)
		f.learnt(mac)
	}
	return true
}

func (f *finder) endPhrase(e *Edge, to *Node) string {
	switch {
	case to.Kind == KindLink:
		return e.Attrs.Address + ", " + f.g.linkPhrase(to)
	case to.Attrs.Node != "":
		return e.Attrs.Address + " (" + to.Attrs.Node + ")"
	}
	return e.Attrs.Address
}

// neighbours are hits from neighbour tables, for what nothing better is known of.
func (f *finder) neighbours(want func(netip.Addr, string) bool, word string) {
	for _, n := range f.g.where(nil, func(n *Node) bool { return n.Kind == KindNetns }) {
		ns := f.g.Namespace(n)
		if ns == nil {
			continue
		}
		for _, nb := range ns.Neighbors {
			if nb.MAC == "" || !want(nb.Addr, nb.MAC) {
				continue
			}
			other := nb.Addr.String()
			if other == word {
				other = nb.MAC
			}
			l := f.linkAt(n, nb.Ifindex)
			if l != nil {
				f.hit(l, "neighbour", fmt.Sprintf("%s is a neighbour of %s, as %s (%s)", word, f.g.linkPhrase(l), other, nb.State), n)
			}
		}
	}
}

// learnt are bridges that saw a MAC.
func (f *finder) learnt(mac string) {
	for _, n := range f.g.where(nil, func(n *Node) bool { return n.Kind == KindNetns }) {
		ns := f.g.Namespace(n)
		if ns == nil {
			continue
		}
		for _, e := range ns.FDB {
			if e.Master == 0 || !strings.EqualFold(e.MAC, mac) {
				continue
			}
			if l := f.linkAt(n, e.Ifindex); l != nil {
				f.hit(l, "FDB entry", fmt.Sprintf("%s was seen behind %s", mac, f.g.linkPhrase(l)), f.g.Master(l), n)
			}
		}
	}
}

func (f *finder) linkAt(ns *Node, ifindex int) *Node {
	for _, e := range f.g.In(ns.ID, EdgeIn) {
		if l, ok := f.g.Node(e.From); ok && l.Attrs.Ifindex == ifindex {
			return l
		}
	}
	return nil
}

// ip looks for an address, with or without prefix length; it reports whether the word is one.
func (f *finder) ip(val string) bool {
	a, err := netip.ParseAddr(val)
	if err != nil {
		p, err := netip.ParsePrefix(val)
		if err != nil {
			return false
		}
		a = p.Addr()
	}
	a = a.Unmap().WithZone("")
	if a == embeddedDNS {
		f.nameServers()
	}
	if a.IsLoopback() {
		for _, n := range f.g.where(nil, func(n *Node) bool { return n.Attrs.Role == RoleHost }) {
			f.hit(n, "address", fmt.Sprintf("%s is a loopback address: every netns has its own", a))
		}
		return true
	}
	f.vips(a)
	f.owners(a)
	f.gateways(a)
	for _, n := range f.g.where(nil, func(n *Node) bool { return n.Kind == KindVTEP && n.Attrs.Address == a.String() }) {
		f.vtep(n)
	}
	f.virtuals(a)
	f.balancedTo(a)
	if len(f.hits) == 0 {
		f.claims(a)
	}
	if len(f.hits) == 0 {
		f.neighbours(func(x netip.Addr, _ string) bool { return x.Unmap().WithZone("") == a }, a.String())
		f.subnets(a)
	}
	f.inSets(a)
	return true
}

func (f *finder) vips(a netip.Addr) {
	for i := range f.g.Nodes {
		n := &f.g.Nodes[i]
		if n.Kind != KindService || !slices.Contains(n.Attrs.VIPs, a.String()) {
			continue
		}
		s := fmt.Sprintf("%s is the VIP of service %s", a, n.Name)
		virt := f.g.index().raw[n.ID].virt
		if virt != nil {
			s += f.g.on(n) + " for port " + strings.Join(n.Attrs.Ports, ", ")
			if virt.name == "" {
				s = virt.id() + " is a VIP" + f.g.on(n)
			}
		}
		var related []*Node
		for _, e := range f.g.In(n.ID, EdgeBalances) {
			if e.Attrs.Address != a.String() {
				continue
			}
			if b, ok := f.g.Node(e.From); ok {
				related = append(related, b)
			}
			if e.Attrs.Network != "" && !strings.Contains(s, " on network ") {
				s += " on network " + e.Attrs.Network
			}
		}
		if by := f.g.balancedHow(n, a.String(), nil); by != "" {
			s += ", balanced in " + by
		}
		if virt != nil {
			f.hit(n, "VIP", s, append(related, f.g.Members(n)...)...)
			continue
		}
		s += ", for " + count(len(f.g.Members(n)), "container") + " here"
		if k := len(n.Attrs.Backends); k > 0 {
			s += fmt.Sprintf(" and %d elsewhere", k)
		}
		f.hit(n, "VIP", s, append(related, f.g.Members(n)...)...)
	}
}

// owners are the links that have an address. A balancer's VIP is told of with its service.
func (f *finder) owners(a netip.Addr) {
	for i := range f.g.Nodes {
		l := &f.g.Nodes[i]
		if l.Kind != KindLink {
			continue
		}
		for _, s := range l.Attrs.Addrs {
			p, err := netip.ParsePrefix(s)
			if err != nil || p.Addr().Unmap().WithZone("") != a {
				continue
			}
			if ns, ok := f.g.Netns(l); ok && p.IsSingleIP() && f.balanced(ns, a) {
				continue
			}
			f.link(l, "address", fmt.Sprintf("%s is an address of %s, %s", a, f.g.linkPhrase(l), f.g.linkWhat(l)))
		}
	}
}

func (f *finder) balanced(ns *Node, a netip.Addr) bool {
	return slices.ContainsFunc(f.g.Out(ns.ID, EdgeBalances), func(e *Edge) bool { return e.Attrs.Address == a.String() })
}

func (f *finder) gateways(a netip.Addr) {
	for i := range f.g.Nodes {
		if n := &f.g.Nodes[i]; n.Kind == KindNetwork && slices.Contains(n.Attrs.Gateways, a.String()) {
			f.hit(n, "gateway", fmt.Sprintf("%s is the gateway of %s, %s", a, n.Name, f.g.networkWhat(n)))
		}
	}
}

func (f *finder) vtep(n *Node) {
	var by []string
	var related []*Node
	for _, e := range f.g.In(n.ID, EdgeTunnel) {
		if l, ok := f.g.Node(e.From); ok {
			related = append(related, l)
			by = append(by, fmt.Sprintf("%s (VNI %d)", f.g.linkPhrase(l), e.Attrs.VNI))
		}
	}
	s := n.Attrs.Address + " is a tunnel end"
	if n.Attrs.Node != "" {
		s += " on node " + n.Attrs.Node
	}
	if len(by) > 3 {
		by = append(by[:3], fmt.Sprintf("%d more", len(by)-3))
	}
	f.hit(n, "tunnel end", s+" that was not inspected, for "+strings.Join(by, ", "), related...)
}

// claims are addresses that only an engine or a lease knows.
func (f *finder) claims(a netip.Addr) {
	for i := range f.g.Nodes {
		n := &f.g.Nodes[i]
		switch n.Kind {
		case KindContainer:
			w := f.g.Workload(n)
			if w == nil {
				continue
			}
			for _, ep := range w.Endpoints {
				if ep.Addr.Addr() == a || ep.Addr6.Addr() == a {
					f.hit(n, "endpoint", fmt.Sprintf("%s gave %s on network %s to %s (%s), but no link that was read has it", n.Attrs.Engine, a, ep.NetworkName, f.g.containerPhrase(n), n.Attrs.State))
				}
			}
		case KindService:
			for _, b := range n.Attrs.Backends {
				if addr, rest, _ := strings.Cut(b, " "); addr == a.String() {
					f.hit(n, "backend", fmt.Sprintf("%s is %s, a task of service %s", a, rest, n.Name))
				}
			}
		}
	}
	for _, s := range f.g.index().sources {
		for _, e := range s.engines {
			if e.e.Swarm == nil {
				continue
			}
			for _, m := range e.e.Swarm.Nodes {
				if parseHost(m.Addr) == a && e.home != nil {
					home, _ := f.g.Node(e.home.node)
					f.hit(home, "node", fmt.Sprintf("%s is the address of swarm node %s, which was not inspected", a, m.Name))
				}
			}
		}
		for _, fl := range s.snap.Flannel {
			for _, le := range fl.Leases {
				if le.PublicIP.Unmap() != a {
					continue
				}
				node := "a node"
				if le.Node != "" {
					node = "node " + le.Node
				}
				f.hit(f.flannelNode(s, le.PublicIP), "node", fmt.Sprintf("%s is the address of %s, which has the flannel subnet %s and was not inspected", a, node, le.Subnet))
			}
		}
	}
}

// subnets are the networks in which an address lies that nobody has.
func (f *finder) subnets(a netip.Addr) {
	unowned := len(f.hits) == 0
	for i := range f.g.Nodes {
		n := &f.g.Nodes[i]
		if n.Kind != KindNetwork {
			continue
		}
		for _, s := range n.Attrs.Subnets {
			if p, err := netip.ParsePrefix(s); err == nil && p.Contains(a) {
				text := fmt.Sprintf("%s lies in network %s%s (%s)", a, n.Name, f.g.on(n), s)
				if unowned {
					text = "no one has " + a.String() + ": it lies in network " + n.Name + f.g.on(n) + " (" + s + ")"
				}
				f.hit(n, "subnet", text)
			}
		}
	}
	for _, s := range f.g.index().sources {
		for _, fl := range s.snap.Flannel {
			for _, le := range fl.Leases {
				if !le.Subnet.Contains(a) {
					continue
				}
				node := le.PublicIP.String()
				if le.Node != "" {
					node = le.Node + " (" + node + ")"
				}
				n := f.flannelNode(s, le.PublicIP)
				f.hit(n, "subnet", fmt.Sprintf("no one here has %s: it lies in the flannel subnet %s of node %s", a, le.Subnet, node))
			}
		}
	}
	if len(f.hits) > 0 {
		return
	}
	for i := range f.g.Nodes { // a subnet that no engine knows: pods on a bridge
		l := &f.g.Nodes[i]
		if l.Kind != KindLink || l.Attrs.Type != "bridge" {
			continue
		}
		for _, s := range l.Attrs.Addrs {
			if p, err := netip.ParsePrefix(s); err == nil && p.Contains(a) && !p.Addr().IsLinkLocalUnicast() {
				f.hit(l, "subnet", fmt.Sprintf("no one has %s: it lies in %s, the subnet of %s", a, p.Masked(), f.g.linkPhrase(l)))
			}
		}
	}
}

// flannelNode is the node by which a lease is known: its tunnel end, else the host that told of it.
func (f *finder) flannelNode(s *source, a netip.Addr) *Node {
	if n, ok := f.g.Node(vtepID(a)); ok {
		return n
	}
	if sp := s.k.space(s.snap.Host.InitNS); sp != nil {
		n, _ := f.g.Node(sp.node)
		return n
	}
	return nil
}
