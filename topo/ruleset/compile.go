package ruleset

import (
	"sync"

	"github.com/nscope/nscope/inspect/snapshot"
)

// rule is one rule, compiled when it is first run.
type rule struct {
	src  *snapshot.NfRule
	once sync.Once
	ops  []op
	// last is the place of the last op that does anything to the packet; what may match after it decides nothing.
	last int
}

// op is one step: a condition, or something done.
type op struct {
	match match
	// odds are the share of packets for which match holds where it draws lots; 0 where that is not known.
	odds float64
	do   func(m *machine) outcome
	// idle: neither decides nor changes anything.
	idle bool
}

// outcome is what a step that does something leads to.
type outcome struct {
	kind  outcomeKind
	chain *chain
	with  string
	why   string
	did   string
	// ways are verdicts of which one is given, where a map was asked for something open; miss: or none.
	ways []*snapshot.NfVerdict
	miss bool
	// odds are the shares of the ways where lots are drawn, nil where they are not known.
	odds []float64
}

type outcomeKind uint8

const (
	goOn     outcomeKind = iota // with the rule
	mismatch                    // the rule does not match after all
	accept
	drop
	reject
	queue
	stolen
	jump
	gotoChain
	leave // return
	lost  // nobody can tell
	ways  // one of several verdicts
)

func (r *rule) compile(t *table) {
	r.once.Do(func() {
		r.last = -1
		for i := range r.src.Exprs {
			r.ops = append(r.ops, t.compile(&r.src.Exprs[i])...)
		}
		for i := range r.ops {
			if r.ops[i].do != nil && !r.ops[i].idle {
				r.last = i
			}
		}
	})
}

func does(o outcome) []op { return []op{{do: func(*machine) outcome { return o }}} }

var idle = []op{{do: func(*machine) outcome { return outcome{} }, idle: true}}

func maybe() []op { return []op{{match: func(*machine) Tri { return Maybe }}} }

func (t *table) compile(e *snapshot.NfExpr) []op {
	switch {
	case e.Matches != nil:
		out := make([]op, len(e.Matches))
		for i := range e.Matches {
			out[i].match, out[i].odds = t.match(&e.Matches[i]), oddsOf(&e.Matches[i])
			if t.src.Family == "ip6" && e.XT != nil && e.XT.Name == "addrtype" {
				out[i].match = t.addrType6(&e.Matches[i])
			}
		}
		return out
	case e.Map != nil:
		return t.verdictMap(e.Map)
	case e.Verdict != nil:
		return does(t.verdict(e.Verdict))
	case e.NAT != nil:
		return t.nat(e.NAT, e.XT)
	case e.Assign != nil:
		return t.assign(e.Assign)
	case e.Limit != nil:
		return maybe()
	case e.Reject != nil:
		return does(outcome{kind: reject, with: e.Reject.With, did: "reject with " + e.Reject.With})
	case e.Update != nil:
		if len(e.Update.Exprs) > 0 {
			return maybe() // each key has a rate of its own
		}
		return idle
	case e.Action != nil:
		return action(e.Action)
	case e.Unknown != nil:
		if e.Unknown.Kind == "match" {
			return maybe()
		}
		return does(outcome{kind: lost, why: e.Unknown.Kind + " " + e.Unknown.Name + " is not understood"})
	}
	return idle // a counter, a log
}

func (t *table) verdict(v *snapshot.NfVerdict) outcome {
	c := t.chains[v.Chain]
	switch v.Kind {
	case "accept":
		return outcome{kind: accept, did: "accept"}
	case "drop":
		return outcome{kind: drop, did: "drop"}
	case "return":
		return outcome{kind: leave, did: "return"}
	case "continue":
		return outcome{}
	case "queue":
		return outcome{kind: queue, with: queueName(v.Queue), did: "queue"}
	case "stolen":
		return outcome{kind: stolen, did: "stolen"}
	case "jump", "goto":
		if c == nil {
			return outcome{kind: lost, why: "there is no chain " + v.Chain}
		}
		k := jump
		if v.Kind == "goto" {
			k = gotoChain
		}
		return outcome{kind: k, chain: c, did: v.Kind + " " + v.Chain}
	}
	return outcome{kind: lost, why: "the verdict " + v.Kind + " is not understood"}
}

func (t *table) verdictMap(v *snapshot.NfVerdictMap) []op {
	s := t.set(v.Map)
	key := t.operand(&v.Key)
	return []op{{do: func(m *machine) outcome {
		k := key(m)
		if s == nil {
			return outcome{kind: lost, why: "there is no map " + v.Map}
		}
		if k.kind == kNone {
			return outcome{kind: mismatch}
		}
		e, hit := s.find(&k)
		switch {
		case hit == No:
			return outcome{kind: mismatch}
		case hit == Maybe:
			list, odds := s.verdicts(&k, &v.Key)
			return outcome{kind: ways, ways: list, odds: odds, miss: s.catchAll < 0 && (odds == nil || total(odds) < 1), why: "what the map " + v.Map + " gives is not known"}
		case e.Verdict == nil:
			return outcome{kind: lost, why: "the map " + v.Map + " gives no verdict"}
		}
		return t.verdict(e.Verdict)
	}}}
}

// action are steps that are known by name. Of most it is enough to know that they change nothing that a rule or a route
// asks for.
func action(a *snapshot.NfAction) []op {
	change := func(f Fields, did string) []op {
		return []op{{do: func(m *machine) outcome {
			m.p.open(f)
			return outcome{did: did}
		}}}
	}
	switch a.Name {
	case "notrack":
		return []op{{do: func(m *machine) outcome {
			if m.p.Tracked { // too late: nft_notrack_eval leaves what has a connection
				return outcome{}
			}
			m.p.Untracked = true
			return outcome{did: "notrack"}
		}}}
	case "counter", "ct helper", "ct timeout", "ct expectation", "checksum", "tcpmss", "dup", "tee", "trace", "audit", "secmark", "connsecmark",
		"flow add", "flow offload", "classify", "led", "idletimer", "rateest", "ct", "nflog", "tcpoptstrip", "optstrip", "meta nftrace":
		return idle
	case "ttl", "hl":
		return change(FTTL, a.Name)
	case "tos", "dscp", "ecn":
		return change(FTOS, a.Name)
	case "quota", "limit", "connlimit", "ct count":
		return maybe()
	case "fwd":
		return does(outcome{kind: stolen, did: "fwd"})
	}
	return does(outcome{kind: lost, why: a.Name + " is not modelled"})
}
