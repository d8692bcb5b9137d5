package netfilter

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Comparisons of enum nft_cmp_ops, in its order.
const (
	cmpEq = 0
	cmpNe = 1
	cmpLt = 2
	cmpLe = 3
	cmpGt = 4
	cmpGe = 5
)

var cmpOps = [...]string{snapshot.NfEq, snapshot.NfNe, snapshot.NfLt, snapshot.NfLe, snapshot.NfGt, snapshot.NfGe}

// compare decodes cmp: a register is compared with a constant.
func (m *machine) compare(i int, b []byte) bool {
	var sreg, op uint32
	var data []byte
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaCmpSreg:
			sreg = nlwire.BE32(a.Val)
		case nftaCmpOp:
			op = nlwire.BE32(a.Val)
		case nftaCmpData:
			data = dataValue(a.Val)
		}
	}
	v, ok := m.load(sreg)
	if !ok || v.data != nil || int(op) >= len(cmpOps) || len(data) == 0 {
		return false
	}
	w := word(sreg)
	if m.cmp.at >= 0 && m.cmp.word == w && len(m.cmp.data) == len(data) &&
		(m.cmp.op == cmpGe && op == cmpLe || m.cmp.op == cmpLt && op == cmpGt) {
		// Two comparisons of one register are a range where no range expression is used.
		if from, to := &m.out[m.cmp.at].Matches[0], data; m.widen(from, v, op, m.cmp.data, to) {
			m.srcs[m.cmp.at] = m.srcs[m.cmp.at].and(oneExpr(i))
			m.claimed = m.claimed.and(oneExpr(i))
			m.cmp.at = -1
			return true
		}
	}
	matches, ok := m.matches(v, op, data)
	if !ok {
		return false
	}
	m.cmp.at, m.cmp.word, m.cmp.op, m.cmp.data = -1, w, op, append(m.cmp.data[:0], data...)
	m.emit(i, snapshot.NfExpr{Matches: matches}, v.src)
	if len(matches) == 1 && (op == cmpGe || op == cmpLt) {
		m.cmp.at = len(m.out) - 1
	}
	return true
}

// widen makes a match of one bound one of a range.
func (m *machine) widen(match *snapshot.NfMatch, v *value, op uint32, from, to []byte) bool {
	if v.mask != nil || v.shift != 0 {
		return false
	}
	t, host := v.typ, v.host
	if v.payload {
		if v.host {
			from, to, host = flip(from, len(from)), flip(to, len(to)), false
		}
		t = vNum
		if p, off := m.ctx.header(v.base, v.off); p != nil {
			if f := m.ctx.find(p, off, len(to)*8); f != nil {
				t = f.typ
			}
		}
	}
	r, ok := between(t, host, from, to)
	if !ok {
		return false
	}
	match.Op = snapshot.NfEq
	if op == cmpGt {
		match.Op = snapshot.NfNe
	}
	match.Values = m.values.one(r)
	return true
}

// inRange decodes range: a register is between two constants, or is not.
func (m *machine) inRange(i int, b []byte) bool {
	var sreg, op uint32
	var from, to []byte
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaRangeSreg:
			sreg = nlwire.BE32(a.Val)
		case nftaRangeOp:
			op = nlwire.BE32(a.Val)
		case nftaRangeFromData:
			from = dataValue(a.Val)
		case nftaRangeToData:
			to = dataValue(a.Val)
		}
	}
	v, ok := m.load(sreg)
	if !ok || v.data != nil || op > 1 || len(from) == 0 || len(from) != len(to) || len(from) != v.n {
		return false
	}
	left, t, host, shift, ok := m.operand(v)
	if !ok || v.mask != nil && shift == 0 && left.Mask == "" {
		return false
	}
	if v.payload && v.host {
		from, to = flip(from, len(from)), flip(to, len(to))
	}
	if shift != 0 {
		from, to = rshift(from, shift), rshift(to, shift)
	}
	r, ok := between(t, host, from, to)
	if !ok {
		return false
	}
	match := snapshot.NfMatch{Left: left, Op: cmpOps[op], Values: m.values.one(r)}
	m.emit(i, snapshot.NfExpr{Matches: m.conds.one(match)}, v.src)
	return true
}

// matches makes conditions of a comparison: more than one where several fields were loaded at once.
func (m *machine) matches(v *value, op uint32, data []byte) ([]snapshot.NfMatch, bool) {
	if len(data) > v.n || v.shift != 0 {
		return nil, false
	}
	if v.payload {
		return m.payloadMatches(v, op, data)
	}
	match := snapshot.NfMatch{Left: v.op, Op: cmpOps[op]}
	if v.hdr != nil && v.mask != nil && len(data) == v.n && outside(data, v.mask) {
		if left, f, first, _ := headerField(v); f != nil {
			match.Left, match.Values = left, []snapshot.NfValue{constant(f.typ, false, cut(data, first, f.bits))}
			return m.conds.one(match), true
		}
	}
	if ctAddress(v) && len(data) == 4 && v.mask == nil && op <= cmpNe {
		// Of either family, as google/nftables and older kernels have it; the rule means IPv4's, which has but four bytes.
		a, _ := netip.AddrFromSlice(data)
		match.Values = []snapshot.NfValue{{Prefix: netip.PrefixFrom(a, 32)}}
		return m.conds.one(match), true
	}
	if len(data) < v.n && (v.typ == vIP4 || v.typ == vIP6) && v.mask == nil && op <= cmpNe {
		// Only the first bytes are compared: a network.
		whole, mask := make([]byte, v.n), make([]byte, v.n)
		copy(whole, data)
		copy(mask, bytes.Repeat([]byte{0xff}, len(data)))
		val, ok := underMask(whole, mask)
		match.Values = m.values.one(val)
		return m.conds.one(match), ok
	}
	if len(data) < v.n && v.typ != vName {
		return nil, false
	}
	t := v.typ
	if ctAddress(v) && len(data) == 16 {
		t = vIP6
	}
	if !m.compareMasked(&match, v, t, v.host, op, data) {
		return nil, false
	}
	if op == cmpEq && v.mask == nil {
		m.innerKnown(&v.op, match.Values[0])
	}
	if v.isMeta && op == cmpEq && v.mask == nil {
		m.metaKnown(v.meta, match.Values[0])
	}
	return m.conds.one(match), true
}

// compareMasked fills in what a value of this type is compared with, under the mask of v.
func (m *machine) compareMasked(match *snapshot.NfMatch, v *value, t vtype, host bool, op uint32, data []byte) bool {
	if v.mask == nil {
		match.Values = m.values.one(constant(t, host, data))
		return true
	}
	if len(v.mask) != len(data) {
		return false
	}
	plain := zero(v.xor)
	switch {
	case plain && (t == vIP4 || t == vIP6) && op <= cmpNe:
		val, ok := underMask(data, v.mask)
		if !ok {
			return false
		}
		match.Values = m.values.one(val)
		return true
	case plain && t == vBits && op <= cmpNe && zero(data) && len(data) <= 8:
		match.Op = snapshot.NfNone
		if op == cmpNe {
			match.Op = snapshot.NfAny
		}
		mask := number(v.mask, host)
		for b := uint64(1); b != 0; b <<= 1 {
			if mask&b != 0 {
				match.Values = append(match.Values, snapshot.NfValue{Num: &snapshot.NfNum{From: b, To: b}})
			}
		}
		return true
	}
	setMask(&match.Left, v, t, host)
	match.Values = m.values.one(constant(t, host, data))
	return true
}

// setMask notes mask, xor and shift of v.
func setMask(op *snapshot.NfOperand, v *value, t vtype, host bool) {
	if v.mask != nil {
		op.Mask = maskText(v.mask, t, host, v.payload)
		if !zero(v.xor) {
			op.Xor = maskText(v.xor, t, host, v.payload)
		}
	}
	op.Shift = v.shift
}

func maskText(b []byte, t vtype, host, payload bool) string {
	if !payload && (t == vNum || t == vBits) && len(b) <= 8 {
		return strconv.FormatUint(number(b, host), 16)
	}
	return hex.EncodeToString(b)
}

// operand names what a register holds where it is not compared with one constant: for a lookup, a range, an assignment. Its
// constants are of type t; shift is how many bits to the right they have to be moved where they are meant for the register
// and a part of its bits is the field.
func (m *machine) operand(v *value) (op snapshot.NfOperand, t vtype, host bool, shift int, ok bool) {
	if v.data != nil {
		return op, 0, false, 0, false
	}
	if v.hdr != nil && v.mask != nil {
		if op, f, _, shift := headerField(v); f != nil && (v.shift == 0 || v.shift == -shift) {
			return op, f.typ, false, shift + v.shift, true
		}
	}
	if !v.payload {
		op = v.op
		setMask(&op, v, v.typ, v.host)
		return op, v.typ, v.host, 0, true
	}
	n := v.n * 8
	p, off := m.ctx.header(v.base, v.off)
	if v.mask != nil && zero(v.xor) && !v.host {
		if first, bits, ok := run(v.mask); ok && bits < n && len(v.mask) == v.n {
			if f := m.ctx.find(p, off+first, bits); f != nil {
				right := n - first - bits
				if v.shift == 0 || v.shift == -right {
					m.implied(p, f)
					return fieldOperand(f), f.typ, false, right + v.shift, true
				}
			}
		}
	}
	if f := m.ctx.find(p, off, n); f != nil {
		m.implied(p, f)
		op = fieldOperand(f)
		setMask(&op, v, f.typ, false)
		return op, f.typ, false, 0, true
	}
	if f := portOf(p, v.base, off, n); f != nil {
		op = fieldOperand(f)
		setMask(&op, v, f.typ, false)
		return op, f.typ, false, 0, true
	}
	op = rawOperand(v, v.off, n)
	setMask(&op, v, vHex, false)
	return op, vNum, false, 0, true
}

// ctAddress tells whether v is an address of a connection whose family the rule has not said.
func ctAddress(v *value) bool {
	return v.op.Kind == "ct" && (v.op.Key == "saddr" || v.op.Key == "daddr") && v.typ == vHex
}
