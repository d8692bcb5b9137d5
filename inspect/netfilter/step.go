package netfilter

import (
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// step decodes an expression that does something and needs no more than its attributes.
func (m *machine) step(name string, b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	switch name {
	case "counter":
		return snapshot.NfExpr{Counter: counter(b)}, used, true
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

func counter(b []byte) *snapshot.NfCounter {
	c := &snapshot.NfCounter{}
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

func natFlags(n uint32) (flags []string, ok bool) {
	for _, f := range []struct {
		bit  uint32
		name string
	}{{natRandom, "random"}, {natFully, "fully-random"}, {natPersistent, "persistent"}} {
		if n&f.bit != 0 {
			flags = append(flags, f.name)
		}
	}
	// Bits 0 and 1 say that addresses and ports are given, which the registers do too.
	return flags, n&^(3|natRandom|natFully|natPersistent|natNetmap) == 0
}

// constReg is the constant of a register, or the operand in it.
func (m *machine) constReg(reg uint32) (data []byte, op *snapshot.NfOperand, used exprSet, ok bool) {
	v, ok := m.load(reg)
	if !ok {
		return nil, nil, used, false
	}
	if v.data != nil {
		return v.data, nil, v.src, true
	}
	o, _, _, shift, ok := m.operand(v)
	if !ok || shift != 0 {
		return nil, nil, used, false
	}
	return nil, &o, v.src, true
}

// within tells whether a register lies in the answer of a map that an earlier register begins: then its value is a part of
// that answer.
func (m *machine) within(reg, first uint32) bool {
	w, f := word(reg), word(first)
	return w > f && f >= 0 && m.live[f] && m.regs[f].op.Kind == "map" && w < f+(m.regs[f].n+3)/4
}

func (m *machine) nat(b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	var typ, family, flags, addr, addrTo, port, portTo uint32
	for a := nlwire.Walk(b); a.Next(); {
		n := nlwire.BE32(a.Val)
		switch a.Type {
		case nftaNatType:
			typ = n
		case nftaNatFamily:
			family = n
		case nftaNatRegAddrMin:
			addr = n
		case nftaNatRegAddrMax:
			addrTo = n
		case nftaNatRegProtoMin:
			port = n
		case nftaNatRegProtoMax:
			portTo = n
		case nftaNatFlags:
			flags = n
		}
	}
	if typ > 1 {
		return e, used, false
	}
	nat := &snapshot.NfNAT{Kind: [...]string{"snat", "dnat"}[typ], Family: familyNames[uint8(family)]}
	if nat.Flags, ok = natFlags(flags); !ok {
		return e, used, false
	}
	if addr != 0 && !m.natAddr(nat, addr, addrTo, flags&natNetmap != 0, &used) {
		return e, used, false
	}
	if port != 0 && !m.natPort(nat, port, portTo, addr, &used) {
		return e, used, false
	}
	return snapshot.NfExpr{NAT: nat}, used, true
}

func (m *machine) natAddr(nat *snapshot.NfNAT, reg, regTo uint32, netmap bool, used *exprSet) bool {
	data, op, src, ok := m.constReg(reg)
	*used = used.and(src)
	switch {
	case !ok:
		return false
	case op != nil:
		if regTo != 0 && regTo != reg && !m.within(regTo, reg) {
			return false
		}
		nat.AddrFrom = op
		if netmap {
			nat.Flags = append(nat.Flags, "netmap")
		}
		return true
	}
	if nat.Addr, ok = netip.AddrFromSlice(data); !ok {
		return false
	}
	if regTo != 0 && regTo != reg {
		data, op, src, ok := m.constReg(regTo)
		*used = used.and(src)
		if !ok || op != nil {
			return false
		}
		if nat.AddrTo, ok = netip.AddrFromSlice(data); !ok {
			return false
		}
	}
	if netmap {
		// The network is told as its first and last address.
		v := addrs(nat.Addr, nat.AddrTo)
		if !nat.AddrTo.IsValid() || !v.Prefix.IsValid() {
			return false
		}
		nat.Prefix, nat.Addr, nat.AddrTo = v.Prefix, netip.Addr{}, netip.Addr{}
		nat.Flags = append(nat.Flags, "netmap")
	}
	return true
}

func (m *machine) natPort(nat *snapshot.NfNAT, reg, regTo, addr uint32, used *exprSet) bool {
	if nat.AddrFrom != nil && m.within(reg, addr) {
		return true // the map gives addresses and ports together
	}
	data, op, src, ok := m.constReg(reg)
	*used = used.and(src)
	switch {
	case !ok:
		return false
	case op != nil:
		nat.PortFrom = op
		return regTo == 0 || regTo == reg || m.within(regTo, reg)
	case len(data) != 2:
		return false
	}
	nat.Port = nlwire.BE16(data)
	if regTo != 0 && regTo != reg {
		data, op, src, ok := m.constReg(regTo)
		*used = used.and(src)
		if !ok || op != nil || len(data) != 2 {
			return false
		}
		nat.PortTo = nlwire.BE16(data)
	}
	return true
}

// portNAT decodes masq and redir, which take ports only.
func (m *machine) portNAT(b []byte, kind string, flagsAttr, minAttr, maxAttr uint16) (e snapshot.NfExpr, used exprSet, ok bool) {
	var flags, port, portTo uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case flagsAttr:
			flags = nlwire.BE32(a.Val)
		case minAttr:
			port = nlwire.BE32(a.Val)
		case maxAttr:
			portTo = nlwire.BE32(a.Val)
		}
	}
	nat := &snapshot.NfNAT{Kind: kind}
	if nat.Flags, ok = natFlags(flags); !ok {
		return e, used, false
	}
	if port != 0 && !m.natPort(nat, port, portTo, 0, &used) {
		return e, used, false
	}
	return snapshot.NfExpr{NAT: nat}, used, true
}

func (m *machine) tproxy(b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	var family, addr, port uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaTproxyFamily:
			family = nlwire.BE32(a.Val)
		case nftaTproxyRegAddr:
			addr = nlwire.BE32(a.Val)
		case nftaTproxyRegPort:
			port = nlwire.BE32(a.Val)
		}
	}
	nat := &snapshot.NfNAT{Kind: "tproxy", Family: familyNames[uint8(family)]}
	if addr != 0 && !m.natAddr(nat, addr, 0, false, &used) || port != 0 && !m.natPort(nat, port, 0, addr, &used) {
		return e, used, false
	}
	return snapshot.NfExpr{NAT: nat}, used, true
}

func (m *machine) queue(b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	var num, total, flags uint16
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
			return e, used, false
		}
	}
	v := &snapshot.NfVerdict{Kind: "queue", Queue: &snapshot.NfNum{From: uint64(num), To: uint64(num) + uint64(max(total, 1)) - 1}}
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

var dynsetOps = [...]string{"add", "update", "delete"}

func (m *machine) dynset(b []byte) (e snapshot.NfExpr, used exprSet, ok bool) {
	var op, key, data, flags uint32
	u := &snapshot.NfUpdate{}
	withData := false
	exprs := true
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaDynsetSetName:
			u.Set = string(nlwire.CStr(a.Val))
		case nftaDynsetOp:
			op = nlwire.BE32(a.Val)
		case nftaDynsetSregKey:
			key = nlwire.BE32(a.Val)
		case nftaDynsetSregData:
			data, withData = nlwire.BE32(a.Val), true
		case nftaDynsetTimeout:
			u.Timeout = nlwire.BE64(a.Val)
		case nftaDynsetFlags:
			flags = nlwire.BE32(a.Val)
		case nftaDynsetExpr:
			exprs = exprs && stateful(&u.Exprs, a.Val)
		case nftaDynsetExpressions:
			for in := nlwire.Walk(a.Val); in.Next(); {
				exprs = exprs && stateful(&u.Exprs, in.Val)
			}
		}
	}
	s := m.sets[u.Set]
	if s == nil || !exprs || int(op) >= len(dynsetOps) || flags&^3 != 0 {
		return e, used, false
	}
	u.Op, u.Invert = dynsetOps[op], flags&1 != 0
	if u.Key, used, ok = m.key(key, s); !ok {
		return e, used, false
	}
	if withData {
		data, from, src, ok := m.constReg(data)
		used = used.and(src)
		if !ok {
			return e, used, false
		}
		if from != nil {
			u.Data = from
		} else {
			v := constantParts(s.data, data)
			u.Value = &v
		}
	}
	return snapshot.NfExpr{Update: u}, used, true
}

// stateful decodes an expression that elements of a set carry: a counter, a limit, a quota. False: another one.
func stateful(to *[]snapshot.NfExpr, b []byte) bool {
	r := splitExpr(b)
	var m machine
	switch r.name {
	case "counter", "limit", "quota", "connlimit", "last":
		e, _, ok := m.step(r.name, r.data)
		if ok {
			*to = append(*to, e)
		}
		return ok
	}
	return false
}

// statefulExprs decodes those of a set or an element; what is none of the known is kept as unknown.
func statefulExprs(to *[]snapshot.NfExpr, b []byte) {
	if !stateful(to, b) {
		*to = append(*to, unknownExpr(splitExpr(b)))
	}
}

// assign emits To := what is in the register.
func (m *machine) assign(i int, to snapshot.NfOperand, reg uint32, t vtype, host bool, n int) bool {
	v, ok := m.load(reg)
	if !ok {
		return false
	}
	set := &snapshot.NfAssign{To: to}
	if v.data != nil {
		if len(v.data) != n {
			return false
		}
		c := constant(t, host, v.data)
		set.Value = &c
	} else {
		op, _, _, shift, ok := m.operand(v)
		if !ok || shift != 0 {
			return false
		}
		set.From = &op
	}
	m.emit(i, snapshot.NfExpr{Assign: set}, v.src)
	return true
}

// mangle emits a change of the packet's bytes at to.
func (m *machine) mangle(i int, to *value, reg uint32) bool {
	v, ok := m.load(reg)
	if !ok || v.data != nil && len(v.data) != to.n {
		return false
	}
	n := to.n * 8
	p, off := m.ctx.header(to.base, to.off)
	set := &snapshot.NfAssign{}
	f := m.ctx.find(p, off, n)
	switch {
	case f != nil && v.data != nil:
		m.implied(p, f)
		set.To = fieldOperand(f)
		c := constant(f.typ, false, v.data)
		set.Value = &c
	case f != nil:
		m.implied(p, f)
		op, _, _, shift, ok := m.operand(v)
		if !ok || shift != 0 {
			return false
		}
		set.To, set.From = fieldOperand(f), &op
	case v.data != nil:
		if f := portOf(p, to.base, off, n); f != nil {
			set.To = fieldOperand(f)
		} else {
			set.To = rawOperand(to, to.off, n)
		}
		c := constant(vNum, false, v.data)
		set.Value = &c
	case v.payload && v.mask != nil && v.base == to.base && v.off == to.off && v.n == to.n && !v.host && v.shift == 0:
		// A field of some bits is written with what stands beside it.
		keep := make([]byte, len(v.mask))
		for j := range keep {
			keep[j] = ^v.mask[j] | v.xor[j]
		}
		if f, val := m.bitField(p, off, keep, v.xor); f != nil {
			m.implied(p, f)
			set.To = fieldOperand(f)
			c := constant(f.typ, false, val)
			set.Value = &c
			break
		}
		op := rawOperand(v, v.off, n)
		setMask(&op, v, vHex, false)
		set.To, set.From = rawOperand(to, to.off, n), &op
	default:
		op, _, _, shift, ok := m.operand(v)
		if !ok || shift != 0 {
			return false
		}
		set.To, set.From = rawOperand(to, to.off, n), &op
	}
	m.emit(i, snapshot.NfExpr{Assign: set}, v.src)
	return true
}

// bitField is the field that changed bits are, and its new value.
func (m *machine) bitField(p *proto, off int, changed, xor []byte) (*field, []byte) {
	if p == nil {
		return nil, nil
	}
	for i := range p.fields {
		f := &p.fields[i]
		first := f.off - off
		if first < 0 || first+f.bits > len(changed)*8 || !m.ctx.has(f) {
			continue
		}
		mask := make([]byte, len(changed))
		for j := range f.bits {
			mask[(first+j)/8] |= 1 << (7 - (first+j)%8)
		}
		if hex.EncodeToString(mask) == hex.EncodeToString(changed) {
			return f, cut(xor, first, f.bits)
		}
	}
	return nil, nil
}
