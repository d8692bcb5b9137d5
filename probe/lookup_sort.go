package probe

import (
	"net/netip"
	"slices"
)

// sortAddrs sorts addresses as glibc's getaddrinfo does (RFC 3484 §6, sysdeps/posix/getaddrinfo.c), stable. srcs are the addresses that FROM would send from, in
// the same order, the zero one where it has no route. Not all rules apply: nobody knows of deprecated or home addresses here.
func sortAddrs(addrs, srcs []netip.Addr) []netip.Addr {
	type pair struct{ dst, src netip.Addr }
	list := make([]pair, len(addrs))
	for i, a := range addrs {
		list[i] = pair{a.Unmap(), srcs[i].Unmap()}
	}
	slices.SortStableFunc(list, func(a, b pair) int {
		prefer := func(a, b bool) int { // the one for which it is true first
			switch {
			case a == b:
				return 0
			case a:
				return -1
			}
			return 1
		}
		if c := prefer(a.src.IsValid(), b.src.IsValid()); c != 0 { // rule 1
			return c
		}
		la, pa := policy(a.dst)
		lb, pb := policy(b.dst)
		if a.src.IsValid() {
			if c := prefer(scope(a.dst) == scope(a.src), scope(b.dst) == scope(b.src)); c != 0 { // rule 2
				return c
			}
			sa, _ := policy(a.src)
			sb, _ := policy(b.src)
			if c := prefer(la == sa, lb == sb); c != 0 { // rule 5
				return c
			}
		}
		if pa != pb { // rule 6
			return pb - pa
		}
		if c := scope(a.dst) - scope(b.dst); c != 0 { // rule 8
			return c
		}
		if a.src.IsValid() && a.dst.Is6() && b.dst.Is6() { // rule 9
			return common(b.dst, b.src) - common(a.dst, a.src)
		}
		return 0
	})
	out := make([]netip.Addr, len(list))
	for i, p := range list {
		out[i] = p.dst
	}
	return out
}

// policies are default_labels and default_precedence of glibc, which are those of RFC 3484 and not of RFC 6724: a unique
// local address (fc00::/7) goes before IPv4.
var policies = []struct {
	prefix            netip.Prefix
	label, precedence int
}{
	{netip.MustParsePrefix("::1/128"), 0, 50},
	{netip.MustParsePrefix("::/96"), 3, 20},
	{netip.MustParsePrefix("2001::/32"), 7, 40},
	{netip.MustParsePrefix("2002::/16"), 2, 30},
	{netip.MustParsePrefix("fec0::/10"), 5, 40},
	{netip.MustParsePrefix("fc00::/7"), 6, 40},
}

func policy(a netip.Addr) (label, precedence int) {
	if a.Is4() {
		return 4, 10
	}
	for _, p := range policies {
		if p.prefix.Contains(a.WithZone("")) {
			return p.label, p.precedence
		}
	}
	return 1, 40
}

// scope is that of RFC 3484 §3.1 and §3.2: 2 link-local (loopback too), 5 site-local, 14 global.
func scope(a netip.Addr) int {
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return 2
	case a.IsMulticast() && a.Is6():
		return int(a.As16()[1] & 0xf)
	case a.Is6() && netip.MustParsePrefix("fec0::/10").Contains(a.WithZone("")):
		return 5
	}
	return 14
}

// common is how many leading bits two IPv6 addresses share, at most 64.
func common(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	for i := range 64 {
		if (x[i/8]^y[i/8])>>(7-i%8)&1 != 0 {
			return i
		}
	}
	return 64
}
