package spell

import (
	"encoding/hex"
	"math/big"
	"net"
	"net/netip"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

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
			v := s.value(t, &m.Values[i])
			if bitmasks[t] {
				v = s.bits(t, &m.Values[i], "")
			}
			if several, ok := v.([]any); ok { // an xt match has them in one number
				words = append(words, several...)
			} else {
				words = append(words, v)
			}
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
		return inQuotes(v.Text)
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
			out = append(out, []any{key, s.verdict(e.Verdict)})
		case e.Value != nil:
			out = append(out, []any{key, s.value(dt, e.Value)})
		case e.Object != "":
			out = append(out, []any{key, object(e.Object)})
		default:
			out = append(out, key)
		}
	}
	return out
}
