package netfilter

import (
	"encoding/hex"
	"errors"
	"net/netip"
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Layout of include/uapi/linux/netfilter_ipv{4,6}/ip{,6}_tables.h on a 64-bit machine.
const (
	xtHooks      = 5  // NF_INET_NUMHOOKS
	xtInfoSize   = 84 // struct ipt_getinfo
	xtHeadSize   = 40 // struct ipt_get_entries before the entries
	xtRecordHead = 32 // struct xt_entry_match and xt_entry_target
	xtErrorName  = 30 // XT_FUNCTION_MAXNAMELEN
)

var errBlob = errors.New("the kernel's table of rules is not as its header says")

// legacyInfo is struct ipt_getinfo: what of a table is where.
type legacyInfo struct {
	hooks      uint32 // a bit each, of enum nf_inet_hooks
	entry      [xtHooks]uint32
	underflow  [xtHooks]uint32
	count, len uint32
}

func decodeLegacyInfo(b []byte) (i legacyInfo, ok bool) {
	if len(b) < xtInfoSize {
		return i, false
	}
	i.hooks = nlwire.U32(b[32:])
	for h := range xtHooks {
		i.entry[h], i.underflow[h] = nlwire.U32(b[36+4*h:]), nlwire.U32(b[56+4*h:])
	}
	i.count, i.len = nlwire.U32(b[76:]), nlwire.U32(b[80:])
	return i, true
}

// legacyFamily is what IPv4 and IPv6 have at different places in struct ipt_entry and struct ip6t_entry.
type legacyFamily struct {
	name                                   string
	size                                   int // of the entry's head
	addr                                   int // bytes of an address
	in, out, inMask, outMask               int
	proto, flags, inv                      int
	target, next, counters                 int
	flagFrag, flagProto, flagTOS, flagGoto uint8
}

var (
	legacy4 = &legacyFamily{name: "ip", size: 112, addr: 4, in: 16, out: 32, inMask: 48, outMask: 64, proto: 80, flags: 82, inv: 83,
		target: 88, next: 90, counters: 96, flagFrag: 1, flagGoto: 2}
	legacy6 = &legacyFamily{name: "ip6", size: 168, addr: 16, in: 64, out: 80, inMask: 96, outMask: 112, proto: 128, flags: 131, inv: 132,
		target: 140, next: 142, counters: 152, flagProto: 1, flagTOS: 2, flagGoto: 4}
)

// legacyHooks are the built-in chains by enum nf_inet_hooks.
var legacyHooks = [xtHooks]struct{ chain, hook string }{
	{"PREROUTING", "prerouting"}, {"INPUT", "input"}, {"FORWARD", "forward"}, {"OUTPUT", "output"}, {"POSTROUTING", "postrouting"},
}

// legacyBase is type and priority of a built-in chain (enum nf_ip_hook_priorities).
func legacyBase(table string, hook int) (typ string, priority int32) {
	switch table {
	case "raw":
		return "filter", -300
	case "mangle":
		if hook == 3 { // a changed mark is routed anew
			return "route", -150
		}
		return "filter", -150
	case "nat":
		if hook == 0 || hook == 3 {
			return "nat", -100
		}
		return "nat", 100
	case "security":
		return "filter", 50
	}
	return "filter", 0
}

// legacyBlob is a table's rules as the kernel gives them: entries one after the other, jumps by offset.
type legacyBlob struct {
	fam    *legacyFamily
	info   legacyInfo
	b      []byte
	starts map[uint32]string // chains by the offset of their first rule
	exprs  []snapshot.NfExpr // of the rule that is being decoded: each keeps a copy of just its length
}

// decodeLegacy decodes the entries of a table. It takes any bytes, and allocates no more than a multiple of their length.
func decodeLegacy(fam *legacyFamily, table string, info legacyInfo, b []byte) (t snapshot.NfTable, err error) {
	t = snapshot.NfTable{Backend: snapshot.NfLegacy, Family: fam.name, Name: table,
		Flags: []string{}, Chains: []snapshot.NfChain{}, Sets: []snapshot.NfSet{}, Objects: []snapshot.NfObject{}, Flowtables: []snapshot.NfFlowtable{}}
	l := legacyBlob{fam: fam, info: info, b: b, starts: map[uint32]string{}}
	heads, err := l.heads()
	if err == nil && int(info.len) != len(b) {
		err = errBlob
	}
	if err != nil {
		return t, err
	}
	var cur *snapshot.NfChain
	user, ended, last := false, false, 0 // of a chain that was made, the last entry is its end, which returns
	end := func() error {
		if cur == nil {
			return nil
		}
		if !user || len(cur.Rules) == 0 {
			return errBlob
		}
		cur.Rules = cur.Rules[:len(cur.Rules)-1]
		cur = nil
		return nil
	}
	for off := 0; off < len(b); off += last {
		e := l.entry(off)
		last = e.size
		if head, ok := heads[uint32(off)]; ok {
			if err := end(); err != nil {
				return t, err
			}
			t.Chains = append(t.Chains, snapshot.NfChain{Name: head.name, Rules: []snapshot.NfRule{}})
			cur, user = &t.Chains[len(t.Chains)-1], head.user
			if !user {
				cur.Hook = legacyHooks[head.hook].hook
				cur.Type, cur.Priority = legacyBase(table, head.hook)
			}
			if user {
				continue // the head is no rule
			}
		}
		if e.isError() { // the table's end
			ended = true
			if err := end(); err != nil {
				return t, err
			}
			continue
		}
		if cur == nil {
			return t, errBlob
		}
		if !user && uint32(off) == info.underflow[heads[l.startOf(cur)].hook] {
			v, _ := e.verdict()
			cur.Policy = xtVerdicts[v]
			cur.Counter = e.counter()
			if cur.Policy == "" {
				return t, errBlob
			}
			cur = nil
			continue
		}
		cur.Rules = append(cur.Rules, l.rule(e))
	}
	if cur != nil || !ended {
		return t, errBlob
	}
	return t, nil
}

type legacyHead struct {
	name string
	user bool
	hook int
}

// startOf is the offset of a built-in chain's first entry.
func (l *legacyBlob) startOf(c *snapshot.NfChain) uint32 {
	for h, k := range legacyHooks {
		if k.chain == c.Name {
			return l.info.entry[h]
		}
	}
	return 0
}

// heads finds where chains begin, and checks that every entry lies within the table.
func (l *legacyBlob) heads() (map[uint32]legacyHead, error) {
	heads := map[uint32]legacyHead{}
	for h := range xtHooks {
		if l.info.hooks>>h&1 != 0 {
			if _, twice := heads[l.info.entry[h]]; twice {
				return nil, errBlob
			}
			heads[l.info.entry[h]] = legacyHead{name: legacyHooks[h].chain, hook: h}
			l.starts[l.info.entry[h]] = legacyHooks[h].chain
		}
	}
	found := 0
	for off := 0; off < len(l.b); {
		e, ok := l.check(off)
		if !ok {
			return nil, errBlob
		}
		if h, ok := heads[uint32(off)]; ok && !h.user {
			found++
		}
		next := off + e.size
		if e.isError() && next < len(l.b) {
			name := string(nlwire.CStr(e.targetData()[:xtErrorName]))
			if _, builtin := heads[uint32(off)]; builtin {
				return nil, errBlob
			}
			heads[uint32(off)] = legacyHead{name: name, user: true}
			l.starts[uint32(next)] = name
		}
		off = next
	}
	for h := range xtHooks {
		if l.info.hooks>>h&1 != 0 {
			found--
		}
	}
	if found != 0 {
		return nil, errBlob
	}
	return heads, nil
}

// legacyEntry is one struct ipt_entry or ip6t_entry with its matches and its target, checked to lie within the table.
type legacyEntry struct {
	fam    *legacyFamily
	b      []byte
	off    int
	size   int
	target int
}

func (l *legacyBlob) entry(off int) legacyEntry {
	b := l.b[off:]
	n := int(nlwire.U16(b[l.fam.next:]))
	return legacyEntry{l.fam, b[:n:n], off, n, int(nlwire.U16(b[l.fam.target:]))}
}

func (l *legacyBlob) check(off int) (e legacyEntry, ok bool) {
	b := l.b[off:]
	if len(b) < l.fam.size {
		return e, false
	}
	n, target := int(nlwire.U16(b[l.fam.next:])), int(nlwire.U16(b[l.fam.target:]))
	if n > len(b) || target < l.fam.size || target+xtRecordHead > n {
		return e, false
	}
	e = l.entry(off)
	if size := int(nlwire.U16(e.b[target:])); size < xtRecordHead || target+size > n {
		return e, false
	}
	if e.isError() && len(e.targetData()) < xtErrorName || e.targetName() == "" && len(e.targetData()) < 4 {
		return e, false
	}
	return e, true
}

func (e legacyEntry) targetName() string {
	return string(nlwire.CStr(e.b[e.target+2 : e.target+31]))
}

func (e legacyEntry) targetData() []byte {
	size := int(nlwire.U16(e.b[e.target:]))
	return e.b[e.target+xtRecordHead : e.target+size]
}

func (e legacyEntry) isError() bool { return e.targetName() == "ERROR" }

func (e legacyEntry) verdict() (int32, bool) {
	if e.targetName() != "" {
		return 0, false
	}
	return int32(nlwire.U32(e.targetData())), true
}

func (e legacyEntry) counter() *snapshot.NfCounter {
	return &snapshot.NfCounter{Packets: nlwire.U64(e.b[e.fam.counters:]), Bytes: nlwire.U64(e.b[e.fam.counters+8:])}
}

// rule decodes one entry: its head as nftables would say it, its matches, its counter, its target.
func (l *legacyBlob) rule(e legacyEntry) (r snapshot.NfRule) {
	out := l.head(l.exprs[:0], e)
	for off := l.fam.size; off < e.target; {
		if e.target-off < xtRecordHead {
			break
		}
		size := int(nlwire.U16(e.b[off:]))
		if size < xtRecordHead || off+size > e.target {
			out = append(out, unknownMatch("", e.b[off:e.target]))
			break
		}
		name := string(nlwire.CStr(e.b[off+2 : off+31]))
		x := xtMatchExpr(l.fam.name, name, e.b[off+31], e.b[off+xtRecordHead:off+size])
		if r.Comment == "" {
			r.Comment = xtCommentText(x)
		}
		out = append(out, x)
		off += size
	}
	out = append(out, snapshot.NfExpr{Counter: e.counter()})
	if x, ok := l.target(e); ok {
		out = append(out, x)
	}
	l.exprs, r.Exprs = out, slices.Clone(out)
	for _, x := range r.Exprs {
		if x.Unknown != nil {
			r.Unknown = append(r.Unknown, x.Unknown.Kind+" "+x.Unknown.Name)
		}
	}
	return r
}

func unknownMatch(name string, data []byte) snapshot.NfExpr {
	return snapshot.NfExpr{Unknown: &snapshot.NfUnknown{Kind: "match", Name: name, Data: hex.EncodeToString(data)}}
}

// head decodes struct ipt_ip and struct ip6t_ip6.
func (l *legacyBlob) head(out []snapshot.NfExpr, e legacyEntry) []snapshot.NfExpr {
	fam, inv, flags := l.fam, e.b[l.fam.inv], e.b[l.fam.flags]
	add := func(m snapshot.NfMatch) { out = append(out, snapshot.NfExpr{Matches: []snapshot.NfMatch{m}}) }
	addr := func(key string, n int, bit uint8) {
		a, _ := netip.AddrFromSlice(e.b[n*fam.addr : (n+1)*fam.addr])
		m, _ := netip.AddrFromSlice(e.b[(n+2)*fam.addr : (n+3)*fam.addr])
		if !m.IsUnspecified() || !a.IsUnspecified() || inv&bit != 0 {
			add(is(payload(fam.name+" "+key), inv&bit != 0, masked(a, m)))
		}
	}
	iface := func(key string, name, mask int, bit uint8) {
		s, ok := ifaceName(e.b[name:name+16], e.b[mask:mask+16])
		switch {
		case !ok:
			out = append(out, unknownMatch(key, e.b[name:name+16]))
		case s != "" || inv&bit != 0:
			add(is(meta(key), inv&bit != 0, text(s)))
		}
	}
	addr("saddr", 0, 0x08)
	addr("daddr", 1, 0x10)
	iface("iifname", fam.in, fam.inMask, 0x01)
	iface("oifname", fam.out, fam.outMask, 0x02)
	proto := nlwire.U16(e.b[fam.proto:])
	if proto != 0 && (fam.flagProto == 0 || flags&fam.flagProto != 0) {
		add(is(meta("l4proto"), inv&0x40 != 0, num(uint64(proto))))
	}
	if flags&fam.flagFrag != 0 {
		left := payload("ip frag-off")
		left.Mask = "1fff"
		add(is(left, inv&0x20 == 0, num(0)))
	}
	if flags&fam.flagTOS != 0 || flags&^(fam.flagFrag|fam.flagProto|fam.flagTOS|fam.flagGoto) != 0 {
		out = append(out, unknownMatch("flags", []byte{flags}))
	}
	return out
}

// target decodes where the rule goes. A jump to the next entry is a rule without a target.
func (l *legacyBlob) target(e legacyEntry) (x snapshot.NfExpr, ok bool) {
	v, standard := e.verdict()
	if !standard || v < 0 {
		x = xtTargetExpr(l.fam.name, e.targetName(), e.b[e.target+31], e.targetData())
		if standard {
			x.XT = nil
		}
		return x, true
	}
	if int(v) == e.off+e.size {
		return x, false
	}
	chain, known := l.starts[uint32(v)]
	if !known {
		return snapshot.NfExpr{Unknown: &snapshot.NfUnknown{Kind: "target", Name: "jump", Data: hex.EncodeToString(e.targetData())}}, true
	}
	kind := "jump"
	if e.b[l.fam.flags]&l.fam.flagGoto != 0 {
		kind = "goto"
	}
	return snapshot.NfExpr{Verdict: &snapshot.NfVerdict{Kind: kind, Chain: chain}}, true
}
