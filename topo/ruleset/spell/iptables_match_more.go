package spell

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

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
