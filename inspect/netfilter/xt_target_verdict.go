package netfilter

import (
	"github.com/nscope/nscope/inspect/snapshot"
)

// Verdicts of struct xt_standard_target, -NF_x-1 (x_tables.h, netfilter.h). What is not negative is an offset to jump to.
var xtVerdicts = map[int32]string{-1: "drop", -2: "accept", -4: "queue", -5: "return"}

// xtStandard decodes the verdict of struct xt_standard_target. A jump needs the table around it.
func xtStandard(d xtData) (snapshot.NfExpr, bool) {
	kind := xtVerdicts[int32(d.u32(0))]
	return snapshot.NfExpr{Verdict: &snapshot.NfVerdict{Kind: kind}}, kind != ""
}

// Answers of enum ipt_reject_with and enum ip6t_reject_with, by iptables' names.
var (
	rejects4 = []string{"icmp-net-unreachable", "icmp-host-unreachable", "icmp-proto-unreachable", "icmp-port-unreachable", "",
		"icmp-net-prohibited", "icmp-host-prohibited", "tcp-reset", "icmp-admin-prohibited"}
	rejects6 = []string{"icmp6-no-route", "icmp6-adm-prohibited", "", "icmp6-addr-unreachable", "icmp6-port-unreachable", "", "tcp-reset",
		"icmp6-policy-fail", "icmp6-reject-route"}
)

// xtReject decodes struct ipt_reject_info and ip6t_reject_info.
func xtReject(d xtData) (snapshot.NfExpr, bool) {
	names := rejects4
	if d.v6() {
		names = rejects6
	}
	n := d.u32(0)
	if n >= uint32(len(names)) || names[n] == "" {
		return snapshot.NfExpr{}, false
	}
	return snapshot.NfExpr{Reject: &snapshot.NfReject{With: names[n]}}, true
}
