package conntrack

import (
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Numbers of include/uapi/linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h and nf_conntrack_common.h.
const (
	nfgenLen = 4      // struct nfgenmsg
	msgNew   = 1 << 8 // NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW
	msgGet   = 1<<8 | 1
	nlmDump  = 0x300

	ctaTupleOrig, ctaTupleReply, ctaStatus, ctaProtoinfo, ctaHelp    = 1, 2, 3, 4, 5
	ctaTimeout, ctaMark, ctaCountersOrig, ctaCountersReply, ctaID    = 7, 8, 9, 10, 12
	ctaZone, ctaMarkMask, ctaFilter                                  = 18, 21, 25
	ctaTupleIP, ctaTupleProto, ctaTupleZone                          = 1, 2, 3
	ctaV4Src, ctaV4Dst, ctaV6Src, ctaV6Dst                           = 1, 2, 3, 4
	ctaProtoNum, ctaProtoSrc, ctaProtoDst                            = 1, 2, 3
	ctaICMPID, ctaICMPType, ctaICMPCode, ctaICMP6ID, ctaICMP6Type    = 4, 5, 6, 7, 8
	ctaICMP6Code                                                     = 9
	ctaProtoTCP, ctaProtoDCCP, ctaProtoSCTP, ctaProtoState           = 1, 2, 3, 1
	ctaPackets, ctaBytes, ctaHelpName, ctaFilterOrig, ctaFilterReply = 1, 2, 1, 1, 2

	filterProtoNum = 3 // CTA_FILTER_FLAG of the protocol's number

	afInet, afInet6 = 2, 10
)

var (
	protocols = map[uint8]string{1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 50: "esp", 51: "ah", 58: "icmpv6", 132: "sctp", 136: "udplite"}
	// statusNames are IPS_*, by bit; those that the kernel alone has a use for are not told.
	statusNames = map[int]string{0: "expected", 1: "seen-reply", 2: "assured", 3: "confirmed", 4: "snat", 5: "dnat", 9: "dying",
		10: "fixed-timeout", 11: "template", 13: "helper", 14: "offload", 15: "hw-offload"}
	states = map[uint16][]string{
		ctaProtoTCP:  {"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"},
		ctaProtoDCCP: {"NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID"},
		ctaProtoSCTP: {"NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT",
			"HEARTBEAT_SENT", "HEARTBEAT_ACKED"},
	}
)

// decode reads a message that tells of an entry: struct nfgenmsg and attributes.
func decode(b []byte, c *snapshot.Conn) bool {
	*c = snapshot.Conn{Status: []string{}}
	var proto uint8
	for a := nlwire.WalkAfter(b, nfgenLen); a.Next(); {
		switch a.Type {
		case ctaTupleOrig:
			proto = decodeTuple(a.Val, &c.Orig)
		case ctaTupleReply:
			decodeTuple(a.Val, &c.Reply)
		case ctaStatus:
			v := nlwire.BE32(a.Val)
			for i := range 32 {
				if n := statusNames[i]; v&(1<<i) != 0 && n != "" {
					c.Status = append(c.Status, n)
				}
			}
		case ctaProtoinfo:
			c.State = decodeState(a.Val)
		case ctaHelp:
			for h := nlwire.Walk(a.Val); h.Next(); {
				if h.Type == ctaHelpName {
					c.Helper = string(nlwire.CStr(h.Val))
				}
			}
		case ctaTimeout:
			c.Timeout = nlwire.BE32(a.Val)
		case ctaMark:
			c.Mark = nlwire.BE32(a.Val)
		case ctaCountersOrig:
			decodeCounters(a.Val, &c.Orig)
		case ctaCountersReply:
			decodeCounters(a.Val, &c.Reply)
		case ctaID:
			c.ID = nlwire.BE32(a.Val)
		case ctaZone:
			c.Zone = nlwire.BE16(a.Val)
		}
	}
	c.Family = "inet"
	if c.Orig.Src.Addr().Is6() {
		c.Family = "inet6"
	}
	if c.Protocol = protocols[proto]; c.Protocol == "" {
		c.Protocol = strconv.Itoa(int(proto))
	}
	return c.Orig.Src.Addr().IsValid() && c.Orig.Dst.Addr().IsValid() && c.Reply.Src.Addr().IsValid() && c.Reply.Dst.Addr().IsValid()
}

// decodeTuple reads a CTA_TUPLE_*, but its counters, which come apart.
func decodeTuple(b []byte, t *snapshot.ConnTuple) (proto uint8) {
	var src, dst netip.Addr
	var sport, dport uint16
	for a := nlwire.Walk(b); a.Next(); {
		in := nlwire.Walk(a.Val)
		switch a.Type {
		case ctaTupleIP:
			for in.Next() {
				switch in.Type {
				case ctaV4Src, ctaV6Src:
					src = nlwire.Addr(in.Val)
				case ctaV4Dst, ctaV6Dst:
					dst = nlwire.Addr(in.Val)
				}
			}
		case ctaTupleProto:
			var icmp snapshot.ConnICMP
			for in.Next() {
				switch in.Type {
				case ctaProtoNum:
					proto = nlwire.U8(in.Val)
				case ctaProtoSrc:
					sport = nlwire.BE16(in.Val)
				case ctaProtoDst:
					dport = nlwire.BE16(in.Val)
				case ctaICMPID, ctaICMP6ID:
					icmp.ID = nlwire.BE16(in.Val)
					t.ICMP = &icmp
				case ctaICMPType, ctaICMP6Type:
					icmp.Type = nlwire.U8(in.Val)
				case ctaICMPCode, ctaICMP6Code:
					icmp.Code = nlwire.U8(in.Val)
				}
			}
		}
	}
	t.Src, t.Dst = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
	return proto
}

func decodeState(b []byte) string {
	for a := nlwire.Walk(b); a.Next(); {
		names, ok := states[a.Type]
		if !ok {
			continue
		}
		for in := nlwire.Walk(a.Val); in.Next(); {
			if in.Type != ctaProtoState {
				continue
			}
			if v := int(nlwire.U8(in.Val)); v < len(names) {
				return names[v]
			}
			return strconv.Itoa(int(nlwire.U8(in.Val)))
		}
	}
	return ""
}

func decodeCounters(b []byte, t *snapshot.ConnTuple) {
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case ctaPackets:
			t.Packets = nlwire.BE64(a.Val)
		case ctaBytes:
			t.Bytes = nlwire.BE64(a.Val)
		}
	}
}
