package topo

import (
	"net/netip"
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// matrixParent finds what stands for a network whose members' links are macvlans or ipvlans on l: up to two of them. Their packets
// pass the rules of their own namespaces, and those of the device l.
func (g *Graph) matrixParent(n, l *Node, fam string) (m matrixNet, ok bool) {
	m.name, m.parent = n.Name, g.Link(l)
	if m.parent == nil {
		return m, false
	}
	for _, s := range n.Attrs.Subnets {
		if p, err := netip.ParsePrefix(s); err == nil && !m.prefix.IsValid() && familyOf(p.Addr()) == fam {
			m.prefix = p
		}
	}
	if !m.prefix.IsValid() {
		return m, false
	}
	if peer := g.Peer(l); peer != nil {
		raw := g.Link(peer)
		m.reflects = raw != nil && raw.BridgePort != nil && raw.BridgePort.Hairpin
	}
	home, _ := g.Netns(l)
	for _, e := range g.In(l.ID, EdgeParent) {
		child, _ := g.Node(e.From)
		if child == nil || len(m.members) == 2 {
			continue
		}
		raw := g.Link(child)
		ns, known := g.Netns(child)
		if raw == nil || raw.Macvlan == nil && raw.Ipvlan == nil || !known || ns == home || g.space(ns) == nil {
			continue
		}
		for _, a := range raw.Addrs {
			if m.prefix.Contains(a.Prefix.Addr()) {
				m.members = append(m.members, matrixMember{addr: a.Prefix.Addr(), mac: raw.MAC, link: raw, sp: g.space(ns), of: g.ownerName(ns)})
				break
			}
		}
	}
	return m, len(m.members) > 0
}

// leaves is the way of a packet out of the namespace of a member by its link: done is false where it leaves so, by the route of f.
func (m *matrixer) leaves(c *MatrixCell, x *matrixMember, dst netip.Addr) (f ruleset.Fate, done bool) {
	if !x.sp.rulesRead() {
		c.May, c.Why = MayUnknown, "the firewall rules of "+x.of+" were not read"
		return f, true
	}
	f = x.sp.rules().Walk(m.first(x.addr, dst), "")
	if f.End == ruleset.Sent && f.Packet.Out.Name != x.link.Name {
		c.May, c.Why = MayUnknown, x.of+" sends it out of "+f.Packet.Out.Name
		return f, true
	}
	m.judge(c, f, "")
	return f, f.End != ruleset.Sent
}

// arrives is the way of a packet that the parent hands to a member's link, into its namespace.
func (m *matrixer) arrives(c *MatrixCell, y *matrixMember, p ruleset.Packet) {
	if !y.sp.rulesRead() {
		c.May, c.Why = MayUnknown, "the firewall rules of "+y.of+" were not read"
		return
	}
	// Of what the packet was elsewhere, the next namespace sees what is on the wire only.
	q := m.first(p.Src, p.Dst)
	q.DstMAC, q.Known = y.mac, q.Known|ruleset.FMAC
	was := c.Rule
	if m.judge(c, y.sp.rules().Walk(q, y.link.Name), ""); c.May == MayNAT {
		c.Rule = was
	}
}

// device is a hook of the parent's; false where the packet does not get past it, or where that cannot be told.
func (m *matrixer) device(c *MatrixCell, a *matrixNet, p ruleset.Packet, hook string) bool {
	if m.closed != "" {
		c.May, c.Why = MayUnknown, m.closed
		return false
	}
	was := c.Rule
	f := m.s.Pass(p, a.parent.Name, hook)
	if m.judge(c, f, ""); c.May == MayNAT {
		c.Rule = was // of the namespace where it was translated
	}
	return f.End == ruleset.Sent
}

// direct says whether the parent hands frames from one of its links to another: the answer where it does not, or where that is not known.
func direct(parent string, x, y *snapshot.Link) (may, why string) {
	mode := func(l *snapshot.Link) string {
		switch {
		case l.Macvlan != nil:
			return l.Macvlan.Mode
		case l.Ipvlan != nil && l.Ipvlan.Flag != "":
			return l.Ipvlan.Flag
		}
		return "bridge"
	}
	switch a, b := mode(x), mode(y); {
	case a == "private" || b == "private":
		return MayNo, "the links on " + parent + " are private"
	case a != "bridge" || b != "bridge":
		return MayUnknown, "in the mode " + a + " the switch behind " + parent + " decides"
	}
	return "", ""
}

// reflected is why a frame may come back to the parent's own side: a switch that sends it out of the port that it came in by. It is what
// the mode vepa is for.
func (a *matrixNet) reflected() string {
	vepa := slices.ContainsFunc(a.members, func(x matrixMember) bool {
		return x.link.Macvlan != nil && x.link.Macvlan.Mode == "vepa" || x.link.Ipvlan != nil && x.link.Ipvlan.Flag == "vepa"
	})
	if !vepa && !a.reflects {
		return ""
	}
	return "the switch behind " + a.parent.Name + " may send it back: it decides"
}

// routedByIpvlan is why nothing is told of what an ipvlan routes in the namespace of its parent.
func routedByIpvlan(a *matrixNet) string {
	for i := range a.members {
		if v := a.members[i].link.Ipvlan; v != nil && v.Mode != "l2" {
			return "an ipvlan of the mode " + v.Mode + " is routed by " + a.parent.Name + "'s namespace in a way of its own"
		}
	}
	return ""
}

// withinParent is the way between two members.
func (m *matrixer) withinParent(a *matrixNet) MatrixCell {
	x := &a.members[0]
	c := MatrixCell{From: a.name, To: a.name, May: MayUnknown, Src: x.addr}
	if len(a.members) < 2 {
		c.Dst, c.Why = x.addr, "only one of its members is here"
		return c
	}
	y := &a.members[1]
	c.Dst = y.addr
	f, done := m.leaves(&c, x, y.addr)
	if done {
		return c
	}
	if may, why := direct(a.parent.Name, x.link, y.link); may != "" {
		c.May, c.Why, c.Rule = may, why, ""
		return c
	}
	if f.Route.Gateway.IsValid() {
		c.May, c.Why = MayUnknown, "the router "+f.Route.Gateway.String()+" decides"
		return c
	}
	// A macvlan sends by way of the parent's receiving side (macvlan_queue_xmit), an ipvlan straight (ipvlan_rcv_frame).
	if x.link.Macvlan != nil && !m.device(&c, a, f.Packet, "ingress") {
		return c
	}
	m.arrives(&c, y, f.Packet)
	return c
}

// fromParent is the way from a member to an address elsewhere.
func (m *matrixer) fromParent(a *matrixNet, to string, dst netip.Addr) MatrixCell {
	x := &a.members[0]
	c := MatrixCell{From: a.name, To: to, Src: x.addr, Dst: dst}
	f, done := m.leaves(&c, x, dst)
	if done {
		return c
	}
	if why := routedByIpvlan(a); why != "" {
		c.May, c.Why, c.Rule = MayUnknown, why, ""
		return c
	}
	if !m.device(&c, a, f.Packet, "egress") {
		return c
	}
	switch gw := f.Route.Gateway; {
	case to == matrixOutside:
	case !gw.IsValid() && a.reflected() != "":
		c.May, c.Rule, c.Why = MayUnknown, "", a.reflected()
	case !gw.IsValid() && slices.ContainsFunc(a.parent.Addrs, func(x snapshot.Addr) bool { return x.Prefix.Addr() == dst }):
		c.May, c.Rule, c.Why = MayNo, "", "what a link on "+a.parent.Name+" sends does not come to "+a.parent.Name+" itself"
	case gw.IsValid():
		c.May, c.Rule, c.Why = MayUnknown, "", "the router "+gw.String()+" behind "+a.parent.Name+" decides"
	default:
		c.May, c.Rule, c.Why = MayUnknown, "", "who answers behind "+a.parent.Name+" decides"
	}
	return c
}

// toParent is the way to a member from a bridged network, after its packet went through the namespace as f says.
func (m *matrixer) toParent(c *MatrixCell, b *matrixNet, f ruleset.Fate) {
	m.judge(c, f, "")
	if f.End != ruleset.Sent || m.closed != "" {
		return
	}
	gw, out := f.Route.Gateway, m.s.Link(f.Packet.Out.Name)
	why := routedByIpvlan(b)
	switch sibling := out != nil && (out.Macvlan != nil || out.Ipvlan != nil) && out.Peer != nil && out.Peer.Index == b.parent.Index && out.Peer.NSID == nil; {
	case gw.IsValid():
		c.May, c.Rule, c.Why = MayUnknown, "", "the router "+gw.String()+" decides"
	case why != "":
		c.May, c.Rule, c.Why = MayUnknown, "", why
	case out != nil && out.Index == b.parent.Index && b.reflected() != "":
		c.May, c.Rule, c.Why = MayUnknown, "", b.reflected()
	case out != nil && out.Index == b.parent.Index:
		c.May, c.Rule, c.Why = MayNo, "", "what "+b.parent.Name+" itself sends does not come to the links on it"
	case sibling:
		if may, why := direct(b.parent.Name, out, b.members[0].link); may != "" {
			c.May, c.Rule, c.Why = may, "", why
		} else if out.Ipvlan != nil || m.device(c, b, f.Packet, "ingress") {
			m.arrives(c, &b.members[0], f.Packet)
		}
	default:
		c.May, c.Rule, c.Why = MayUnknown, "", "it leaves by "+f.Packet.Out.Name
	}
}

// outsideToParent is the way from outside to a member: through the parent's receiving side.
func (m *matrixer) outsideToParent(a *matrixNet) MatrixCell {
	y := &a.members[0]
	c := MatrixCell{From: matrixOutside, To: a.name, May: MayYes, Src: m.outside, Dst: y.addr}
	if why := routedByIpvlan(a); why != "" && y.link.Ipvlan.Mode == "l3s" {
		c.May, c.Why = MayUnknown, why
		return c
	}
	if p := m.first(m.outside, y.addr); m.device(&c, a, p, "ingress") {
		m.arrives(&c, y, p)
	}
	return c
}

// parentAddr is an address of the namespace for a network without a bridge: one of its parent's in the network, else any.
func (a *matrixNet) parentAddr(fam string) netip.Addr {
	var other netip.Addr
	for _, x := range a.parent.Addrs {
		ad := x.Prefix.Addr()
		switch {
		case familyOf(ad) != fam || !ad.IsGlobalUnicast():
		case a.prefix.Contains(ad):
			return ad
		case !other.IsValid():
			other = ad
		}
	}
	return other
}

// vxlanBridge is the bridge of an overlay's namespace: the one that a vxlan is a port of.
func (g *Graph) vxlanBridge(ns *Node) *Node {
	sp := g.space(ns)
	if sp == nil {
		return nil
	}
	for _, l := range sp.links {
		if br := sp.byIdx[l.l.Master]; l.l.Kind == "vxlan" && br != nil && br.l.Kind == "bridge" {
			n, _ := g.Node(br.node)
			return n
		}
	}
	return nil
}

// tunnelled answers for an overlay of which fewer than two members are here: what its namespace lets pass, tunnels have to bring.
func (a *matrixNet) tunnelled(c *MatrixCell) {
	here := 0
	for i := range a.members {
		if a.members[i].port != "" {
			here++
		}
	}
	if a.overlay && here < 2 && (c.May == MayYes || c.May == MayNAT) {
		c.May, c.Rule, c.Why = MayUnknown, "", "fewer than two of its members are here: tunnels decide"
	}
}
