package topo

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// maxFollowed bounds how many ports that no engine claims are followed in one namespace.
const maxFollowed = 512

// unclaimed draws the ports of a namespace that rules translate and no engine claims.
func (b *builder) unclaimed(done map[*space][]EdgeAttrs) {
	for _, sp := range b.allSpaces() {
		if b.balancedPorts(sp); !sp.rulesRead() {
			continue
		}
		found, cut := b.candidates(sp).list, b.candidates(sp).cut
		if len(found) == 0 {
			continue
		}
		asked := map[askedPort]bool{}
		bounds, exact := portBounds(&sp.ns.Netfilter)
		for i := range found {
			for _, q := range sp.questions(&found[i], bounds, exact) {
				if asked[q] || slices.ContainsFunc(done[sp], func(a EdgeAttrs) bool {
					return a.HostPort <= q.from && q.to <= max(a.HostPort, a.HostPortTo) && a.Proto == protoName(q.proto) && (!q.at.IsValid() || a.HostAddr == "" || a.HostAddr == q.at.String() || strings.Trim(a.HostAddr, "0.:") == "")
				}) {
					continue
				}
				if len(asked) >= maxFollowed {
					cut = true
					break
				}
				asked[q] = true
				b.follow(sp, q)
			}
		}
		if cut {
			b.gap(sp.src, sp.id, "published ports", "more rules translate ports than are followed", "")
		}
	}
}

// askedPort is a port, or a range of ports that rules treat alike, of a namespace or of one of its addresses; through one
// link, or from one client, where the rule wants that.
type askedPort struct {
	proto    uint8
	at       netip.Addr
	from, to uint16
	in       string
	client   netip.Prefix
}

// questions are the ports of a namespace's own addresses that a rule may translate.
func (sp *space) questions(c *candidate, bounds []uint32, exact bool) (out []askedPort) {
	dport := c.dport
	if len(dport) == 0 {
		if !exact {
			return nil
		}
		dport = []snapshot.NfNum{{From: 1, To: 65535}}
	}
	protos := []uint8{c.proto}
	if c.proto == 0 {
		protos = []uint8{6, 17}
	}
	ats := []netip.Addr{{}}
	if len(c.daddr) > 0 {
		ats = nil
		for _, p := range c.daddr {
			for _, a := range sp.globalAddrs() {
				if p.Contains(a) && !slices.Contains(ats, a) {
					ats = append(ats, a)
				}
			}
			if p.IsSingleIP() && p.Addr().IsLoopback() && !slices.Contains(ats, p.Addr()) {
				ats = append(ats, p.Addr())
			}
		}
	}
	ins := []string{""}
	if c.hook == "prerouting" && len(c.in) > 0 {
		ins = nil
		for _, in := range c.in {
			if l := sp.byName[in]; l != nil && !slices.Contains(sp.uplinks(), l) && l.l.Type != "loopback" {
				ins = append(ins, in)
			} else if l != nil || strings.HasSuffix(in, "*") {
				ins = append(ins, "")
			}
		}
	}
	clients := []netip.Prefix{{}}
	if len(c.saddr) > 0 {
		clients = c.saddr
	}
	for _, r := range dport {
		for _, part := range splitPorts(r, bounds, exact) {
			for _, proto := range protos {
				for _, at := range ats {
					for _, in := range ins {
						for _, cl := range clients {
							out = append(out, askedPort{proto: proto, at: at, from: part[0], to: part[1], in: in, client: cl})
						}
					}
				}
			}
		}
	}
	return out
}

// globalAddrs are the addresses of a namespace that others may ask.
func (sp *space) globalAddrs() (out []netip.Addr) {
	for _, l := range sp.links {
		for _, a := range l.l.Addrs {
			if ad := a.Prefix.Addr(); !ad.IsLoopback() && !ad.IsLinkLocalUnicast() && !slices.Contains(out, ad) {
				out = append(out, ad)
			}
		}
	}
	return out
}

// maxAddrs bounds how many addresses of a namespace a port is asked at.
const maxAddrs = 16

// sidesOf are the senders of a question, for each address.
func (sp *space) sidesOf(q askedPort) (out []side) {
	ats := []netip.Addr{q.at}
	if !q.at.IsValid() {
		ats = sp.globalAddrs()
		ats = append(ats[:min(len(ats), maxAddrs)], netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback())
	}
	for _, at := range ats {
		if q.client.IsValid() && q.client.Addr().Is4() != at.Is4() {
			continue
		}
		sides := sp.sides(at)
		if q.in != "" {
			if at.IsLoopback() {
				continue
			}
			sides = []side{{from: fromOutside, hook: "prerouting", in: sp.byName[q.in], src: clientOf(at), dst: at}}
		}
		for _, s := range sides {
			if q.in != "" {
				s.from = "through " + q.in
			}
			if !q.client.IsValid() || s.hook != "prerouting" {
				out = append(out, s)
				continue
			}
			s.from = strings.TrimPrefix(s.from, fromOutside)
			for _, c := range clientsAlike(&sp.ns.Netfilter, q.client) {
				s.src, s.clients = c.From, c
				out = append(out, s)
			}
		}
	}
	return out
}

// splitPorts splits a range where rules may treat ports differently. Where a rule computes with ports, each stands alone.
func splitPorts(r snapshot.NfNum, bounds []uint32, exact bool) (out [][2]uint16) {
	from, to := max(r.From, 1), min(r.To, 65535)
	for from <= to {
		end := to
		if !exact {
			end = from
		}
		if i, _ := slices.BinarySearch(bounds, uint32(from)+1); i < len(bounds) && uint64(bounds[i])-1 < end {
			end = uint64(bounds[i]) - 1
		}
		out = append(out, [2]uint16{uint16(from), uint16(end)})
		if len(out) > maxFollowed {
			return out
		}
		from = end + 1
	}
	return out
}

// follow draws what becomes of a port that no engine claims: one edge for each container or namespace that packets arrive
// in, and for each address where not all are translated. A namespace that translates to itself publishes nothing.
func (b *builder) follow(sp *space, q askedPort) {
	type target struct {
		ns          *space
		to          netip.Addr
		first, last uint16
		v4          bool
	}
	type answers struct {
		at    []netip.Addr
		from  map[netip.Addr]senders
		rule  string
		share float64
	}
	var order []target
	got := map[target]*answers{}
	asked := map[bool]map[netip.Addr]bool{true: {}, false: {}}
	for _, s := range sp.sidesOf(q) {
		if s.from != fromLoopback {
			asked[s.dst.Is4()][s.dst] = true
		}
		first := sp.ask(s, q.proto, q.from)
		last := first
		if q.to != q.from {
			last = sp.ask(s, q.proto, q.to)
		}
		if len(first.to) != len(last.to) {
			continue
		}
		for i, to := range first.to {
			ns, _ := b.g.arriveFrom(sp, to.Addr())
			t := target{ns: ns, to: to.Addr(), first: to.Port(), last: last.to[i].Port(), v4: s.dst.Is4()}
			if ns == nil || ns == sp || last.to[i].Addr() != to.Addr() || t.first != t.last && int(t.last)-int(t.first) != int(q.to)-int(q.from) {
				continue
			}
			a := got[t]
			if a == nil {
				a = &answers{from: map[netip.Addr]senders{}, share: first.share[to]}
				got[t] = a
				order = append(order, t)
			}
			if !slices.Contains(a.at, s.dst) {
				a.at = append(a.at, s.dst)
			}
			a.from[s.dst] = a.from[s.dst].with(s)
			if a.rule = first.by; a.share != first.share[to] {
				a.share = 0 // it depends on who asks
			}
		}
	}
	for _, t := range order {
		if t.ns.role == RoleIngress || t.ns.role == RoleLoadBalancer {
			continue // a service's, which names it
		}
		got := got[t]
		a := EdgeAttrs{Proto: protoName(q.proto), HostPort: q.from, TargetPort: t.first, Address: t.to.String(), By: byDNAT, Rule: got.rule, Share: rounded(got.share)}
		if q.to != q.from {
			a.HostPortTo = q.to
		}
		node := t.ns.node
		if t.ns.role != RoleHost && t.ns.role != RoleNode && len(t.ns.work) > 0 {
			w := ownerOf(t.ns)
			node = w.node
			if k := w.kind(); k == "docker" || k == "podman" {
				a.Note = k + " claims no such port"
			}
		}
		from := map[netip.Addr][]string{}
		for at, s := range got.from {
			from[at] = s.words()
		}
		for _, part := range joinAddrs(got.at, from, asked[t.v4], q.at.IsValid()) {
			a.HostAddr, a.From = part.at, part.from
			b.edge(EdgePublishes, node, sp.node, a)
		}
	}
}

type addrPart struct {
	at   string
	from []string
}

// joinAddrs makes one of all the addresses of a family ("0.0.0.0", "::") where each is answered for the same senders.
func joinAddrs(at []netip.Addr, from map[netip.Addr][]string, asked map[netip.Addr]bool, one bool) (out []addrPart) {
	alike := !one && len(asked) < maxAddrs
	var first []string
	var loop []netip.Addr
	n := 0
	for _, a := range at {
		if a.IsLoopback() {
			loop = append(loop, a)
			continue
		}
		if n++; n == 1 {
			first = from[a]
		}
		alike = alike && slices.Equal(first, from[a])
	}
	if alike && n == len(asked) {
		all := addrPart{at: "0.0.0.0", from: slices.Clone(first)}
		if at[0].Is6() {
			all.at = "::"
		}
		if len(loop) > 0 {
			all.from = append(all.from, fromLoopback)
		}
		return []addrPart{all}
	}
	for _, a := range at {
		out = append(out, addrPart{at: a.String(), from: from[a]})
	}
	return out
}

// senders are those of whom packets to one address are translated alike. Neighbouring networks of clients are one.
type senders []side

func (l senders) with(s side) senders {
	if n := len(l) - 1; n >= 0 && s.clients.From.IsValid() && l[n].from == s.from && l[n].clients.To.IsValid() && l[n].clients.To.Next() == s.clients.From {
		l[n].clients.To = s.clients.To
		return l
	}
	return append(l, s)
}

// words names them: "outside", "from 192.0.2.0/24 through eth1".
func (l senders) words() []string {
	var out []string
	for _, s := range l {
		word := s.from
		if s.clients.From.IsValid() {
			word = strings.TrimSpace("from " + rangeText(s.clients) + " " + s.from)
		}
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}
