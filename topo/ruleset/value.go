package ruleset

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

type kind uint8

const (
	kNone   kind = iota // the packet has no such thing: the rule does not match, whatever it compares with
	kOpen               // not said, or nobody can tell
	kNum                // n, but for the bits that are open
	kAddr               // addr
	kText               // text; n may hold the same as a number
	kBytes              // text holds raw bytes, in network byte order
	kParts              // parts
	kEither             // parts, of which one is compared with
)

// val is what an operand gives for a packet.
type val struct {
	kind  kind
	n     uint64
	open  uint64 // bits of n that are not known
	bits  int    // how long n is on the wire, 0 where it is no wire's
	named bool   // a number that has text for a name too
	text  string
	addr  netip.Addr
	parts []val
}

var (
	none   = val{}
	opened = val{kind: kOpen}
)

func num(n uint64, bits int) val     { return val{kind: kNum, n: n, bits: bits} }
func name(n uint64, text string) val { return val{kind: kNum, n: n, text: text, named: true} }
func text(s string) val              { return val{kind: kText, text: s} }
func address(a netip.Addr) val       { return val{kind: kAddr, addr: a} }
func boolean(b bool) val             { return num(b2n(b), 0) }
func raw(b []byte) val               { return val{kind: kBytes, text: string(b)} }

func b2n(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// wire is a value as bytes in network byte order, where it has such a form and is known whole.
func (v *val) wire() ([]byte, bool) {
	switch v.kind {
	case kAddr:
		return v.addr.AsSlice(), true
	case kBytes:
		return []byte(v.text), true
	case kNum:
		if v.bits == 0 || v.bits%8 != 0 || v.open != 0 {
			return nil, false
		}
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], v.n)
		return bytes.Clone(b[8-v.bits/8:]), true
	}
	return nil, false
}

// number is a value as a number.
func (v *val) number() (n, open uint64, ok bool) {
	switch v.kind {
	case kNum:
		return v.n, v.open, true
	case kBytes:
		if len(v.text) <= 8 {
			for _, b := range []byte(v.text) {
				n = n<<8 | uint64(b)
			}
			return n, 0, true
		}
	case kAddr:
		if v.addr.Is4() {
			b := v.addr.As4()
			return uint64(binary.BigEndian.Uint32(b[:])), 0, true
		}
	}
	return 0, 0, false
}

// is compares a value with a constant for equality or membership of a range.
func (v *val) is(c *snapshot.NfValue) Tri {
	if v.kind == kOpen {
		return Maybe
	}
	if v.kind == kEither {
		out := No
		for i := range v.parts {
			out = max(out, v.parts[i].is(c))
		}
		return out
	}
	switch {
	case c.Parts != nil:
		if v.kind != kParts || len(v.parts) != len(c.Parts) {
			return Maybe
		}
		out := Yes
		for i := range c.Parts {
			switch v.parts[i].is(&c.Parts[i]) {
			case No:
				return No
			case Maybe:
				out = Maybe
			}
		}
		return out
	case c.Prefix.IsValid():
		if a, ok := v.ip(); ok {
			return either(c.Prefix.Contains(a))
		}
	case c.Addrs != nil:
		if a, ok := v.ip(); ok {
			return either(a.BitLen() == c.Addrs.From.BitLen() && c.Addrs.From.Compare(a) <= 0 && a.Compare(c.Addrs.To) <= 0)
		}
	case c.Masked != nil:
		if a, ok := v.ip(); ok {
			return masked(a, c.Masked)
		}
	case c.Num != nil:
		if n, open, ok := v.number(); ok {
			return within(n, open, c.Num)
		}
	case c.MAC != "":
		if b, ok := v.wire(); ok {
			return either(strings.EqualFold(macText(b), c.MAC))
		}
	case c.Hex != "":
		if b, ok := v.wire(); ok {
			return either(hex.EncodeToString(b) == strings.ToLower(strings.TrimPrefix(c.Hex, "0x")))
		}
	default:
		if v.kind == kText || v.named {
			return either(textIs(v.text, c.Text))
		}
	}
	return Maybe
}

func (v *val) ip() (netip.Addr, bool) {
	if v.kind == kAddr {
		return v.addr, true
	}
	if v.kind == kBytes {
		return netip.AddrFromSlice([]byte(v.text))
	}
	return netip.Addr{}, false
}

// textIs compares names; a "*" at the end stands for the rest of any.
func textIs(s, pattern string) bool {
	if p, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(s, p)
	}
	return s == pattern
}

func within(n, open uint64, c *snapshot.NfNum) Tri {
	switch {
	case open == 0:
		return either(c.From <= n && n <= c.To)
	case c.From == c.To:
		if (n^c.From)&^open != 0 {
			return No
		}
	case n&^open > c.To || n|open < c.From:
		return No
	}
	return Maybe
}

func masked(a netip.Addr, m *snapshot.NfMasked) Tri {
	h := strings.TrimPrefix(m.Mask, "0x")
	mask, err := hex.DecodeString(h)
	x, y := a.AsSlice(), m.Addr.AsSlice()
	if err != nil || len(mask) != len(y) {
		return Maybe
	}
	if len(x) != len(y) {
		return No
	}
	for i := range x {
		if (x[i]^y[i])&mask[i] != 0 {
			return No
		}
	}
	return Yes
}

func macText(b []byte) string {
	s := make([]byte, 0, 17)
	for i, x := range b {
		if i > 0 {
			s = append(s, ':')
		}
		s = append(s, hex.EncodeToString([]byte{x})...)
	}
	return string(s)
}

func macBytes(s string) ([]byte, bool) {
	b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
	return b, err == nil && len(b) == 6
}

// hexNumber reads the number of a mask: hexadecimal, with or without 0x.
func hexNumber(s string) (uint64, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "0x"), 16, 64)
	return n, err == nil
}

// apply is what an operand's Mask, Xor and Shift make of what was loaded.
func (v val) apply(o *snapshot.NfOperand) val {
	if o.Mask == "" && o.Xor == "" && o.Shift == 0 || v.kind == kNone || v.kind == kOpen && o.Mask == "" {
		return v
	}
	if v.kind == kAddr || v.kind == kBytes {
		return v.applyBytes(o)
	}
	n, open, ok := v.number()
	if v.kind == kOpen {
		n, open, ok = 0, ^uint64(0), true
	}
	if !ok {
		return opened
	}
	if o.Mask != "" {
		m, ok := hexNumber(o.Mask)
		if !ok {
			return opened
		}
		n, open = n&m, open&m
	}
	if o.Xor != "" {
		x, ok := hexNumber(o.Xor)
		if !ok {
			return opened
		}
		n ^= x
	}
	if s := o.Shift; s > 0 {
		n, open = n<<s, open<<s
	} else if s < 0 {
		n, open = n>>-s, open>>-s
	}
	return val{kind: kNum, n: n &^ open, open: open, bits: v.bits}
}

func (v val) applyBytes(o *snapshot.NfOperand) val {
	b, _ := v.wire()
	b = bytes.Clone(b)
	for _, m := range []struct {
		hex string
		op  func(a, b byte) byte
	}{{o.Mask, func(a, b byte) byte { return a & b }}, {o.Xor, func(a, b byte) byte { return a ^ b }}} {
		if m.hex == "" {
			continue
		}
		h := strings.TrimPrefix(m.hex, "0x")
		if len(h) > 2*len(b) {
			return opened
		}
		h = strings.Repeat("0", 2*len(b)-len(h)) + h
		x, err := hex.DecodeString(h)
		if err != nil {
			return opened
		}
		for i := range b {
			b[i] = m.op(b[i], x[i])
		}
	}
	if o.Shift != 0 {
		return opened
	}
	if v.kind == kAddr {
		a, _ := netip.AddrFromSlice(b)
		return address(a)
	}
	return raw(b)
}
