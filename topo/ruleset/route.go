package ruleset

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Tables that there are always (include/uapi/linux/rtnetlink.h).
const (
	tableDefault = 253
	tableMain    = 254
	tableLocal   = 255
)

type tableKey struct {
	family string // ip, ip6
	id     uint32
}

// routes is one routing table, by length of prefix.
type routes struct {
	bits [129]map[netip.Prefix][]*snapshot.Route
}

// lookup gives the routes to a, the longest prefix first, until take takes one.
func (t *routes) lookup(a netip.Addr, take func(*snapshot.Route) bool) {
	for n := a.BitLen(); n >= 0; n-- {
		if t.bits[n] == nil {
			continue
		}
		p, err := a.Prefix(n)
		if err != nil {
			return
		}
		for _, r := range t.bits[n][p] {
			if take(r) {
				return
			}
		}
	}
}

func routesOf(ns *snapshot.Namespace) (map[tableKey]*routes, map[string][]snapshot.Rule) {
	tables := map[tableKey]*routes{}
	for i := range ns.Routes {
		r := &ns.Routes[i]
		if !r.Dst.IsValid() || slices.Contains(r.Flags, "dead") || slices.Contains(r.Flags, "cloned") {
			continue
		}
		k := tableKey{family(r.Dst.Addr()), r.Table}
		t := tables[k]
		if t == nil {
			t = &routes{}
			tables[k] = t
		}
		n := r.Dst.Bits()
		if t.bits[n] == nil {
			t.bits[n] = map[netip.Prefix][]*snapshot.Route{}
		}
		p := r.Dst.Masked()
		t.bits[n][p] = append(t.bits[n][p], r)
	}
	for _, t := range tables {
		for _, m := range t.bits {
			for _, rs := range m {
				slices.SortStableFunc(rs, func(a, b *snapshot.Route) int { return cmp.Compare(a.Metric, b.Metric) })
			}
		}
	}
	rules := map[string][]snapshot.Rule{}
	for _, r := range ns.Rules {
		fam := "ip"
		if r.Family == "inet6" {
			fam = "ip6"
		}
		rules[fam] = append(rules[fam], r)
	}
	for fam, rs := range rules {
		slices.SortStableFunc(rs, func(a, b snapshot.Rule) int { return cmp.Compare(a.Priority, b.Priority) })
		rules[fam] = rs
	}
	for _, fam := range []string{"ip", "ip6"} {
		if len(rules[fam]) == 0 {
			for _, t := range []uint32{tableLocal, tableMain, tableDefault} {
				rules[fam] = append(rules[fam], snapshot.Rule{Action: "lookup", Table: t})
			}
		}
	}
	return tables, rules
}

// Route is which way a packet goes, by the policy rules and tables of the namespace. Not known: a rule asks for what is not
// said, or several ways are open (multipath).
func (s *Space) Route(q RouteQuery) (Route, bool) {
	if !q.Dst.IsValid() {
		return Route{}, false
	}
	if len(s.tables) == 0 && len(s.local) > 0 { // routes were not read
		if s.Owns(q.Dst) && q.Out == "" {
			return Route{Type: "local", Out: s.loopback(Iface{}), Source: q.Dst}, true
		}
		return Route{}, false
	}
	fam := family(q.Dst)
	rules := s.rules[fam]
	for i := 0; i < len(rules); i++ {
		r := &rules[i]
		switch ruleMatches(r, &q) {
		case No:
			continue
		case Maybe:
			return Route{}, false
		}
		switch r.Action {
		case "lookup":
			out, found, known := s.inTable(tableKey{fam, r.Table}, &q, r)
			if !known || found {
				return out, known
			}
		case "goto":
			to := slices.IndexFunc(rules, func(x snapshot.Rule) bool { return x.Priority >= r.Goto })
			if to <= i {
				return Route{}, false
			}
			i = to - 1
		case "blackhole", "unreachable", "prohibit":
			return Route{Type: r.Action}, true
		case "nop":
		default:
			return Route{}, false
		}
	}
	return Route{}, true
}

func ruleMatches(r *snapshot.Rule, q *RouteQuery) Tri {
	t := Yes
	test := func(asked bool, ok Tri) {
		if asked {
			t = min(t, ok)
		}
	}
	in := q.In
	if in == "" {
		in = "lo"
	}
	test(r.Src.IsValid() && r.Src.Bits() > 0, either(q.Src.IsValid() && r.Src.Contains(q.Src)))
	test(r.Dst.IsValid() && r.Dst.Bits() > 0, either(r.Dst.Contains(q.Dst)))
	test(r.IIF != "", either(r.IIF == in))
	test(r.OIF != "", either(r.OIF == q.Out))
	if r.FwMark != 0 || r.FwMask != 0 {
		if q.OpenMark {
			test(true, Maybe)
		} else {
			test(true, either(q.Mark&r.FwMask == r.FwMark&r.FwMask))
		}
	}
	test(r.TOS != 0 || r.TunID != 0 || r.L3MDev, Maybe)
	test(r.IPProto != 0, either(int(q.Proto) == r.IPProto))
	test(r.SPort != nil, either(r.SPort != nil && r.SPort.From <= q.Sport && q.Sport <= r.SPort.To))
	test(r.DPort != nil, either(r.DPort != nil && r.DPort.From <= q.Dport && q.Dport <= r.DPort.To))
	if r.UIDRange != nil {
		ok := either(r.UIDRange.From <= q.UID && q.UID <= r.UIDRange.To)
		if q.OpenUID {
			ok = Maybe
		}
		test(true, ok)
	}
	if r.L3MDev && t == Maybe {
		return No // there is no VRF where this rule matters to a packet that is in none
	}
	if r.Invert && t != Maybe {
		return not(t)
	}
	return t
}

// inTable looks one table up.
func (s *Space) inTable(k tableKey, q *RouteQuery, rule *snapshot.Rule) (out Route, found, known bool) {
	t := s.tables[k]
	if t == nil {
		return Route{}, false, true
	}
	known = true
	t.lookup(q.Dst, func(r *snapshot.Route) bool {
		if r.Src.IsValid() && r.Src.Bits() > 0 && !(q.Src.IsValid() && r.Src.Contains(q.Src)) {
			return false
		}
		if rule.SuppressPrefixLen != nil && r.Dst.Bits() <= *rule.SuppressPrefixLen {
			return false
		}
		switch r.Type {
		case "throw":
			return true
		case "blackhole", "unreachable", "prohibit":
			out, found = Route{Type: r.Type}, true
			return true
		}
		var taken bool
		out, taken, known = s.hop(r, q)
		found = taken
		return taken || !known
	})
	return out, found, known
}

// hop is the next hop of a route; a query that must leave by one interface takes only hops by it.
func (s *Space) hop(r *snapshot.Route, q *RouteQuery) (out Route, taken, known bool) {
	hops := r.NextHops
	if len(hops) == 0 {
		hops = []snapshot.NextHop{{Gateway: r.Gateway, OIF: r.OIF}}
	}
	var fit []snapshot.NextHop
	for _, h := range hops {
		l := s.byIndex[h.OIF]
		if slices.Contains(h.Flags, "dead") || q.Out != "" && (l == nil || l.Name != q.Out) {
			continue
		}
		fit = append(fit, h)
	}
	switch {
	case len(fit) == 0:
		return Route{}, false, true
	case len(fit) > 1 || s.byIndex[fit[0].OIF] == nil:
		return Route{}, false, false
	}
	l := s.byIndex[fit[0].OIF]
	out = Route{Type: r.Type, Out: iface(l), Gateway: fit[0].Gateway, Source: r.PrefSrc}
	if out.Type == "local" && q.In == "" {
		out.Out = s.loopback(out.Out)
	}
	if !out.Source.IsValid() && r.Family == "inet" {
		next := out.Gateway
		if !next.IsValid() {
			next = q.Dst
		}
		out.Source = s.selectAddr(l, next)
	}
	return out, true, true
}

// AddressOf is the address by which who is behind a route knows the namespace; invalid where there is none.
func (s *Space) AddressOf(r Route) netip.Addr {
	if r.Source.IsValid() {
		return r.Source
	}
	if l := s.byName[r.Out.Name]; l != nil && r.Gateway.Is6() {
		for _, a := range l.Addrs {
			if x := a.Prefix.Addr(); x.Is6() && x.IsGlobalUnicast() {
				return x
			}
		}
	}
	return netip.Addr{}
}

// loopback is the interface by which the namespace sends to itself.
func (s *Space) loopback(other Iface) Iface {
	for _, l := range s.byName {
		if l.Type == "loopback" {
			return iface(l)
		}
	}
	return other
}
