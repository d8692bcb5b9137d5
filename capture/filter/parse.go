package filter

import (
	"fmt"
	"strings"
)

// parser is a recursive descent over the grammar of libpcap's grammar.y.
type parser struct {
	expr  string
	toks  []token
	at    int
	names Names
	// last are the qualifiers that an identifier alone, after "and" or "or", takes over.
	last quals
	shift
	// where tells which headers are asked now: outermost or innermost.
	inner bool
	depth int
}

// quals are the qualifiers before an identifier: "ip", "src", "port".
type quals struct {
	proto, dir, typ string
	set             bool
}

func (p *parser) peek() token { return p.toks[p.at] }
func (p *parser) take() token {
	t := p.toks[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

// is tells whether the next token is this word or symbol (an escaped word is none).
func (p *parser) is(texts ...string) bool {
	t := p.peek()
	if t.kind == end || t.kind == escaped {
		return false
	}
	for _, s := range texts {
		if t.text == s {
			return true
		}
	}
	return false
}

func (p *parser) accept(texts ...string) bool {
	if p.is(texts...) {
		p.at++
		return true
	}
	return false
}

func (p *parser) errAt(t token, format string, args ...any) error {
	return &Error{Expr: p.expr, Pos: t.pos, End: t.end, Text: fmt.Sprintf(format, args...)}
}

// unnamed is of a name, where none are known.
func (p *parser) unnamed(t token, format string, args ...any) error {
	return &Error{Expr: p.expr, Pos: t.pos, End: t.end, Text: fmt.Sprintf(format, args...), Unnamed: true}
}

func (p *parser) whole() (node, error) {
	if p.peek().kind == end {
		return all{}, nil
	}
	n, err := p.sequence()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, p.errAt(t, "%q: expected \"and\", \"or\" or the end", t.text)
	}
	return n, nil
}

// maxDepth bounds nested parentheses and negations.
const maxDepth = 200

// sequence is terms joined by "and" and "or", which bind alike, to the left.
func (p *parser) sequence() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.errAt(p.peek(), "nested too deep")
	}
	defer func() { p.depth-- }()
	left, err := p.term()
	if err != nil {
		return nil, err
	}
	for {
		var join func(a, b node) node
		switch {
		case p.accept("and", "&&"):
			join = func(a, b node) node { return &and{a, b} }
		case p.accept("or", "||"):
			join = func(a, b node) node { return &or{a, b} }
		default:
			return left, nil
		}
		right, err := p.term()
		if err != nil {
			return nil, err
		}
		left = join(left, right)
	}
}

func (p *parser) term() (node, error) {
	if p.is("not", "!") {
		if p.depth++; p.depth > maxDepth {
			return nil, p.errAt(p.peek(), "nested too deep")
		}
		defer func() { p.depth-- }()
		p.take()
		n, err := p.term()
		if err != nil {
			return nil, err
		}
		return &not{n}, nil
	}
	if n, ok, err := p.arithmetic(); ok || err != nil {
		return n, err
	}
	if p.is("(") {
		return p.group()
	}
	n, err := p.primitive()
	if err != nil {
		return nil, err
	}
	return p.here(n), nil
}

// here has a primitive look where "inner" and "outer" said.
func (p *parser) here(n node) node {
	if !p.inner {
		return n
	}
	return &within{true, n}
}

// group is a parenthesis: "inner" and "outer" end with it, "vlan" and "mpls" do not.
func (p *parser) group() (node, error) {
	open := p.take()
	inner, outside := p.inner, p.shift
	n, err := p.sequence()
	if err != nil {
		return nil, err
	}
	if p.inner != inner {
		p.inner, p.shift = inner, outside
	}
	if !p.accept(")") {
		return nil, p.errAt(open, "this parenthesis is not closed")
	}
	return n, nil
}

// arithmetic is a relation between two arithmetic expressions. ok is false, and nothing taken, where it is none.
func (p *parser) arithmetic() (n node, ok bool, err error) {
	if !p.startsArith() {
		return nil, false, nil
	}
	from := p.at
	a, whenA, err := p.sum()
	if err == nil && p.is("=", "==", "!=", "<", "<=", ">", ">=") {
		op := p.take().text
		b, whenB, err := p.sum()
		if err != nil {
			return nil, true, err
		}
		r := &relation{a: a, b: b, op: op}
		switch {
		case whenA != nil && whenB != nil:
			r.when = &and{whenA, whenB}
		case whenA != nil:
			r.when = whenA
		default:
			r.when = whenB
		}
		return p.here(r), true, nil
	}
	// "( expr )" begins like an arithmetic expression, "80" alone like an identifier.
	deepest := p.at
	p.at = from
	if p.is("(") {
		return nil, false, nil
	}
	if t := p.peek(); t.kind == number && deepest == from+1 {
		return nil, false, nil
	}
	if err == nil {
		p.at = deepest
		err = p.errAt(p.peek(), "expected a comparison: =, !=, <, <=, > or >=")
	}
	return nil, true, err
}

func (p *parser) startsArith() bool {
	t := p.peek()
	switch {
	case t.kind == number:
		return true
	case t.kind == symbol:
		return t.text == "(" || t.text == "-"
	case t.kind != word:
		return false
	}
	if t.text == "len" {
		return true
	}
	if _, ok := constants[t.text]; ok {
		return true
	}
	return p.at+1 < len(p.toks) && p.toks[p.at+1].kind == symbol && p.toks[p.at+1].text == "["
}

// binding powers of grammar.y: | ^? & << >> + - * / %, from weak to strong.
var powers = map[string]int{"|": 1, "^": 1, "&": 2, "<<": 3, ">>": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5}

func (p *parser) sum() (arith, node, error) { return p.binary(1) }

func (p *parser) binary(min int) (arith, node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, nil, p.errAt(p.peek(), "nested too deep")
	}
	defer func() { p.depth-- }()
	a, when, err := p.factor()
	if err != nil {
		return nil, nil, err
	}
	for {
		t := p.peek()
		power := powers[t.text]
		if t.kind != symbol || power == 0 || power < min {
			return a, when, nil
		}
		p.take()
		// Only the left operand's headers are checked for, as in libpcap's gen_arth: what the right one looks at is taken to be there.
		b, _, err := p.binary(power + 1)
		if err != nil {
			return nil, nil, err
		}
		op := t.text[0]
		switch t.text {
		case "<<":
			op = 'l'
		case ">>":
			op = 'r'
		}
		y, constB := b.(constant)
		if constB && y == 0 && (op == '/' || op == '%') {
			return nil, nil, p.errAt(t, "division by zero")
		}
		if constB && y > 31 && (op == 'l' || op == 'r') {
			return nil, nil, p.errAt(t, "shift by more than 31 bits")
		}
		if x, ok := a.(constant); ok && constB {
			a = constant(calc(op, uint32(x), uint32(y)))
		} else {
			a = &binary2{op, a, b}
		}
	}
}

func (p *parser) factor() (arith, node, error) {
	t := p.take()
	switch {
	case t.kind == number:
		return constant(t.num), nil, nil
	case t.kind == symbol && t.text == "-":
		a, when, err := p.factor2()
		if c, ok := a.(constant); ok {
			return -c, when, err
		}
		return &unary{a}, when, err
	case t.kind == symbol && t.text == "(":
		a, when, err := p.sum()
		if err != nil {
			return nil, nil, err
		}
		if !p.accept(")") {
			return nil, nil, p.errAt(t, "this parenthesis is not closed")
		}
		return a, when, nil
	case t.kind != word:
		return nil, nil, p.errAt(t, "expected a number or a header's bytes, as ip[0]")
	case t.text == "len":
		return lenOf{}, nil, nil
	}
	if v, ok := constants[t.text]; ok {
		return constant(v), nil, nil
	}
	if !p.is("[") {
		return nil, nil, p.errAt(t, "%q is no number and no header", t.text)
	}
	return p.index(t)
}

// factor2 is the operand of a sign, which binds strongest.
func (p *parser) factor2() (arith, node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, nil, p.errAt(p.peek(), "nested too deep")
	}
	defer func() { p.depth-- }()
	return p.factor()
}

// index is "proto [ offset ]" or "proto [ offset : size ]" (gen_load of libpcap's gencode.c).
func (p *parser) index(name token) (arith, node, error) {
	p.take()
	off, inside, err := p.sum()
	if err != nil {
		return nil, nil, err
	}
	size := 1
	if p.accept(":") {
		t := p.take()
		if t.kind != number || t.num != 1 && t.num != 2 && t.num != 4 {
			return nil, nil, p.errAt(t, "the size must be 1, 2 or 4")
		}
		size = int(t.num)
	}
	if !p.accept("]") {
		return nil, nil, p.errAt(p.peek(), "expected ]")
	}
	x := &index{shift: p.shift, off: off, size: size}
	var when node
	switch name.text {
	case "ether", "link":
		x.header = ofLink
		if name.text == "ether" {
			when = &isEthernet{}
		}
	case "ip":
		x.header, when = ofPayload, p.ether(0x800)
	case "ip6":
		x.header, when = ofPayload, p.ether(0x86dd)
	case "arp":
		x.header, when = ofPayload, p.ether(0x806)
	case "rarp":
		x.header, when = ofPayload, p.ether(0x8035)
	case "icmp6":
		x.header, when = ofV6, conj(p.ether(0x86dd), p.byteIs(6, 58))
	default:
		n, ok := transports[name.text]
		if !ok {
			return nil, nil, p.errAt(name, "bytes of %q cannot be asked for", name.text)
		}
		x.header = ofV4
		when = conj(p.ether(0x800), p.byteIs(9, n), p.firstFragment())
	}
	if inside != nil {
		when = &and{inside, when}
	}
	return x, when, nil
}

// isEthernet tests that the headers begin with an Ethernet header.
type isEthernet struct{}

func (isEthernet) eval(v *view) bool { return v.link == 1 }

func (p *parser) ether(typ uint16) node { return &linkType{p.shift, typ} }
func (p *parser) byteIs(off int, val uint32) node {
	return &field{shift: p.shift, off: off, size: 1, op: "==", val: val}
}
func (p *parser) firstFragment() node {
	return &field{shift: p.shift, off: 6, size: 2, mask: 0x1fff, op: "==", val: 0}
}

// oneOf joins words for an error.
func oneOf(words ...string) string {
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}
