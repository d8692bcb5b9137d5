package ruleset

import (
	"net/netip"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// routeTypes are the kernel's RTN_* (include/uapi/linux/rtnetlink.h), by their names.
var routeTypes = map[string]uint64{
	"unspec": 0, "unicast": 1, "local": 2, "broadcast": 3, "anycast": 4, "multicast": 5, "blackhole": 6, "unreachable": 7,
	"prohibit": 8, "throw": 9, "nat": 10,
}

// fib answers a lookup as nft_fib_ipv4.c and xt_addrtype.c do: the words of key are saddr or daddr, what is looked at
// beside (iif, oif, mark), and last the result: type, oif, oifname, check, exists.
func fib(key string) load {
	var src, iif, oif, mark, present bool
	result := ""
	words := strings.FieldsFunc(key, func(r rune) bool { return r == ' ' || r == '.' })
	for i, w := range words {
		last := i == len(words)-1
		switch {
		case last || w == "type":
			result = w
		case w == "saddr":
			src = true
		case w == "iif":
			iif = true
		case w == "oif":
			oif = true
		case w == "mark":
			mark = true
		case w == "check":
			present = true
		}
	}
	return func(m *machine) val {
		a, f := m.p.Dst, FDst
		if src {
			a, f = m.p.Src, FSrc
		}
		if m.p.Family == "arp" {
			return none
		}
		if !m.p.Says(f) || iif && !m.p.Says(FIn) || oif && !m.p.Says(FOut) || mark && !m.p.Says(FMark) {
			return opened
		}
		q := RouteQuery{Dst: a}
		if iif {
			q.Out = m.p.In.Name
		}
		if oif {
			q.Out = m.p.Out.Name
		}
		if mark {
			q.Mark = m.p.Mark
		}
		if result == "type" {
			return m.addrType(a, q.Out)
		}
		v := m.fibOut(q, a, iif)
		if (present || result == "check" || result == "exists") && v.kind == kNum {
			return boolean(v.n != 0)
		}
		return v
	}
}

func (m *machine) addrType(a netip.Addr, dev string) val {
	t, ok := m.env.AddrType(a, dev)
	n, named := routeTypes[t]
	if !ok || !named {
		return opened
	}
	return name(n, t)
}

// fibOut is the interface by which a packet to a would leave, 0 for none.
func (m *machine) fibOut(q RouteQuery, a netip.Addr, reverse bool) val {
	if m.at.Hook == "prerouting" && reverse && m.p.In.Name == "lo" {
		return name(uint64(m.p.In.Index), m.p.In.Name)
	}
	if m.p.Family == "ip" && !a.IsGlobalUnicast() && a.IsUnspecified() {
		return name(uint64(m.p.In.Index), m.p.In.Name) // a zero network, as DHCP sends it
	}
	r, ok := m.env.Route(q)
	switch {
	case !ok:
		return opened
	case r.Type != "unicast":
		return name(0, "")
	}
	return name(uint64(r.Out.Index), r.Out.Name)
}

// addrType6 is xt_addrtype.c for IPv6, where types are no alternatives: multicast, unicast and unspec say what kind of address it has
// to be, and of local, anycast and unreachable one has to be what routes say of it, if any of them is asked for.
func (t *table) addrType6(c *snapshot.NfMatch) match {
	var mask uint64
	for i := range c.Values {
		if c.Values[i].Num == nil {
			return func(*machine) Tri { return Maybe }
		}
		mask |= 1 << c.Values[i].Num.From
	}
	src, iif, oif := strings.HasPrefix(c.Left.Key, "saddr"), strings.Contains(c.Left.Key, " iif "), strings.Contains(c.Left.Key, " oif ")
	asks := func(name string) bool { return mask>>routeTypes[name]&1 != 0 }
	holds := func(m *machine) Tri {
		a, f, dev := m.p.Dst, FDst, ""
		if src {
			a, f = m.p.Src, FSrc
		}
		switch {
		case m.p.Family != "ip6":
			return No
		case !m.p.Says(f) || iif && !m.p.Says(FIn) || oif && !m.p.Says(FOut) || a.Is4In6():
			return Maybe
		case iif:
			dev = m.p.In.Name
		case oif:
			dev = m.p.Out.Name
		}
		if asks("multicast") && !a.IsMulticast() || asks("unicast") && (a.IsMulticast() || a.IsUnspecified()) || asks("unspec") && !a.IsUnspecified() {
			return No
		}
		if !asks("local") && !asks("anycast") && !asks("unreachable") {
			return Yes
		}
		is, ok := m.env.AddrType(a, dev)
		switch {
		case !ok:
			return Maybe
		case is == "blackhole" || is == "prohibit" || is == "throw":
			is = "unreachable"
		}
		return either((is == "local" || is == "anycast" || is == "unreachable") && asks(is))
	}
	if c.Op == snapshot.NfNe {
		return func(m *machine) Tri {
			if m.p.Family != "ip6" {
				return No
			}
			return not(holds(m))
		}
	}
	return holds
}
