package filter

import (
	"github.com/nscope/nscope/capture/packet"
)

// refused are words of pcap-filter(7) that are not done, and why.
var refused = map[string]string{
	"gateway": "asks the resolver and /etc/ethers of the host", "protochain": "libpcap's loop over IPv6 headers", "pppoes": "PPPoE sessions",
	"geneve": "use: encap geneve, vni N, inner …", "atalk": "AppleTalk", "aarp": "AppleTalk",
	"iso": "ISO protocols", "clnp": "ISO protocols", "esis": "ISO protocols", "isis": "ISO protocols", "ipx": "IPX", "netbeui": "NetBEUI",
	"lane": "ATM", "llc": "802.2 types", "vci": "ATM", "vpi": "ATM", "wlan": "802.11", "type": "802.11", "subtype": "802.11", "ifname": "OpenBSD's pflog; use the option --on", "on": "OpenBSD's pflog; use the option --on",
	"rnr": "OpenBSD's pflog", "rulenum": "OpenBSD's pflog", "reason": "OpenBSD's pflog", "rset": "OpenBSD's pflog", "ruleset": "OpenBSD's pflog", "srnr": "OpenBSD's pflog",
	"subrulenum": "OpenBSD's pflog", "action": "OpenBSD's pflog", "fddi": "FDDI", "tr": "token ring", "ra": "802.11", "ta": "802.11", "addr1": "802.11", "addr2": "802.11",
	"addr3": "802.11", "addr4": "802.11", "radio": "802.11", "slip": "SLIP", "ppp": "PPP", "stp": "802.2", "lldp": "use: ether proto 0x88cc",
}

// protocols are the words that are a filter by themselves and may qualify an identifier.
var protocols = map[string]struct {
	ether      uint16 // by EtherType
	ip, v6only bool   // by protocol number, over which IP
	num        uint32
}{
	"ether": {}, "ip": {ether: packet.TypeIPv4}, "ip6": {ether: packet.TypeIPv6}, "arp": {ether: packet.TypeARP}, "rarp": {ether: packet.TypeRARP},
	"tcp": {num: packet.TCP}, "udp": {num: packet.UDP}, "sctp": {num: packet.SCTP}, "ah": {num: packet.AH}, "esp": {num: packet.ESP}, "pim": {num: 103},
	"icmp": {num: packet.ICMP, ip: true}, "igmp": {num: packet.IGMP, ip: true}, "igrp": {num: 9, ip: true}, "vrrp": {num: 112, ip: true}, "carp": {num: 112, ip: true},
	"icmp6":  {num: packet.ICMPv6, v6only: true},
	"pppoed": {ether: 0x8863}, "decnet": {ether: 0x6003}, "lat": {ether: 0x6004}, "moprc": {ether: 0x6002}, "mopdl": {ether: 0x6001}, "sca": {ether: 0x6007},
}

// numbers are the names of IP protocols that are no words of the language (/etc/protocols), after "proto".
var numbers = map[string]uint32{
	"ipencap": 4, "ipip": 4, "egp": 8, "igp": 9, "ipv6": 41, "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "eigrp": 88, "ospf": 89, "l2tp": 115, "isis": 124,
	"udplite": 136, "mpls-in-ip": 137, "hip": 139, "shim6": 140,
}

// primitive is a test that is no relation and no parenthesis.
func (p *parser) primitive() (node, error) {
	t := p.peek()
	if t.kind == end {
		return nil, p.errAt(t, "expected more")
	}
	if t.kind == word {
		if why, ok := refused[t.text]; ok {
			return nil, p.errAt(t, "%q is not done here (%s)", t.text, why)
		}
		if n, ok, err := p.beyond(t); ok || err != nil {
			return n, err
		}
		if n, ok, err := p.simple(t); ok || err != nil {
			return n, err
		}
	}
	q, any, err := p.qualifiers()
	if err != nil {
		return nil, err
	}
	if !any {
		if !p.startsID() {
			return nil, p.errAt(t, "%q means nothing here", t.text)
		}
		q = p.last
		if !q.set && t.kind == number {
			return nil, p.errAt(t, "%s of what? (port %s, len = %s …)", t.text, t.text, t.text)
		}
		return p.identifier(q)
	}
	if next := p.peek(); next.kind == word && next.text == "protochain" {
		return nil, p.errAt(next, "%q is not done here (%s)", next.text, refused[next.text])
	}
	if !p.startsID() && !p.is("(") {
		// A protocol alone.
		if q.dir != "" || q.typ != "" || q.proto == "ether" {
			return nil, p.errAt(p.peek(), "expected what %q should be", p.toks[p.at-1].text)
		}
		return p.protocol(q.proto), nil
	}
	q.set = true
	p.last = q
	if p.is("(") {
		return p.identifiers(q)
	}
	return p.identifier(q)
}

// identifiers is "head ( id or id … )".
func (p *parser) identifiers(q quals) (node, error) {
	open := p.take()
	n, err := p.negatable(q)
	if err != nil {
		return nil, err
	}
	for !p.accept(")") {
		t := p.take()
		m, err := node(nil), error(nil)
		switch {
		case t.kind == end:
			return nil, p.errAt(open, "this parenthesis is not closed")
		case t.text == "and" || t.text == "&&":
			if m, err = p.negatable(q); err == nil {
				n = &and{n, m}
			}
		case t.text == "or" || t.text == "||":
			if m, err = p.negatable(q); err == nil {
				n = &or{n, m}
			}
		default:
			return nil, p.errAt(t, "%q: expected \"or\", \"and\" or )", t.text)
		}
		if err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (p *parser) negatable(q quals) (node, error) {
	if p.accept("not", "!") {
		n, err := p.negatable(q)
		if err != nil {
			return nil, err
		}
		return &not{n}, nil
	}
	if !p.startsID() {
		return nil, p.errAt(p.peek(), "expected an address, name or number")
	}
	return p.identifier(q)
}

// startsID tells whether an identifier is next: a name that is no keyword, an address, a number.
func (p *parser) startsID() bool {
	t := p.peek()
	switch t.kind {
	case escaped, number, address, address6, hwaddr:
		return true
	case word:
		return !keyword(t.text)
	}
	return false
}

func keyword(s string) bool {
	if _, ok := protocols[s]; ok {
		return true
	}
	if _, ok := refused[s]; ok {
		return true
	}
	if _, ok := constants[s]; ok {
		return true
	}
	switch s {
	case "and", "or", "not", "src", "dst", "host", "net", "port", "portrange", "proto", "mask", "less", "greater", "len", "length", "byte", "broadcast", "multicast",
		"vlan", "mpls", "inbound", "outbound", "inner", "outer", "vni", "encap", "container", "service", "dir", "link":
		return true
	}
	return false
}

// qualifiers takes "[proto] [dir] [type]" in the orders that grammar.y allows.
func (p *parser) qualifiers() (q quals, any bool, err error) {
	from := p.at
	if t := p.peek(); t.kind == word {
		if _, ok := protocols[t.text]; ok {
			q.proto = t.text
			p.take()
		}
	}
	if p.is("src", "dst") {
		q.dir = p.take().text
		// "src or dst", "src and dst": only where the other one follows.
		if p.is("or", "||", "and", "&&") && p.at+1 < len(p.toks) && p.toks[p.at+1].kind == word && (p.toks[p.at+1].text == "dst" || p.toks[p.at+1].text == "src") && p.toks[p.at+1].text != q.dir {
			if q.dir == "src" && p.pairFollows() {
				if p.is("or", "||") {
					q.dir = "src or dst"
				} else {
					q.dir = "src and dst"
				}
				p.take()
				p.take()
			}
		}
	}
	if p.is("host", "net", "port", "portrange", "proto") {
		q.typ = p.take().text
	}
	return q, p.at > from, nil
}

// pairFollows tells whether "or dst" belongs to the qualifier: nothing stood between "src" and it, so an identifier is still missing.
func (p *parser) pairFollows() bool { return true }

// protocol is a protocol as a filter by itself (gen_proto_abbrev).
func (p *parser) protocol(name string) node {
	pr := protocols[name]
	switch {
	case pr.ether != 0:
		return p.ether(pr.ether)
	case pr.ip:
		return p.proto4(pr.num)
	case pr.v6only:
		return p.proto6(pr.num)
	}
	return disj(p.proto4(pr.num), p.proto6(pr.num))
}

func (p *parser) proto4(num uint32) node { return conj(p.ether(packet.TypeIPv4), p.byteIs(9, num)) }

// proto6 also looks behind a fragment header, if that is the first.
func (p *parser) proto6(num uint32) node {
	return conj(p.ether(packet.TypeIPv6), disj(conj(p.byteIs(6, packet.FragHdr), p.byteIs(40, num)), p.byteIs(6, num)))
}

// simple are the primitives that take no address.
func (p *parser) simple(t token) (node, bool, error) {
	switch t.text {
	case "less", "greater":
		p.take()
		n := p.take()
		if n.kind != number {
			return nil, true, p.errAt(n, "expected a length in bytes")
		}
		if t.text == "less" {
			return &length{"<=", n.num}, true, nil
		}
		return &length{">=", n.num}, true, nil
	case "broadcast":
		p.take()
		return &mac{0, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, true, nil
	case "multicast":
		p.take()
		return &group{}, true, nil
	case "ether", "ip", "ip6":
		next := p.toks[p.at+1]
		if next.kind != word || next.text != "broadcast" && next.text != "multicast" {
			return nil, false, nil
		}
		p.at += 2
		switch t.text + " " + next.text {
		case "ether broadcast":
			return &mac{0, [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, true, nil
		case "ether multicast":
			return &group{}, true, nil
		case "ip multicast":
			return conj(p.ether(packet.TypeIPv4), &field{shift: p.shift, off: 16, size: 1, op: ">=", val: 224}), true, nil
		case "ip6 multicast":
			return conj(p.ether(packet.TypeIPv6), p.byteIs(24, 255)), true, nil
		}
		return nil, true, p.errAt(next, "\"%s %s\" needs a netmask, which many interfaces have not in common", t.text, next.text)
	case "inbound", "outbound":
		p.take()
		if t.text == "inbound" {
			return &direction{In}, true, nil
		}
		return &direction{Out}, true, nil
	case "vlan", "mpls":
		p.take()
		id := -1
		if n := p.peek(); n.kind == number {
			p.take()
			id = int(n.num)
			if t.text == "vlan" && n.num > 4095 {
				return nil, true, p.errAt(n, "a VLAN id is at most 4095")
			}
			if t.text == "mpls" && n.num > 0xfffff {
				return nil, true, p.errAt(n, "an MPLS label is at most 1048575")
			}
		}
		if t.text == "vlan" {
			if p.labels > 0 {
				return nil, true, p.errAt(t, "no VLAN tag can follow an MPLS label")
			}
			n := &tagged{p.shift, id}
			p.tags += 4
			return n, true, nil
		}
		n := &label{p.shift, id}
		p.labels++
		return n, true, nil
	}
	return nil, false, nil
}

// group tests the group bit of the destination address.
type group struct{}

func (group) eval(v *view) bool { return v.link == packet.Ethernet && v.load(0, 1)&1 != 0 && !v.bad }
