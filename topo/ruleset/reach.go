package ruleset

// Reach lists the rules at one place that some packet as described may come to and match, in the order in which they are
// run; a chain that several rules jump to is listed where the first does. What earlier rules and hooks may have
// changed, marks and what conntrack says, is taken to be open. Translations are not followed: ask again for what is behind.
func (r *Ruleset) Reach(at At, p Packet, env Env) []Step {
	p.open(FMark | FCt | FCtStatus | FCtMark | FCtDir | FCtTuple | FPriority | FTOS | FTTL)
	m := &machine{rs: r, env: env, at: at, hook: r.at(at), p: p, forks: new(int)}
	m.p.Tracked = at.Hook != "prerouting" && at.Hook != "output"
	for _, e := range m.hook.entries {
		switch {
		case e.conntrack:
			m.p.Tracked = true
		case e.translates:
			for _, c := range e.nat {
				m.reachBase(c)
			}
		case m.concerns(e.chain):
			m.reachBase(e.chain)
		}
	}
	return m.steps
}

func (m *machine) reachBase(c *chain) {
	m.base = c
	if !m.reach(c, map[*chain]bool{}, 0) && c.src.Policy == "drop" {
		m.steps = append(m.steps, Step{Ref: m.ref(c, -1, c), Match: Yes, Did: "policy drop"})
	}
}

// reach lists a chain's rules. ends: no packet as described comes back from it.
func (m *machine) reach(c *chain, seen map[*chain]bool, depth int) (ends bool) {
	c.compile()
	seen[c] = true
	for i := c.next(0, &m.p); i < len(c.rules); i = c.next(i+1, &m.p) {
		r := &c.rules[i]
		r.compile(c.table)
		got, out, outs := m.try(r)
		if got == No {
			continue
		}
		m.steps = append(m.steps, Step{Ref: m.ref(c, i, m.base), Match: got, Depth: depth, Did: out.did})
		if outs == nil {
			outs = []outcome{out}
		}
		all := true
		for _, o := range outs {
			all = m.reachOutcome(o, seen, depth) && all
		}
		switch {
		case got != Yes || !all:
		case out.kind == leave:
			return false
		default:
			return true
		}
	}
	return false
}

// reachOutcome follows a verdict; ends: the chain in which it stands is left by it.
func (m *machine) reachOutcome(o outcome, seen map[*chain]bool, depth int) (ends bool) {
	switch o.kind {
	case jump, gotoChain:
		if seen[o.chain] || depth >= maxDepth {
			return false
		}
		return m.reach(o.chain, seen, depth+1)
	case accept, drop, reject, queue, stolen, leave:
		return true
	}
	return false
}

// try runs a rule's steps on a copy of the packet. outs are the verdicts of a map of which one is given.
func (m *machine) try(r *rule) (got Tri, out outcome, outs []outcome) {
	before, translated, reroute := m.p, m.translated, m.reroute
	defer func() { m.p, m.translated, m.reroute = before, translated, reroute }()
	got = Yes
	for k := range r.ops {
		o := &r.ops[k]
		if o.match != nil {
			switch o.match(m) {
			case No:
				return No, out, nil
			case Maybe:
				got = Maybe
			}
			continue
		}
		x := o.do(m)
		if x.did != "" {
			out.did = x.did
		}
		switch x.kind {
		case goOn:
		case mismatch:
			return No, out, nil
		case ways:
			for _, v := range x.ways {
				outs = append(outs, m.base.table.verdict(v))
			}
			return Maybe, x, outs
		default:
			return got, x, nil
		}
	}
	return got, out, nil
}
