package ruleset

import "net/netip"

// RouteQuery asks which way a packet goes.
type RouteQuery struct {
	Dst netip.Addr
	// Src is the source, invalid for one not yet chosen.
	Src  netip.Addr
	In   string // the interface that it came through, "" for one sent by the namespace itself
	Out  string // the interface that it must leave by, "" for any
	Mark uint32
	// OpenMark: the mark is not known; a rule that asks for it cannot be answered.
	OpenMark bool
	Proto    uint8
	UID      uint32
	OpenUID  bool
	Sport    uint16
	Dport    uint16
}

// Route is the answer.
type Route struct {
	// Type is unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw; empty: there is no route.
	Type string `json:"type"`
	Out  Iface  `json:"out,omitzero"`
	// Gateway is the next hop, invalid where the destination is on the link.
	Gateway netip.Addr `json:"gateway,omitzero"`
	// Source is the address that a packet without one gets.
	Source netip.Addr `json:"source,omitzero"`
}

// Env answers what rules ask of a namespace and not of a packet. Each second value says whether it is known.
type Env interface {
	Route(RouteQuery) (Route, bool)
	// AddrType is what an address is to the namespace (or, with dev, to that interface of it): local, broadcast, multicast,
	// anycast, unicast, unreachable. For IPv4 only the table "local" is looked at (inet_dev_addr_type).
	AddrType(a netip.Addr, dev string) (string, bool)
	// Masquerade is the address that a packet to next gets that is masqueraded out of an interface; invalid: none.
	Masquerade(out Iface, next netip.Addr) (netip.Addr, bool)
	// Redirect is the address that a packet of family gets that came through an interface and is redirected to the namespace
	// itself; invalid: none.
	Redirect(in Iface, family string, dst netip.Addr) (netip.Addr, bool)
}

// Blank is an Env that knows nothing.
type Blank struct{}

// Route knows nothing.
func (Blank) Route(RouteQuery) (Route, bool) { return Route{}, false }

// Masquerade knows nothing.
func (Blank) Masquerade(Iface, netip.Addr) (netip.Addr, bool) { return netip.Addr{}, false }

// Redirect knows nothing.
func (Blank) Redirect(Iface, string, netip.Addr) (netip.Addr, bool) { return netip.Addr{}, false }

// AddrType knows nothing.
func (Blank) AddrType(netip.Addr, string) (string, bool) { return "", false }
