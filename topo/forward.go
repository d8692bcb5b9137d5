package topo

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// The senders for which it is told what becomes of a packet to a port.
const (
	fromOutside  = "outside"  // through the link that the default route leaves by
	fromHost     = "host"     // a process in the namespace, to one of its addresses
	fromLoopback = "loopback" // the same, to 127.0.0.1 or ::1
)

// side is one sender.
type side struct {
	from string
	hook string
	in   *link
	src  netip.Addr
	dst  netip.Addr
	// clients are all the sources that rules treat as they do src, where a question is about a network of them.
	clients snapshot.NfAddrs
}

// answer is what rules do with the first packet of one sender to one port.
type answer struct {
	side
	// to are the addresses that it is translated to: several where a rule draws lots. None: it is not translated.
	to []netip.AddrPort
	// share is the part of new connections that go to each, where it is known and not all.
	share map[netip.AddrPort]float64
	// by is the rule that translates, told where it is one; via the one that asks for the address, where one does.
	by, via string
	// dropped: it does not get past the hook.
	dropped bool
	// unknown says why it cannot be told.
	unknown string
}

// rulesRead reports whether the firewall rules of a namespace are in its snapshot, all of them: an older one has none, and
// a reader that failed has left a gap.
func (sp *space) rulesRead() bool {
	nf := &sp.ns.Netfilter
	return (nf.Generation != 0 || len(nf.Tables) > 0 || sp.gap(lacksNfTables)) && !sp.gap(sp.hidesRules)
}

// rulesUnread reports whether a gap says that rules of the namespace are missing in its snapshot.
func (sp *space) rulesUnread() bool {
	return sp.gap(func(g *snapshot.Gap) bool { return sp.hidesRules(g) || g.Reader == "namespace" })
}

// gap reports whether the namespace has such a gap.
func (sp *space) gap(is func(g *snapshot.Gap) bool) bool {
	for i := range sp.src.snap.Gaps {
		if g := &sp.src.snap.Gaps[i]; g.Namespace == sp.ns.ID && is(g) {
			return true
		}
	}
	return false
}

// lacksNfTables tells the gap of a kernel that cannot have nftables' rules: where none were read either, there are none.
func lacksNfTables(g *snapshot.Gap) bool {
	return g.Reader == "nftables" && g.Needs == snapshot.NeedsNfTables
}

// hidesRules tells a gap of a reader of firewall rules. A kernel that answers as one without nf_tables, and that after it gave tables, has
// refused a part of them.
func (sp *space) hidesRules(g *snapshot.Gap) bool {
	if lacksNfTables(g) {
		return slices.ContainsFunc(sp.ns.Netfilter.Tables, func(t snapshot.NfTable) bool { return t.Backend == snapshot.NfNft })
	}
	return slices.ContainsFunc([]string{"firewall rules", "netfilter", "nftables", "legacy", "iptables"}, func(s string) bool { return strings.HasPrefix(g.Reader, s) })
}

// rules are those of the namespace with what they ask of it, ready to be evaluated.
func (sp *space) rules() *ruleset.Space {
	sp.rsOnce.Do(func() { sp.rs = ruleset.NewSpace(sp.ns) })
	return sp.rs
}

// eval runs a packet through one hook of the namespace.
func (sp *space) eval(hook string, p ruleset.Packet) ruleset.Result {
	return sp.rules().Rules.Eval(ruleset.At{Family: p.Family, Hook: hook}, p, sp.rules())
}

// owns reports whether packets to an address are delivered in the namespace itself.
func (sp *space) owns(a netip.Addr) bool { return sp.rules().Owns(a) }

// mainAddr is a link's first global address of a family.
func (l *link) mainAddr(v4 bool) netip.Addr {
	var local netip.Addr
	for _, a := range l.l.Addrs {
		ad := a.Prefix.Addr()
		switch {
		case ad.Is4() != v4:
		case ad.IsLinkLocalUnicast():
			local = ad
		default:
			return ad
		}
	}
	return local
}

// uplinks are the links through which packets come from outside: those of the default route, else those with a global
// address that are no bridge.
func (sp *space) uplinks() []*link {
	sp.upOnce.Do(func() { sp.ups = sp.findUplinks() })
	return sp.ups
}

func (sp *space) findUplinks() []*link {
	var out, other []*link
	for _, l := range sp.links {
		def := slices.ContainsFunc(sp.ns.Routes, func(r snapshot.Route) bool {
			return r.OIF == l.l.Index && r.Dst.IsValid() && r.Dst.Bits() == 0 && (r.Table == 254 || r.Table == 0)
		})
		switch {
		case l.l.Type == "loopback":
		case def:
			out = append(out, l)
		case l.l.Kind != "bridge" && l.l.Kind != "dummy" && (l.mainAddr(true).IsValid() || l.mainAddr(false).IsValid()):
			other = append(other, l)
		}
	}
	if len(out) == 0 {
		out = other
	}
	return out[:min(len(out), 4)]
}

// A client outside: addresses kept for documentation (RFC 5737, RFC 3849), which nobody's rules name.
var (
	client4 = netip.MustParseAddr("198.51.100.77")
	client6 = netip.MustParseAddr("2001:db8::77")
)

const clientPort = 45678

func clientOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return client4
	}
	return client6
}

// sides are the senders to an address of the namespace; to all of its addresses where none is given.
func (sp *space) sides(at netip.Addr) []side {
	at = at.Unmap()
	var out []side
	local := func(a netip.Addr) {
		from := fromHost
		if a.IsLoopback() {
			from = fromLoopback
		}
		out = append(out, side{from: from, hook: "output", src: a, dst: a})
	}
	if at.IsValid() && !at.IsUnspecified() {
		if !at.IsLoopback() {
			for _, l := range sp.uplinks() {
				out = append(out, side{from: fromOutside, hook: "prerouting", in: l, src: clientOf(at), dst: at})
			}
		}
		local(at)
		return out
	}
	for _, v4 := range []bool{true, false} {
		if at.IsValid() && at.Is4() != v4 {
			continue
		}
		some := false
		for _, l := range sp.uplinks() {
			if a := l.mainAddr(v4); a.IsValid() && !a.IsLinkLocalUnicast() {
				out = append(out, side{from: fromOutside, hook: "prerouting", in: l, src: clientOf(a), dst: a})
				if !some {
					local(a)
				}
				some = true
			}
		}
		if v4 {
			local(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		} else if some {
			local(netip.IPv6Loopback())
		}
	}
	return out
}

// packet is the first one of a sender to a port.
func (sp *space) packet(s side, proto uint8, port uint16) ruleset.Packet {
	p := ruleset.First(proto, netip.AddrPortFrom(s.src, clientPort), netip.AddrPortFrom(s.dst, port))
	p.Known |= ruleset.FIn | ruleset.FOut
	if s.hook == "output" {
		p.Local = true
		if r, ok := sp.rules().Route(ruleset.RouteQuery{Dst: s.dst, Src: s.src, Proto: proto, Sport: clientPort, Dport: port, OpenUID: true}); ok && (r.Type == "local" || r.Type == "unicast") {
			p.Out, p.NextHop = r.Out, r.Gateway
		} else {
			p.Known &^= ruleset.FOut
		}
		return p
	}
	if s.in != nil {
		p.In = sp.rules().Iface(s.in.l.Name)
	}
	if s.in != nil && s.in.l.Master != 0 { // through a bridge's port
		p.Known &^= ruleset.FPhys
	}
	return p
}

// ask evaluates what a sender's packet becomes.
func (sp *space) ask(s side, proto uint8, port uint16) answer {
	a := answer{side: s}
	r := sp.eval(s.hook, sp.packet(s, proto, port))
	ways := []ruleset.Result{r}
	if r.Verdict == ruleset.Unknown {
		ways = r.Alternatives
		if !r.Complete || len(ways) == 0 {
			a.unknown = unknownWhy(&r)
			return a
		}
	}
	plain := 0
	for i := range ways {
		w := &ways[i]
		p := &w.Packet
		switch {
		case w.Verdict == ruleset.Unknown:
			a.unknown = unknownWhy(w)
		case w.Verdict != ruleset.Accept:
			a.dropped = true
		case !p.Says(ruleset.FDst | ruleset.FDport):
			a.unknown = "one of several addresses or ports is picked"
		case p.Dst == s.dst && p.Dport == port:
			plain++
		default:
			to, share := netip.AddrPortFrom(p.Dst, p.Dport), w.Share
			if !slices.Contains(a.to, to) {
				a.to = append(a.to, to)
			} else if share += a.share[to]; w.Share == 0 || a.share[to] == 0 {
				share = 0
			}
			if a.share == nil {
				a.share = map[netip.AddrPort]float64{}
			}
			a.share[to] = share
			a.via = cmpOr(a.via, takenBy(w, s.dst))
			by := translatedBy(w)
			if a.by != "" && by != a.by {
				by = "several rules"
			}
			a.by = by
		}
	}
	switch {
	case a.unknown == "" && len(ways) > 1 && (len(a.to) > 0 && (plain > 0 || a.dropped) || plain > 0 && a.dropped):
		a.unknown = unknownWhy(&r)
	case a.unknown == "" && a.dropped && (plain > 0 || len(a.to) > 0):
		a.dropped = false
	}
	if a.unknown != "" {
		a.to, a.by, a.via, a.dropped = nil, "", "", false
	}
	if len(a.to) == 1 && a.share[a.to[0]] > 0.999 {
		a.share = nil
	}
	slices.SortFunc(a.to, netip.AddrPort.Compare)
	return a
}

func unknownWhy(r *ruleset.Result) string {
	if r.By == nil {
		return cmpOr(r.Why, "not known")
	}
	return strings.TrimSuffix(r.By.String()+": "+r.Why, ": ")
}

func cmpOr(s, t string) string {
	if s == "" {
		return t
	}
	return s
}

// translatedBy names the rule that translated the destination.
func translatedBy(r *ruleset.Result) string {
	for i := len(r.Steps) - 1; i >= 0; i-- {
		src := r.Steps[i].Source()
		if src == nil {
			continue
		}
		for _, x := range src.Exprs {
			if x.NAT != nil && (x.NAT.Kind == "dnat" || x.NAT.Kind == "redirect" || x.NAT.Kind == "netmap") {
				return r.Steps[i].String()
			}
		}
	}
	return ""
}

// takenBy names the rule that asked for an address.
func takenBy(r *ruleset.Result, a netip.Addr) string {
	for i := range r.Steps {
		src := r.Steps[i].Source()
		if src == nil {
			continue
		}
		for _, x := range src.Exprs {
			for _, m := range x.Matches {
				if m.Op == snapshot.NfEq && strings.HasSuffix(m.Left.Key, " daddr") && slices.ContainsFunc(m.Values, func(v snapshot.NfValue) bool {
					return v.Prefix.IsValid() && v.Prefix.IsSingleIP() && v.Prefix.Addr() == a
				}) {
					return r.Steps[i].String()
				}
			}
			if x.Map != nil && slices.ContainsFunc(x.Map.Key.Parts, func(o snapshot.NfOperand) bool { return strings.HasSuffix(o.Key, " daddr") }) {
				return r.Steps[i].String()
			}
		}
	}
	return ""
}

// markOf is the mark that a packet has that came through a link and is delivered in the namespace, once it is past the
// input hook's mangling, and the rule that gave it.
func (sp *space) markOf(s side, proto uint8, port uint16) (mark uint32, by string, ok bool) {
	p := sp.packet(s, proto, port)
	for _, hook := range []string{"prerouting", "input"} {
		r := sp.eval(hook, p)
		if r.Verdict != ruleset.Accept || !r.Packet.Says(ruleset.FMark) {
			return 0, "", false
		}
		for i := range r.Steps {
			if src := r.Steps[i].Source(); src != nil && slices.ContainsFunc(src.Exprs, func(x snapshot.NfExpr) bool {
				return x.Assign != nil && x.Assign.To.Kind == "meta" && x.Assign.To.Key == "mark"
			}) {
				by = r.Steps[i].String()
			}
		}
		p = r.Packet
	}
	return p.Mark, by, true
}

// virtual is the load balancer's entry that takes a packet: by its mark first, then by protocol, address and port
// (ip_vs_service_find).
func (sp *space) virtual(mark uint32, proto string, dst netip.AddrPort) *snapshot.IPVSService {
	if sp.ns.IPVS == nil {
		return nil
	}
	fam := "inet"
	if dst.Addr().Is6() {
		fam = "inet6"
	}
	var any *snapshot.IPVSService
	for i := range sp.ns.IPVS.Services {
		v := &sp.ns.IPVS.Services[i]
		if v.Family != fam {
			continue
		}
		switch {
		case v.FWMark != 0:
			if v.FWMark == mark {
				return v
			}
		case v.Protocol == proto && v.Addr == dst.Addr() && v.Port == dst.Port():
			any = v
		case v.Protocol == proto && v.Addr == dst.Addr() && v.Port == 0 && any == nil:
			any = v
		}
	}
	return any
}

// markWords writes a mark as iptables and as ipvsadm do.
func markWords(m uint32) string { return fmt.Sprintf("0x%x (%d)", m, m) }
