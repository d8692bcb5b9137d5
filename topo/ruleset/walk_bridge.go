package ruleset

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

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
