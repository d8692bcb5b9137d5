package netfilter

import (
	"net/netip"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Flags of include/uapi/linux/netfilter/nf_nat.h.
const (
	natMapIPs     = 1 << 0
	natPorts      = 1 << 1
	natRandom     = 1 << 2
	natPersistent = 1 << 3
	natFully      = 1 << 4
	natOffset     = 1 << 5
	natNetmap     = 1 << 6
)

// natRange is one range of addresses and ports to translate to.
type natRange struct {
	flags          uint32
	min, max       netip.Addr
	from, to, base uint16
}

// xtNAT4 decodes struct nf_nat_ipv4_multi_range_compat, which always has one range.
func xtNAT4(d xtData) (snapshot.NfExpr, bool) {
	if d.u32(0) != 1 {
		return snapshot.NfExpr{}, false
	}
	return nat(d, natRange{flags: d.u32(4), min: d.addr(8), max: d.addr(12), from: d.be16(16), to: d.be16(18)})
}

// xtNAT decodes struct nf_nat_range, and nf_nat_range2 of revision 2.
func xtNAT(d xtData) (snapshot.NfExpr, bool) {
	r := natRange{flags: d.u32(0), min: d.addr(4), max: d.addr(20), from: d.be16(36), to: d.be16(38)}
	if d.rev == 2 {
		r.base = d.be16(40)
	}
	return nat(d, r)
}

func nat(d xtData, r natRange) (e snapshot.NfExpr, ok bool) {
	if r.flags&^0x7f != 0 {
		return e, false
	}
	n := &snapshot.NfNAT{Kind: strings.ToLower(d.name), Family: d.family}
	if d.name == "NETMAP" {
		return netmap(n, r)
	}
	if r.flags&natMapIPs != 0 {
		n.Addr = r.min
		if r.max != r.min {
			n.AddrTo = r.max
		}
	}
	if r.flags&natPorts != 0 {
		if r.from == 0 && r.to == 0 { // to no port: the model cannot tell it from none
			return e, false
		}
		n.Port = r.from
		if r.to != r.from {
			n.PortTo = r.to
		}
		if r.flags&natOffset != 0 {
			n.PortBase = r.base
		}
	}
	for _, f := range []struct {
		bit  uint32
		name string
	}{{natRandom, "random"}, {natFully, "fully-random"}, {natPersistent, "persistent"}} {
		if r.flags&f.bit != 0 {
			n.Flags = append(n.Flags, f.name)
		}
	}
	return snapshot.NfExpr{NAT: n}, true
}

// netmap keeps the bits of the host; the range has the network in the bits that its two ends share.
func netmap(n *snapshot.NfNAT, r natRange) (e snapshot.NfExpr, ok bool) {
	lo, hi := r.min.AsSlice(), r.max.AsSlice()
	mask := make([]byte, len(lo))
	for i := range lo {
		mask[i] = ^(lo[i] ^ hi[i])
	}
	m, _ := netip.AddrFromSlice(mask)
	bits, ok := prefixLen(m)
	if !ok {
		return e, false
	}
	n.Prefix = netip.PrefixFrom(r.min, bits)
	return snapshot.NfExpr{NAT: n}, true
}

// xtTProxy decodes struct xt_tproxy_target_info and xt_tproxy_target_info_v1.
func xtTProxy(d xtData) (snapshot.NfExpr, bool) {
	n := &snapshot.NfNAT{Kind: "tproxy", Family: d.family, MarkMask: d.u32(0), Mark: d.u32(4), Addr: d.addr(8)}
	if d.rev == 0 {
		n.Port = d.be16(12)
	} else {
		n.Port = d.be16(24)
	}
	return snapshot.NfExpr{NAT: n}, true
}
