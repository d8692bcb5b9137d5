package spell

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// NftText writes a table with all in it, as "nft -f" takes it: objects, sets and maps with their elements, flowtables, chains with their
// rules, and what counters have counted. What nft could not read again (an xtables extension, what is not understood) stands as a
// comment, and whole is then false.
func NftText(t *snapshot.NfTable, names Names) (text string, whole bool) {
	s := newSpeller(t, names)
	p := &page{w: writer{counts: true}, whole: true}
	p.open("table %s %s", t.Family, t.Name)
	if len(t.Flags) > 0 {
		p.line("flags %s", strings.Join(t.Flags, ","))
	}
	p.comment(t.Comment)
	for i := range t.Objects {
		p.object(&t.Objects[i], s)
	}
	for i := range t.Sets {
		if set := &t.Sets[i]; !set.Anonymous {
			p.set(set, s)
		}
	}
	for i := range t.Flowtables {
		p.flowtable(&t.Flowtables[i])
	}
	for i := range t.Chains {
		p.chain(t, &t.Chains[i], s)
	}
	p.close()
	return p.b.String(), p.whole
}

// page is a text with indented blocks.
type page struct {
	b     strings.Builder
	w     writer
	depth int
	whole bool
}

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(&p.b, strings.Repeat("\t", p.depth)+format+"\n", args...)
}

func (p *page) open(format string, args ...any) {
	p.line(format+" {", args...)
	p.depth++
}

func (p *page) close() {
	p.depth--
	p.line("}")
}

func (p *page) comment(c string) {
	if c != "" {
		p.line("comment %s", quote(c))
	}
}

// lost notes what nft could not read again.
func (p *page) lost(text string) {
	p.whole = false
	p.line("# %s", strings.ReplaceAll(text, "\n", " "))
}

func (p *page) chain(t *snapshot.NfTable, c *snapshot.NfChain, s *speller) {
	p.open("chain %s", c.Name)
	if c.Hook != "" {
		device := ""
		switch len(c.Devices) {
		case 0:
		case 1:
			device = " device " + quote(c.Devices[0])
		default:
			device = " devices = { " + quotedList(c.Devices) + " }"
		}
		policy := ""
		if c.Policy != "" {
			policy = " policy " + c.Policy + ";"
		}
		p.line("type %s hook %s%s priority %d;%s", c.Type, c.Hook, device, c.Priority, policy)
	}
	if slices.Contains(c.Flags, "hw_offload") {
		p.line("flags offload;")
	}
	p.comment(c.Comment)
	for i := range c.Rules {
		r := &c.Rules[i]
		text := p.w.rule(s.rule(t, r))
		if r.Comment != "" {
			text += " comment " + quote(r.Comment)
		}
		if foreign(r.Exprs) {
			p.lost(text)
		} else {
			p.line("%s", text)
		}
	}
	p.close()
}

// foreign tells whether a rule has what nft has no words for.
func foreign(exprs []snapshot.NfExpr) bool {
	return slices.ContainsFunc(exprs, func(e snapshot.NfExpr) bool { return e.Unknown != nil || e.XT != nil })
}

func quotedList(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = quote(n)
	}
	return strings.Join(out, ", ")
}

func (p *page) set(set *snapshot.NfSet, s *speller) {
	kind, of := "set", strings.Join(set.KeyTypes, " . ")
	if len(set.DataType) > 0 {
		kind, of = "map", of+" : "+strings.Join(set.DataType, " . ")
	}
	p.open("%s %s", kind, set.Name)
	if slices.Contains(set.KeyTypes, "integer") || slices.Contains(set.KeyTypes, "string") || slices.Contains(set.DataType, "integer") {
		p.lost("its type has a length that only an expression says: typeof of it")
	}
	p.line("type %s", of)
	var f []string
	for _, name := range set.Flags {
		if name != "concat" {
			f = append(f, name)
		}
	}
	if len(f) > 0 {
		p.line("flags %s", strings.Join(f, ","))
	}
	if set.Timeout != 0 {
		p.line("timeout %dms", set.Timeout)
	}
	if set.GC != 0 {
		p.line("gc-interval %dms", set.GC)
	}
	if set.Size != 0 {
		p.line("size %d", set.Size)
	}
	if set.Policy != "" {
		p.line("policy %s", set.Policy)
	}
	if stmts := s.perElement(set.Exprs); len(stmts) > 0 {
		p.line("%s", p.w.rule(stmts))
	}
	p.comment(set.Comment)
	if set.Cut {
		p.lost("and more elements than were read")
	}
	if elems := p.w.elements(s.elems(set)); len(elems) > 0 {
		p.line("elements = { %s }", strings.Join(elems, ",\n"+strings.Repeat("\t", p.depth+1)+"     "))
	}
	p.close()
}

func (p *page) flowtable(f *snapshot.NfFlowtable) {
	p.open("flowtable %s", f.Name)
	p.line("hook %s priority %d", f.Hook, f.Priority)
	if len(f.Devices) > 0 {
		p.line("devices = { %s }", quotedList(f.Devices))
	}
	for _, flag := range f.Flags {
		if flag == "counter" {
			p.line("counter")
		} else {
			p.line("flags %s;", strings.TrimPrefix(flag, "hw-"))
		}
	}
	p.close()
}

func (p *page) object(o *snapshot.NfObject, s *speller) {
	var in obj
	for _, body := range s.object(&snapshot.NfTable{}, o).(obj) {
		in = body.(obj)
	}
	p.open("%s %s", o.Type, o.Name)
	p.comment(o.Comment)
	switch o.Type {
	case "counter":
		p.line("packets %v bytes %v", in["packets"], in["bytes"])
	case "quota":
		p.line("%s%v bytes used %v bytes", over(in), in["bytes"], in["used"])
	case "limit":
		p.line("%s", strings.TrimPrefix(limitText(in), "limit "))
	case "ct helper":
		p.line("type %s protocol %v;", quote(fmt.Sprint(in["type"])), in["protocol"])
		p.optional(in, "l3proto", "l3proto %v;")
	case "ct timeout":
		p.line("protocol %v;", in["protocol"])
		p.optional(in, "l3proto", "l3proto %v;")
		if policy, ok := in["policy"].(obj); ok && len(policy) > 0 {
			var words []string
			for k, v := range policy {
				words = append(words, fmt.Sprintf("%s : %v", k, v))
			}
			slices.Sort(words)
			p.line("policy = { %s }", strings.Join(words, ", "))
		}
	case "ct expectation":
		p.line("protocol %v;", in["protocol"])
		p.optional(in, "dport", "dport %v;")
		p.optional(in, "timeout", "timeout %vms;")
		p.optional(in, "size", "size %v;")
		p.optional(in, "l3proto", "l3proto %v;")
	case "secmark":
		p.line("%s", quote(fmt.Sprint(in["context"])))
	case "synproxy":
		for _, w := range synproxyWords(in) {
			if strings.Contains(w, " ") {
				p.line("%s", w)
			}
		}
		if f := listed(in["flags"]); len(f) > 0 {
			p.line("%s", strings.Join(f, " "))
		}
	default:
		p.lost("of a type that nft has no text for: " + o.Type)
	}
	p.close()
}

func (p *page) optional(in obj, key, format string) {
	if v, ok := in[key]; ok {
		p.line(format, v)
	}
}
