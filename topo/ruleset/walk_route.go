package ruleset

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
)

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
