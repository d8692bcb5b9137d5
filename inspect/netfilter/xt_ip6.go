package netfilter

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Matches on extension headers of IPv6 (include/uapi/linux/netfilter_ipv6).

// xtFrag decodes struct ip6t_frag.
func xtFrag(d xtData) (m []snapshot.NfMatch, ok bool) {
	on, inv := d.u8(12), d.u8(13)
	m = spi(m, "frag fragid", d.u32(0), d.u32(4), inv&1 != 0)
	if on&2 != 0 {
		m = append(m, option("frag fraglen", inv&2 != 0, num(uint64(d.u32(8)))))
	}
	for _, f := range []struct {
		bit  uint8
		name string
	}{{4, "fragres"}, {8, "fragfirst"}, {0x10, "fragmore"}, {0x20, "fraglast"}} {
		if on&f.bit != 0 {
			m = append(m, option("frag "+f.name, false))
		}
	}
	if m == nil {
		m = bare("frag")
	}
	return m, on&^0x3f == 0 && inv&^3 == 0
}

// xtOpts decodes struct ip6t_opts, of destination and of hop-by-hop options.
func xtOpts(d xtData) (m []snapshot.NfMatch, ok bool) {
	on, inv, n := d.u8(4), d.u8(5), int(d.u8(38))
	if on&^7 != 0 || inv&^1 != 0 || n > 16 {
		return nil, false
	}
	if on&1 != 0 {
		m = append(m, option(d.name+" "+d.name+"-len", inv&1 != 0, num(uint64(d.u32(0)))))
	}
	var opts []string
	for i := range n {
		v := d.u16(6 + 2*i)
		s := strconv.Itoa(int(v >> 8))
		if v&0xff != 0xff {
			s += ":" + strconv.Itoa(int(v&0xff))
		}
		opts = append(opts, s)
	}
	if on&2 != 0 {
		m = append(m, option(d.name+" "+d.name+"-opts", false, text(strings.Join(opts, ","))))
	}
	if m == nil {
		m = bare(d.name)
	}
	return m, true
}

// ip6HeaderNames are the names of headers, by bit of ip6t_ipv6header.h, in iptables' order.
var ip6HeaderNames = []struct {
	bit  uint8
	name string
}{{128, "hop-by-hop"}, {64, "ipv6-opts"}, {32, "ipv6-route"}, {16, "ipv6-frag"}, {8, "ah"}, {4, "esp"}, {2, "ipv6-nonxt"}, {1, "protocol"}}

// xtIPv6Header decodes struct ip6t_ipv6header_info.
func xtIPv6Header(d xtData) ([]snapshot.NfMatch, bool) {
	var names []string
	for _, h := range ip6HeaderNames {
		if d.u8(0)&h.bit != 0 {
			names = append(names, h.name)
		}
	}
	if d.u8(1) != 0 && d.u8(1) != 0xff && d.u8(1) != d.u8(0) {
		return nil, false // some headers inverted, others not: iptables cannot write it
	}
	m := option("ipv6header header", d.u8(1) != 0, text(strings.Join(names, ",")))
	if d.u8(2) != 0 {
		m.Left.Opts = options("soft", "")
	}
	return []snapshot.NfMatch{m}, len(names) > 0
}

// xtMH decodes struct ip6t_mh.
func xtMH(d xtData) ([]snapshot.NfMatch, bool) {
	from, to, inv := d.u8(0), d.u8(1), d.u8(2)
	if from == 0 && to == 0xff && inv == 0 {
		return always(135), true
	}
	return []snapshot.NfMatch{option("mh mh-type", inv&1 != 0, span(uint64(from), uint64(to)))}, inv&^1 == 0
}

// xtRT decodes struct ip6t_rt.
func xtRT(d xtData) (m []snapshot.NfMatch, ok bool) {
	on, inv, n := d.u8(16), d.u8(17), int(d.u8(276))
	if on&^0x3f != 0 || inv&^7 != 0 || n > 16 {
		return nil, false
	}
	if on&1 != 0 {
		m = append(m, option("rt rt-type", inv&1 != 0, num(uint64(d.u32(0)))))
	}
	m = spi(m, "rt rt-segsleft", d.u32(4), d.u32(8), inv&2 != 0)
	if on&4 != 0 {
		m = append(m, option("rt rt-len", inv&4 != 0, num(uint64(d.u32(12)))))
	}
	if on&8 != 0 {
		m = append(m, option("rt rt-0-res", false))
	}
	if on&0x10 != 0 {
		var addrs []string
		for i := range n {
			addrs = append(addrs, netip.AddrFrom16([16]byte(d.b[20+16*i:])).String())
		}
		m = append(m, option("rt rt-0-addrs", false, text(strings.Join(addrs, ","))))
	}
	if on&0x20 != 0 {
		m = append(m, option("rt rt-0-not-strict", false))
	}
	if m == nil {
		m = bare("rt")
	}
	return m, true
}

// xtSRH decodes struct ip6t_srh, and struct ip6t_srh1 which has addresses between.
func xtSRH(d xtData) (m []snapshot.NfMatch, ok bool) {
	end := 6
	if d.rev == 1 {
		end = 104
	}
	on, inv := d.u16(end), d.u16(end+2)
	if on&^0x3fff != 0 || d.rev == 0 && on&^0x07ff != 0 {
		return nil, false
	}
	for i, f := range []struct {
		name string
		off  int
	}{{"next-hdr", 0}, {"hdr-len-eq", 1}, {"hdr-len-gt", 1}, {"hdr-len-lt", 1}, {"segs-left-eq", 2}, {"segs-left-gt", 2}, {"segs-left-lt", 2},
		{"last-entry-eq", 3}, {"last-entry-gt", 3}, {"last-entry-lt", 3}, {"tag", 4}, {"psid", 8}, {"nsid", 24}, {"lsid", 40}} {
		if on>>i&1 == 0 {
			continue
		}
		v := num(uint64(d.u8(f.off)))
		switch {
		case i == 10:
			v = num(uint64(d.u16(f.off)))
		case i > 10:
			v = masked(netip.AddrFrom16([16]byte(d.b[f.off:])), netip.AddrFrom16([16]byte(d.b[f.off+48:])))
		}
		m = append(m, option("srh srh-"+f.name, inv>>i&1 != 0, v))
	}
	if m == nil {
		m = bare("srh")
	}
	return m, true
}

// xtEUI64 is a match without settings: the source address is made of the sender's MAC.
func xtEUI64(xtData) ([]snapshot.NfMatch, bool) { return bare("eui64"), true }
