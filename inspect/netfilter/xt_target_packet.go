package netfilter

import "github.com/nscope/nscope/inspect/snapshot"

// xtChecksum decodes struct xt_CHECKSUM_info.
func xtChecksum(d xtData) (snapshot.NfExpr, bool) {
	return action("checksum", "checksum-fill", ""), d.u8(0) == 1
}

// xtTCPMSS decodes struct xt_tcpmss_info.
func xtTCPMSS(d xtData) (snapshot.NfExpr, bool) {
	if mss := d.u16(0); mss != 0xffff {
		return action("tcpmss", "set-mss", dec(mss)), true
	}
	return action("tcpmss", "clamp-mss-to-pmtu", ""), true
}
