package spell

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Nft writes a rule of table t in one line as nft lists it: "ip daddr 10.0.0.0/8 tcp dport 80 counter accept". Elements of
// anonymous sets are written out. What nft has no words for is "unknown NAME"; an xtables extension that has no equal in nft
// is "xt NAME", as nft itself has it.
func Nft(t *snapshot.NfTable, r *snapshot.NfRule, names Names) string {
	var words []string
	for _, s := range NftJSON(t, r, names) {
		if w := nftStatement(s); w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, " ")
}

// nftStatement writes one statement.
func nftStatement(s any) string {
	m, ok := s.(obj)
	if !ok || len(m) != 1 {
		return nftValue(s)
	}
	for kind, body := range m {
		in, _ := body.(obj)
		switch kind {
		case "match":
			op := fmt.Sprint(in["op"])
			switch op {
			case "==", "in":
				op = ""
			default:
				op += " "
			}
			return nftValue(in["left"]) + " " + op + nftValue(in["right"])
		case "mangle":
			return nftValue(in["key"]) + " set " + nftValue(in["value"])
		case "vmap":
			return nftValue(in["key"]) + " vmap " + nftValue(in["data"])
		case "jump", "goto":
			return kind + " " + fmt.Sprint(in["target"])
		case "counter":
			if name, ok := body.(string); ok {
				return "counter name " + name
			}
			return "counter"
		case "snat", "dnat", "masquerade", "redirect", "tproxy":
			return nftNAT(kind, in)
		case "reject":
			return rejectText(in)
		case "limit":
			return nftLimit(in)
		case "log":
			return nftPairs("log", in, "prefix", "group", "snaplen", "queue-threshold", "level", "flags")
		case "queue":
			return nftPairs("queue", in, "num", "flags")
		case "unknown":
			return fmt.Sprintf("unknown %v %v", in["kind"], in["name"])
		case "xt":
			return fmt.Sprintf("xt %v %v", in["type"], in["name"])
		case "set", "map":
			words := []string{fmt.Sprint(in["op"]), fmt.Sprint(in[kind])}
			if kind == "map" {
				words[1] = fmt.Sprint(in["map"])
			}
			return strings.Join(append(words, "{", nftValue(in["elem"]), "}"), " ")
		}
		if body == nil {
			return kind
		}
		if in != nil {
			keys := make([]string, 0, len(in))
			for k := range in {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			return nftPairs(kind, in, keys...)
		}
		return kind + " " + nftValue(body)
	}
	return ""
}

// nftPairs writes options by name, in this order.
func nftPairs(kind string, in obj, keys ...string) string {
	words := []string{kind}
	for _, k := range keys {
		switch v := in[k].(type) {
		case nil:
		case string:
			if k == "prefix" {
				v = fmt.Sprintf("%q", v)
			}
			words = append(words, k, v)
		default:
			words = append(words, k, nftValue(v))
		}
	}
	return strings.Join(words, " ")
}

func nftNAT(kind string, in obj) string {
	words := []string{kind}
	if f, ok := in["family"]; ok {
		words = append(words, fmt.Sprint(f))
	}
	to := ""
	if a, ok := in["addr"]; ok {
		to = nftValue(a)
	}
	if p, ok := in["port"]; ok {
		to += ":" + nftValue(p)
	}
	if to != "" {
		words = append(words, "to", to)
	}
	if f, ok := in["flags"]; ok {
		words = append(words, nftValue(f))
	}
	return strings.Join(words, " ")
}

func rejectText(in obj) string {
	kind, ok := in["type"]
	if !ok {
		return "reject"
	}
	s := "reject with " + fmt.Sprint(kind)
	if e, ok := in["expr"]; ok {
		s += " " + nftValue(e)
	}
	return s
}

func nftLimit(in obj) string {
	s := "limit rate "
	if in["inv"] == true {
		s += "over "
	}
	unit := ""
	if u, ok := in["rate_unit"]; ok && u != "packets" {
		unit = " " + fmt.Sprint(u)
	}
	s += fmt.Sprintf("%v%s/%v", in["rate"], unit, in["per"])
	if b, ok := in["burst"]; ok {
		s += fmt.Sprintf(" burst %v", b)
		if u, ok := in["burst_unit"]; ok {
			s += " " + fmt.Sprint(u)
		} else {
			s += " packets"
		}
	}
	return s
}

// nftValue writes an expression.
func nftValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		words := make([]string, len(v))
		for i := range v {
			if pair, ok := v[i].([]any); ok && len(pair) == 2 { // of a map
				words[i] = nftValue(pair[0]) + " : " + nftStatement(pair[1])
				continue
			}
			words[i] = nftValue(v[i])
		}
		return strings.Join(words, ",")
	case obj:
		if len(v) == 1 {
			for kind, body := range v {
				return nftExpr(kind, body)
			}
		}
	}
	return fmt.Sprint(v)
}

func nftExpr(kind string, body any) string {
	in, _ := body.(obj)
	list, _ := body.([]any)
	switch kind {
	case "payload":
		if p, ok := in["protocol"]; ok {
			return fmt.Sprintf("%v %v", p, in["field"])
		}
		base := map[string]string{"ll": "@ll", "nh": "@nh", "th": "@th", "ih": "@ih"}[fmt.Sprint(in["base"])]
		return fmt.Sprintf("%s,%v,%v", base, in["offset"], in["len"])
	case "meta":
		switch k := fmt.Sprint(in["key"]); k {
		case "iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup":
			return k
		default:
			return "meta " + k
		}
	case "ct", "rt", "socket":
		s := kind
		for _, k := range []string{"dir", "family", "key"} {
			if x, ok := in[k]; ok {
				s += " " + fmt.Sprint(x)
			}
		}
		return s
	case "fib":
		flags, _ := in["flags"].([]any)
		var words []string
		for _, f := range flags {
			words = append(words, fmt.Sprint(f))
		}
		if len(words) == 0 && in["flags"] != nil {
			words = strings.Fields(strings.Trim(fmt.Sprint(in["flags"]), "[]"))
		}
		return "fib " + strings.Join(words, " . ") + " " + fmt.Sprint(in["result"])
	case "prefix":
		return fmt.Sprintf("%s/%v", nftValue(in["addr"]), in["len"])
	case "range":
		if len(list) == 2 {
			return nftValue(list[0]) + "-" + nftValue(list[1])
		}
	case "concat":
		words := make([]string, len(list))
		for i := range list {
			words[i] = nftValue(list[i])
		}
		return strings.Join(words, " . ")
	case "set":
		if list == nil {
			return "{ " + nftValue(body) + " }"
		}
		words := strings.Split(nftValue(list), ",")
		return "{ " + strings.Join(words, ", ") + " }"
	case "map":
		return nftValue(in["key"]) + " map " + nftValue(in["data"])
	case "elem":
		return nftValue(in["val"])
	case "&", "|", "^", "<<", ">>":
		if len(list) >= 2 {
			words := make([]string, len(list))
			for i := range list {
				words[i] = nftValue(list[i])
			}
			return strings.Join(words, " "+kind+" ")
		}
	case "numgen":
		s := fmt.Sprintf("numgen %v mod %v", in["mode"], in["mod"])
		if o := fmt.Sprint(in["offset"]); o != "0" {
			s += " offset " + o
		}
		return s
	}
	return nftStatement(obj{kind: body})
}
