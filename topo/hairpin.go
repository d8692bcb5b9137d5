package topo

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/nscope/nscope/topo/ruleset"
)

// The answers of [Graph.Hairpin] are those of a matrix: yes, no, unknown.

// Hairpin says whether a container that publishes a port reaches itself by it, at the address at which it is published: by
// the rules of the namespace where it is, the way back over the bridge, and who listens there in the container's place. Why
// names what decides. Empty where the question has no sense: a port on loopback, of the mesh, of another kind of wire.
func (g *Graph) Hairpin(e *Edge) (may, why string) {
	home := g.index().raw[e.To].sp
	from, ok := g.Node(e.From)
	number := protoNumber(e.Attrs.Proto)
	if e.Kind != EdgePublishes || e.Attrs.By == "mesh" || home == nil || !ok || number == 0 || !home.rulesRead() {
		return "", ""
	}
	ownNode, ok := g.Netns(from)
	at := home.publishedAt(e.Attrs.HostAddr)
	if !ok || !at.IsValid() {
		return "", ""
	}
	own := g.index().raw[ownNode.ID].sp
	if own == nil || own == home {
		return "", ""
	}
	sent := own.rules().Walk(ruleset.First(number, netip.AddrPortFrom(netip.Addr{}, clientPort), netip.AddrPortFrom(at, e.Attrs.HostPort)), "")
	switch {
	case sent.End == ruleset.Unsure:
		return MayUnknown, endWords(&sent)
	case sent.End != ruleset.Sent:
		return MayNo, "it does not leave: " + endWords(&sent)
	}
	out := own.byIdx[sent.Packet.Out.Index]
	if out == nil {
		return "", ""
	}
	src := sent.Packet.Src
	if !src.IsValid() { // of several IPv6 addresses
		src = out.mainAddr(at.Is4())
	}
	n, _ := g.Node(out.node)
	peer := g.Peer(n)
	if peer == nil || peer.Attrs.Netns != home.node {
		return "", ""
	}
	port := g.index().raw[peer.ID].link
	first := port.l.MAC
	if br := home.byIdx[port.l.Master]; br != nil {
		first = br.l.MAC
	}
	p := ruleset.First(number, netip.AddrPortFrom(src, clientPort), netip.AddrPortFrom(at, e.Attrs.HostPort))
	p.SrcMAC, p.DstMAC, p.Known = out.l.MAC, first, p.Known|ruleset.FMAC
	f := home.rules().WalkBehind(p, port.l.Name, port.l.Name, src)
	ways := f.Alternatives
	if f.End != ruleset.Unsure || len(ways) == 0 {
		ways = []ruleset.Fate{f}
	}
	for i := range ways {
		m, w := hairpinEnd(own, home, &ways[i], src)
		if i > 0 && m != may {
			return MayUnknown, endWords(&f)
		}
		may, why = m, w
	}
	return may, why
}

// publishedAt is an address of the namespace at which others ask for a port that is published at one.
func (sp *space) publishedAt(host string) netip.Addr {
	a, err := netip.ParseAddr(host)
	switch {
	case err == nil && a.IsLoopback():
		return netip.Addr{}
	case err == nil && !a.IsUnspecified():
		return a
	}
	v4 := err != nil || a.Is4()
	for _, l := range append(sp.uplinks(), sp.links...) {
		if x := l.mainAddr(v4); x.IsValid() && x.IsGlobalUnicast() {
			return x
		}
	}
	return netip.Addr{}
}

func hairpinEnd(own, home *space, f *ruleset.Fate, src netip.Addr) (may, why string) {
	p := &f.Packet
	switch f.End {
	case ruleset.Unsure, ruleset.Taken:
		return MayUnknown, endWords(f)
	case ruleset.Delivered:
		if len(home.ns.Sockets) == 0 {
			return MayUnknown, "it is delivered to " + home.name + ", whose sockets were not read"
		}
		for i := range home.ns.Sockets {
			s := &home.ns.Sockets[i]
			local := s.Local.Addr().Unmap()
			if s.Proto == protoName(p.Proto) && s.Local.Port() == p.Dport && s.Remote.Port() == 0 && (s.Proto != "tcp" || s.State == "listen") &&
				(local == p.Dst || local.IsUnspecified() && (local.Is4() == p.Dst.Is4() || !s.V6Only)) {
				if s.Comm == "" {
					return MayYes, "through a process that listens in " + home.name
				}
				return MayYes, fmt.Sprintf("through %s (pid %d)", s.Comm, s.PID)
			}
		}
		return MayNo, "it is delivered to " + home.name + ", where nobody listens"
	case ruleset.Sent:
		switch {
		case !own.owns(p.Dst):
			return MayNo, "it is sent on to " + p.Dst.String()
		case p.Src == src:
			return MayNo, "it comes back with the container's own address, which nobody answers"
		}
		return MayYes, "it comes back as from " + p.Src.String()
	}
	return MayNo, endWords(f)
}

// endWords say what ended a packet's way.
func endWords(f *ruleset.Fate) string {
	s := string(f.End)
	if f.End == ruleset.Unsure && f.Why != "" && f.By == nil {
		return f.Why
	}
	if f.By != nil {
		s += " by " + f.By.String()
	}
	return strings.TrimSuffix(s+": "+f.Why, ": ")
}

func hairpinWords(name, may, why string) string {
	s := map[string]string{MayYes: name + " reaches itself by it", MayNo: name + " does not reach itself by it", MayUnknown: "whether " + name + " reaches itself by it is not known"}[may]
	if why != "" {
		s += paren(why)
	}
	return s
}
