package text

import (
	"encoding/binary"

	"github.com/nscope/nscope/capture/packet"
)

// Layers says every header on a line of its own, indented: the outermost first.
func Layers(b []byte, e *Event) []byte {
	for i := range e.N {
		h := &e.Heads[i]
		b = layersOf(b, e, h)
		if i < e.NT {
			t := &e.Tunnels[i]
			b = append(append(b, "    "...), t.Type.String()...)
			if t.HasVNI && t.Type != packet.ESPt {
				b = appendUint(append(b, " vni "...), uint64(t.VNI))
			} else if t.HasVNI {
				b = appendHex(append(b, " spi "...), uint64(t.VNI))
			}
			if t.Port != 0 {
				b = appendUint(append(b, " port "...), uint64(t.Port))
			}
			b = append(b, '\n')
		}
	}
	return b
}

func layersOf(b []byte, e *Event, h *packet.Head) []byte {
	if h.Ether >= 0 {
		d := e.Data[h.Ether:]
		b = appendMAC(append(b, "    ether "...), d[6:12])
		b = appendMAC(append(b, " → "...), d[:6])
		for i := range h.NTags {
			b = appendUint(append(b, " vlan "...), uint64(h.VLAN(i)))
			b = appendUint(append(b, " prio "...), uint64(h.Tags[i]>>13))
		}
		if h.EtherType != 0 {
			b = appendHex(append(b, " type "...), uint64(h.EtherType))
		}
		b = append(b, '\n')
	}
	for i := range h.NLabels {
		b = appendUint(append(b, "    mpls "...), uint64(e.Label(h, i)))
		b = appendUint(append(b, " ttl "...), uint64(e.Data[h.MPLS+4*i+3]))
		b = append(b, '\n')
	}
	switch h.Version {
	case 4:
		d := e.Data[h.Net:]
		b = appendAddr(append(b, "    ip "...), h.Src)
		b = appendAddr(append(b, " → "...), h.Dst)
		b = appendUint(append(b, " ttl "...), uint64(d[8]))
		b = appendUint(append(b, " id "...), uint64(binary.BigEndian.Uint16(d[4:])))
		if f := binary.BigEndian.Uint16(d[6:]); f != 0 {
			if f&0x4000 != 0 {
				b = append(b, " DF"...)
			}
			if f&0x2000 != 0 {
				b = append(b, " MF"...)
			}
			if h.FragOff != 0 {
				b = appendInt(append(b, " offset "...), h.FragOff)
			}
		}
		if d[1] != 0 {
			b = appendHex(append(b, " tos "...), uint64(d[1]))
		}
		b = appendUint(append(b, " len "...), uint64(binary.BigEndian.Uint16(d[2:])))
		if n := int(d[0]&15)*4 - 20; n > 0 {
			b = appendInt(append(b, " options "...), n)
		}
		b = append(append(append(b, ' '), protoName(h)...), '\n')
	case 6:
		d := e.Data[h.Net:]
		b = appendAddr(append(b, "    ip6 "...), h.Src)
		b = appendAddr(append(b, " → "...), h.Dst)
		b = appendUint(append(b, " hlim "...), uint64(d[7]))
		b = appendUint(append(b, " len "...), uint64(binary.BigEndian.Uint16(d[4:])))
		if fl := binary.BigEndian.Uint32(d) & 0xfffff; fl != 0 {
			b = appendHex(append(b, " flow "...), uint64(fl))
		}
		if h.FragHdr >= 0 {
			b = appendInt(append(b, " fragment "...), h.FragOff)
		}
		b = append(append(append(b, ' '), protoName(h)...), '\n')
	}
	if h.HasPorts() {
		b = append(append(b, "    "...), protoName(h)...)
		b = appendUint(append(b, ' '), uint64(h.SrcPort))
		b = appendUint(append(b, " → "...), uint64(h.DstPort))
		if t := e.Bytes(h.L4, h.L4+20); h.Proto == packet.TCP && len(t) == 20 {
			b = appendUint(append(b, " seq "...), uint64(binary.BigEndian.Uint32(t[4:])))
			b = appendUint(append(b, " ack "...), uint64(binary.BigEndian.Uint32(t[8:])))
			b = appendUint(append(b, " win "...), uint64(binary.BigEndian.Uint16(t[14:])))
			b = tcpOptions(b, e.Bytes(h.L4+20, h.Payload))
		}
		b = appendInt(append(b, " payload "...), max(h.End-h.Payload, 0))
		b = append(b, '\n')
	}
	return b
}

// Hex dumps bytes, sixteen a line, with what is printable beside them.
func Hex(b, data []byte) []byte {
	for at := 0; at < len(data); at += 16 {
		row := data[at:min(at+16, len(data))]
		b = append(b, "    0x"...)
		for shift := 12; shift >= 0; shift -= 4 {
			b = append(b, hexDigits[at>>shift&15])
		}
		b = append(b, ": "...)
		for i := range 16 {
			if i%2 == 0 {
				b = append(b, ' ')
			}
			if i < len(row) {
				b = append(b, hexDigits[row[i]>>4], hexDigits[row[i]&15])
			} else {
				b = append(b, ' ', ' ')
			}
		}
		b = append(b, ' ', ' ')
		b = printable(b, row, 16)
		b = append(b, '\n')
	}
	return b
}
