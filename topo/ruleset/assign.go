package ruleset

import (
	"fmt"

	"github.com/nscope/nscope/inspect/snapshot"
)

// assign compiles a step that sets something of the packet.
func (t *table) assign(a *snapshot.NfAssign) []op {
	value := always(opened)
	switch {
	case a.Value != nil:
		value = always(constant(a.Value))
	case a.From != nil:
		value = t.operand(a.From)
	}
	to := a.To.Kind + " " + a.To.Key
	keep, kept := hexNumber(a.Keep)
	return []op{{do: func(m *machine) outcome {
		v := value(m)
		if v.kind == kNone {
			return outcome{kind: mismatch}
		}
		if a.Keep != "" {
			v = m.keep(a, v, keep, kept)
		}
		return m.set(to, v)
	}}}
}

// keep is what CONNMARK and the like leave of the old value: old & keep ^ new.
func (m *machine) keep(a *snapshot.NfAssign, v val, keep uint64, ok bool) val {
	var old uint64
	var f Fields
	switch a.To.Kind + " " + a.To.Key {
	case "meta mark":
		old, f = uint64(m.p.Mark), FMark
	case "ct mark":
		old, f = uint64(m.p.CtMark), FCtMark
	default:
		return opened
	}
	n, open, isNum := v.number()
	if !ok || !isNum || open != 0 || !m.p.Says(f) && keep != 0 {
		return opened
	}
	return num(old&keep^n, 0)
}

func (m *machine) set(to string, v val) outcome {
	p := &m.p
	n, open, isNum := v.number()
	known := isNum && open == 0
	put := func(f Fields, store func()) {
		if known {
			store()
			p.Known |= f
		} else {
			p.open(f)
		}
	}
	did := to + " set"
	if known {
		did = fmt.Sprintf("%s set %#x", to, n)
	}
	switch to {
	case "meta mark":
		m.reroute = m.reroute || !known || !p.Says(FMark) || uint64(p.Mark) != n
		put(FMark, func() { p.Mark = uint32(n) })
	case "ct mark":
		if !p.Tracked {
			return outcome{kind: mismatch}
		}
		put(FCtMark, func() { p.CtMark = uint32(n) })
	case "meta priority":
		put(FPriority, func() { p.Priority = uint32(n) })
	case "meta pkttype":
		put(FPktType, func() { p.PktType = uint8(n) })
	case "meta nftrace", "meta secmark", "ct label", "ct helper", "ct zone", "ct secmark", "ct event", "ct eventmask":
	case "ip dscp", "ip6 dscp", "ip ecn", "ip tos":
		p.open(FTOS)
	case "ip ttl", "ip6 hoplimit":
		put(FTTL, func() { p.TTL = uint8(n) })
	case "ip saddr", "ip6 saddr":
		return m.setAddr(&p.Src, FSrc, v, did)
	case "ip daddr", "ip6 daddr":
		return m.setAddr(&p.Dst, FDst, v, did)
	case "tcp sport", "udp sport", "th sport":
		put(FSport, func() { p.Sport = uint16(n) })
	case "tcp dport", "udp dport", "th dport":
		put(FDport, func() { p.Dport = uint16(n) })
	case "ether saddr", "ether daddr":
		p.open(FMAC)
	default:
		if len(to) > 8 && to[:8] == "payload " {
			return m.setField(to[8:], v, did)
		}
		return outcome{kind: lost, why: "setting " + to + " is not modelled"}
	}
	return outcome{did: did}
}

// setField sets a field of the packet itself.
func (m *machine) setField(field string, v val, did string) outcome {
	if field == "" || field[:1] == " " {
		return outcome{kind: lost, why: "a field without a name is set"}
	}
	switch field {
	case "ip checksum", "udp checksum", "tcp checksum":
		return outcome{}
	case "ip saddr", "ip6 saddr", "ip daddr", "ip6 daddr", "tcp sport", "udp sport", "th sport", "tcp dport", "udp dport", "th dport",
		"ip dscp", "ip6 dscp", "ip ecn", "ip tos", "ip ttl", "ip6 hoplimit", "ether saddr", "ether daddr":
		return m.set(field, v)
	}
	return outcome{kind: lost, why: "setting " + field + " is not modelled", did: did}
}
