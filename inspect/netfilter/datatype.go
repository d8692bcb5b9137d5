package netfilter

import (
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
)

// part is one of the values that a key or the data of a set is made of.
type part struct {
	name string
	typ  vtype
	host bool
	n    int // bytes
}

// datatypes are nft's own numbers for types (enum datatypes of nftables), which it leaves in NFTA_SET_KEY_TYPE.
var datatypes = map[uint32]part{
	2: {"nf_proto", vNum, true, 1}, 3: {"bitmask", vNum, true, 0}, 4: {"integer", vNum, false, 0}, 5: {"string", vText, true, 0}, 6: {"ll_addr", vHex, false, 0},
	7: {"ipv4_addr", vIP4, false, 4}, 8: {"ipv6_addr", vIP6, false, 16}, 9: {"ether_addr", vMAC, false, 6}, 10: {"ether_type", vNum, false, 2},
	11: {"arp_op", vNum, false, 2}, 12: {"inet_proto", vNum, false, 1}, 13: {"inet_service", vNum, false, 2}, 14: {"icmp_type", vNum, false, 1},
	15: {"tcp_flag", vBits, false, 1}, 16: {"dccp_pkttype", vNum, false, 1}, 17: {"mh_type", vNum, false, 1}, 18: {"time", vNum, true, 8},
	19: {"mark", vNum, true, 4}, 20: {"iface_index", vNum, true, 4}, 21: {"iface_type", vNum, true, 2}, 22: {"realm", vNum, true, 4},
	23: {"classid", vNum, true, 4}, 24: {"uid", vNum, true, 4}, 25: {"gid", vNum, true, 4}, 26: {"ct_state", vBits, true, 4}, 27: {"ct_dir", vNum, true, 1},
	28: {"ct_status", vBits, true, 4}, 29: {"icmpv6_type", vNum, false, 1}, 30: {"ct_label", vBits, true, 16}, 31: {"pkt_type", vNum, true, 1},
	32: {"icmp_code", vNum, false, 1}, 33: {"icmpv6_code", vNum, false, 1}, 34: {"icmpx_code", vNum, false, 1}, 35: {"devgroup", vNum, true, 4},
	36: {"dscp", vNum, false, 1}, 37: {"ecn", vNum, false, 1}, 38: {"fib_addrtype", vNum, true, 4}, 39: {"boolean", vNum, true, 1},
	40: {"ct_event", vBits, true, 4}, 41: {"ifname", vName, true, 16}, 42: {"igmp_type", vNum, false, 1}, 43: {"time", vNum, true, 8},
	44: {"hour", vNum, true, 4}, 45: {"day", vNum, true, 1}, 46: {"cgroupsv2", vNum, true, 8},
}

// Byte orders as nft leaves them in a set's user data.
const (
	orderHost = 1
	orderBig  = 2
)

// parts reads a type number: six bits for each part of a concatenation, the last in the lowest. n is the length of all
// (each part aligned to four bytes), lens those of the parts where the kernel knows them, order the byte order where nft
// noted one.
func parts(typ uint32, n int, lens []int, order uint32) []part {
	var ids []uint32
	for t := typ; t != 0; t >>= 6 {
		ids = append([]uint32{t & 0x3f}, ids...)
	}
	out := make([]part, 0, len(ids))
	for i, id := range ids {
		p, ok := datatypes[id]
		if !ok {
			p = part{name: strconv.Itoa(int(id)), typ: vHex}
		}
		if p.n == 0 || len(ids) == 1 {
			switch {
			case i < len(lens):
				p.n = lens[i]
			case len(ids) == 1:
				p.n = n
			}
		}
		if len(ids) == 1 {
			switch order {
			case orderHost:
				p.host = true
			case orderBig:
				p.host = false
			}
		}
		out = append(out, p)
	}
	// A part of unknown length takes what the others leave, if it is the only one.
	free, unknown := n, -1
	for i, p := range out {
		if p.n == 0 && unknown < 0 {
			unknown = i
		}
		free -= (p.n + 3) &^ 3
	}
	if unknown >= 0 && free > 0 {
		out[unknown].n = free
		free = 0
	}
	if len(out) == 0 || len(out) > 1 && free != 0 {
		return []part{{name: "integer", typ: vHex, n: n}}
	}
	return out
}

// constantParts reads a constant of one or several parts.
func constantParts(parts []part, b []byte) snapshot.NfValue {
	return spanParts(parts, b, nil)
}

// spanParts reads a range, each part a range of its own; to is nil where there is only one value.
func spanParts(parts []part, from, to []byte) snapshot.NfValue {
	one := func(p part, from, to []byte) snapshot.NfValue {
		if to == nil || string(from) == string(to) {
			return constant(p.typ, p.host, from)
		}
		if v, ok := between(p.typ, p.host, from, to); ok {
			return v
		}
		return snapshot.NfValue{Parts: []snapshot.NfValue{constant(vHex, false, from), constant(vHex, false, to)}}
	}
	if len(parts) == 1 {
		return one(parts[0], from, to)
	}
	v := snapshot.NfValue{Parts: make([]snapshot.NfValue, 0, len(parts))}
	at := 0
	for _, p := range parts {
		if at+p.n > len(from) || to != nil && at+p.n > len(to) {
			return constant(vHex, false, from)
		}
		var end []byte
		if to != nil {
			end = to[at : at+p.n]
		}
		v.Parts = append(v.Parts, one(p, from[at:at+p.n], end))
		at += (p.n + 3) &^ 3
	}
	return v
}
