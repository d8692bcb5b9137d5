package spell

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// operand spells what is asked of the packet, with its mask.
func (s *speller) operand(op *snapshot.NfOperand) any {
	out := s.bare(op)
	if op.Mask != "" {
		out = masked(out, op)
	}
	switch {
	case op.Shift > 0:
		out = obj{"<<": []any{out, op.Shift}}
	case op.Shift < 0:
		out = obj{">>": []any{out, -op.Shift}}
	}
	return out
}

// masked spells (v & mask) ^ xor with and, xor and or, as nft does.
func masked(v any, op *snapshot.NfOperand) any {
	mask, ok := new(big.Int).SetString(op.Mask, 16)
	if !ok {
		return v
	}
	xor := new(big.Int)
	if op.Xor != "" {
		if xor, ok = xor.SetString(op.Xor, 16); !ok {
			return v
		}
	}
	full := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), width(op)), big.NewInt(1))
	or := new(big.Int).AndNot(xor, mask)
	flip := new(big.Int).And(xor, mask)
	and := new(big.Int).Or(mask, or)
	num := func(n *big.Int) any {
		if n.IsUint64() {
			return n.Uint64()
		}
		return "0x" + n.Text(16)
	}
	if and.Cmp(full) != 0 {
		v = obj{"&": []any{v, num(and)}}
	}
	if flip.Sign() != 0 {
		v = obj{"^": []any{v, num(flip)}}
	}
	if or.Sign() != 0 {
		v = obj{"|": []any{v, num(or)}}
	}
	return v
}

// width is how many bits an operand has: of payload the mask's digits tell.
func width(op *snapshot.NfOperand) uint {
	if op.Kind == "payload" {
		return uint(len(op.Mask)) * 4
	}
	return 32
}

func (s *speller) bare(op *snapshot.NfOperand) any {
	switch op.Kind {
	case "payload":
		if op.Key == "" {
			base := map[string]string{"link": "ll", "network": "nh", "transport": "th", "inner": "ih"}[op.Base]
			return obj{"payload": obj{"base": base, "offset": op.Offset, "len": op.Len}}
		}
		proto, field, _ := strings.Cut(op.Key, " ")
		return obj{"payload": obj{"protocol": proto, "field": field}}
	case "meta":
		if op.Key == "secpath" {
			return obj{"meta": obj{"key": "ipsec"}}
		}
		return obj{"meta": obj{"key": op.Key}}
	case "ct":
		in := obj{"key": op.Key}
		if op.Dir != "" {
			in["dir"] = op.Dir
		}
		return obj{"ct": in}
	case "fib":
		key := strings.TrimSuffix(op.Key, " exists")
		at := strings.LastIndex(key, " ")
		return obj{"fib": obj{"result": key[at+1:], "flags": fibFlags(key[:max(at, 0)])}}
	case "rt":
		in := obj{"key": op.Key}
		if fam, key, ok := strings.Cut(op.Key, " "); ok {
			in["key"], in["family"] = key, fam
		}
		return obj{"rt": in}
	case "socket":
		return obj{"socket": obj{"key": op.Key}}
	case "exthdr", "tcpopt", "ipopt", "sctp chunk", "dccp option":
		kind := cmp.Or(map[string]string{"tcpopt": "tcp option", "ipopt": "ip option"}[op.Kind], op.Kind)
		name, field, _ := strings.Cut(strings.TrimSuffix(op.Key, " exists"), " ")
		in := obj{"name": name}
		if n, err := strconv.Atoi(name); err == nil && op.Kind == "dccp option" {
			return obj{kind: obj{"type": n}}
		} else if err == nil && op.Kind == "tcpopt" {
			return obj{kind: obj{"base": n, "offset": op.Offset, "len": op.Len}}
		}
		if field != "" {
			in["field"] = field
		}
		if op.Len != 0 {
			in["offset"], in["len"] = op.Offset, op.Len
		}
		return obj{kind: in}
	case "numgen":
		return obj{"numgen": obj{"mode": op.Key, "mod": op.Mod, "offset": op.Add}}
	case "hash":
		in := obj{"mod": op.Mod}
		if op.Add != 0 {
			in["offset"] = op.Add
		}
		if op.Seed != 0 {
			in["seed"] = op.Seed
		}
		switch len(op.Parts) {
		case 0:
		case 1:
			in["expr"] = s.operand(&op.Parts[0])
		default:
			in["expr"] = s.parts(op.Parts)
		}
		return obj{op.Key: in}
	case "osf":
		in := obj{"key": op.Key}
		if ttl := op.Opts["ttl"]; ttl != "" {
			in["ttl"] = ttl
		}
		return obj{"osf": in}
	case "xfrm":
		dir, key, _ := strings.Cut(op.Key, " ")
		in := obj{"key": key, "dir": dir, "spnum": op.Offset}
		if fam, k, ok := strings.Cut(key, " "); ok {
			in["key"], in["family"] = k, fam
		}
		return obj{"ipsec": in}
	case "and", "or", "xor":
		if len(op.Parts) == 2 {
			return obj{map[string]string{"and": "&", "or": "|", "xor": "^"}[op.Kind]: []any{s.operand(&op.Parts[0]), s.operand(&op.Parts[1])}}
		}
	case "inner":
		tunnel, key, _ := strings.Cut(op.Key, " ")
		if key == "" {
			in := obj{"base": map[string]string{"link": "ll", "network": "nh", "transport": "th", "tunnel": "tun"}[op.Base], "offset": op.Offset, "len": op.Len}
			return obj{"payload": obj{"tunnel": tunnel, "raw": in}}
		}
		proto, field, ok := strings.Cut(key, " ")
		switch {
		case !ok:
			return obj{"payload": obj{"tunnel": tunnel, "field": key}}
		case proto == "meta":
			return obj{"meta": obj{"tunnel": tunnel, "key": field}}
		}
		return obj{"payload": obj{"tunnel": tunnel, "protocol": proto, "field": field}}
	case "concat":
		return s.parts(op.Parts)
	case "map":
		if len(op.Parts) == 1 {
			return obj{"map": obj{"key": s.operand(&op.Parts[0]), "data": s.setRef(op.Map)}}
		}
	}
	return obj{op.Kind: obj{"key": op.Key}}
}

func (s *speller) parts(ops []snapshot.NfOperand) any {
	words := []any{}
	for i := range ops {
		words = append(words, s.operand(&ops[i]))
	}
	return obj{"concat": words}
}

func fibFlags(key string) []any {
	return anys(strings.Split(key, " . "))
}
