package text

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

func appendUint(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }
func appendInt(b []byte, n int) []byte     { return strconv.AppendInt(b, int64(n), 10) }

func appendHex(b []byte, n uint64) []byte { return strconv.AppendUint(append(b, "0x"...), n, 16) }

func appendMAC(b, mac []byte) []byte {
	for i, c := range mac {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}

func appendAddrPort(b []byte, a netip.Addr, port uint16) []byte {
	if a.Is6() {
		b = append(a.AppendTo(append(b, '[')), ']')
	} else {
		b = appendAddr4(b, a)
	}
	return appendUint(append(b, ':'), uint64(port))
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		return appendAddr4(b, a)
	}
	return a.AppendTo(b)
}

// appendAddr4 is a.AppendTo for the common case, without its detours.
func appendAddr4(b []byte, a netip.Addr) []byte {
	v := a.As4()
	for i, c := range v {
		if i > 0 {
			b = append(b, '.')
		}
		if c >= 100 {
			b = append(b, '0'+c/100)
		}
		if c >= 10 {
			b = append(b, '0'+c/10%10)
		}
		b = append(b, '0'+c%10)
	}
	return b
}

// clock formats times of day; the hour and minute of the last are kept.
type clock struct {
	minute int64
	text   [6]byte // "15:04:"
	loc    *time.Location
}

const minuteNanos = 60 * 1e9

func (c *clock) append(b []byte, nanos int64) []byte {
	m := nanos / minuteNanos
	if nanos%minuteNanos < 0 {
		m--
	}
	if m != c.minute || c.text[2] == 0 {
		loc := c.loc
		if loc == nil {
			loc = time.Local
		}
		copy(c.text[:], time.Unix(0, m*minuteNanos).In(loc).Format("15:04:"))
		c.minute = m
	}
	rest := nanos - m*minuteNanos
	sec, us := rest/1e9, rest%1e9/1000
	b = append(b, c.text[:]...)
	b = append(b, byte('0'+sec/10), byte('0'+sec%10), '.')
	for d := int64(100000); d > 0; d /= 10 {
		b = append(b, byte('0'+us/d%10))
	}
	return b
}

// pad fills up to a column.
func pad(b []byte, from, width int) []byte {
	for n := utf8.RuneCount(b[from:]); n < width; n++ {
		b = append(b, ' ')
	}
	return b
}

// printable appends bytes off the wire: what is no printable ASCII as a dot. Terminals obey escape sequences.
func printable(b, s []byte, most int) []byte {
	cut := len(s) > most
	for _, c := range s[:min(len(s), most)] {
		if c < 0x20 || c > 0x7e {
			c = '.'
		}
		b = append(b, c)
	}
	if cut {
		b = append(b, "…"...)
	}
	return b
}
