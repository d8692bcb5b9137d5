package netfilter

import "github.com/nscope/nscope/inspect/snapshot"

// xtPolicy decodes struct xt_policy_info: which IPsec policy a packet came or goes by. The options of the elements after the
// first have "#2" and so on after their names; "! " before a value inverts it.
func xtPolicy(d xtData) ([]snapshot.NfMatch, bool) {
	const elemSize = 76
	flags, n := d.u16(304), int(d.u16(306))
	if n > 4 || flags&^0x0f != 0 || flags&3 == 0 || flags&3 == 3 {
		return nil, false
	}
	opts := []string{"dir", "out", "pol", "ipsec"}
	if flags&1 != 0 {
		opts[1] = "in"
	}
	if flags&4 != 0 {
		opts[3] = "none"
	}
	if flags&8 != 0 {
		opts = append(opts, "strict", "")
	}
	if n > 1 {
		opts = append(opts, "elements", dec(uint8(n)))
	}
	for i := range n {
		e := xtData{b: d.b[i*elemSize : (i+1)*elemSize], family: d.family}
		on, inv := e.u8(74), e.u8(75)
		add := func(bit uint8, name, value string) {
			if on&bit == 0 {
				return
			}
			if inv&bit != 0 {
				value = "! " + value
			}
			if i > 0 {
				name += "#" + dec(uint8(i+1))
			}
			opts = append(opts, name, value)
		}
		if e.u8(73) > 1 {
			return nil, false
		}
		add(0x20, "reqid", dec(e.u32(68)))
		add(0x10, "spi", hexa(e.u32(64)))
		add(0x04, "proto", dec(e.u8(72)))
		add(0x08, "mode", [...]string{"transport", "tunnel"}[e.u8(73)])
		add(0x02, "tunnel-dst", maskedText(e.addr(32), e.addr(48)))
		add(0x01, "tunnel-src", maskedText(e.addr(0), e.addr(16)))
	}
	return []snapshot.NfMatch{only("policy", false, opts...)}, true
}
