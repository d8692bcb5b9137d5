package netfilter

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// xtData is the structure of one extension. Its length has been checked: reading a field cannot fail. Numbers are in host
// byte order unless the name says otherwise.
type xtData struct {
	b      []byte
	family string
	name   string
	rev    uint8
}

func (d xtData) u8(off int) uint8    { return d.b[off] }
func (d xtData) u16(off int) uint16  { return nlwire.U16(d.b[off:]) }
func (d xtData) u32(off int) uint32  { return nlwire.U32(d.b[off:]) }
func (d xtData) u64(off int) uint64  { return nlwire.U64(d.b[off:]) }
func (d xtData) be16(off int) uint16 { return nlwire.BE16(d.b[off:]) }
func (d xtData) be32(off int) uint32 { return nlwire.BE32(d.b[off:]) }

// str is a C string in a field of n bytes.
func (d xtData) str(off, n int) string { return string(nlwire.CStr(d.b[off : off+n])) }

func (d xtData) v6() bool { return d.family == "ip6" }

// addr is a union nf_inet_addr, of the rule's family.
func (d xtData) addr(off int) netip.Addr {
	if d.v6() {
		return netip.AddrFrom16([16]byte(d.b[off:]))
	}
	return netip.AddrFrom4([4]byte(d.b[off:]))
}

// masked is an address and a mask, as a network where the mask is a prefix.
func masked(addr, mask netip.Addr) snapshot.NfValue {
	if n, ok := prefixLen(mask); ok {
		return snapshot.NfValue{Prefix: netip.PrefixFrom(addr, n)}
	}
	return snapshot.NfValue{Masked: &snapshot.NfMasked{Addr: addr, Mask: hex.EncodeToString(mask.AsSlice())}}
}

// prefixLen is how many leading bits of a mask are set, if no other is.
func prefixLen(mask netip.Addr) (n int, ok bool) {
	b := mask.AsSlice()
	for i, c := range b {
		if c == 0xff {
			n += 8
			continue
		}
		for c&0x80 != 0 {
			n++
			c <<= 1
		}
		if c != 0 {
			return 0, false
		}
		for _, rest := range b[i+1:] {
			if rest != 0 {
				return 0, false
			}
		}
		break
	}
	return n, true
}

func num(n uint64) snapshot.NfValue { return span(n, n) }

func span(from, to uint64) snapshot.NfValue {
	return snapshot.NfValue{Num: &snapshot.NfNum{From: from, To: to}}
}

func text(s string) snapshot.NfValue { return snapshot.NfValue{Text: s} }

// is is a condition: equal, or with not, unequal.
func is(left snapshot.NfOperand, not bool, values ...snapshot.NfValue) snapshot.NfMatch {
	op := snapshot.NfEq
	if not {
		op = snapshot.NfNe
	}
	return snapshot.NfMatch{Left: left, Op: op, Values: values}
}

// anyOf is a condition on bits: one of them set, or with not, none.
func anyOf(left snapshot.NfOperand, not bool, bits uint64) snapshot.NfMatch {
	op := snapshot.NfAny
	if not {
		op = snapshot.NfNone
	}
	return snapshot.NfMatch{Left: left, Op: op, Values: []snapshot.NfValue{num(bits)}}
}

func payload(key string) snapshot.NfOperand { return snapshot.NfOperand{Kind: "payload", Key: key} }
func meta(key string) snapshot.NfOperand    { return snapshot.NfOperand{Kind: "meta", Key: key} }
func conn(key string) snapshot.NfOperand    { return snapshot.NfOperand{Kind: "ct", Key: key} }

// under is an operand under a mask; one of all bits of its width (in bytes) is none.
func under(left snapshot.NfOperand, mask uint64, width int) snapshot.NfOperand {
	if mask != 1<<(8*width)-1 {
		left.Mask = strconv.FormatUint(mask, 16)
	}
	return left
}

// only is a condition that only an xtables module tests. Options are pairs of name and value.
func only(key string, not bool, opts ...string) snapshot.NfMatch {
	left := snapshot.NfOperand{Kind: "xt", Key: key}
	if len(opts) > 0 {
		left.Opts = options(opts...)
	}
	return is(left, not)
}

// options makes the settings of an extension from pairs of name and value.
func options(pairs ...string) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	m := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// action is a target that is understood by its name and settings.
func action(name string, opts ...string) snapshot.NfExpr {
	return snapshot.NfExpr{Action: &snapshot.NfAction{Name: name, Opts: options(opts...)}}
}

func dec[N uint8 | uint16 | uint32 | uint64](n N) string { return strconv.FormatUint(uint64(n), 10) }
func hexa[N uint8 | uint16 | uint32](n N) string         { return fmt.Sprintf("0x%x", n) }

// ifaceName is the name of an interface that is compared under a mask: a mask that ends within the name stands for any end.
// A mask of nothing gives "". False: a mask that iptables cannot have written.
func ifaceName(name, mask []byte) (string, bool) {
	n := 0
	for n < len(mask) && mask[n] == 0xff {
		n++
	}
	for _, c := range mask[n:] {
		if c != 0 {
			return "", false
		}
	}
	s := string(nlwire.CStr(name[:n]))
	switch {
	case n == 0:
		return "", true
	case len(s) < n: // the terminating NUL is compared
		return s, true
	case n == len(mask):
		return s, true
	case strings.IndexByte(string(name[n:]), 0) < 0:
		return "", false
	}
	return s + "*", true
}

// maskedText is an address and its mask as iptables prints them: without a mask of all bits, as a prefix if it is one.
func maskedText(addr, mask netip.Addr) string {
	n, ok := prefixLen(mask)
	switch {
	case !ok:
		return addr.String() + "/" + mask.String()
	case n == addr.BitLen():
		return addr.String()
	}
	return addr.String() + "/" + strconv.Itoa(n)
}
