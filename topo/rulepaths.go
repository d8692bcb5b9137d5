package topo

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// A condition is what a packet needs to have to come to a rule, as far as addresses, ports and links go. It proposes
// packets to try; only what an evaluation of such a packet says is believed, so what it leaves out does no harm.
type condition struct {
	proto        uint8 // 0: any
	dport, sport []snapshot.NfNum
	daddr, saddr []netip.Prefix
	in           []string // names of links, as rules write them
}

// candidate is a rule that translates the destination, or that sets a mark, and what it needs.
type candidate struct {
	condition
	family string // ip, ip6; "" for both
	hook   string
	table  *snapshot.NfTable
	chain  *snapshot.NfChain
	rule   int
	nat    *snapshot.NfNAT    // dnat, redirect
	assign *snapshot.NfAssign // of a mark
}

const (
	// maxVisits bounds how many rules are looked at in one namespace: chains may be reached in many ways.
	maxVisits = 500_000
	// maxBranches bounds how many elements of a set or map are told apart.
	maxBranches = 1024
	maxJumps    = 16
)

// pathWalk goes through the rules of a namespace for candidates.
type pathWalk struct {
	table  *snapshot.NfTable
	hook   string
	chains map[string]*snapshot.NfChain
	sets   map[string]*snapshot.NfSet
	visits int
	out    []candidate
	cut    bool
	// marks: candidates are rules that set a mark, else rules that translate the destination.
	marks bool
}

// foundRules are the candidates of a namespace that translate.
type foundRules struct {
	list []candidate
	cut  bool
}

// candidates are the rules of a namespace that may translate, looked for once for a graph.
func (b *builder) candidates(sp *space) *foundRules {
	f := b.found[sp]
	if f == nil {
		f = &foundRules{}
		f.list, f.cut = candidates(&sp.ns.Netfilter, false)
		b.found[sp] = f
	}
	return f
}

// candidates are the rules of a namespace that may translate the destination of a packet that comes in or is sent, or
// that may give a mark to one that comes in. cut: not all were looked at.
func candidates(nf *snapshot.Netfilter, marks bool) (out []candidate, cut bool) {
	w := &pathWalk{marks: marks}
	for i := range nf.Tables {
		t := &nf.Tables[i]
		if t.Family != "ip" && t.Family != "ip6" && t.Family != "inet" || slices.Contains(t.Flags, "dormant") {
			continue
		}
		w.table, w.chains, w.sets = t, map[string]*snapshot.NfChain{}, map[string]*snapshot.NfSet{}
		for j := range t.Chains {
			w.chains[t.Chains[j].Name] = &t.Chains[j]
		}
		for j := range t.Sets {
			w.sets[t.Sets[j].Name] = &t.Sets[j]
		}
		for j := range t.Chains {
			c := &t.Chains[j]
			switch c.Hook {
			case "prerouting":
			case "input":
				if !marks {
					continue
				}
			case "output":
				if marks {
					continue
				}
			default:
				continue
			}
			if (c.Type == "nat") == marks {
				continue
			}
			w.hook = c.Hook
			w.chain(c, condition{}, 0)
		}
	}
	return w.out, w.cut
}

func (w *pathWalk) chain(c *snapshot.NfChain, need condition, depth int) {
	for i := range c.Rules {
		if w.visits++; w.visits > maxVisits || depth > maxJumps {
			w.cut = true
			return
		}
		w.rule(c, i, 0, need, depth)
	}
}

// rule goes on from one expression of a rule.
func (w *pathWalk) rule(c *snapshot.NfChain, i, from int, need condition, depth int) {
	r := &c.Rules[i]
	for k := from; k < len(r.Exprs); k++ {
		x := &r.Exprs[k]
		switch {
		case len(x.Matches) > 0:
			for _, m := range x.Matches {
				if m.Op != snapshot.NfEq {
					continue
				}
				if m.Left.Kind == "concat" {
					for _, e := range w.elements(m.Set, m.Values) {
						if n, ok := need.with(&m.Left, []snapshot.NfValue{e}); ok {
							w.rule(c, i, k+1, n, depth)
						}
					}
					return
				}
				var ok bool
				if need, ok = need.with(&m.Left, w.elements(m.Set, m.Values)); !ok {
					return
				}
			}
		case x.Map != nil:
			if s := w.sets[strings.TrimPrefix(x.Map.Map, "@")]; s != nil {
				for e := range s.Elements {
					el := &s.Elements[e]
					n, ok := need, true
					if !el.CatchAll {
						n, ok = need.with(&x.Map.Key, []snapshot.NfValue{el.Key})
					}
					if e >= maxBranches {
						w.cut = true
						break
					}
					if ok && el.Verdict != nil {
						w.verdict(el.Verdict, n, depth)
					}
				}
			}
		case x.Verdict != nil:
			w.verdict(x.Verdict, need, depth)
			return
		case x.NAT != nil && !w.marks && (x.NAT.Kind == "dnat" || x.NAT.Kind == "redirect" || x.NAT.Kind == "netmap"):
			w.translation(c, i, x.NAT, need)
			return
		case x.Assign != nil && w.marks && x.Assign.To.Kind == "meta" && x.Assign.To.Key == "mark":
			w.add(candidate{condition: need, chain: c, rule: i, assign: x.Assign})
		}
	}
}

func (w *pathWalk) verdict(v *snapshot.NfVerdict, need condition, depth int) {
	if v.Kind != "jump" && v.Kind != "goto" {
		return
	}
	if c := w.chains[v.Chain]; c != nil {
		w.chain(c, need, depth+1)
	}
}

// translation adds a rule that translates; by a map, one for each of its elements.
func (w *pathWalk) translation(c *snapshot.NfChain, i int, nat *snapshot.NfNAT, need condition) {
	for _, o := range []*snapshot.NfOperand{nat.AddrFrom, nat.PortFrom} {
		if o == nil || o.Map == "" || len(o.Parts) == 0 {
			continue
		}
		if s := w.sets[strings.TrimPrefix(o.Map, "@")]; s != nil {
			for e := range s.Elements {
				if e >= maxBranches {
					w.cut = true
					break
				}
				n, ok := need, true
				if !s.Elements[e].CatchAll {
					n, ok = need.with(&o.Parts[0], []snapshot.NfValue{s.Elements[e].Key})
				}
				if ok {
					w.add(candidate{condition: n, chain: c, rule: i, nat: nat})
				}
			}
			return
		}
	}
	w.add(candidate{condition: need, chain: c, rule: i, nat: nat})
}

func (w *pathWalk) add(c candidate) {
	c.table, c.hook = w.table, w.hook
	switch w.table.Family {
	case "ip", "ip6":
		c.family = w.table.Family
	}
	w.out = append(w.out, c)
}

// elements are the values that are looked for; of a large set none, which leaves all open.
func (w *pathWalk) elements(set string, values []snapshot.NfValue) []snapshot.NfValue {
	if set == "" {
		return values
	}
	s := w.sets[strings.TrimPrefix(set, "@")]
	if s == nil || len(s.Elements) > maxBranches {
		w.cut = w.cut || s != nil
		return nil
	}
	var out []snapshot.NfValue
	for i := range s.Elements {
		if !s.Elements[i].CatchAll {
			out = append(out, s.Elements[i].Key)
		}
	}
	return out
}

// with narrows a condition by one match; ok is false where nothing can meet both.
func (c condition) with(left *snapshot.NfOperand, values []snapshot.NfValue) (condition, bool) {
	if left.Kind == "concat" {
		if len(values) != 1 || len(values[0].Parts) != len(left.Parts) {
			return c, true
		}
		ok := true
		for i := range left.Parts {
			if c, ok = c.with(&left.Parts[i], []snapshot.NfValue{values[0].Parts[i]}); !ok {
				return c, false
			}
		}
		return c, true
	}
	if left.Mask != "" || left.Xor != "" || left.Shift != 0 || len(values) == 0 {
		return c, true
	}
	word, field, _ := strings.Cut(left.Key, " ")
	switch {
	case left.Kind == "payload" && (field == "dport" || field == "sport"):
		if p := protoNumber(word); p != 0 {
			if c.proto != 0 && c.proto != p {
				return c, false
			}
			c.proto = p
		}
		if field == "dport" {
			c.dport = narrowNums(c.dport, values)
			return c, len(c.dport) > 0
		}
		c.sport = narrowNums(c.sport, values)
		return c, len(c.sport) > 0
	case left.Kind == "meta" && left.Key == "l4proto", left.Kind == "payload" && (left.Key == "ip protocol" || left.Key == "ip6 nexthdr"):
		if len(values) != 1 || values[0].Num == nil || values[0].Num.From != values[0].Num.To {
			return c, true
		}
		p := uint8(values[0].Num.From)
		if c.proto != 0 && c.proto != p {
			return c, false
		}
		c.proto = p
	case left.Kind == "payload" && (left.Key == "ip daddr" || left.Key == "ip6 daddr"):
		c.daddr = narrowAddrs(c.daddr, values)
		return c, len(c.daddr) > 0
	case left.Kind == "payload" && (left.Key == "ip saddr" || left.Key == "ip6 saddr"):
		c.saddr = narrowAddrs(c.saddr, values)
		return c, len(c.saddr) > 0
	case left.Kind == "meta" && (left.Key == "iifname" || left.Key == "iif"):
		for _, v := range values {
			if v.Text != "" {
				c.in = append(slices.Clone(c.in), v.Text)
			}
		}
	}
	return c, true
}

var protoNumbers = map[string]uint8{"tcp": 6, "udp": 17, "dccp": 33, "sctp": 132, "udplite": 136}

func protoNumber(name string) uint8 { return protoNumbers[name] }

func protoName(n uint8) string {
	for name, p := range protoNumbers {
		if p == n {
			return name
		}
	}
	return ""
}
