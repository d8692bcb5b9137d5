package spell

import (
	"fmt"
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
