package ruleset

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
)

// index finds the rules of a long chain that a packet may match, by the destination that they ask for: kube-proxy's
// chain of services has one rule for each of ten thousand addresses.
type index struct {
	byDst  map[netip.Addr][]int32
	others []int32 // rules that ask for no single destination
}

// indexFrom is how long a chain must be to be worth an index.
const indexFrom = 64

func newIndex(rules []snapshot.NfRule) index {
	var x index
	if len(rules) < indexFrom {
		return x
	}
	x.byDst = map[netip.Addr][]int32{}
	for i := range rules {
		if a, ok := wantsDst(&rules[i]); ok {
			x.byDst[a] = append(x.byDst[a], int32(i))
		} else {
			x.others = append(x.others, int32(i))
		}
	}
	return x
}

// wantsDst is the one destination that a rule's first conditions ask for.
func wantsDst(r *snapshot.NfRule) (netip.Addr, bool) {
	for i := range r.Exprs {
		e := &r.Exprs[i]
		if e.Matches == nil {
			break // what comes before has an effect: the rule is to be run
		}
		for j := range e.Matches {
			c := &e.Matches[j]
			if c.Op == snapshot.NfEq && c.Left.Kind == "payload" && (c.Left.Key == "ip daddr" || c.Left.Key == "ip6 daddr") && c.Left.Mask == "" &&
				c.Left.Xor == "" && len(c.Values) == 1 && c.Values[0].Prefix.IsValid() && c.Values[0].Prefix.IsSingleIP() {
				return c.Values[0].Prefix.Addr(), true
			}
		}
	}
	return netip.Addr{}, false
}

// next is the first rule from i on that p may match, len(rules) for none.
func (c *chain) next(i int, p *Packet) int {
	if c.index.byDst == nil || !p.Says(FDst) {
		return i
	}
	n := firstFrom(c.index.byDst[p.Dst], i, len(c.rules))
	return min(n, firstFrom(c.index.others, i, len(c.rules)))
}

func firstFrom(s []int32, from, none int) int {
	lo, hi := 0, len(s)
	for lo < hi {
		if mid := (lo + hi) / 2; int(s[mid]) < from {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == len(s) {
		return none
	}
	return int(s[lo])
}
