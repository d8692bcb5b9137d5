package topo

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// The answers of a [MatrixCell].
const (
	MayYes     = "yes"
	MayNAT     = "nat" // with another source address
	MayNo      = "no"
	MayUnknown = "unknown"
)

// Matrix says which networks of one namespace may talk to which, as its rules, routes and bridges decide it.
type Matrix struct {
	// Netns is the id of the node of the namespace that carries the networks, Name what it is called.
	Netns string `json:"netns"`
	Name  string `json:"name"`
	// Family is that of the packets, ip or ip6: a network that has both is in two matrices.
	Family string `json:"family"`
	// From and To are the headings: names of networks; "host" is the namespace itself, "outside" what lies behind its default route.
	From  []string     `json:"from"`
	To    []string     `json:"to"`
	Cells []MatrixCell `json:"cells"`
}

// MatrixOptions say what packets are tried: the first of a connection to a port. The zero value is TCP to a port that nothing
// publishes.
type MatrixOptions struct {
	// Proto is tcp, udp, sctp … or icmp, which is an echo request (of ICMPv6 for IPv6).
	Proto string
	Port  uint16
}

// MatrixLeft is a network that is in no matrix, and why.
type MatrixLeft struct {
	// Network is the id of its node, Name what it is called.
	Network string `json:"network"`
	Name    string `json:"name"`
	Why     string `json:"why"`
}

// MatrixCell is one answer, for the first packet of a new connection.
type MatrixCell struct {
	From string `json:"from"`
	To   string `json:"to"`
	May  string `json:"may"`
	// Src and Dst are those of the packet that was tried.
	Src netip.Addr `json:"src"`
	Dst netip.Addr `json:"dst"`
	// Rule is the one that decided, empty where none did; Why says what else did.
	Rule string `json:"rule,omitempty"`
	Why  string `json:"why,omitempty"`
}

const (
	matrixHost    = "host"
	matrixOutside = "outside"
	// matrixPort is a port that nothing is published at.
	matrixPort = 64999
)

// outside4 and outside6 stand for a host somewhere in the Internet (RFC 5737, RFC 9637).
var (
	outside4 = netip.MustParseAddr("203.0.113.77")
	outside6 = netip.MustParseAddr("3fff:fff::77")
)

// matrixer makes the matrix of one namespace and family.
type matrixer struct {
	s       *ruleset.Space
	o       MatrixOptions
	outside netip.Addr
	// closed says why nothing can be told, empty where it can.
	closed string
}

// matrixNet is a network with its bridge, or the parent of its links, and up to two members.
type matrixNet struct {
	name   string
	br     *snapshot.Link
	parent *snapshot.Link // of macvlans and ipvlans, where there is no bridge
	// reflects: the switch behind the parent sends frames back out of the port that they came in by.
	reflects bool
	overlay  bool
	prefix   netip.Prefix // the bridge's address and length; without a bridge the subnet
	members  []matrixMember
}

type matrixMember struct {
	addr netip.Addr
	mac  string
	port string // of the bridge; empty for an address that nobody has
	// link, sp and of are a macvlan's or ipvlan's: where it is, and what that is called.
	link *snapshot.Link
	sp   *space
	of   string
}

// Matrix evaluates which network may talk to which: one matrix for each namespace that carries networks, and IP
// version. left are the networks of which no rules of a namespace decide.
func (g *Graph) Matrix(o MatrixOptions) (out []Matrix, left []MatrixLeft) {
	type key struct {
		ns  *Node
		fam string
	}
	nets := map[key][]matrixNet{}
	left = []MatrixLeft{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind != KindNetwork {
			continue
		}
		fit := false
		for _, e := range g.In(n.ID, EdgeCarries) {
			l, ok := g.Node(e.From)
			if !ok {
				continue
			}
			overlay := l.Kind == KindNetns
			if overlay {
				if l = g.vxlanBridge(l); l == nil {
					continue
				}
			}
			ns, ok := g.Netns(l)
			for _, fam := range []string{"ip", "ip6"} {
				m, ok2 := g.matrixNet(n.Name, l, fam)
				if m.overlay = overlay; l.Attrs.Type != "bridge" {
					m, ok2 = g.matrixParent(n, l, fam)
				}
				if ok && ok2 && g.space(ns) != nil {
					nets[key{ns, fam}] = append(nets[key{ns, fam}], m)
					fit = true
				}
			}
		}
		if !fit {
			left = append(left, MatrixLeft{Network: n.ID, Name: n.Name, Why: g.whyLeft(n)})
		}
	}
	out = []Matrix{}
	for k, of := range nets {
		slices.SortFunc(of, func(a, b matrixNet) int { return strings.Compare(a.name, b.name) })
		sp := g.space(k.ns)
		m := &matrixer{s: sp.rules(), o: o, outside: outside4}
		if k.fam == "ip6" {
			m.outside = outside6
		}
		if !sp.rulesRead() {
			m.closed = "the firewall rules were not read"
		}
		out = append(out, m.matrix(k.ns, k.fam, of))
	}
	slices.SortFunc(out, func(a, b Matrix) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Netns, b.Netns), strings.Compare(a.Family, b.Family))
	})
	return out, left
}

// whyLeft says why a network is in no matrix.
func (g *Graph) whyLeft(n *Node) string {
	for _, e := range g.In(n.ID, EdgeCarries) {
		c, ok := g.Node(e.From)
		switch {
		case !ok:
		case c.Kind == KindNetns:
			return "the bridge in " + c.Name + g.on(c) + " has no address"
		case c.Attrs.Type != "bridge":
			return "none of its members that sit on " + g.linkPhrase(c) + " was read"
		default:
			return "its bridge has no address"
		}
	}
	return "nothing that was read carries it"
}

// matrixNet finds what stands for a network: two members behind ports of its bridge, else addresses that nobody has.
func (g *Graph) matrixNet(name string, l *Node, fam string) (m matrixNet, ok bool) {
	m.name, m.br = name, g.Link(l)
	if m.br == nil || m.br.Kind != "bridge" {
		return m, false
	}
	for _, a := range m.br.Addrs {
		if x := a.Prefix.Addr(); x.IsGlobalUnicast() && !m.prefix.IsValid() && familyOf(x) == fam {
			m.prefix = a.Prefix
		}
	}
	if !m.prefix.IsValid() {
		return m, false
	}
	for _, e := range g.In(l.ID, EdgePort) {
		port, _ := g.Node(e.From)
		if port == nil || g.Link(port) == nil {
			continue
		}
		peer := g.Peer(port)
		if peer == nil || g.Link(peer) == nil {
			continue
		}
		for _, a := range g.Link(peer).Addrs {
			if m.prefix.Contains(a.Prefix.Addr()) && len(m.members) < 2 {
				m.members = append(m.members, matrixMember{addr: a.Prefix.Addr(), mac: g.Link(peer).MAC, port: port.Name})
				break
			}
		}
	}
	next := m.prefix.Masked().Addr()
	for range 1 << 10 {
		if len(m.members) >= 2 || !m.prefix.Contains(next.Next()) {
			break
		}
		if next = next.Next(); next != m.prefix.Addr() && !slices.ContainsFunc(m.members, func(x matrixMember) bool { return x.addr == next }) {
			m.members = append(m.members, matrixMember{addr: next})
		}
	}
	return m, len(m.members) == 2
}

func (m *matrixer) matrix(ns *Node, fam string, nets []matrixNet) Matrix {
	out := Matrix{Netns: ns.ID, Name: ns.Name, Family: fam, Cells: []MatrixCell{}}
	s, outsideAddr := m.s, m.outside
	for _, n := range nets {
		out.From = append(out.From, n.name)
	}
	out.To = append(slices.Clone(out.From), matrixHost, matrixOutside)
	out.From = append(out.From, matrixOutside)
	for i := range nets {
		a := &nets[i]
		for j := range nets {
			if i == j {
				out.Cells = append(out.Cells, m.within(a))
			} else {
				out.Cells = append(out.Cells, m.between(a, &nets[j]))
			}
		}
		switch {
		case a.parent == nil:
			out.Cells = append(out.Cells, m.across(a, matrixHost, a.prefix.Addr(), ""))
			out.Cells = append(out.Cells, m.across(a, matrixOutside, outsideAddr, ""))
		default:
			if at := a.parentAddr(fam); at.IsValid() {
				out.Cells = append(out.Cells, m.fromParent(a, matrixHost, at))
			}
			out.Cells = append(out.Cells, m.fromParent(a, matrixOutside, outsideAddr))
		}
	}
	r, ok := s.Route(ruleset.RouteQuery{Dst: outsideAddr})
	for i := range nets {
		if nets[i].parent != nil {
			out.Cells = append(out.Cells, m.outsideToParent(&nets[i]))
			continue
		}
		dst := nets[i].members[0].addr
		c := MatrixCell{From: matrixOutside, To: nets[i].name, May: MayUnknown, Src: outsideAddr, Dst: dst}
		switch {
		case !ok:
			c.Why = "the way from outside is not known"
		case r.Type != "unicast":
			c.May, c.Why = MayNo, "there is no way from outside"
		default:
			m.judge(&c, s.Walk(m.first(outsideAddr, dst), r.Out.Name), nets[i].br.Name)
		}
		out.Cells = append(out.Cells, c)
	}
	for _, to := range []string{matrixHost, matrixOutside} {
		if at := s.AddressOf(r); to == matrixHost && ok && r.Type == "unicast" && at.IsValid() {
			c := MatrixCell{From: matrixOutside, To: to, Src: outsideAddr, Dst: at}
			m.judge(&c, s.Walk(m.first(outsideAddr, at), r.Out.Name), "")
			out.Cells = append(out.Cells, c)
		}
	}
	return out
}

// first is the packet that is tried.
func (m *matrixer) first(src, dst netip.Addr) ruleset.Packet {
	if m.o.Proto == "icmp" {
		return ruleset.Ping(src, dst)
	}
	return ruleset.First(protoNumber(cmp.Or(m.o.Proto, "tcp")), netip.AddrPortFrom(src, matrixPort), netip.AddrPortFrom(dst, cmp.Or(m.o.Port, matrixPort)))
}

// between is the way from one network to another.
func (m *matrixer) between(a, b *matrixNet) MatrixCell {
	dst := b.members[0].addr
	switch {
	case a.parent != nil:
		return m.fromParent(a, b.name, dst)
	case b.parent != nil:
		c := MatrixCell{From: a.name, To: b.name, Src: a.members[0].addr, Dst: dst}
		m.toParent(&c, b, m.walk(a, dst))
		return c
	}
	return m.across(a, b.name, dst, b.br.Name)
}

// across is the way from a bridged network to an address elsewhere; out is the bridge by which it must leave, "" for any.
func (m *matrixer) across(a *matrixNet, to string, dst netip.Addr, out string) MatrixCell {
	c := MatrixCell{From: a.name, To: to, Src: a.members[0].addr, Dst: dst}
	m.judge(&c, m.walk(a, dst), out)
	return c
}

// walk leads a packet of a bridged network's member through the namespace.
func (m *matrixer) walk(a *matrixNet, dst netip.Addr) ruleset.Fate {
	from := a.members[0]
	p := m.first(from.addr, dst)
	in := a.br.Name
	if from.port != "" {
		in = from.port
		p.SrcMAC, p.DstMAC, p.Known = from.mac, a.br.MAC, p.Known|ruleset.FMAC
	}
	return m.s.Walk(p, in)
}

// within is the way between two members of a network: over its bridge. Where it has no two, what the rules would do with a
// packet between any.
func (m *matrixer) within(a *matrixNet) MatrixCell {
	if a.parent != nil {
		return m.withinParent(a)
	}
	x, y := a.members[0], a.members[1]
	c := MatrixCell{From: a.name, To: a.name, Src: x.addr, Dst: y.addr}
	p := m.first(x.addr, y.addr)
	if x.port != "" && y.port != "" {
		p.SrcMAC, p.DstMAC, p.Known = x.mac, y.mac, p.Known|ruleset.FMAC
		m.judge(&c, m.s.WalkPorts(p, x.port, y.port), "")
		return c
	}
	m.judge(&c, m.s.WalkBridge(p, a.br.Name), "")
	a.tunnelled(&c)
	return c
}

func (m *matrixer) judge(c *MatrixCell, f ruleset.Fate, out string) {
	if m.closed != "" {
		c.May, c.Why = MayUnknown, m.closed
		return
	}
	c.Why = f.Why
	if f.By != nil {
		c.Rule = f.By.String()
	}
	c.May = mayOf(&f, c.Src, out)
	if f.End == ruleset.Unsure && len(f.Alternatives) > 1 {
		// Every way leads to the same answer: which it is does not matter.
		all := mayOf(&f.Alternatives[0], c.Src, out)
		for i := range f.Alternatives {
			if mayOf(&f.Alternatives[i], c.Src, out) != all {
				all = MayUnknown
			}
		}
		c.May = all
	}
	if c.May == MayNAT {
		c.Rule = natRule(&f)
	}
}

func mayOf(f *ruleset.Fate, src netip.Addr, out string) string {
	switch f.End {
	case ruleset.Unsure, ruleset.Taken:
		return MayUnknown
	case ruleset.Delivered, ruleset.Sent:
		switch {
		case f.End == ruleset.Sent && out != "" && f.Packet.Out.Name != out:
			return MayNo // it goes elsewhere
		case f.Packet.Src != src:
			return MayNAT
		}
		return MayYes
	}
	return MayNo
}

// natRule is the rule that translated.
func natRule(f *ruleset.Fate) string {
	for i := range f.Hooks {
		for j := range f.Hooks[i].Steps {
			if st := &f.Hooks[i].Steps[j]; strings.HasPrefix(st.Did, "masquerade") || strings.HasPrefix(st.Did, "snat") {
				return st.Ref.String()
			}
		}
	}
	return ""
}
