package netfilter

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

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
