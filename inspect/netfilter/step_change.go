package netfilter

import (
	"encoding/hex"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

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
