package spell

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// native writes a condition that is no extension's structure: iptables' own options, and what iptables-nft writes natively
// for -m tcp, udp and mark.
func (l *line) native(m snapshot.NfMatch) error {
	not, err := opposite(m)
	switch kind, key := m.Left.Kind, m.Left.Key; {
	case kind == "payload" && (key == "tcp sport" || key == "tcp dport" || key == "udp sport" || key == "udp dport" || key == "tcp flags"):
		return l.transport(m)
	case kind == "tcpopt":
		return l.transport(m)
	case err != nil:
		return err
	case kind == "payload" && key == l.family+" saddr":
		return l.address(ownSrc, "-s", not, m)
	case kind == "payload" && key == l.family+" daddr":
		return l.address(ownDst, "-d", not, m)
	case kind == "meta" && key == "iifname":
		return l.iface(ownIn, "-i", not, m)
	case kind == "meta" && key == "oifname":
		return l.iface(ownOut, "-o", not, m)
	case kind == "meta" && key == "l4proto", kind == "payload" && (key == "ip protocol" || key == "ip6 nexthdr"):
		n, err := number(m)
		if err != nil {
			return err
		}
		return l.protocol(n, not)
	case kind == "payload" && key == "ip frag-off" && m.Left.Mask == "1fff":
		if n, err := number(m); err != nil || n != 0 {
			return notIPTables("fragment offset %v", m.Values)
		}
		if not == "" { // an offset of 0: no later fragment
			return l.set(ownFrag, " ! -f")
		}
		return l.set(ownFrag, " -f")
	case kind == "meta" && key == "mark":
		n, err := number(m)
		if err != nil {
			return err
		}
		l.close()
		l.matches = append(l.matches, fmt.Sprintf(" -m mark%s --mark %s", not, marked(n, maskOf(m.Left, 4))))
		return nil
	}
	return notIPTables("%s %s", m.Left.Kind, m.Left.Key)
}

func (l *line) protocol(n uint64, not string) error {
	if l.proto == n && not == "" {
		return nil
	}
	l.proto = n
	return l.set(ownProto, "%s -p %s", not, protoName(n))
}

// address writes -s and -d. iptables prints masks that are no prefix as they are.
func (l *line) address(which int, option, not string, m snapshot.NfMatch) error {
	v, err := single(m)
	if err != nil {
		return err
	}
	switch {
	case v.Prefix.IsValid():
		return l.set(which, "%s %s %s/%d", not, option, addrText(v.Prefix.Addr()), v.Prefix.Bits())
	case v.Masked != nil:
		mask, _ := hex.DecodeString(v.Masked.Mask)
		a, ok := netip.AddrFromSlice(mask)
		if !ok {
			return notIPTables("the mask %s", v.Masked.Mask)
		}
		return l.set(which, "%s %s %s/%s", not, option, addrText(v.Masked.Addr), addrText(a))
	}
	return notIPTables("%s is not compared with a network", m.Left.Key)
}

func (l *line) iface(which int, option, not string, m snapshot.NfMatch) error {
	v, err := single(m)
	if err != nil {
		return err
	}
	name := v.Text
	if s, any := strings.CutSuffix(name, "*"); any {
		name = s + "+"
	}
	return l.set(which, "%s %s %s", not, option, name)
}

// Options of -m tcp and -m udp in the order in which they are saved.
var transportOptions = []string{"sport", "dport", "option", "flags"}

// transport writes what iptables-nft has as native expressions of -m tcp and -m udp: several make one match.
func (l *line) transport(m snapshot.NfMatch) error {
	proto, field, _ := strings.Cut(m.Left.Key, " ")
	n := map[string]uint64{"tcp": 6, "udp": 17}[proto]
	if m.Left.Kind == "tcpopt" {
		proto, field, n = "tcp", "option", 6
	}
	if l.proto != n {
		if err := l.protocol(n, ""); err != nil {
			return err
		}
	}
	if l.open != proto || l.options[field] != "" && (m.Op != snapshot.NfLe && m.Op != snapshot.NfGe) {
		l.close()
		l.open, l.options = proto, map[string]string{}
	}
	switch field {
	case "sport", "dport":
		return l.port(field, m)
	case "flags":
		not, err := opposite(m)
		if err != nil {
			return err
		}
		cmp, err := number(m)
		if err != nil {
			return err
		}
		l.options[field] = fmt.Sprintf("%s --tcp-flags %s %s", not, tcpFlags(maskOf(m.Left, 1)), tcpFlags(cmp))
		return nil
	}
	s, err := tcpOption(m)
	l.options[field] = s
	return err
}

// tcpOption writes whether there is an option of TCP.
func tcpOption(m snapshot.NfMatch) (string, error) {
	n, err := number(m)
	if err != nil {
		return "", err
	}
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	if n == 0 {
		if not == "" {
			not = " !"
		} else {
			not = ""
		}
	}
	kind, ok := tcpOptionKinds[m.Left.Key]
	if !ok {
		if kind, err = strconv.Atoi(m.Left.Key); err != nil {
			return "", notIPTables("TCP option %s", m.Left.Key)
		}
	}
	return fmt.Sprintf("%s --tcp-option %d", not, kind), nil
}

var tcpOptionKinds = map[string]int{"eol": 0, "nop": 1, "maxseg": 2, "window": 3, "sack-perm": 4, "sack": 5, "timestamp": 8, "fastopen": 34, "md5sig": 19, "mptcp": 30}

// port writes a port or a range of them; iptables-nft compares a range with its two ends, and leaves out one that is all.
func (l *line) port(field string, m snapshot.NfMatch) error {
	v, err := single(m)
	if err != nil || v.Num == nil {
		return notIPTables("%s is not compared with a port", m.Left.Key)
	}
	lo, hi := uint64(0), uint64(0xffff)
	if had := l.options[field]; had != "" {
		fmt.Sscanf(had, " --"+field+" %d:%d", &lo, &hi)
	}
	not := ""
	switch m.Op {
	case snapshot.NfEq:
		lo, hi = v.Num.From, v.Num.To
	case snapshot.NfNe:
		not, lo, hi = " !", v.Num.From, v.Num.To
	case snapshot.NfGe:
		lo = v.Num.From
	case snapshot.NfLe:
		hi = v.Num.From
	case snapshot.NfLt:
		not, lo = " !", v.Num.From
	case snapshot.NfGt:
		not, hi = " !", v.Num.From
	default:
		return notIPTables("the comparison %q of a port", m.Op)
	}
	l.options[field] = fmt.Sprintf("%s --%s %s", not, field, span(snapshot.NfNum{From: lo, To: hi}, ":"))
	return nil
}

// close ends a match of native expressions.
func (l *line) close() {
	if l.open == "" {
		return
	}
	s := " -m " + l.open
	for _, o := range transportOptions {
		s += l.options[o]
	}
	l.matches = append(l.matches, s)
	l.open = ""
}

func tcpFlags(n uint64) string {
	var names []string
	for i, f := range []string{"FIN", "SYN", "RST", "PSH", "ACK", "URG"} {
		if n>>i&1 != 0 {
			names = append(names, f)
		}
	}
	if names == nil {
		return "NONE"
	}
	return strings.Join(names, ",")
}

// addrText is an address as inet_ntop writes it.
func addrText(a netip.Addr) string { return a.String() }
