package filter

import (
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Error is a filter that cannot be understood, or that is refused. Pos and End are the bytes of the expression that it is about.
type Error struct {
	Expr     string
	Pos, End int
	Text     string
	// Unnamed: it has a name in it, and was parsed without any.
	Unnamed bool
}

func (e *Error) Error() string { return "filter: " + e.Text }

// Caret shows the expression with a line under it that marks the place.
func (e *Error) Caret() string {
	n := max(e.End-e.Pos, 1)
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, e.Expr[:e.Pos])
	return e.Expr + "\n" + pad + strings.Repeat("^", n)
}

type kind uint8

const (
	end kind = iota
	word
	escaped // \name: never a keyword
	number
	address // an IPv4 address, or the first octets of one
	address6
	hwaddr
	symbol
)

type token struct {
	kind     kind
	text     string
	num      uint32
	pos, end int
}

var (
	reWord   = regexp.MustCompile(`^[A-Za-z0-9_]([-_.A-Za-z0-9]*[_.A-Za-z0-9])?`)
	reNumber = regexp.MustCompile(`^(0[xX][0-9A-Fa-f]+|[0-9]+)`)
	reDotted = regexp.MustCompile(`^[0-9]+(\.[0-9]+){1,3}`)
	reMAC    = regexp.MustCompile(`^(?:[0-9A-Fa-f]{1,2}(:[0-9A-Fa-f]{1,2}){5}|[0-9A-Fa-f]{1,2}(-[0-9A-Fa-f]{1,2}){5}|[0-9A-Fa-f]{1,2}(\.[0-9A-Fa-f]{1,2}){5}|[0-9A-Fa-f]{4}(\.[0-9A-Fa-f]{4}){2}|[0-9A-Fa-f]{12}\b)`)
	reColons = regexp.MustCompile(`^[0-9A-Fa-f:]*:[0-9A-Fa-f:]*(:[0-9]+(\.[0-9]+){3})?`)
	symbols  = []string{"&&", "||", "<<", ">>", "<=", ">=", "==", "!=", "&", "|", "!", "=", "<", ">", "+", "-", "*", "/", "%", "^", "[", "]", "(", ")", ":"}
)

// maxAddr is more than any address takes: what is longer is none.
const maxAddr = 64

// maxExpr bounds an expression; kernels and people do with less.
const maxExpr = 16 << 10

func lex(expr string) ([]token, error) {
	if len(expr) > maxExpr {
		return nil, &Error{Expr: expr[:80], Pos: 0, End: 1, Text: fmt.Sprintf("longer than %d bytes", maxExpr)}
	}
	var out []token
	for at := 0; at < len(expr); {
		c := expr[at]
		if c == ' ' || c == '\t' || c == '\n' || c == '\r' {
			at++
			continue
		}
		t, ok := lexOne(expr[at:])
		if !ok {
			return nil, &Error{Expr: expr, Pos: at, End: at + 1, Text: fmt.Sprintf("%q means nothing here", c)}
		}
		t.pos, t.end = at, at+len(t.text)
		at = t.end
		if t.kind == escaped {
			t.text = t.text[1:]
		}
		if t.kind == number {
			n, err := strconv.ParseUint(t.text, 0, 32)
			if err != nil {
				return nil, &Error{Expr: expr, Pos: t.pos, End: t.end, Text: t.text + " is no number of 32 bits"}
			}
			t.num = uint32(n)
		}
		out = append(out, t)
	}
	return append(out, token{pos: len(expr), end: len(expr)}), nil
}

// lexOne takes the longest of what s can begin with, as libpcap's scanner does.
func lexOne(s string) (token, bool) {
	if s[0] == '\\' {
		if n := strings.IndexAny(s, " \t\r\n()!"); n > 1 || n < 0 && len(s) > 1 {
			if n < 0 {
				n = len(s)
			}
			return token{kind: escaped, text: s[:n]}, true
		}
		return token{}, false
	}
	var best token
	take := func(k kind, text string) {
		if len(text) > len(best.text) {
			best = token{kind: k, text: text}
		}
	}
	head := s[:min(len(s), maxAddr)]
	take(hwaddr, reMAC.FindString(head)) // the first of what is equally long
	take(number, reNumber.FindString(s))
	take(address, reDotted.FindString(s))
	if m := reColons.FindString(head); m != "" {
		if a, err := netip.ParseAddr(m); err == nil && a.Is6() {
			take(address6, m)
		}
	}
	take(word, reWord.FindString(s))
	if best.text != "" {
		return best, true
	}
	for _, y := range symbols {
		if strings.HasPrefix(s, y) {
			return token{kind: symbol, text: y}, true
		}
	}
	return token{}, false
}
