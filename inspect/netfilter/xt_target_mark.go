package netfilter

import (
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
)

// xorMark is to := to & ^mask ^ value, as MARK and CONNMARK set a mark.
func xorMark(to snapshot.NfOperand, value, mask uint32) *snapshot.NfAssign {
	if mask == 0xffffffff {
		v := num(uint64(value))
		return &snapshot.NfAssign{To: to, Value: &v}
	}
	from := under(to, uint64(^mask), 4)
	if value != 0 {
		from.Xor = strconv.FormatUint(uint64(value), 16)
	}
	return &snapshot.NfAssign{To: to, From: &from}
}

// xtMarkTarget decodes struct xt_mark_tginfo2.
func xtMarkTarget(d xtData) (snapshot.NfExpr, bool) {
	return snapshot.NfExpr{Assign: xorMark(meta("mark"), d.u32(0), d.u32(4))}, true
}

// xtConnMarkTarget decodes struct xt_connmark_tginfo1 and 2, which shifts what it carries over.
func xtConnMarkTarget(d xtData) (e snapshot.NfExpr, ok bool) {
	ctMark, ctMask, nfMask := d.u32(0), d.u32(4), d.u32(8)
	mode, shift := d.u8(12), 0
	if d.rev == 2 {
		mode, shift = d.u8(14), int(d.u8(13))
		switch d.u8(12) {
		case 0:
		case 1:
			shift = -shift
		default:
			return e, false
		}
	}
	carry := func(to, from snapshot.NfOperand, toMask, fromMask uint32) {
		from = under(from, uint64(fromMask), 4)
		from.Shift = shift
		a := &snapshot.NfAssign{To: to, From: &from}
		if toMask != 0xffffffff {
			a.Keep = strconv.FormatUint(uint64(^toMask), 16)
		}
		e.Assign = a
	}
	switch mode {
	case 0: // set
		a := xorMark(conn("mark"), ctMark, ctMask)
		if shift != 0 {
			from := under(conn("mark"), uint64(^ctMask), 4)
			from.Xor, from.Shift = strconv.FormatUint(uint64(ctMark), 16), shift
			a.From, a.Value = &from, nil
		}
		e.Assign = a
	case 1: // save
		carry(conn("mark"), meta("mark"), ctMask, nfMask)
	case 2: // restore
		carry(meta("mark"), conn("mark"), nfMask, ctMask)
	default:
		return e, false
	}
	return e, true
}
