package netfilter

import (
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Flags of include/uapi/linux/netfilter/ipset/ip_set.h.
const (
	ipsetDimMax           = 6
	ipsetReturnNoMatch    = 1 << 7
	ipsetNoCounters       = 1 << 3
	ipsetNoSubCounters    = 1 << 4
	ipsetExist            = 1 << 0
	ipsetMapMark          = 1 << 8
	ipsetMapPrio          = 1 << 9
	ipsetMapQueue         = 1 << 10
	ipsetInvalid          = 0xffff
	ipsetCounterOps       = "=!<>"
	ipsetIndex, ipsetName = "index", "set" // options: the kernel's number of a set, and its name once asked for
)

// ipsetRef reads struct xt_set_info: which set, and which of the packet's addresses are looked up in it.
func ipsetRef(d xtData, off int) (index uint16, dirs string, not, ok bool) {
	return d.u16(off), ipsetDirs(int(d.u8(off+2)), d.u8(off+3)), d.u8(off+3)&1 != 0, d.u8(off+2) <= ipsetDimMax
}

func ipsetDirs(dim int, flags uint8) string {
	var dirs []string
	for i := 1; i <= dim; i++ {
		if flags>>i&1 != 0 {
			dirs = append(dirs, "src")
		} else {
			dirs = append(dirs, "dst")
		}
	}
	return strings.Join(dirs, ",")
}

// xtSet decodes struct xt_set_info_match_v1, v3 and v4: an ipset, by its number.
func xtSet(d xtData) ([]snapshot.NfMatch, bool) {
	index, dirs, not, ok := ipsetRef(d, 0)
	if !ok || dirs == "" {
		return nil, false
	}
	opts := []string{ipsetIndex, dec(index), "dir", dirs}
	if d.rev >= 3 {
		flags := d.u32(40)
		for _, f := range []struct {
			bit  uint32
			name string
		}{{ipsetReturnNoMatch, "return-nomatch"}, {ipsetNoCounters, "no-update-counters"}, {ipsetNoSubCounters, "no-update-subcounters"}} {
			if flags&f.bit != 0 {
				opts = append(opts, f.name, "")
			}
		}
		if flags&^(ipsetReturnNoMatch|ipsetNoCounters|ipsetNoSubCounters|1<<5) != 0 {
			return nil, false
		}
		for i, name := range []string{"packets", "bytes"} {
			value, op := d.u64(8+16*i), d.u8(16+16*i)
			if d.rev == 3 {
				op, value = d.u8(8+16*i), d.u64(16+16*i)
			}
			switch op {
			case 0:
			case 1, 2, 3, 4:
				opts = append(opts, name+"-"+[...]string{"eq", "ne", "lt", "gt"}[op-1], dec(value))
			default:
				return nil, false
			}
		}
	}
	return []snapshot.NfMatch{only("ipset", not, opts...)}, true
}
