package text

import (
	"bytes"
	"encoding/binary"
	"net/netip"
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

// httpStart are the bytes that a start line begins with: most messages are told by their first one.
var httpStart = func() (t [256]bool) {
	t['H'] = true // HTTP/1
	for _, m := range httpMethods {
		t[m[0]] = true
	}
	return t
}()

// httpLine is the start line of an HTTP/1 message that is not empty (RFC 9112 §3, §4), nil for none.
func httpLine(p []byte) []byte {
	if !httpStart[p[0]] {
		return nil
	}
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
