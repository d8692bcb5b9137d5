package ruleset

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// set is a set or map made fast to look things up in.
type set struct {
	src   *snapshot.NfSet
	addrs map[netip.Addr]int // elements of one address
	nums  map[uint64]int
	texts map[string]int
	// ranges by their beginning; those of a set do not overlap.
	addrRanges []addrRange
	numRanges  []numRange
	rest       []int            // what fits in none of these, tried one by one
	first      map[string][]int // of rest, concatenations by their first part, where that is one address
	other      []int            // of rest, those with another first part
	catchAll   int
}

type addrRange struct {
	from, to netip.Addr
	elem     int
}

type numRange struct {
	from, to uint64
	elem     int
}

func newSet(src *snapshot.NfSet) *set {
	s := &set{src: src, addrs: map[netip.Addr]int{}, nums: map[uint64]int{}, texts: map[string]int{}, first: map[string][]int{}, catchAll: -1}
	for i := range src.Elements {
		e := &src.Elements[i]
		k := &e.Key
		switch {
		case e.CatchAll:
			s.catchAll = i
		case k.Prefix.IsValid() && k.Prefix.IsSingleIP():
			s.addrs[k.Prefix.Addr()] = i
		case k.Prefix.IsValid():
			s.addrRanges = append(s.addrRanges, addrRange{k.Prefix.Masked().Addr(), lastOf(k.Prefix), i})
		case k.Addrs != nil:
			s.addrRanges = append(s.addrRanges, addrRange{k.Addrs.From, k.Addrs.To, i})
		case k.Num != nil && k.Num.From == k.Num.To:
			s.nums[k.Num.From] = i
		case k.Num != nil:
			s.numRanges = append(s.numRanges, numRange{k.Num.From, k.Num.To, i})
		case k.Text != "" && !strings.HasSuffix(k.Text, "*"):
			s.texts[k.Text] = i
		default:
			s.rest = append(s.rest, i)
			if part := firstAddr(k); part.IsValid() {
				s.first[string(part.AsSlice())] = append(s.first[string(part.AsSlice())], i)
			} else {
				s.other = append(s.other, i)
			}
		}
	}
	slices.SortFunc(s.addrRanges, func(a, b addrRange) int { return a.from.Compare(b.from) })
	slices.SortFunc(s.numRanges, func(a, b numRange) int { return cmp.Compare(a.from, b.from) })
	return s
}

func firstAddr(k *snapshot.NfValue) netip.Addr {
	if len(k.Parts) > 0 && k.Parts[0].Prefix.IsValid() && k.Parts[0].Prefix.IsSingleIP() {
		return k.Parts[0].Prefix.Addr()
	}
	return netip.Addr{}
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// find looks v up. Maybe: an element may fit, or the set was not read whole.
func (s *set) find(v *val) (*snapshot.NfElem, Tri) {
	if e, t := s.exact(v); t != No {
		return e, t
	}
	if s.src.Cut {
		return nil, Maybe
	}
	if s.catchAll >= 0 {
		return &s.src.Elements[s.catchAll], Yes
	}
	return nil, No
}

func (s *set) exact(v *val) (*snapshot.NfElem, Tri) {
	if v.kind == kOpen {
		if len(s.src.Elements) == 0 {
			return nil, No
		}
		return nil, Maybe
	}
	if v.kind == kParts || v.kind == kBytes || v.open != 0 {
		return s.scan(v)
	}
	i := -1
	switch v.kind {
	case kAddr:
		i = s.findAddr(v.addr)
	case kNum:
		if v.named && len(s.texts) > 0 {
			i = lookup(s.texts, v.text)
		} else {
			i = s.findNum(v.n)
		}
	case kText:
		i = lookup(s.texts, v.text)
	}
	if i >= 0 {
		return &s.src.Elements[i], Yes
	}
	return s.try(v, s.rest, No)
}

func lookup[K comparable](m map[K]int, k K) int {
	if i, ok := m[k]; ok {
		return i
	}
	return -1
}

func (s *set) findAddr(a netip.Addr) int {
	if i, ok := s.addrs[a]; ok {
		return i
	}
	i, found := slices.BinarySearchFunc(s.addrRanges, a, func(r addrRange, a netip.Addr) int { return r.from.Compare(a) })
	if !found {
		i--
	}
	if i >= 0 && a.BitLen() == s.addrRanges[i].from.BitLen() && a.Compare(s.addrRanges[i].to) <= 0 {
		return s.addrRanges[i].elem
	}
	return -1
}

func (s *set) findNum(n uint64) int {
	if i, ok := s.nums[n]; ok {
		return i
	}
	i, found := slices.BinarySearchFunc(s.numRanges, n, func(r numRange, n uint64) int { return cmp.Compare(r.from, n) })
	if !found {
		i--
	}
	if i >= 0 && n <= s.numRanges[i].to {
		return s.numRanges[i].elem
	}
	return -1
}

// scan tries the elements one by one: for values that have no simple key.
func (s *set) scan(v *val) (*snapshot.NfElem, Tri) {
	if v.kind == kParts && len(v.parts) > 0 && v.parts[0].kind == kAddr {
		e, t := s.try(v, s.first[string(v.parts[0].addr.AsSlice())], No)
		if t == Yes {
			return e, t
		}
		return s.try(v, s.other, t)
	}
	all := make([]int, len(s.src.Elements))
	for i := range all {
		all[i] = i
	}
	return s.try(v, all, No)
}

func (s *set) try(v *val, elems []int, best Tri) (*snapshot.NfElem, Tri) {
	for _, i := range elems {
		if i == s.catchAll {
			continue
		}
		switch v.is(&s.src.Elements[i].Key) {
		case Yes:
			return &s.src.Elements[i], Yes
		case Maybe:
			best = Maybe
		}
	}
	return nil, best
}

// verdicts are all that a map may give for a value that is not known whole; odds are their shares where the key is drawn
// by lot and the map says something of each number, else nil.
func (s *set) verdicts(v *val, key *snapshot.NfOperand) (out []*snapshot.NfVerdict, odds []float64) {
	for i := range s.src.Elements {
		e := &s.src.Elements[i]
		if e.Verdict != nil && (e.CatchAll || v.is(&e.Key) != No) {
			out = append(out, e.Verdict)
			odds = append(odds, drawn(key, e.Key.Num))
		}
	}
	if key.Kind != "numgen" || s.catchAll >= 0 || s.src.Cut {
		return out, nil
	}
	return out, odds
}
