package netfilter

import (
	"fmt"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// hashLimit is what the three structures of hashlimit have.
type hashLimit struct {
	name                                            string
	mode                                            uint32
	avg, burst                                      uint64
	size, max, gc, expire, interval, scale, maxBits uint32
	src, dst                                        uint8
}

// xtHashLimit decodes struct xt_hashlimit_mtinfo1, 2 and 3: a rate for each source, destination or port.
func xtHashLimit(d xtData) ([]snapshot.NfMatch, bool) {
	h := hashLimit{maxBits: 32, scale: 1000000}
	if d.v6() {
		h.maxBits = 128
	}
	at := 0
	if d.rev == 1 {
		h.name, h.mode, h.avg, h.burst, h.scale, at = d.str(0, 16), d.u32(16), uint64(d.u32(20)), uint64(d.u32(24)), 10000, 28
	} else {
		h.name, h.avg, h.burst, h.mode, at = d.str(0, 255), d.u64(256), d.u64(264), d.u32(272), 276
	}
	h.size, h.max, h.gc, h.expire = d.u32(at), d.u32(at+4), d.u32(at+8), d.u32(at+12)
	at += 16
	if d.rev == 3 {
		h.interval, at = d.u32(at), at+4
	}
	h.src, h.dst = d.u8(at), d.u8(at+1)
	if h.mode&^0x7f != 0 || h.avg == 0 {
		return nil, false
	}
	return []snapshot.NfMatch{h.match()}, true
}

func (h *hashLimit) match() snapshot.NfMatch {
	key := "hashlimit hashlimit-upto"
	if h.mode&0x10 != 0 {
		key = "hashlimit hashlimit-above"
	}
	var opts []string
	add := func(name string, on bool, value string) {
		if on {
			opts = append(opts, "hashlimit-"+name, value)
		}
	}
	rate, quantum := "", uint32(0)
	if h.mode&0x20 != 0 {
		var burst string
		rate, burst = h.bytes()
		quantum = 15000
		if burst != "" {
			quantum = 60000
		}
		add("burst", burst != "", burst)
	} else {
		rate, quantum = h.packets()
		add("burst", true, dec(h.burst))
	}
	var by []string
	for _, f := range []struct {
		bit  uint32
		name string
	}{{4, "srcip"}, {8, "srcport"}, {1, "dstip"}, {2, "dstport"}} {
		if h.mode&f.bit != 0 {
			by = append(by, f.name)
		}
	}
	add("mode", by != nil, strings.Join(by, ","))
	add("name", true, h.name)
	add("htable-size", h.size != 0, dec(h.size))
	add("htable-max", h.max != 0, dec(h.max))
	add("htable-gcinterval", h.gc != 1000, dec(h.gc))
	add("htable-expire", h.expire != quantum, dec(h.expire))
	add("srcmask", uint32(h.src) != h.maxBits, dec(h.src))
	add("dstmask", uint32(h.dst) != h.maxBits, dec(h.dst))
	add("rate-match", h.mode&0x40 != 0, "")
	add("rate-interval", h.mode&0x40 != 0 && h.interval != 1, dec(h.interval))
	m := option(key, false, text(rate))
	m.Left.Opts = options(opts...)
	return m
}

// packets is the rate of packets, and how long an idle entry stays by default, in milliseconds.
func (h *hashLimit) packets() (string, uint32) {
	units := []struct {
		name    string
		seconds uint64
	}{{"day", 86400}, {"hour", 3600}, {"min", 60}, {"sec", 1}}
	i := 1
	for ; i < len(units); i++ {
		if m := units[i].seconds * uint64(h.scale); h.avg > m || m/h.avg < m%h.avg {
			break
		}
	}
	u := units[i-1]
	return fmt.Sprintf("%d/%s", u.seconds*uint64(h.scale)/h.avg, u.name), uint32(u.seconds * 1000)
}

// bytes is the rate of bytes, which the kernel keeps as a cost, and the burst.
func (h *hashLimit) bytes() (rate, burst string) {
	units := []struct {
		name string
		size uint64
	}{{"m", 1 << 20}, {"k", 1 << 10}, {"", 1}}
	cost := func(bytes uint64) uint64 { return 0xffffffff / uint64(uint32(bytes>>4)+1) }
	r := (0xffffffff/h.avg - 1) << 4
	i := 0
	for ; i < len(units)-1; i++ {
		if r >= units[i].size && cost(r&^(units[i].size-1)) == h.avg {
			break
		}
	}
	rate = fmt.Sprintf("%d%sb/s", r/units[i].size, units[i].name)
	if h.burst == 0 {
		return rate, ""
	}
	r *= h.burst
	for i = 0; i < len(units)-1 && r < units[i].size; i++ {
	}
	return rate, fmt.Sprintf("%d%sb", r/units[i].size, units[i].name)
}

// xtConnLimit decodes struct xt_connlimit_info: how many connections a network has.
func xtConnLimit(d xtData) ([]snapshot.NfMatch, bool) {
	flags := d.u32(20)
	bits, ok := prefixLen(d.addr(0))
	if !ok || flags&^3 != 0 {
		return nil, false
	}
	key := "connlimit connlimit-above"
	if flags&1 != 0 {
		key = "connlimit connlimit-upto"
	}
	m := option(key, false, num(uint64(d.u32(16))))
	m.Left.Opts = options("connlimit-mask", dec(uint8(bits)))
	if d.rev > 0 {
		m.Left.Opts[[...]string{"connlimit-saddr", "connlimit-daddr"}[flags>>1]] = ""
	}
	return []snapshot.NfMatch{m}, true
}

// xtQuota decodes struct xt_quota_info.
func xtQuota(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{option("quota quota", d.u32(0)&1 != 0, num(d.u64(8)))}, d.u32(0)&^1 == 0
}

// xtRateEst decodes struct xt_rateest_match_info: measured rates are compared, with a constant or with one another.
func xtRateEst(d xtData) ([]snapshot.NfMatch, bool) {
	flags, mode := d.u16(32), d.u16(34)
	if mode < 1 || mode > 3 || flags&^0x3f != 0 {
		return nil, false
	}
	bits := func(n uint32) string {
		switch v := float64(n) * 8; {
		case v >= 1000*1000000:
			return fmt.Sprintf("%.0fMbit", v/1000000)
		case v >= 1000*1000:
			return fmt.Sprintf("%.0fKbit", v/1000)
		default:
			return fmt.Sprintf("%.0fbit", v)
		}
	}
	compare := "--rateest-" + [...]string{"eq", "lt", "gt"}[mode-1]
	if flags&1 != 0 {
		compare = "! " + compare
	}
	var words []string
	rate := func(what, r1, r2 string) {
		if flags&8 != 0 {
			words = append(words, "--rateest-"+what+"1", r1, compare, "--rateest-"+what+"2")
		} else {
			words = append(words, compare, "--rateest-"+what)
		}
		if flags&(2|8) != 0 {
			words = append(words, r2)
		}
	}
	if flags&8 != 0 {
		words = append(words, "--rateest-delta")
	}
	if flags&4 != 0 {
		words = append(words, "--rateest1", d.str(0, 16))
	} else {
		words = append(words, "--rateest", d.str(0, 16))
	}
	if flags&0x10 != 0 {
		rate("bps", bits(d.u32(36)), bits(d.u32(44)))
	}
	if flags&0x20 != 0 {
		rate("pps", dec(d.u32(40)), dec(d.u32(48)))
	}
	if flags&4 != 0 {
		words = append(words, "--rateest2", d.str(16, 16))
	}
	return []snapshot.NfMatch{only("rateest", false, "words", strings.Join(words, " "))}, true
}
