package spell

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Nft writes a rule of table t in one line as nft takes it: "ip daddr 10.0.0.0/8 tcp dport 80 counter accept". Elements of
// anonymous sets are written out; what counters have counted is not. What nft has no words for is "unknown NAME"; an xtables
// extension is "xt NAME", as nft itself has it.
func Nft(t *snapshot.NfTable, r *snapshot.NfRule, names Names) string {
	return writer{}.rule(NftJSON(t, r, names))
}

// writer writes what a speller made as text; counts: with what was counted so far.
type writer struct{ counts bool }

// inQuotes is a name that nft's text has in quotes (an interface, a helper); its JSON is a plain string.
type inQuotes string

// seconds is a time, which text has with its unit; its JSON is a plain number.
type seconds uint64

func (w writer) rule(statements []any) string {
	var words []string
	for _, s := range statements {
		if t := w.statement(s); t != "" {
			words = append(words, t)
		}
	}
	return strings.Join(words, " ")
}

// statement writes one statement.
func (w writer) statement(s any) string {
	m, ok := s.(obj)
	if !ok || len(m) != 1 {
		return w.value(s)
	}
	for kind, body := range m {
		in, _ := body.(obj)
		if text, ok := w.known(kind, in, body); ok {
			return text
		}
		if body == nil {
			return kind
		}
		if in == nil {
			return kind + " " + w.value(body)
		}
		keys := make([]string, 0, len(in))
		for k := range in {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		words := []string{kind}
		for _, k := range keys {
			words = append(words, k, w.value(in[k]))
		}
		return strings.Join(words, " ")
	}
	return ""
}

// known writes a statement whose words have an order of their own.
func (w writer) known(kind string, in obj, body any) (string, bool) {
	switch kind {
	case "match":
		return w.match(in), true
	case "mangle":
		return w.value(in["key"]) + " set " + w.value(in["value"]), true
	case "vmap":
		return w.value(in["key"]) + " vmap " + w.value(in["data"]), true
	case "jump", "goto":
		return kind + " " + fmt.Sprint(in["target"]), true
	case "counter", "quota", "limit", "ct helper", "ct timeout", "ct expectation", "secmark", "synproxy":
		return w.stateful(kind, in, body), true
	case "ct count":
		return "ct count " + over(in) + w.value(in["val"]), true
	case "snat", "dnat", "masquerade", "redirect", "tproxy":
		return w.nat(kind, in), true
	case "reject":
		return w.reject(in), true
	case "log":
		return w.log(in), true
	case "queue":
		return w.queue(in), true
	case "last":
		return "last", true // when is the kernel's to tell
	case "flow":
		return fmt.Sprintf("flow %v %v", in["op"], in["flowtable"]), true
	case "dup", "fwd":
		return w.send(kind, in), true
	case "reset":
		return "reset " + w.value(body), true
	case "unknown":
		return fmt.Sprintf("unknown %v %v", in["kind"], in["name"]), true
	case "xt":
		return fmt.Sprintf("xt %v %v", in["type"], in["name"]), true
	case "set", "map":
		return w.update(kind, in), true
	}
	return "", false
}

// match writes a comparison. Of flags "in" (any of them) has no sign and equality has one, of all else it is the reverse.
func (w writer) match(in obj) string {
	op := fmt.Sprint(in["op"])
	right := in["right"]
	switch {
	case op == "in", op == "==" && !flagsIn(in["left"]):
		op = ""
	default:
		op += " "
	}
	text := w.value(right)
	if list, ok := right.([]any); ok && op == "== " {
		text = "(" + w.join(list, " | ") + ")"
	}
	return w.value(in["left"]) + " " + op + text
}

// flagsIn tells whether what is compared has flags.
func flagsIn(left any) bool {
	m, _ := left.(obj)
	for kind, body := range m {
		in, _ := body.(obj)
		key := ""
		for _, k := range []string{"protocol", "field", "key"} {
			if v, ok := in[k].(string); ok {
				key += " " + v
			}
		}
		return bitmasks[types[kind+key]] || kind == "&"
	}
	return false
}

func over(in obj) string {
	if in["inv"] == true {
		return "over "
	}
	return ""
}

// stateful writes a statement that counts by itself, or names an object that does.
func (w writer) stateful(kind string, in obj, body any) string {
	of, named := in["map"].(obj)
	name, isName := body.(string)
	switch {
	case named || isName:
		to := map[string]string{"ct helper": " set ", "ct timeout": " set ", "ct expectation": " set ", "secmark": " set "}[kind]
		if kind == "secmark" {
			kind = "meta secmark"
		}
		if to == "" {
			to = " name "
		}
		if isName {
			return kind + to + w.value(inQuotes(name))
		}
		return kind + to + w.value(obj{"map": of})
	case kind == "counter":
		if w.counts && in != nil {
			return fmt.Sprintf("counter packets %v bytes %v", in["packets"], in["bytes"])
		}
		return kind
	case kind == "quota":
		s := fmt.Sprintf("quota %s%v %v", over(in), in["val"], in["val_unit"])
		if u, ok := in["used"]; ok && w.counts {
			s += fmt.Sprintf(" used %v %v", u, in["used_unit"])
		}
		return s
	case kind == "limit":
		return limitText(in)
	case kind == "synproxy":
		return strings.Join(append([]string{kind}, synproxyWords(in)...), " ")
	}
	return kind
}

func synproxyWords(in obj) (words []string) {
	for _, k := range []string{"mss", "wscale"} {
		if v, ok := in[k]; ok {
			words = append(words, fmt.Sprintf("%s %v", k, v))
		}
	}
	switch f := in["flags"].(type) {
	case string:
		words = append(words, f)
	case []any:
		for _, x := range f {
			words = append(words, fmt.Sprint(x))
		}
	}
	return words
}

func limitText(in obj) string {
	unit := ""
	if u, ok := in["rate_unit"]; ok && u != "packets" {
		unit = " " + fmt.Sprint(u)
	}
	s := fmt.Sprintf("limit rate %s%v%s/%v", over(in), in["rate"], unit, in["per"])
	if b, ok := in["burst"]; ok {
		u, ok := in["burst_unit"]
		if !ok {
			u = "packets"
		}
		s += fmt.Sprintf(" burst %v %v", b, u)
	}
	return s
}

func (w writer) nat(kind string, in obj) string {
	words := []string{kind}
	if f, ok := in["family"]; ok {
		words = append(words, fmt.Sprint(f))
	}
	if in["type_flags"] == "prefix" {
		words = append(words, "prefix")
	}
	to := ""
	if a, ok := in["addr"]; ok {
		to = w.value(a)
		if _, ports := in["port"]; ports && strings.Contains(to, ":") {
			to = "[" + strings.ReplaceAll(to, "-", "]-[") + "]"
		}
	}
	if p, ok := in["port"]; ok {
		to += ":" + w.value(p)
	}
	if to != "" {
		words = append(words, "to", to)
	}
	if f := listed(in["flags"]); len(f) > 0 {
		f = slices.DeleteFunc(f, func(s string) bool { return s == "netmap" })
		words = append(words, strings.Join(f, ","))
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

// listed are the words of what is one word or a list.
func listed(v any) (out []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, x := range v {
			out = append(out, fmt.Sprint(x))
		}
	}
	return out
}

func (w writer) reject(in obj) string {
	kind, ok := in["type"]
	if !ok {
		return "reject"
	}
	s := "reject with " + fmt.Sprint(kind)
	if e, ok := in["expr"]; ok {
		s += " " + w.value(e)
	}
	return s
}

func (w writer) log(in obj) string {
	words := []string{"log"}
	if p, ok := in["prefix"].(string); ok {
		words = append(words, "prefix", w.value(inQuotes(p)))
	}
	for _, k := range []string{"group", "snaplen", "queue-threshold", "level"} {
		if v, ok := in[k]; ok {
			words = append(words, k, fmt.Sprint(v))
		}
	}
	tcp := []string{}
	for _, f := range listed(in["flags"]) {
		if of, ok := strings.CutPrefix(f, "tcp "); ok {
			tcp = append(tcp, of)
			continue
		}
		words = append(words, "flags", f)
	}
	if len(tcp) > 0 {
		words = append(words, "flags tcp", strings.Join(tcp, ","))
	}
	return strings.Join(words, " ")
}

func (w writer) queue(in obj) string {
	s := "queue"
	if f := listed(in["flags"]); len(f) > 0 {
		s += " flags " + strings.Join(f, ",")
	}
	if n, ok := in["num"]; ok {
		s += " to " + w.value(n)
	}
	return s
}

// send writes dup and fwd.
func (w writer) send(kind string, in obj) string {
	dev, addr := in["dev"], in["addr"]
	name := func(v any) string { return w.value(inQuotes(fmt.Sprint(v))) }
	switch {
	case kind == "dup" && dev == nil && strings.ContainsAny(fmt.Sprint(addr), ".:"):
		return fmt.Sprintf("dup to %v", addr)
	case kind == "dup" && dev == nil:
		return "dup to " + name(addr)
	case kind == "dup":
		return fmt.Sprintf("dup to %v device %s", addr, name(dev))
	case addr != nil:
		return fmt.Sprintf("fwd %v to %v device %s", in["family"], addr, name(dev))
	}
	return "fwd to " + name(dev)
}

// update writes what adds to a set as packets pass.
func (w writer) update(kind string, in obj) string {
	if _, ok := in["op"]; !ok {
		return ""
	}
	elem := w.value(in["elem"])
	key, options, _ := strings.Cut(elem, " timeout ")
	stmts, _ := in["stmt"].([]any)
	if s := w.rule(stmts); s != "" {
		key += " " + s
	}
	if options != "" {
		key += " timeout " + options
	}
	if d, ok := in["data"]; ok {
		key += " : " + w.value(d)
	}
	return fmt.Sprintf("%v %v { %s }", in["op"], in[kind], key)
}

func (w writer) join(list []any, sep string) string {
	words := make([]string, len(list))
	for i := range list {
		words[i] = w.value(list[i])
	}
	return strings.Join(words, sep)
}

// quote puts a text in quotes, which nft has no way to escape within.
func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, "'") + `"` }

// value writes an expression.
func (w writer) value(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case inQuotes:
		return quote(string(v))
	case seconds:
		return fmt.Sprintf("%ds", uint64(v))
	case bool:
		if v {
			return "exists"
		}
		return "missing"
	case []any:
		return w.join(v, ",")
	case obj:
		if len(v) == 1 {
			for kind, body := range v {
				return w.expr(kind, body)
			}
		}
	case json.Number:
		return v.String()
	}
	return fmt.Sprint(v)
}
