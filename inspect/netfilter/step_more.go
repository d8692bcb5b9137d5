package netfilter

import (
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

func last(b []byte) *snapshot.NfAction {
	act := &snapshot.NfAction{Name: "last"}
	used := false
	var ms uint64
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaLastSet:
			used = nlwire.BE32(a.Val) != 0
		case nftaLastMsecs:
			ms = nlwire.BE64(a.Val)
		}
	}
	if used {
		act.Opts = map[string]string{"used_ms": strconv.FormatUint(ms, 10)}
	}
	return act
}

func flowOffload(b []byte) *snapshot.NfAction {
	act := &snapshot.NfAction{Name: "flow add"}
	for a := nlwire.Walk(b); a.Next(); {
		if a.Type == nftaFlowTableName {
			act.Opts = map[string]string{"flowtable": string(nlwire.CStr(a.Val))}
		}
	}
	return act
}

// synproxy also decodes the data of an object of this type.
func synproxy(b []byte) *snapshot.NfAction {
	act := &snapshot.NfAction{Name: "synproxy", Opts: map[string]string{}}
	var flags uint32
	var mss uint16
	var wscale uint8
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaSynproxyMss:
			mss = nlwire.BE16(a.Val)
		case nftaSynproxyWscale:
			wscale = nlwire.U8(a.Val)
		case nftaSynproxyFlags:
			flags = nlwire.BE32(a.Val)
		}
	}
	if flags&1 != 0 {
		act.Opts["mss"] = strconv.Itoa(int(mss))
	}
	if flags&2 != 0 {
		act.Opts["wscale"] = strconv.Itoa(int(wscale))
	}
	if flags&4 != 0 {
		act.Opts["sack-perm"] = "true"
	}
	if flags&8 != 0 {
		act.Opts["timestamp"] = "true"
	}
	return act
}

// Types of objects (NFT_OBJECT_…).
var objectTypes = map[uint32]string{
	1: "counter", 2: "quota", 3: "ct helper", 4: "limit", 5: "connlimit", 6: "tunnel", 7: "ct timeout", 8: "secmark", 9: "ct expectation",
	10: "synproxy",
}

func (m *machine) objref(b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	var typ, sreg uint32
	var name, setName string
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaObjrefImmType:
			typ = nlwire.BE32(a.Val)
		case nftaObjrefImmName:
			name = string(nlwire.CStr(a.Val))
		case nftaObjrefSetSreg:
			sreg = nlwire.BE32(a.Val)
		case nftaObjrefSetName:
			setName = string(nlwire.CStr(a.Val))
		}
	}
	if setName == "" {
		e.Action = &snapshot.NfAction{Name: objectTypes[typ], Opts: map[string]string{"name": name}}
		return e, used, e.Action.Name != "" && name != ""
	}
	s := m.sets[setName]
	if s == nil || s.object == "" {
		return e, used, false
	}
	key, used, ok := m.key(sreg, s)
	if !ok {
		return e, used, false
	}
	e.Action = &snapshot.NfAction{Name: s.object, Key: &key, Opts: map[string]string{"map": setName}}
	return e, used, true
}

func (m *machine) queue(b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	var num, total, flags uint16
	var sreg uint32
	total = 1
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaQueueNum:
			num = nlwire.BE16(a.Val)
		case nftaQueueTotal:
			total = nlwire.BE16(a.Val)
		case nftaQueueFlags:
			flags = nlwire.BE16(a.Val)
		case nftaQueueSregQnum:
			sreg = nlwire.BE32(a.Val)
		}
	}
	v := &snapshot.NfVerdict{Kind: "queue", Queue: &snapshot.NfNum{From: uint64(num), To: uint64(num) + uint64(max(total, 1)) - 1}}
	if sreg != 0 {
		data, from, src, ok := m.constReg(sreg)
		switch {
		case !ok:
			return e, used, false
		case from == nil:
			if len(data) < 2 {
				return e, used, false
			}
			n := number(data[:2], true) // the kernel reads 16 bits in host byte order
			v.Queue = &snapshot.NfNum{From: n, To: n}
		default:
			v.Queue, v.QueueFrom = nil, from
		}
		used = src
	}
	if flags&1 != 0 {
		v.Flags = append(v.Flags, "bypass")
	}
	if flags&2 != 0 {
		v.Flags = append(v.Flags, "fanout")
	}
	return snapshot.NfExpr{Verdict: v}, used, flags&^3 == 0
}

// place is an address or an interface that a register gives, for dup and fwd.
func (m *machine) place(act *snapshot.NfAction, opt string, reg uint32, used *exprSet) bool {
	if reg == 0 {
		return true
	}
	data, op, src, ok := m.constReg(reg)
	*used = used.and(src)
	switch {
	case !ok || op != nil:
		return false
	case opt == "device":
		if len(data) != 4 {
			return false
		}
		act.Opts["device"] = strconv.FormatUint(number(data, true), 10)
	default:
		a, ok := netip.AddrFromSlice(data)
		if !ok {
			return false
		}
		act.Opts["to"] = a.String()
	}
	return true
}

func (m *machine) dup(b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	var addr, dev uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaDupSregAddr:
			addr = nlwire.BE32(a.Val)
		case nftaDupSregDev:
			dev = nlwire.BE32(a.Val)
		}
	}
	act := &snapshot.NfAction{Name: "dup", Opts: map[string]string{}}
	ok = m.place(act, "to", addr, &used) && m.place(act, "device", dev, &used)
	return snapshot.NfExpr{Action: act}, used, ok
}

func (m *machine) fwd(b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	var addr, dev, family uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaFwdSregAddr:
			addr = nlwire.BE32(a.Val)
		case nftaFwdSregDev:
			dev = nlwire.BE32(a.Val)
		case nftaFwdNfproto:
			family = nlwire.BE32(a.Val)
		}
	}
	act := &snapshot.NfAction{Name: "fwd", Opts: map[string]string{}}
	if family != 0 {
		act.Opts["family"] = familyNames[uint8(family)]
	}
	ok = m.place(act, "to", addr, &used) && m.place(act, "device", dev, &used)
	return snapshot.NfExpr{Action: act}, used, ok
}
