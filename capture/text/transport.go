package text

import (
	"encoding/binary"

	"github.com/nscope/nscope/capture/packet"
)

// tcpFlags in tcpdump's letters.
const tcpFlags = "FSRP.UEW"

// flagTexts are all combinations of TCP's flags.
var flagTexts = func() (t [256]string) {
	for f := range t {
		b := []byte(" [")
		for i := range 8 {
			if f&(1<<i) != 0 {
				b = append(b, tcpFlags[i])
			}
		}
		if f == 0 {
			b = append(b, "none"...)
		}
		t[f] = string(append(b, ']'))
	}
	return t
}()

func (l *Lines) tcp(b []byte, e *Event, h *packet.Head) []byte {
	b = append(b, "TCP"...)
	t := e.Bytes(h.L4, h.L4+20)
	if h.L4 < 0 || len(t) < 20 {
		return b
	}
	flags := t[13]
	b = append(b, flagTexts[flags]...)
	n := max(h.End-h.Payload, 0)
	seq, ack := l.relative(e, h, flags, binary.BigEndian.Uint32(t[4:]), binary.BigEndian.Uint32(t[8:]))
	if n > 0 || flags&7 != 0 {
		b = appendUint(append(b, " seq "...), uint64(seq))
		if n > 0 {
			b = appendUint(append(b, ':'), uint64(seq+uint32(n)))
		}
	}
	if flags&16 != 0 {
		b = appendUint(append(b, " ack "...), uint64(ack))
	}
	b = appendUint(append(b, " win "...), uint64(binary.BigEndian.Uint16(t[14:])))
	if flags&2 != 0 {
		b = tcpOptions(b, e.Bytes(h.L4+20, h.Payload))
	}
	b = appendInt(append(b, " len "...), n)
	if n > 0 {
		b = app(b, e.PayloadOf(h), true)
	}
	return b
}

// tcpOptions says what a SYN offers.
func tcpOptions(b, o []byte) []byte {
	for len(o) > 0 && o[0] != 0 {
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return b
		}
		switch {
		case o[0] == 2 && o[1] == 4:
			b = appendUint(append(b, " mss "...), uint64(binary.BigEndian.Uint16(o[2:])))
		case o[0] == 3 && o[1] == 3:
			b = appendUint(append(b, " wscale "...), uint64(o[2]))
		}
		o = o[o[1]:]
	}
	return b
}

func sctp(b []byte, e *Event, h *packet.Head) []byte {
	b = append(b, "SCTP"...)
	if c := e.Bytes(h.Payload, h.Payload+1); len(c) == 1 {
		if int(c[0]) < len(sctpChunks) {
			b = append(append(b, " ["...), sctpChunks[c[0]]...)
			b = append(b, ']')
		} else {
			b = appendUint(append(b, " chunk "...), uint64(c[0]))
		}
	}
	return appendInt(append(b, " len "...), max(h.End-h.Payload, 0))
}

var sctpChunks = [...]string{"DATA", "INIT", "INIT ACK", "SACK", "HEARTBEAT", "HEARTBEAT ACK", "ABORT", "SHUTDOWN", "SHUTDOWN ACK", "ERROR", "COOKIE ECHO", "COOKIE ACK"}

// icmp says type and code, and of an error about which packet it is.
func icmp(b []byte, e *Event, h *packet.Head) []byte {
	v6 := h.Proto == packet.ICMPv6
	if v6 {
		b = append(b, "ICMPv6 "...)
	} else {
		b = append(b, "ICMP "...)
	}
	m := e.Bytes(h.L4, h.End)
	if h.L4 < 0 || len(m) < 4 {
		return b[:len(b)-1]
	}
	name, kind := icmpName(m[0], m[1], v6)
	if name == "" {
		b = appendUint(append(b, "type "...), uint64(m[0]))
		b = appendUint(append(b, " code "...), uint64(m[1]))
	} else {
		b = append(b, name...)
	}
	switch {
	case len(m) < 8:
	case kind == 'e':
		b = appendUint(append(b, " id "...), uint64(binary.BigEndian.Uint16(m[4:])))
		b = appendUint(append(b, " seq "...), uint64(binary.BigEndian.Uint16(m[6:])))
		b = appendInt(append(b, " len "...), max(h.End-h.L4-8, 0))
	case kind == 'n' && len(m) >= 24:
		b = appendAddr(append(b, ' '), addrFrom(m[8:24]))
	case kind == 'x':
		if v6 && m[0] == 2 {
			b = appendUint(append(b, " mtu "...), uint64(binary.BigEndian.Uint32(m[4:])))
		}
		if !v6 && m[0] == 3 && m[1] == 4 {
			b = appendUint(append(b, " mtu "...), uint64(binary.BigEndian.Uint16(m[6:])))
		}
		b = quoted(b, m[8:], v6)
	}
	return b
}

// quoted is the packet that an ICMP error is about.
func quoted(b, q []byte, v6 bool) []byte {
	link := packet.RawIPv4
	if v6 {
		link = packet.RawIPv6
	}
	var p packet.Packet
	var d packet.Decoder
	d.Decode(&p, q, 1<<20, link) // only its beginning is quoted
	h := p.Outer()
	if h.Version == 0 {
		return b
	}
	b = append(b, " of "...)
	if h.HasPorts() {
		b = appendAddrPort(b, h.Src, h.SrcPort)
		b = append(b, " → "...)
		b = appendAddrPort(b, h.Dst, h.DstPort)
	} else {
		b = appendAddr(b, h.Src)
		b = append(b, " → "...)
		b = appendAddr(b, h.Dst)
	}
	return append(append(b, ' '), protoName(h)...)
}

// icmpName is the name of a type and code; kind: e an echo, x an error that quotes a packet, n about a neighbour.
func icmpName(typ, code uint8, v6 bool) (name string, kind byte) {
	if v6 {
		switch typ {
		case 1:
			return pickName(code, "unreachable: ", "no route", "prohibited", "beyond scope", "address", "port", "source policy", "reject route"), 'x'
		case 2:
			return "packet too big", 'x'
		case 3:
			return pickName(code, "time exceeded: ", "hop limit", "reassembly"), 'x'
		case 4:
			return "parameter problem", 'x'
		case 128:
			return "echo request", 'e'
		case 129:
			return "echo reply", 'e'
		case 130:
			return "multicast listener query", 0
		case 131, 143:
			return "multicast listener report", 0
		case 132:
			return "multicast listener done", 0
		case 133:
			return "router solicitation", 0
		case 134:
			return "router advertisement", 0
		case 135:
			return "who-has", 'n'
		case 136:
			return "neighbour advertisement", 'n'
		case 137:
			return "redirect", 0
		}
		return "", 0
	}
	switch typ {
	case 0:
		return "echo reply", 'e'
	case 3:
		return pickName(code, "unreachable: ", "net", "host", "protocol", "port", "fragmentation needed", "source route", "net unknown", "host unknown", "source isolated", "net prohibited", "host prohibited",
			"net for TOS", "host for TOS", "admin prohibited", "precedence", "precedence cut"), 'x'
	case 4:
		return "source quench", 'x'
	case 5:
		return "redirect", 'x'
	case 8:
		return "echo request", 'e'
	case 11:
		return pickName(code, "time exceeded: ", "TTL", "reassembly"), 'x'
	case 12:
		return "parameter problem", 'x'
	}
	return "", 0
}

func pickName(code uint8, prefix string, names ...string) string {
	if int(code) < len(names) {
		return prefix + names[code]
	}
	return prefix + "code " + string(appendUint(nil, uint64(code)))
}
