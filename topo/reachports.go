package topo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// TCPPort is a port on which something should answer.
type TCPPort struct {
	Port uint16
	// Listening tells that a socket listens there, on an address that others can reach.
	Listening bool
	// Why says where it is known from: "published as 8080, nginx listens".
	Why string
}

// PortsOf are the TCP ports of a container, namespace or service: those that its engine publishes and those on which a
// socket listens, not on loopback only, sorted. Sockets are known only where everything was read (inspect.Full).
func (g *Graph) PortsOf(n *Node) []TCPPort {
	published := map[uint16]string{}
	var listening map[uint16]string
	switch n.Kind {
	case KindService:
		if s := g.Service(n); s != nil {
			addPublished(published, s.Ports)
		}
		for _, m := range g.Members(n) {
			for p, comm := range g.listening(m) {
				if listening == nil {
					listening = map[uint16]string{}
				}
				listening[p] = comm
			}
		}
	default:
		if w := g.Workload(n); w != nil {
			addPublished(published, w.Ports)
		}
		listening = g.listening(n)
	}
	var out []TCPPort
	for p, why := range published {
		out = append(out, TCPPort{Port: p, Why: why})
	}
	for p, comm := range listening {
		why := cmp.Or(comm, "something") + " listens"
		if i := slices.IndexFunc(out, func(x TCPPort) bool { return x.Port == p }); i >= 0 {
			out[i].Listening, out[i].Why = true, out[i].Why+", "+why
			continue
		}
		out = append(out, TCPPort{Port: p, Listening: true, Why: why})
	}
	slices.SortFunc(out, func(x, y TCPPort) int { return cmp.Compare(x.Port, y.Port) })
	return out
}

func addPublished(to map[uint16]string, ports []snapshot.Port) {
	for _, p := range ports {
		if proto(p) == "tcp" && p.HostPort != 0 && p.Port != 0 && to[p.Port] == "" {
			to[p.Port] = fmt.Sprintf("published as %d", p.HostPort)
		}
	}
}

// listening are the ports on which sockets of a node's namespace listen for others, with the program. In a host's namespace
// only a container's own are its.
func (g *Graph) listening(n *Node) map[uint16]string {
	ns, ok := g.Netns(n)
	raw := g.Namespace(n)
	if !ok || raw == nil {
		return nil
	}
	shared := n.Kind == KindContainer && (ns.Attrs.Role == RoleHost || ns.Attrs.Role == RoleNode)
	out := map[uint16]string{}
	for i := range raw.Sockets {
		s := &raw.Sockets[i]
		at := s.Local.Addr().Unmap()
		if s.Proto != "tcp" || s.State != "listen" || at.IsLoopback() || s.Local.Port() == 0 || shared && (s.PID == 0 || s.PID != n.Attrs.PID) {
			continue
		}
		out[s.Local.Port()] = s.Comm
	}
	return out
}

// NamesFor are the names by which a container should find another one, or a service: the engine's name server answers them
// on networks that both are on, the default bridge excepted. The first is what people call it.
func (g *Graph) NamesFor(from, to *Node) []string {
	here := g.resolving(from)
	if len(here) == 0 {
		return nil
	}
	switch to.Kind {
	case KindService:
		if s := g.index().raw[to.ID].svc; s != nil {
			for id := range s.networks() {
				if n := g.networkNode(id); n != nil && here[n.ID] {
					return []string{to.Name}
				}
			}
		}
	case KindContainer:
		w := g.index().raw[to.ID].work
		if w == nil || !live(w.w) {
			return nil
		}
		var out []string
		for i, ep := range w.w.Endpoints {
			if i >= len(w.nets) || w.nets[i] == nil || !here[w.nets[i].node] {
				continue
			}
			out = append(out, strings.TrimPrefix(w.w.Name, "/"))
			for _, a := range ep.Aliases {
				// The short id is an alias of every container, and nobody's name.
				if !strings.HasPrefix(w.w.ID, a) {
					out = append(out, a)
				}
			}
		}
		seen := map[string]bool{"": true}
		return slices.DeleteFunc(out, func(s string) bool { dup := seen[s]; seen[s] = true; return dup })
	}
	return nil
}

// resolving are the networks, by node id, whose name server answers in a container.
func (g *Graph) resolving(n *Node) map[string]bool {
	if n.Kind == KindNetns {
		if c := g.holderOf(n); c != nil {
			n = c
		}
	}
	w := g.index().raw[n.ID].work
	if w == nil {
		return nil
	}
	out := map[string]bool{}
	for _, net := range w.nets {
		if net == nil {
			continue
		}
		switch b := net.best(); {
		case b.Ingress || b.Name == "docker_gwbridge":
		case (w.kind() == "docker" || w.kind() == kindLab) && (b.Driver == "bridge" && b.Name != "bridge" || b.Driver == "overlay" || b.Driver == "macvlan" || b.Driver == "ipvlan"),
			w.kind() == "podman" && b.Name != "podman" && b.Driver == "bridge":
			out[net.node] = true
		}
	}
	return out
}
