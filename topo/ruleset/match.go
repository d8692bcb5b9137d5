package ruleset

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
)

// match is one compiled condition.
type match func(m *machine) Tri

func (t *table) match(c *snapshot.NfMatch) match {
	if c.Left.Kind == "xt" && c.Left.Key == "comment" {
		return func(*machine) Tri { return Yes } // whatever it says
	}
	if f := t.quick(c); f != nil {
		return f
	}
	left := t.operand(&c.Left)
	var compare func(v *val) Tri
	switch {
	case c.Set != "":
		s := t.set(c.Set)
		compare = func(v *val) Tri {
			if s == nil {
				return Maybe
			}
			_, hit := s.find(v)
			return hit
		}
	case c.Right != nil:
		return t.compareOperands(c, left)
	case len(c.Values) == 0:
		compare = func(v *val) Tri { // a test that is true or not
			n, open, ok := v.number()
			if !ok || open != 0 {
				return Maybe
			}
			return either(n != 0)
		}
	default:
		compare = func(v *val) Tri { return anyOf(v, c.Values) }
	}
	switch c.Op {
	case snapshot.NfEq, snapshot.NfNe:
		negate := c.Op == snapshot.NfNe
		return func(m *machine) Tri {
			v := left(m)
			switch v.kind {
			case kNone:
				return No
			case kOpen:
				if c.Set == "" {
					return Maybe
				}
			}
			if negate {
				return not(compare(&v))
			}
			return compare(&v)
		}
	case snapshot.NfLt, snapshot.NfLe, snapshot.NfGt, snapshot.NfGe:
		return order(c, left)
	case snapshot.NfAny, snapshot.NfNone:
		return bits(c, left)
	}
	return func(*machine) Tri { return Maybe }
}

func anyOf(v *val, values []snapshot.NfValue) Tri {
	out := No
	for i := range values {
		switch v.is(&values[i]) {
		case Yes:
			return Yes
		case Maybe:
			out = Maybe
		}
	}
	return out
}

func order(c *snapshot.NfMatch, left load) match {
	if len(c.Values) != 1 || c.Values[0].Num == nil {
		return func(m *machine) Tri {
			if v := left(m); v.kind == kNone {
				return No
			}
			return Maybe
		}
	}
	k := c.Values[0].Num.From
	return func(m *machine) Tri {
		v := left(m)
		if v.kind == kNone {
			return No
		}
		n, open, ok := v.number()
		if !ok || open != 0 {
			return Maybe
		}
		switch c.Op {
		case snapshot.NfLt:
			return either(n < k)
		case snapshot.NfLe:
			return either(n <= k)
		case snapshot.NfGt:
			return either(n > k)
		}
		return either(n >= k)
	}
}

func bits(c *snapshot.NfMatch, left load) match {
	var mask uint64
	for _, v := range c.Values {
		if v.Num == nil {
			return names(c, left)
		}
		mask |= v.Num.From
	}
	return func(m *machine) Tri {
		v := left(m)
		if v.kind == kNone {
			return No
		}
		n, open, ok := v.number()
		var t Tri
		switch {
		case !ok:
			return Maybe
		case n&mask&^open != 0:
			t = Yes
		case open&mask != 0:
			return Maybe
		}
		if c.Op == snapshot.NfNone {
			return not(t)
		}
		return t
	}
}

func (t *table) compareOperands(c *snapshot.NfMatch, left load) match {
	right := t.operand(c.Right)
	return func(m *machine) Tri {
		a, b := left(m), right(m)
		if a.kind == kNone || b.kind == kNone {
			return No
		}
		var eq Tri
		x, okX := a.wire()
		y, okY := b.wire()
		switch {
		case okX && okY:
			eq = either(string(x) == string(y))
		default:
			n, open, ok := a.number()
			k, open2, ok2 := b.number()
			if !ok || !ok2 || open|open2 != 0 {
				return Maybe
			}
			eq = either(n == k)
		}
		switch c.Op {
		case snapshot.NfEq:
			return eq
		case snapshot.NfNe:
			return not(eq)
		}
		return Maybe
	}
}

// quick are the conditions that most rules are made of, without a value in between.
func (t *table) quick(c *snapshot.NfMatch) match {
	o := &c.Left
	if c.Set != "" || c.Right != nil || len(c.Values) != 1 || o.Mask != "" || o.Xor != "" || o.Shift != 0 || c.Op != snapshot.NfEq && c.Op != snapshot.NfNe {
		return nil
	}
	v := &c.Values[0]
	hit, miss := Yes, No
	if c.Op == snapshot.NfNe {
		hit, miss = No, Yes
	}
	switch {
	case o.Kind == "payload" && v.Prefix.IsValid() && (o.Key == "ip daddr" || o.Key == "ip6 daddr"):
		return quickPrefix(v.Prefix.Masked(), o.Key == "ip6 daddr", FDst, func(p *Packet) netip.Addr { return p.Dst }, hit, miss)
	case o.Kind == "payload" && v.Prefix.IsValid() && (o.Key == "ip saddr" || o.Key == "ip6 saddr"):
		return quickPrefix(v.Prefix.Masked(), o.Key == "ip6 saddr", FSrc, func(p *Packet) netip.Addr { return p.Src }, hit, miss)
	case o.Kind == "meta" && o.Key == "l4proto" && v.Num != nil && v.Num.From == v.Num.To:
		n := uint8(v.Num.From)
		return func(m *machine) Tri {
			switch {
			case m.p.Family == "arp":
				return No
			case !m.p.Says(FProto):
				return Maybe
			case m.p.Proto == n:
				return hit
			}
			return miss
		}
	}
	return nil
}

func quickPrefix(want netip.Prefix, six bool, f Fields, get func(*Packet) netip.Addr, hit, miss Tri) match {
	fam := "ip"
	if six {
		fam = "ip6"
	}
	return func(m *machine) Tri {
		switch {
		case m.p.Family != fam:
			return No
		case m.p.Known&f == 0:
			return Maybe
		case want.Contains(get(&m.p)):
			return hit
		}
		return miss
	}
}

// names are bits that have names and no numbers.
func names(c *snapshot.NfMatch, left load) match {
	return func(m *machine) Tri {
		v := left(m)
		if v.kind == kNone {
			return No
		}
		t := anyOf(&v, c.Values)
		if c.Op == snapshot.NfNone {
			return not(t)
		}
		return t
	}
}
