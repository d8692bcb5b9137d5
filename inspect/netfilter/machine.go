package netfilter

import (
	"encoding/hex"
	"math/bits"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// maxExprs is how many expressions a rule may have (NFT_RULE_MAXEXPRS).
const maxExprs = 128

// exprSet is a set of a rule's expressions, by number.
type exprSet [2]uint64

func oneExpr(i int) (s exprSet)             { s[i/64] = 1 << (i % 64); return s }
func (s exprSet) and(o exprSet) exprSet     { return exprSet{s[0] | o[0], s[1] | o[1]} }
func (s exprSet) without(o exprSet) exprSet { return exprSet{s[0] &^ o[0], s[1] &^ o[1]} }
func (s exprSet) has(i int) bool            { return s[i/64]>>(i%64)&1 == 1 }
func (s exprSet) len() int                  { return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) }

// value is what a register holds: a constant, or what a match may ask of the packet.
type value struct {
	// op is the operand, but for a payload, whose name depends on what the rule says of the packet before it is used.
	op snapshot.NfOperand
	// data is a constant.
	data []byte
	typ  vtype
	// host: numbers are in host byte order.
	host bool
	// n is how many bytes it has.
	n int
	// base and off (in bits) are a payload's.
	payload   bool
	base, off int
	// hdr is the extension header or option that the bits at off belong to.
	hdr *header
	// mask and xor were applied to it, in the register's byte order, then shift (to the left).
	mask, xor []byte
	shift     int
	// meta is the key of a meta expression, for what a match tells of the protocol.
	meta   uint32
	isMeta bool
	// src are the expressions that made it.
	src exprSet
}

// rawExpr is an expression as the kernel gives it.
type rawExpr struct {
	name string
	data []byte
}

// dependency is a match that says no more than a later one does, if one comes that needs it.
type dependency struct {
	at    int // index in out, and of the match in it; -1: none
	match int
	// p and f are a payload's, else it is a meta expression's.
	p   *proto
	f   *field
	key uint32
	n   uint64
}

// machine runs a rule's expressions and tells what they amount to. It is used for many rules.
type machine struct {
	family uint8
	fam    string
	sets   map[string]*set

	ctx  context
	regs [regWords]value
	live [regWords]bool
	out  []snapshot.NfExpr
	srcs []exprSet // of each of out
	dead []bool    // which of out went into another
	// claimed are the expressions that out stands for, extra those that the next one takes over.
	claimed, extra exprSet
	raw            []rawExpr
	// What rules are made of comes from these.
	exprs  slab[snapshot.NfExpr]
	conds  slab[snapshot.NfMatch]
	values slab[snapshot.NfValue]
	counts slab[snapshot.NfCounter]
	// comment is that of iptables.
	comment string
	deps    [6]dependency
	// inside is what the rule has said of the packet in a tunnel.
	inside struct {
		tunnel string
		ctx    context
	}
	// cmp is the last comparison, which the next may make a range of.
	cmp struct {
		at   int // in out, -1: none
		word int
		op   uint32
		data []byte
	}
}

// rule decodes NFTA_RULE_EXPRESSIONS. The parts of what it returns add up to the expressions given.
func (m *machine) rule(b []byte) (exprs []snapshot.NfExpr, unknown []string) {
	m.ctx = newContext(m.family)
	m.live = [regWords]bool{}
	m.out, m.srcs, m.dead, m.raw = m.out[:0], m.srcs[:0], m.dead[:0], m.raw[:0]
	m.claimed, m.extra, m.comment = exprSet{}, exprSet{}, ""
	m.inside.tunnel = ""
	m.forget()
	for a := nlwire.Walk(b); a.Next(); {
		if a.Type == nftaListElem {
			m.raw = append(m.raw, splitExpr(a.Val))
		}
	}
	if len(m.raw) > maxExprs {
		// No kernel gives so many: nothing is known of what this is.
		for _, r := range m.raw {
			exprs = append(exprs, unknownExpr(r))
			unknown = append(unknown, "expr "+r.name)
		}
		return exprs, unknown
	}
	for i, r := range m.raw {
		if !m.expr(i, r) {
			// It may have written a register: what they hold is not known any more.
			m.live = [regWords]bool{}
			m.cmp.at = -1
			m.emit(i, unknownExpr(r), exprSet{})
		}
	}
	// What was loaded and never used can still keep a rule from matching.
	for i, r := range m.raw {
		if !m.claimed.has(i) {
			m.emit(i, unknownExpr(r), exprSet{})
		}
	}
	return m.finish()
}

// finish gives what is left of out, and counts.
func (m *machine) finish() (exprs []snapshot.NfExpr, unknown []string) {
	alive := 0
	for _, d := range m.dead {
		if !d {
			alive++
		}
	}
	exprs = m.exprs.take(alive)[:0]
	sum := 0
	for i := range m.out {
		if m.dead[i] {
			continue
		}
		e := m.out[i]
		n := m.srcs[i].len()
		if n != 1 {
			e.Parts = n
		}
		sum += n
		if u := e.Unknown; u != nil {
			unknown = append(unknown, u.Kind+" "+u.Name)
		}
		exprs = append(exprs, e)
	}
	if sum != len(m.raw) {
		unknown = append(unknown, "rule whose expressions do not add up")
	}
	return exprs, unknown
}

func splitExpr(b []byte) (r rawExpr) {
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaExprName:
			r.name = exprName(nlwire.CStr(a.Val))
		case nftaExprData:
			r.data = a.Val
		}
	}
	return r
}

func unknownExpr(r rawExpr) snapshot.NfExpr {
	return snapshot.NfExpr{Unknown: &snapshot.NfUnknown{Kind: "expr", Name: r.name, Data: hex.EncodeToString(r.data)}}
}

// emit appends a step made by expression i out of the values of used.
func (m *machine) emit(i int, e snapshot.NfExpr, used exprSet) {
	src := oneExpr(i).and(used).and(m.extra).without(m.claimed)
	m.claimed = m.claimed.and(src)
	m.extra = exprSet{}
	m.out = append(m.out, e)
	m.srcs = append(m.srcs, src)
	m.dead = append(m.dead, false)
	if e.Matches == nil && e.Map == nil {
		m.forgetDeps() // a step that counts or changes something stands between
	}
}

func (m *machine) forget() {
	m.forgetDeps()
	m.cmp.at = -1
}

func (m *machine) forgetDeps() {
	for i := range m.deps {
		m.deps[i].at = -1
	}
}

// word is the number of the 4 bytes where a register begins, -1 for none.
func word(reg uint32) int {
	switch {
	case reg >= 1 && reg <= 4:
		return int(reg-1) * 4
	case reg >= reg32First && reg < reg32First+regWords:
		return int(reg - reg32First)
	}
	return -1
}

// store puts v into a register; what overlaps is gone.
func (m *machine) store(reg uint32, v value) bool {
	w := word(reg)
	words := max(1, (v.n+3)/4)
	if w < 0 || w+words > regWords {
		return false
	}
	for i := range m.regs {
		if m.live[i] && i < w+words && i+max(1, (m.regs[i].n+3)/4) > w {
			m.live[i] = false
		}
	}
	m.regs[w], m.live[w] = v, true
	if m.cmp.at >= 0 && m.cmp.word == w {
		m.cmp.at = -1
	}
	return true
}

// load is what a register holds.
func (m *machine) load(reg uint32) (*value, bool) {
	w := word(reg)
	if w < 0 || !m.live[w] {
		return nil, false
	}
	return &m.regs[w], true
}

// kill lets the step to come take over the dependency of nft's base b.
func (m *machine) kill(b int) {
	d := m.deps[b]
	m.deps[b].at = -1
	e := &m.out[d.at]
	if d.match >= len(e.Matches) {
		return
	}
	if len(e.Matches) > 1 {
		e.Matches = append(e.Matches[:d.match:d.match], e.Matches[d.match+1:]...)
		return
	}
	m.dead[d.at] = true
	m.extra = m.extra.and(m.srcs[d.at])
	m.claimed = m.claimed.without(m.srcs[d.at])
	if m.cmp.at == d.at {
		m.cmp.at = -1
	}
}

// dep finds the dependency that a field of base would make redundant: those of ICMP types stand one higher.
func (m *machine) dep(base int) (int, bool) {
	b := base + 1
	if m.deps[b].at >= 0 {
		return b, true
	}
	if base == baseTransport && m.deps[b+1].at >= 0 {
		return b + 1, true
	}
	return 0, false
}

// implied hides the match that a field f of p needs and says anyway, as nft does when it lists rules.
func (m *machine) implied(p *proto, f *field) {
	b, ok := m.dep(p.base)
	if !ok || p == hdrTh {
		return
	}
	d := &m.deps[b]
	mixed := m.family == famInet || m.family == famBridge || m.family == famNetdev
	if mixed && d.p != nil {
		switch {
		case d.p.base == baseNetwork && p.base == baseTransport:
			return // "ip protocol" says IPv4 too
		case d.p.base == p.base && f.name == p.key:
			return
		case d.p.base == p.base && p.base == baseLink:
			if d.p == hdrVlan || d.p == hdrEther && d.n != 0x8100 {
				return
			}
		}
	}
	if d.p != nil && d.p.base == baseTransport && p.base == baseTransport && (d.p == hdrICMP || d.p == hdrICMP6) {
		if d.p != p || len(f.icmp) != 1 || uint64(f.icmp[0]) != d.n {
			return
		}
	}
	m.kill(b)
}

// remember notes that the match about to be emitted may become redundant.
func (m *machine) remember(b int, d dependency, match int) {
	d.at, d.match = len(m.out), match
	if d.p == hdrICMP && (d.n == 0 || d.n == 8) || d.p == hdrICMP6 && (d.n == 128 || d.n == 129) {
		return
	}
	m.deps[b] = d
}

// exprName gives the name without allocating for those that are known.
func exprName(b []byte) string {
	for _, n := range exprNames {
		if string(b) == n {
			return n
		}
	}
	return string(b)
}

var exprNames = []string{
	"cmp", "payload", "meta", "immediate", "counter", "lookup", "bitwise", "ct", "match", "target", "nat", "masq", "redir", "byteorder",
	"range", "limit", "log", "reject", "numgen", "fib", "dynset", "objref",
}

// expr runs expression i. False: it is not understood.
func (m *machine) expr(i int, r rawExpr) bool {
	switch r.name {
	case "payload":
		return m.payload(i, r.data)
	case "meta":
		return m.meta(i, r.data)
	case "ct":
		return m.ct(i, r.data)
	case "immediate":
		return m.immediate(i, r.data)
	case "cmp":
		return m.compare(i, r.data)
	case "range":
		return m.inRange(i, r.data)
	case "lookup":
		return m.lookup(i, r.data)
	case "bitwise":
		return m.bitwise(i, r.data)
	case "byteorder":
		return m.byteorder(i, r.data)
	case "match", "target":
		return m.xt(i, r)
	}
	if load := loads[r.name]; load != nil {
		return load(m, i, r.data)
	}
	e, used, ok := m.step(r.name, r.data)
	if ok {
		m.emit(i, e, used)
	}
	return ok
}

// xt decodes what iptables-nft and ebtables-nft write through nft_compat.
func (m *machine) xt(i int, r rawExpr) bool {
	var name string
	var rev uint32
	var info []byte
	for a := nlwire.Walk(r.data); a.Next(); {
		switch a.Type {
		case nftaXtName:
			name = string(nlwire.CStr(a.Val))
		case nftaXtRev:
			rev = nlwire.BE32(a.Val)
		case nftaXtInfo:
			info = a.Val
		}
	}
	if name == "" || rev > 255 {
		return false
	}
	if r.name == "match" {
		if name == "comment" && m.comment == "" {
			m.comment = string(nlwire.CStr(info))
		}
		m.emit(i, xtMatchExpr(m.fam, name, uint8(rev), info), exprSet{})
	} else {
		m.emit(i, xtTargetExpr(m.fam, name, uint8(rev), info), exprSet{})
	}
	return true
}
