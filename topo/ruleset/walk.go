package ruleset

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// End is how a packet's way through a namespace ends.
type End string

// The ends.
const (
	Delivered End = "delivered" // to the namespace itself
	Sent      End = "sent"      // out of the interface Out of the packet
	Dropped   End = "dropped"
	Rejected  End = "rejected"
	NoRoute   End = "no route"
	Taken     End = "taken" // by a program (queue), or by the rule itself
	Unsure    End = "unknown"
)

// Fate is what became of a packet in a namespace.
type Fate struct {
	End    End    `json:"end"`
	Packet Packet `json:"packet"`
	// Port is the bridge port by which it leaves, where it was bridged.
	Port  string `json:"port,omitempty"`
	Route Route  `json:"route,omitzero"`
	// With is the answer of a reject.
	With string `json:"with,omitempty"`
	// By is the rule or policy that decided, nil where none did; Why says what else did, in words.
	By  *Ref   `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
	// Hooks are the results of the hooks that it passed, in order.
	Hooks []Result `json:"hooks,omitempty"`
	// Alternatives are the ways in which an unknown end may turn out.
	Alternatives []Fate `json:"alternatives,omitempty"`
}

// same: an observer sees no difference.
func (f *Fate) same(g *Fate) bool {
	if f.End != g.End || f.With != g.With || f.Port != g.Port || f.End == Unsure {
		return false
	}
	if f.End != Delivered && f.End != Sent {
		return true
	}
	p, q := &f.Packet, &g.Packet
	const shown = FSrc | FDst | FSport | FDport
	return p.Known&shown == q.Known&shown && p.Src == q.Src && p.Dst == q.Dst && p.Sport == q.Sport && p.Dport == q.Dport && p.Out.Name == q.Out.Name
}

// walker is a packet on its way.
type walker struct {
	s     *Space
	hooks []Result
	ways  *int
	// port is the bridge port behind which an address is known to be, nil where the FDB is to tell it.
	port   *snapshot.Link
	behind netip.Addr
}

// maxWays bounds how many ways are followed through all hooks of one namespace.
const maxWays = 64

// Walk leads p through the namespace: one that comes through the interface in, or with in empty one that a socket of the
// namespace sends. The interfaces of p need not be set. What comes through the port of a bridge goes where its DstMAC says;
// without one it is taken to be for the bridge itself.
func (s *Space) Walk(p Packet, in string) Fate { return s.walk(p, in, "", netip.Addr{}) }

// WalkPorts is [Space.Walk] for a frame to DstMAC, of which is known behind which port of the bridge that is: a bridge forgets
// who is silent.
func (s *Space) WalkPorts(p Packet, in, out string) Fate { return s.walk(p, in, out, p.Dst) }

// WalkBehind is [Space.Walk] where it is known behind which port of a bridge one address is, to which rules may translate.
func (s *Space) WalkBehind(p Packet, in, port string, addr netip.Addr) Fate {
	return s.walk(p, in, port, addr)
}

func (s *Space) walk(p Packet, in, port string, behind netip.Addr) Fate {
	ways := maxWays
	w := &walker{s: s, ways: &ways, port: s.byName[port], behind: behind}
	if in == "" {
		return w.output(p)
	}
	l := s.byName[in]
	if l == nil {
		return Fate{End: Unsure, Packet: p, Why: "there is no interface " + in}
	}
	p.In, p.Known = iface(l), p.Known|FIn|FOut
	return w.hook(At{"netdev", "ingress"}, p, func(w *walker, p Packet, _ bool) Fate {
		if br := s.byIndex[l.Master]; br != nil && br.Kind == "bridge" {
			return w.bridge(p, l, br)
		}
		return w.prerouting(p)
	})
}

// WalkBridge says what becomes of a packet between two ports of a bridge, whichever they are: only rules are asked, and of
// the ports nothing is known.
func (s *Space) WalkBridge(p Packet, bridge string) Fate {
	ways := maxWays
	w := &walker{s: s, ways: &ways}
	br := s.byName[bridge]
	if br == nil {
		return Fate{End: Unsure, Packet: p, Why: "there is no interface " + bridge}
	}
	var at []At
	call := s.bridged(br, p.Family)
	for _, hook := range []string{"prerouting", "forward", "postrouting"} {
		at = append(at, At{"bridge", hook})
		if call {
			at = append(at, At{p.Family, hook})
		}
	}
	p.open(FPhys)
	return w.hooksOf(at, p, br)
}

// hooksOf runs hooks one after the other.
func (w *walker) hooksOf(at []At, p Packet, br *snapshot.Link) Fate {
	if len(at) == 0 {
		return w.end(Sent, p, "")
	}
	p.In, p.Out, p.Known = iface(br), iface(br), p.Known|FIn|FOut
	switch {
	case at[0].Family == "bridge":
		p.In, p.Out, p.Known = Iface{}, Iface{}, p.Known&^(FIn|FOut)
		p.InBridge, p.OutBridge = br.Name, br.Name
	case at[0].Hook == "prerouting":
		p.Out = Iface{}
	case at[0].Hook == "postrouting":
		p.In = Iface{}
	}
	return w.hook(at[0], p, func(w *walker, p Packet, _ bool) Fate { return w.hooksOf(at[1:], p, br) })
}

func (w *walker) end(e End, p Packet, why string) Fate {
	return Fate{End: e, Packet: p, Why: why, Hooks: w.hooks}
}

// hook runs one hook and goes on with next; where it may turn out in several ways each of them is gone.
func (w *walker) hook(at At, p Packet, next func(*walker, Packet, bool) Fate) Fate {
	return w.turn(w.s.Rules.Eval(at, p, w.s), next)
}

// hookPart is [walker.hook] for the chains up to a priority, or for those beyond it.
func (w *walker) hookPart(at At, last int32, beyond bool, p Packet, next func(*walker, Packet, bool) Fate) Fate {
	return w.turn(w.s.Rules.evalPart(at, last, beyond, p, w.s), next)
}

// turn goes on after a hook that has turned out as r.
func (w *walker) turn(r Result, next func(*walker, Packet, bool) Fate) Fate {
	with := func(r Result) *walker {
		c := *w
		c.hooks = w.hooks
		if len(r.Steps) > 0 || r.Verdict != Accept {
			c.hooks = append(slices.Clip(w.hooks), r)
		}
		return &c
	}
	if r.Verdict != Unknown {
		return with(r).after(r, next)
	}
	f := with(r).end(Unsure, r.Packet, r.Why)
	f.By = r.By
	if *w.ways -= len(r.Alternatives); !r.Complete || *w.ways < 0 {
		return f
	}
	for _, a := range r.Alternatives {
		g := with(a).after(a, next)
		if !slices.ContainsFunc(f.Alternatives, func(have Fate) bool { return have.same(&g) }) {
			f.Alternatives = append(f.Alternatives, g)
		}
	}
	if len(f.Alternatives) == 1 {
		return f.Alternatives[0]
	}
	return f
}

func (w *walker) after(r Result, next func(*walker, Packet, bool) Fate) Fate {
	var f Fate
	switch r.Verdict {
	case Accept:
		return next(w, r.Packet, r.Reroute)
	case Drop:
		f = w.end(Dropped, r.Packet, "")
	case Reject:
		f = w.end(Rejected, r.Packet, "")
	default:
		f = w.end(Taken, r.Packet, string(r.Verdict))
	}
	f.By, f.With = r.By, r.With
	return f
}

// prerouting is where a packet for the IP stack comes in.
func (w *walker) prerouting(p Packet) Fate {
	return w.hook(At{p.Family, "prerouting"}, p, func(w *walker, p Packet, _ bool) Fate { return w.route(p) })
}

func query(p *Packet, in string) RouteQuery {
	return RouteQuery{
		Dst: p.Dst, Src: p.Src, In: in, Mark: p.Mark, OpenMark: !p.Says(FMark), Proto: p.Proto, UID: p.UID, OpenUID: p.Local && !p.Says(FUID),
		Sport: p.Sport, Dport: p.Dport,
	}
}

// route decides where a packet that came in goes.
func (w *walker) route(p Packet) Fate {
	if !p.Says(FDst | FSrc) {
		return w.end(Unsure, p, "the address that it was translated to is not known")
	}
	r, ok := w.s.Route(query(&p, p.In.Name))
	if !ok {
		return w.end(Unsure, p, "the route to "+p.Dst.String()+" is not known")
	}
	if why := w.s.martian(&p); why != "" && r.Type != "" {
		return w.end(Dropped, p, why)
	}
	switch r.Type {
	case "local", "broadcast":
		return w.hook(At{p.Family, "input"}, p, func(w *walker, p Packet, _ bool) Fate { return w.end(Delivered, p, "") })
	case "unicast":
		return w.forward(p, r)
	case "":
		return w.end(NoRoute, p, "no route to "+p.Dst.String())
	case "multicast", "anycast":
		return w.end(Unsure, p, "what becomes of "+r.Type+" is not modelled")
	}
	return w.end(NoRoute, p, r.Type+" route to "+p.Dst.String())
}

func (w *walker) forward(p Packet, r Route) Fate {
	switch yes, known := w.s.forwards(p.Family, p.In.Name); {
	case !known:
		return w.end(Unsure, p, "whether the namespace forwards was not read")
	case !yes:
		return w.end(Dropped, p, "it is not forwarded: forwarding is off on "+p.In.Name)
	}
	if p.Says(FTTL) { // counted down before the hook
		if p.TTL <= 1 {
			return w.end(Dropped, p, "its TTL is used up")
		}
		p.TTL--
	}
	p.Out, p.NextHop = r.Out, r.Gateway
	return w.hook(At{p.Family, "forward"}, p, func(w *walker, p Packet, _ bool) Fate { return w.postrouting(p, r) })
}

func (w *walker) postrouting(p Packet, r Route) Fate {
	// What is forwarded still has the interface that it came through here (since Linux 5.7).
	return w.hook(At{p.Family, "postrouting"}, p, func(w *walker, p Packet, _ bool) Fate {
		return w.egress(p, func(w *walker, p Packet) Fate {
			if r.Type == "local" {
				return w.ingress(p, r.Out, func(w *walker, p Packet) Fate { return w.prerouting(p) })
			}
			sent := func(w *walker, p Packet) Fate {
				f := w.end(Sent, p, "")
				f.Route = r
				return f
			}
			if br := w.s.byName[p.Out.Name]; br != nil && br.Kind == "bridge" {
				return w.ownBridge(p, r, br, sent)
			}
			return sent(w, p)
		})
	})
}

// ingress is what comes up through an interface: a frame that a bridge passes up, what is looped back.
func (w *walker) ingress(p Packet, in Iface, next func(*walker, Packet) Fate) Fate {
	p.In, p.Out = in, Iface{}
	return w.hook(At{"netdev", "ingress"}, p, func(w *walker, p Packet, _ bool) Fate { return next(w, p) })
}

// egress is what a device sends. (The kernel tells its rules nothing of where the packet came from.)
func (w *walker) egress(p Packet, next func(*walker, Packet) Fate) Fate {
	in := p.In
	p.In = Iface{}
	return w.hook(At{"netdev", "egress"}, p, func(w *walker, p Packet, _ bool) Fate {
		p.In = in
		return next(w, p)
	})
}

// ownBridge is the way of what the namespace sends out of a bridge of its own, through that bridge's rules and its port's.
func (w *walker) ownBridge(p Packet, r Route, br *snapshot.Link, sent func(*walker, Packet) Fate) Fate {
	rules := w.s.Rules
	if !rules.any(At{"bridge", "output"}) && !rules.any(At{"bridge", "postrouting"}) && !rules.any(At{"netdev", "egress"}) {
		return sent(w, p)
	}
	next := r.Gateway
	if !next.IsValid() {
		next = p.Dst
	}
	was := p
	port := w.s.portTo(br, w.s.neighbor(br, next))
	if w.port != nil && w.port.Master == br.Index && next == w.behind {
		port = w.port
	}
	p.In, p.Out, p.OutBridge = Iface{}, iface(port), br.Name
	if port == nil {
		p.open(FOut)
	}
	return w.hook(At{"bridge", "output"}, p, func(w *walker, p Packet, _ bool) Fate {
		return w.hook(At{"bridge", "postrouting"}, p, func(w *walker, p Packet, _ bool) Fate {
			return w.egress(p, func(w *walker, p Packet) Fate {
				p.In, p.Out, p.OutBridge, p.Known = was.In, was.Out, was.OutBridge, p.Known|was.Known&FOut
				return sent(w, p)
			})
		})
	})
}

// neighbor is the hardware address of one, "" where it is not known.
func (s *Space) neighbor(l *snapshot.Link, a netip.Addr) string {
	for i := range s.ns.Neighbors {
		if n := &s.ns.Neighbors[i]; n.Ifindex == l.Index && n.Addr == a && n.MAC != "" {
			return n.MAC
		}
	}
	return ""
}

// output is the way of a packet that a socket sends.
func (w *walker) output(p Packet) Fate {
	p.Local, p.Known = true, p.Known|FIn|FOut
	r, fate := w.outRoute(&p)
	if fate != nil {
		return *fate
	}
	if !p.Src.IsValid() {
		p.Src = r.Source
		p.Orig.Src = netip.AddrPortFrom(p.Src, p.Sport)
	}
	p.Out, p.NextHop = r.Out, r.Gateway
	return w.hook(At{p.Family, "output"}, p, func(w *walker, p Packet, reroute bool) Fate {
		r := r
		if reroute {
			if !p.Says(FDst) {
				return w.end(Unsure, p, "the address that it was translated to is not known")
			}
			var fate *Fate
			if r, fate = w.outRoute(&p); fate != nil {
				return *fate
			}
			p.Out, p.NextHop = r.Out, r.Gateway
		}
		return w.postrouting(p, r)
	})
}

func (w *walker) outRoute(p *Packet) (Route, *Fate) {
	r, ok := w.s.Route(query(p, ""))
	var f Fate
	switch {
	case !ok:
		f = w.end(Unsure, *p, "the route to "+p.Dst.String()+" is not known")
	case r.Type == "":
		f = w.end(NoRoute, *p, "no route to "+p.Dst.String())
	case r.Type == "blackhole" || r.Type == "unreachable" || r.Type == "prohibit":
		f = w.end(NoRoute, *p, r.Type+" route to "+p.Dst.String())
	default:
		return r, nil
	}
	return r, &f
}

// martian is what fib_validate_source refuses: "" for nothing.
func (s *Space) martian(p *Packet) string {
	if p.Family != "ip" || p.In.Name == "" || s.byName[p.In.Name] != nil && s.byName[p.In.Name].Type == "loopback" {
		return ""
	}
	dev := p.In.Name
	if s.highest("route_localnet", dev) != "1" && (p.Dst.IsLoopback() || p.Src.IsLoopback()) {
		return "loopback addresses do not come through " + dev
	}
	if s.local[p.Src] != nil && s.sysctl("net.ipv4.conf."+dev+".accept_local") != "1" {
		return "its source is the namespace's own address"
	}
	mode := s.highest("rp_filter", dev)
	if mode != "1" && mode != "2" {
		return ""
	}
	q := RouteQuery{Dst: p.Src, Src: p.Dst}
	r, ok := s.Route(q)
	if ok && (r.Type != "unicast" || mode == "1" && r.Out.Name != dev) {
		return "rp_filter of " + dev + ": an answer would not leave there"
	}
	return ""
}

// bridge is the way of a frame that comes through a bridge's port.
func (w *walker) bridge(p Packet, port, br *snapshot.Link) Fate {
	call := w.s.bridged(br, p.Family)
	p.InBridge = br.Name
	return w.before(call, At{"bridge", "prerouting"}, brnfPrerouting, p, func(w *walker, p Packet, _ bool) Fate {
		up := func(w *walker, p Packet) Fate {
			p.In, p.PhysIn = iface(port), ""
			return w.hook(At{"bridge", "input"}, p, func(w *walker, p Packet, _ bool) Fate {
				p.InBridge = ""
				return w.ingress(p, iface(br), func(w *walker, p Packet) Fate {
					if call {
						p.PhysIn = port.Name
						return w.route(p)
					}
					return w.prerouting(p)
				})
			})
		}
		next := func(w *walker, p Packet, _ bool) Fate {
			if dst := p.Orig.Dst.Addr(); call && p.Says(FCtTuple) && (!p.Says(FDst) || p.Dst != dst) {
				return w.bridgedNAT(p, port, br, up)
			}
			if !p.Says(FMAC) || p.DstMAC == "" || strings.EqualFold(p.DstMAC, br.MAC) {
				return up(w, p)
			}
			return w.across(p, port, br, call)
		}
		if !call {
			return next(w, p, false)
		}
		p.In, p.PhysIn, p.InBridge = iface(br), port.Name, ""
		return w.hook(At{p.Family, "prerouting"}, p, func(w *walker, p Packet, reroute bool) Fate {
			l3 := p
			p.In, p.PhysIn, p.InBridge = iface(port), "", br.Name
			return w.hookPart(At{"bridge", "prerouting"}, brnfPrerouting, true, p, func(w *walker, p Packet, _ bool) Fate {
				p.In, p.PhysIn, p.InBridge = l3.In, l3.PhysIn, l3.InBridge
				return next(w, p, reroute)
			})
		})
	})
}

// The priorities at which br_netfilter calls the rules of IP (br_netfilter_hooks.c): bridge chains beyond them run after those.
const (
	brnfPrerouting = 0
	brnfForward    = -1
)

// bridgedNAT is the way of a frame whose packet br_netfilter has let be sent elsewhere (br_nf_pre_routing_finish): where the
// route leads back to the bridge it is bridged to the next hop's address, else it goes up.
func (w *walker) bridgedNAT(p Packet, port, br *snapshot.Link, up func(*walker, Packet) Fate) Fate {
	if !p.Says(FDst | FSrc) {
		return w.end(Unsure, p, "the address that it was translated to is not known")
	}
	if why := w.s.martian(&p); why != "" {
		return w.end(Dropped, p, why)
	}
	r, ok := w.s.Route(query(&p, br.Name))
	switch {
	case !ok:
		return w.end(Unsure, p, "the route to "+p.Dst.String()+" is not known")
	case r.Type == "local":
		return up(w, p)
	case r.Type != "unicast":
		return w.end(NoRoute, p, "no route to "+p.Dst.String())
	case r.Out.Name != br.Name:
		return up(w, p)
	}
	next := r.Gateway
	if !next.IsValid() {
		next = p.Dst
	}
	if w.port != nil && w.port.Master == br.Index && next == w.behind {
		p.open(FMAC)
		return w.across(p, port, br, true)
	}
	if mac := w.s.neighbor(br, next); mac != "" {
		p.DstMAC = mac
		return w.across(p, port, br, true)
	}
	return w.end(Unsure, p, "the hardware address of "+next.String()+" is not known")
}

// across is the way from one port of a bridge to another.
func (w *walker) across(p Packet, port, br *snapshot.Link, call bool) Fate {
	out := w.s.portTo(br, p.DstMAC)
	if w.port != nil && w.port.Master == br.Index && p.Dst == w.behind {
		out = w.port
	}
	switch {
	case out == nil:
		return w.end(Unsure, p, "behind which port of "+br.Name+" "+p.DstMAC+" is was not learnt")
	case out == port && (port.BridgePort == nil || !port.BridgePort.Hairpin):
		return w.end(Dropped, p, "it would leave by the port that it came through")
	case port.BridgePort != nil && out.BridgePort != nil && port.BridgePort.Isolated && out.BridgePort.Isolated:
		return w.end(Dropped, p, "both ports are isolated")
	}
	l2 := func(p *Packet, in bool) {
		p.In, p.Out, p.PhysIn, p.PhysOut = Iface{}, iface(out), "", ""
		p.InBridge, p.OutBridge = "", br.Name
		if in {
			p.In, p.InBridge = iface(port), br.Name
		}
	}
	l3 := func(p *Packet, in bool) {
		p.In, p.Out, p.PhysIn, p.PhysOut = Iface{}, iface(br), port.Name, out.Name
		p.InBridge, p.OutBridge = "", ""
		if in {
			p.In = iface(br)
		}
	}
	maybe := func(w *walker, hook string, p Packet, next func(*walker, Packet, bool) Fate) Fate {
		if !call {
			return next(w, p, false)
		}
		l3(&p, hook == "forward")
		return w.hook(At{p.Family, hook}, p, next)
	}
	after := func(w *walker, p Packet, next func(*walker, Packet, bool) Fate) Fate {
		if !call {
			return next(w, p, false)
		}
		l2(&p, true)
		return w.hookPart(At{"bridge", "forward"}, brnfForward, true, p, next)
	}
	l2(&p, true)
	return w.before(call, At{"bridge", "forward"}, brnfForward, p, func(w *walker, p Packet, _ bool) Fate {
		return maybe(w, "forward", p, func(w *walker, p Packet, _ bool) Fate {
			return after(w, p, func(w *walker, p Packet, _ bool) Fate {
				l2(&p, false)
				return w.hook(At{"bridge", "postrouting"}, p, func(w *walker, p Packet, _ bool) Fate {
					return maybe(w, "postrouting", p, func(w *walker, p Packet, _ bool) Fate {
						p.Out = iface(out)
						return w.egress(p, func(w *walker, p Packet) Fate {
							p.Out = iface(br)
							f := w.end(Sent, p, "")
							f.Port = out.Name
							return f
						})
					})
				})
			})
		})
	})
}

// before runs a hook of the bridge, or where br_netfilter calls in between the part of it that comes before.
func (w *walker) before(call bool, at At, last int32, p Packet, next func(*walker, Packet, bool) Fate) Fate {
	if call {
		return w.hookPart(at, last, false, p, next)
	}
	return w.hook(at, p, next)
}

// portTo is the port of a bridge behind which a MAC address is.
func (s *Space) portTo(br *snapshot.Link, mac string) *snapshot.Link {
	for i := range s.ns.FDB {
		e := &s.ns.FDB[i]
		l := s.byIndex[e.Ifindex]
		if e.Master == br.Index && l != nil && l.Master == br.Index && strings.EqualFold(e.MAC, mac) {
			return l
		}
	}
	return nil
}
