package netfilter

import "github.com/nscope/nscope/inspect/snapshot"

var logLevels = []string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"}

// logFlags are the names of nftables' log flags, by bit of xt_LOG.h.
var logFlags = []string{"tcp sequence", "tcp options", "ip options", "skuid", "", "ether"}

// xtLog decodes struct xt_log_info.
func xtLog(d xtData) (e snapshot.NfExpr, ok bool) {
	level, flags := d.u8(0), d.u8(1)
	if int(level) >= len(logLevels) || flags&^0x2f != 0 {
		return e, false
	}
	l := &snapshot.NfLog{Prefix: d.str(2, 30), Level: logLevels[level]}
	for i, name := range logFlags {
		if flags>>i&1 != 0 {
			l.Flags = append(l.Flags, name)
		}
	}
	return snapshot.NfExpr{Log: l}, true
}

// xtNFLog decodes struct xt_nflog_info.
func xtNFLog(d xtData) (e snapshot.NfExpr, ok bool) {
	group := d.u16(4)
	l := &snapshot.NfLog{Prefix: d.str(12, 64), Group: &group, SnapLen: d.u32(0), Threshold: d.u16(6)}
	switch d.u16(8) {
	case 0:
	case 1: // XT_NFLOG_F_COPY_LEN: the length is used
		l.Flags = []string{"copy-len"}
	default:
		return e, false
	}
	return snapshot.NfExpr{Log: l}, true
}
