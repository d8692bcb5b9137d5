package netfilter

import "github.com/nscope/nscope/inspect/snapshot"

// types are the values of a mask of address types: bit n stands for route type n (RTN_UNICAST 1, RTN_LOCAL 2 …).
func types(mask uint16) (v []snapshot.NfValue) {
	for n := range uint64(16) {
		if mask>>n&1 != 0 {
			v = append(v, num(n))
		}
	}
	return v
}

// addrTypes is a condition on source and destination; iif is what nft calls the limit to an interface.
func addrTypes(src, dst uint16, notSrc, notDst bool, iif string) (m []snapshot.NfMatch, ok bool) {
	fib := func(key string) snapshot.NfOperand { return snapshot.NfOperand{Kind: "fib", Key: key} }
	if src != 0 {
		m = append(m, is(fib("saddr"+iif+" type"), notSrc, types(src)...))
	}
	if dst != 0 {
		m = append(m, is(fib("daddr"+iif+" type"), notDst, types(dst)...))
	}
	return m, len(m) > 0 && (src|dst)&^0x0fff == 0
}

// xtAddrType0 decodes struct xt_addrtype_info.
func xtAddrType0(d xtData) ([]snapshot.NfMatch, bool) {
	return addrTypes(d.u16(0), d.u16(2), d.u32(4) != 0, d.u32(8) != 0, "")
}

// xtAddrType1 decodes struct xt_addrtype_info_v1.
func xtAddrType1(d xtData) ([]snapshot.NfMatch, bool) {
	flags := d.u32(4)
	if flags&^0x0f != 0 || flags&0x0c == 0x0c {
		return nil, false
	}
	iif := ""
	switch {
	case flags&4 != 0:
		iif = " . iif"
	case flags&8 != 0:
		iif = " . oif"
	}
	return addrTypes(d.u16(0), d.u16(2), flags&1 != 0, flags&2 != 0, iif)
}

// xtIPRange decodes struct xt_iprange_mtinfo.
func xtIPRange(d xtData) (m []snapshot.NfMatch, ok bool) {
	flags := d.u8(64)
	if flags&^0x33 != 0 || flags&0x03 == 0 {
		return nil, false
	}
	if flags&1 != 0 {
		m = append(m, is(payload(d.family+" saddr"), flags&0x10 != 0, snapshot.NfValue{Addrs: &snapshot.NfAddrs{From: d.addr(0), To: d.addr(16)}}))
	}
	if flags&2 != 0 {
		m = append(m, is(payload(d.family+" daddr"), flags&0x20 != 0, snapshot.NfValue{Addrs: &snapshot.NfAddrs{From: d.addr(32), To: d.addr(48)}}))
	}
	return m, true
}

// xtPktType decodes struct xt_pkttype_info.
func xtPktType(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{is(meta("pkttype"), d.u32(4) != 0, num(uint64(d.u32(0))))}, true
}

// xtPhysdev decodes struct xt_physdev_info: which ports of a bridge.
func xtPhysdev(d xtData) (m []snapshot.NfMatch, ok bool) {
	inv, on := d.u8(64), d.u8(65)
	if on == 0 || on&^0x1f != 0 {
		return nil, false
	}
	port := func(key string, off int, bit uint8) bool {
		if on&bit == 0 {
			return true
		}
		name, ok := ifaceName(d.b[off:off+16], d.b[off+16:off+32])
		m = append(m, is(snapshot.NfOperand{Kind: "xt", Key: key}, inv&bit != 0, text(name)))
		return ok && name != ""
	}
	flag := func(key string, bit uint8) {
		if on&bit != 0 {
			m = append(m, only(key, inv&bit != 0))
		}
	}
	flag("physdev is-in", 0x08)
	ok = port("physdev in", 0, 0x01)
	flag("physdev is-out", 0x10)
	ok = port("physdev out", 32, 0x02) && ok
	flag("physdev is-bridged", 0x04)
	return m, ok
}

// xtRPFilter decodes struct xt_rpfilter_info.
func xtRPFilter(d xtData) ([]snapshot.NfMatch, bool) {
	flags := d.u8(0)
	var opts []string
	for i, name := range []string{"loose", "validmark", "accept-local"} {
		if flags>>i&1 != 0 {
			opts = append(opts, name, "")
		}
	}
	return []snapshot.NfMatch{only("rpfilter", flags&8 != 0, opts...)}, flags&^0x0f == 0
}
