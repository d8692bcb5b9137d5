package ruleset

import (
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
)

// machine runs one packet through one hook.
type machine struct {
	rs    *Ruleset
	env   Env
	at    At
	hook  *hook
	p     Packet
	entry int     // which entry of the hook runs
	nat   int     // which chain of a translation
	base  *chain  // the base chain that runs, nil between two
	stack []frame // where to go on, the innermost chain last
	steps []Step
	// translated: a rule of this hook has set up a translation.
	translated bool
	reroute    bool
	// share is the part of all packets that go this way, as far as lots decide it; 0 where that is not known.
	share float64
	// forks is how many times more a way may part in two, shared by all of them.
	forks *int
}

type frame struct {
	chain *chain
	next  int
}

// maxForks bounds how many ways are followed at one hook, maxDepth how deep jumps go (the kernel allows 16 in nftables;
// legacy tables have a stack as large as their chains, without loops).
const (
	maxForks = 256
	maxDepth = 256
)

// Eval runs p through one hook. In, Out and the bridge ports of p must be as the kernel has them there.
func (r *Ruleset) Eval(at At, p Packet, env Env) Result {
	return r.run(at, r.at(at), p, env)
}

// evalPart is [Ruleset.Eval] for what is registered up to a priority, or for what is beyond it.
func (r *Ruleset) evalPart(at At, last int32, beyond bool, p Packet, env Env) Result {
	h := r.at(at)
	part := &hook{tied: h.tied}
	for _, e := range h.entries {
		if e.priority > last == beyond {
			part.entries = append(part.entries, e)
		}
	}
	return r.run(at, part, p, env)
}

func (r *Ruleset) run(at At, h *hook, p Packet, env Env) Result {
	a := r.eval(at, h, p, env)
	if !h.tied {
		return a
	}
	b := r.eval(at, h.reversed(), p, env)
	if share := a.Share; a.Verdict == Unknown || a.merge(&b) {
		a.Share = share
		return a
	}
	a.Share, b.Share = 0, 0
	return join(&a, &b, a.By, "the order of base chains with the same priority is not known")
}

func (r *Ruleset) eval(at At, h *hook, p Packet, env Env) Result {
	forks := maxForks
	if at.Hook != "prerouting" && at.Hook != "output" && at.Hook != "ingress" && !p.Untracked && (at.Family == "ip" || at.Family == "ip6") {
		p.Tracked = true
	}
	m := &machine{rs: r, env: env, at: at, hook: h, p: p, entry: -1, share: 1, forks: &forks}
	return m.run()
}

func (m *machine) fork() *machine {
	c := *m
	c.stack = slices.Clone(m.stack)
	c.steps = slices.Clip(m.steps)
	return &c
}

// run goes on from where m stands to the end of the hook.
func (m *machine) run() Result {
	for {
		if m.base == nil {
			if !m.nextBase() {
				return m.result(Accept, "", nil)
			}
			continue
		}
		f := &m.stack[len(m.stack)-1]
		i := f.chain.next(f.next, &m.p)
		if i >= len(f.chain.rules) {
			if m.stack = m.stack[:len(m.stack)-1]; len(m.stack) == 0 {
				if r, done := m.policy(); done {
					return r
				}
			}
			continue
		}
		f.next = i + 1
		if r, done := m.rule(f.chain, i, 0, Yes); done {
			return r
		}
	}
}

// nextBase begins the next base chain; what is none (conntrack) is done on the way.
func (m *machine) nextBase() bool {
	if m.entry >= 0 && m.entry < len(m.hook.entries) {
		if e := &m.hook.entries[m.entry]; e.translates && m.nat+1 < len(e.nat) && !m.translated {
			m.nat++
			m.begin(e.nat[m.nat])
			return true
		}
	}
	for m.entry++; m.entry < len(m.hook.entries); m.entry++ {
		e := &m.hook.entries[m.entry]
		switch {
		case e.conntrack:
			m.p.Tracked = !m.p.Untracked
		case e.translates:
			done := &m.p.srcDone
			if e.priority == prioNATDst {
				done = &m.p.dstDone
			}
			if m.p.Tracked && !*done && (!m.p.Says(FCt) || m.p.Ct&(CtNew|CtRelated) != 0) {
				*done = true
				if len(e.nat) > 0 {
					m.nat = 0
					m.begin(e.nat[0])
					return true
				}
			}
		case m.concerns(e.chain):
			m.begin(e.chain)
			return true
		}
	}
	return false
}

// concerns tells whether a chain that belongs to devices belongs to the packet's.
func (m *machine) concerns(c *chain) bool {
	name := m.p.In.Name
	switch m.at.Hook {
	case "egress":
		name = m.p.Out.Name
	case "ingress":
	default:
		return true
	}
	return slices.ContainsFunc(c.src.Devices, func(d string) bool { return textIs(name, d) })
}

func (m *machine) begin(c *chain) {
	c.compile()
	m.base = c
	m.stack = append(m.stack[:0], frame{chain: c})
}

// policy ends a base chain that has decided nothing.
func (m *machine) policy() (Result, bool) {
	c := m.base
	m.base = nil
	if c.src.Policy != "drop" {
		return Result{}, false
	}
	ref := m.ref(c, -1, c)
	m.steps = append(m.steps, Step{Ref: ref, Match: Yes, Did: "policy drop"})
	return m.result(Drop, "", &ref), true
}

func (m *machine) ref(c *chain, i int, base *chain) Ref {
	r := c.ref(i)
	r.Hook, r.Priority = base.src.Hook, base.src.Priority
	return r
}

func (m *machine) result(v Verdict, with string, by *Ref) Result {
	return Result{At: m.at, Verdict: v, With: with, By: by, Packet: m.p, Steps: m.steps, Reroute: m.reroute, Share: m.share}
}

func (m *machine) unknown(by *Ref, why string) Result {
	r := m.result(Unknown, "", by)
	r.Why = why
	return r
}

// rule runs a rule from one of its steps on. got is Maybe where an earlier step may not have matched.
func (m *machine) rule(c *chain, i, from int, got Tri) (Result, bool) {
	r := &c.rules[i]
	r.compile(c.table)
	did := ""
	for k := from; k < len(r.ops); k++ {
		o := &r.ops[k]
		if o.match != nil {
			switch o.match(m) {
			case No:
				return Result{}, false
			case Maybe:
				if k < r.last {
					if m.cannot(r, k) {
						return Result{}, false
					}
					return m.part(c, i, k+1, o.odds)
				}
				got = Maybe
			}
			continue
		}
		out := o.do(m)
		if out.did != "" {
			did = out.did
		}
		switch out.kind {
		case goOn:
			continue
		case mismatch:
			return Result{}, false
		}
		ref := m.ref(c, i, m.base)
		m.steps = append(m.steps, Step{Ref: ref, Match: got, Depth: len(m.stack) - 1, Did: out.did})
		return m.finish(out, &ref, c)
	}
	m.steps = append(m.steps, Step{Ref: m.ref(c, i, m.base), Match: got, Depth: len(m.stack) - 1, Did: did})
	return Result{}, false
}

// cannot tells whether a later condition of the rule fails for certain, so that one that may match decides nothing. Only
// conditions right after each other are looked at: what comes after a step that does something is another matter.
func (m *machine) cannot(r *rule, k int) bool {
	for _, o := range r.ops[k+1:] {
		if o.match == nil {
			if o.idle {
				continue
			}
			return false
		}
		if o.match(m) == No {
			return true
		}
	}
	return false
}

// part follows both ways of a rule that may match: it does, and goes on with its step k; it does not.
func (m *machine) part(c *chain, i, k int, odds float64) (Result, bool) {
	ref := m.ref(c, i, m.base)
	why := "whether it matches is not known"
	if *m.forks--; *m.forks < 0 {
		return m.unknown(&ref, why), true
	}
	yes := m.fork()
	yes.share *= odds
	if m.share *= 1 - odds; odds == 0 {
		m.share = 0
	}
	match, done := yes.rule(c, i, k, Maybe)
	if !done {
		match = yes.run()
	}
	miss := m.run()
	return join(&match, &miss, &ref, why), true
}

// finish does what a verdict says.
func (m *machine) finish(out outcome, ref *Ref, c *chain) (Result, bool) {
	switch out.kind {
	case accept:
		m.base, m.stack = nil, m.stack[:0]
		return Result{}, false
	case drop:
		return m.result(Drop, "", ref), true
	case reject:
		return m.result(Reject, out.with, ref), true
	case queue:
		return m.result(Queue, out.with, ref), true
	case stolen:
		return m.result(Stolen, "", ref), true
	case leave:
		m.stack = m.stack[:len(m.stack)-1]
		if len(m.stack) == 0 {
			return m.policy()
		}
		return Result{}, false
	case jump, gotoChain:
		if len(m.stack) >= maxDepth {
			return m.unknown(ref, "chains jump too deep"), true
		}
		out.chain.compile()
		if out.kind == gotoChain {
			m.stack[len(m.stack)-1] = frame{chain: out.chain}
		} else {
			m.stack = append(m.stack, frame{chain: out.chain})
		}
		return Result{}, false
	case ways:
		return m.followWays(out, ref, c)
	}
	return m.unknown(ref, out.why), true
}

// followWays runs each verdict that a map may give.
func (m *machine) followWays(out outcome, ref *Ref, c *chain) (Result, bool) {
	var all *Result
	follow := func(o *machine, kind outcome) {
		r, done := o.finish(kind, ref, c)
		if !done {
			r = o.run()
		}
		if all == nil {
			all = &r
			return
		}
		r = join(all, &r, ref, out.why)
		all = &r
	}
	seen, odds := map[string]int{}, []float64{}
	var each []*snapshot.NfVerdict
	for i, v := range out.ways {
		key := v.Kind + " " + v.Chain
		at, ok := seen[key]
		if !ok {
			at = len(each)
			seen[key], each, odds = at, append(each, v), append(odds, 0)
		}
		if out.odds != nil {
			odds[at] += out.odds[i]
		}
	}
	for i, v := range each {
		if *m.forks--; *m.forks < 0 {
			return m.unknown(ref, out.why), true
		}
		way := m.fork()
		way.share *= odds[i]
		follow(way, c.table.verdict(v))
	}
	m.share = max(0, m.share*(1-total(odds)))
	if out.odds == nil {
		m.share = 0
	}
	if out.miss || all == nil {
		r := m.run()
		if all == nil {
			return r, true
		}
		r = join(all, &r, ref, out.why)
		return r, true
	}
	return *all, true
}
