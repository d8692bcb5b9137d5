package netfilter

import (
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// lookup decodes lookup: in a set, in a map of verdicts, in a map.
func (m *machine) lookup(i int, b []byte) bool {
	var name string
	var sreg, dreg, flags uint32
	to := false
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaLookupSet:
			name = string(nlwire.CStr(a.Val))
		case nftaLookupSreg:
			sreg = nlwire.BE32(a.Val)
		case nftaLookupDreg:
			dreg, to = nlwire.BE32(a.Val), true
		case nftaLookupFlags:
			flags = nlwire.BE32(a.Val)
		}
	}
	s := m.sets[name]
	if s == nil {
		return false
	}
	key, used, ok := m.key(sreg, s)
	if !ok {
		return false
	}
	switch {
	case to && dreg == regVerdict:
		m.emit(i, snapshot.NfExpr{Map: &snapshot.NfVerdictMap{Key: key, Map: s.name}}, used)
	case to:
		v := value{op: snapshot.NfOperand{Kind: "map", Map: s.name, Parts: []snapshot.NfOperand{key}}, n: s.dataLen, src: used.and(oneExpr(i)).and(m.extra)}
		m.extra = exprSet{}
		if len(s.data) == 1 {
			v.typ, v.host = s.data[0].typ, s.data[0].host
		}
		return m.store(dreg, v)
	default:
		match := snapshot.NfMatch{Left: key, Op: snapshot.NfEq, Set: s.name}
		if flags&1 != 0 {
			match.Op = snapshot.NfNe
		}
		m.emit(i, snapshot.NfExpr{Matches: []snapshot.NfMatch{match}}, used)
	}
	return true
}

// key gathers what is looked up in s, of one register or of several beside each other.
func (m *machine) key(reg uint32, s *set) (key snapshot.NfOperand, used exprSet, ok bool) {
	w := word(reg)
	if w < 0 {
		return key, used, false
	}
	var parts []snapshot.NfOperand
	for need := s.keyLen; need > 0; {
		if w >= regWords || !m.live[w] {
			return key, used, false
		}
		v := &m.regs[w]
		if v.n == 0 || v.n > need {
			return key, used, false
		}
		words := (v.n + 3) / 4
		op, shift := snapshot.NfOperand{}, 0
		if v.data != nil {
			return key, used, false
		}
		op, _, _, shift, ok = m.operand(v)
		if ok && shift != 0 && (!s.anonymous || len(s.keys) != 1 || !s.unshift(shift)) {
			// The set's elements are meant for the unshifted bits: so is the operand.
			op = rawOperand(v, v.off, v.n*8)
			setMask(&op, v, vHex, false)
		}
		if !ok {
			return key, used, false
		}
		if op.Key == "icmp type" || op.Key == "icmpv6 type" {
			if n, ok := s.firstNumber(); ok && m.ctx.icmp < 0 {
				m.ctx.icmp = int(n)
			}
		}
		parts = append(parts, op)
		used = used.and(v.src)
		w += words
		need -= words * 4
	}
	switch len(parts) {
	case 0:
		return key, used, false
	case 1:
		return parts[0], used, true
	}
	return snapshot.NfOperand{Kind: "concat", Parts: slices.Clip(parts)}, used, true
}
