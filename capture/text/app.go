package text

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"
)

func addrFrom(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b); return a }

// app says an application's message in few words, where its bytes are one beyond doubt.
func app(b, p []byte, stream bool) []byte {
	if len(p) == 0 {
		return b
	}
	if stream {
		if line := httpLine(p); line != nil {
			return printable(append(b, " HTTP "...), line, 80)
		}
		if p[0] == 0x16 {
			return tls(b, p)
		}
		if len(p) > 14 && int(binary.BigEndian.Uint16(p)) == len(p)-2 {
			return dnsMessage(b, p[2:])
		}
		return b
	}
	return dnsMessage(b, p)
}

var httpMethods = [...]string{"GET ", "POST ", "HEAD ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "CONNECT ", "TRACE "}

// httpLine is the start line of an HTTP/1 message (RFC 9112 §3, §4), nil for none.
func httpLine(p []byte) []byte {
	end := bytes.IndexByte(p[:min(len(p), 4096)], '\n')
	if end < 0 {
		return nil
	}
	line := bytes.TrimSuffix(p[:end], []byte{'\r'})
	if bytes.HasPrefix(line, []byte("HTTP/1.")) {
		if len(line) >= 12 && line[8] == ' ' && digit(line[9]) && digit(line[10]) && digit(line[11]) {
			return line
		}
		return nil
	}
	for _, m := range httpMethods {
		if bytes.HasPrefix(line, []byte(m)) && bytes.Contains(line, []byte(" HTTP/1.")) {
			return line
		}
	}
	return nil
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// tls says a ClientHello's server name (RFC 8446 §4.1.2, RFC 6066 §3), or which handshake message it is.
func tls(b, p []byte) []byte {
	if len(p) < 6 || p[1] != 3 || p[2] > 4 {
		return b
	}
	n := int(binary.BigEndian.Uint16(p[3:]))
	if n < 4 || n > 1<<14+256 {
		return b
	}
	switch p[5] {
	case 1:
		b = append(b, " TLS ClientHello"...)
		if name := serverName(p[5:]); name != nil {
			b = printable(append(b, ' '), name, 80)
		}
	case 2:
		b = append(b, " TLS ServerHello"...)
	}
	return b
}

func serverName(p []byte) []byte {
	skip := func(n int) bool {
		if n > len(p) {
			p = nil
			return false
		}
		p = p[n:]
		return true
	}
	// Type and length, version, random; session id, cipher suites, compression.
	if !skip(4 + 2 + 32) {
		return nil
	}
	for _, size := range [...]int{1, 2, 1} {
		if len(p) < size {
			return nil
		}
		n := int(p[0])
		if size == 2 {
			n = int(binary.BigEndian.Uint16(p))
		}
		if !skip(size + n) {
			return nil
		}
	}
	if !skip(2) {
		return nil
	}
	for len(p) >= 4 {
		typ, n := binary.BigEndian.Uint16(p), int(binary.BigEndian.Uint16(p[2:]))
		if !skip(4) || n > len(p) {
			return nil
		}
		if typ == 0 && n > 5 && p[2] == 0 {
			if m := int(binary.BigEndian.Uint16(p[3:])); 5+m <= n {
				return p[5 : 5+m]
			}
			return nil
		}
		skip(n)
	}
	return nil
}

// dnsMessage says question and answers, where the bytes are a whole DNS message and nothing else.
func dnsMessage(b, p []byte) []byte {
	// Header: one question, opcode query, no bits that must be zero.
	if len(p) < 17 || binary.BigEndian.Uint16(p[4:]) != 1 || p[2]&0x78 != 0 || p[3]&0x40 != 0 {
		return b
	}
	if p[2]&0x80 == 0 && binary.BigEndian.Uint32(p[6:]) != 0 { // a query has no answers
		return b
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
	b = printable(b, []byte(q.Name), 80)
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
		b = printable(b, []byte(v), 80)
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
