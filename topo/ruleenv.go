package topo

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
)

// ruleEnv answers what rules ask of a namespace, from what was read in it.
type ruleEnv struct{ sp *space }

// AddrType is what the table "local" says of an address; where no routes were read, what the links' addresses say.
func (e ruleEnv) AddrType(a netip.Addr, dev string) (string, bool) {
	ns := e.sp.ns
	var best *snapshot.Route
	some := false
	for i := range ns.Routes {
		r := &ns.Routes[i]
		if r.Table != 255 || !r.Dst.IsValid() || r.Dst.Addr().Is4() != a.Is4() {
			continue
		}
		some = true
		if r.Dst.Contains(a) && (best == nil || r.Dst.Bits() > best.Dst.Bits()) {
			best = r
		}
	}
	switch {
	case best != nil:
		if l := e.sp.byIdx[best.OIF]; dev != "" && (l == nil || l.l.Name != dev) {
			return "unicast", true
		}
		return best.Type, true
	case a.IsMulticast():
		return "multicast", true
	case some && a.Is4():
		return "unicast", true
	case e.sp.owns(a):
		if dev != "" && (e.sp.byName[dev] == nil || !hasAddr(e.sp.byName[dev].l, a)) {
			return "unicast", true
		}
		return "local", true
	case a.Is4():
		return "unicast", len(e.sp.links) > 0
	}
	_, known := e.Route(ruleset.RouteQuery{Dst: a})
	return "unicast", known
}

// Route looks a destination up in the main table. Where rules choose among tables by more than the destination it is not
// known.
func (e ruleEnv) Route(q ruleset.RouteQuery) (ruleset.Route, bool) {
	if e.sp.owns(q.Dst) {
		return ruleset.Route{Type: "local", Out: e.iface(e.sp.byName["lo"]), Source: q.Dst}, true
	}
	oif, gw, ok := e.sp.route(q.Dst)
	if !ok {
		return ruleset.Route{}, false
	}
	return ruleset.Route{Type: "unicast", Out: e.iface(oif), Gateway: gw, Source: oif.mainAddr(q.Dst.Is4())}, true
}

// Masquerade is the first address of the link that is left by.
func (e ruleEnv) Masquerade(out ruleset.Iface, next netip.Addr) (netip.Addr, bool) {
	return e.sp.byIdx[out.Index].mainAddr(next.Is4()), e.sp.byIdx[out.Index] != nil
}

// Redirect is the first address of the link that was come through (nf_nat_redirect_ipv4).
func (e ruleEnv) Redirect(in ruleset.Iface, family string, _ netip.Addr) (netip.Addr, bool) {
	return e.sp.byIdx[in.Index].mainAddr(family == "ip"), e.sp.byIdx[in.Index] != nil
}

func (e ruleEnv) iface(l *link) ruleset.Iface {
	if l == nil {
		return ruleset.Iface{}
	}
	i := ruleset.Iface{Index: l.l.Index, Name: l.l.Name, Kind: l.l.Kind}
	switch l.l.Type {
	case "ether":
		i.Type = 1
	case "loopback":
		i.Type = 772
	}
	return i
}

// mainAddr is a link's first global address of a family.
func (l *link) mainAddr(v4 bool) netip.Addr {
	if l == nil {
		return netip.Addr{}
	}
	var local netip.Addr
	for _, a := range l.l.Addrs {
		ad := a.Prefix.Addr()
		switch {
		case ad.Is4() != v4:
		case ad.IsLinkLocalUnicast():
			local = ad
		default:
			return ad
		}
	}
	return local
}

// owns reports whether packets to an address are delivered in the namespace itself.
func (sp *space) owns(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for _, l := range sp.links {
		if hasAddr(l.l, a) {
			return true
		}
	}
	return false
}

// route is the way by the main table; ok is false where there is none, or where it depends on more than the destination.
func (sp *space) route(a netip.Addr) (oif *link, gw netip.Addr, ok bool) {
	for _, r := range sp.ns.Rules {
		standard := r.Action == "lookup" && r.Table >= 253 && r.Table <= 255 && !r.Src.IsValid() && !r.Dst.IsValid()
		if marked := r.FwMark != 0 && !r.Invert; !standard && !marked {
			return nil, gw, false
		}
	}
	var best *snapshot.Route
	for i := range sp.ns.Routes {
		r := &sp.ns.Routes[i]
		if r.Table != 254 && r.Table != 0 || !r.Dst.IsValid() || r.Dst.Addr().Is4() != a.Is4() || !r.Dst.Contains(a) || r.Src.Bits() > 0 {
			continue
		}
		if best == nil || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric {
			best = r
		}
	}
	if best == nil || best.Type != "unicast" || len(best.NextHops) > 1 {
		return nil, gw, false
	}
	index, gw := best.OIF, best.Gateway
	if len(best.NextHops) == 1 {
		index, gw = best.NextHops[0].OIF, best.NextHops[0].Gateway
	}
	l := sp.byIdx[index]
	return l, gw, l != nil
}
