package text

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// octet is a number below 256 in decimal, with a '.' behind it, the first digit in the lowest byte; n is how many digits there are.
type octet struct {
	text uint32
	n    uint8
}

var octets = func() (t [256]octet) {
	for i := range t {
		b := append(strconv.AppendInt(nil, int64(i), 10), '.', 0, 0)
		t[i] = octet{binary.LittleEndian.Uint32(b), uint8(len(b) - 3)}
	}
	return t
}()

// appendUint is strconv.AppendUint, without a loop or a call for numbers of up to eight digits: whole words are appended, and what is too
// much cut off again.
func appendUint(b []byte, n uint64) []byte {
	switch {
	case n < 256:
		o := &octets[n]
		b = binary.LittleEndian.AppendUint32(b, o.text)
		return b[:len(b)-4+int(o.n)]
	case n < 1e8:
		v := digits(n)
		skip := bits.TrailingZeros64(v) >> 3
		b = binary.LittleEndian.AppendUint64(b, (v|zeros)>>(8*skip))
		return b[:len(b)-skip]
	}
	return strconv.AppendUint(b, n, 10)
}

// zeros are eight times '0'.
const zeros = 0x3030303030303030

// digits are the eight of a number below 100,000,000, the first in the lowest byte. Two numbers of four digits, four of two, eight of one: each
// step in all lanes at once.
func digits(n uint64) uint64 {
	const ones, tens, hundreds = 0x000f000f000f000f, 103, 10486 // x*103>>10 is x/10 below 100, x*10486>>20 is x/100 below 10000
	v := n/1e4 | n%1e4<<32
	h := v * hundreds >> 20 & 0x7f0000007f
	v = h | (v-100*h)<<16
	d := v * tens >> 10 & ones
	return d | (v-10*d)<<8
}

func appendInt(b []byte, n int) []byte {
	if n >= 0 {
		return appendUint(b, uint64(n))
	}
	return strconv.AppendInt(b, int64(n), 10)
}

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

// appendAddr4 is a.AppendTo for the common case, without its detours: where each octet goes is known before any is written, and each with
// its dot is one store.
func appendAddr4(b []byte, a netip.Addr) []byte {
	const room = 20 // 15, and what the last store writes beyond
	at := len(b)
	if cap(b)-at < room {
		b = append(b, make([]byte, room)...)
	}
	t := (*[room]byte)(b[at : at+room])
	v := a.As4()
	o0, o1, o2, o3 := octets[v[0]], octets[v[1]], octets[v[2]], octets[v[3]]
	n1 := uint(o0.n) + 1
	n2 := n1 + uint(o1.n) + 1
	n3 := n2 + uint(o2.n) + 1
	binary.LittleEndian.PutUint32(t[:], o0.text)
	binary.LittleEndian.PutUint32(t[n1&15:], o1.text)
	binary.LittleEndian.PutUint32(t[n2&15:], o2.text)
	binary.LittleEndian.PutUint32(t[n3&15:], o3.text)
	return b[:at+int(n3)+int(o3.n)]
}

// clock formats times of day; the second of the last is kept.
type clock struct {
	second int64
	text   [9]byte // "15:04:05."
	loc    *time.Location
}

// append says a time in microseconds, and a space.
func (c *clock) append(b []byte, nanos int64) []byte {
	s := nanos / 1e9
	rest := nanos - s*1e9
	if rest < 0 {
		s, rest = s-1, rest+1e9
	}
	if s != c.second || c.text[2] == 0 {
		loc := c.loc
		if loc == nil {
			loc = time.Local
		}
		copy(c.text[:], time.Unix(s, 0).In(loc).Format("15:04:05."))
		c.second = s
	}
	b = append(b, c.text[:]...)
	b = binary.LittleEndian.AppendUint64(b, (digits(uint64(rest)/1000)|zeros)>>16|' '<<48)
	return b[:len(b)-1]
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
