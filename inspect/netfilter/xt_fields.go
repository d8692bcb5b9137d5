package netfilter

import (
	"net"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Matches on one field of a packet, or on one thing that the kernel knows of it, which nftables has too. Where a packet that
// lacks the thing matches the inverted condition here, and none of nftables', the inverted one stays the module's.

// xtLength decodes struct xt_length_info.
func xtLength(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{is(meta("length"), d.u8(4) != 0, span(uint64(d.u16(0)), uint64(d.u16(2))))}, true
}

// xtMAC decodes struct xt_mac_info.
func xtMAC(d xtData) ([]snapshot.NfMatch, bool) {
	mac := snapshot.NfValue{MAC: net.HardwareAddr(d.b[:6]).String()}
	return []snapshot.NfMatch{is(payload("ether saddr"), d.u32(8) != 0, mac)}, true
}

// xtHops decodes struct ipt_ttl_info and struct ip6t_hl_info, which are the same.
func xtHops(d xtData) ([]snapshot.NfMatch, bool) {
	left := payload("ip ttl")
	if d.name == "hl" {
		left = payload("ip6 hoplimit")
	}
	ops := []string{snapshot.NfEq, snapshot.NfNe, snapshot.NfLt, snapshot.NfGt}
	if int(d.u8(0)) >= len(ops) {
		return nil, false
	}
	m := is(left, false, num(uint64(d.u8(1))))
	m.Op = ops[d.u8(0)]
	return []snapshot.NfMatch{m}, true
}

// xtDSCP decodes struct xt_dscp_info.
func xtDSCP(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{is(payload(d.family+" dscp"), d.u8(1) != 0, num(uint64(d.u8(0))))}, true
}

// trafficClass is the byte of DSCP and ECN, for which nftables has no name.
func trafficClass(v6 bool) snapshot.NfOperand {
	if v6 {
		return snapshot.NfOperand{Kind: "payload", Base: "network", Offset: 4, Len: 8}
	}
	return snapshot.NfOperand{Kind: "payload", Base: "network", Offset: 8, Len: 8}
}

// xtTOS decodes struct xt_tos_match_info.
func xtTOS(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{is(under(trafficClass(d.v6()), uint64(d.u8(0)), 1), d.u8(2) != 0, num(uint64(d.u8(1))))}, true
}

// xtCPU decodes struct xt_cpu_info.
func xtCPU(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{is(meta("cpu"), d.u32(4)&1 != 0, num(uint64(d.u32(0))))}, d.u32(4)&^1 == 0
}

// xtDevGroup decodes struct xt_devgroup_info.
func xtDevGroup(d xtData) (m []snapshot.NfMatch, ok bool) {
	flags := d.u32(0)
	if flags&1 != 0 {
		m = append(m, is(under(meta("iifgroup"), uint64(d.u32(8)), 4), flags&2 != 0, num(uint64(d.u32(4)))))
	}
	if flags&4 != 0 {
		m = append(m, is(under(meta("oifgroup"), uint64(d.u32(16)), 4), flags&8 != 0, num(uint64(d.u32(12)))))
	}
	return m, len(m) > 0 && flags&^0x0f == 0
}

// xtRealm decodes struct xt_realm_info.
func xtRealm(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{is(under(meta("rtclassid"), uint64(d.u32(4)), 4), d.u8(8) != 0, num(uint64(d.u32(0))))}, true
}

// xtOwner decodes struct xt_owner_match_info.
func xtOwner(d xtData) (m []snapshot.NfMatch, ok bool) {
	on, inv := d.u8(16), d.u8(17)
	if on == 0 || on&^0x0f != 0 {
		return nil, false
	}
	id := func(bit uint8, key, option string, off int, opts ...string) {
		if on&bit == 0 {
			return
		}
		left := meta(key)
		if inv&bit != 0 || len(opts) > 0 {
			left = snapshot.NfOperand{Kind: "xt", Key: "owner " + option, Opts: options(opts...)}
		}
		m = append(m, is(left, inv&bit != 0, span(uint64(d.u32(off)), uint64(d.u32(off+4)))))
	}
	if on&4 != 0 {
		m = append(m, only("owner socket-exists", inv&4 != 0))
	}
	id(1, "skuid", "uid-owner", 0)
	if on&8 != 0 {
		id(2, "skgid", "gid-owner", 8, "suppl-groups", "")
	} else {
		id(2, "skgid", "gid-owner", 8)
	}
	return m, len(m) > 0
}

// xtHelper decodes struct xt_helper_info; without a name any helper will do.
func xtHelper(d xtData) ([]snapshot.NfMatch, bool) {
	name, not := d.str(4, 30), d.u32(0) != 0
	if name == "" || not {
		return []snapshot.NfMatch{is(snapshot.NfOperand{Kind: "xt", Key: "helper helper"}, not, text(name))}, true
	}
	return []snapshot.NfMatch{is(conn("helper"), false, text(name))}, true
}

// xtConnBytes decodes struct xt_connbytes_info. A range whose ends are the wrong way round is inverted.
func xtConnBytes(d xtData) ([]snapshot.NfMatch, bool) {
	from, to, what, dir := d.u64(0), d.u64(8), d.u8(16), d.u8(17)
	if what > 2 || dir > 2 {
		return nil, false
	}
	left := conn([...]string{"packets", "bytes", "avgpkt"}[what])
	left.Dir = [...]string{"original", "reply", ""}[dir]
	if from > to {
		return []snapshot.NfMatch{is(left, true, span(to, from))}, true
	}
	return []snapshot.NfMatch{is(left, false, span(from, to))}, true
}

// xtTCPMSS decodes struct xt_tcpmss_match_info.
func xtTCPMSSMatch(d xtData) ([]snapshot.NfMatch, bool) {
	left, not := snapshot.NfOperand{Kind: "tcpopt", Key: "maxseg size"}, d.u8(4) != 0
	if not {
		left = snapshot.NfOperand{Kind: "xt", Key: "tcpmss mss"}
	}
	return []snapshot.NfMatch{is(left, not, span(uint64(d.u16(0)), uint64(d.u16(2))))}, true
}

// xtCGroup decodes struct xt_cgroup_info_v0, v1 and v2: a net_cls class, or a path of cgroup v2.
func xtCGroup(d xtData) (m []snapshot.NfMatch, ok bool) {
	switch d.rev {
	case 0:
		return []snapshot.NfMatch{is(meta("cgroup"), d.u32(4) != 0, num(uint64(d.u32(0))))}, true
	case 1, 2:
		if d.u8(0) != 0 {
			path := d.b[4:516]
			if d.rev == 1 {
				path = d.b[4:4100]
			}
			m = append(m, is(snapshot.NfOperand{Kind: "xt", Key: "cgroup path"}, d.u8(2) != 0, text(xtData{b: path}.str(0, len(path)))))
		}
		if d.u8(1) != 0 {
			off := 4
			if d.rev == 1 {
				off = 4100
			}
			m = append(m, is(meta("cgroup"), d.u8(3) != 0, num(uint64(d.u32(off)))))
		}
	}
	return m, len(m) > 0
}
