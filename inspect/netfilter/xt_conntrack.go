package netfilter

import "github.com/nscope/nscope/inspect/snapshot"

// Bits of xt_conntrack.h's state masks. The first four are those of nftables' "ct state".
const (
	xtStateTracked   = 0x0f
	xtStateSNAT      = 0x40
	xtStateDNAT      = 0x80
	xtStateUntracked = 0x100 // XT_CONNTRACK_STATE_UNTRACKED
	stateUntracked   = 0x40  // XT_STATE_UNTRACKED of xt_state.h, and nftables'
)

// xtState decodes struct xt_state_info.
func xtState(d xtData) ([]snapshot.NfMatch, bool) {
	bits := d.u32(0)
	if bits&^(xtStateTracked|stateUntracked) != 0 {
		return nil, false
	}
	return []snapshot.NfMatch{anyOf(conn("state"), false, uint64(bits))}, true
}

// ctStates are the names of the bits, in iptables' order.
var ctStates = []struct {
	bit  uint16
	name string
}{{1, "INVALID"}, {8, "NEW"}, {4, "RELATED"}, {2, "ESTABLISHED"}, {xtStateUntracked, "UNTRACKED"}, {xtStateSNAT, "SNAT"}, {xtStateDNAT, "DNAT"}}

// ctState is a condition on the state of a connection. SNAT and DNAT are no states but for this match: "one of these
// states, or translated" is no condition of nftables, and stays the module's, by names.
func ctState(bits uint16, not bool) (snapshot.NfMatch, bool) {
	if bits&^(xtStateTracked|xtStateUntracked|xtStateSNAT|xtStateDNAT) != 0 {
		return snapshot.NfMatch{}, false
	}
	if bits&(xtStateSNAT|xtStateDNAT) == 0 {
		n := uint64(bits & xtStateTracked)
		if bits&xtStateUntracked != 0 {
			n |= stateUntracked
		}
		return anyOf(conn("state"), not, n), true
	}
	m := anyOf(snapshot.NfOperand{Kind: "xt", Key: "ctstate"}, not, 0)
	m.Values = nil
	for _, s := range ctStates {
		if bits&s.bit != 0 {
			m.Values = append(m.Values, text(s.name))
		}
	}
	return m, true
}

// xtConntrack decodes struct xt_conntrack_mtinfo1, 2 and 3. The masks grew to 16 bits in 2, the ports to ranges in 3 (in
// host byte order then).
func xtConntrack(d xtData) (m []snapshot.NfMatch, ok bool) {
	flags, inv := d.u16(146), d.u16(148)
	if flags&^0x3fff != 0 {
		return nil, false
	}
	state, status := uint16(d.u8(150)), uint16(d.u8(151))
	if d.rev > 1 {
		state, status = d.u16(150), d.u16(152)
	}
	on := func(bit uint16) bool { return flags&bit != 0 }
	not := func(bit uint16) bool { return inv&bit != 0 }
	if on(1) {
		s, ok := ctState(state, not(1))
		if !ok {
			return nil, false
		}
		if on(1 << 13) { // written as "-m state"
			s.Left.Opts = options("as", "state")
		}
		m = append(m, s)
	}
	if on(2) {
		m = append(m, is(conn("protocol"), not(2), num(uint64(d.u16(136)))))
	}
	fam := "ip"
	if d.v6() {
		fam = "ip6"
	}
	for i, dir := range []string{"original", "original", "reply", "reply"} {
		if bit := uint16(4 << i); on(bit) {
			left := conn(fam + [...]string{" saddr", " daddr"}[i%2])
			left.Dir = dir
			m = append(m, is(left, not(bit), masked(d.addr(32*i), d.addr(32*i+16))))
		}
	}
	for i, dir := range []string{"original", "original", "reply", "reply"} {
		if bit := uint16(0x100 << i); on(bit) {
			left := conn([...]string{"proto-src", "proto-dst"}[i%2])
			left.Dir = dir
			from := uint64(d.be16(138 + 2*i))
			to := from
			if d.rev == 3 {
				from, to = uint64(d.u16(138+2*i)), uint64(d.u16(154+2*i))
				if to == 0 {
					to = from
				}
			}
			m = append(m, is(left, not(bit), span(from, to)))
		}
	}
	if on(0x40) {
		m = append(m, anyOf(conn("status"), not(0x40), uint64(status)))
	}
	if on(0x80) {
		m = append(m, is(conn("expiration"), not(0x80), span(uint64(d.u32(128)), uint64(d.u32(132)))))
	}
	if on(0x1000) {
		n := uint64(0) // IP_CT_DIR_ORIGINAL
		if not(0x1000) {
			n = 1
		}
		m = append(m, is(conn("direction"), false, num(n)))
	}
	return m, len(m) > 0
}

// xtMark decodes struct xt_mark_mtinfo1.
func xtMark(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{is(under(meta("mark"), uint64(d.u32(4)), 4), d.u8(8) != 0, num(uint64(d.u32(0))))}, true
}

// xtConnMark decodes struct xt_connmark_mtinfo1.
func xtConnMark(d xtData) ([]snapshot.NfMatch, bool) {
	return []snapshot.NfMatch{is(under(conn("mark"), uint64(d.u32(4)), 4), d.u8(8) != 0, num(uint64(d.u32(0))))}, true
}
