package netfilter

import (
	"encoding/hex"

	"github.com/nscope/nscope/inspect/snapshot"
)

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
	one := func(match snapshot.NfMatch) ([]snapshot.NfMatch, bool) { return m.conds.one(match), true }
	if mask != nil && zero(v.xor) {
		if first, bits, ok := run(mask); ok && bits < n {
			if f := m.ctx.find(p, off+first, bits); f != nil && outside(data, mask) {
				m.implied(p, f)
				val := cut(data, first, bits)
				if op == cmpEq {
					m.fieldKnown(p, f, val, 0)
				}
				return one(snapshot.NfMatch{Left: fieldOperand(f), Op: cmpOps[op], Values: m.values.one(constant(f.typ, false, val))})
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
	out = m.conds.take(1)[:0]
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
			out = append(out, snapshot.NfMatch{Left: fieldOperand(f), Op: snapshot.NfEq, Values: m.values.one(constant(f.typ, false, val))})
			m.fieldKnown(q, f, val, len(out)-1)
			at += f.bits
		case f != nil && at == 0 && left%8 == 0:
			m.implied(q, f)
			out = append(out, partial(f, data, left))
			at = total
		default:
			if f := portOf(q, v.base, o, left); f != nil && at == 0 {
				return append(out, snapshot.NfMatch{Left: fieldOperand(f), Op: snapshot.NfEq, Values: m.values.one(constant(f.typ, false, data))}), true
			}
			out = append(out, snapshot.NfMatch{Left: rawOperand(v, v.off+at, left), Op: snapshot.NfEq, Values: m.values.one(constant(vNum, false, cut(data, at, left)))})
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
