package netfilter

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
)

// xtCluster decodes struct xt_cluster_match_info.
func xtCluster(d xtData) ([]snapshot.NfMatch, bool) {
	m := option("cluster cluster-local-nodemask", d.u32(12)&1 != 0, text(fmt.Sprintf("0x%08x", d.u32(4))))
	m.Left.Opts = options("cluster-total-nodes", dec(d.u32(0)), "cluster-hash-seed", fmt.Sprintf("0x%08x", d.u32(8)))
	return []snapshot.NfMatch{m}, d.u32(12)&^1 == 0
}

// xtConnLabel decodes struct xt_connlabel_mtinfo.
func xtConnLabel(d xtData) ([]snapshot.NfMatch, bool) {
	m := option("connlabel label", d.u16(2)&1 != 0, num(uint64(d.u16(0))))
	if d.u16(2)&2 != 0 {
		m.Left.Opts = options("set", "")
	}
	return []snapshot.NfMatch{m}, d.u16(0) < 128 && d.u16(2)&^3 == 0
}

// xtIPVS decodes struct xt_ipvs_mtinfo.
func xtIPVS(d xtData) (m []snapshot.NfMatch, ok bool) {
	inv, on := d.u8(38), d.u8(39)
	add := func(bit uint8, name string, v ...snapshot.NfValue) {
		if on&bit != 0 {
			m = append(m, option("ipvs "+name, inv&bit != 0, v...))
		}
	}
	if on == 1 { // any other test stands on an IPVS connection too
		add(1, "ipvs")
	}
	add(0x02, "vproto", num(uint64(d.u8(34))))
	add(0x04, "vaddr", masked(d.addr(0), d.addr(16)))
	add(0x08, "vport", num(uint64(d.be16(32))))
	if on&0x10 != 0 {
		m = append(m, option("ipvs vdir", false, text([...]string{"ORIGINAL", "REPLY"}[inv>>4&1])))
	}
	if on&0x20 != 0 {
		method := map[uint8]string{3: "GATE", 2: "IPIP", 0: "MASQ"}[d.u8(35)]
		if method == "" {
			return nil, false
		}
		add(0x20, "vmethod", text(method))
	}
	add(0x40, "vportctl", num(uint64(d.be16(36))))
	return m, len(m) > 0 && on&0x80 == 0
}

// xtOSF decodes struct nf_osf_info.
func xtOSF(d xtData) ([]snapshot.NfMatch, bool) {
	flags := d.u32(36)
	m := option("osf genre", flags&8 != 0, text(d.str(0, 32)))
	var opts []string
	if flags&2 != 0 {
		opts = append(opts, "ttl", dec(d.u32(44)))
	}
	if flags&4 != 0 {
		opts = append(opts, "log", dec(d.u32(40)))
	}
	m.Left.Opts = options(opts...)
	return []snapshot.NfMatch{m}, flags&^0x0f == 0
}

// xtSocket decodes struct xt_socket_mtinfo1, 2 and 3; revision 0 has no structure.
func xtSocket(d xtData) ([]snapshot.NfMatch, bool) {
	var opts []string
	flags := uint8(0)
	if d.rev > 0 {
		flags = d.u8(0)
	}
	for i, name := range []string{"transparent", "nowildcard", "restore-skmark"} {
		if flags>>i&1 != 0 {
			opts = append(opts, name, "")
		}
	}
	return []snapshot.NfMatch{only("socket", false, opts...)}, flags&^7 == 0
}

// xtNFAcct decodes struct xt_nfacct_match_info, which counts and matches always.
func xtNFAcct(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{option("nfacct nfacct-name", false, text(d.str(0, 32)))}, true
}

// xtTime decodes struct xt_time_info. Dates are seconds since 1970, times of a day seconds since midnight.
func xtTime(d xtData) ([]snapshot.NfMatch, bool) {
	var opts []string
	clock := func(n uint32) string { return fmt.Sprintf("%02d:%02d:%02d", n/3600, n/60%60, n%60) }
	if from, to := d.u32(8), d.u32(12); from != 0 || to != 24*60*60-1 {
		opts = append(opts, "timestart", clock(from), "timestop", clock(to))
	}
	if days := d.u32(16); days != 0xfffffffe {
		var list []string
		for n := 1; n <= 31; n++ {
			if days>>n&1 != 0 {
				list = append(list, strconv.Itoa(n))
			}
		}
		opts = append(opts, "monthdays", strings.Join(list, ","))
	}
	if days := d.u8(20); days != 0xfe {
		var list []string
		for i, name := range []string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"} {
			if days>>(i+1)&1 != 0 {
				list = append(list, name)
			}
		}
		opts = append(opts, "weekdays", strings.Join(list, ","))
	}
	for i, name := range []string{"datestart", "datestop"} {
		if n := d.u32(4 * i); n != 0 && n != 0xffffffff {
			opts = append(opts, name, time.Unix(int64(n), 0).UTC().Format("2006-01-02T15:04:05"))
		}
	}
	for i, name := range []string{"kerneltz", "contiguous"} {
		if d.u8(21)>>i&1 != 0 {
			opts = append(opts, name, "")
		}
	}
	return []snapshot.NfMatch{only("time", false, opts...)}, d.u8(21)&^3 == 0
}

// xtSet0 decodes struct xt_set_info_match_v0, which has a number for each direction.
func xtSet0(d xtData) ([]snapshot.NfMatch, bool) {
	var dirs []string
	for i := range ipsetDimMax {
		f := d.u32(4 + 4*i)
		switch {
		case f == 0:
		case f&1 != 0:
			dirs = append(dirs, "src")
		default:
			dirs = append(dirs, "dst")
		}
	}
	return []snapshot.NfMatch{only("ipset", d.u32(4)&4 != 0, ipsetIndex, dec(d.u16(0)), "dir", strings.Join(dirs, ","))}, dirs != nil
}
