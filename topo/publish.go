package topo

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// proxies are the programs that listen on a published port in place of the container.
var proxies = []string{"docker-proxy", "rootlessport", "rootlesskit", "conmon", "slirp4netns", "pasta", "passt", "pasta.avx2", "passt.avx2"}

// publishes draws published ports: container or service → the namespace on whose addresses the port is offered. Until
// rules are read, what the kernel proves is a socket that listens there; a port without one is the engine's word.
func (b *builder) publishes() {
	for _, w := range b.work {
		if w.eng == nil || w.eng.home == nil || !live(w.w) {
			continue
		}
		ports := slices.Clone(w.w.Ports)
		if s := b.svcIdx[serviceOf(w.w)]; s != nil {
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
		}
		for _, p := range ports {
			if p.HostPort == 0 || p.Mode == "ingress" {
				continue
			}
			in, listening := b.listener(w.eng, p, proxies)
			a := portAttrs(p)
			switch {
			case p.Mode == "host":
				a.By = "host"
			case listening:
				a.By = "proxy"
			default:
				a.By = "dnat"
			}
			if !listening {
				a.Source = SourceEngine
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
				in, listening := b.listener(e, p, []string{"dockerd"})
				if !listening {
					a.Source = SourceEngine
				}
				b.edge(EdgePublishes, s.node, in.node, a)
			}
		}
	}
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
func (b *builder) listener(e *engine, p snapshot.Port, programs []string) (*space, bool) {
	spaces := []*space{e.home}
	if host := e.src.k.space(rootOf(e.src).snap.Host.InitNS); host != nil && host != e.home && e.place == host.place {
		spaces = append(spaces, host)
	}
	for _, sp := range spaces {
		for i := range sp.ns.Sockets {
			if s := &sp.ns.Sockets[i]; offers(s, p) && (slices.Contains(programs, s.Comm) || e.e.Kind == kindLab && s.PID == e.e.PID && s.PID > 0) {
				return sp, true
			}
		}
	}
	return e.home, false
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
