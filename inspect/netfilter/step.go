package netfilter

import (
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// step decodes an expression that does something and needs no more than its attributes.
func (m *machine) step(name string, b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	switch name {
	case "counter":
		e.Counter = &m.counts.take(1)[0]
		*e.Counter, ok = counter(b), true
	case "limit":
		e.Limit, ok = limit(b)
	case "quota":
		e.Limit = quota(b)
		ok = true
	case "connlimit":
		e.Limit = connlimit(b)
		ok = true
	case "log":
		e.Log, ok = logStep(b)
	case "reject":
		e.Reject, ok = m.reject(b)
	case "notrack":
		e.Action, ok = &snapshot.NfAction{Name: "notrack"}, true
	case "last":
		e.Action, ok = last(b), true
	case "flow_offload":
		e.Action, ok = flowOffload(b), true
	case "synproxy":
		e.Action, ok = synproxy(b), true
	case "objref":
		return m.objref(b)
	case "nat":
		return m.nat(b)
	case "masq":
		return m.portNAT(b, "masquerade", nftaMasqFlags, nftaMasqRegProtoMin, nftaMasqRegProtoMax)
	case "redir":
		return m.portNAT(b, "redirect", nftaRedirFlags, nftaRedirRegProtoMin, nftaRedirRegProtoMax)
	case "tproxy":
		return m.tproxy(b)
	case "queue":
		return m.queue(b)
	case "dup":
		return m.dup(b)
	case "fwd":
		return m.fwd(b)
	case "dynset":
		return m.dynset(b)
	}
	return e, used, ok
}

func counter(b []byte) (c snapshot.NfCounter) {
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaCounterBytes:
			c.Bytes = nlwire.BE64(a.Val)
		case nftaCounterPackets:
			c.Packets = nlwire.BE64(a.Val)
		}
	}
	return c
}

var limitUnits = map[uint64]string{1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}

func limit(b []byte) (*snapshot.NfLimit, bool) {
	l := &snapshot.NfLimit{Unit: "packets"}
	var unit uint64
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaLimitRate:
			l.Rate = nlwire.BE64(a.Val)
		case nftaLimitUnit:
			unit = nlwire.BE64(a.Val)
		case nftaLimitBurst:
			l.Burst = nlwire.BE32(a.Val)
		case nftaLimitType:
			if nlwire.BE32(a.Val) == 1 {
				l.Unit = "bytes"
			}
		case nftaLimitFlags:
			l.Over = nlwire.BE32(a.Val)&1 != 0
		}
	}
	l.Per = limitUnits[unit]
	return l, l.Per != ""
}

func quota(b []byte) *snapshot.NfLimit {
	l := &snapshot.NfLimit{Unit: "bytes", Quota: true}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaQuotaBytes:
			l.Rate = nlwire.BE64(a.Val)
		case nftaQuotaFlags:
			l.Over = nlwire.BE32(a.Val)&1 != 0
		case nftaQuotaConsumed:
			l.Used = nlwire.BE64(a.Val)
		}
	}
	return l
}

func connlimit(b []byte) *snapshot.NfLimit {
	l := &snapshot.NfLimit{Unit: "connections", Connections: true}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaConnlimitCount:
			l.Rate = uint64(nlwire.BE32(a.Val))
		case nftaConnlimitFlags:
			l.Over = nlwire.BE32(a.Val)&1 != 0
		}
	}
	return l
}

// nftLogLevels are syslog's and one more.
var nftLogLevels = append(logLevels[:len(logLevels):len(logLevels)], "audit")

func logStep(b []byte) (*snapshot.NfLog, bool) {
	l := &snapshot.NfLog{}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaLogGroup:
			g := nlwire.BE16(a.Val)
			l.Group = &g
		case nftaLogPrefix:
			l.Prefix = string(nlwire.CStr(a.Val))
		case nftaLogSnaplen:
			l.SnapLen = nlwire.BE32(a.Val)
		case nftaLogQthreshold:
			l.Threshold = nlwire.BE16(a.Val)
		case nftaLogLevel:
			n := nlwire.BE32(a.Val)
			if int(n) >= len(nftLogLevels) {
				return nil, false
			}
			l.Level = nftLogLevels[n]
		case nftaLogFlags:
			flags := nlwire.BE32(a.Val)
			for i, name := range logFlags {
				if flags&(1<<i) != 0 && name != "" {
					l.Flags = append(l.Flags, name)
				}
			}
		}
	}
	return l, true
}

// The answers of reject by code: of ICMP, of ICMPv6, and of both alike (icmpx).
var (
	rejectICMP = map[uint8]string{
		0: "icmp-net-unreachable", 1: "icmp-host-unreachable", 2: "icmp-proto-unreachable", 3: "icmp-port-unreachable", 9: "icmp-net-prohibited",
		10: "icmp-host-prohibited", 13: "icmp-admin-prohibited",
	}
	rejectICMP6 = map[uint8]string{
		0: "icmp6-no-route", 1: "icmp6-adm-prohibited", 3: "icmp6-addr-unreachable", 4: "icmp6-port-unreachable", 5: "icmp6-policy-fail",
		6: "icmp6-reject-route",
	}
	rejectICMPX = map[uint8]string{
		0: "icmpx-no-route", 1: "icmpx-port-unreachable", 2: "icmpx-host-unreachable", 3: "icmpx-admin-prohibited",
	}
)

func (m *machine) reject(b []byte) (*snapshot.NfReject, bool) {
	var typ uint32
	var code uint8
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaRejectType:
			typ = nlwire.BE32(a.Val)
		case nftaRejectIcmpCode:
			code = nlwire.U8(a.Val)
		}
	}
	r := &snapshot.NfReject{}
	switch typ {
	case 0:
		switch m.ctx.at[baseNetwork] {
		case hdrIP:
			r.With = rejectICMP[code]
		case hdrIP6:
			r.With = rejectICMP6[code]
		}
	case 1:
		r.With = "tcp-reset"
	case 2:
		r.With = rejectICMPX[code]
	}
	return r, r.With != ""
}
