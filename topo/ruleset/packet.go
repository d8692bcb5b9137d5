package ruleset

import (
	"net/netip"
)

// Fields is a set of what a [Packet] may say.
type Fields uint64

// What a description of a packet may say. A field that it does not say is open: a rule that asks for it is a [Maybe].
const (
	FIn Fields = 1 << iota
	FOut
	FPhys // PhysIn, PhysOut: the bridge ports, none where empty
	FSrc
	FDst
	FProto
	FSport
	FDport
	FICMP // ICMPType and ICMPCode
	FTCPFlags
	FMark
	FCt       // Ct
	FCtStatus // CtStatus
	FCtMark
	FCtDir
	FCtTuple // Orig
	FMAC     // SrcMAC, DstMAC
	FLength
	FTTL
	FTOS
	FUID
	FGID
	FFrag // Frag
	FPktType
	FPriority
	FXfrm // the packet has no IPsec behind or before it
	FIPVS // IPVS does not handle it
	FARP  // ARP
)

// The states that conntrack gives a packet, as bits of nftables' "ct state" (include/uapi/linux/netfilter/nf_conntrack_common.h).
const (
	CtInvalid     = 1
	CtEstablished = 2
	CtRelated     = 4
	CtNew         = 8
	CtUntracked   = 64
)

// Bits of "ct status": IPS_SRC_NAT and IPS_DST_NAT among them.
const (
	CtSeenReply = 0x2
	CtAssured   = 0x4
	CtConfirmed = 0x8
	CtSNAT      = 0x10
	CtDNAT      = 0x20
)

// Iface is a network interface as rules know it. The zero Iface is none.
type Iface struct {
	Index int    `json:"index,omitempty"`
	Name  string `json:"name,omitempty"`
	Group uint32 `json:"group,omitempty"`
	// Kind is the kind of the link ("veth"), Type the hardware type as a number (ARPHRD_ETHER 1, ARPHRD_LOOPBACK 772), 0 unknown.
	Kind string `json:"kind,omitempty"`
	Type uint16 `json:"type,omitempty"`
}

// Tuple is one direction of a connection.
type Tuple struct {
	Src netip.AddrPort `json:"src"`
	Dst netip.AddrPort `json:"dst"`
}

// Packet describes one packet at one place. Ports, marks and addresses are numbers, not bytes in any order.
type Packet struct {
	// Family is ip, ip6 or arp.
	Family string `json:"family"`
	// Known says which of the fields below mean something.
	Known Fields `json:"-"`

	In      Iface  `json:"in,omitzero"`  // none for what is sent by the namespace itself
	Out     Iface  `json:"out,omitzero"` // none before routing
	PhysIn  string `json:"phys_in,omitempty"`
	PhysOut string `json:"phys_out,omitempty"`
	// InBridge and OutBridge are the bridges of In and Out, at a hook of the bridge family.
	InBridge  string `json:"in_bridge,omitempty"`
	OutBridge string `json:"out_bridge,omitempty"`
	SrcMAC    string `json:"src_mac,omitempty"`
	DstMAC    string `json:"dst_mac,omitempty"`

	Src      netip.Addr `json:"src,omitzero"`
	Dst      netip.Addr `json:"dst,omitzero"`
	Proto    uint8      `json:"proto"`
	Sport    uint16     `json:"sport,omitempty"`
	Dport    uint16     `json:"dport,omitempty"`
	ICMPType uint8      `json:"icmp_type,omitempty"`
	ICMPCode uint8      `json:"icmp_code,omitempty"`
	// TCPFlags as in the header: fin 1, syn 2, rst 4, psh 8, ack 16, urg 32.
	TCPFlags uint8 `json:"tcp_flags,omitempty"`
	// Length is that of the IP packet with its header, in bytes.
	Length uint32 `json:"length,omitempty"`
	TTL    uint8  `json:"ttl,omitempty"`
	TOS    uint8  `json:"tos,omitempty"`
	// Frag is the offset in the fragment field, 0 for a packet that is whole or a first fragment.
	Frag uint16 `json:"frag,omitempty"`

	Mark     uint32 `json:"mark,omitempty"`
	Priority uint32 `json:"priority,omitempty"`
	// PktType is that of the frame: host 0, broadcast 1, multicast 2, otherhost 3, outgoing 4.
	PktType uint8 `json:"pkttype,omitempty"`
	// Local: sent by a socket of this namespace, of UID and GID.
	Local bool   `json:"local,omitempty"`
	UID   uint32 `json:"uid,omitempty"`
	GID   uint32 `json:"gid,omitempty"`

	// Ct is the state that conntrack gives it (one of the bits Ct…), once it sees it. In a chain of type nat only what is
	// new or related is looked at.
	Ct       uint8  `json:"ct,omitempty"`
	CtStatus uint32 `json:"ct_status,omitempty"`
	CtMark   uint32 `json:"ct_mark,omitempty"`
	// Reply: it goes against the direction of its connection.
	Reply bool `json:"reply,omitempty"`
	// Orig is the connection's first direction.
	Orig Tuple `json:"orig,omitzero"`
	// Untracked: a rule has said notrack.
	Untracked bool `json:"untracked,omitempty"`
	// Tracked: conntrack has seen it.
	Tracked bool `json:"tracked,omitempty"`
	// srcDone and dstDone: the kind of translation was looked for already, at an earlier hook; it is done once.
	srcDone, dstDone bool
	// ARP is what a packet of the family arp says, beside the IP addresses Src and Dst.
	ARP ARP `json:"arp,omitzero"`
	// NextHop is where a route leads, for masquerade, which picks its address by it.
	NextHop netip.Addr `json:"next_hop,omitzero"`
}

// Protocols.
const (
	ICMP    = 1
	TCP     = 6
	UDP     = 17
	DCCP    = 33
	ICMPv6  = 58
	SCTP    = 132
	UDPLite = 136
)

// whole are the fields that every description made here says.
const whole = FPhys | FSrc | FDst | FProto | FMark | FCt | FCtStatus | FCtMark | FCtDir | FCtTuple | FFrag | FPriority | FXfrm | FIPVS

// ARP is an ARP packet about IPv4 over Ethernet (RFC 826): the operation (request 1, reply 2) and the hardware addresses of its sender and
// target, of which a request has zeros for the latter.
type ARP struct {
	Op     uint16 `json:"op"`
	SrcMAC string `json:"src_mac"`
	DstMAC string `json:"dst_mac"`
}

// AboutARP describes an ARP packet: src and dst are the protocol addresses of sender and target. Interfaces and the frame are open.
func AboutARP(a ARP, src, dst netip.Addr) Packet {
	return Packet{Known: FARP | FSrc | FDst | FMark | FPriority, Family: "arp", Src: src, Dst: dst, ARP: a}
}

// First describes the first packet of a connection: a TCP SYN, a UDP datagram, of another protocol a packet without ports.
// It is not fragmented, has no mark, and comes through no bridge port; interfaces, TTL, length, MAC and owner are open.
func First(proto uint8, src, dst netip.AddrPort) Packet {
	p := Packet{
		Known: whole, Family: family(dst.Addr()), Src: src.Addr(), Dst: dst.Addr(), Proto: proto,
		Ct: CtNew, Orig: Tuple{src, dst},
	}
	if HasPorts(proto) {
		p.Known |= FSport | FDport
		p.Sport, p.Dport = src.Port(), dst.Port()
	}
	if proto == TCP {
		p.Known |= FTCPFlags
		p.TCPFlags = 2
	}
	return p
}

// Ping describes an echo request.
func Ping(src, dst netip.Addr) Packet {
	proto, typ := uint8(ICMP), uint8(8)
	if dst.Is6() {
		proto, typ = ICMPv6, 128
	}
	p := First(proto, netip.AddrPortFrom(src, 0), netip.AddrPortFrom(dst, 0))
	p.ICMPType = typ
	p.Known |= FICMP
	return p
}

// HasPorts tells whether a protocol has ports where TCP has them.
func HasPorts(proto uint8) bool {
	switch proto {
	case TCP, UDP, UDPLite, DCCP, SCTP:
		return true
	}
	return false
}

func family(a netip.Addr) string {
	if a.Is6() {
		return "ip6"
	}
	return "ip"
}

// Says tells whether all of f is said.
func (p *Packet) Says(f Fields) bool { return p.Known&f == f }

func (p *Packet) open(f Fields) { p.Known &^= f }
