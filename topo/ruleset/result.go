package ruleset

import (
	"fmt"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Tri is what a question about a packet has for an answer.
type Tri uint8

// The answers. Maybe: it depends on what the description leaves open or what nobody can tell.
const (
	No Tri = iota
	Maybe
	Yes
)

func not(t Tri) Tri { return Yes - t }

func either(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

// Verdict is what becomes of a packet at a hook.
type Verdict string

// The verdicts. Accept means that it goes on from the hook.
const (
	Accept  Verdict = "accept"
	Drop    Verdict = "drop"
	Reject  Verdict = "reject" // dropped and answered
	Queue   Verdict = "queue"  // to a program
	Stolen  Verdict = "stolen" // forwarded or answered by the rule itself
	Unknown Verdict = "unknown"
)

// At is a place at which rules are run.
type At struct {
	// Family is ip, ip6, bridge, arp or netdev.
	Family string `json:"family"`
	// Hook is prerouting, input, forward, output, postrouting, ingress or egress.
	Hook string `json:"hook"`
}

func (a At) String() string { return a.Family + " " + a.Hook }

// Ref names a rule, or a base chain's policy.
type Ref struct {
	Backend string `json:"backend"`
	Family  string `json:"family"`
	Table   string `json:"table"`
	Chain   string `json:"chain"`
	// Rule is its place in the chain, from 0; -1 is the chain's policy.
	Rule   int    `json:"rule"`
	Handle uint64 `json:"handle,omitempty"`
	// Priority and Hook are those of the base chain through which it was reached.
	Hook     string `json:"hook"`
	Priority int32  `json:"priority"`

	chain *chain
}

func (r *Ref) String() string {
	where := fmt.Sprintf("%s %s %s", r.Family, r.Table, r.Chain)
	if r.Backend == snapshot.NfLegacy {
		where = "legacy " + where
	}
	if r.Rule < 0 {
		return "policy of " + where
	}
	return fmt.Sprintf("rule %d of %s", r.Rule+1, where)
}

// Source is the rule itself, nil for a policy.
func (r *Ref) Source() *snapshot.NfRule {
	if r.Rule < 0 || r.chain == nil {
		return nil
	}
	return &r.chain.src.Rules[r.Rule]
}

// Step is a rule that a packet came to and that matched, or may.
type Step struct {
	Ref
	Match Tri `json:"-"`
	// Depth is how many chains were jumped from to come here.
	Depth int `json:"depth"`
	// Did says what it did, in words: "dnat to 172.17.0.2:80", "mark 0x1", "jump DOCKER", "accept".
	Did string `json:"did,omitempty"`
}

// Result is what one hook does to a packet.
type Result struct {
	At      At      `json:"at"`
	Verdict Verdict `json:"verdict"`
	// With is a reject's answer, as iptables names it ("icmp-port-unreachable", "tcp-reset"); of a queue its number.
	With string `json:"with,omitempty"`
	// By is the rule or policy that decided, nil where nothing did; of an unknown verdict the rule because of which.
	By *Ref `json:"by,omitempty"`
	// Why says what could not be told, of an unknown verdict.
	Why string `json:"why,omitempty"`
	// Packet is as it leaves the hook.
	Packet Packet `json:"packet"`
	Steps  []Step `json:"steps,omitempty"`
	// Reroute: something changed by which the route of a packet sent by the namespace itself is looked up anew.
	Reroute bool `json:"reroute,omitempty"`
	// Alternatives are the ways in which an unknown verdict may turn out, where they are few enough to be followed.
	// Complete says that there are no others.
	Alternatives []Result `json:"alternatives,omitempty"`
	Complete     bool     `json:"complete,omitempty"`
	// Share is the part of all packets as described that come to this end, between 0 and 1, where lots decide it; 0 where
	// it is not known.
	Share float64 `json:"share,omitempty"`
}

// joinShares is the share of two ways that end alike.
func joinShares(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return a + b
}

// merge tells whether two results are one fate. What differs in the packet and decides nothing here (marks) is opened in a.
func (a *Result) merge(b *Result) bool {
	if a.Verdict != b.Verdict || a.With != b.With || a.Verdict == Unknown {
		return false
	}
	share := joinShares(a.Share, b.Share)
	if a.Verdict != Accept {
		a.Share = share
		return true
	}
	p, q := a.Packet, b.Packet
	var open Fields
	soft := func(f Fields, differ bool) {
		if differ || p.Known&f != q.Known&f {
			open |= f
		}
	}
	soft(FMark, p.Mark != q.Mark)
	soft(FCtMark, p.CtMark != q.CtMark)
	soft(FPriority, p.Priority != q.Priority)
	soft(FTOS, p.TOS != q.TOS)
	soft(FTTL, p.TTL != q.TTL)
	q.Mark, q.CtMark, q.Priority, q.TOS, q.TTL = p.Mark, p.CtMark, p.Priority, p.TOS, p.TTL
	p.open(open)
	q.open(open)
	if p != q {
		return false
	}
	a.Packet, a.Share = p, share
	a.Reroute = a.Reroute || b.Reroute
	return true
}

// outcomes are the ways in which r may turn out.
func (r *Result) outcomes() ([]Result, bool) {
	if r.Verdict != Unknown {
		return []Result{*r}, true
	}
	return r.Alternatives, r.Complete
}

// maxAlternatives bounds the ways that are kept of one unknown verdict.
const maxAlternatives = 64

// join makes one result of the two ways of a rule that may match.
func join(match, miss *Result, by *Ref, why string) Result {
	if match.merge(miss) {
		return *match
	}
	r := Result{At: miss.At, Verdict: Unknown, By: by, Why: why, Packet: miss.Packet, Steps: miss.Steps, Complete: true}
	for _, x := range []*Result{match, miss} {
		all, complete := x.outcomes()
		r.Complete = r.Complete && complete
		for i := range all {
			known := false
			for k := range r.Alternatives {
				if known = r.Alternatives[k].merge(&all[i]); known {
					break
				}
			}
			if !known {
				r.Alternatives = append(r.Alternatives, all[i])
			}
		}
	}
	if len(r.Alternatives) > maxAlternatives {
		r.Alternatives, r.Complete = r.Alternatives[:maxAlternatives], false
	}
	if len(r.Alternatives) == 1 && r.Complete {
		return r.Alternatives[0]
	}
	return r
}
