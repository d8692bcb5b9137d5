package packet

import (
	"encoding/binary"
	"math"
	"slices"
)

// tunnel looks whether a transport's payload is a tunnel, and decodes what is in it.
func (d *Decoder) tunnel(p *Packet, h *Head) {
	switch h.Proto {
	case UDP:
		if h.L4 < 0 || h.Payload > len(p.Data) {
			return
		}
		switch port := h.DstPort; {
		case port == PortVXLAN, port == PortVXLANLinux, port == PortVXLANGPE, len(d.VXLANPorts) > 0 && slices.Contains(d.VXLANPorts, port):
			d.vxlan(p, h)
		case port == PortGeneve:
			d.geneve(p, h)
		case port == PortFlannelUDP:
			d.flannel(p, h)
		}
	case IPIP, IPv6Proto:
		t := Tunnel{Type: IPIPt, Off: h.Payload}
		if in := d.enter(p, h, t, h.Payload); in != nil {
			if h.Proto == IPIP {
				in.EtherType = TypeIPv4
				d.ipv4(p, in, in.Start)
			} else {
				in.EtherType = TypeIPv6
				d.ipv6(p, in, in.Start)
			}
		}
	case GRE:
		d.gre(p, h)
	case ESP:
		t := Tunnel{Type: ESPt, Off: h.Payload}
		if p.have(h, h.Payload, 8) {
			t.VNI, t.HasVNI = binary.BigEndian.Uint32(p.Data[h.Payload:]), true
		}
		p.addTunnel(t)
	}
}

func (p *Packet) addTunnel(t Tunnel) {
	if p.NT < len(p.Tunnels) {
		p.Tunnels[p.NT] = t
		p.NT++
	}
}

// enter begins the head inside a tunnel, nil where it is too deep.
func (d *Decoder) enter(p *Packet, h *Head, t Tunnel, start int) *Head {
	if p.N == MaxHeads {
		p.Deeper = true
		return nil
	}
	p.addTunnel(t)
	end := h.End
	if h.Status&MoreFrags != 0 {
		end = math.MaxInt32 // the rest is in other fragments: that is no fault of what is inside
	}
	return p.next(start, end)
}

// vxlan: flags 8 bits, reserved or group policy 24, VNI 24, reserved 8 (RFC 7348 §5). What lacks the I flag is none: Linux drops
// it too.
func (d *Decoder) vxlan(p *Packet, h *Head) {
	off := h.Payload
	if off+8 > len(p.Data) || off+8 > h.End || p.Data[off]&0x08 == 0 {
		return
	}
	b := p.Data[off:]
	t := Tunnel{Type: VXLAN, Off: off, VNI: binary.BigEndian.Uint32(b[4:]) >> 8, HasVNI: true, Port: h.DstPort}
	if b[0]&0x80 != 0 {
		t.GBP, t.Policy = true, binary.BigEndian.Uint16(b[2:])
	}
	if b[0]&0x04 == 0 {
		if in := d.enter(p, h, t, off+8); in != nil {
			d.ether(p, in, off+8)
		}
		return
	}
	t.GPE = true
	switch b[3] { // next protocol
	case 1, 2, 3:
		in := d.enter(p, h, t, off+8)
		switch {
		case in == nil:
		case b[3] == 3:
			d.ether(p, in, off+8)
		default:
			d.ip(p, in, off+8)
		}
	default:
		p.addTunnel(t)
	}
}

// geneve: version 2 bits, option length 6 (in 4 bytes), flags 8, protocol 16, VNI 24, reserved 8 (RFC 8926 §3.4).
func (d *Decoder) geneve(p *Packet, h *Head) {
	off := h.Payload
	if off+8 > len(p.Data) || off+8 > h.End || p.Data[off]>>6 != 0 {
		return
	}
	b := p.Data[off:]
	typ := binary.BigEndian.Uint16(b[2:])
	if typ != TypeTEB && typ != TypeIPv4 && typ != TypeIPv6 {
		return
	}
	t := Tunnel{Type: Geneve, Off: off, VNI: binary.BigEndian.Uint32(b[4:]) >> 8, HasVNI: true, Port: h.DstPort}
	start := off + 8 + int(b[0]&0x3f)*4
	if start > h.End {
		h.Status |= Malformed
		p.addTunnel(t)
		return
	}
	d.inside(p, h, t, start, typ)
}

// inside decodes a payload of that EtherType.
func (d *Decoder) inside(p *Packet, h *Head, t Tunnel, start int, typ uint16) {
	in := d.enter(p, h, t, start)
	switch {
	case in == nil:
	case typ == TypeTEB:
		d.ether(p, in, start)
	default:
		d.typed(p, in, start, typ)
	}
}

// flannel's udp backend puts IP packets into UDP as they are. What does not begin as a whole IPv4 header is none.
func (d *Decoder) flannel(p *Packet, h *Head) {
	off := h.Payload
	if off+20 > len(p.Data) || off+20 > h.End || p.Data[off]>>4 != 4 || p.Data[off]&15 < 5 {
		return
	}
	if n := int(binary.BigEndian.Uint16(p.Data[off+2:])); n < 20 || off+n > h.End && h.Status&MoreFrags == 0 {
		return
	}
	if in := d.enter(p, h, Tunnel{Type: FlannelUDP, Off: off, Port: h.DstPort}, off); in != nil {
		d.ip(p, in, off)
	}
}

// gre: flags 13 bits, version 3, protocol 16, then checksum, key and sequence number where flagged (RFC 2890). Version 1 (PPTP) and
// source routes are not opened.
func (d *Decoder) gre(p *Packet, h *Head) {
	off := h.Payload
	if !p.have(h, off, 4) {
		return
	}
	flags, typ := binary.BigEndian.Uint16(p.Data[off:]), binary.BigEndian.Uint16(p.Data[off+2:])
	t := Tunnel{Type: GREt, Off: off}
	if flags&0x4007 != 0 {
		p.addTunnel(t)
		return
	}
	start := off + 4
	if flags&0x8000 != 0 {
		start += 4
	}
	if flags&0x2000 != 0 {
		if !p.have(h, start, 4) {
			p.addTunnel(t)
			return
		}
		t.VNI, t.HasVNI = binary.BigEndian.Uint32(p.Data[start:]), true
		start += 4
	}
	if flags&0x1000 != 0 {
		start += 4
	}
	if start > h.End {
		h.Status |= Malformed
		p.addTunnel(t)
		return
	}
	d.inside(p, h, t, start, typ)
}
