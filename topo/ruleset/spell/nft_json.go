package spell

import (
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// obj is a JSON object.
type obj = map[string]any

// speller writes the rules of one table.
type speller struct {
	names Names
	// mixed: the family of the table is not that of its packets.
	mixed bool
	sets  map[string]*snapshot.NfSet
}

func newSpeller(t *snapshot.NfTable, names Names) *speller {
	s := &speller{names: names, mixed: t.Family != "ip" && t.Family != "ip6", sets: make(map[string]*snapshot.NfSet, len(t.Sets))}
	for i := range t.Sets {
		s.sets[t.Sets[i].Name] = &t.Sets[i]
	}
	return s
}

// NftJSON gives the statements of a rule of table t, as the "expr" of nft's JSON.
func NftJSON(t *snapshot.NfTable, r *snapshot.NfRule, names Names) []any {
	return newSpeller(t, names).rule(t, r)
}

func (s *speller) rule(t *snapshot.NfTable, r *snapshot.NfRule) []any {
	out := []any{}
	hide := hidden(t.Family, r.Exprs)
	for i := range r.Exprs {
		e := r.Exprs[i]
		if hide.expr == i && hide.any {
			// A comparison of several fields at once may say more than what is hidden.
			e.Matches = slices.Delete(slices.Clone(e.Matches), hide.match, hide.match+1)
			if len(e.Matches) == 0 {
				continue
			}
		}
		out = append(out, s.expr(&e)...)
	}
	return out
}

// place is a match of a rule, where there is any.
type place struct {
	any         bool
	expr, match int
}

// hidden is the match that nft does not list because the reject after it says the same.
func hidden(family string, exprs []snapshot.NfExpr) (hide place) {
	var l3, l4 place
	for i := range exprs {
		e := &exprs[i]
		if e.Reject != nil {
			var at place
			switch family {
			case "ip", "ip6":
				if e.Reject.With == "tcp-reset" {
					at = l4
				}
			default:
				if !strings.HasPrefix(e.Reject.With, "icmpx") {
					at = l3
				}
			}
			if at.any {
				hide = at
			}
		}
		if len(e.Matches) == 0 && e.Map == nil {
			l3, l4 = place{}, place{}
		}
		for j := range e.Matches {
			m := &e.Matches[j]
			if m.Op != snapshot.NfEq || len(m.Values) != 1 || m.Left.Mask != "" {
				continue
			}
			switch m.Left.Kind + " " + m.Left.Key {
			case "meta nfproto", "meta protocol", "payload ether type":
				l3 = place{true, i, j}
			case "meta l4proto", "payload ip protocol", "payload ip6 nexthdr":
				l4 = place{true, i, j}
			}
		}
	}
	return hide
}

func (s *speller) expr(e *snapshot.NfExpr) []any {
	one := func(key string, v any) []any { return []any{obj{key: v}} }
	switch {
	case e.Unknown != nil:
		return one("unknown", obj{"kind": e.Unknown.Kind, "name": e.Unknown.Name, "data": e.Unknown.Data})
	case e.Map != nil:
		return one("vmap", obj{"key": s.operand(&e.Map.Key), "data": s.setRef(e.Map.Map)})
	case e.Verdict != nil:
		return []any{s.verdict(e.Verdict)}
	case e.Counter != nil:
		return one("counter", obj{"packets": e.Counter.Packets, "bytes": e.Counter.Bytes})
	case e.NAT != nil:
		return []any{s.nat(e.NAT)}
	case e.Assign != nil:
		return one("mangle", obj{"key": s.operand(&e.Assign.To), "value": s.assigned(e.Assign)})
	case e.Limit != nil:
		return []any{limit(e.Limit)}
	case e.Reject != nil:
		return one("reject", nftReject(e.Reject))
	case e.Log != nil:
		return one("log", logStep(e.Log))
	case e.Update != nil:
		return []any{s.update(e.Update)}
	case e.Action != nil:
		return []any{s.action(e.Action)}
	}
	out := []any{}
	for i := range e.Matches {
		out = append(out, obj{"match": s.match(&e.Matches[i])})
	}
	return out
}

func (s *speller) verdict(v *snapshot.NfVerdict) any {
	switch v.Kind {
	case "jump", "goto":
		return obj{v.Kind: obj{"target": v.Chain}}
	case "queue":
		q := obj{}
		if v.QueueFrom != nil {
			q["num"] = s.operand(v.QueueFrom)
		} else if v.Queue != nil && (v.Queue.From != 0 || v.Queue.To != 0) {
			q["num"] = v.Queue.From
			if v.Queue.To != v.Queue.From {
				q["num"] = obj{"range": []any{v.Queue.From, v.Queue.To}}
			}
		}
		if f := flags(v.Flags); f != nil {
			q["flags"] = f
		}
		if len(q) == 0 {
			return obj{"queue": nil}
		}
		return obj{"queue": q}
	}
	return obj{v.Kind: nil}
}

// flags are one word or a list.
func flags(f []string) any {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return f[0]
	}
	return anys(f)
}

func anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}
