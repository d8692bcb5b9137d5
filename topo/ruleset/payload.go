package ruleset

import (
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

const arphrdEther = 1

// rawFields are the places of fields that rules compare without naming them: base, offset and length in bits.
var rawFields = map[[2]int]map[string]string{
	{0, 16}: {"transport": "th sport"}, {16, 16}: {"transport": "th dport"},
}

func payload(o *snapshot.NfOperand) load {
	key := o.Key
	if key == "" {
		key = rawFields[[2]int{o.Offset, o.Len}][o.Base]
	}
	proto, field, _ := strings.Cut(key, " ")
	switch proto {
	case "ip", "ip6":
		return network(proto, field)
	case "tcp", "udp", "udplite", "sctp", "dccp", "th", "icmp", "icmpv6", "ah", "esp", "comp", "igmp", "gre":
		return transport(proto, field)
	case "ether":
		get := ether(field)
		return func(m *machine) val {
			// nft asks for the type of the interface first, where not all have such frames.
			i := &m.p.In
			if m.at.Hook == "egress" {
				i = &m.p.Out
			}
			if m.at.Family == "netdev" && i.Type != 0 && i.Type != arphrdEther {
				return none
			}
			return get(m)
		}
	case "arp":
		return arp(field)
	}
	if key == "" && o.Base == "network" {
		return arpBytes(o.Offset, o.Len)
	}
	return always(opened)
}

// arpBytes loads a part of an ARP packet by its place: offset and length in bits. nft makes one comparison of two with neighbouring fields (and also of
// two that each must differ, which is not the same: then it is what the kernel has that counts).
func arpBytes(offset, bits int) load {
	return func(m *machine) val {
		p := &m.p
		if p.Family != "arp" || offset%8 != 0 || bits%8 != 0 || offset < 0 || bits <= 0 || offset+bits > 28*8 || !p.Says(FARP|FSrc|FDst) || !p.Src.Is4() || !p.Dst.Is4() {
			return opened
		}
		from, ok1 := macBytes(p.ARP.SrcMAC)
		to, ok2 := macBytes(p.ARP.DstMAC)
		if !ok1 || !ok2 || len(from) != 6 || len(to) != 6 {
			return opened
		}
		b := []byte{0, arphrdEther, 8, 0, 6, 4, byte(p.ARP.Op >> 8), byte(p.ARP.Op)} // RFC 826
		return raw(slices.Concat(b, from, p.Src.AsSlice(), to, p.Dst.AsSlice())[offset/8 : (offset+bits)/8])
	}
}

// arp loads a field of an ARP packet.
func arp(field string) load {
	get := func(*Packet) val { return opened }
	mac := func(of func(*ARP) string) func(p *Packet) val {
		return func(p *Packet) val {
			b, ok := macBytes(of(&p.ARP))
			if !ok {
				return opened
			}
			return said(p, FARP, raw(b))
		}
	}
	switch field {
	case "operation":
		get = func(p *Packet) val { return said(p, FARP, num(uint64(p.ARP.Op), 16)) }
	case "htype":
		get = func(p *Packet) val { return said(p, FARP, num(arphrdEther, 16)) }
	case "ptype":
		get = func(p *Packet) val { return said(p, FARP, num(0x0800, 16)) }
	case "hlen":
		get = func(p *Packet) val { return said(p, FARP, num(6, 8)) }
	case "plen":
		get = func(p *Packet) val { return said(p, FARP, num(4, 8)) }
	case "saddr ip":
		get = func(p *Packet) val { return said(p, FSrc, address(p.Src)) }
	case "daddr ip":
		get = func(p *Packet) val { return said(p, FDst, address(p.Dst)) }
	case "saddr ether":
		get = mac(func(a *ARP) string { return a.SrcMAC })
	case "daddr ether":
		get = mac(func(a *ARP) string { return a.DstMAC })
	}
	return func(m *machine) val {
		if m.p.Family != "arp" {
			return none
		}
		return get(&m.p)
	}
}

func network(family, field string) load {
	var get func(p *Packet) val
	switch field {
	case "saddr":
		get = func(p *Packet) val { return said(p, FSrc, address(p.Src)) }
	case "daddr":
		get = func(p *Packet) val { return said(p, FDst, address(p.Dst)) }
	case "protocol", "nexthdr":
		get = func(p *Packet) val { return said(p, FProto, num(uint64(p.Proto), 8)) }
	case "version":
		n := uint64(4)
		if family == "ip6" {
			n = 6
		}
		get = func(*Packet) val { return num(n, 4) }
	case "length":
		get = func(p *Packet) val {
			n := uint64(p.Length)
			if family == "ip6" {
				n -= 40 // of the payload
			}
			return said(p, FLength, num(n, 16))
		}
	case "ttl", "hoplimit":
		get = func(p *Packet) val { return said(p, FTTL, num(uint64(p.TTL), 8)) }
	case "tos":
		get = func(p *Packet) val { return said(p, FTOS, num(uint64(p.TOS), 8)) }
	case "dscp":
		get = func(p *Packet) val { return said(p, FTOS, num(uint64(p.TOS>>2), 6)) }
	case "ecn":
		get = func(p *Packet) val { return said(p, FTOS, num(uint64(p.TOS&3), 2)) }
	case "frag-off":
		get = func(p *Packet) val { // "do not fragment" and "more fragments" are not described
			return said(p, FFrag, val{kind: kNum, n: uint64(p.Frag), open: 0xe000, bits: 16})
		}
	default:
		get = func(*Packet) val { return opened }
	}
	return func(m *machine) val {
		if m.p.Family != family {
			return none
		}
		return get(&m.p)
	}
}

var protocols = map[string]uint8{
	"tcp": TCP, "udp": UDP, "udplite": UDPLite, "sctp": SCTP, "dccp": DCCP, "icmp": ICMP, "icmpv6": ICMPv6,
	"ah": 51, "esp": 50, "comp": 108, "igmp": 2, "gre": 47,
}

func transport(proto, field string) load {
	want, any := protocols[proto], proto == "th"
	var need Fields
	get := func(*Packet) val { return opened }
	switch field {
	case "sport":
		need, get = FSport, func(p *Packet) val { return num(uint64(p.Sport), 16) }
	case "dport":
		need, get = FDport, func(p *Packet) val { return num(uint64(p.Dport), 16) }
	case "flags":
		need, get = FTCPFlags, func(p *Packet) val { return num(uint64(p.TCPFlags), 8) }
	case "type":
		need, get = FICMP, func(p *Packet) val { return num(uint64(p.ICMPType), 8) }
	case "code":
		need, get = FICMP, func(p *Packet) val { return num(uint64(p.ICMPCode), 8) }
	}
	return func(m *machine) val {
		p := &m.p
		switch {
		case p.Family == "arp":
			return none
		case !p.Says(FProto):
			return opened
		case !any && p.Proto != want || any && !HasPorts(p.Proto):
			if any && p.Proto != ICMP && p.Proto != ICMPv6 {
				return opened
			}
			if any {
				return opened // a transport header without ports is compared by its first bytes
			}
			return none
		case p.Says(FFrag) && p.Frag != 0:
			return none // only the first fragment has the header
		case !p.Says(need):
			return opened
		}
		return get(p)
	}
}

func ether(field string) load {
	mac := func(get func(*Packet) string) load {
		return func(m *machine) val {
			if !m.p.Says(FMAC) {
				return opened
			}
			b, ok := macBytes(get(&m.p))
			if !ok {
				return none
			}
			return raw(b)
		}
	}
	switch field {
	case "saddr":
		return mac(func(p *Packet) string { return p.SrcMAC })
	case "daddr":
		return mac(func(p *Packet) string { return p.DstMAC })
	case "type":
		return func(m *machine) val { return num(etherType(m.p.Family), 16) }
	}
	return always(opened)
}
