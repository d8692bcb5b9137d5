package topo

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// proxies are the programs that listen on a published port in place of the container.
var proxies = []string{"docker-proxy", "rootlessport", "rootlesskit", "conmon", "slirp4netns", "pasta", "passt", "pasta.avx2", "passt.avx2"}

// publishes draws published ports: container, namespace or service → the namespace on whose addresses the port is offered.
// The kernel proves it by a rule that translates packets to the port to an address at which they arrive in the container,
// or by a program that listens in its place. What an engine claims and nothing implements is its word, with a note;
// where no rules were read, so is what no program listens for.
func (b *builder) publishes() {
	done := map[*space][]EdgeAttrs{} // what is drawn by rules: it needs no second edge
	for _, w := range b.work {
		if w.eng == nil || w.eng.home == nil || !live(w.w) {
			continue
		}
		for _, p := range b.claims(w) {
			if p.HostPort == 0 || p.Mode == "ingress" {
				continue
			}
			in, sock := b.listener(w.eng, p, proxies)
			a := portAttrs(p)
			if sock != nil {
				a.ProxyPID = sock.PID
			}
			by := ""
			if p.Mode == "host" {
				by = "host"
			}
			home := w.eng.home
			switch {
			case home.rulesRead() && b.claimed(w, home, p, &a):
				in = home
				a.By = cmp.Or(by, "dnat")
				done[home] = append(done[home], a)
			case sock != nil:
				a.By = cmp.Or(by, "proxy")
			default:
				a.Source = SourceEngine
				if !home.rulesRead() {
					a.By = cmp.Or(by, "dnat")
				}
			}
			b.edge(EdgePublishes, w.node, in.node, a)
		}
	}
	for _, s := range b.svcs {
		for _, p := range s.best.Ports {
			if p.HostPort == 0 || p.Mode == "host" {
				continue
			}
			for _, e := range b.swarmEngines(s) {
				a := portAttrs(p)
				a.By = "mesh"
				in, sock := b.listener(e, p, []string{"dockerd"})
				switch {
				case e.home.rulesRead():
					in = e.home
					if b.meshed(s, e.home, p, &a) {
						done[e.home] = append(done[e.home], a)
					} else {
						a.Source = SourceEngine
					}
				case sock == nil:
					a.Source = SourceEngine
				}
				b.edge(EdgePublishes, s.node, in.node, a)
			}
		}
	}
	b.unclaimed(done)
}

// claims are the ports that an engine says a container publishes.
func (b *builder) claims(w *work) []snapshot.Port {
	ports := slices.Clone(w.w.Ports)
	s := b.svcIdx[serviceOf(w.w)]
	if s == nil {
		return ports
	}
	for _, p := range s.best.Ports {
		if p.Mode == "host" && !slices.ContainsFunc(ports, func(q snapshot.Port) bool { return q.HostPort == p.HostPort && proto(q) == proto(p) }) {
			ports = append(ports, p)
		}
	}
	for i := range ports { // the container's own list does not say how the service publishes
		if slices.ContainsFunc(s.best.Ports, func(p snapshot.Port) bool {
			return p.Mode == "host" && p.HostPort == ports[i].HostPort && proto(p) == proto(ports[i])
		}) {
			ports[i].Mode = "host"
		}
	}
	return ports
}

// claimed asks the rules of an engine's home about a port that it claims to publish, and reports whether they lead it to
// the container. Where they do not, a note says what they do.
func (b *builder) claimed(w *work, home *space, p snapshot.Port, a *EdgeAttrs) bool {
	number := protoNumber(proto(p))
	if number == 0 {
		a.Note = "protocol " + proto(p) + " is not followed"
		return false
	}
	elsewhere, unknown, dropped := "", "", ""
	for _, s := range home.sides(p.HostAddr) {
		got := home.ask(s, number, p.HostPort)
		for _, to := range got.to {
			ns, _ := b.g.arriveFrom(home, to.Addr())
			switch {
			case ns != nil && w.ns == ns && (p.Port == 0 || to.Port() == p.Port):
				a.Address, a.Rule = to.Addr().String(), got.by
				if !slices.Contains(a.From, s.from) {
					a.From = append(a.From, s.from)
				}
			default:
				elsewhere = to.String()
			}
		}
		if got.unknown != "" {
			unknown = got.unknown
		}
		if got.dropped {
			dropped = s.from
		}
	}
	switch {
	case len(a.From) > 0:
		return true
	case elsewhere != "":
		a.Note = "the rules lead to " + elsewhere + " instead"
	case unknown != "":
		a.Note = "not known: " + unknown
	case dropped != "" && a.ProxyPID == 0:
		a.Note = "dropped before it is translated, from " + dropped
	case a.ProxyPID == 0 && len(home.ns.Sockets) > 0: // else they were not read: a proxy may be there
		a.Note = "no rule translates it, nobody listens in its place"
	}
	return false
}

// meshed follows a port of the routing mesh from a node's own namespace to the load balancer: the rule that translates it
// to the ingress sandbox, the mark that it gets there, and the entry of IPVS for that mark.
func (b *builder) meshed(s *svc, home *space, p snapshot.Port, a *EdgeAttrs) bool {
	for _, sd := range home.sides(netip.Addr{}) {
		got := home.ask(sd, protoNumber(proto(p)), p.HostPort)
		switch {
		case got.unknown != "":
			a.Note = cmp.Or(a.Note, "not known: "+got.unknown)
		case len(got.to) == 1:
			sbox, l := b.g.arriveFrom(home, got.to[0].Addr())
			if sbox == nil || sbox == home {
				a.Note = cmp.Or(a.Note, "the rules lead to "+got.to[0].String()+", which nobody has")
				continue
			}
			entry, why := b.balancedAt(s, sbox, l, proto(p), got.to[0])
			if why != "" {
				a.Note = cmp.Or(a.Note, why)
				continue
			}
			a.Address, a.Rule, a.Note = got.to[0].Addr().String(), got.by, ""
			a.Mark, a.Scheduler = entry.FWMark, entry.Scheduler
			if !slices.Contains(a.From, sd.from) {
				a.From = append(a.From, sd.from)
			}
		}
	}
	if len(a.From) == 0 {
		a.Note = cmp.Or(a.Note, "no rule translates it")
	}
	return len(a.From) > 0
}

// balancedAt is the load balancer's entry that takes what arrives in a sandbox, where it is the service's. A sandbox of
// which no rules or no entries were read proves nothing.
func (b *builder) balancedAt(s *svc, sbox *space, l *link, proto string, to netip.AddrPort) (*snapshot.IPVSService, string) {
	if !sbox.rulesRead() || sbox.ns.IPVS == nil {
		return nil, "in " + sbox.name + " no IPVS entries were read"
	}
	mark, _, known := sbox.markOf(side{hook: "prerouting", in: l, src: clientOf(to.Addr()), dst: to.Addr()}, protoNumber(proto), to.Port())
	if !known {
		return nil, "which mark it gets in " + sbox.name + " is not known"
	}
	entry := sbox.virtual(mark, proto, to)
	if entry == nil {
		return nil, "IPVS in " + sbox.name + " has no entry for it"
	}
	other := ""
	for _, e := range b.g.Out(sbox.node, EdgeBalances) {
		if e.Attrs.Mark == 0 || e.Attrs.Mark != entry.FWMark {
			continue
		}
		if e.To == s.node {
			return entry, ""
		}
		if n, ok := b.g.Node(e.To); ok {
			other = n.Name
		}
	}
	if other != "" {
		return nil, "IPVS in " + sbox.name + " balances it for service " + other
	}
	return entry, ""
}

// maxFollowed bounds how many ports that no engine claims are followed in one namespace.
const maxFollowed = 512

// unclaimed draws the ports of a namespace that rules translate and no engine claims.
func (b *builder) unclaimed(done map[*space][]EdgeAttrs) {
	for _, sp := range b.allSpaces() {
		if !sp.rulesRead() {
			continue
		}
		found, cut := candidates(&sp.ns.Netfilter, false)
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
			if q.client.IsValid() && s.hook == "prerouting" {
				alike, ok := clientsAlike(&sp.ns.Netfilter, q.client)
				if !ok || len(alike) == 0 {
					continue
				}
				s.src, s.also = alike[0], alike[1:]
				s.from = strings.TrimPrefix(s.from, fromOutside)
				s.from = strings.TrimSpace("from " + q.client.String() + " " + s.from)
			}
			out = append(out, s)
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
		at   []netip.Addr
		from map[netip.Addr][]string
		rule string
	}
	var order []target
	got := map[target]*answers{}
	asked := map[bool]map[netip.Addr]bool{true: {}, false: {}}
	for _, s := range sp.sidesOf(q) {
		if s.from != fromLoopback {
			asked[s.dst.Is4()][s.dst] = true
		}
		first := sp.askAll(s, q.proto, q.from)
		last := first
		if q.to != q.from {
			last = sp.askAll(s, q.proto, q.to)
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
				a = &answers{from: map[netip.Addr][]string{}}
				got[t] = a
				order = append(order, t)
			}
			if !slices.Contains(a.at, s.dst) {
				a.at = append(a.at, s.dst)
			}
			if !slices.Contains(a.from[s.dst], s.from) {
				a.from[s.dst] = append(a.from[s.dst], s.from)
			}
			a.rule = first.by
		}
	}
	for _, t := range order {
		if t.ns.role == RoleIngress || t.ns.role == RoleLoadBalancer {
			continue // a service's, which names it
		}
		got := got[t]
		a := EdgeAttrs{Proto: protoName(q.proto), HostPort: q.from, TargetPort: t.first, Address: t.to.String(), By: "dnat", Rule: got.rule}
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
		for _, part := range joinAddrs(got.at, got.from, asked[t.v4], q.at.IsValid()) {
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

// portsByRule adds to a container's ports those that rules alone publish.
func (g *Graph) portsByRule() {
	for i := range g.Edges {
		e := &g.Edges[i]
		n, ok := g.Node(e.From)
		if s := e.portString(); ok && e.Kind == EdgePublishes && n.Kind == KindContainer && !slices.Contains(n.Attrs.Ports, s) {
			n.Attrs.Ports = append(slices.Clone(n.Attrs.Ports), s)
		}
	}
}

// portString is a published port as Docker prints it.
func (e *Edge) portString() string {
	a := &e.Attrs
	host := cmp.Or(a.HostAddr, "*")
	port, target := strconv.Itoa(int(a.HostPort)), strconv.Itoa(int(a.TargetPort))
	if a.HostPortTo != 0 {
		port += fmt.Sprintf("-%d", a.HostPortTo)
	}
	return net.JoinHostPort(host, port) + "->" + target + "/" + a.Proto
}

func proto(p snapshot.Port) string { return cmp.Or(strings.ToLower(p.Proto), "tcp") }

func portAttrs(p snapshot.Port) EdgeAttrs {
	a := EdgeAttrs{Proto: proto(p), HostPort: p.HostPort, TargetPort: p.Port}
	if p.HostAddr.IsValid() {
		a.HostAddr = p.HostAddr.String()
	}
	return a
}

// listener finds the namespace in which a port is offered: where one of the programs listens on it, the engine's home
// or (for a rootless engine, whose home is its own) the host's; else the home.
func (b *builder) listener(e *engine, p snapshot.Port, programs []string) (*space, *snapshot.Socket) {
	spaces := []*space{e.home}
	if host := e.src.k.space(rootOf(e.src).snap.Host.InitNS); host != nil && host != e.home && e.place == host.place {
		spaces = append(spaces, host)
	}
	for _, sp := range spaces {
		for i := range sp.ns.Sockets {
			if s := &sp.ns.Sockets[i]; offers(s, p) && (slices.Contains(programs, s.Comm) || e.e.Kind == kindLab && s.PID == e.e.PID && s.PID > 0) {
				return sp, s
			}
		}
	}
	return e.home, nil
}

// offers reports whether a socket takes what comes for a published port.
func offers(s *snapshot.Socket, p snapshot.Port) bool {
	if s.Proto != proto(p) || s.Local.Port() != p.HostPort || s.Remote.Port() != 0 {
		return false
	}
	if s.Proto == "tcp" && s.State != "listen" {
		return false
	}
	at := s.Local.Addr().Unmap()
	switch {
	case !p.HostAddr.IsValid():
		return true
	case at.IsUnspecified():
		return at.Is4() && p.HostAddr.Is4() || at.Is6() && (p.HostAddr.Is6() || !s.V6Only)
	}
	return at == p.HostAddr.Unmap() || p.HostAddr.IsUnspecified() && at.Is4() == p.HostAddr.Is4() && at != netip.Addr{}
}

// swarmEngines are the engines of the inspected hosts that are in the service's swarm: each offers its mesh ports.
func (b *builder) swarmEngines(s *svc) []*engine {
	ids := map[string]bool{}
	for _, e := range s.engines {
		if e.e.Swarm == nil {
			continue
		}
		ids[e.e.Swarm.NodeID] = true
		for _, n := range e.e.Swarm.Nodes {
			ids[n.ID] = true
		}
	}
	var out []*engine
	seen := map[*space]bool{}
	for _, src := range b.sources {
		for _, e := range src.engines {
			// Of a dead engine the files do not say whether it is active: what it published goes on in the kernel.
			if e.e.Swarm != nil && (e.e.Swarm.State == "active" || e.e.Swarm.State == "unknown") && e.e.Swarm.NodeID != "" && ids[e.e.Swarm.NodeID] && e.home != nil && !seen[e.home] {
				seen[e.home] = true
				out = append(out, e)
			}
		}
	}
	return out
}
