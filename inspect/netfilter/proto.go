package netfilter

// The bases of a payload expression (enum nft_payload_bases).
const (
	baseLink      = 0
	baseNetwork   = 1
	baseTransport = 2
	baseInner     = 3
)

var baseNames = [...]string{"link", "network", "transport", "inner"}

// proto is a protocol's header as nft names its fields.
type proto struct {
	name   string
	base   int
	bits   int // of the header, for those that others are stacked upon
	fields []field
	// key is the field that tells the protocol above, or the type of an ICMP message.
	key string
}

// field is a part of a header; off and bits count bits from the header's first.
type field struct {
	name      string
	off, bits int
	typ       vtype
	// icmp are the types of ICMP messages that have the field; none: all.
	icmp []uint8
}

var (
	hdrVlan = &proto{name: "vlan", base: baseLink, bits: 32, key: "type", fields: []field{
		{"pcp", 0, 3, vNum, nil}, {"dei", 3, 1, vNum, nil}, {"id", 4, 12, vNum, nil}, {"type", 16, 16, vNum, nil},
	}}
	hdrEther = &proto{name: "ether", base: baseLink, bits: 112, key: "type", fields: []field{
		{"daddr", 0, 48, vMAC, nil}, {"saddr", 48, 48, vMAC, nil}, {"type", 96, 16, vNum, nil},
	}}
	hdrARP = &proto{name: "arp", base: baseNetwork, fields: []field{
		{"htype", 0, 16, vNum, nil}, {"ptype", 16, 16, vNum, nil}, {"hlen", 32, 8, vNum, nil}, {"plen", 40, 8, vNum, nil},
		{"operation", 48, 16, vNum, nil}, {"saddr ether", 64, 48, vMAC, nil}, {"saddr ip", 112, 32, vIP4, nil},
		{"daddr ether", 144, 48, vMAC, nil}, {"daddr ip", 192, 32, vIP4, nil},
	}}
	hdrIP = &proto{name: "ip", base: baseNetwork, key: "protocol", fields: []field{
		{"version", 0, 4, vNum, nil}, {"hdrlength", 4, 4, vNum, nil}, {"dscp", 8, 6, vNum, nil}, {"ecn", 14, 2, vNum, nil},
		{"length", 16, 16, vNum, nil}, {"id", 32, 16, vNum, nil}, {"frag-off", 48, 16, vNum, nil}, {"ttl", 64, 8, vNum, nil},
		{"protocol", 72, 8, vNum, nil}, {"checksum", 80, 16, vNum, nil}, {"saddr", 96, 32, vIP4, nil}, {"daddr", 128, 32, vIP4, nil},
	}}
	hdrIP6 = &proto{name: "ip6", base: baseNetwork, key: "nexthdr", fields: []field{
		{"version", 0, 4, vNum, nil}, {"dscp", 4, 6, vNum, nil}, {"ecn", 10, 2, vNum, nil}, {"flowlabel", 12, 20, vNum, nil},
		{"length", 32, 16, vNum, nil}, {"nexthdr", 48, 8, vNum, nil}, {"hoplimit", 56, 8, vNum, nil},
		{"saddr", 64, 128, vIP6, nil}, {"daddr", 192, 128, vIP6, nil},
	}}
	hdrICMP = &proto{name: "icmp", base: baseTransport, key: "type", fields: []field{
		{"type", 0, 8, vNum, nil}, {"code", 8, 8, vNum, nil}, {"checksum", 16, 16, vNum, nil},
		{"id", 32, 16, vNum, []uint8{8, 0}}, {"sequence", 48, 16, vNum, []uint8{8, 0}},
		{"gateway", 32, 32, vNum, []uint8{5}}, {"mtu", 48, 16, vNum, []uint8{3}},
	}}
	hdrICMP6 = &proto{name: "icmpv6", base: baseTransport, key: "type", fields: []field{
		{"type", 0, 8, vNum, nil}, {"code", 8, 8, vNum, nil}, {"checksum", 16, 16, vNum, nil},
		{"parameter-problem", 32, 32, vNum, []uint8{4}}, {"mtu", 32, 32, vNum, []uint8{2}},
		{"id", 32, 16, vNum, []uint8{128, 129}}, {"sequence", 48, 16, vNum, []uint8{128, 129}},
		{"max-delay", 32, 16, vNum, []uint8{130}},
		{"taddr", 64, 128, vIP6, []uint8{135, 136, 137, 130, 131, 132}}, {"daddr", 192, 128, vIP6, []uint8{137}},
	}}
	hdrIGMP = &proto{name: "igmp", base: baseTransport, fields: []field{
		{"type", 0, 8, vNum, nil}, {"mrt", 8, 8, vNum, nil}, {"checksum", 16, 16, vNum, nil}, {"group", 32, 32, vIP4, nil},
	}}
	hdrUDP = &proto{name: "udp", base: baseTransport, fields: []field{
		{"sport", 0, 16, vNum, nil}, {"dport", 16, 16, vNum, nil}, {"length", 32, 16, vNum, nil}, {"checksum", 48, 16, vNum, nil},
	}}
	hdrUDPLite = &proto{name: "udplite", base: baseTransport, fields: []field{
		{"sport", 0, 16, vNum, nil}, {"dport", 16, 16, vNum, nil}, {"csumcov", 32, 16, vNum, nil}, {"checksum", 48, 16, vNum, nil},
	}}
	hdrTCP = &proto{name: "tcp", base: baseTransport, fields: []field{
		{"sport", 0, 16, vNum, nil}, {"dport", 16, 16, vNum, nil}, {"sequence", 32, 32, vNum, nil}, {"ackseq", 64, 32, vNum, nil},
		{"doff", 96, 4, vNum, nil}, {"reserved", 100, 4, vNum, nil}, {"flags", 104, 8, vBits, nil}, {"window", 112, 16, vNum, nil},
		{"checksum", 128, 16, vNum, nil}, {"urgptr", 144, 16, vNum, nil},
	}}
	hdrDCCP = &proto{name: "dccp", base: baseTransport, fields: []field{
		{"sport", 0, 16, vNum, nil}, {"dport", 16, 16, vNum, nil}, {"type", 67, 4, vNum, nil},
	}}
	hdrSCTP = &proto{name: "sctp", base: baseTransport, fields: []field{
		{"sport", 0, 16, vNum, nil}, {"dport", 16, 16, vNum, nil}, {"vtag", 32, 32, vNum, nil}, {"checksum", 64, 32, vNum, nil},
	}}
	hdrAH = &proto{name: "ah", base: baseTransport, fields: []field{
		{"nexthdr", 0, 8, vNum, nil}, {"hdrlength", 8, 8, vNum, nil}, {"reserved", 16, 16, vNum, nil}, {"spi", 32, 32, vNum, nil},
		{"sequence", 64, 32, vNum, nil},
	}}
	hdrESP = &proto{name: "esp", base: baseTransport, fields: []field{
		{"spi", 0, 32, vNum, nil}, {"sequence", 32, 32, vNum, nil},
	}}
	hdrComp = &proto{name: "comp", base: baseTransport, fields: []field{
		{"nexthdr", 0, 8, vNum, nil}, {"flags", 8, 8, vNum, nil}, {"cpi", 16, 16, vNum, nil},
	}}
	// hdrTh is any with ports first.
	hdrTh = &proto{name: "th", base: baseTransport, fields: []field{
		{"sport", 0, 16, vNum, nil}, {"dport", 16, 16, vNum, nil},
	}}
	// hdrOther is a protocol that is known to be none of the above.
	hdrOther = &proto{name: "unknown"}
)

// Protocols by the number that the layer below has for them.
var (
	byEtherType = map[uint64]*proto{0x0800: hdrIP, 0x86dd: hdrIP6, 0x0806: hdrARP, 0x8100: hdrVlan, 0x88a8: hdrVlan}
	byNFProto   = map[uint64]*proto{famIP: hdrIP, famIP6: hdrIP6}
	byL4Proto   = map[uint64]*proto{
		1: hdrICMP, 2: hdrIGMP, 6: hdrTCP, 17: hdrUDP, 33: hdrDCCP, 50: hdrESP, 51: hdrAH, 58: hdrICMP6, 108: hdrComp,
		132: hdrSCTP, 136: hdrUDPLite,
	}
)

// context is what a rule has said of its packets so far.
type context struct {
	family uint8
	// at are the protocols of the three bases; nil: not said.
	at [3]*proto
	// vlans are those stacked upon the link's.
	vlans int
	// icmp is the type of ICMP message that was asked for, -1: none.
	icmp int
}

func newContext(family uint8) context {
	c := context{family: family, icmp: -1}
	switch family {
	case famIP:
		c.at[baseNetwork] = hdrIP
	case famIP6:
		c.at[baseNetwork] = hdrIP6
	case famARP:
		c.at[baseNetwork] = hdrARP
	case famBridge:
		c.at[baseLink] = hdrEther
	}
	return c
}

// header finds whose header holds the bit at off after base, and where in the header that is.
func (c *context) header(base, off int) (*proto, int) {
	if base == baseInner {
		return nil, off
	}
	p := c.at[base]
	if p == hdrEther && off >= hdrEther.bits {
		at := off - hdrEther.bits
		if at < c.vlans*hdrVlan.bits {
			return hdrVlan, at % hdrVlan.bits
		}
	}
	return p, off
}

// find is the field of exactly these bits, nil where there is none.
func (c *context) find(p *proto, off, bits int) *field {
	if p == nil {
		return nil
	}
	for i := range p.fields {
		f := &p.fields[i]
		if f.off == off && f.bits == bits && c.has(f) {
			return f
		}
	}
	return nil
}

// from is the first field at off that has at most bits, or that all bits lie in.
func (c *context) from(p *proto, off int) *field {
	if p == nil {
		return nil
	}
	for i := range p.fields {
		f := &p.fields[i]
		if f.off == off && c.has(f) {
			return f
		}
	}
	return nil
}

func (c *context) has(f *field) bool {
	if len(f.icmp) == 0 || c.icmp < 0 {
		return true
	}
	for _, t := range f.icmp {
		if int(t) == c.icmp {
			return true
		}
	}
	return false
}

// known notes that a field of p was found to be n.
func (c *context) known(p *proto, f *field, n uint64) {
	if p == nil || p.key == "" || f.name != p.key {
		return
	}
	if p == hdrICMP || p == hdrICMP6 {
		c.icmp = int(n)
		return
	}
	if p.base == baseLink {
		c.above(p.base, byEtherType[n])
	} else {
		c.above(p.base, byL4Proto[n])
	}
}

// above notes the protocol above base.
func (c *context) above(base int, up *proto) {
	switch {
	case up == nil:
		if base+1 < len(c.at) {
			c.at[base+1] = hdrOther
		}
	case up == hdrVlan:
		c.vlans++
	default:
		c.at[up.base] = up
	}
}

// fieldKey is the field's name with its protocol's: "ip saddr".
func fieldKey(f *field) string { return fieldKeys[f] }

var fieldKeys = nameFields(hdrVlan, hdrEther, hdrARP, hdrIP, hdrIP6, hdrICMP, hdrICMP6, hdrIGMP, hdrUDP, hdrUDPLite,
	hdrTCP, hdrDCCP, hdrSCTP, hdrAH, hdrESP, hdrComp, hdrTh)

func nameFields(protos ...*proto) map[*field]string {
	names := map[*field]string{}
	for _, p := range protos {
		for i := range p.fields {
			names[&p.fields[i]] = p.name + " " + p.fields[i].name
		}
	}
	return names
}
