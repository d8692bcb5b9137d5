package packet

import (
	"encoding/binary"
	"net/netip"
)

// LinkType is a link layer header's type, as pcap numbers them (https://www.tcpdump.org/linktypes.html).
type LinkType uint16

// The link types that are decoded.
const (
	Null      LinkType = 0   // BSD loopback: 4 bytes of address family in the writer's byte order
	Ethernet  LinkType = 1   //
	RawIP     LinkType = 101 // IPv4 or IPv6, told by its first four bits
	Loop      LinkType = 108 // OpenBSD loopback: 4 bytes of address family in network byte order
	LinuxSLL  LinkType = 113 // "any" device, cooked
	RawIPv4   LinkType = 228
	RawIPv6   LinkType = 229
	LinuxSLL2 LinkType = 276 // "any" device, cooked, with an ifindex
)

// Status tells how far a Head could be read.
type Status uint8

// The bits of a [Status].
const (
	Truncated Status = 1 << iota // the snap length cut a header off
	Malformed                    // a length or version contradicts itself
	BadIPSum                     // the IPv4 header's checksum is wrong
	BadL4Sum                     // the transport's checksum is wrong
	Offloaded                    // the transport's checksum is still to be filled in by the device
	Fragment                     // a fragment but the first: there is no transport header
	MoreFrags                    // a first or middle fragment
)

// IP protocol numbers that are told apart.
const (
	HopByHop  = 0
	ICMP      = 1
	IGMP      = 2
	IPIP      = 4
	TCP       = 6
	UDP       = 17
	IPv6Proto = 41
	Routing   = 43
	FragHdr   = 44
	GRE       = 47
	ESP       = 50
	AH        = 51
	ICMPv6    = 58
	NoNext    = 59
	DestOpts  = 60
	SCTP      = 132
	Mobility  = 135
	UDPLite   = 136
	HIP       = 139
	Shim6     = 140
)

// EtherTypes that are told apart.
const (
	TypeIPv4      = 0x0800
	TypeARP       = 0x0806
	TypeTEB       = 0x6558 // Ethernet in a tunnel
	TypeRARP      = 0x8035
	TypeVLAN      = 0x8100
	TypeIPv6      = 0x86dd
	TypeQinQ      = 0x88a8
	TypeQOld      = 0x9100
	TypeMPLS      = 0x8847
	TypeMPLSMulti = 0x8848
)

// maxLabels is how many MPLS labels are stepped over.
const maxLabels = 8

// maxTags is how many 802.1Q tags of one Ethernet header are kept; a further one ends the walk.
const maxTags = 4

// MaxHeads is how many groups of headers are followed: the outermost and two nested in tunnels.
const MaxHeads = 3

// Head is one run of headers, from a link's or tunnel's first byte to the transport's. Offsets are from the beginning of
// the frame, -1 where there is no such header.
type Head struct {
	// Start is where it begins.
	Start int
	// Ether is the Ethernet header's offset: destination, source, type.
	Ether int
	// EtherType is the payload's, after all tags; 0 for 802.3 with a length (then LLC).
	EtherType uint16
	// LLC tells that an 802.2 header follows in place of a type.
	LLC bool
	// Tags are the 802.1Q tags (TCI, host byte order) from the outermost; TagTypes their EtherTypes.
	Tags     [maxTags]uint16
	TagTypes [maxTags]uint16
	NTags    int
	// MPLS is the offset of the label stack, -1 for none; NLabels how many labels of 4 bytes there are.
	MPLS, NLabels int
	// Net is the offset of the IP or ARP header; Version is 4 or 6 for IP, 0 else.
	Net     int
	Version uint8
	// ARP tells that Net is an ARP or RARP header for IPv4 over Ethernet, whole.
	ARP bool
	// Proto is the transport's protocol number, after all extension headers.
	Proto uint8
	// FragOff is the fragment's offset in bytes; FragHdr the IPv6 fragment header's offset, -1 for none.
	FragOff int
	FragHdr int
	// Src and Dst are those of IP, or of ARP (sender and target).
	Src, Dst netip.Addr
	// L4 is the offset of the transport header, -1 where there is none (another fragment, nothing captured).
	L4 int
	// SrcPort and DstPort are TCP's, UDP's, SCTP's; 0 else.
	SrcPort, DstPort uint16
	// Payload is the offset of what follows the transport header (or the IP header), End where the IP packet (or the
	// frame) ends; both may lie beyond what was captured.
	Payload int
	End     int
	Status  Status
}

// HasPorts tells whether SrcPort and DstPort were read.
func (h *Head) HasPorts() bool {
	return h.L4 >= 0 && (h.Proto == TCP || h.Proto == UDP || h.Proto == SCTP || h.Proto == UDPLite)
}

// VLAN is the i-th tag's VLAN id.
func (h *Head) VLAN(i int) uint16 { return h.Tags[i] & 0xfff }

// Label is the i-th MPLS label, from the outermost.
func (p *Packet) Label(h *Head, i int) uint32 {
	return binary.BigEndian.Uint32(p.Data[h.MPLS+4*i:]) >> 12
}

// TunnelType is what one Head is inside of the one before.
type TunnelType uint8

// The tunnels.
const (
	NoTunnel TunnelType = iota
	VXLAN
	FlannelUDP
	Geneve
	GREt
	IPIPt
	ESPt // not opened: there is no Head inside
)

var tunnelNames = [...]string{"", "vxlan", "flannel-udp", "geneve", "gre", "ipip", "esp"}

func (t TunnelType) String() string { return tunnelNames[t] }

// Tunnel is the header between two Heads.
type Tunnel struct {
	Type TunnelType
	// Off is the tunnel header's offset.
	Off int
	// VNI is VXLAN's or Geneve's network identifier, GRE's key, or ESP's SPI; HasVNI where there is one.
	VNI    uint32
	HasVNI bool
	// Port is the UDP port by which it was recognised (the destination's).
	Port uint16
	// GBP and GPE tell of VXLAN's extensions; Policy is GBP's group.
	GBP, GPE bool
	Policy   uint16
}

// Packet is a decoded frame. It may be used again and again.
type Packet struct {
	// Data are the captured bytes, Len how many there were on the wire.
	Data []byte
	Len  int
	Link LinkType
	// Heads[:N] are the headers found, the outermost first; Tunnels[i] lies between Heads[i] and Heads[i+1]. The last tunnel
	// may lead to none: ESP, or a payload that is cut off or unknown.
	Heads   [MaxHeads]Head
	N       int
	Tunnels [MaxHeads]Tunnel
	NT      int
	// SLLType is a cooked (SLL) header's packet type: 0 to us, 1 broadcast, 2 multicast, 3 to another host, 4 sent by us.
	SLLType uint16
	// Deeper tells that another tunnel was left closed because MaxHeads was reached.
	Deeper bool
}

// Outer is the outermost head.
func (p *Packet) Outer() *Head { return &p.Heads[0] }

// Inner is the innermost head: of a frame without a tunnel the outermost.
func (p *Packet) Inner() *Head { return &p.Heads[max(p.N-1, 0)] }

// Tunnel is the innermost tunnel, of type NoTunnel where there is none.
func (p *Packet) Tunnel() Tunnel {
	if p.NT == 0 {
		return Tunnel{}
	}
	return p.Tunnels[p.NT-1]
}

// Status is that of all heads together.
func (p *Packet) Status() (s Status) {
	for i := range p.N {
		s |= p.Heads[i].Status
	}
	return s
}

// Bytes are the captured bytes of [from, to), fewer where the capture ends before.
func (p *Packet) Bytes(from, to int) []byte {
	to = min(to, len(p.Data))
	if from < 0 || from >= to {
		return nil
	}
	return p.Data[from:to:to]
}

// PayloadOf are the captured bytes after a head's last header, within its packet.
func (p *Packet) PayloadOf(h *Head) []byte { return p.Bytes(h.Payload, h.End) }
