package netfilter

import (
	"bytes"
	"encoding/hex"
	"slices"
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
	match.Values = []snapshot.NfValue{r}
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
	match := snapshot.NfMatch{Left: left, Op: cmpOps[op], Values: []snapshot.NfValue{r}}
	m.emit(i, snapshot.NfExpr{Matches: []snapshot.NfMatch{match}}, v.src)
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
			return []snapshot.NfMatch{match}, true
		}
	}
	if len(data) < v.n && (v.typ == vIP4 || v.typ == vIP6) && v.mask == nil && op <= cmpNe {
		// Only the first bytes are compared: a network.
		whole, mask := make([]byte, v.n), make([]byte, v.n)
		copy(whole, data)
		copy(mask, bytes.Repeat([]byte{0xff}, len(data)))
		val, ok := underMask(whole, mask)
		match.Values = []snapshot.NfValue{val}
		return []snapshot.NfMatch{match}, ok
	}
	if len(data) < v.n && v.typ != vName {
		return nil, false
	}
	if !m.compareMasked(&match, v, v.typ, v.host, op, data) {
		return nil, false
	}
	if v.isMeta && op == cmpEq && v.mask == nil {
		m.metaKnown(v.meta, match.Values[0])
	}
	return []snapshot.NfMatch{match}, true
}

// compareMasked fills in what a value of this type is compared with, under the mask of v.
func (m *machine) compareMasked(match *snapshot.NfMatch, v *value, t vtype, host bool, op uint32, data []byte) bool {
	if v.mask == nil {
		match.Values = []snapshot.NfValue{constant(t, host, data)}
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
		match.Values = []snapshot.NfValue{val}
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
	match.Values = []snapshot.NfValue{constant(t, host, data)}
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

// payloadMatches compares bytes of the packet, which are named as the rule so far allows.
func (m *machine) payloadMatches(v *value, op uint32, data []byte) ([]snapshot.NfMatch, bool) {
	mask := v.mask
	if mask != nil && len(mask) != len(data) {
		return nil, false
	}
	if v.host {
		data = flip(data, len(data))
		if mask != nil {
			return nil, false
		}
	}
	n := len(data) * 8
	p, off := m.ctx.header(v.base, v.off)
	if mask == nil && op == cmpEq {
		return m.expand(v, p, off, data)
	}
	one := func(match snapshot.NfMatch) ([]snapshot.NfMatch, bool) { return []snapshot.NfMatch{match}, true }
	if mask != nil && zero(v.xor) {
		if first, bits, ok := run(mask); ok && bits < n {
			if f := m.ctx.find(p, off+first, bits); f != nil && outside(data, mask) {
				m.implied(p, f)
				val := cut(data, first, bits)
				if op == cmpEq {
					m.fieldKnown(p, f, val, 0)
				}
				return one(snapshot.NfMatch{Left: fieldOperand(f), Op: cmpOps[op], Values: []snapshot.NfValue{constant(f.typ, false, val)}})
			}
		}
	}
	if f := m.ctx.find(p, off, n); f != nil {
		m.implied(p, f)
		match := snapshot.NfMatch{Left: fieldOperand(f), Op: cmpOps[op]}
		if !m.compareMasked(&match, v, f.typ, false, op, data) {
			return nil, false
		}
		return one(match)
	}
	if f := m.ctx.from(p, off); f != nil && mask == nil && op == cmpNe && n < f.bits {
		m.implied(p, f)
		match := partial(f, data, n)
		match.Op = snapshot.NfNe
		return one(match)
	}
	if f := portOf(p, v.base, off, n); f != nil {
		match := snapshot.NfMatch{Left: fieldOperand(f), Op: cmpOps[op]}
		if !m.compareMasked(&match, v, f.typ, false, op, data) {
			return nil, false
		}
		return one(match)
	}
	match := snapshot.NfMatch{Left: rawOperand(v, v.off, n), Op: cmpOps[op]}
	if !m.compareMasked(&match, v, vNum, false, op, data) {
		return nil, false
	}
	return one(match)
}

// portOf is a port of whatever protocol has some, where the rule tells none.
func portOf(p *proto, base, off, bits int) *field {
	if p != nil || base != baseTransport || bits != 16 {
		return nil
	}
	for i := range hdrTh.fields {
		if hdrTh.fields[i].off == off {
			return &hdrTh.fields[i]
		}
	}
	return nil
}

// expand names each field of what was loaded at once.
func (m *machine) expand(v *value, p *proto, off int, data []byte) (out []snapshot.NfMatch, ok bool) {
	total := len(data) * 8
	stacked := 0
	for at := 0; at < total; {
		q, o := m.ctx.header(v.base, v.off+at)
		if v.base == baseInner {
			q = nil
		}
		f := m.ctx.from(q, o)
		left := total - at
		switch {
		case f != nil && f.bits <= left:
			val := cut(data, at, f.bits)
			m.implied(q, f)
			out = append(out, snapshot.NfMatch{Left: fieldOperand(f), Op: snapshot.NfEq, Values: []snapshot.NfValue{constant(f.typ, false, val)}})
			m.fieldKnown(q, f, val, len(out)-1)
			at += f.bits
		case f != nil && at == 0 && left%8 == 0:
			m.implied(q, f)
			out = append(out, partial(f, data, left))
			at = total
		default:
			if f := portOf(q, v.base, o, left); f != nil && at == 0 {
				return append(out, snapshot.NfMatch{Left: fieldOperand(f), Op: snapshot.NfEq, Values: []snapshot.NfValue{constant(f.typ, false, data)}}), true
			}
			out = append(out, snapshot.NfMatch{Left: rawOperand(v, v.off+at, left), Op: snapshot.NfEq, Values: []snapshot.NfValue{constant(vNum, false, cut(data, at, left))}})
			at = total
		}
		if stacked++; stacked > 64 {
			return nil, false
		}
	}
	return out, len(out) > 0
}

// partial is a match of only the first n bits of a field.
func partial(f *field, data []byte, n int) snapshot.NfMatch {
	match := snapshot.NfMatch{Left: fieldOperand(f), Op: snapshot.NfEq}
	whole := make([]byte, (f.bits+7)/8)
	copy(whole, data)
	mask := make([]byte, len(whole))
	for i := range min(n, f.bits) {
		mask[i/8] |= 1 << (7 - i%8)
	}
	if f.typ == vIP4 || f.typ == vIP6 {
		if val, ok := underMask(whole, mask); ok {
			match.Values = []snapshot.NfValue{val}
			return match
		}
	}
	match.Left.Mask = hex.EncodeToString(mask)
	match.Values = []snapshot.NfValue{constant(f.typ, false, whole)}
	return match
}

// fieldKnown notes what an equal field says of the protocol above, and that the match may be redundant later.
func (m *machine) fieldKnown(p *proto, f *field, val []byte, match int) {
	n := number(val, false)
	if p.key == "" || f.name != p.key {
		return
	}
	b := p.base + 2
	if p.base == baseLink && byEtherType[n] == hdrVlan {
		b--
	}
	m.remember(b, dependency{p: p, f: f, n: n}, match)
	m.ctx.known(p, f, n)
}

func fieldOperand(f *field) snapshot.NfOperand {
	return snapshot.NfOperand{Kind: "payload", Key: fieldKey(f)}
}

func rawOperand(v *value, off, bits int) snapshot.NfOperand {
	return snapshot.NfOperand{Kind: "payload", Base: baseNames[v.base], Offset: off, Len: bits}
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

// rshift moves a number in network byte order to the right.
func rshift(b []byte, n int) []byte {
	out := make([]byte, len(b))
	for i := n; i < len(b)*8; i++ {
		if bit(b, i-n) {
			out[i/8] |= 1 << (7 - i%8)
		}
	}
	return out
}

// cut takes n bits from the one at first, right-aligned.
func cut(b []byte, first, n int) []byte {
	if first%8 == 0 && n%8 == 0 {
		return b[first/8 : (first+n)/8]
	}
	out := make([]byte, (n+7)/8)
	pad := len(out)*8 - n
	for i := range n {
		if bit(b, first+i) {
			out[(pad+i)/8] |= 1 << (7 - (pad+i)%8)
		}
	}
	return out
}

// outside tells whether data has no bit that the mask takes away.
func outside(data, mask []byte) bool {
	for i := range data {
		if data[i]&^mask[i] != 0 {
			return false
		}
	}
	return true
}

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

// bitwise decodes bitwise: masks and shifts.
func (m *machine) bitwise(i int, b []byte) bool {
	var sreg, dreg, op, n uint32
	var mask, xor, data []byte
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaBitwiseSreg:
			sreg = nlwire.BE32(a.Val)
		case nftaBitwiseDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaBitwiseOp:
			op = nlwire.BE32(a.Val)
		case nftaBitwiseLen:
			n = nlwire.BE32(a.Val)
		case nftaBitwiseMask:
			mask = dataValue(a.Val)
		case nftaBitwiseXor:
			xor = dataValue(a.Val)
		case nftaBitwiseData:
			data = dataValue(a.Val)
		case nftaBitwiseSreg2:
			return false
		}
	}
	src, ok := m.load(sreg)
	if !ok || src.data != nil || int(n) != src.n {
		return false
	}
	v := *src
	v.src = v.src.and(oneExpr(i))
	switch {
	case op == 0 && len(mask) == v.n && len(xor) == v.n && v.shift == 0:
		mask, xor = bytes.Clone(mask), bytes.Clone(xor)
		for j := range v.mask { // (x & m1 ^ x1) & m2 ^ x2
			xor[j] ^= v.xor[j] & mask[j]
			mask[j] &= v.mask[j]
		}
		v.mask, v.xor = mask, xor
	case (op == 1 || op == 2) && len(data) == 4:
		by := int(nlwire.U32(data))
		if by < 0 || by > 31 {
			return false
		}
		if op == 2 {
			by = -by
		}
		if v.shift != 0 {
			return false
		}
		v.shift = by
	default:
		return false
	}
	return m.store(dreg, v)
}

// byteorder decodes byteorder.
func (m *machine) byteorder(i int, b []byte) bool {
	var sreg, dreg, size, n uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaByteorderSreg:
			sreg = nlwire.BE32(a.Val)
		case nftaByteorderDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaByteorderSize:
			size = nlwire.BE32(a.Val)
		case nftaByteorderLen:
			n = nlwire.BE32(a.Val)
		}
	}
	src, ok := m.load(sreg)
	if !ok || src.data != nil || int(n) != src.n || size != n && size*2 != n && size*4 != n && size*8 != n {
		return false
	}
	v := *src
	v.src = v.src.and(oneExpr(i))
	if size == n { // a number of its own
		v.host = !v.host
		if v.mask != nil {
			v.mask, v.xor = flip(v.mask, int(size)), flip(v.xor, int(size))
		}
	} else if v.typ == vNum || v.payload {
		return false
	}
	return m.store(dreg, v)
}

// dataValue is the bytes of NFTA_DATA_VALUE.
func dataValue(b []byte) []byte {
	for a := nlwire.Walk(b); a.Next(); {
		if a.Type == nftaDataValue {
			return a.Val
		}
	}
	return nil
}
