package netfilter

import (
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// choice is the name of a number, "" for one that has none.
func choice(n uint8, names ...string) string {
	if int(n) < len(names) {
		return names[n]
	}
	return ""
}

func xtAudit(d xtData) (snapshot.NfExpr, bool) {
	s := choice(d.u8(0), "accept", "drop", "reject")
	return action("audit", "type", s), s != ""
}

// xtClassify decodes struct xt_classify_target_info.
func xtClassify(d xtData) (snapshot.NfExpr, bool) {
	v := num(uint64(d.u32(0)))
	return snapshot.NfExpr{Assign: &snapshot.NfAssign{To: meta("priority"), Value: &v}}, true
}

// xtDSCPTarget decodes struct xt_DSCP_info.
func xtDSCPTarget(d xtData) (snapshot.NfExpr, bool) {
	v := num(uint64(d.u8(0)))
	return snapshot.NfExpr{Assign: &snapshot.NfAssign{To: payload(d.family + " dscp"), Value: &v}}, d.u8(0) < 64
}

// xtTOSTarget decodes struct xt_tos_target_info.
func xtTOSTarget(d xtData) (snapshot.NfExpr, bool) {
	return action("tos", "set-tos", fmt.Sprintf("0x%02x/0x%02x", d.u8(0), d.u8(1))), true
}

// xtHopsTarget decodes struct ipt_TTL_info and struct ip6t_HL_info.
func xtHopsTarget(d xtData) (snapshot.NfExpr, bool) {
	name, op := strings.ToLower(d.name), choice(d.u8(0), "set", "inc", "dec")
	return action(name, name+"-"+op, dec(d.u8(1))), op != ""
}

// xtECNTarget decodes struct ipt_ECN_info.
func xtECNTarget(d xtData) (snapshot.NfExpr, bool) {
	op, ece, cwr := d.u8(0), d.u8(2)&1, d.u8(2)>>1&1
	if op == 0x30 && ece == 0 && cwr == 0 {
		return action("ecn", "ecn-tcp-remove", ""), true
	}
	var opts []string
	if op&0x10 != 0 {
		opts = append(opts, "ecn-tcp-ece", dec(ece))
	}
	if op&0x20 != 0 {
		opts = append(opts, "ecn-tcp-cwr", dec(cwr))
	}
	if op&0x01 != 0 {
		opts = append(opts, "ecn-ip-ect", dec(d.u8(1)))
	}
	return action("ecn", opts...), op&^0x31 == 0
}

// xtConnSecMark decodes struct xt_connsecmark_target_info.
func xtConnSecMark(d xtData) (snapshot.NfExpr, bool) {
	s := choice(d.u8(0), "", "save", "restore")
	return action("connsecmark", s, ""), s != ""
}

// xtSecMark decodes struct xt_secmark_target_info and its revision 1.
func xtSecMark(d xtData) (snapshot.NfExpr, bool) {
	off := 8
	if d.rev == 1 {
		off = 1
	}
	return action("secmark", "selctx", d.str(off, 256)), d.u8(0) == 1
}

// xtNPT decodes struct ip6t_npt_tginfo: prefixes translated one to one.
func xtNPT(d xtData) (snapshot.NfExpr, bool) {
	prefix := func(addr, n int) string {
		return netip.AddrFrom16([16]byte(d.b[addr:])).String() + "/" + dec(d.u8(n))
	}
	return action(strings.ToLower(d.name), "src-pfx", prefix(0, 32), "dst-pfx", prefix(16, 33)), d.u8(32) <= 128 && d.u8(33) <= 128
}

// xtIdleTimer decodes struct idletimer_tg_info and its revision 1.
func xtIdleTimer(d xtData) (snapshot.NfExpr, bool) {
	opts := []string{"timeout", dec(d.u32(0)), "label", d.str(4, 28)}
	if d.rev == 1 && d.u8(33) == 1 {
		opts = append(opts, "alarm", "")
	}
	return action("idletimer", opts...), true
}

// xtLED decodes struct xt_led_info.
func xtLED(d xtData) (snapshot.NfExpr, bool) {
	id, ok := strings.CutPrefix(d.str(0, 27), "netfilter-")
	opts := []string{"led-trigger-id", `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(id) + `"`}
	switch n := int32(d.u32(28)); {
	case n > 0:
		opts = append(opts, "led-delay", strconv.Itoa(int(n)))
	case n == -1:
		opts = append(opts, "led-delay", "inf")
	}
	if d.u8(27) != 0 {
		opts = append(opts, "led-always-blink", "")
	}
	return action("led", opts...), ok
}

// xtNFQueue decodes struct xt_NFQ_info and its revisions.
func xtNFQueue(d xtData) (snapshot.NfExpr, bool) {
	from, n, flags := uint64(d.u16(0)), uint64(1), uint16(0)
	if d.rev > 0 {
		n = uint64(max(d.u16(2), 1))
	}
	if d.rev > 1 {
		flags = d.u16(4)
	}
	v := &snapshot.NfVerdict{Kind: "queue", Queue: &snapshot.NfNum{From: from, To: from + n - 1}}
	for i, name := range []string{"bypass", "fanout"} {
		if flags>>i&1 != 0 {
			v.Flags = append(v.Flags, name)
		}
	}
	return snapshot.NfExpr{Verdict: v}, flags&^3 == 0 && from+n <= 1<<16
}

// xtTEE decodes struct xt_tee_tginfo.
func xtTEE(d xtData) (snapshot.NfExpr, bool) {
	opts := []string{"gateway", d.addr(0).String()}
	if s := d.str(16, 16); s != "" {
		opts = append(opts, "oif", s)
	}
	return action("tee", opts...), true
}

// xtTrace is a target without a structure.
func xtTrace(xtData) (snapshot.NfExpr, bool) { return action("trace"), true }

// xtSynProxy decodes struct nf_synproxy_info.
func xtSynProxy(d xtData) (snapshot.NfExpr, bool) {
	on := d.u8(0)
	var opts []string
	if on&4 != 0 {
		opts = append(opts, "sack-perm", "")
	}
	if on&8 != 0 {
		opts = append(opts, "timestamp", "")
	}
	if on&2 != 0 {
		opts = append(opts, "wscale", dec(d.u8(1)))
	}
	if on&1 != 0 {
		opts = append(opts, "mss", dec(d.u16(2)))
	}
	if on&16 != 0 {
		opts = append(opts, "ecn", "")
	}
	return action("synproxy", opts...), on&^0x1f == 0
}

// xtTCPOptStrip decodes struct xt_tcpoptstrip_target_info.
func xtTCPOptStrip(d xtData) (snapshot.NfExpr, bool) {
	var list []string
	for n := range 256 {
		if d.u32(n/32*4)>>(n%32)&1 != 0 {
			list = append(list, strconv.Itoa(n))
		}
	}
	if list == nil {
		return action("tcpoptstrip"), true
	}
	return action("tcpoptstrip", "strip-options", strings.Join(list, ",")), true
}

// xtRateEstTarget decodes struct xt_rateest_target_info.
func xtRateEstTarget(d xtData) (snapshot.NfExpr, bool) {
	interval, ewma := int8(d.u8(16)), d.u8(17)
	if interval < -2 || interval > 3 || ewma == 0 || ewma >= 16 {
		return snapshot.NfExpr{}, false
	}
	us := uint32(1000000) << (interval + 2) / 4
	show := func(n uint32) string {
		switch {
		case n >= 1000000:
			return fmt.Sprintf("%.1fs", float64(n)/1000000)
		case n >= 1000:
			return fmt.Sprintf("%.1fms", float64(n)/1000)
		}
		return dec(n) + "us"
	}
	return action("rateest", "rateest-name", d.str(0, 16), "rateest-interval", show(us), "rateest-ewmalog", show(us*(1<<ewma))), true
}

// xtHMark decodes struct xt_hmark_info: a mark from a hash.
func xtHMark(d xtData) (snapshot.NfExpr, bool) {
	flags := d.u32(40)
	var opts []string
	add := func(bit int, name, value string) {
		if flags>>bit&1 != 0 {
			opts = append(opts, name, value)
		}
	}
	src, ok := prefixLen(d.addr(0))
	dst, ok2 := prefixLen(d.addr(16))
	add(0, "hmark-src-prefix", strconv.Itoa(src))
	add(1, "hmark-dst-prefix", strconv.Itoa(dst))
	add(6, "hmark-sport-mask", fmt.Sprintf("0x%04x", d.be16(32)))
	add(7, "hmark-dport-mask", fmt.Sprintf("0x%04x", d.be16(34)))
	add(3, "hmark-spi-mask", fmt.Sprintf("0x%08x", d.be32(32)))
	add(4, "hmark-sport", fmt.Sprintf("0x%04x", d.be16(36)))
	add(5, "hmark-dport", fmt.Sprintf("0x%04x", d.be16(38)))
	add(2, "hmark-spi", fmt.Sprintf("0x%08x", d.be32(36)))
	add(8, "hmark-proto-mask", fmt.Sprintf("0x%02x", d.u16(44)))
	add(9, "hmark-rnd", fmt.Sprintf("0x%08x", d.u32(48)))
	add(10, "hmark-mod", dec(d.u32(52)))
	add(11, "hmark-offset", dec(d.u32(56)))
	add(12, "hmark-tuple", "ct")
	return action("hmark", opts...), ok && ok2 && flags&^0x7fff == 0
}

// xtClusterIP decodes struct ipt_clusterip_tgt_info. One that is not new has its settings in the kernel alone.
func xtClusterIP(d xtData) (snapshot.NfExpr, bool) {
	if d.u32(0)&1 == 0 {
		return action("clusterip"), true
	}
	var mode string
	if n := d.u32(48); n < 3 {
		mode = [...]string{"sourceip", "sourceip-sourceport", "sourceip-sourceport-destport"}[n]
	}
	return action("clusterip", "new", "", "hashmode", mode, "clustermac", net.HardwareAddr(d.b[4:10]).String(),
		"total-nodes", dec(d.u16(10)), "local-node", dec(d.u16(14)), "hash-init", dec(d.u32(52))), mode != ""
}

// xtULog decodes struct ipt_ulog_info (no longer in the kernel's headers): groups, two numbers of 64 bits, a prefix of 32 bytes.
func xtULog(d xtData) (snapshot.NfExpr, bool) {
	var opts []string
	if s := d.str(24, 32); s != "" {
		opts = append(opts, "ulog-prefix", s)
	}
	if g := d.u32(0); g != 1 {
		opts = append(opts, "ulog-nlgroup", strconv.Itoa(bits.TrailingZeros32(g)+1))
	}
	if n := d.u64(8); n != 0 {
		opts = append(opts, "ulog-cprange", dec(n))
	}
	if n := d.u64(16); n != 1 {
		opts = append(opts, "ulog-qthreshold", dec(n))
	}
	return action("ulog", opts...), d.u32(0) != 0
}

// xtSetTarget decodes struct xt_set_info_target_v1, 2 and 3: entries added to ipsets and deleted.
func xtSetTarget(d xtData) (e snapshot.NfExpr, ok bool) {
	var opts []string
	refs := []string{"add", "del", "map"}
	if d.rev < 3 {
		refs = refs[:2]
	}
	for i, what := range refs {
		index, dirs, _, ok := ipsetRef(d, 4*i)
		if !ok {
			return e, false
		}
		if index != ipsetInvalid {
			opts = append(opts, what+"-"+ipsetIndex, dec(index), what+"-dir", dirs)
		}
	}
	if d.rev > 1 {
		at := 4 * len(refs)
		flags, timeout := d.u32(at), d.u32(at+4)
		for _, f := range []struct {
			bit  uint32
			name string
		}{{ipsetExist, "exist"}, {ipsetMapMark, "map-mark"}, {ipsetMapPrio, "map-prio"}, {ipsetMapQueue, "map-queue"}} {
			if flags&f.bit != 0 {
				opts = append(opts, f.name, "")
			}
		}
		if timeout != 0xffffffff {
			opts = append(opts, "timeout", dec(timeout))
		}
	}
	return action("set", opts...), true
}
