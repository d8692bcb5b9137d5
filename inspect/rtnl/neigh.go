package rtnl

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Attributes of RTM_NEWNEIGH (neighbour.h).
const (
	ndaDst      = 1
	ndaLLAddr   = 2
	ndaVLAN     = 5
	ndaPort     = 6
	ndaVNI      = 7
	ndaIfindex  = 8
	ndaMaster   = 9
	ndaSrcVNI   = 11
	ndaProtocol = 12
	ndaNHID     = 13
	ndaFlagsExt = 15

	ndmsgLen = 12 // struct ndmsg

	nudReachable = 0x02
	nudStale     = 0x04
	nudNoARP     = 0x40
	nudPermanent = 0x80

	ntfProxy = 8
)

var neighStates = []bit{
	{0x01, "incomplete"}, {nudReachable, "reachable"}, {nudStale, "stale"}, {0x08, "delay"}, {0x10, "probe"},
	{0x20, "failed"}, {nudNoARP, "noarp"}, {nudPermanent, "permanent"},
}

// Flags of struct ndmsg; the kernel's second word of them (NDA_FLAGS_EXT) is moved up by 8 bits.
var neighFlags = []bit{
	{ntfProxy, "proxy"}, {0x80, "router"}, {0x10, "extern_learn"}, {0x20, "offload"}, {0x01, "use"},
	{1 << 8, "managed"}, {4 << 8, "extern_valid"},
}

var fdbFlags = []bit{
	{0x02, "self"}, {0x04, "master"}, {0x80, "router"}, {0x10, "extern_learn"}, {0x20, "offload"}, {0x40, "sticky"},
	{2 << 8, "locked"},
}

// decodeNeighbor decodes the body of an RTM_NEWNEIGH message of IPv4 or IPv6. A proxy entry (ip neigh show proxy) has no
// state: "none".
func decodeNeighbor(b []byte, n *snapshot.Neighbor) bool {
	if len(b) < ndmsgLen || familyName(b[0]) == "" {
		return false
	}
	flags := uint32(b[10])
	*n = snapshot.Neighbor{Family: familyName(b[0]), Ifindex: nlwire.I32(b[4:]), State: neighState(nlwire.U16(b[8:]))}
	for a := nlwire.WalkAfter(b, ndmsgLen); a.Next(); {
		switch a.Type {
		case ndaDst:
			n.Addr = nlwire.Addr(a.Val)
		case ndaLLAddr:
			n.MAC = lladdr(a.Val)
		case ndaProtocol:
			if p := nlwire.U8(a.Val); p != 0 {
				n.Protocol = nameOf(p, &routeProtocols)
			}
		case ndaFlagsExt:
			flags |= nlwire.U32(a.Val) << 8
		}
	}
	n.Flags = bitNames(flags, neighFlags)
	return n.Addr.IsValid()
}

func neighState(s uint16) string {
	for _, b := range neighStates {
		if uint32(s) == b.mask {
			return b.name
		}
	}
	if s == 0 {
		return "none"
	}
	return strings.Join(bitNames(uint32(s), neighStates), ",")
}

// decodeFDB decodes the body of an RTM_NEWNEIGH message of family AF_BRIDGE. The port stands in network byte order.
func decodeFDB(b []byte, e *snapshot.FDBEntry) bool {
	if len(b) < ndmsgLen || b[0] != afBridge {
		return false
	}
	flags := uint32(b[10])
	*e = snapshot.FDBEntry{Ifindex: nlwire.I32(b[4:]), State: fdbState(nlwire.U16(b[8:]))}
	for a := nlwire.WalkAfter(b, ndmsgLen); a.Next(); {
		switch a.Type {
		case ndaDst:
			e.Dst = nlwire.Addr(a.Val)
		case ndaLLAddr:
			e.MAC = hwAddr(a.Val)
		case ndaVLAN:
			e.VLAN = int(nlwire.U16(a.Val))
		case ndaPort:
			e.Port = nlwire.BE16(a.Val)
		case ndaVNI:
			v := nlwire.U32(a.Val)
			e.VNI = &v
		case ndaIfindex:
			e.Via = nlwire.I32(a.Val)
		case ndaMaster:
			e.Master = nlwire.I32(a.Val)
		case ndaSrcVNI:
			e.SrcVNI = nlwire.U32(a.Val)
		case ndaNHID:
			e.NHID = nlwire.U32(a.Val)
		case ndaFlagsExt:
			flags |= nlwire.U32(a.Val) << 8
		}
	}
	e.Flags = bitNames(flags, fdbFlags)
	return true
}

// fdbState names a state as bridge does: what is reachable was learnt and has no name.
func fdbState(s uint16) string {
	switch {
	case s&nudPermanent != 0:
		return "permanent"
	case s&nudNoARP != 0:
		return "static"
	case s&nudStale != 0:
		return "stale"
	case s&nudReachable != 0 || s == 0:
		return ""
	}
	return neighState(s)
}
