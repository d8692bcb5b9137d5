package netfilter

import (
	"bytes"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// bitwise decodes bitwise: masks and shifts.
func (m *machine) bitwise(i int, b []byte) bool {
	var sreg, sreg2, dreg, op, n uint32
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
			sreg2 = nlwire.BE32(a.Val)
		}
	}
	src, ok := m.load(sreg)
	if !ok || src.data != nil || int(n) != src.n {
		return false
	}
	if sreg2 != 0 {
		return m.combine(i, src, sreg2, dreg, op)
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

// combinations are enum nft_bitwise_ops from NFT_BITWISE_AND on.
var combinations = map[uint32]string{3: "and", 4: "or", 5: "xor"}

// combine takes two registers together, bit by bit.
func (m *machine) combine(i int, a *value, reg, dreg, op uint32) bool {
	b, ok := m.load(reg)
	if !ok || b.data != nil || b.n != a.n || b.host != a.host || combinations[op] == "" {
		return false
	}
	left, t, host, shift, ok := m.operand(a)
	right, _, _, shift2, ok2 := m.operand(b)
	if !ok || !ok2 || shift != 0 || shift2 != 0 {
		return false
	}
	v := value{op: snapshot.NfOperand{Kind: combinations[op], Parts: []snapshot.NfOperand{left, right}}, typ: t, host: host, n: a.n, src: a.src.and(b.src).and(oneExpr(i)).and(m.extra)}
	m.extra = exprSet{}
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
