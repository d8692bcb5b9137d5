package ruleset

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Space is one namespace: its rules, and what they ask of its links, addresses and routes. It is an [Env].
type Space struct {
	Rules *Ruleset

	ns      *snapshot.Namespace
	byIndex map[int]*snapshot.Link
	byName  map[string]*snapshot.Link
	local   map[netip.Addr]*snapshot.Link
	tables  map[tableKey]*routes
	rules   map[string][]snapshot.Rule
}

// NewSpace makes a namespace ready. It keeps pointers into ns.
func NewSpace(ns *snapshot.Namespace) *Space {
	s := &Space{
		Rules: New(&ns.Netfilter), ns: ns, byIndex: map[int]*snapshot.Link{}, byName: map[string]*snapshot.Link{},
		local: map[netip.Addr]*snapshot.Link{},
	}
	for i := range ns.Links {
		l := &ns.Links[i]
		s.byIndex[l.Index], s.byName[l.Name] = l, l
		for _, a := range l.Addrs {
			s.local[a.Prefix.Addr()] = l
		}
	}
	s.tables, s.rules = routesOf(ns)
	return s
}

// Link is the interface of that name, nil where there is none.
func (s *Space) Link(name string) *snapshot.Link { return s.byName[name] }

// Owns tells whether packets to an address are delivered in the namespace itself.
func (s *Space) Owns(a netip.Addr) bool { return a.IsLoopback() || s.local[a] != nil }

// Iface is an interface by name, the zero one where there is none.
func (s *Space) Iface(name string) Iface { return iface(s.byName[name]) }

func iface(l *snapshot.Link) Iface {
	if l == nil {
		return Iface{}
	}
	i := Iface{Index: l.Index, Name: l.Name, Group: l.Group, Kind: l.Kind}
	switch l.Type {
	case "ether":
		i.Type = 1
	case "loopback":
		i.Type = 772
	case "none":
		i.Type = 65534
	}
	return i
}

// sysctl is the value of a setting, "" where it was not read.
func (s *Space) sysctl(name string) string { return s.ns.Sysctls[name] }

// highest is the greater of the settings of all interfaces and of one, as the kernel takes it (IN_DEV_MAXCONF).
func (s *Space) highest(what, dev string) string {
	return max(s.sysctl("net.ipv4.conf.all."+what), s.sysctl("net.ipv4.conf."+dev+"."+what))
}

// Masquerade is inet_select_addr: of the interface's addresses of global scope the one on the network of the next hop, else
// the first. Which one IPv6 takes is known where there is one.
func (s *Space) Masquerade(out Iface, next netip.Addr) (netip.Addr, bool) {
	l := s.byName[out.Name]
	if l == nil {
		return netip.Addr{}, false
	}
	if next.Is6() {
		return s.source6(l, next)
	}
	return s.selectAddr(l, next), true
}

// selectAddr is inet_select_addr. An interface without an address of its own borrows that of the first that has one.
func (s *Space) selectAddr(l *snapshot.Link, next netip.Addr) netip.Addr {
	if a := firstAddrOf(l, next); a.IsValid() {
		return a
	}
	for i := range s.ns.Links {
		if a := firstAddrOf(&s.ns.Links[i], netip.Addr{}); a.IsValid() {
			return a
		}
	}
	return netip.Addr{}
}

func firstAddrOf(l *snapshot.Link, next netip.Addr) (first netip.Addr) {
	for _, a := range l.Addrs {
		if !a.Prefix.Addr().Is4() || a.Scope != "global" || slices.Contains(a.Flags, "secondary") {
			continue
		}
		if a.Prefix.Contains(next) {
			return a.Prefix.Addr()
		}
		if !first.IsValid() {
			first = a.Prefix.Addr()
		}
	}
	return first
}

// source6 is ipv6_dev_get_saddr (RFC 6724) as far as it needs no more than to prefer the destination itself, then the one global address of
// the link, then the only one that there is.
func (s *Space) source6(l *snapshot.Link, dst netip.Addr) (netip.Addr, bool) {
	if s.Owns(dst) {
		return dst, true
	}
	if a, known := one6(global6(l)); a.IsValid() || !known {
		return a, known
	}
	var all []netip.Addr
	for i := range s.ns.Links {
		all = append(all, global6(&s.ns.Links[i])...)
	}
	return one6(all)
}

func global6(l *snapshot.Link) (found []netip.Addr) {
	for _, a := range l.Addrs {
		if a.Prefix.Addr().Is6() && a.Scope == "global" && !slices.Contains(a.Flags, "tentative") && !slices.Contains(a.Flags, "deprecated") {
			found = append(found, a.Prefix.Addr())
		}
	}
	return found
}

// one6 is the only one of some addresses; which of several it is nobody can tell.
func one6(found []netip.Addr) (netip.Addr, bool) {
	switch len(found) {
	case 0:
		return netip.Addr{}, true
	case 1:
		return found[0], true
	}
	return netip.Addr{}, false
}

// Redirect is the first address of the interface (nf_nat_redirect_ipv4).
func (s *Space) Redirect(in Iface, family string, _ netip.Addr) (netip.Addr, bool) {
	l := s.byName[in.Name]
	if l == nil {
		return netip.Addr{}, false
	}
	if family == "ip6" {
		return one6(global6(l))
	}
	for _, a := range l.Addrs {
		if a.Prefix.Addr().Is4() && !slices.Contains(a.Flags, "secondary") {
			return a.Prefix.Addr(), true
		}
	}
	return netip.Addr{}, true
}

// AddrType is inet_dev_addr_type: what the table "local" says, whatever the rules; IPv6 asks its routes.
func (s *Space) AddrType(a netip.Addr, dev string) (string, bool) {
	switch {
	case a.IsMulticast():
		return "multicast", true
	case a.Is4() && (a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) || a.As4()[0] == 0):
		return "broadcast", true
	case len(s.tables) == 0 && len(s.ns.Links) > 0: // routes were not read
		if s.Owns(a) && dev == "" {
			return "local", true
		}
		return "", false
	}
	fam := family(a)
	var found string
	if t := s.tables[tableKey{fam, tableLocal}]; t != nil {
		t.lookup(a, func(r *snapshot.Route) bool {
			if dev != "" && (s.byIndex[r.OIF] == nil || s.byIndex[r.OIF].Name != dev) {
				return false
			}
			found = r.Type
			return true
		})
	}
	if found != "" && found != "unicast" {
		return found, true
	}
	if fam == "ip" {
		return "unicast", true
	}
	if dev != "" {
		return "unicast", true
	}
	r, ok := s.Route(RouteQuery{Dst: a})
	if ok && r.Type == "" {
		return "unreachable", true
	}
	return r.Type, ok
}

// bridged tells whether br_netfilter gives the IP packets that a bridge forwards to the hooks of IP.
func (s *Space) bridged(br *snapshot.Link, fam string) bool {
	if fam == "ip6" {
		return br.Bridge != nil && br.Bridge.NfCallIp6tables || s.sysctl("net.bridge.bridge-nf-call-ip6tables") == "1"
	}
	return br.Bridge != nil && br.Bridge.NfCallIptables || s.sysctl("net.bridge.bridge-nf-call-iptables") == "1"
}

// forwards tells whether what comes through an interface is sent on.
func (s *Space) forwards(fam, dev string) (yes, known bool) {
	key := "net.ipv4.conf." + dev + ".forwarding"
	all := "net.ipv4.ip_forward"
	if fam == "ip6" {
		key, all = "net.ipv6.conf."+dev+".forwarding", "net.ipv6.conf.all.forwarding"
	}
	v := s.sysctl(key)
	if v == "" {
		v = s.sysctl(all)
	}
	v = strings.TrimSpace(v)
	return v != "0", v != ""
}
