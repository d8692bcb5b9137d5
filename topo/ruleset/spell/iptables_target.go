package spell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// toTarget writes what ends a rule of iptables.
func (l *line) toTarget(e *snapshot.NfExpr) (err error) {
	var s string
	switch {
	case e.Verdict != nil:
		s, err = verdict(e)
	case e.NAT != nil:
		s, err = l.nat(e.NAT)
	case e.Reject != nil:
		s, err = reject(l.family, e)
	case e.Log != nil:
		s, err = logTarget(e)
	case e.Assign != nil:
		s, err = assign(e)
	case e.Action != nil && e.XT != nil:
		s, err = actionTarget(e)
	default:
		err = notIPTables("%s", what(e))
	}
	l.target = s
	return err
}

func what(e *snapshot.NfExpr) string {
	switch {
	case e.Map != nil:
		return "a map of verdicts"
	case e.Update != nil:
		return "a set that packets change"
	case e.Action != nil:
		return e.Action.Name
	}
	return "an expression of nftables"
}

func verdict(e *snapshot.NfExpr) (string, error) {
	v := e.Verdict
	switch v.Kind {
	case "accept", "drop", "return":
		if v.DropNo != 0 {
			return "", notIPTables("a drop with an error")
		}
		return " -j " + strings.ToUpper(v.Kind), nil
	case "jump":
		return " -j " + v.Chain, nil
	case "goto":
		return " -g " + v.Chain, nil
	case "queue":
		if e.XT == nil {
			if v.Queue == nil {
				return " -j QUEUE", nil
			}
			return "", notIPTables("a queue of nftables")
		}
		return nfqueue(e), nil
	}
	return "", notIPTables("the verdict %s", v.Kind)
}

func nfqueue(e *snapshot.NfExpr) string {
	v := e.Verdict
	s := " -j NFQUEUE"
	if v.Queue.From != v.Queue.To {
		s += " --queue-balance " + span(*v.Queue, ":")
	} else {
		s += fmt.Sprintf(" --queue-num %d", v.Queue.From)
	}
	if slices.Contains(v.Flags, "bypass") {
		s += " --queue-bypass"
	}
	if slices.Contains(v.Flags, "fanout") {
		s += " --queue-cpu-fanout"
	}
	return s
}

func (l *line) nat(n *snapshot.NfNAT) (string, error) {
	if n.AddrFrom != nil || n.PortFrom != nil || n.Family != "" && n.Family != l.family {
		return "", notIPTables("an address that a map gives")
	}
	s := " -j " + strings.ToUpper(n.Kind)
	switch n.Kind {
	case "tproxy":
		return fmt.Sprintf("%s --on-port %d --on-ip %s --tproxy-mark 0x%x/0x%x", s, n.Port, addrText(n.Addr), n.Mark, n.MarkMask), nil
	case "netmap":
		return s + " --to " + addrText(n.Prefix.Addr()) + "/" + strconv.Itoa(n.Prefix.Bits()), nil
	case "dnat", "snat", "masquerade", "redirect":
	default:
		return "", notIPTables("%s", n.Kind)
	}
	to := natTo(n)
	if to != "" {
		option := map[string]string{"dnat": "--to-destination", "snat": "--to-source"}[n.Kind]
		if option == "" {
			option, to = "--to-ports", strings.TrimPrefix(to, ":")
		}
		s += " " + option + " " + to
	}
	for _, f := range []struct{ flag, option string }{{"random", " --random"}, {"fully-random", " --random-fully"}, {"persistent", " --persistent"}} {
		if slices.Contains(n.Flags, f.flag) {
			s += f.option
		}
	}
	return s, nil
}

func natTo(n *snapshot.NfNAT) (s string) {
	if n.Addr.IsValid() {
		s = addrText(n.Addr)
		if n.AddrTo.IsValid() {
			s += "-" + addrText(n.AddrTo)
		}
		if n.Addr.Is6() && (n.Port != 0 || n.PortTo != 0) {
			s = "[" + s + "]"
		}
	}
	if n.Port != 0 || n.PortTo != 0 {
		s += ":" + strconv.Itoa(int(n.Port))
		if n.PortTo != 0 {
			s += "-" + strconv.Itoa(int(n.PortTo))
		}
		if n.PortBase != 0 {
			s += "/" + strconv.Itoa(int(n.PortBase))
		}
	}
	return s
}

func reject(family string, e *snapshot.NfExpr) (string, error) {
	with := map[string]string{"icmp6-addr-unreachable": "icmp6-addr-unreachable"}[e.Reject.With]
	if with == "" {
		with = e.Reject.With
	}
	if strings.HasPrefix(with, "icmpx") || strings.HasPrefix(with, "icmp6") != (family == "ip6") && with != "tcp-reset" {
		return "", notIPTables("reject with %s", with)
	}
	return " -j REJECT --reject-with " + with, nil
}

var logLevels = []string{"emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"}

func logTarget(e *snapshot.NfExpr) (string, error) {
	g := e.Log
	if g.Group != nil {
		return nflog(g, e.XT != nil), nil
	}
	level := slices.Index(logLevels, g.Level)
	if g.Level == "" {
		level = 4
	}
	if level < 0 {
		return "", notIPTables("log level %s", g.Level)
	}
	s := " -j LOG"
	if g.Prefix != "" {
		s += " --log-prefix" + quoted(g.Prefix)
	}
	if level != 4 {
		s += fmt.Sprintf(" --log-level %d", level)
	}
	for _, f := range []struct{ flag, option string }{{"tcp sequence", " --log-tcp-sequence"}, {"tcp options", " --log-tcp-options"},
		{"ip options", " --log-ip-options"}, {"skuid", " --log-uid"}, {"ether", " --log-macdecode"}} {
		if slices.Contains(g.Flags, f.flag) {
			s += f.option
		}
	}
	return s, nil
}

// nflog writes the target; in the structure of the extension, a length without the flag that uses it is --nflog-range.
func nflog(g *snapshot.NfLog, xt bool) string {
	s := " -j NFLOG"
	if g.Prefix != "" {
		s += " --nflog-prefix" + quoted(g.Prefix)
	}
	if *g.Group != 0 {
		s += fmt.Sprintf(" --nflog-group %d", *g.Group)
	}
	switch {
	case slices.Contains(g.Flags, "copy-len") || !xt && g.SnapLen != 0:
		s += fmt.Sprintf(" --nflog-size %d", g.SnapLen)
	case g.SnapLen != 0:
		s += fmt.Sprintf(" --nflog-range %d", g.SnapLen)
	}
	if g.Threshold != 0 {
		s += fmt.Sprintf(" --nflog-threshold %d", g.Threshold)
	}
	return s
}

func hexOf(s string, empty uint64) uint64 {
	if s == "" {
		return empty
	}
	n, _ := strconv.ParseUint(s, 16, 64)
	return n
}

// assign writes MARK and CONNMARK: what the mark becomes tells which.
func assign(e *snapshot.NfExpr) (string, error) {
	a := e.Assign
	to := a.To.Kind + " " + a.To.Key
	if e.XT == nil && to == "meta nftrace" && a.Value != nil && a.Value.Num != nil && a.Value.Num.From == 1 {
		return " -j TRACE", nil
	}
	if e.XT == nil {
		return "", notIPTables("%s of nftables", to)
	}
	if a.Value != nil && a.Value.Num != nil {
		switch n := a.Value.Num.From; e.XT.Name {
		case "CLASSIFY":
			return fmt.Sprintf(" -j CLASSIFY --set-class %04x:%04x", n>>16, n&0xffff), nil
		case "DSCP":
			return fmt.Sprintf(" -j DSCP --set-dscp 0x%02x", n), nil
		}
	}
	if to != "meta mark" && to != "ct mark" {
		return "", notIPTables("set %s", to)
	}
	if a.Value != nil || a.From != nil && a.From.Kind == a.To.Kind {
		value, mask, shift := uint64(0), uint64(0xffffffff), 0
		if a.Value != nil {
			if a.Value.Num == nil {
				return "", notIPTables("a mark that is no number")
			}
			value = a.Value.Num.From
		} else {
			value, mask, shift = hexOf(a.From.Xor, 0), ^maskOf(*a.From, 4)&0xffffffff, a.From.Shift
		}
		return fmt.Sprintf(" -j %s --set-xmark 0x%x/0x%x%s", e.XT.Name, value, mask, shiftText(shift)), nil
	}
	if a.From == nil {
		return "", notIPTables("set %s", to)
	}
	toMask, fromMask := ^hexOf(a.Keep, 0)&0xffffffff, maskOf(*a.From, 4)
	if to == "ct mark" {
		return fmt.Sprintf(" -j CONNMARK --save-mark --nfmask 0x%x --ctmask 0x%x%s", fromMask, toMask, shiftText(a.From.Shift)), nil
	}
	return fmt.Sprintf(" -j CONNMARK --restore-mark --nfmask 0x%x --ctmask 0x%x%s", toMask, fromMask, shiftText(a.From.Shift)), nil
}

func shiftText(n int) string {
	switch {
	case n > 0:
		return fmt.Sprintf(" --left-shift-mark %d", n)
	case n < 0:
		return fmt.Sprintf(" --right-shift-mark %d", -n)
	}
	return ""
}

// actionOrder are the options of targets that have no other form, in the order in which they are saved.
var actionOrder = map[string][]string{
	"AUDIT":       {"type"},
	"CHECKSUM":    {"checksum-fill"},
	"CLUSTERIP":   {"new", "hashmode", "clustermac", "total-nodes", "local-node", "hash-init"},
	"CONNSECMARK": {"save", "restore"},
	"DNPT":        {"src-pfx", "dst-pfx"},
	"ECN":         {"ecn-tcp-remove", "ecn-tcp-ece", "ecn-tcp-cwr", "ecn-ip-ect"},
	"HL":          {"hl-set", "hl-inc", "hl-dec"},
	"HMARK": {"hmark-src-prefix", "hmark-dst-prefix", "hmark-sport-mask", "hmark-dport-mask", "hmark-spi-mask", "hmark-sport",
		"hmark-dport", "hmark-spi", "hmark-proto-mask", "hmark-rnd", "hmark-mod", "hmark-offset", "hmark-tuple"},
	"IDLETIMER":   {"timeout", "label", "alarm"},
	"LED":         {"led-trigger-id", "led-delay", "led-always-blink"},
	"RATEEST":     {"rateest-name", "rateest-interval", "rateest-ewmalog"},
	"SECMARK":     {"selctx"},
	"SNPT":        {"src-pfx", "dst-pfx"},
	"SYNPROXY":    {"sack-perm", "timestamp", "wscale", "mss", "ecn"},
	"TCPOPTSTRIP": {"strip-options"},
	"TEE":         {"gateway", "oif"},
	"TOS":         {"set-tos"},
	"TRACE":       {},
	"TTL":         {"ttl-set", "ttl-inc", "ttl-dec"},
	"ULOG":        {"ulog-prefix", "ulog-nlgroup", "ulog-cprange", "ulog-qthreshold"},
	"CT":          {"notrack", "helper", "timeout", "ctevents", "expevents", "zone", "zone-orig", "zone-reply"},
	"NOTRACK":     {},
	"TCPMSS":      {"clamp-mss-to-pmtu", "set-mss"},
}

func actionTarget(e *snapshot.NfExpr) (string, error) {
	order, ok := actionOrder[e.XT.Name]
	if !ok && e.XT.Name != "SET" {
		return "", notIPTables("-j %s", e.XT.Name)
	}
	o := e.Action.Opts
	if o["as"] != "" {
		return " -j " + o["as"], nil
	}
	s := " -j " + e.XT.Name
	if e.XT.Name == "SET" {
		return setTarget(o)
	}
	if e.XT.Name == "CT" && e.Action.Name == "notrack" {
		s += " --notrack"
	}
	return s + settings(o, order), nil
}

func setTarget(o map[string]string) (string, error) {
	s := " -j SET"
	ref := func(what string) error {
		if o[what+"-index"] == "" {
			return nil
		}
		if o[what+"-set"] == "" {
			return notIPTables("the name of ipset %s is not known", o[what+"-index"])
		}
		s += " --" + what + "-set " + o[what+"-set"] + " " + o[what+"-dir"]
		return nil
	}
	if err := ref("add"); err != nil {
		return "", err
	}
	s += settings(o, []string{"exist", "timeout"})
	if err := ref("del"); err != nil {
		return "", err
	}
	err := ref("map")
	return s + settings(o, []string{"map-mark", "map-prio", "map-queue"}), err
}
