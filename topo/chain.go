package topo

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// Balancer is one load balancer of a service: a VIP in a sandbox, the mark that its packets get, and whom IPVS sends them to.
type Balancer struct {
	Netns, Service *Node
	Network, VIP   string
	// By is dnat or ipvs for a service of which no engine tells; then Port and Proto are the service's too.
	By    string
	Port  uint16
	Proto string
	From  []string // the senders for whom rules do it
	// Mark is 0 where it is not known: no rules or no IPVS entries were read, or Note says why.
	Mark      uint32
	Scheduler string
	Rule      string // that gives the mark
	Note      string
	Members   []Member
}

// Member is one member of a service, as the load balancer or as the engine has it.
type Member struct {
	Addr   netip.Addr
	Port   uint16 // 0: the port asked for
	Weight int32
	Method string // masq, route, tunnel
	Active uint32 // connections
	// Share is the part of new connections that rules send there by lot, 0 where it is not known.
	Share float64
	// Container has the address, nil where none that was inspected does. Of a service of which no engine tells it may be a
	// namespace.
	Container *Node
	// Task and Node are what the swarm calls it, and where it says it is.
	Task, Node string
	// Note says where the load balancer and the engine differ.
	Note string
}

// Name is what a member is called: its container, its task, or its address.
func (m *Member) Name(g *Graph) string {
	name := m.Task
	if m.Container != nil {
		name = g.shortName(m.Container)
	}
	node := m.Node
	if m.Container != nil && g.many() {
		node = m.Container.Host
	}
	if node != "" && name != "" {
		name += " on " + node
	}
	return name
}

// Balancers are the load balancers of a service, by namespace and VIP, each with its members. Those that IPVS has and the
// engine does not know, and those that the engine has running and IPVS does not have, are both there and say so.
func (g *Graph) Balancers(service *Node) []Balancer {
	s, virt := g.index().raw[service.ID].svc, g.index().raw[service.ID].virt
	var out []Balancer
	for _, e := range g.In(service.ID, EdgeBalances) {
		ns, ok := g.Node(e.From)
		if !ok {
			continue
		}
		a := &e.Attrs
		b := Balancer{Netns: ns, Service: service, Network: a.Network, VIP: a.Address, Mark: a.Mark, Scheduler: a.Scheduler, Rule: a.Rule, Note: a.Note,
			By: a.By, Port: a.HostPort, Proto: a.Proto, From: a.From}
		if virt != nil {
			b.Members = g.virtualMembers(virt)
		}
		sp := g.index().raw[ns.ID].sp
		if entry := sp.marked(a.Mark); entry != nil && s != nil {
			b.Members = g.members(s, sp, entry, a.Address)
		}
		out = append(out, b)
	}
	return out
}

func (g *Graph) virtualMembers(v *virtual) (out []Member) {
	for _, m := range v.members {
		out = append(out, Member{Addr: m.to.Addr(), Port: m.to.Port(), Weight: m.weight, Method: m.method, Active: m.active, Share: m.share,
			Container: g.answerer(v.sp, m.to.Addr())})
	}
	return out
}

func (g *Graph) members(s *svc, sp *space, entry *snapshot.IPVSService, vip string) []Member {
	var out []Member
	network := ""
	for _, v := range s.vips {
		if v.addr.String() == vip {
			network = v.network
		}
	}
	tasks := s.running(network)
	for _, d := range entry.Destinations {
		m := Member{Addr: d.Addr, Port: d.Port, Weight: d.Weight, Method: d.Method, Active: d.Active}
		if w := g.memberAt(sp, d.Addr); w != nil {
			m.Container, _ = g.Node(w.node)
		}
		if t, ok := tasks[d.Addr]; ok {
			m.Task, m.Node = t.task, t.node
		} else if s.complete(network) {
			m.Note = "the engine has no running task there"
		}
		delete(tasks, d.Addr)
		out = append(out, m)
	}
	for _, a := range slices.SortedFunc(maps.Keys(tasks), netip.Addr.Compare) {
		m := Member{Addr: a, Task: tasks[a].task, Node: tasks[a].node, Note: "IPVS does not have it"}
		if w := g.memberAt(sp, a); w != nil {
			m.Container, _ = g.Node(w.node)
		}
		out = append(out, m)
	}
	return out
}

type runningTask struct{ task, node string }

// complete tells whether the engine's list of tasks is the whole one, a manager's, with their addresses on a network.
func (s *svc) complete(network string) bool {
	return s.best.Source == "api" && slices.ContainsFunc(s.best.Tasks, func(t snapshot.Task) bool {
		return slices.ContainsFunc(t.Addrs, func(a snapshot.TaskAddr) bool { return a.Network == network })
	})
}

// running are the members that the engine has running on a network, by address.
func (s *svc) running(network string) map[netip.Addr]runningTask {
	out := map[netip.Addr]runningTask{}
	for i := range s.best.Tasks {
		t := &s.best.Tasks[i]
		if t.State != "running" || t.Desired != "" && t.Desired != "running" {
			continue
		}
		for _, a := range t.Addrs {
			if a.Network == network && a.Addr.IsValid() {
				out[a.Addr.Addr()] = runningTask{t.Name, t.NodeName}
			}
		}
	}
	for _, w := range s.tasks {
		if !live(w.w) {
			continue
		}
		for _, ep := range w.w.Endpoints {
			if ep.Network == network && ep.Addr.IsValid() {
				if _, ok := out[ep.Addr.Addr()]; !ok && !s.complete(network) {
					out[ep.Addr.Addr()] = runningTask{task: w.short()}
				}
			}
		}
	}
	return out
}

// ChainOf says, for a publishes edge, how a packet to the port gets to where it is answered, step by step: "8000/tcp",
// "DNAT to 172.18.0.2:8000", "ingress_sbox", "mark 0x101 (257)", "IPVS rr", and the members. Of an edge that no rule proves it
// is empty.
func (g *Graph) ChainOf(e *Edge) []string {
	a := &e.Attrs
	if e.Kind != EdgePublishes || a.Address == "" || a.By == byIPVS {
		return nil
	}
	port := a.TargetPort
	if a.By == "mesh" {
		port = a.HostPort
	}
	to, _ := netip.ParseAddr(a.Address)
	out := []string{fmt.Sprintf("DNAT to %s", netip.AddrPortFrom(to, port))}
	home := g.index().raw[e.To].sp
	if a.By != "mesh" || home == nil {
		return out
	}
	sbox, _ := g.arriveFrom(home, to)
	if sbox == nil {
		return out
	}
	out = append(out, sbox.name, "mark "+markWords(a.Mark), "IPVS "+a.Scheduler)
	s := g.index().raw[e.From].svc
	entry := sbox.marked(a.Mark)
	if s == nil || entry == nil {
		return out
	}
	var names []string
	for _, m := range g.members(s, sbox, entry, g.vipIn(sbox, e.From)) {
		name := m.Addr.String()
		if n := m.Name(g); n != "" {
			name += " " + n
		}
		if r := g.redirected(m.Container, m.Addr, protoNumber(a.Proto), port); r != 0 {
			name += fmt.Sprintf(", there REDIRECT to port %d", r)
		}
		if m.Note != "" {
			name += " (" + m.Note + ")"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		names = []string{"nobody: IPVS has no member"}
	}
	return append(out, strings.Join(names, "; "))
}

// vipIn is the VIP of a service that a sandbox balances.
func (g *Graph) vipIn(sp *space, service string) string {
	for _, e := range g.Out(sp.node, EdgeBalances) {
		if e.To == service {
			return e.Attrs.Address
		}
	}
	return ""
}

// redirected is the port to which a container's own rules send what comes for one of its addresses; 0 where they do not.
func (g *Graph) redirected(c *Node, at netip.Addr, proto uint8, port uint16) uint16 {
	if c == nil {
		return 0
	}
	ns, ok := g.Netns(c)
	if !ok {
		return 0
	}
	sp := g.index().raw[ns.ID].sp
	if sp == nil || !sp.rulesRead() {
		return 0
	}
	for _, l := range sp.links {
		if hasAddr(l.l, at) {
			got := sp.ask(side{hook: "prerouting", in: l, src: clientOf(at), dst: at}, proto, port)
			if len(got.to) == 1 && sp.owns(got.to[0].Addr()) {
				return got.to[0].Port()
			}
		}
	}
	return 0
}

// NameServer is who answers for the engine's name server in a container's namespace, for each protocol: what the rules
// there make of 127.0.0.11:53, and the process that listens for it. Empty where nothing is translated.
func (g *Graph) NameServer(n *Node) []string {
	ns, ok := g.Netns(n)
	if !ok {
		return nil
	}
	sp := g.index().raw[ns.ID].sp
	if sp == nil || !sp.rulesRead() {
		return nil
	}
	var out []string
	for _, proto := range []string{"udp", "tcp"} {
		got := sp.ask(side{from: fromHost, hook: "output", src: netip.AddrFrom4([4]byte{127, 0, 0, 1}), dst: embeddedDNS}, protoNumber(proto), 53)
		for _, to := range got.to {
			who := "where nobody is seen to listen"
			for i := range sp.ns.Sockets {
				s := &sp.ns.Sockets[i]
				if s.Proto == proto && s.Local.Addr().Unmap() == to.Addr() && s.Local.Port() == to.Port() && (s.State == "listen" || proto == "udp") {
					who = "where " + cmp.Or(s.Comm, "a process that was not seen") + " listens"
					if s.PID != 0 {
						who += fmt.Sprintf(", pid %d", s.PID)
					}
				}
			}
			if len(sp.ns.Sockets) == 0 {
				who = "whose listener was not read"
			}
			out = append(out, fmt.Sprintf("%s:53/%s is translated to %s, %s", embeddedDNS, proto, to, who))
		}
	}
	return out
}

// Leaves says how packets leave a bridge for the outside: by which link and with whose address. It is asked of a bridge
// link, or a network that one carries.
func (g *Graph) Leaves(n *Node) []string {
	var out []string
	if n.Kind == KindNetwork {
		for _, e := range g.In(n.ID, EdgeCarries) {
			if c, ok := g.Node(e.From); ok && c.Kind == KindLink {
				for _, s := range g.Leaves(c) {
					if g.many() {
						s = c.Host + ": " + s
					}
					out = append(out, s)
				}
			}
		}
		return out
	}
	l := g.index().raw[n.ID].link
	if l == nil || l.l.Kind != "bridge" || !l.sp.rulesRead() {
		return nil
	}
	for _, a := range l.l.Addrs {
		if ad := a.Prefix.Addr(); !ad.IsLinkLocalUnicast() && !a.Prefix.IsSingleIP() {
			if s := l.leaves(a.Prefix); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// leaves evaluates what becomes of the source of a packet from a subnet of a bridge to the outside.
func (l *link) leaves(subnet netip.Prefix) string {
	sp := l.sp
	src := subnet.Masked().Addr().Next()
	if src == subnet.Addr() {
		src = src.Next()
	}
	dst := clientOf(src)
	way, ok := sp.rules().Route(ruleset.RouteQuery{Dst: dst, Src: src, In: l.l.Name})
	out := sp.byIdx[way.Out.Index]
	if !ok || way.Type != "unicast" || out == nil || out == l {
		return ""
	}
	p := ruleset.First(6, netip.AddrPortFrom(src, clientPort), netip.AddrPortFrom(dst, 443))
	p.Known = p.Known&^ruleset.FPhys | ruleset.FIn | ruleset.FOut
	p.Out, p.NextHop = way.Out, way.Gateway
	// At this hook the link that a packet came through is no longer told (nf_hook_state.in is none).
	r := sp.eval("postrouting", p)
	from := subnet.Masked().String() + " leaves through " + out.l.Name
	switch {
	case r.Verdict == ruleset.Unknown:
		return from + ", with whose address is not known: " + unknownWhy(&r)
	case r.Verdict != ruleset.Accept:
		return ""
	case !r.Packet.Says(ruleset.FSrc):
		return from + " with another address"
	case r.Packet.Src == src:
		return from + " with its own address"
	}
	for i := len(r.Steps) - 1; i >= 0; i-- {
		if s := r.Steps[i].Source(); s != nil && slices.ContainsFunc(s.Exprs, func(x snapshot.NfExpr) bool { return x.NAT != nil }) {
			return fmt.Sprintf("%s as %s (%s)", from, r.Packet.Src, r.Steps[i].String())
		}
	}
	return from + " as " + r.Packet.Src.String()
}
