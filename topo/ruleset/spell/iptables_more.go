package spell

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// spanOption writes a number or a range.
func spanOption(option, sep string) matchSpeller {
	return func(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
		not, err := opposite(m)
		if err != nil {
			return "", err
		}
		s, err := spanOf(m, sep)
		return not + " --" + option + " " + s, err
	}
}

// hexOption writes a number in hexadecimal of n digits.
func hexOption(option string, digits int) matchSpeller {
	return func(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
		not, err := opposite(m)
		if err != nil {
			return "", err
		}
		n, err := number(m)
		return fmt.Sprintf("%s --%s 0x%0*x", not, option, digits, n), err
	}
}

func macSource(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	v, err := single(m)
	return not + " --mac-source " + v.MAC, err
}

func hops(ext string) matchSpeller {
	return func(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
		n, err := number(m)
		op := map[string]string{snapshot.NfEq: "--%s-eq", snapshot.NfNe: "! --%s-eq", snapshot.NfLt: "--%s-lt", snapshot.NfGt: "--%s-gt"}[m.Op]
		if op == "" {
			return "", notIPTables("the comparison %q of %s", m.Op, m.Left.Key)
		}
		return fmt.Sprintf(" "+op+" %d", ext, n), err
	}
}

func tos(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	n, err := number(m)
	return fmt.Sprintf("%s --tos 0x%02x/0x%02x", not, n, maskOf(m.Left, 1)), err
}

func devGroup(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	n, err := number(m)
	option := map[string]string{"iifgroup": "src-group", "oifgroup": "dst-group"}[m.Left.Key]
	return fmt.Sprintf("%s --%s %s", not, option, marked(n, maskOf(m.Left, 4))), err
}

func realm(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	n, err := number(m)
	return not + " --realm " + marked(n, maskOf(m.Left, 4)), err
}

func connBytes(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	v, err := single(m)
	if err != nil || v.Num == nil {
		return "", notIPTables("%s is not compared with a number", m.Left.Key)
	}
	s := fmt.Sprintf("%s --connbytes %d", not, v.Num.From)
	if v.Num.To != 0 && v.Num.To != 1<<64-1 {
		s += fmt.Sprintf(":%d", v.Num.To)
	}
	dir := m.Left.Dir
	if dir == "" {
		dir = "both"
	}
	return s + " --connbytes-mode " + m.Left.Key + " --connbytes-dir " + dir, nil
}

func connLabel(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	n, err := number(m)
	s := fmt.Sprintf("%s --label \"%d\"", not, n)
	if _, ok := m.Left.Opts["set"]; ok {
		s += " --set"
	}
	return s, err
}

// stringMatch writes a pattern: in hexadecimal where a byte is not printable ASCII, or looks like the beginning of it.
func stringMatch(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	v, err := single(m)
	if err != nil {
		return "", err
	}
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		return "", err
	}
	s := ""
	if isHexString(b) {
		s = fmt.Sprintf("%s --hex-string \"|%x|\"", not, b)
	} else {
		s = not + ` --string "` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(string(b)) + `"`
	}
	return s + settings(m.Left.Opts, []string{"algo", "from", "to", "icase"}), nil
}

// words writes what is kept as iptables writes it.
func words(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	return " " + m.Left.Opts["words"], nil
}

// quotedText writes a word, quoted where it has to be.
func quotedText(option string) matchSpeller {
	return func(_ *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
		not, err := opposite(m)
		if err != nil {
			return "", err
		}
		v, err := single(m)
		return not + " --" + option + quoted(v.Text), err
	}
}

func ecn(xt *snapshot.NfXT, m snapshot.NfMatch, _ []snapshot.NfMatch) (string, error) {
	if m.Left.Kind == "xt" {
		return generic(m)
	}
	not, err := opposite(m)
	if err != nil {
		return "", err
	}
	n, err := number(m)
	return fmt.Sprintf("%s --ecn-ip-ect %d", not, n), err
}

func isHexString(b []byte) bool {
	if len(b) > 0 && b[len(b)-1] == '\\' {
		return true
	}
	for _, c := range b {
		if c < 0x20 || c > 0x7e {
			return true
		}
	}
	return false
}
