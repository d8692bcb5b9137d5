package text

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// mostName is how much of a name is said.
const mostName = 80

// plainQuery says the most frequent message, a question for a host's name with nothing else but an empty EDNS record, without unpacking it.
// false: it is not so, which does not mean that it is no DNS message.
func plainQuery(b, p []byte) ([]byte, bool) {
	if p[2]&0x80 != 0 || p[3]&0xf != 0 {
		return b, false
	}
	// The labels are checked before anything is said.
	at := 12
	for {
		if at >= len(p) {
			return b, false
		}
		n := int(p[at])
		if n == 0 {
			break
		}
		if n > 63 || at+1+n >= len(p) || at+1+n-12 > 253 {
			return b, false
		}
		for _, c := range p[at+1 : at+1+n] {
			if !nameByte[c] {
				return b, false
			}
		}
		at += 1 + n
	}
	rest := p[at+1:]
	if at == 12 || len(rest) < 4 || binary.BigEndian.Uint16(rest[2:]) != dns.ClassINET {
		return b, false
	}
	typ := dns.TypeToString[binary.BigEndian.Uint16(rest)]
	if typ == "" {
		return b, false
	}
	switch more := binary.BigEndian.Uint32(p[8:]); {
	case more == 0 && len(rest) == 4:
	case more == 1 && len(rest) == 4+11 && rest[4] == 0 && binary.BigEndian.Uint16(rest[5:]) == dns.TypeOPT && binary.BigEndian.Uint16(rest[13:]) == 0:
	default:
		return b, false
	}
	b = append(append(append(b, " DNS "...), typ...), ' ')
	from := len(b)
	for i := 12; p[i] != 0; i += 1 + int(p[i]) {
		b = append(append(b, p[i+1:i+1+int(p[i])]...), '.')
	}
	if len(b)-from > mostName {
		b = append(b[:from+mostName], "…"...)
	}
	return b, true
}

// nameByte are the bytes of host names: nothing that would have to be escaped.
var nameByte = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") {
		t[c] = true
	}
	return t
}()

// dnsMessage says question and answers, where the bytes are a whole DNS message and nothing else.
func dnsMessage(b, p []byte) []byte {
	// Header: one question, opcode query, no bits that must be zero.
	if len(p) < 17 || binary.BigEndian.Uint16(p[4:]) != 1 || p[2]&0x78 != 0 || p[3]&0x40 != 0 {
		return b
	}
	if p[2]&0x80 == 0 && binary.BigEndian.Uint32(p[6:]) != 0 { // a query has no answers
		return b
	}
	if q, ok := plainQuery(b, p); ok {
		return q
	}
	var m dns.Msg
	if m.Unpack(p) != nil || len(m.Question) != 1 {
		return b
	}
	q := m.Question[0]
	if q.Qclass != dns.ClassINET || dns.TypeToString[q.Qtype] == "" {
		return b
	}
	b = append(b, " DNS "...)
	b = append(b, dns.TypeToString[q.Qtype]...)
	b = append(b, ' ')
	b = printable(b, []byte(q.Name), mostName)
	if !m.Response {
		return b
	}
	b = append(b, " → "...)
	if m.Rcode != dns.RcodeSuccess {
		return append(b, dns.RcodeToString[m.Rcode]...)
	}
	said := 0
	for _, rr := range m.Answer {
		var v string
		switch r := rr.(type) {
		case *dns.A:
			v = r.A.String()
		case *dns.AAAA:
			v = r.AAAA.String()
		case *dns.CNAME:
			v = r.Target
		case *dns.PTR:
			v = r.Ptr
		case *dns.SRV:
			v = r.Target
		default:
			v = dns.TypeToString[rr.Header().Rrtype]
		}
		if said > 0 {
			b = append(b, ' ')
		}
		if said == 4 {
			return append(b, "…"...)
		}
		b = printable(b, []byte(v), mostName)
		said++
	}
	if said == 0 {
		b = append(b, "no answer"...)
	}
	if m.Truncated {
		b = append(b, " truncated"...)
	}
	return b
}
