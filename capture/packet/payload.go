package packet

// HeadersEnd is where the headers end, in the frame, and what is nobody's but the two ends' begins: behind the innermost transport header. Of an
// ICMP error the headers that it quotes belong to it, of a neighbour's question the address, of SCTP its first chunk's header.
func (p *Packet) HeadersEnd() int {
	if p.N == 0 {
		return 0
	}
	h := p.Inner()
	end := h.Payload
	if h.Version == 4 {
		end = max(end, h.Net+20)
	}
	switch {
	case h.Version == 0 || h.Status&Fragment != 0:
	case h.Proto == ESP:
		end += 8 // SPI and sequence number
	case h.L4 < 0:
	case h.Proto == TCP && end > h.L4+20:
		end = h.L4 + 20 + options(p.Bytes(h.L4+20, end))
	case h.Proto == SCTP:
		end += 4
	case h.Proto == ICMP || h.Proto == ICMPv6:
		end = p.icmpEnd(h)
	}
	return min(end, h.End, len(p.Data))
}

// options is how much of TCP's options is options (RFC 9293 §3.1): a header's length may lie.
func options(b []byte) int {
	at := 0
	for at < len(b) && b[at] != 0 {
		switch {
		case b[at] == 1:
			at++
		case at+1 < len(b) && b[at+1] >= 2 && at+int(b[at+1]) <= len(b):
			at += int(b[at+1])
		default:
			return at
		}
	}
	return at
}

// icmpEnd is where the headers of an ICMP message end.
func (p *Packet) icmpEnd(h *Head) int {
	b := p.Bytes(h.L4, h.End)
	if len(b) < 8 {
		return h.Payload
	}
	link := RawIPv4
	if h.Proto == ICMP {
		switch b[0] {
		case 3, 4, 5, 11, 12:
		default:
			return h.Payload
		}
	} else {
		switch b[0] {
		case 1, 2, 3, 4:
			link = RawIPv6
		case 135, 136:
			return h.L4 + 24 // the target's address
		default:
			return h.Payload
		}
	}
	var q Packet
	var d Decoder
	d.Decode(&q, b[8:], 1<<20, link) // only its beginning is quoted
	if q.Outer().Proto == h.Proto {
		return h.L4 + 8 + min(q.Outer().Payload, len(b)-8) // an error about an ICMP message: not further
	}
	return h.L4 + 8 + q.HeadersEnd()
}

// CutPayload drops what comes after the headers, padding too. The heads stay as they were.
func (p *Packet) CutPayload() { p.Data = p.Data[:p.HeadersEnd():p.HeadersEnd()] }

// BlankPayload overwrites what comes after the headers, padding too, with zeroes, in place. The heads stay as they were.
func (p *Packet) BlankPayload() { clear(p.Data[p.HeadersEnd():]) }
