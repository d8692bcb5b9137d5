package netfilter

import "github.com/nscope/nscope/inspect/snapshot"

// xtComment decodes struct xt_comment_info, which matches always.
func xtComment(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{option("comment", false, text(d.str(0, 256)))}, true
}

// xtCommentText is the comment that an expression is, "" for any other.
func xtCommentText(e snapshot.NfExpr) string {
	if len(e.Matches) == 1 && e.Matches[0].Left.Kind == "xt" && e.Matches[0].Left.Key == "comment" {
		return e.Matches[0].Values[0].Text
	}
	return ""
}

// xtRates are the units of a rate, in ten thousandths of a second (XT_LIMIT_SCALE).
var xtRates = []struct {
	per   string
	scale uint32
}{{"day", 24 * 60 * 60 * 10000}, {"hour", 60 * 60 * 10000}, {"minute", 60 * 10000}, {"second", 10000}}

// xtLimit decodes struct xt_rateinfo. The kernel keeps the time between two packets; the unit is the longest that says it as
// iptables does.
func xtLimit(d xtData) *snapshot.NfLimit {
	period := d.u32(0)
	l := &snapshot.NfLimit{Unit: "packets", Burst: d.u32(4)}
	if period == 0 {
		return nil
	}
	i := 1
	for ; i < len(xtRates); i++ {
		if s := xtRates[i].scale; period > s || s/period < s%period {
			break
		}
	}
	l.Rate, l.Per = uint64(xtRates[i-1].scale/period), xtRates[i-1].per
	return l
}

// xtLimitMatch is what [xtMatch] says of a limit, which no condition on a packet is.
func xtLimitMatch(d xtData) ([]snapshot.NfMatch, bool) {
	l := xtLimit(d)
	if l == nil {
		return nil, false
	}
	return []snapshot.NfMatch{only("limit", false, "limit", dec(l.Rate)+"/"+l.Per, "limit-burst", dec(l.Burst))}, true
}

// xtStatistic decodes struct xt_statistic_info. Random: a number below 2^31 is below Values. Nth: of every Mod packets
// the one of this number, from 0.
func xtStatistic(d xtData) ([]snapshot.NfMatch, bool) {
	not := d.u16(2)&1 != 0
	if d.u16(2)&^1 != 0 {
		return nil, false
	}
	switch d.u16(0) {
	case 0:
		m := is(snapshot.NfOperand{Kind: "xt", Key: "statistic random"}, false, num(uint64(d.u32(4))))
		m.Op = snapshot.NfLt
		if not {
			m.Op = snapshot.NfGe
		}
		return []snapshot.NfMatch{m}, true
	case 1:
		every := d.u32(4)
		if every == 1<<32-1 {
			return nil, false
		}
		return []snapshot.NfMatch{is(snapshot.NfOperand{Kind: "xt", Key: "statistic nth", Mod: every + 1}, not, num(uint64(d.u32(8))))}, true
	}
	return nil, false
}

// xtRecent decodes struct xt_recent_mtinfo and xt_recent_mtinfo_v1.
func xtRecent(d xtData) ([]snapshot.NfMatch, bool) {
	ops := map[uint8]string{1: "rcheck", 2: "set", 4: "update", 8: "remove"}
	flags := d.u8(8)
	op := ops[flags&0x0f]
	if op == "" || flags&^0x3f != 0 || d.u8(210) > 1 {
		return nil, false
	}
	opts := []string{"name", d.str(10, 200)}
	if n := d.u32(0); n != 0 {
		opts = append(opts, "seconds", dec(n))
	}
	if n := d.u32(4); n != 0 {
		opts = append(opts, "hitcount", dec(n))
	}
	if flags&0x10 != 0 {
		opts = append(opts, "rttl", "")
	}
	if flags&0x20 != 0 {
		opts = append(opts, "reap", "")
	}
	if d.rev > 0 {
		opts = append(opts, "mask", d.addr(212).String())
	}
	opts = append(opts, [...]string{"rsource", "rdest"}[d.u8(210)], "")
	return []snapshot.NfMatch{only("recent "+op, d.u8(9) != 0, opts...)}, true
}
