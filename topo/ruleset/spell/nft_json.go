package spell

import (
	"encoding/hex"
	"math/big"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// obj is a JSON object.
type obj = map[string]any

// speller writes the rules of one table.
type speller struct {
	names Names
	// mixed: the family of the table is not that of its packets.
	mixed bool
	sets  map[string]*snapshot.NfSet
}

func newSpeller(t *snapshot.NfTable, names Names) *speller {
	s := &speller{names: names, mixed: t.Family != "ip" && t.Family != "ip6", sets: make(map[string]*snapshot.NfSet, len(t.Sets))}
	for i := range t.Sets {
		s.sets[t.Sets[i].Name] = &t.Sets[i]
	}
	return s
}

// NftJSON gives the statements of a rule of table t, as the "expr" of nft's JSON.
func NftJSON(t *snapshot.NfTable, r *snapshot.NfRule, names Names) []any {
	return newSpeller(t, names).rule(t, r)
}

func (s *speller) rule(t *snapshot.NfTable, r *snapshot.NfRule) []any {
	out := []any{}
	hide := hidden(t.Family, r.Exprs)
	for i := range r.Exprs {
		if !hide[i] {
			out = append(out, s.expr(&r.Exprs[i])...)
		}
	}
	return out
}

// hidden are the matches that nft does not list because the reject after them says the same.
func hidden(family string, exprs []snapshot.NfExpr) map[int]bool {
	var hide map[int]bool
	l3, l4 := -1, -1
	for i := range exprs {
		e := &exprs[i]
		if e.Reject != nil {
			at := -1
			switch family {
			case "ip", "ip6":
				if e.Reject.With == "tcp-reset" {
					at = l4
				}
			default:
				if !strings.HasPrefix(e.Reject.With, "icmpx") {
					at = l3
				}
			}
			if at >= 0 {
				hide = map[int]bool{at: true}
			}
		}
		if len(e.Matches) != 1 {
			if len(e.Matches) == 0 && e.Map == nil {
				l3, l4 = -1, -1
			}
			continue
		}
		m := &e.Matches[0]
		if m.Op != snapshot.NfEq || len(m.Values) != 1 || m.Left.Mask != "" {
			continue
		}
		switch m.Left.Kind + " " + m.Left.Key {
		case "meta nfproto", "meta protocol", "payload ether type":
			l3 = i
		case "meta l4proto", "payload ip protocol", "payload ip6 nexthdr":
			l4 = i
		}
	}
	return hide
}

func (s *speller) expr(e *snapshot.NfExpr) []any {
	one := func(key string, v any) []any { return []any{obj{key: v}} }
	switch {
	case e.Unknown != nil:
		return one("unknown", obj{"kind": e.Unknown.Kind, "name": e.Unknown.Name, "data": e.Unknown.Data})
	case e.Map != nil:
		return one("vmap", obj{"key": s.operand(&e.Map.Key), "data": s.setRef(e.Map.Map)})
	case e.Verdict != nil:
		return []any{nftVerdict(e.Verdict)}
	case e.Counter != nil:
		return one("counter", obj{"packets": e.Counter.Packets, "bytes": e.Counter.Bytes})
	case e.NAT != nil:
		return []any{s.nat(e.NAT)}
	case e.Assign != nil:
		return one("mangle", obj{"key": s.operand(&e.Assign.To), "value": s.assigned(e.Assign)})
	case e.Limit != nil:
		return []any{limit(e.Limit)}
	case e.Reject != nil:
		return one("reject", nftReject(e.Reject))
	case e.Log != nil:
		return one("log", logStep(e.Log))
	case e.Update != nil:
		return []any{s.update(e.Update)}
	case e.Action != nil:
		return []any{s.action(e.Action)}
	}
	out := []any{}
	for i := range e.Matches {
		out = append(out, obj{"match": s.match(&e.Matches[i])})
	}
	return out
}

func (s *speller) match(m *snapshot.NfMatch) obj {
	left, t := s.operand(&m.Left), typeOf(&m.Left)
	op := m.Op
	var right any
	switch {
	case m.Set != "":
		right = s.setRef(m.Set)
	case m.Right != nil:
		right = s.operand(m.Right)
	case m.Op == snapshot.NfAny || m.Op == snapshot.NfNone:
		op = map[string]string{snapshot.NfAny: "in", snapshot.NfNone: "!"}[m.Op]
		words := []any{}
		for i := range m.Values {
			words = append(words, s.value(t, &m.Values[i]))
		}
		if right = words; len(words) == 1 {
			right = words[0]
		}
	case len(m.Values) == 1:
		v := &m.Values[0]
		if v.Masked != nil {
			left = obj{"&": []any{left, addrOf(v.Masked.Mask)}}
			right = v.Masked.Addr.String()
			break
		}
		if m.Left.Mask != "" {
			left, right = s.underMask(m, t)
			break
		}
		right = s.value(t, v)
	default:
		words := []any{}
		for i := range m.Values {
			words = append(words, s.value(t, &m.Values[i]))
		}
		right = obj{"set": words}
	}
	return obj{"op": op, "left": left, "right": right}
}

// underMask spells a comparison of some bits.
func (s *speller) underMask(m *snapshot.NfMatch, t string) (left, right any) {
	v := &m.Values[0]
	bare := m.Left
	bare.Mask, bare.Xor, bare.Shift = "", "", 0
	left, right = s.operand(&m.Left), s.value(t, v)
	mask, ok := new(big.Int).SetString(m.Left.Mask, 16)
	if !ok || m.Left.Xor != "" || m.Left.Shift != 0 {
		return left, right
	}
	switch {
	case v.MAC != "":
		b, _ := hex.DecodeString(m.Left.Mask)
		left = obj{"&": []any{s.operand(&bare), net.HardwareAddr(b).String()}}
	case v.Num != nil && bitmasks[t] && mask.IsUint64():
		// Some of these flags: those asked for beside those looked at.
		of := snapshot.NfValue{Num: &snapshot.NfNum{From: mask.Uint64(), To: mask.Uint64()}}
		return obj{"&": []any{s.operand(&bare), s.bits(t, &of, "")}}, s.bits(t, v, "")
	}
	return left, right
}

// bits spells a number by its bits: one by its name, several as a list or as joined by op.
func (s *speller) bits(t string, v *snapshot.NfValue, op string) any {
	if v.Num == nil || v.Num.From != v.Num.To {
		return s.value(t, v)
	}
	var words []any
	for b := uint64(1); b != 0; b <<= 1 {
		if v.Num.From&b != 0 {
			words = append(words, s.names.word(t, b))
		}
	}
	switch {
	case len(words) == 0:
		return v.Num.From
	case len(words) == 1:
		return words[0]
	case op == "":
		return words
	}
	all := words[0]
	for _, w := range words[1:] {
		all = obj{op: []any{all, w}}
	}
	return all
}

func addrOf(mask string) string {
	b, _ := hex.DecodeString(mask)
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}

// value spells a constant of type t.
func (s *speller) value(t string, v *snapshot.NfValue) any {
	switch {
	case v.Prefix.IsValid() && v.Prefix.IsSingleIP():
		return v.Prefix.Addr().String()
	case v.Prefix.IsValid():
		return obj{"prefix": obj{"addr": v.Prefix.Addr().String(), "len": v.Prefix.Bits()}}
	case v.Addrs != nil:
		return obj{"range": []any{v.Addrs.From.String(), v.Addrs.To.String()}}
	case v.Num != nil && v.Num.From == v.Num.To:
		return s.names.word(t, v.Num.From)
	case v.Num != nil:
		return obj{"range": []any{s.names.word(t, v.Num.From), s.names.word(t, v.Num.To)}}
	case v.Text != "":
		return v.Text
	case v.MAC != "":
		return v.MAC
	case v.Hex != "":
		n, _ := new(big.Int).SetString(v.Hex, 16)
		if n != nil && n.IsUint64() {
			return n.Uint64()
		}
		return "0x" + v.Hex
	case len(v.Parts) > 0:
		return s.concat(strings.Split(t, " . "), v.Parts)
	}
	return nil
}

func (s *speller) concat(types []string, parts []snapshot.NfValue) any {
	words := []any{}
	for i := range parts {
		t := ""
		if i < len(types) {
			t = types[i]
		}
		words = append(words, s.value(t, &parts[i]))
	}
	return obj{"concat": words}
}

// setRef names a set, or writes it out where it has no name of its own.
func (s *speller) setRef(name string) any {
	set := s.sets[name]
	if set == nil || !set.Anonymous {
		return "@" + name
	}
	return obj{"set": s.elems(set)}
}

func (s *speller) elems(set *snapshot.NfSet) []any {
	out := []any{}
	kt, dt := strings.Join(set.KeyTypes, " . "), strings.Join(set.DataType, " . ")
	for i := range set.Elements {
		e := &set.Elements[i]
		var key any = "*"
		if !e.CatchAll {
			key = s.value(kt, &e.Key)
			if bitmasks[kt] {
				key = s.bits(kt, &e.Key, "|")
			}
		}
		if e.Timeout != 0 || e.Expires != 0 || e.Comment != "" || len(e.Exprs) > 0 {
			in := obj{"val": key}
			if e.Timeout != 0 {
				in["timeout"] = e.Timeout / 1000
			}
			if e.Expires != 0 {
				in["expires"] = e.Expires / 1000
			}
			if e.Comment != "" {
				in["comment"] = e.Comment
			}
			for j := range e.Exprs {
				for _, st := range s.expr(&e.Exprs[j]) {
					for k, v := range st.(obj) {
						in[k] = v
					}
				}
			}
			key = obj{"elem": in}
		}
		switch {
		case e.Verdict != nil:
			out = append(out, []any{key, nftVerdict(e.Verdict)})
		case e.Value != nil:
			out = append(out, []any{key, s.value(dt, e.Value)})
		case e.Object != "":
			out = append(out, []any{key, e.Object})
		default:
			out = append(out, key)
		}
	}
	return out
}

func nftVerdict(v *snapshot.NfVerdict) any {
	switch v.Kind {
	case "jump", "goto":
		return obj{v.Kind: obj{"target": v.Chain}}
	case "queue":
		q := obj{}
		if v.Queue != nil && (v.Queue.From != 0 || v.Queue.To != 0) {
			q["num"] = v.Queue.From
			if v.Queue.To != v.Queue.From {
				q["num"] = obj{"range": []any{v.Queue.From, v.Queue.To}}
			}
		}
		if f := flags(v.Flags); f != nil {
			q["flags"] = f
		}
		if len(q) == 0 {
			return obj{"queue": nil}
		}
		return obj{"queue": q}
	}
	return obj{v.Kind: nil}
}

// flags are one word or a list.
func flags(f []string) any {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return f[0]
	}
	return anys(f)
}

func anys[T any](in []T) []any {
	out := make([]any, len(in))
	for i, v := range in {
		out[i] = v
	}
	return out
}

func (s *speller) nat(n *snapshot.NfNAT) any {
	in := obj{}
	var f []string
	netmap := false
	for _, name := range n.Flags {
		if name == "netmap" {
			netmap = true
		}
		f = append(f, name)
	}
	if v := flags(f); v != nil {
		in["flags"] = v
	}
	switch {
	case n.Prefix.IsValid():
		in["addr"] = obj{"prefix": obj{"addr": n.Prefix.Addr().String(), "len": n.Prefix.Bits()}}
	case n.Addr.IsValid() && n.AddrTo.IsValid():
		in["addr"] = obj{"range": []any{n.Addr.String(), n.AddrTo.String()}}
	case n.Addr.IsValid():
		in["addr"] = n.Addr.String()
	case n.AddrFrom != nil:
		in["addr"] = s.operand(n.AddrFrom)
	}
	switch {
	case n.PortFrom != nil:
		in["port"] = s.operand(n.PortFrom)
	case n.PortTo != 0:
		in["port"] = obj{"range": []any{n.Port, n.PortTo}}
	case n.Port != 0:
		in["port"] = n.Port
	}
	if netmap {
		in["type_flags"] = "prefix"
	}
	if s.mixed && n.Family != "" && (len(in) > 0 || n.Kind == "tproxy") {
		in["family"] = n.Family
	}
	if len(in) == 0 {
		return obj{n.Kind: nil}
	}
	return obj{n.Kind: in}
}

func (s *speller) assigned(a *snapshot.NfAssign) any {
	if a.From != nil {
		return s.operand(a.From)
	}
	t := typeOf(&a.To)
	if bitmasks[t] {
		return s.bits(t, a.Value, "")
	}
	return s.value(t, a.Value)
}

// byteUnit is a number of bytes in the largest unit that it is a whole number of.
func byteUnit(n uint64) (uint64, string) {
	for _, u := range []string{"bytes", "kbytes"} {
		if n == 0 || n%1024 != 0 {
			return n, u
		}
		n /= 1024
	}
	return n, "mbytes"
}

func limit(l *snapshot.NfLimit) any {
	in := obj{}
	if l.Over {
		in["inv"] = true
	}
	switch {
	case l.Connections:
		in["val"] = l.Rate
		return obj{"ct count": in}
	case l.Quota:
		in["val"], in["val_unit"] = byteUnit(l.Rate)
		if l.Used != 0 {
			in["used"], in["used_unit"] = byteUnit(l.Used)
		}
		return obj{"quota": in}
	}
	in["rate"], in["per"] = l.Rate, l.Per
	if l.Unit == "bytes" {
		in["rate"], in["rate_unit"] = byteUnit(l.Rate)
		in["burst"], in["burst_unit"] = byteUnit(uint64(l.Burst))
	} else if l.Burst != 0 {
		in["burst"] = l.Burst
	}
	return obj{"limit": in}
}

func nftReject(r *snapshot.NfReject) any {
	if r.With == "tcp-reset" {
		return obj{"type": "tcp reset"}
	}
	kind, code, _ := strings.Cut(r.With, "-")
	switch r.With {
	case "icmp-proto-unreachable":
		code = "prot-unreachable"
	case "icmp6-adm-prohibited":
		code = "admin-prohibited"
	}
	return obj{"type": strings.Replace(kind, "icmp6", "icmpv6", 1), "expr": code}
}

func logStep(l *snapshot.NfLog) any {
	in := obj{}
	if l.Prefix != "" {
		in["prefix"] = l.Prefix
	}
	if l.Group != nil {
		in["group"] = *l.Group
	} else if l.Level != "" && l.Level != "warn" {
		in["level"] = l.Level
	}
	if l.SnapLen != 0 {
		in["snaplen"] = l.SnapLen
	}
	if l.Threshold != 0 {
		in["queue-threshold"] = l.Threshold
	}
	if len(l.Flags) == 5 {
		in["flags"] = "all"
	} else if f := flags(l.Flags); f != nil {
		in["flags"] = f
	}
	if len(in) == 0 {
		return nil
	}
	return in
}

// perElement spells what each element of a set gets for its own: there is no count yet.
func (s *speller) perElement(exprs []snapshot.NfExpr) (stmts []any) {
	for i := range exprs {
		if exprs[i].Counter != nil {
			stmts = append(stmts, obj{"counter": nil})
		} else {
			stmts = append(stmts, s.expr(&exprs[i])...)
		}
	}
	return stmts
}

func (s *speller) update(u *snapshot.NfUpdate) any {
	elem := s.operand(&u.Key)
	if u.Timeout != 0 {
		elem = obj{"elem": obj{"val": elem, "timeout": u.Timeout / 1000}}
	}
	stmts := s.perElement(u.Exprs)
	in := obj{"op": u.Op}
	if len(stmts) > 0 {
		in["stmt"] = stmts
	}
	if u.Data == nil && u.Value == nil {
		in["elem"], in["set"] = elem, "@"+u.Set
		return obj{"set": in}
	}
	in["elem"], in["map"] = elem, "@"+u.Set
	if u.Data != nil {
		in["data"] = s.operand(u.Data)
	} else {
		t := ""
		if set := s.sets[u.Set]; set != nil {
			t = strings.Join(set.DataType, " . ")
		}
		in["data"] = s.value(t, u.Value)
	}
	return obj{"map": in}
}

func (s *speller) action(a *snapshot.NfAction) any {
	switch a.Name {
	case "notrack":
		return obj{"notrack": nil}
	case "last":
		if a.Opts["used_ms"] == "" {
			return obj{"last": nil}
		}
		n, _ := strconv.ParseUint(a.Opts["used_ms"], 10, 64)
		return obj{"last": obj{"used": n}}
	case "flow add":
		return obj{"flow": obj{"op": "add", "flowtable": "@" + a.Opts["flowtable"]}}
	case "dup", "fwd":
		in := obj{}
		dev, to := a.Opts["device"], a.Opts["to"]
		if n, err := strconv.ParseUint(dev, 10, 31); err == nil {
			dev = s.names.word("iface_index", n).(string)
		}
		switch {
		case a.Name == "dup" && to == "":
			in["addr"] = dev // nft has one name for the first of both
		case a.Name == "dup":
			in["addr"] = to
			if dev != "" {
				in["dev"] = dev
			}
		default:
			in["dev"] = dev
			if to != "" {
				in["addr"], in["family"] = to, a.Opts["family"]
			}
		}
		return obj{a.Name: in}
	case "reset tcpopt":
		return obj{"reset": obj{"tcp option": obj{"name": a.Opts["option"]}}}
	case "synproxy":
		if a.Opts["name"] == "" {
			return obj{"synproxy": synproxy(a.Opts)}
		}
	}
	if a.Key != nil {
		return obj{a.Name: obj{"map": obj{"key": s.operand(a.Key), "data": s.setRef(a.Opts["map"])}}}
	}
	if name := a.Opts["name"]; name != "" {
		return obj{a.Name: name}
	}
	in := obj{}
	for k, v := range a.Opts {
		in[k] = v
	}
	return obj{a.Name: in}
}

func synproxy(opts map[string]string) any {
	in := obj{}
	for _, k := range []string{"mss", "wscale"} {
		if n, err := strconv.Atoi(opts[k]); err == nil {
			in[k] = n
		}
	}
	var f []string
	for _, k := range []string{"timestamp", "sack-perm"} {
		if opts[k] != "" {
			f = append(f, k)
		}
	}
	if v := flags(f); v != nil {
		in["flags"] = v
	}
	if len(in) == 0 {
		return nil
	}
	return in
}
