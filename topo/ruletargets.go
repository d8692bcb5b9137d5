package topo

import (
	"net/netip"
	"slices"

	"github.com/nscope/nscope/topo/ruleset"
)

// ruleAsk describes packets of a target at one place in a namespace; false where none of them comes there.
type ruleAsk func(at ruleset.At) (ruleset.Packet, bool)

// ruleTargets gather, by namespace and in order, which packets of a target are to be looked at; nil stands for all.
type ruleTargets struct {
	g     *Graph
	order []*Node
	asks  map[*Node][]ruleAsk
	whole map[*Node]bool
	// touches are the links whose stages belong to the target, where not all do.
	touches map[*Node]func(link int) bool
}

func (t *ruleTargets) all(ns *Node) {
	t.in(ns)
	t.whole[ns] = true
}

func (t *ruleTargets) in(ns *Node, asks ...ruleAsk) {
	if !slices.Contains(t.order, ns) {
		t.order = append(t.order, ns)
	}
	t.asks[ns] = append(t.asks[ns], asks...)
}

// Rules lists the rules that can touch a packet of n, by namespace. Of a container these are all of its own namespace, and in
// the namespaces that its links lead to those that may match its addresses or published ports; of a namespace all; of a link
// those that what comes in or goes out by it may come to; of a network those of its bridge and of its members, or all of the
// namespaces that carry and balance it; of a service those that its VIPs and published ports may come to.
func (g *Graph) Rules(n *Node, o RuleOptions) []RuleSpace {
	t := &ruleTargets{g: g, asks: map[*Node][]ruleAsk{}, whole: map[*Node]bool{}, touches: map[*Node]func(int) bool{}}
	switch n.Kind {
	case KindNetns:
		t.all(n)
	case KindContainer:
		t.container(n)
	case KindLink:
		t.link(n)
	case KindNetwork:
		t.network(n)
	case KindService:
		t.service(n)
	}
	out := []RuleSpace{}
	for _, ns := range t.order {
		sp := g.space(ns)
		asks := t.asks[ns]
		if sp == nil || len(asks) == 0 && !t.whole[ns] {
			continue
		}
		if t.whole[ns] {
			asks = nil
		}
		r := g.rulesOf(ns, sp, asks, o)
		touches := t.touches[ns]
		if touches == nil && !t.whole[ns] {
			touches = func(int) bool { return false }
		}
		sp.stagesOf(&r, touches, t.whole[ns], o)
		if !r.empty() {
			out = append(out, r)
		}
	}
	return out
}

func (t *ruleTargets) container(n *Node) {
	own, ok := t.g.Netns(n)
	if !ok {
		return
	}
	if t.all(own); own.Attrs.Role == RoleHost {
		return
	}
	for _, ns := range t.g.around(own, n) {
		if asks := append(t.addrs(ns, own), t.ports(ns, n)...); len(asks) > 0 {
			t.in(ns, asks...)
			t.touches[ns] = t.g.passes(ns, own)
		}
	}
}

func (t *ruleTargets) link(n *Node) {
	ns, ok := t.g.Netns(n)
	raw := t.g.Link(n)
	if !ok || raw == nil {
		return
	}
	t.in(ns, t.through(ns, n)...)
	t.touches[ns] = func(link int) bool { return link == raw.Index }
}

func (t *ruleTargets) network(n *Node) {
	for _, e := range t.g.In(n.ID, EdgeCarries) {
		c, ok := t.g.Node(e.From)
		if !ok {
			continue
		}
		if c.Kind == KindNetns {
			t.all(c)
			continue
		}
		ns, ok := t.g.Netns(c)
		if !ok {
			continue
		}
		t.in(ns, t.through(ns, c)...)
		links := []int{}
		for _, l := range append([]*Node{c}, t.g.portsOf(c)...) {
			if raw := t.g.Link(l); raw != nil {
				links = append(links, raw.Index)
			}
		}
		t.touches[ns] = func(link int) bool { return slices.Contains(links, link) }
		for _, m := range t.g.Members(n) {
			if own, ok := t.g.Netns(m); ok && own != ns {
				t.in(ns, t.addrs(ns, own)...)
				t.in(ns, t.ports(ns, m)...)
			}
		}
	}
	for i := range t.g.Nodes {
		ns := &t.g.Nodes[i]
		if ns.Kind == KindNetns && (ns.Attrs.Role == RoleLoadBalancer || ns.Attrs.Role == RoleIngress) && ns.Attrs.Network == n.Name {
			t.all(ns)
		}
	}
}

func (t *ruleTargets) service(n *Node) {
	for _, e := range t.g.Out(n.ID, EdgePublishes) {
		if ns, ok := t.g.Node(e.To); ok {
			t.in(ns, t.ports(ns, n)...)
		}
	}
	for _, e := range t.g.In(n.ID, EdgeBalances) {
		ns, ok := t.g.Node(e.From)
		vip, err := netip.ParseAddr(e.Attrs.Address)
		if !ok || err != nil {
			continue
		}
		p := ruleset.Packet{Family: familyOf(vip), Known: ruleset.FDst, Dst: vip}
		if e.Attrs.HostPort != 0 {
			p.Known |= ruleset.FDport | ruleset.FProto
			p.Dport, p.Proto = e.Attrs.HostPort, protoNumber(e.Attrs.Proto)
		}
		t.in(ns, anywhere(p))
		for _, e := range t.g.Out(n.ID, EdgePublishes) { // a port of the mesh comes to the sandbox as it is
			if ns.Attrs.Role == RoleIngress {
				t.in(ns, port("ip", e.Attrs.HostPort, e.Attrs.Proto, netip.Addr{}), port("ip6", e.Attrs.HostPort, e.Attrs.Proto, netip.Addr{}))
			}
		}
		for _, b := range t.g.Out(n.ID, EdgeBackend) { // what IPVS or a rule has sent on
			if a, err := netip.ParseAddr(b.Attrs.Address); err == nil {
				to := anywhere(ruleset.Packet{Family: familyOf(a), Known: ruleset.FDst, Dst: a})
				t.in(ns, func(at ruleset.At) (ruleset.Packet, bool) {
					p, ok := to(at)
					return p, ok && (at.Hook == "forward" || at.Hook == "postrouting")
				})
			}
		}
	}
}

// addrs are packets from and to the addresses of a namespace, in another.
func (t *ruleTargets) addrs(ns, own *Node) (out []ruleAsk) {
	sp := t.g.space(ns)
	if sp == nil {
		return nil
	}
	for _, l := range t.g.linksIn(own) {
		raw := t.g.Link(l)
		if raw == nil {
			continue
		}
		for _, a := range raw.Addrs {
			addr := a.Prefix.Addr()
			if !addr.IsGlobalUnicast() {
				continue
			}
			to := ruleset.Packet{Family: familyOf(addr), Known: ruleset.FDst, Dst: addr}
			from := ruleset.Packet{Family: familyOf(addr), Known: ruleset.FSrc, Src: addr}
			if r, ok := sp.rules().Route(ruleset.RouteQuery{Dst: addr}); ok && r.Type == "unicast" && !r.Gateway.IsValid() {
				to.Out, from.In = r.Out, r.Out
			}
			out = append(out, foreign(to), foreign(from))
		}
	}
	return out
}

// ports are packets to the ports at which something is published in a namespace.
func (t *ruleTargets) ports(ns, n *Node) (out []ruleAsk) {
	for _, e := range t.g.Out(n.ID, EdgePublishes) {
		if e.To != ns.ID {
			continue
		}
		for _, fam := range []string{"ip", "ip6"} {
			at, err := netip.ParseAddr(e.Attrs.HostAddr)
			switch {
			case err != nil || at.IsUnspecified():
				at = netip.Addr{}
			case familyOf(at) != fam:
				continue
			}
			out = append(out, port(fam, e.Attrs.HostPort, e.Attrs.Proto, at))
		}
	}
	return out
}

// port are packets to a port, before they are translated.
func port(fam string, number uint16, proto string, dst netip.Addr) ruleAsk {
	p := ruleset.Packet{Family: fam, Known: ruleset.FDport | ruleset.FProto, Dport: number, Proto: protoNumber(proto)}
	if dst.IsValid() {
		p.Dst, p.Known = dst, p.Known|ruleset.FDst
	}
	return func(at ruleset.At) (ruleset.Packet, bool) {
		return p, sees(at, fam) && (at.Hook == "prerouting" || at.Hook == "output")
	}
}

// foreign are packets from or to an address that is not of the namespace.
func foreign(p ruleset.Packet) ruleAsk {
	every := anywhere(p)
	return func(at ruleset.At) (ruleset.Packet, bool) {
		if p.Says(ruleset.FSrc) && at.Hook == "output" || p.Says(ruleset.FDst) && at.Hook == "input" {
			return p, false
		}
		return every(at)
	}
}

// anywhere are packets as described, with the links by which they come and go where these are known.
func anywhere(p ruleset.Packet) ruleAsk {
	return func(at ruleset.At) (ruleset.Packet, bool) {
		q := p
		if q.In.Name != "" && (at.Hook == "prerouting" || at.Hook == "input" || at.Hook == "forward") {
			q.Known |= ruleset.FIn
		}
		if q.Out.Name != "" && (at.Hook == "output" || at.Hook == "postrouting" || at.Hook == "forward") {
			q.Known |= ruleset.FOut
		}
		return q, sees(at, p.Family)
	}
}

// sees tells whether packets of a family come to a place.
func sees(at ruleset.At, fam string) bool {
	return at.Family == "bridge" || at.Family == "netdev" || at.Family == fam
}

// through are packets that come in by a link, and such that go out by it. To the rules of IP a bridge's port is the bridge.
func (t *ruleTargets) through(ns, n *Node) []ruleAsk {
	sp, raw := t.g.space(ns), t.g.Link(n)
	if sp == nil || raw == nil {
		return nil
	}
	name := func(at ruleset.At) ruleset.Iface {
		if br := sp.byIdx[raw.Master]; br != nil && br.l.Kind == "bridge" && at.Family != "bridge" && at.Family != "netdev" {
			return sp.rules().Iface(br.l.Name)
		}
		return sp.rules().Iface(raw.Name)
	}
	return []ruleAsk{
		func(at ruleset.At) (ruleset.Packet, bool) {
			p := ruleset.Packet{Family: packetFamily(at.Family), Known: ruleset.FIn, In: name(at)}
			return p, slices.Contains([]string{"ingress", "prerouting", "input", "forward"}, at.Hook)
		},
		func(at ruleset.At) (ruleset.Packet, bool) {
			p := ruleset.Packet{Family: packetFamily(at.Family), Known: ruleset.FOut, Out: name(at)}
			return p, slices.Contains([]string{"forward", "output", "postrouting", "egress"}, at.Hook)
		},
	}
}

// portsOf are the ports of a bridge.
func (g *Graph) portsOf(br *Node) (out []*Node) {
	for _, e := range g.In(br.ID, EdgePort) {
		if l, ok := g.Node(e.From); ok {
			out = append(out, l)
		}
	}
	return out
}

// around are the namespaces that a container's packets pass: where its links lead, the host, and the load balancers of its networks.
func (g *Graph) around(own, n *Node) []*Node {
	var out []*Node
	add := func(ns *Node) {
		if ns != nil && ns != own && !slices.Contains(out, ns) {
			out = append(out, ns)
		}
	}
	for _, l := range g.linksIn(own) {
		for _, p := range []*Node{g.Peer(l), g.first(l, EdgeParent)} {
			if p != nil {
				ns, _ := g.Netns(p)
				add(ns)
			}
		}
	}
	for _, e := range g.Out(n.ID, EdgePublishes) {
		ns, _ := g.Node(e.To)
		add(ns)
	}
	for i := range g.Nodes {
		ns := &g.Nodes[i]
		if ns.Kind == KindNetns && ns.Host == own.Host && (ns.Attrs.Role == RoleLoadBalancer || ns.Attrs.Role == RoleIngress) && slices.Contains(n.Attrs.Networks, ns.Attrs.Network) {
			add(ns)
		}
	}
	return out
}
