package packet

import (
	"encoding/binary"
	"net/netip"
)

func (d *Decoder) ipv4(p *Packet, h *Head, off int) {
	h.Net, h.Payload = off, off
	if !p.have(h, off, 20) {
		return
	}
	b := p.Data[off:]
	ihl := int(b[0]&15) * 4
	if b[0]>>4 != 4 || ihl < 20 {
		h.Status |= Malformed
		return
	}
	h.Version = 4
	h.Src, h.Dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	h.Proto = b[9]
	total := int(binary.BigEndian.Uint16(b[2:]))
	switch {
	case total == 0 && h.End-off > 20: // segmentation offload of more than 64 KiB (or a driver's): the frame's length counts
	case total < ihl:
		h.Status |= Malformed
		return
	case off+total > h.End:
		h.Status |= Malformed
	default:
		h.End = off + total // what follows is padding
	}
	h.Payload = off + ihl
	if !p.have(h, off, ihl) {
		return
	}
	if d.Checksums && !headerOK(b[:ihl]) {
		h.Status |= BadIPSum
	}
	frag := binary.BigEndian.Uint16(b[6:])
	h.FragOff = int(frag&0x1fff) * 8
	if frag&0x2000 != 0 {
		h.Status |= MoreFrags
	}
	if h.FragOff != 0 {
		h.Status |= Fragment
		return
	}
	d.transport(p, h, off+ihl)
}

func (d *Decoder) ipv6(p *Packet, h *Head, off int) {
	h.Net, h.Payload = off, off
	if !p.have(h, off, 40) {
		return
	}
	b := p.Data[off:]
	if b[0]>>4 != 6 {
		h.Status |= Malformed
		return
	}
	h.Version = 6
	h.Src, h.Dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	h.Proto = b[6]
	n := int(binary.BigEndian.Uint16(b[4:]))
	switch {
	case n == 0 && h.End-off > 40 && b[6] != NoNext: // a jumbogram, or segmentation offload of more than 64 KiB
	case off+40+n > h.End:
		h.Status |= Malformed
	default:
		h.End = off + 40 + n
	}
	d.extensions(p, h, off+40)
}

// maxExtensions bounds the chain of a hostile packet; RFC 8200 has each header once (destination options twice).
const maxExtensions = 16

// extensions walks IPv6 extension headers to the transport.
func (d *Decoder) extensions(p *Packet, h *Head, off int) {
	for range maxExtensions {
		h.Payload = off
		switch h.Proto {
		case HopByHop, Routing, DestOpts, Mobility, HIP, Shim6:
			if !p.have(h, off, 8) {
				return
			}
			h.Proto, off = p.Data[off], off+int(p.Data[off+1])*8+8
		case FragHdr:
			if !p.have(h, off, 8) {
				return
			}
			frag := binary.BigEndian.Uint16(p.Data[off+2:])
			h.FragHdr, h.FragOff = off, int(frag&0xfff8)
			if frag&1 != 0 {
				h.Status |= MoreFrags
			}
			h.Proto, off = p.Data[off], off+8
			if h.FragOff != 0 {
				h.Status |= Fragment
				h.Payload = off
				return
			}
		default:
			if off > h.End {
				h.Status |= Malformed
				return
			}
			d.transport(p, h, off)
			return
		}
	}
	h.Status |= Malformed
}

// transport reads what follows IP. AH is stepped over, also after IPv4.
func (d *Decoder) transport(p *Packet, h *Head, off int) {
	for h.Proto == AH {
		h.Payload = off
		if !p.have(h, off, 12) {
			return
		}
		n := (int(p.Data[off+1]) + 2) * 4
		if n < 12 {
			h.Status |= Malformed
			return
		}
		h.Proto, off = p.Data[off], off+n
	}
	h.Payload = off
	switch h.Proto {
	case TCP:
		if !p.have(h, off, 20) {
			d.ports(p, h, off)
			return
		}
		d.ports(p, h, off)
		n := int(p.Data[off+12]>>4) * 4
		if n < 20 || off+n > h.End {
			h.Status |= Malformed
			h.Payload = min(off+20, h.End)
			return
		}
		h.Payload = off + n
		if off+n > len(p.Data) {
			h.Status |= Truncated
		}
	case UDP, UDPLite:
		ok := p.have(h, off, 8)
		d.ports(p, h, off)
		if !ok {
			return
		}
		h.Payload = off + 8
		if h.Proto == UDP {
			switch n := int(binary.BigEndian.Uint16(p.Data[off+4:])); {
			case n == 0: // a jumbogram, or segmentation offload
			case n < 8:
				h.Status |= Malformed
				return // there is no payload
			case off+n > h.End && h.Status&MoreFrags == 0:
				h.Status |= Malformed
			case off+n < h.End:
				h.End = off + n
			}
		}
	case SCTP:
		ok := p.have(h, off, 12)
		d.ports(p, h, off)
		if !ok {
			return
		}
		h.Payload = off + 12
	case ICMP, ICMPv6:
		if !p.have(h, off, 4) {
			return
		}
		h.L4, h.Payload = off, off+min(8, h.End-off)
	}
	if d.Checksums {
		d.verify(p, h)
	}
	d.tunnel(p, h)
}

// ports reads two port numbers, where at least these were captured.
func (d *Decoder) ports(p *Packet, h *Head, off int) {
	if off+4 > len(p.Data) || off+4 > h.End {
		return
	}
	h.L4 = off
	h.SrcPort, h.DstPort = binary.BigEndian.Uint16(p.Data[off:]), binary.BigEndian.Uint16(p.Data[off+2:])
}
