package spell

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// extension writes an xtables match: its name and its options in the order in which iptables saves them.
func (l *line) extension(e *snapshot.NfExpr) error {
	name := e.XT.Name
	if e.Limit != nil {
		return l.limit(e.Limit)
	}
	options := ""
	for i, m := range e.Matches {
		if m.Left.Opts["as"] != "" {
			name = m.Left.Opts["as"]
		}
		s, err := extensionOption(e.XT, m, e.Matches[:i])
		if err != nil {
			return err
		}
		options += s
	}
	if name == "addrtype" {
		options += addrTypeLimit(e.Matches)
	}
	l.matches = append(l.matches, " -m "+name+options)
	return nil
}

// extensionOption writes one condition of an extension; before are those written already.
func extensionOption(xt *snapshot.NfXT, m snapshot.NfMatch, before []snapshot.NfMatch) (string, error) {
	if f := matchSpellers[m.Left.Kind+" "+m.Left.Key]; f != nil {
		return f(xt, m, before)
	}
	if f := matchSpellers[xt.Name]; f != nil {
		return f(xt, m, before)
	}
	if m.Left.Kind == "xt" {
		return generic(m)
	}
	return "", notIPTables("%s %s in -m %s", m.Left.Kind, m.Left.Key, xt.Name)
}

type matchSpeller func(*snapshot.NfXT, snapshot.NfMatch, []snapshot.NfMatch) (string, error)

// matchSpellers write conditions, by operand where that is enough, else by extension.
var matchSpellers = map[string]matchSpeller{
	"tcp":                   ports,
	"udp":                   ports,
	"udplite":               ports,
	"sctp":                  ports,
	"dccp":                  ports,
	"tcpopt maxseg size":    spanOption("mss", ":"),
	"mh":                    ports,
	"multiport":             multiport,
	"icmp":                  icmp("icmp-type"),
	"icmp6":                 icmp("icmpv6-type"),
	"meta mark":             mark,
	"ct mark":               mark,
	"addrtype":              addrType,
	"iprange":               ipRange,
	"meta pkttype":          pktType,
	"conntrack":             conntrack,
	"state":                 conntrack,
	"xt comment":            comment,
	"xt ctstate":            ctStateNames,
	"xt statistic random":   statisticRandom,
	"xt statistic nth":      statisticNth,
	"xt ipset":              ipset,
	"xt policy":             policy,
	"xt rpfilter":           rpfilter,
	"meta length":           spanOption("length", ":"),
	"mac":                   macSource,
	"meta skuid":            spanOption("uid-owner", "-"),
	"meta skgid":            spanOption("gid-owner", "-"),
	"ttl":                   hops("ttl"),
	"hl":                    hops("hl"),
	"dscp":                  hexOption("dscp", 2),
	"tos":                   tos,
	"meta cpu":              spanOption("cpu", ":"),
	"meta cgroup":           spanOption("cgroup", ":"),
	"ct helper":             quotedText("helper"),
	"devgroup":              devGroup,
	"meta rtclassid":        realm,
	"connbytes":             connBytes,
	"xt connlabel label":    connLabel,
	"xt rateest":            words,
	"xt nfacct nfacct-name": quotedText("nfacct-name"),
	"xt cgroup path":        quotedText("path"),
	"xt helper helper":      quotedText("helper"),
	"ecn":                   ecn,
	"xt string":             stringMatch,
}

// generic writes what only a module tests: the words of the key after the extension's name are an option, with the value
// that it has; the settings follow.
func generic(m snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	ext, option, _ := strings.Cut(m.Left.Key, " ")
	s := ""
	if option != "" {
		if ext == "physdev" {
			option = "physdev-" + option
		}
		s = not + " --" + option
		for _, v := range m.Values {
			value, err := plain(ext, v)
			if err != nil {
				return "", err
			}
			s += value
		}
		if strings.HasSuffix(s, " 0:4294967295") { // all there are: iptables saves nothing of it, inverted or not
			s = ""
		}
	}
	return s + settings(m.Left.Opts, genericOrder[ext]), nil
}

// plain writes one value, with a space before.
func plain(ext string, v snapshot.NfValue) (string, error) {
	switch {
	case v.Num != nil && ext == "owner":
		return " " + span(*v.Num, "-"), nil
	case v.Num != nil:
		return " " + span(*v.Num, ":"), nil
	case v.Text != "" && ext == "physdev":
		return " " + strings.Replace(v.Text, "*", "+", 1), nil
	case v.Text != "":
		return " " + v.Text, nil
	case v.Prefix.IsValid() && ext == "srh":
		return " " + v.Prefix.String(), nil
	}
	s, err := shortNetwork(v)
	return " " + s, err
}

// genericOrder is the order in which settings are saved.
var genericOrder = map[string][]string{
	"cluster":   {"cluster-total-nodes", "cluster-hash-seed"},
	"connlimit": {"connlimit-mask", "connlimit-saddr", "connlimit-daddr"},
	"hashlimit": {"hashlimit-burst", "hashlimit-mode", "hashlimit-name", "hashlimit-htable-size", "hashlimit-htable-max",
		"hashlimit-htable-gcinterval", "hashlimit-htable-expire", "hashlimit-srcmask", "hashlimit-dstmask", "hashlimit-rate-match",
		"hashlimit-rate-interval"},
	"ipv6header": {"soft"},
	"osf":        {"ttl", "log"},
	"owner":      {"suppl-groups"},
	"socket":     {"transparent", "nowildcard", "restore-skmark"},
	"time":       {"timestart", "timestop", "monthdays", "weekdays", "datestart", "datestop", "kerneltz", "contiguous"},
	"recent":     {"seconds", "reap", "hitcount", "rttl", "name", "mask", "rsource", "rdest"},
}

// settings writes options in an order, those without a value alone.
func settings(opts map[string]string, order []string) (s string) {
	for _, o := range order {
		v, ok := opts[o]
		if !ok {
			continue
		}
		if rest, inverted := strings.CutPrefix(v, "! "); inverted {
			s, v = s+" !", rest
		}
		s += " --" + o
		if v != "" {
			s += " " + v
		}
	}
	return s
}

func ports(xt *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	_, field, _ := strings.Cut(m.Left.Key, " ")
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	switch {
	case m.Left.Kind == "meta": // the protocol: a match that was given no option
		return "", nil
	case m.Left.Kind == "tcpopt":
		return tcpOption(m)
	case m.Left.Kind == "payload" && field == "flags":
		n, err := number(m)
		return fmt.Sprintf("%s --tcp-flags %s %s", not, tcpFlags(maskOf(m.Left, 1)), tcpFlags(n)), err
	case m.Left.Kind == "payload" && (field == "sport" || field == "dport"):
		s, err := spanOf(m, ":")
		if s == "0:65535" { // "! --sport 0:65535" is never true, and iptables saves nothing of it
			return "", err
		}
		return not + " --" + field + " " + s, err
	case m.Left.Kind == "xt":
		return generic(m)
	}
	return "", notIPTables("%s %s", m.Left.Kind, m.Left.Key)
}

func multiport(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	var list []string
	for _, v := range m.Values {
		if v.Num == nil {
			return "", notIPTables("a port that is no number")
		}
		list = append(list, span(*v.Num, ":"))
	}
	option := map[string]string{"th sport": "sports", "th dport": "dports", "multiport ports": "ports"}[m.Left.Key]
	return not + " --" + option + " " + strings.Join(list, ","), err
}

func icmp(option string) matchSpeller {
	return func(_ *snapshot.NfXT, m snapshot.NfMatch, before []snapshot.NfMatch) (string, error) {
		not, err := opposite(m)
		if err != nil {
			return "", err
		}
		if m.Left.Kind == "meta" {
			return " --" + option + " any", nil
		}
		if m.Left.Kind == "concat" {
			if len(m.Values) != 1 || len(m.Values[0].Parts) != 2 || m.Values[0].Parts[0].Num == nil || m.Values[0].Parts[1].Num == nil {
				return "", notIPTables("a type of ICMP that is no number")
			}
			p := m.Values[0].Parts
			return fmt.Sprintf("%s --%s %d/%d", not, option, p[0].Num.From, p[1].Num.From), nil
		}
		v, err := single(m)
		switch {
		case err != nil:
			return "", err
		case v.Num == nil:
			return "", notIPTables("a type of ICMP that is no number")
		case len(before) > 0:
			return fmt.Sprintf("/%d", v.Num.From), nil
		case v.Num.From == 0 && v.Num.To == 255:
			return not + " --" + option + " any", nil
		}
		return fmt.Sprintf("%s --%s %d", not, option, v.Num.From), nil
	}
}

func mark(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	n, err := number(m)
	return not + " --mark " + marked(n, maskOf(m.Left, 4)), err
}

func addrType(_ *snapshot.NfXT, m snapshot.NfMatch, before []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	var names []string
	for _, v := range m.Values {
		if v.Num == nil || v.Num.From >= uint64(len(addrTypes)) {
			return "", notIPTables("a type of address that is no number")
		}
		names = append(names, addrTypes[v.Num.From])
	}
	s := not + " --dst-type "
	if strings.HasPrefix(m.Left.Key, "saddr") {
		s = not + " --src-type "
	}
	return s + strings.Join(names, ","), err
}

// addrTypeLimit is written after both types.
func addrTypeLimit(ms []snapshot.NfMatch) string {
	if len(ms) == 0 {
		return ""
	}
	switch key := ms[0].Left.Key; {
	case strings.Contains(key, ". iif"):
		return " --limit-iface-in"
	case strings.Contains(key, ". oif"):
		return " --limit-iface-out"
	}
	return ""
}

func ipRange(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	v, err := single(m)
	if err != nil || v.Addrs == nil {
		return "", notIPTables("an address that is no range")
	}
	option := "dst"
	if strings.HasSuffix(m.Left.Key, "saddr") {
		option = "src"
	}
	return fmt.Sprintf("%s --%s-range %s-%s", not, option, addrText(v.Addrs.From), addrText(v.Addrs.To)), nil
}

func pktType(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	n, err := number(m)
	names := []string{"unicast", "broadcast", "multicast"}
	if err == nil && n >= uint64(len(names)) {
		return fmt.Sprintf("%s --pkt-type %d", not, n), nil
	}
	if err != nil {
		return "", err
	}
	return not + " --pkt-type " + names[n], nil
}

// bitNames writes the names of the bits that are set; none is what iptables calls it.
func bitNames(m snapshot.NfMatch, all []name) (string, error) {
	var bits uint64
	for _, v := range m.Values {
		if v.Num == nil {
			return "", notIPTables("bits of %s", m.Left.Key)
		}
		bits |= v.Num.From
	}
	var list []string
	for _, n := range all {
		if bits&n.bit != 0 {
			list = append(list, n.name)
		}
	}
	if list == nil {
		return "NONE", nil
	}
	return strings.Join(list, ","), nil
}

func ctStateNames(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	var list []string
	for _, v := range m.Values {
		list = append(list, v.Text)
	}
	option := "ctstate"
	if m.Left.Opts["as"] != "" {
		option = "state"
	}
	return not + " --" + option + " " + strings.Join(list, ","), err
}

func conntrack(xt *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	end := map[string]string{"original": "orig", "reply": "repl"}[m.Left.Dir]
	switch m.Left.Key {
	case "state":
		option := "ctstate"
		if xt.Name == "state" || m.Left.Opts["as"] != "" {
			option = "state"
		}
		s, err := bitNames(m, ctStates)
		return not + " --" + option + " " + s, err
	case "status":
		s, err := bitNames(m, ctStatuses)
		return not + " --ctstatus " + s, err
	case "protocol":
		n, err := number(m)
		return fmt.Sprintf("%s --ctproto %d", not, n), err
	case "expiration":
		s, err := spanOf(m, ":")
		return not + " --ctexpire " + s, err
	case "direction":
		n, err := number(m)
		return " --ctdir " + []string{"ORIGINAL", "REPLY"}[min(n, 1)], err
	case "proto-src", "proto-dst":
		s, err := spanOf(m, ":")
		return fmt.Sprintf("%s --ct%s%sport %s", not, end, strings.TrimPrefix(m.Left.Key, "proto-"), s), err
	case "ip saddr", "ip6 saddr", "ip daddr", "ip6 daddr":
		side := "dst"
		if strings.HasSuffix(m.Left.Key, "saddr") {
			side = "src"
		}
		v, err := single(m)
		if err != nil {
			return "", err
		}
		s, err := shortNetwork(v)
		return fmt.Sprintf("%s --ct%s%s %s", not, end, side, s), err
	}
	return "", notIPTables("ct %s", m.Left.Key)
}

// shortNetwork is a network as extensions write it: a host without a mask.
func shortNetwork(v snapshot.NfValue) (string, error) {
	switch {
	case v.Prefix.IsValid() && v.Prefix.IsSingleIP():
		return addrText(v.Prefix.Addr()), nil
	case v.Prefix.IsValid():
		return fmt.Sprintf("%s/%d", addrText(v.Prefix.Addr()), v.Prefix.Bits()), nil
	case v.Masked != nil:
		b, _ := hex.DecodeString(v.Masked.Mask)
		a, ok := netip.AddrFromSlice(b)
		if ok {
			return addrText(v.Masked.Addr) + "/" + addrText(a), nil
		}
	}
	return "", notIPTables("an address that is no network")
}

func comment(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	v, err := single(m)
	return " --comment" + quoted(v.Text), err
}

func statisticRandom(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	n, err := number(m)
	not := ""
	if m.Op == snapshot.NfGe {
		not = " !"
	}
	return fmt.Sprintf(" --mode random%s --probability %.11f", not, float64(n)/0x80000000), err
}

func statisticNth(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	n, err := number(m)
	return fmt.Sprintf(" --mode nth%s --every %d --packet %d", not, m.Left.Mod, n), err
}

func ipset(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	o := m.Left.Opts
	if o["set"] == "" {
		return "", notIPTables("the name of ipset %s is not known", o["index"])
	}
	not, err := opposite(m)
	s := not + " --match-set " + o["set"] + " " + o["dir"]
	for _, f := range []struct{ opt, text string }{{"return-nomatch", " --return-nomatch"}, {"no-update-counters", " ! --update-counters"},
		{"no-update-subcounters", " ! --update-subcounters"}} {
		if _, ok := o[f.opt]; ok {
			s += f.text
		}
	}
	for _, what := range []string{"packets", "bytes"} {
		for _, op := range []string{"eq", "ne", "lt", "gt"} {
			n, ok := o[what+"-"+op]
			switch {
			case !ok:
			case op == "ne":
				s += " ! --" + what + "-eq " + n
			default:
				s += " --" + what + "-" + op + " " + n
			}
		}
	}
	return s, err
}

func policy(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	o := m.Left.Opts
	s := settings(o, []string{"dir", "pol", "strict"})
	n := 1
	fmt.Sscan(o["elements"], &n)
	for i := range n {
		if i > 0 {
			s += " --next"
		}
		for _, opt := range []string{"reqid", "spi", "proto", "mode", "tunnel-dst", "tunnel-src"} {
			key := opt
			if i > 0 {
				key = fmt.Sprintf("%s#%d", opt, i+1)
			}
			v, ok := o[key]
			if !ok {
				continue
			}
			if rest, inverted := strings.CutPrefix(v, "! "); inverted {
				s, v = s+" !", rest
			}
			if opt == "proto" {
				var p uint64
				fmt.Sscan(v, &p)
				v = protoName(p)
			}
			s += " --" + opt + " " + v
		}
	}
	return s, nil
}

func rpfilter(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	s := settings(m.Left.Opts, []string{"loose", "validmark", "accept-local"})
	if m.Op == snapshot.NfNe {
		s += " --invert"
	}
	return s, nil
}

func (l *line) limit(n *snapshot.NfLimit) error {
	scales := []struct {
		name  string
		scale uint64
	}{{"day", 864000000}, {"hour", 36000000}, {"min", 600000}, {"sec", 10000}}
	at := slices.Index([]string{"day", "hour", "minute", "second"}, n.Per)
	if n.Unit != "packets" || n.Over || n.Quota || n.Connections || at < 0 || n.Rate == 0 {
		return notIPTables("a limit of %s, or over one", n.Unit)
	}
	period := scales[at].scale / n.Rate // as the kernel keeps it for iptables
	if period == 0 {
		return notIPTables("a limit of %d a %s", n.Rate, n.Per)
	}
	i := 1
	for ; i < len(scales); i++ {
		if s := scales[i].scale; period > s || s/period < s%period {
			break
		}
	}
	s := fmt.Sprintf(" -m limit --limit %d/%s", scales[i-1].scale/period, scales[i-1].name)
	if n.Burst != 5 {
		s += fmt.Sprintf(" --limit-burst %d", n.Burst)
	}
	l.matches = append(l.matches, s)
	return nil
}
