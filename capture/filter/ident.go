package filter

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nscope/nscope/capture/packet"
)

// identifier is the address, name or number that qualifiers are about.
func (p *parser) identifier(q quals) (node, error) {
	switch q.typ {
	case "port", "portrange":
		return p.ports(q)
	case "proto":
		return p.protoNumber(q)
	case "net":
		return p.network(q)
	}
	t := p.take()
	if t.kind == hwaddr || q.proto == "ether" {
		if q.proto == "ether" || strings.ContainsAny(t.text, ":-.") {
			return p.hardware(q, t)
		}
		t.kind = word // a container's id, cut to twelve digits
	}
	addrs, err := p.hosts(t)
	if err != nil {
		return nil, err
	}
	var n node
	for _, a := range addrs {
		m, err := p.host(q, netip.PrefixFrom(a, a.BitLen()), t)
		if err != nil {
			return nil, err
		}
		if n == nil {
			n = m
		} else {
			n = &or{n, m}
		}
	}
	return n, nil
}

// hosts are the addresses that an identifier of type host stands for.
func (p *parser) hosts(t token) ([]netip.Addr, error) {
	switch t.kind {
	case address:
		if a, err := netip.ParseAddr(t.text); err == nil {
			return []netip.Addr{a}, nil
		}
		return nil, p.errAt(t, "%q is no whole IPv4 address (net %s?)", t.text, t.text)
	case address6:
		a, err := netip.ParseAddr(t.text)
		if err != nil {
			return nil, p.errAt(t, "%q is no address", t.text)
		}
		return []netip.Addr{a}, nil
	case word, escaped:
		if p.names == nil {
			return nil, p.unnamed(t, "%q is no address, and no names are known here", t.text)
		}
		addrs, err := p.names.Host(t.text)
		if err != nil {
			return nil, p.errAt(t, "%v", err)
		}
		if len(addrs) == 0 {
			return nil, p.errAt(t, "%q has no address", t.text)
		}
		return addrs, nil
	}
	return nil, p.errAt(t, "%q is no address and no name", t.text)
}

// host compares addresses (gen_host, gen_host6).
func (p *parser) host(q quals, net netip.Prefix, t token) (node, error) {
	is6 := net.Addr().Is6()
	switch {
	case q.proto == "ip" && !is6, q.proto == "ip6" && is6:
		return p.side(q, net, protocols[q.proto].ether), nil
	case (q.proto == "arp" || q.proto == "rarp") && !is6:
		return p.side(q, net, protocols[q.proto].ether), nil
	case q.proto == "" && is6:
		return p.side(q, net, packet.TypeIPv6), nil
	case q.proto == "":
		n := p.side(q, net, packet.TypeIPv4)
		if p.labels == 0 {
			n = disj(n, p.side(q, net, packet.TypeARP), p.side(q, net, packet.TypeRARP))
		}
		return n, nil
	}
	return nil, p.errAt(t, "%q does not go with this address", q.proto)
}

// side compares source, destination, either or both, below a protocol.
func (p *parser) side(q quals, net netip.Prefix, typ uint16) node {
	src, dst := 12, 16
	switch typ {
	case packet.TypeIPv6:
		src, dst = 8, 24
	case packet.TypeARP, packet.TypeRARP:
		src, dst = 14, 24
	}
	one := func(off int) node {
		if typ == packet.TypeIPv6 {
			n := &addr6{shift: p.shift, off: off, addr: net.Addr().As16()}
			copy(n.mask[:], maskOf(net.Bits(), 16))
			return n
		}
		a := net.Addr().As4()
		m := binary.BigEndian.Uint32(maskOf(net.Bits(), 4))
		if m == 0 {
			return all{}
		}
		return &field{shift: p.shift, off: off, size: 4, mask: m, op: "==", val: binary.BigEndian.Uint32(a[:])}
	}
	return conj(p.ether(typ), either(q.dir, func() node { return one(src) }, func() node { return one(dst) }))
}

// either joins the two sides as the direction says.
func either(dir string, src, dst func() node) node {
	switch dir {
	case "src":
		return src()
	case "dst":
		return dst()
	case "src and dst":
		return &and{src(), dst()}
	}
	return &or{src(), dst()}
}

func maskOf(bits, size int) []byte { return net.CIDRMask(bits, size*8) }

// hardware compares MACs (gen_ehostop: the source first where both must be, as libpcap does).
func (p *parser) hardware(q quals, t token) (node, error) {
	if t.kind != hwaddr {
		return nil, p.errAt(t, "expected a hardware address, as 02:42:ac:11:00:02")
	}
	if q.proto != "ether" && q.proto != "" || q.typ == "port" {
		return nil, p.errAt(t, "%q does not go with a hardware address", q.proto)
	}
	if q.proto == "" && q.typ != "" {
		return nil, p.errAt(t, "a hardware address needs \"ether host\"")
	}
	a, ok := parseMAC(t.text)
	if !ok {
		return nil, p.errAt(t, "%q is no hardware address", t.text)
	}
	return either(q.dir, func() node { return &mac{6, a} }, func() node { return &mac{0, a} }), nil
}

func parseMAC(s string) (a [6]byte, ok bool) {
	if parts := strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == '-' || r == '.' }); len(parts) == 6 {
		for i, x := range parts {
			n, err := strconv.ParseUint(x, 16, 8)
			if err != nil {
				return a, false
			}
			a[i] = byte(n)
		}
		return a, true
	}
	b, err := hex.DecodeString(strings.ReplaceAll(s, ".", ""))
	if err != nil || len(b) != 6 {
		return a, false
	}
	return [6]byte(b), true
}

// network is "net N", "net N/len", "net N mask M", "net N::/len".
func (p *parser) network(q quals) (node, error) {
	t := p.take()
	if q.proto == "ether" {
		return nil, p.errAt(t, "\"ether net\" means nothing")
	}
	switch t.kind {
	case address6:
		a, err := netip.ParseAddr(t.text)
		bits := 128
		if err == nil && p.accept("/") {
			bits, err = p.prefixLen(128)
		}
		if err != nil {
			return nil, err
		}
		net := netip.PrefixFrom(a, bits)
		if net.Masked().Addr() != a {
			return nil, p.errAt(t, "%s has bits beyond /%d", t.text, bits)
		}
		return p.host(q, net, t)
	case address, number:
		return p.network4(q, t)
	}
	return nil, p.errAt(t, "%q is no network", t.text)
}

func (p *parser) network4(q quals, t token) (node, error) {
	parts := strings.Split(t.text, ".")
	var a [4]byte
	for i, s := range parts {
		n, err := strconv.ParseUint(s, 10, 8)
		if err != nil {
			return nil, p.errAt(t, "%q is no network", t.text)
		}
		a[i] = byte(n)
	}
	mask := maskOf(len(parts)*8, 4)
	switch {
	case p.accept("/"):
		bits, err := p.prefixLen(32)
		if err != nil {
			return nil, err
		}
		mask = maskOf(bits, 4)
	case p.accept("mask"):
		mt := p.take()
		m, err := netip.ParseAddr(mt.text)
		if err != nil || !m.Is4() {
			return nil, p.errAt(mt, "expected a mask, as 255.255.255.0")
		}
		m4 := m.As4()
		mask = m4[:]
	}
	m := binary.BigEndian.Uint32(mask)
	val := binary.BigEndian.Uint32(a[:])
	if val&^m != 0 {
		return nil, p.errAt(t, "%s has bits beyond the mask", t.text)
	}
	bits := 0
	for bits < 32 && m&(1<<(31-bits)) != 0 {
		bits++
	}
	if m != binary.BigEndian.Uint32(maskOf(bits, 4)) {
		return nil, p.errAt(t, "a mask with gaps is not done here")
	}
	return p.host(q, netip.PrefixFrom(netip.AddrFrom4(a), bits), t)
}

func (p *parser) prefixLen(most uint32) (int, error) {
	t := p.take()
	if t.kind != number || t.num > most {
		return 0, p.errAt(t, "expected a prefix length of at most %d", most)
	}
	return int(t.num), nil
}

// ports is "port N" and "portrange N-M" (gen_port, gen_port6).
func (p *parser) ports(q quals) (node, error) {
	t := p.take()
	protos := []uint32{packet.TCP, packet.UDP, packet.SCTP}
	switch q.proto {
	case "":
	case "tcp", "udp", "sctp":
		protos = []uint32{protocols[q.proto].num}
	default:
		return nil, p.errAt(t, "%q has no ports", q.proto)
	}
	from, to, only, err := p.portNumbers(q, t)
	if err != nil {
		return nil, err
	}
	if only != 0 {
		protos = []uint32{only}
	}
	var v4, v6 node
	for i, pr := range protos {
		n4 := conj(p.byteIs(9, pr), p.firstFragment(), either(q.dir, func() node { return &port4{p.shift, 0, from, to} }, func() node { return &port4{p.shift, 2, from, to} }))
		n6 := conj(p.byteIs(6, pr), either(q.dir, func() node { return p.port6(40, from, to) }, func() node { return p.port6(42, from, to) }))
		if i == 0 {
			v4, v6 = n4, n6
		} else {
			v4, v6 = disj(v4, n4), disj(v6, n6)
		}
	}
	return disj(conj(p.ether(packet.TypeIPv4), v4), conj(p.ether(packet.TypeIPv6), v6)), nil
}

func (p *parser) port6(off int, from, to uint32) node {
	low := &field{shift: p.shift, off: off, size: 2, op: ">=", val: from}
	if from == to {
		low.op = "=="
		return low
	}
	return &and{low, &field{shift: p.shift, off: off, size: 2, op: "<=", val: to}}
}

// portNumbers is a port, or a range with both ends included. A service that only one protocol has asks for that one (only).
func (p *parser) portNumbers(q quals, t token) (from, to, only uint32, err error) {
	lo, hi, isRange := strings.Cut(t.text, "-")
	if _, err := strconv.ParseUint(lo, 0, 32); q.typ == "portrange" && isRange && t.kind == word && err == nil {
		if from, _, err = p.onePort(q, t, lo); err == nil {
			to, _, err = p.onePort(q, t, hi)
		}
		if err == nil && from > to {
			from, to = to, from // as libpcap does
		}
		return from, to, 0, err
	}
	if q.typ == "portrange" && (t.kind == word || t.kind == escaped) {
		if isRange { // between services by name: the first hyphen parts them, as in libpcap
			var first uint32
			if from, first, err = p.onePort(q, t, lo); err == nil {
				to, only, err = p.onePort(q, t, hi)
			}
			if first != only {
				only = 0
			}
			return min(from, to), max(from, to), only, err
		}
	}
	from, only, err = p.onePort(q, t, t.text)
	return from, from, only, err
}

func (p *parser) onePort(q quals, t token, s string) (port, only uint32, err error) {
	if n, err := strconv.ParseUint(s, 0, 32); err == nil {
		if n > 65535 {
			return 0, 0, p.errAt(t, "%s is no port", s)
		}
		return uint32(n), 0, nil
	}
	if t.kind != word && t.kind != escaped {
		return 0, 0, p.errAt(t, "%q is no port", s)
	}
	tcp, terr := net.DefaultResolver.LookupPort(context.Background(), "tcp", s)
	udp, uerr := net.DefaultResolver.LookupPort(context.Background(), "udp", s)
	switch {
	case q.proto != "udp" && terr == nil && (uerr != nil || q.proto != ""):
		return uint32(tcp), packet.TCP, nil
	case q.proto != "tcp" && uerr == nil && (terr != nil || q.proto != ""):
		return uint32(udp), packet.UDP, nil
	case q.proto == "" && terr == nil && tcp == udp:
		return uint32(tcp), 0, nil
	case q.proto == "" && terr == nil:
		return 0, 0, p.errAt(t, "%q is %d/tcp and %d/udp: say which", s, tcp, udp)
	}
	return 0, 0, p.errAt(t, "%q is no port and no service that is known by name", s)
}

// protoNumber is "ip proto N", "ip6 proto N", "ether proto N", "proto N" (gen_proto).
func (p *parser) protoNumber(q quals) (node, error) {
	t := p.take()
	if q.dir != "" {
		return nil, p.errAt(t, "a protocol has no direction")
	}
	num := uint32(0)
	switch t.kind {
	case number:
		num = t.num
	case word, escaped:
		pr, ok := protocols[t.text]
		switch {
		case ok && q.proto == "ether" && pr.ether != 0:
			num = uint32(pr.ether)
		case ok && q.proto != "ether" && pr.num != 0:
			num = pr.num
		case q.proto == "ether" && t.text == "loopback":
			num = 0x9000
		case q.proto != "ether" && numbers[t.text] != 0:
			num = numbers[t.text]
		default:
			return nil, p.errAt(t, "%q is no protocol by name here: use its number", t.text)
		}
	default:
		return nil, p.errAt(t, "expected a protocol's number")
	}
	if q.proto != "ether" && num > 255 {
		return nil, p.errAt(t, "%d is no IP protocol", num)
	}
	switch q.proto {
	case "":
		return disj(p.proto4(num), p.proto6(num)), nil
	case "ip":
		return p.proto4(num), nil
	case "ip6":
		return p.proto6(num), nil
	case "ether":
		if num <= 1500 || num > 0xffff {
			return nil, p.errAt(t, "an EtherType is 1501 to 65535 (802.2 is not done here)")
		}
		return p.ether(uint16(num)), nil
	}
	return nil, p.errAt(t, "%q has no protocols", q.proto)
}
