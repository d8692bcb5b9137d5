package spell

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// ErrNotIPTables tells that iptables cannot say a rule: what it has, no option of iptables stands for.
var ErrNotIPTables = errors.New("not expressible in iptables")

func notIPTables(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrNotIPTables, fmt.Sprintf(format, args...))
}

// IPTables writes a rule as iptables-save (1.8.9) does: "-A FORWARD -i docker0 -j ACCEPT"; family is that of its table, ip or ip6.
// The error is [ErrNotIPTables], with the reason.
func IPTables(family, chain string, r *snapshot.NfRule) (string, error) {
	l, err := iptablesLine(family, chain, r)
	if err != nil {
		return "", err
	}
	return l.String(), nil
}

// IPTablesCounted is [IPTables] with the rule's counters before it, as iptables-save -c writes them: "[5:420] -A …".
func IPTablesCounted(family, chain string, r *snapshot.NfRule) (string, error) {
	l, err := iptablesLine(family, chain, r)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("[%d:%d] %s", l.counter.Packets, l.counter.Bytes, l), nil
}

// IPTablesSave writes a table as iptables-save -c does, without its comment lines and its COMMIT. A rule that cannot be said
// is a comment that says why.
func IPTablesSave(t *snapshot.NfTable) []string {
	out := []string{"*" + t.Name}
	for _, c := range t.Chains {
		policy, n := "-", snapshot.NfCounter{}
		if c.Policy != "" {
			policy = strings.ToUpper(c.Policy)
		}
		if c.Counter != nil {
			n = *c.Counter
		}
		out = append(out, fmt.Sprintf(":%s %s [%d:%d]", c.Name, policy, n.Packets, n.Bytes))
	}
	for _, c := range t.Chains {
		for i := range c.Rules {
			l, err := IPTablesCounted(t.Family, c.Name, &c.Rules[i])
			if err != nil {
				l = fmt.Sprintf("# rule %d of %s: %v", i+1, c.Name, err)
			}
			out = append(out, l)
		}
	}
	return out
}

// line is a rule as it is put together: options of iptables' own, those of extensions in their order, the target.
type line struct {
	family, chain string
	// own are -s -d -i -o -p -f, in this order.
	own     [6]string
	proto   uint64
	matches []string
	target  string
	counter snapshot.NfCounter
	// open is the last of matches while native expressions of the same extension may be added to it: "tcp", "udp".
	open    string
	options map[string]string
}

const (
	ownSrc = iota
	ownDst
	ownIn
	ownOut
	ownProto
	ownFrag
)

func (l *line) String() string {
	s := "-A " + l.chain
	for _, o := range l.own {
		s += o
	}
	return s + strings.Join(l.matches, "") + l.target
}

func iptablesLine(family, chain string, r *snapshot.NfRule) (*line, error) {
	if family != "ip" && family != "ip6" {
		return nil, notIPTables("the rule is of family %s", family)
	}
	l := &line{family: family, chain: chain}
	comment := false
	for i := range r.Exprs {
		e := &r.Exprs[i]
		if l.target != "" && e.Counter == nil {
			return nil, notIPTables("it goes on after %s", strings.TrimSpace(l.target))
		}
		var err error
		switch {
		case e.Unknown != nil:
			err = notIPTables("%s %s is not understood", e.Unknown.Kind, e.Unknown.Name)
		case e.Counter != nil:
			l.counter = *e.Counter
		case e.XT != nil && (e.Matches != nil || e.Limit != nil):
			if e.XT.Name == "comment" {
				comment = true
			}
			l.close()
			err = l.extension(e)
		case e.Matches != nil:
			for _, m := range e.Matches {
				if err = l.native(m); err != nil {
					break
				}
			}
		case e.Limit != nil:
			l.close()
			err = l.limit(e.Limit)
		default:
			l.close()
			err = l.toTarget(e)
		}
		if err != nil {
			return nil, err
		}
	}
	l.close()
	if r.Comment != "" && !comment {
		l.matches = append(l.matches, " -m comment --comment"+quoted(r.Comment))
	}
	return l, nil
}

// set gives one of iptables' own options, which a rule has once.
func (l *line) set(which int, format string, args ...any) error {
	if l.own[which] != "" {
		return notIPTables("%s and%s", fmt.Sprintf(format, args...), l.own[which])
	}
	l.own[which] = fmt.Sprintf(format, args...)
	return nil
}

// opposite is the exclamation mark before an option whose condition is inverted.
func opposite(m snapshot.NfMatch) (string, error) {
	switch m.Op {
	case snapshot.NfEq, snapshot.NfAny:
		return "", nil
	case snapshot.NfNe, snapshot.NfNone:
		return " !", nil
	}
	return "", notIPTables("the comparison %q", m.Op)
}

// quoted is a word as xtables_save_string writes it, with the space before.
func quoted(s string) string {
	plain := s != ""
	for _, c := range []byte(s) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			plain = false
		}
	}
	if plain {
		return " " + s
	}
	return ` "` + strings.NewReplacer(`"`, `\"`, `\`, `\\`, `'`, `\'`).Replace(s) + `"`
}

// single is the only value of a condition.
func single(m snapshot.NfMatch) (snapshot.NfValue, error) {
	if len(m.Values) != 1 || m.Set != "" || m.Right != nil {
		return snapshot.NfValue{}, notIPTables("%s %s is not compared with one value", m.Left.Kind, m.Left.Key)
	}
	return m.Values[0], nil
}

// number is the only value of a condition, a number that is no range.
func number(m snapshot.NfMatch) (uint64, error) {
	v, err := single(m)
	if err == nil && (v.Num == nil || v.Num.From != v.Num.To) {
		err = notIPTables("%s %s is not compared with one number", m.Left.Kind, m.Left.Key)
	}
	if err != nil {
		return 0, err
	}
	return v.Num.From, nil
}

// span writes a number or a range with a separator.
func span(n snapshot.NfNum, sep string) string {
	if n.From == n.To {
		return strconv.FormatUint(n.From, 10)
	}
	return strconv.FormatUint(n.From, 10) + sep + strconv.FormatUint(n.To, 10)
}

func spanOf(m snapshot.NfMatch, sep string) (string, error) {
	v, err := single(m)
	if err == nil && v.Num == nil {
		err = notIPTables("%s %s is not compared with a number", m.Left.Kind, m.Left.Key)
	}
	if err != nil {
		return "", err
	}
	return span(*v.Num, sep), nil
}

// maskOf is the mask of an operand of n bytes, all ones where it has none.
func maskOf(o snapshot.NfOperand, bytes int) uint64 {
	if o.Mask == "" {
		return 1<<(8*bytes) - 1
	}
	n, _ := strconv.ParseUint(o.Mask, 16, 64)
	return n
}

func marked(value, mask uint64) string {
	if mask == 0xffffffff {
		return fmt.Sprintf("0x%x", value)
	}
	return fmt.Sprintf("0x%x/0x%x", value, mask)
}
