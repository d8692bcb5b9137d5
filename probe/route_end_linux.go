package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// finish ends the result.
func (t *tracer) finish() *Result {
	r, p := t.r, t.path
	slices.SortStableFunc(r.Attempts, func(a, b Attempt) int { return a.Seq - b.Seq })
	asked := len(p.Hops)
	switch answered := p.answered(); {
	case t.own():
		p.Hops = p.Hops[:answered]
		return r.end(t.last.Class, outcome(t.last, ""))
	case t.end > 0:
		p.Hops = p.Hops[:t.end]
		t.foldEnd()
	default:
		p.Hops = p.Hops[:answered]
	}
	if p.Reached {
		s := fmt.Sprintf("reached in %d hops, %v", t.end, t.last.MS)
		if t.end == 1 {
			s = fmt.Sprintf("reached in 1 hop, %v", t.last.MS)
		}
		if p.MTU > 0 {
			s += fmt.Sprintf(", MTU %d", p.MTU)
		}
		if n := t.end - 1; n > 0 && p.By != "tcp" && len(p.Hops[n-1].Replies) == 0 && !t.asFarBack() {
			r.NotCertain = fmt.Sprintf("hop %d is silent: it may be the target, whose ICMP errors are limited", n)
		}
		return r.end(OK, s)
	}
	if t.end > 0 {
		if t.last.Class == Filtered || t.last.Class == Refused {
			r.Hint = "a rule there rejects this; another protocol or port may pass"
		}
		return r.end(t.last.Class, fmt.Sprintf("ends at %s, hop %d: %s", t.last.who(), t.end, t.last.Reason))
	}
	if p.LoopFrom > 0 {
		return r.end(Expired, "loops from hop "+fmt.Sprint(p.LoopFrom)+" on: "+t.loopers())
	}
	if t.ctx.Err() != nil {
		return r.end(Timeout, fmt.Sprintf("interrupted after %d hops", len(p.Hops)))
	}
	if len(p.Hops) == t.how.MaxHops {
		return r.end(Expired, fmt.Sprintf("not reached within %d hops", t.how.MaxHops))
	}
	p.SilentFrom, p.Asked = len(p.Hops)+1, asked
	if len(p.Hops) == 0 {
		if why := t.why.unanswered(t.to); why != "" {
			return r.end(Unreachable, "unreachable: "+why)
		}
		if p.By == "tcp" && r.From.Addr.IsValid() {
			local, remote := netip.AddrPortFrom(r.From.Addr, 40000), netip.AddrPortFrom(t.to, p.Port)
			if drops, _ := t.from.outputDrops(local, remote, t.o); drops {
				return r.end(Denied, "denied: "+ownFirewall)
			}
		}
	}
	others := map[string]string{"udp": "icmp or tcp", "icmp": "udp or tcp", "tcp": "udp or icmp"}
	r.Hint = "try by " + others[p.By]
	if len(p.Hops) == 0 {
		r.NotCertain = "the packets, or what the routers say of them, may be dropped"
		return r.end(Timeout, "nobody answers")
	}
	last := p.Hops[len(p.Hops)-1].Replies[0]
	r.NotCertain = fmt.Sprintf("behind %s packets are dropped, or the answers are", whoIs(last.By, last.ByName))
	return r.end(Timeout, fmt.Sprintf("silent from hop %d on", p.SilentFrom))
}

// foldEnd makes one hop of a router that says "TTL exceeded" and, to the packet that has one more, that it does not let it
// through: a kernel looks at the TTL before its FORWARD rules and before it asks for the neighbour (ip_forward in
// net/ipv4/ip_forward.c).
func (t *tracer) foldEnd() {
	p := t.path
	if p.Reached || t.end < 2 {
		return
	}
	last, before := &p.Hops[t.end-1], &p.Hops[t.end-2]
	for _, x := range last.Replies {
		if x.By != t.last.By || !slices.ContainsFunc(before.Replies, func(y HopReply) bool { return y.By == x.By }) {
			return
		}
	}
	before.Replies = append(before.Replies, last.Replies...)
	before.MTU = or(before.MTU, last.MTU)
	t.end--
	p.Hops = p.Hops[:t.end]
}

// asFarBack tells whether the target's answer came over as many hops as the packet took there, by its TTL: kernels begin with
// 64, 128 or 255.
func (t *tracer) asFarBack() bool {
	for _, x := range t.path.Hops[t.end-1].Replies {
		for _, initial := range []int{64, 128, 255} {
			if x.TTL > 0 && initial-x.TTL+1 == t.end {
				return true
			}
		}
	}
	return false
}

// loopers names the routers of a loop.
func (t *tracer) loopers() string {
	var names []string
	for _, h := range t.path.Hops[t.path.LoopFrom-1:] {
		if len(h.Replies) == 0 {
			continue
		}
		name := whoIs(h.Replies[0].By, h.Replies[0].ByName)
		if slices.Contains(names, name) {
			break
		}
		names = append(names, name)
	}
	return strings.Join(names, " → ")
}
