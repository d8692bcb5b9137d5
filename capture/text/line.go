package text

import (
	"encoding/binary"

	"github.com/nscope/nscope/capture/packet"
)

// Lines says packets in lines. It remembers connections, for sequence numbers that begin at 1; the zero value is ready.
type Lines struct {
	// Absolute has sequence numbers as they are.
	Absolute bool
	// PlaceWidth is the column of the place, so that lines stand below each other; 0 for none.
	PlaceWidth int
	clock      clock
	conns      conns
	place      *Place
	placeText  []byte
	tunnels    tunnels
}

// Append adds the line of a packet, with its newline.
func (l *Lines) Append(b []byte, e *Event) []byte {
	b = l.clock.append(b, e.Nanos)
	if e.Place != nil {
		if e.Place != l.place {
			l.place, l.placeText = e.Place, l.placeColumn(l.placeText[:0], e.Place)
		}
		b = append(b, l.placeText...)
	}
	b = l.peers(b, e)
	for i := range e.NT {
		b = l.tunnels.append(b, e, i)
	}
	b = l.Summary(b, e)
	if e.Drop > 0 {
		b = append(appendUint(append(b, " ["...), e.Drop), " lost before]"...)
	}
	return append(b, '\n')
}

// placeColumn is the place, padded; nothing where it has no name, as in a pcap file.
func (l *Lines) placeColumn(b []byte, p *Place) []byte {
	if p.Name == "" {
		return b
	}
	return append(pad(append(b, p.Name...), 0, l.PlaceWidth), ' ')
}

// Tunnels says the tunnels that a packet is in, "" for none.
func Tunnels(e *Event) string {
	var b []byte
	for i := range e.NT {
		b = tunnelText(b, e, i)
	}
	return string(b)
}

// peers says the direction and who is at the other end: of what is in the innermost headers.
func (l *Lines) peers(b []byte, e *Event) []byte {
	switch e.Dir {
	case Out:
		b = append(b, "▸ "...)
	case In:
		b = append(b, "◂ "...)
	}
	h := e.Inner()
	if e.N == 0 || !h.Src.IsValid() {
		return b
	}
	if e.Place == nil || e.Place.Names == nil && e.Place.Inside == nil {
		return b
	}
	src, dst := e.name(h.Src), e.name(h.Dst)
	own := e.Place.Own != nil
	switch {
	case src == "" && dst == "":
		return b
	case own && e.Place.Own[h.Src] && dst != "":
		b = append(b, dst...)
	case own && e.Place.Own[h.Dst] && src != "":
		b = append(b, src...)
	default:
		b = append(b, orDash(src)...)
		b = append(b, "→"...)
		b = append(b, orDash(dst)...)
	}
	return append(b, "  "...)
}

func orDash(s string) string {
	if s == "" {
		return "?"
	}
	return s
}

// tunnelText says what lies between Heads[i] and what is inside: "vxlan 4097 10.99.0.1→10.99.0.2 | ".
func tunnelText(b []byte, e *Event, i int) []byte {
	t, h := &e.Tunnels[i], &e.Heads[i]
	if t.Type == packet.ESPt {
		return b // it is the summary itself
	}
	b = append(b, t.Type.String()...)
	if t.GPE {
		b = append(b, "-gpe"...)
	}
	if t.HasVNI {
		b = appendUint(append(b, ' '), uint64(t.VNI))
	}
	if t.GBP {
		b = appendUint(append(b, " policy "...), uint64(t.Policy))
	}
	b = append(b, ' ')
	b = appendAddr(b, h.Src)
	b = append(b, "→"...)
	b = appendAddr(b, h.Dst)
	if h.Status&(packet.Fragment|packet.MoreFrags) != 0 {
		b = append(b, " first fragment"...)
	}
	return append(b, " | "...)
}

// Summary says the innermost headers, without time, place and tunnels.
func (l *Lines) Summary(b []byte, e *Event) []byte {
	if e.N == 0 {
		return append(b, "nothing captured"...)
	}
	h := e.Inner()
	for i := range h.NTags {
		b = appendUint(append(b, "vlan "...), uint64(h.VLAN(i)))
		b = append(b, ' ')
	}
	for i := range h.NLabels {
		b = appendUint(append(b, "mpls "...), uint64(e.Label(h, i)))
		b = append(b, ' ')
	}
	switch {
	case h.ARP:
		b = arp(b, e, h)
	case h.Version != 0:
		b = l.ip(b, e, h)
	default:
		b = other(b, e, h)
	}
	return status(b, e, h)
}

// status says what is wrong with a packet.
func status(b []byte, e *Event, h *packet.Head) []byte {
	s := e.Status()
	if s&packet.Malformed != 0 {
		b = append(b, " [malformed]"...)
	}
	if s&packet.Truncated != 0 {
		b = append(b, " [cut off]"...)
	}
	if s&packet.BadIPSum != 0 {
		b = append(b, " [bad IP checksum]"...)
	}
	if s&packet.BadL4Sum != 0 {
		b = append(b, " [bad checksum]"...)
	}
	if e.Deeper {
		b = append(b, " [more tunnels inside]"...)
	}
	return b
}

func arp(b []byte, e *Event, h *packet.Head) []byte {
	a := e.Data[h.Net:]
	name := "ARP"
	if h.EtherType == packet.TypeRARP {
		name = "RARP"
	}
	b = append(b, name...)
	switch op := binary.BigEndian.Uint16(a[6:]); op {
	case 1:
		b = appendAddr(append(b, " who-has "...), h.Dst)
		b = appendAddr(append(b, " tell "...), h.Src)
	case 2:
		b = appendAddr(append(b, ' '), h.Src)
		b = appendMAC(append(b, " is-at "...), a[8:14])
	case 3:
		b = appendMAC(append(b, " who-is "...), a[18:24])
		b = appendMAC(append(b, " tell "...), a[8:14])
	default:
		b = appendUint(append(b, " op "...), uint64(op))
	}
	return b
}

// other is a frame that is neither IP nor ARP for IPv4.
func other(b []byte, e *Event, h *packet.Head) []byte {
	if h.Ether >= 0 {
		b = appendMAC(b, e.Data[h.Ether+6:h.Ether+12])
		b = append(b, " → "...)
		b = appendMAC(b, e.Data[h.Ether:h.Ether+6])
		b = append(b, ' ')
	}
	switch {
	case h.LLC:
		b = append(b, "802.2"...)
		if p := e.Bytes(h.Payload, h.Payload+3); len(p) == 3 && p[0] == 0x42 && p[1] == 0x42 {
			b = append(b, " STP"...)
		}
	case etherNames[h.EtherType] != "":
		b = append(b, etherNames[h.EtherType]...)
	case h.EtherType != 0:
		b = appendHex(append(b, "ethertype "...), uint64(h.EtherType))
	case e.Link != packet.Ethernet && h.Ether < 0:
		b = append(b, "no IP"...)
	}
	b = append(b, " length "...)
	return appendInt(b, max(min(h.End, e.Len)-h.Start, 0))
}

var etherNames = map[uint16]string{
	packet.TypeARP: "ARP", packet.TypeRARP: "RARP", packet.TypeIPv4: "IPv4", packet.TypeIPv6: "IPv6", 0x88cc: "LLDP", 0x8847: "MPLS", 0x8848: "MPLS", 0x8863: "PPPoE-D", 0x8864: "PPPoE", 0x88e5: "MACsec", 0x8809: "LACP", 0x888e: "EAPOL", 0x9000: "loopback test",
}

func (l *Lines) ip(b []byte, e *Event, h *packet.Head) []byte {
	if h.HasPorts() {
		b = appendAddrPort(b, h.Src, h.SrcPort)
		b = append(b, " → "...)
		b = appendAddrPort(b, h.Dst, h.DstPort)
	} else {
		b = appendAddr(b, h.Src)
		b = append(b, " → "...)
		b = appendAddr(b, h.Dst)
	}
	b = append(b, ' ')
	if h.Status&packet.Fragment != 0 {
		b = append(b, protoName(h)...)
		b = appendInt(append(b, " fragment at "...), h.FragOff)
		b = appendInt(append(b, " len "...), h.End-h.Payload)
		if h.Status&packet.MoreFrags != 0 {
			b = append(b, '+')
		}
		return b
	}
	switch h.Proto {
	case packet.TCP:
		b = l.tcp(b, e, h)
	case packet.UDP, packet.UDPLite:
		b = append(b, protoName(h)...)
		b = appendInt(append(b, " len "...), max(h.End-h.Payload, 0))
		b = app(b, e.PayloadOf(h), false)
	case packet.ICMP, packet.ICMPv6:
		b = icmp(b, e, h)
	case packet.SCTP:
		b = sctp(b, e, h)
	case packet.ESP:
		b = append(b, "ESP"...)
		if t := e.Tunnel(); t.Type == packet.ESPt && t.HasVNI {
			b = appendHex(append(b, " spi "...), uint64(t.VNI))
		}
		b = appendInt(append(b, " len "...), h.End-h.Payload)
	default:
		b = append(b, protoName(h)...)
		b = appendInt(append(b, " len "...), max(h.End-h.Payload, 0))
	}
	if h.Status&packet.MoreFrags != 0 {
		b = append(b, " first fragment"...)
	}
	return b
}

var protoNames = [256]string{
	packet.TCP: "TCP", packet.UDP: "UDP", packet.UDPLite: "UDP-Lite", packet.ICMP: "ICMP", packet.ICMPv6: "ICMPv6", packet.IGMP: "IGMP", packet.SCTP: "SCTP", packet.ESP: "ESP", packet.AH: "AH",
	packet.GRE: "GRE", packet.IPIP: "IPIP", packet.IPv6Proto: "IPv6-in-IP", packet.NoNext: "no payload", 89: "OSPF", 103: "PIM", 112: "VRRP",
}

func protoName(h *packet.Head) string {
	if n := protoNames[h.Proto]; n != "" {
		return n
	}
	return "proto " + string(appendUint(nil, uint64(h.Proto)))
}
