package netfilter

import (
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Protocol numbers of include/uapi/linux/in.h.
const (
	protoICMP    = 1
	protoTCP     = 6
	protoUDP     = 17
	protoDCCP    = 33
	protoICMPv6  = 58
	protoSCTP    = 132
	protoUDPLite = 136
)

// always is what a match of a protocol tests when it is given nothing to test: the kernel takes it only in a rule for that
// protocol.
func always(proto uint64) []snapshot.NfMatch {
	return []snapshot.NfMatch{is(meta("l4proto"), false, num(proto))}
}

// ports is a condition on a range of ports; all of them is none, unless it is said that none fits.
func ports(to []snapshot.NfMatch, key string, from, end uint16, not bool) []snapshot.NfMatch {
	if from == 0 && end == 0xffff && !not {
		return to
	}
	return append(to, is(payload(key), not, span(uint64(from), uint64(end))))
}

// xtTCP decodes struct xt_tcp (xt_tcpudp.h).
func xtTCP(d xtData) (m []snapshot.NfMatch, ok bool) {
	inv := d.u8(11)
	if inv&^0x0f != 0 {
		return nil, false
	}
	m = ports(m, "tcp sport", d.u16(0), d.u16(2), inv&1 != 0)
	m = ports(m, "tcp dport", d.u16(4), d.u16(6), inv&2 != 0)
	if opt := d.u8(8); opt != 0 || inv&8 != 0 {
		m = append(m, is(snapshot.NfOperand{Kind: "tcpopt", Key: strconv.Itoa(int(opt))}, false, num(1)))
		if inv&8 != 0 {
			m[len(m)-1].Values[0] = num(0)
		}
	}
	if mask, cmp := d.u8(9), d.u8(10); mask != 0 || inv&4 != 0 {
		m = append(m, is(under(payload("tcp flags"), uint64(mask), 1), inv&4 != 0, num(uint64(cmp))))
	}
	if m == nil {
		m = always(protoTCP)
	}
	return m, true
}

// xtUDP decodes struct xt_udp, of UDP and UDP-Lite.
func xtUDP(d xtData) (m []snapshot.NfMatch, ok bool) {
	inv := d.u8(8)
	if inv&^0x03 != 0 {
		return nil, false
	}
	m = ports(m, d.name+" sport", d.u16(0), d.u16(2), inv&1 != 0)
	m = ports(m, d.name+" dport", d.u16(4), d.u16(6), inv&2 != 0)
	if m == nil {
		m = always(map[string]uint64{"udp": protoUDP, "udplite": protoUDPLite}[d.name])
	}
	return m, true
}

// xtMultiport decodes struct xt_multiport_v1. Where either port may be the one, "th port" is the operand.
func xtMultiport(d xtData) ([]snapshot.NfMatch, bool) {
	count := int(d.u8(1))
	if d.u8(0) > 2 || count == 0 || count > 15 {
		return nil, false
	}
	var values []snapshot.NfValue
	for i := 0; i < count; i++ {
		from := uint64(d.u16(2 + 2*i))
		to := from
		if d.u8(32+i) != 0 { // it begins a range
			if i++; i == count {
				return nil, false
			}
			to = uint64(d.u16(2 + 2*i))
		}
		values = append(values, span(from, to))
	}
	left := [...]snapshot.NfOperand{payload("th sport"), payload("th dport"), {Kind: "xt", Key: "multiport ports"}}[d.u8(0)]
	return []snapshot.NfMatch{is(left, d.u8(47) != 0, values...)}, true
}

// xtICMP decodes struct ipt_icmp and struct ip6t_icmp, which are the same.
func xtICMP(d xtData) ([]snapshot.NfMatch, bool) {
	typ, from, to, not := uint64(d.u8(0)), uint64(d.u8(1)), uint64(d.u8(2)), d.u8(3) == 1
	if d.u8(3) > 1 {
		return nil, false
	}
	key, proto := "icmp", uint64(protoICMP)
	if d.name == "icmp6" {
		key, proto = "icmpv6", protoICMPv6
	}
	t, c := payload(key+" type"), payload(key+" code")
	anyType := d.name == "icmp" && typ == 0xff
	switch {
	case anyType && not: // nothing is of no type
		return []snapshot.NfMatch{is(t, true, span(0, 255))}, true
	case anyType:
		return always(proto), true
	case from == 0 && to == 0xff:
		return []snapshot.NfMatch{is(t, not, num(typ))}, true
	case not: // not this type with this code: no two conditions say that
		return []snapshot.NfMatch{is(snapshot.NfOperand{Kind: "concat", Parts: []snapshot.NfOperand{t, c}}, true,
			snapshot.NfValue{Parts: []snapshot.NfValue{num(typ), span(from, to)}})}, true
	}
	return []snapshot.NfMatch{is(t, false, num(typ)), is(c, false, span(from, to))}, true
}
