package rtnl

import (
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

const ruleHdrLen = 12 // struct fib_rule_hdr (fib_rules.h)

const ruleInvert = 2 // FIB_RULE_INVERT

// decodeRule decodes the body of an RTM_NEWRULE message (FRA_*, fib_rules.h). It is false for what is neither IPv4 nor
// IPv6.
func decodeRule(b []byte, r *snapshot.Rule) bool {
	if len(b) < ruleHdrLen || familyName(b[0]) == "" {
		return false
	}
	dstLen, srcLen := b[1], b[2]
	*r = snapshot.Rule{
		Family: familyName(b[0]),
		TOS:    int(b[3]),
		Table:  uint32(b[4]),
		Action: ruleAction(b[7]),
		Invert: nlwire.U32(b[8:])&ruleInvert != 0,
	}
	for a := nlwire.WalkAfter(b, ruleHdrLen); a.Next(); {
		switch a.Type {
		case 1: // FRA_DST
			r.Dst = prefix(nlwire.Addr(a.Val), dstLen)
		case 2: // FRA_SRC
			r.Src = prefix(nlwire.Addr(a.Val), srcLen)
		case 3: // FRA_IIFNAME
			r.IIF = text(a.Val)
		case 4: // FRA_GOTO
			r.Goto = nlwire.U32(a.Val)
		case 6: // FRA_PRIORITY
			r.Priority = nlwire.U32(a.Val)
		case 10: // FRA_FWMARK
			r.FwMark = nlwire.U32(a.Val)
		case 12: // FRA_TUN_ID
			r.TunID = nlwire.BE64(a.Val)
		case 13: // FRA_SUPPRESS_IFGROUP, -1 for none
			if v := nlwire.I32(a.Val); v >= 0 {
				r.SuppressIfGroup = &v
			}
		case 14: // FRA_SUPPRESS_PREFIXLEN, -1 for none
			if v := nlwire.I32(a.Val); v >= 0 {
				r.SuppressPrefixLen = &v
			}
		case 15: // FRA_TABLE
			r.Table = nlwire.U32(a.Val)
		case 16: // FRA_FWMASK
			r.FwMask = nlwire.U32(a.Val)
		case 17: // FRA_OIFNAME
			r.OIF = text(a.Val)
		case 19: // FRA_L3MDEV
			r.L3MDev = nlwire.U8(a.Val) != 0
		case 20: // FRA_UID_RANGE: struct fib_rule_uid_range
			if len(a.Val) >= 8 {
				r.UIDRange = &snapshot.UIDRange{From: nlwire.U32(a.Val), To: nlwire.U32(a.Val[4:])}
			}
		case 21: // FRA_PROTOCOL
			if p := nlwire.U8(a.Val); p != 0 {
				r.Protocol = nameOf(p, &routeProtocols)
			}
		case 22: // FRA_IP_PROTO
			r.IPProto = int(nlwire.U8(a.Val))
		case 23: // FRA_SPORT_RANGE
			r.SPort = portRange(a.Val)
		case 24: // FRA_DPORT_RANGE
			r.DPort = portRange(a.Val)
		case 25: // FRA_DSCP (Linux 6.13): the upper six bits of TOS, which is then 0 above
			r.TOS = int(nlwire.U8(a.Val)) << 2
		}
	}
	if r.Action != "lookup" {
		r.Table = 0
	}
	return true
}

// portRange reads struct fib_rule_port_range, in host byte order.
func portRange(b []byte) *snapshot.PortRange {
	if len(b) < 4 {
		return nil
	}
	return &snapshot.PortRange{From: nlwire.U16(b), To: nlwire.U16(b[2:])}
}

func ruleAction(a uint8) string {
	switch a {
	case 1:
		return "lookup"
	case 2:
		return "goto"
	case 3:
		return "nop"
	case 6:
		return "blackhole"
	case 7:
		return "unreachable"
	case 8:
		return "prohibit"
	}
	return strconv.Itoa(int(a))
}
