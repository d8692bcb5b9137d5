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
	// From and To are the headings: names of networks; "host" is the namespace itself, "outside" what lies behind its default route.
	From  []string     `json:"from"`
	To    []string     `json:"to"`
	Cells []MatrixCell `json:"cells"`
}

// MatrixCell is one answer, for the first packet of a new connection to a port that nothing publishes.
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

// outsideAddr stands for a host somewhere in the Internet (RFC 5737).
var outsideAddr = netip.MustParseAddr("203.0.113.77")

// matrixNet is a network with its bridge and up to two members.
type matrixNet struct {
	name    string
	br      *snapshot.Link
	prefix  netip.Prefix // the bridge's address and length
	members []matrixMember
}

type matrixMember struct {
	addr netip.Addr
	mac  string
	port string // of the bridge; empty for an address that nobody has
}

// Matrix evaluates which network may talk to which: one matrix for each namespace that carries bridged networks.
func (g *Graph) Matrix() []Matrix {
	nets := map[*Node][]matrixNet{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind != KindNetwork {
			continue
		}
		for _, e := range g.In(n.ID, EdgeCarries) {
			l, ok := g.Node(e.From)
			if !ok || l.Kind != KindLink {
				continue
			}
			ns, ok := g.Netns(l)
			m, fit := g.matrixNet(n.Name, l)
			if ok && fit && g.space(ns) != nil {
				nets[ns] = append(nets[ns], m)
			}
		}
	}
	out := []Matrix{}
	for ns, of := range nets {
		slices.SortFunc(of, func(a, b matrixNet) int { return strings.Compare(a.name, b.name) })
		out = append(out, matrixOf(ns, g.space(ns).rules(), of))
	}
	slices.SortFunc(out, func(a, b Matrix) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Netns, b.Netns))
	})
	return out
}

// matrixNet finds what stands for a network: two members behind ports of its bridge, else addresses that nobody has.
func (g *Graph) matrixNet(name string, l *Node) (m matrixNet, ok bool) {
	m.name, m.br = name, g.Link(l)
	if m.br == nil || m.br.Kind != "bridge" {
		return m, false
	}
	for _, a := range m.br.Addrs {
		if x := a.Prefix.Addr(); x.IsGlobalUnicast() && (!m.prefix.IsValid() || x.Is4() && !m.prefix.Addr().Is4()) {
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

func matrixOf(ns *Node, s *ruleset.Space, nets []matrixNet) Matrix {
	out := Matrix{Netns: ns.ID, Name: ns.Name, Cells: []MatrixCell{}}
	for _, n := range nets {
		out.From = append(out.From, n.name)
	}
	out.To = append(slices.Clone(out.From), matrixHost, matrixOutside)
	out.From = append(out.From, matrixOutside)
	for i := range nets {
		a := &nets[i]
		for j := range nets {
			if i == j {
				out.Cells = append(out.Cells, within(s, a))
			} else {
				out.Cells = append(out.Cells, across(s, a, nets[j].name, nets[j].members[0].addr, nets[j].br.Name))
			}
		}
		out.Cells = append(out.Cells, across(s, a, matrixHost, a.prefix.Addr(), ""))
		if outsideAddr.BitLen() == a.prefix.Addr().BitLen() {
			out.Cells = append(out.Cells, across(s, a, matrixOutside, outsideAddr, ""))
		} else {
			out.Cells = append(out.Cells, MatrixCell{From: a.name, To: matrixOutside, May: MayUnknown, Src: a.members[0].addr, Dst: outsideAddr, Why: "the network has no IPv4 address"})
		}
	}
	r, ok := s.Route(ruleset.RouteQuery{Dst: outsideAddr})
	for i := range nets {
		dst := nets[i].members[0].addr
		c := MatrixCell{From: matrixOutside, To: nets[i].name, May: MayUnknown, Src: outsideAddr, Dst: dst}
		switch {
		case !ok || dst.BitLen() != outsideAddr.BitLen():
			c.Why = "the way from outside is not known"
		case r.Type != "unicast":
			c.May, c.Why = MayNo, "there is no way from outside"
		default:
			judge(&c, s.Walk(firstPacket(outsideAddr, dst), r.Out.Name), nets[i].br.Name)
		}
		out.Cells = append(out.Cells, c)
	}
	for _, to := range []string{matrixHost, matrixOutside} {
		if to == matrixHost && ok && r.Type == "unicast" && r.Source.IsValid() {
			c := MatrixCell{From: matrixOutside, To: to, Src: outsideAddr, Dst: r.Source}
			judge(&c, s.Walk(firstPacket(outsideAddr, r.Source), r.Out.Name), "")
			out.Cells = append(out.Cells, c)
		}
	}
	return out
}

func firstPacket(src, dst netip.Addr) ruleset.Packet {
	return ruleset.First(ruleset.TCP, netip.AddrPortFrom(src, matrixPort), netip.AddrPortFrom(dst, matrixPort))
}

// across is the way from a network to an address elsewhere; out is the bridge by which it must leave, "" for any.
func across(s *ruleset.Space, a *matrixNet, to string, dst netip.Addr, out string) MatrixCell {
	from := a.members[0]
	c := MatrixCell{From: a.name, To: to, Src: from.addr, Dst: dst}
	p := firstPacket(from.addr, dst)
	in := a.br.Name
	if from.port != "" {
		in = from.port
		p.SrcMAC, p.DstMAC, p.Known = from.mac, a.br.MAC, p.Known|ruleset.FMAC
	}
	judge(&c, s.Walk(p, in), out)
	return c
}

// within is the way between two members of a network: over its bridge. Where it has no two, what the rules would do with a
// packet between any.
func within(s *ruleset.Space, a *matrixNet) MatrixCell {
	x, y := a.members[0], a.members[1]
	c := MatrixCell{From: a.name, To: a.name, Src: x.addr, Dst: y.addr}
	p := firstPacket(x.addr, y.addr)
	if x.port != "" && y.port != "" {
		p.SrcMAC, p.DstMAC, p.Known = x.mac, y.mac, p.Known|ruleset.FMAC
		judge(&c, s.WalkPorts(p, x.port, y.port), "")
		return c
	}
	judge(&c, s.WalkBridge(p, a.br.Name), "")
	return c
}

func judge(c *MatrixCell, f ruleset.Fate, out string) {
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
