package rtnl

import (
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Attributes of RTM_NEWROUTE (rtnetlink.h).
const (
	rtaDst       = 1
	rtaSrc       = 2
	rtaIIF       = 3
	rtaOIF       = 4
	rtaGateway   = 5
	rtaPriority  = 6
	rtaPrefsrc   = 7
	rtaMetrics   = 8
	rtaMultipath = 9
	rtaTable     = 15
	rtaVia       = 18
	rtaPref      = 20
	rtaEncapType = 21
	rtaNHID      = 30

	rtaxMTU    = 2 // inside RTA_METRICS
	rtaxAdvMSS = 8

	rtmsgLen = 12 // struct rtmsg
	rtnhLen  = 8  // struct rtnexthop

	rtmCloned = 0x200 // RTM_F_CLONED: a cache entry, not a route
)

var routeTypes = [...]string{
	"none", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve",
}

// routeFlags are RTNH_F_* and RTM_F_* by ip's names, in its order.
var routeFlags = []bit{
	{1, "dead"}, {4, "onlink"}, {2, "pervasive"}, {8, "offload"}, {64, "trap"}, {0x100, "notify"}, {16, "linkdown"},
	{32, "unresolved"}, {0x4000, "rt_offload"}, {0x8000, "rt_trap"}, {0x20000000, "rt_offload_failed"},
}

// routeProtocols are RTPROT_* by the names of iproute2's rt_protos.
var routeProtocols = [256]string{
	0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 8: "gated", 9: "ra", 10: "mrt", 11: "zebra", 12: "bird",
	13: "dnrouted", 14: "xorp", 15: "ntk", 16: "dhcp", 18: "keepalived", 42: "babel", 99: "openr", 186: "bgp", 187: "isis",
	188: "ospf", 189: "rip", 192: "eigrp",
}

var encaps = [...]string{"", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"}

func scopeName(s uint8) string {
	switch s {
	case 0:
		return "global"
	case 200:
		return "site"
	case 253:
		return "link"
	case 254:
		return "host"
	case 255:
		return "nowhere"
	}
	return strconv.Itoa(int(s))
}

// decodeRoute decodes the body of an RTM_NEWROUTE message. It is false for what is neither IPv4 nor IPv6 (multicast
// forwarding caches, MPLS) and for entries of the route cache.
func decodeRoute(b []byte, r *snapshot.Route) bool {
	if len(b) < rtmsgLen || familyName(b[0]) == "" {
		return false
	}
	flags := nlwire.U32(b[8:])
	if flags&rtmCloned != 0 {
		return false
	}
	family, dstLen, srcLen := b[0], b[1], b[2]
	*r = snapshot.Route{
		Family:   familyName(family),
		TOS:      int(b[3]),
		Table:    uint32(b[4]),
		Protocol: nameOf(b[5], &routeProtocols),
		Scope:    scopeName(b[6]),
		Type:     strconv.Itoa(int(b[7])),
		Flags:    bitNames(flags, routeFlags),
		NextHops: []snapshot.NextHop{},
	}
	if int(b[7]) < len(routeTypes) {
		r.Type = routeTypes[b[7]]
	}
	dst, src := anyAddr(family), anyAddr(family)
	for a := nlwire.WalkAfter(b, rtmsgLen); a.Next(); {
		switch a.Type {
		case rtaDst:
			dst = nlwire.Addr(a.Val)
		case rtaSrc:
			src = nlwire.Addr(a.Val)
		case rtaIIF:
			r.IIF = nlwire.I32(a.Val)
		case rtaOIF:
			r.OIF = nlwire.I32(a.Val)
		case rtaGateway:
			r.Gateway = nlwire.Addr(a.Val)
		case rtaVia:
			r.Gateway = via(a.Val)
		case rtaPriority:
			r.Metric = nlwire.U32(a.Val)
		case rtaPrefsrc:
			r.PrefSrc = nlwire.Addr(a.Val)
		case rtaMetrics:
			for m := nlwire.Walk(a.Val); m.Next(); {
				switch m.Type {
				case rtaxMTU:
					r.MTU = int(nlwire.U32(m.Val))
				case rtaxAdvMSS:
					r.AdvMSS = int(nlwire.U32(m.Val))
				}
			}
		case rtaMultipath:
			r.NextHops = decodeNextHops(a.Val)
		case rtaTable:
			r.Table = nlwire.U32(a.Val)
		case rtaPref:
			switch nlwire.U8(a.Val) {
			case 1:
				r.Pref = "high"
			case 3:
				r.Pref = "low"
			}
		case rtaEncapType:
			r.Encap = encapName(nlwire.U16(a.Val))
		case rtaNHID:
			r.NHID = nlwire.U32(a.Val)
		}
	}
	r.Dst = prefix(dst, dstLen)
	if srcLen > 0 {
		r.Src = prefix(src, srcLen)
	}
	return r.Dst.IsValid()
}

func encapName(t uint16) string {
	if int(t) < len(encaps) {
		return encaps[t]
	}
	return strconv.Itoa(int(t))
}

// via reads struct rtvia: the family, then a gateway that is not of the route's own (IPv4 over IPv6).
func via(b []byte) netip.Addr {
	if len(b) < 2 {
		return netip.Addr{}
	}
	return nlwire.Addr(b[2:])
}

// decodeNextHops decodes RTA_MULTIPATH: struct rtnexthop, each with attributes.
func decodeNextHops(b []byte) []snapshot.NextHop {
	hops := []snapshot.NextHop{}
	for len(b) >= rtnhLen {
		n := int(nlwire.U16(b))
		if n < rtnhLen || n > len(b) {
			break
		}
		// The kernel counts weights from 0.
		h := snapshot.NextHop{
			Flags:  bitNames(uint32(b[2]), routeFlags),
			Weight: int(b[3]) + 1,
			OIF:    nlwire.I32(b[4:]),
		}
		for a := nlwire.Walk(b[rtnhLen:n]); a.Next(); {
			switch a.Type {
			case rtaGateway:
				h.Gateway = nlwire.Addr(a.Val)
			case rtaVia:
				h.Gateway = via(a.Val)
			}
		}
		hops = append(hops, h)
		b = b[min((n+3)&^3, len(b)):]
	}
	return hops
}
