package spell

import (
	"fmt"
	"strings"
)

// expr writes an expression of one kind.
func (w writer) expr(kind string, body any) string {
	in, _ := body.(obj)
	list, _ := body.([]any)
	switch kind {
	case "payload":
		return payloadText(in)
	case "meta":
		if t, ok := in["tunnel"]; ok {
			return fmt.Sprintf("%v meta %v", t, in["key"])
		}
		switch k := fmt.Sprint(in["key"]); k {
		case "iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup":
			return k
		default:
			return "meta " + k
		}
	case "ct", "rt", "socket":
		return keyWords(kind, in, "dir", "family", "key")
	case "ipsec":
		s := fmt.Sprintf("ipsec %v", in["dir"])
		if n := fmt.Sprint(in["spnum"]); n != "0" {
			s += " spnum " + n
		}
		return s + keyWords("", in, "family", "key")
	case "osf":
		if ttl, ok := in["ttl"]; ok {
			return fmt.Sprintf("osf ttl %v %v", ttl, in["key"])
		}
		return fmt.Sprintf("osf %v", in["key"])
	case "fib":
		return "fib " + strings.Join(listed(in["flags"]), " . ") + " " + fmt.Sprint(in["result"])
	case "exthdr", "tcp option", "ip option", "sctp chunk", "dccp option":
		return headerText(kind, in)
	case "prefix":
		return fmt.Sprintf("%s/%v", w.value(in["addr"]), in["len"])
	case "range":
		return w.join(list, "-")
	case "concat":
		return w.join(list, " . ")
	case "set":
		return "{ " + strings.Join(w.elements(body), ", ") + " }"
	case "map":
		return w.value(in["key"]) + " map " + w.value(in["data"])
	case "elem":
		return w.elem(in)
	case "&", "|", "^", "<<", ">>":
		parts := make([]string, len(list))
		for i := range list {
			parts[i] = w.value(list[i])
			if inner, ok := list[i].(obj); ok && binary(inner) {
				parts[i] = "(" + parts[i] + ")"
			} else if l, ok := list[i].([]any); ok {
				parts[i] = "(" + w.join(l, " | ") + ")"
			}
		}
		return strings.Join(parts, " "+kind+" ")
	case "numgen":
		return fmt.Sprintf("numgen %v mod %v", in["mode"], in["mod"]) + offset(in)
	case "jhash":
		s := fmt.Sprintf("jhash %s mod %v", w.value(in["expr"]), in["mod"])
		if n, ok := in["seed"]; ok {
			s += fmt.Sprintf(" seed %v", n)
		}
		return s + offset(in)
	case "symhash":
		return fmt.Sprintf("symhash mod %v", in["mod"]) + offset(in)
	}
	return w.statement(obj{kind: body})
}

func offset(in obj) string {
	if o, ok := in["offset"]; ok && fmt.Sprint(o) != "0" {
		return fmt.Sprintf(" offset %v", o)
	}
	return ""
}

func binary(o obj) bool {
	for k := range o {
		return k == "&" || k == "|" || k == "^" || k == "<<" || k == ">>"
	}
	return false
}

// keyWords are the values of some keys after a first word.
func keyWords(first string, in obj, keys ...string) string {
	for _, k := range keys {
		if v, ok := in[k]; ok {
			first += " " + fmt.Sprint(v)
		}
	}
	return first
}

func payloadText(in obj) string {
	raw := in
	if t, ok := in["tunnel"]; ok {
		if raw, ok = in["raw"].(obj); !ok {
			return keyWords(fmt.Sprint(t), in, "protocol", "field")
		}
	} else if p, ok := in["protocol"]; ok {
		return fmt.Sprintf("%v %v", p, in["field"])
	}
	return fmt.Sprintf("@%v,%v,%v", raw["base"], raw["offset"], raw["len"])
}

// headerText writes an extension header, an option or a chunk, or a field of it.
func headerText(kind string, in obj) string {
	name, named := in["name"]
	field, whole := in["field"]
	switch {
	case kind == "dccp option":
		return fmt.Sprintf("%s %v", kind, in["type"])
	case kind == "tcp option" && !named:
		if fmt.Sprint(in["offset"], in["len"]) == "0 8" {
			return fmt.Sprintf("%s %v", kind, in["base"]) // there or not
		}
		return fmt.Sprintf("%s @%v,%v,%v", kind, in["base"], in["offset"], in["len"])
	case !whole && in["len"] != nil:
		return fmt.Sprintf("%s %v @%v,%v", kind, name, in["offset"], in["len"])
	case !whole:
		return fmt.Sprintf("%s %v", kind, name)
	case kind == "exthdr":
		return fmt.Sprintf("%v %v", name, field)
	}
	return fmt.Sprintf("%s %v %v", kind, name, field)
}

// elements writes those of a set or map.
func (w writer) elements(body any) (out []string) {
	list, ok := body.([]any)
	if !ok {
		return []string{w.value(body)}
	}
	for _, e := range list {
		if pair, ok := e.([]any); ok && len(pair) == 2 { // of a map
			to := w.value(pair[1])
			if name, ok := pair[1].(object); ok {
				to = quote(string(name))
			}
			out = append(out, w.value(pair[0])+" : "+to)
			continue
		}
		out = append(out, w.value(e))
	}
	return out
}

// object is the name of a named object, in a map of such.
type object string

// elem writes an element with what belongs to it.
func (w writer) elem(in obj) string {
	s := w.value(in["val"])
	for _, k := range []string{"counter", "limit", "quota", "ct count", "last"} {
		if body, ok := in[k]; ok {
			s += " " + w.statement(obj{k: body})
		}
	}
	for _, k := range []string{"timeout", "expires"} {
		if v, ok := in[k]; ok && (k == "timeout" || w.counts) {
			s += fmt.Sprintf(" %s %vs", k, v)
		}
	}
	if c, ok := in["comment"].(string); ok {
		s += " comment " + quote(c)
	}
	return s
}
