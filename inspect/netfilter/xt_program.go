package netfilter

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// xtString decodes struct xt_string_info. The pattern is in raw bytes.
func xtString(d xtData) ([]snapshot.NfMatch, bool) {
	n, flags := int(d.u8(148)), d.u8(149)
	if n > 128 || flags&^3 != 0 || d.rev == 0 && flags > 1 {
		return nil, false
	}
	opts := []string{"algo", d.str(4, 16)}
	if from := d.u16(0); from != 0 {
		opts = append(opts, "from", dec(from))
	}
	if to := d.u16(2); to != 0xffff {
		opts = append(opts, "to", dec(to))
	}
	if flags&2 != 0 {
		opts = append(opts, "icase", "")
	}
	m := only("string", flags&1 != 0, opts...)
	m.Values = []snapshot.NfValue{{Hex: hex.EncodeToString(d.b[20 : 20+n])}}
	return []snapshot.NfMatch{m}, true
}

// xtU32 decodes struct xt_u32: tests of numbers that are found by masks, shifts and jumps.
func xtU32(d xtData) ([]snapshot.NfMatch, bool) {
	const size, location, value = 180, 8, 8 // struct xt_u32_test and its elements
	n := int(d.u8(1980))
	if n > 11 || n == 0 {
		return nil, false
	}
	var tests []string
	for i := range n {
		t := xtData{b: d.b[i*size : (i+1)*size]}
		nums, values := int(t.u8(176)), int(t.u8(177))
		if nums == 0 || nums > 11 || values > 11 {
			return nil, false
		}
		s := hexa(t.u32(0))
		for j := 1; j < nums; j++ {
			op := t.u8(j*location + 4)
			if op > 3 {
				return nil, false
			}
			s += [...]string{"&", "<<", ">>", "@"}[op] + hexa(t.u32(j*location))
		}
		var list []string
		for j := range values {
			from, to := t.u32(88+j*value), t.u32(92+j*value)
			if from == to {
				list = append(list, hexa(from))
			} else {
				list = append(list, hexa(from)+":"+hexa(to))
			}
		}
		tests = append(tests, s+"="+strings.Join(list, ","))
	}
	return []snapshot.NfMatch{option("u32 u32", d.u8(1981) != 0, text(`"`+strings.Join(tests, "&&")+`"`))}, true
}

// xtBPF decodes struct xt_bpf_info and xt_bpf_info_v1: a classic program's instructions, or the path of a pinned one.
func xtBPF(d xtData) ([]snapshot.NfMatch, bool) {
	n, code := int(d.u16(0)), 4
	if d.rev == 1 {
		if d.u16(0) == 1 {
			return []snapshot.NfMatch{option("bpf object-pinned", false, text(d.str(8, 512)))}, true
		}
		if d.u16(0) != 0 {
			return nil, false
		}
		n, code = int(d.u16(2)), 8
	}
	if n > 64 || n == 0 {
		return nil, false
	}
	list := []string{dec(uint16(n))}
	for i := range n {
		o := code + 8*i
		list = append(list, fmt.Sprintf("%d %d %d %d", d.u16(o), d.u8(o+2), d.u8(o+3), d.u32(o+4)))
	}
	return []snapshot.NfMatch{option("bpf bytecode", false, text(`"`+strings.Join(list, ",")+`"`))}, true
}
