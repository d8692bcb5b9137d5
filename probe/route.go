package probe

import "net/netip"

// RoutePath is what Route found beside its attempts.
type RoutePath struct {
	// By is udp, icmp or tcp; Port is TCP's.
	By   string `json:"by"`
	Port uint16 `json:"port,omitempty"`
	// Hops are in order from TTL 1 to where the path ends, or to the last that answered. Never null.
	Hops []Hop `json:"hops"`
	// Reached tells that TO itself answered.
	Reached bool `json:"reached"`
	// MTU is the size in bytes of the largest packet that TO answered with "don't fragment"; 0 where that is not known.
	MTU int `json:"mtu,omitempty"`
	// SilentFrom is the first TTL from which on nobody answered, Asked the last that was asked; 0 where somebody did.
	SilentFrom int `json:"silent_from,omitempty"`
	Asked      int `json:"asked,omitempty"`
	// LoopFrom is the first TTL of a loop: from there on the same routers answer again and again.
	LoopFrom int `json:"loop_from,omitempty"`
}

// Hop is one TTL.
type Hop struct {
	TTL     int        `json:"ttl"`
	Replies []HopReply `json:"replies"` // never null
	// Silent is how many packets had no answer.
	Silent int `json:"silent,omitempty"`
	// MTU is the next link's in bytes, where the router here said that a packet is too big for it.
	MTU int `json:"mtu,omitempty"`
}

// HopReply is one answer.
type HopReply struct {
	By     netip.Addr `json:"by"`
	ByName string     `json:"by_name,omitempty"`
	MS     MS         `json:"ms"`
	Class  Class      `json:"class"` // ttl-exceeded of a router, ok of TO
	Reason string     `json:"reason,omitempty"`
	// TTL is that of the answer, 0 where it is not known.
	TTL int `json:"ttl,omitempty"`
}

// RouteOptions say how a path is traced.
type RouteOptions struct {
	// By is udp (the default), icmp or tcp (to To.Port, 80 where it is 0).
	By string
	// MaxHops bounds the path, 0 means 30; Queries is how many packets for each hop, 0 means 3.
	MaxHops, Queries int
}

// hop is that of a TTL, made where it is missing.
func (p *RoutePath) hop(ttl int) *Hop {
	for len(p.Hops) < ttl {
		p.Hops = append(p.Hops, Hop{TTL: len(p.Hops) + 1, Replies: []HopReply{}})
	}
	return &p.Hops[ttl-1]
}

// answered is the last TTL that has a reply, 0 where none has.
func (p *RoutePath) answered() int {
	for i := len(p.Hops); i > 0; i-- {
		if len(p.Hops[i-1].Replies) > 0 {
			return i
		}
	}
	return 0
}

// loop finds the first TTL of a loop: one to four routers that answered three times over, one after the other. Twice may be
// two paths of different lengths.
func (p *RoutePath) loop() int {
	addrs := make([]netip.Addr, len(p.Hops))
	for i, h := range p.Hops {
		if len(h.Replies) > 0 && h.Replies[0].Class == Expired {
			addrs[i] = h.Replies[0].By
		}
	}
	for from := range addrs {
		for period := 1; period <= 4; period++ {
			if from+3*period > len(addrs) {
				break
			}
			same := true
			for i := from; i < from+2*period; i++ {
				same = same && addrs[i].IsValid() && addrs[i] == addrs[i+period]
			}
			if same {
				return from + 1
			}
		}
	}
	return 0
}
