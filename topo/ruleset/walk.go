package ruleset

import (
	"net/netip"
	"slices"

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

// Pass says what becomes of a packet at a device that hands it on to another one: at its ingress or egress hook alone.
func (s *Space) Pass(p Packet, dev, hook string) Fate {
	ways := maxWays
	w := &walker{s: s, ways: &ways}
	l := s.byName[dev]
	if l == nil {
		return Fate{End: Unsure, Packet: p, Why: "there is no interface " + dev}
	}
	p.In, p.Out, p.Known = Iface{}, Iface{}, p.Known|FIn|FOut
	if hook == "ingress" {
		p.In = iface(l)
	} else {
		p.Out = iface(l)
	}
	return w.hook(At{"netdev", hook}, p, func(w *walker, p Packet, _ bool) Fate { return w.end(Sent, p, "") })
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

// The priorities at which br_netfilter calls the rules of IP (br_netfilter_hooks.c): bridge chains beyond them run after those.
const (
	brnfPrerouting = 0
	brnfForward    = -1
)
