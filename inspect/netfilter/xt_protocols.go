package netfilter

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// option is a condition that only a module tests, by iptables' option for it.
func option(key string, not bool, v ...snapshot.NfValue) snapshot.NfMatch {
	return is(snapshot.NfOperand{Kind: "xt", Key: key}, not, v...)
}

// bare is a match that was given nothing to test, and yet tests that its header is there.
func bare(name string) []snapshot.NfMatch { return []snapshot.NfMatch{option(name, false)} }

// spi is a condition on a range of numbers of 32 bits; all of them is none.
func spi(to []snapshot.NfMatch, key string, from, end uint32, not bool) []snapshot.NfMatch {
	if from == 0 && end == 0xffffffff && !not {
		return to
	}
	return append(to, option(key, not, span(uint64(from), uint64(end))))
}

// xtSPI decodes struct ipt_ah, struct xt_esp and struct xt_ipcomp.
func xtSPI(d xtData) (m []snapshot.NfMatch, ok bool) {
	key := d.name + " " + d.name + "spi"
	m = spi(m, key, d.u32(0), d.u32(4), d.u8(8)&1 != 0)
	if d.name == "ipcomp" && d.u8(9) != 0 {
		m = append(m, only("ipcomp compres", false))
	}
	if m == nil {
		m = bare(d.name)
	}
	return m, d.u8(8)&^1 == 0
}

// xtAH6 decodes struct ip6t_ah.
func xtAH6(d xtData) (m []snapshot.NfMatch, ok bool) {
	inv := d.u8(13)
	m = spi(m, "ah ahspi", d.u32(0), d.u32(4), inv&1 != 0)
	if n := d.u32(8); n != 0 || inv&2 != 0 {
		m = append(m, option("ah ahlen", inv&2 != 0, num(uint64(n))))
	}
	if d.u8(12) != 0 {
		m = append(m, only("ah ahres", false))
	}
	if m == nil {
		m = bare("ah")
	}
	return m, inv&^3 == 0
}

// Packet types of DCCP (RFC 4340), by number.
var dccpTypes = []string{"REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID"}

// xtDCCP decodes struct xt_dccp_info.
func xtDCCP(d xtData) (m []snapshot.NfMatch, ok bool) {
	on, inv := d.u16(8), d.u16(10)
	if on&^0x0f != 0 || inv&^0x0f != 0 {
		return nil, false
	}
	if on&1 != 0 {
		m = append(m, is(payload("dccp sport"), inv&1 != 0, span(uint64(d.u16(4)), uint64(d.u16(6)))))
	}
	if on&2 != 0 {
		m = append(m, is(payload("dccp dport"), inv&2 != 0, span(uint64(d.u16(0)), uint64(d.u16(2)))))
	}
	if on&4 != 0 {
		var names []string
		for i, name := range dccpTypes {
			if d.u16(12)>>i&1 != 0 {
				names = append(names, name)
			}
		}
		m = append(m, option("dccp dccp-types", inv&4 != 0, text(strings.Join(names, ","))))
	}
	if on&8 != 0 {
		m = append(m, option("dccp dccp-option", inv&8 != 0, num(uint64(d.u8(14)))))
	}
	if m == nil {
		m = always(protoDCCP)
	}
	return m, true
}

// sctpChunks are the types of chunks and the names of their flags, from the highest bit on.
var sctpChunks = map[int]struct{ name, flags string }{
	0: {"DATA", "----IUBE"}, 1: {"INIT", ""}, 2: {"INIT_ACK", ""}, 3: {"SACK", ""}, 4: {"HEARTBEAT", ""}, 5: {"HEARTBEAT_ACK", ""},
	6: {"ABORT", "-------T"}, 7: {"SHUTDOWN", ""}, 8: {"SHUTDOWN_ACK", ""}, 9: {"ERROR", ""}, 10: {"COOKIE_ECHO", ""},
	11: {"COOKIE_ACK", ""}, 12: {"ECN_ECNE", ""}, 13: {"ECN_CWR", ""}, 14: {"SHUTDOWN_COMPLETE", "-------T"}, 64: {"I_DATA", "----IUBE"},
	128: {"ASCONF_ACK", ""}, 130: {"RE_CONFIG", ""}, 132: {"PAD", ""}, 192: {"FORWARD_TSN", ""}, 193: {"ASCONF", ""}, 194: {"I_FORWARD_TSN", ""},
}

// xtSCTP decodes struct xt_sctp_info.
func xtSCTP(d xtData) (m []snapshot.NfMatch, ok bool) {
	on, inv := d.u32(284), d.u32(288)
	if on&^7 != 0 || inv&^7 != 0 {
		return nil, false
	}
	if on&1 != 0 {
		m = append(m, is(payload("sctp sport"), inv&1 != 0, span(uint64(d.u16(4)), uint64(d.u16(6)))))
	}
	if on&2 != 0 {
		m = append(m, is(payload("sctp dport"), inv&2 != 0, span(uint64(d.u16(0)), uint64(d.u16(2)))))
	}
	if on&4 != 0 {
		how := map[uint32]string{1: "any", 2: "all", 4: "only"}[d.u32(264)]
		chunks, ok := sctpChunkText(d)
		if how == "" || !ok {
			return nil, false
		}
		m = append(m, option("sctp chunk-types", inv&4 != 0, text(how+" "+chunks)))
	}
	if m == nil {
		m = always(protoSCTP)
	}
	return m, true
}

func sctpChunkText(d xtData) (string, bool) {
	var names []string
	set := 0
	for n := range 256 {
		if d.u32(8+n/32*4)>>(n%32)&1 == 0 {
			continue
		}
		set++
		c, known := sctpChunks[n]
		if !known {
			continue
		}
		names = append(names, c.name+sctpFlagText(d, n, c.flags))
	}
	switch {
	case set == 0:
		return "NONE", true
	case set == 256:
		return "ALL", true
	}
	return strings.Join(names, ","), len(names) == set
}

// sctpFlagText has a letter for each flag that is tested: a capital one that must be set.
func sctpFlagText(d xtData, chunk int, letters string) (s string) {
	for i := range min(int(d.u32(280)), 4) {
		if int(d.u8(268+3*i)) != chunk {
			continue
		}
		flag, mask := d.u8(269+3*i), d.u8(270+3*i)
		for bit := 7; bit >= 0; bit-- {
			if mask>>bit&1 == 0 || len(letters) < 8 {
				continue
			}
			c := letters[7-bit : 8-bit]
			if flag>>bit&1 == 0 {
				c = strings.ToLower(c)
			}
			s += c
		}
		s = ":" + s
	}
	return s
}

// xtECN decodes struct xt_ecn_info.
func xtECN(d xtData) (m []snapshot.NfMatch, ok bool) {
	on, inv := d.u8(0), d.u8(1)
	if on&0x10 != 0 {
		m = append(m, option("ecn ecn-tcp-ece", inv&0x10 != 0))
	}
	if on&0x20 != 0 {
		m = append(m, option("ecn ecn-tcp-cwr", inv&0x20 != 0))
	}
	if on&0x01 != 0 {
		m = append(m, is(payload(d.family+" ecn"), inv&0x01 != 0, num(uint64(d.u8(2)))))
	}
	return m, len(m) > 0 && on&^0x31 == 0
}
