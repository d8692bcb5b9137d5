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
			in, sock := b.listener(w.eng, p, snapshot.PortProxies)
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
