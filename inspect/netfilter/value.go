package netfilter

import (
	"encoding/binary"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// vtype is how bytes are read into a [snapshot.NfValue].
type vtype uint8

const (
	vHex vtype = iota
	vNum
	vBits // a number whose bits mean something each
	vIP4
	vIP6
	vMAC
	vName // of an interface: padded with zeros, or only the beginning of it
	vText
)

// constant reads a constant of this type; host: numbers are in host byte order. What does not fit the type is bytes.
func constant(t vtype, host bool, b []byte) snapshot.NfValue {
	switch {
	case (t == vNum || t == vBits) && len(b) >= 1 && len(b) <= 8:
		n := number(b, host)
		return snapshot.NfValue{Num: &snapshot.NfNum{From: n, To: n}}
	case t == vIP4 && len(b) == 4, t == vIP6 && len(b) == 16:
		a, _ := netip.AddrFromSlice(b)
		return snapshot.NfValue{Prefix: netip.PrefixFrom(a, a.BitLen())}
	case t == vMAC && len(b) == 6:
		return snapshot.NfValue{MAC: net.HardwareAddr(b).String()}
	case t == vName, t == vText:
		if s, ok := nameText(b, t == vName); ok {
			return snapshot.NfValue{Text: s}
		}
	}
	return snapshot.NfValue{Hex: hex.EncodeToString(b)}
}

// number reads up to 8 bytes.
func number(b []byte, host bool) uint64 {
	if host {
		switch len(b) {
		case 2:
			return uint64(binary.NativeEndian.Uint16(b))
		case 4:
			return uint64(binary.NativeEndian.Uint32(b))
		case 8:
			return binary.NativeEndian.Uint64(b)
		}
	}
	var n uint64
	for _, c := range b[:min(len(b), 8)] {
		n = n<<8 | uint64(c)
	}
	return n
}

// text reads a name that zeros fill up. Where there is not one zero it is a beginning, which a "*" tells, if it may be.
// A true "*" at the end is written "\*", as nft does.
func nameText(b []byte, wild bool) (string, bool) {
	s := nlwire.CStr(b)
	if strings.Trim(string(b[len(s):]), "\x00") != "" || len(s) == 0 {
		return "", false
	}
	if len(s) == len(b) {
		if !wild {
			return "", false
		}
		return string(s) + "*", true
	}
	if s[len(s)-1] == '*' {
		return string(s[:len(s)-1]) + `\*`, true
	}
	return string(s), true
}

// span reads a range. ok is false where the two ends cannot be one.
func between(t vtype, host bool, from, to []byte) (v snapshot.NfValue, ok bool) {
	a, b := constant(t, host, from), constant(t, host, to)
	switch {
	case a.Num != nil && b.Num != nil && a.Num.From <= b.Num.From:
		return snapshot.NfValue{Num: &snapshot.NfNum{From: a.Num.From, To: b.Num.From}}, true
	case a.Prefix.IsValid() && b.Prefix.IsValid() && !b.Prefix.Addr().Less(a.Prefix.Addr()):
		return addrs(a.Prefix.Addr(), b.Prefix.Addr()), true
	case string(from) == string(to):
		return a, true
	case t == vName && wildName(from, to) != "":
		return snapshot.NfValue{Text: wildName(from, to)}, true
	}
	return snapshot.NfValue{}, false
}

// wildName reads the range of all names with the same beginning.
func wildName(from, to []byte) string {
	s := nlwire.CStr(from)
	if len(s) == 0 || len(from) != len(to) || string(to[:len(s)]) != string(s) || strings.Count(string(to[len(s):]), "\xff") != len(to)-len(s) || len(s) == len(from) {
		return ""
	}
	return string(s) + "*"
}

// addrs is a network where the range is one, else a range.
func addrs(a, b netip.Addr) snapshot.NfValue {
	x, y := a.As16(), b.As16()
	same := 0
	for same < 128 && (x[same/8]^y[same/8])>>(7-same%8)&1 == 0 {
		same++
	}
	p := netip.PrefixFrom(a, same-128+a.BitLen())
	if p.Masked() == p && lastOf(p) == b {
		return snapshot.NfValue{Prefix: p}
	}
	return snapshot.NfValue{Addrs: &snapshot.NfAddrs{From: a, To: b}}
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// masked reads an address under a mask: a network where the mask is one's.
func underMask(b, mask []byte) (v snapshot.NfValue, ok bool) {
	a, ok1 := netip.AddrFromSlice(b)
	if !ok1 || len(b) != len(mask) {
		return v, false
	}
	if n, ok := maskLen(mask); ok {
		if p := netip.PrefixFrom(a, n); p.Masked() == p {
			return snapshot.NfValue{Prefix: p}, true
		}
	}
	return snapshot.NfValue{Masked: &snapshot.NfMasked{Addr: a, Mask: hex.EncodeToString(mask)}}, true
}

// prefixLen tells how many ones a mask begins with, and whether zeros follow only.
func maskLen(mask []byte) (n int, ok bool) {
	for n < len(mask)*8 && bit(mask, n) {
		n++
	}
	for i := n; i < len(mask)*8; i++ {
		if bit(mask, i) {
			return 0, false
		}
	}
	return n, true
}

func bit(b []byte, i int) bool { return b[i/8]>>(7-i%8)&1 == 1 }

// run finds the bits from the first to the last one of a mask that is one run of ones, counted from the front.
func run(mask []byte) (first, n int, ok bool) {
	total := len(mask) * 8
	for first < total && !bit(mask, first) {
		first++
	}
	for first+n < total && bit(mask, first+n) {
		n++
	}
	for i := first + n; i < total; i++ {
		if bit(mask, i) {
			return 0, 0, false
		}
	}
	return first, n, n > 0
}

// zero tells whether there is not one bit set.
func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// flip turns host into network byte order and back, where they differ: by words of size bytes.
func flip(b []byte, size int) []byte {
	out := append([]byte(nil), b...)
	if size <= 0 || binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return out
	}
	for i := 0; i+size <= len(out); i += size {
		for j := range size / 2 {
			out[i+j], out[i+size-1-j] = out[i+size-1-j], out[i+j]
		}
	}
	return out
}
