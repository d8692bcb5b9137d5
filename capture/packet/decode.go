package packet

import (
	"encoding/binary"
	"net/netip"
)

// Well-known UDP ports of tunnels.
const (
	PortVXLAN      = 4789
	PortVXLANLinux = 8472 // Linux' default from before the port was assigned, and flannel's
	PortVXLANGPE   = 4790
	PortGeneve     = 6081
	PortFlannelUDP = 8285
)

// Decoder knows which UDP ports carry tunnels. The zero Decoder knows the well-known ones.
type Decoder struct {
	// VXLANPorts are further ports of VXLAN: those that the host's vxlan links use.
	VXLANPorts []uint16
	// Checksums has those of IPv4, TCP, UDP, ICMP verified, where the whole packet was captured.
	Checksums bool
}

// Decode finds the headers of a frame of wireLen bytes, of which data were captured.
func (d *Decoder) Decode(p *Packet, data []byte, wireLen int, link LinkType) {
	p.Reset(data, wireLen, link)
	h := p.next(0, p.Len)
	switch link {
	case Ethernet:
		d.ether(p, h, 0)
	case RawIP:
		d.ip(p, h, 0)
	case RawIPv4:
		d.ipv4(p, h, 0)
	case RawIPv6:
		d.ipv6(p, h, 0)
	case Null, Loop:
		d.null(p, h)
	case LinuxSLL:
		d.cooked(p, h, 16, 14, 0)
	case LinuxSLL2:
		d.cooked(p, h, 20, 0, 10)
	}
	if d.Checksums && p.N > 1 && p.Heads[p.N-1].Status&Offloaded != 0 {
		// The outer checksum is over what the device will have made of the inner one (local checksum offload, Linux'
		// Documentation/networking/checksum-offloads.rst).
		for i := range p.N - 1 {
			p.Heads[i].Status &^= BadL4Sum
		}
	}
}

// Reset takes a frame in which nothing is looked for: there are no heads.
func (p *Packet) Reset(data []byte, wireLen int, link LinkType) {
	p.Data, p.Len, p.Link = data, max(wireLen, len(data)), link
	p.N, p.NT, p.SLLType, p.Deeper = 0, 0, 0, false
}

// next begins another head, which must exist (p.N < MaxHeads). Only what is read before it is written is cleared.
func (p *Packet) next(start, end int) *Head {
	h := &p.Heads[p.N]
	p.N++
	h.Start, h.Ether, h.EtherType, h.LLC, h.NTags, h.MPLS, h.NLabels = start, -1, 0, false, 0, -1, 0
	h.Net, h.Version, h.ARP, h.Proto, h.FragOff, h.FragHdr = -1, 0, false, 0, 0, -1
	h.Src, h.Dst = netip.Addr{}, netip.Addr{}
	h.L4, h.SrcPort, h.DstPort = -1, 0, 0
	h.Payload, h.End, h.Status = start, end, 0
	return h
}

// have tells whether n bytes at off are captured, and marks why not.
func (p *Packet) have(h *Head, off, n int) bool {
	if off+n <= len(p.Data) && off+n <= h.End {
		return true
	}
	if off+n > h.End && h.Status&MoreFrags == 0 {
		h.Status |= Malformed // the packet itself ends before
	} else {
		h.Status |= Truncated
	}
	return false
}

func (d *Decoder) ether(p *Packet, h *Head, off int) {
	if !p.have(h, off, 14) {
		return
	}
	h.Ether = off
	typ := binary.BigEndian.Uint16(p.Data[off+12:])
	d.typed(p, h, off+14, typ)
}

// typed goes on after an EtherType, through tags.
func (d *Decoder) typed(p *Packet, h *Head, off int, typ uint16) {
	for typ == TypeVLAN || typ == TypeQinQ || typ == TypeQOld {
		if h.NTags == maxTags {
			h.EtherType, h.Payload = typ, off
			return
		}
		if !p.have(h, off, 4) {
			h.EtherType, h.Payload = typ, off
			return
		}
		h.Tags[h.NTags], h.TagTypes[h.NTags] = binary.BigEndian.Uint16(p.Data[off:]), typ
		h.NTags++
		typ = binary.BigEndian.Uint16(p.Data[off+2:])
		off += 4
	}
	h.Payload = off
	if typ < 0x600 { // 802.3: a length, then 802.2
		h.LLC = true
		if end := off + int(typ); end <= h.End {
			h.End = end
		} else {
			h.Status |= Malformed
		}
		return
	}
	h.EtherType = typ
	switch typ {
	case TypeIPv4:
		d.ipv4(p, h, off)
	case TypeIPv6:
		d.ipv6(p, h, off)
	case TypeARP, TypeRARP:
		d.arp(p, h, off)
	case TypeMPLS, TypeMPLSMulti:
		d.mpls(p, h, off)
	}
}

// mpls steps over a label stack: label 20 bits, traffic class 3, bottom of stack 1, TTL 8 (RFC 3032 §2.1). What is below it no field says: it is
// taken for IP where it begins as such (RFC 4928 §3), and left closed else.
func (d *Decoder) mpls(p *Packet, h *Head, off int) {
	h.MPLS = off
	for range maxLabels {
		if !p.have(h, off, 4) {
			return
		}
		bottom := p.Data[off+2]&1 != 0
		h.NLabels++
		off += 4
		h.Payload = off
		if !bottom {
			continue
		}
		if off < len(p.Data) && off < h.End {
			switch p.Data[off] >> 4 {
			case 4:
				d.ipv4(p, h, off)
			case 6:
				d.ipv6(p, h, off)
			}
		}
		return
	}
}

// null is a BSD loopback header. AF_INET is 2 everywhere, AF_INET6 is 10, 23, 24, 28 or 30 by system.
func (d *Decoder) null(p *Packet, h *Head) {
	if !p.have(h, 0, 4) {
		return
	}
	af := binary.BigEndian.Uint32(p.Data)
	if af > 0xffff { // the other byte order
		af = binary.LittleEndian.Uint32(p.Data)
	}
	h.Payload = 4
	switch af {
	case 2:
		h.EtherType = TypeIPv4
		d.ipv4(p, h, 4)
	case 10, 23, 24, 28, 30:
		h.EtherType = TypeIPv6
		d.ipv6(p, h, 4)
	}
}

// cooked is a Linux SLL or SLL2 header: length, and where protocol and packet type stand in it.
func (d *Decoder) cooked(p *Packet, h *Head, size, proto, kind int) {
	if !p.have(h, 0, size) {
		return
	}
	if size == 20 {
		p.SLLType = uint16(p.Data[kind])
	} else {
		p.SLLType = binary.BigEndian.Uint16(p.Data[kind:])
	}
	d.typed(p, h, size, binary.BigEndian.Uint16(p.Data[proto:]))
}

func (d *Decoder) ip(p *Packet, h *Head, off int) {
	if !p.have(h, off, 1) {
		return
	}
	switch p.Data[off] >> 4 {
	case 4:
		h.EtherType = TypeIPv4
		d.ipv4(p, h, off)
	case 6:
		h.EtherType = TypeIPv6
		d.ipv6(p, h, off)
	default:
		h.Status |= Malformed
	}
}

// arp reads an ARP packet for IPv4 over Ethernet; others stay without addresses.
func (d *Decoder) arp(p *Packet, h *Head, off int) {
	h.Net, h.Payload = off, off
	if !p.have(h, off, 8) {
		return
	}
	b := p.Data[off:]
	if binary.BigEndian.Uint16(b) != 1 || binary.BigEndian.Uint16(b[2:]) != TypeIPv4 || b[4] != 6 || b[5] != 4 {
		return
	}
	if !p.have(h, off, 28) {
		return
	}
	h.ARP = true
	h.Src, h.Dst = netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	h.Payload, h.End = off+28, off+28
}
