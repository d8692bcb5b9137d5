package topo

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset/spell"
)

// mostElements is how many elements of a set are named.
const mostElements = 8

// firewall compares tables, chains, rules and sets. Handles, counters, what a quota has used and when an element expires are no
// changes.
func (d *differ) firewall(a, b *snapshot.Namespace) {
	key := func(t *snapshot.NfTable) string { return t.Backend + " " + t.Family + " " + t.Name }
	facts := func(n *snapshot.Namespace) (out []fact) {
		for i := range n.Netfilter.Tables {
			t := &n.Netfilter.Tables[i]
			rules := 0
			for j := range t.Chains {
				rules += len(t.Chains[j].Rules)
			}
			f := fact{key: key(t), what: "table " + tableName(t), attrs: []attr{{name: "flags", text: strings.Join(t.Flags, " ")}, {name: "comment", text: t.Comment}}}
			f.attrs = append(f.attrs, attr{text: count(len(t.Chains), "chain") + ", " + count(rules, "rule"), cmp: "-"})
			out = append(out, f)
		}
		return out
	}
	d.compare(ChangeFirewall, facts(a), facts(b))
	for i := range a.Netfilter.Tables {
		x := &a.Netfilter.Tables[i]
		for j := range b.Netfilter.Tables {
			if y := &b.Netfilter.Tables[j]; key(x) == key(y) {
				d.table(x, y, a, b)
				break
			}
		}
	}
}

func tableName(t *snapshot.NfTable) string {
	if t.Backend == snapshot.NfLegacy {
		return "legacy " + t.Family + " " + t.Name
	}
	return t.Family + " " + t.Name
}

func (d *differ) table(x, y *snapshot.NfTable, a, b *snapshot.Namespace) {
	chains := func(t *snapshot.NfTable) (out []fact) {
		for i := range t.Chains {
			c := &t.Chains[i]
			f := fact{key: c.Name, what: "chain " + tableName(t) + " " + c.Name, attrs: []attr{{name: "type", text: c.Type}, {name: "hook", text: c.Hook}}}
			if c.Hook != "" {
				f.attrs = append(f.attrs, attr{name: "priority", text: fmt.Sprint(c.Priority)})
			}
			f.attrs = append(f.attrs, attr{name: "policy", text: c.Policy}, attr{name: "devices", text: strings.Join(c.Devices, " ")}, attr{name: "comment", text: c.Comment},
				attr{text: count(len(c.Rules), "rule"), cmp: "-"})
			out = append(out, f)
		}
		return out
	}
	d.compare(ChangeFirewall, chains(x), chains(y))
	for i := range x.Chains {
		if c := chainIn(y, x.Chains[i].Name); c != nil && !sameList(x.Chains[i].Rules, c.Rules) {
			d.chain(x, y, &x.Chains[i], c, linkNames(a), linkNames(b))
		}
	}
	d.compare(ChangeFirewall, setFacts(x), setFacts(y))
	d.elements(x, y)
	more := func(t *snapshot.NfTable) (out []fact) {
		for i := range t.Objects {
			o := t.Objects[i]
			o.Handle, o.Counter = 0, nil
			if o.Limit != nil {
				l := *o.Limit
				l.Used = 0
				o.Limit = &l
			}
			out = append(out, fact{key: o.Type + " " + o.Name, what: o.Type + " " + tableName(t) + " " + o.Name, attrs: flatten(nil, "", o)})
		}
		for i := range t.Flowtables {
			o := t.Flowtables[i]
			o.Handle = 0
			out = append(out, fact{key: "flowtable " + o.Name, what: "flowtable " + tableName(t) + " " + o.Name, attrs: flatten(nil, "", o)})
		}
		return out
	}
	d.compare(ChangeFirewall, more(x), more(y))
}

func linkNames(n *snapshot.Namespace) spell.Names {
	return spell.Names{Link: func(index int) string {
		for i := range n.Links {
			if n.Links[i].Index == index {
				return n.Links[i].Name
			}
		}
		return ""
	}}
}

// chain compares the rules of a chain, whose order matters: what is not in the longest common run was taken out or put in.
func (d *differ) chain(x, y *snapshot.NfTable, a, b *snapshot.NfChain, na, nb spell.Names) {
	spelt := func(t *snapshot.NfTable, c *snapshot.NfChain, names spell.Names) (keys, texts []string) {
		for i := range c.Rules {
			r := steadyRule(&c.Rules[i])
			texts = append(texts, ruleText(t, c.Name, r, names, ""))
			keys = append(keys, asJSON(r.Exprs)+r.Comment)
		}
		return keys, texts
	}
	ka, ta := spelt(x, a, na)
	kb, tb := spelt(y, b, nb)
	tell := func(op ChangeOp, at int, text string) {
		f := fact{key: text, what: fmt.Sprintf("rule %d of %s %s", at+1, tableName(y), b.Name), attrs: []attr{{text: text}}}
		d.add(ChangeFirewall, op, &f, nil)
	}
	common(ka, kb, func(i int) { tell(Removed, i, ta[i]) }, func(j int) { tell(Added, j, tb[j]) })
}

// common walks two lists and tells which entries are in one alone, by a longest common subsequence. Very long lists that
// share neither beginning nor end are told whole, as what they cost is the product of their lengths.
func common(a, b []string, gone, come func(int)) {
	lo := 0
	for lo < len(a) && lo < len(b) && a[lo] == b[lo] {
		lo++
	}
	ea, eb := len(a), len(b)
	for ea > lo && eb > lo && a[ea-1] == b[eb-1] {
		ea, eb = ea-1, eb-1
	}
	n, m := ea-lo, eb-lo
	if n*m > 1<<22 {
		for i := lo; i < ea; i++ {
			gone(i)
		}
		for j := lo; j < eb; j++ {
			come(j)
		}
		return
	}
	run := make([]int32, (n+1)*(m+1)) // run[i,j]: the longest of a[lo+i:ea] and b[lo+j:eb]
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if a[lo+i] == b[lo+j] {
				run[i*(m+1)+j] = run[(i+1)*(m+1)+j+1] + 1
			} else {
				run[i*(m+1)+j] = max(run[(i+1)*(m+1)+j], run[i*(m+1)+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < n || j < m {
		switch {
		case i < n && j < m && a[lo+i] == b[lo+j]:
			i, j = i+1, j+1
		case i < n && (j == m || run[(i+1)*(m+1)+j] >= run[i*(m+1)+j+1]):
			gone(lo + i)
			i++
		default:
			come(lo + j)
			j++
		}
	}
}

// steadyRule is a rule without what packets change of it.
func steadyRule(r *snapshot.NfRule) *snapshot.NfRule {
	out := *r
	out.Handle = 0
	out.Exprs = steadyExprs(r.Exprs)
	return &out
}

func steadyExprs(in []snapshot.NfExpr) []snapshot.NfExpr {
	out := slices.Clone(in)
	for i := range out {
		e := &out[i]
		if e.Counter != nil {
			e.Counter = &snapshot.NfCounter{}
		}
		if e.Limit != nil && e.Limit.Used != 0 {
			l := *e.Limit
			l.Used = 0
			e.Limit = &l
		}
	}
	return out
}

// setFacts are the sets and maps of a table. Anonymous ones belong to their rules; their names are numbers.
func setFacts(t *snapshot.NfTable) (out []fact) {
	for i := range t.Sets {
		s := &t.Sets[i]
		if s.Anonymous {
			continue
		}
		head := *s
		head.Elements, head.Handle = nil, 0
		f := fact{key: "set " + s.Name, what: "set " + tableName(t) + " " + s.Name, attrs: []attr{{text: count(len(s.Elements), "element"), cmp: "-"}}}
		quiet := flatten(nil, "", head)
		for j := range quiet {
			quiet[j].quiet = true
		}
		f.attrs = append(f.attrs, quiet...)
		out = append(out, f)
	}
	return out
}

// elements tells which elements of sets came and went.
func (d *differ) elements(x, y *snapshot.NfTable) {
	of := func(s *snapshot.NfSet) map[string]string {
		m := make(map[string]string, len(s.Elements))
		for i := range s.Elements {
			e := s.Elements[i]
			e.Expires = 0
			e.Exprs = steadyExprs(e.Exprs)
			m[asJSON(e)] = elemText(&e)
		}
		return m
	}
	for i := range x.Sets {
		for j := range y.Sets {
			a, b := &x.Sets[i], &y.Sets[j]
			if a.Name != b.Name || a.Anonymous || sameList(a.Elements, b.Elements) {
				continue
			}
			old, now := of(a), of(b)
			if gone, come := onlyIn(old, now), onlyIn(now, old); gone+come != "" {
				f := fact{key: b.Name, what: "set " + tableName(y) + " " + b.Name}
				d.add(ChangeFirewall, Changed, &f, []FieldChange{{Name: "elements", Old: gone, New: come}})
			}
		}
	}
}

// onlyIn lists what is in a alone: the first few, and how many more.
func onlyIn(a, b map[string]string) string {
	var out []string
	for k, text := range a {
		if _, ok := b[k]; !ok {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	if n := len(out) - mostElements; n > 0 {
		out = append(out[:mostElements], fmt.Sprintf("%d more", n))
	}
	return strings.Join(out, ", ")
}

func elemText(e *snapshot.NfElem) string {
	s := "*"
	if !e.CatchAll {
		s = valueText(&e.Key)
	}
	switch {
	case e.Verdict != nil:
		s += " : " + strings.TrimSpace(e.Verdict.Kind+" "+e.Verdict.Chain)
	case e.Value != nil:
		s += " : " + valueText(e.Value)
	case e.Object != "":
		s += " : " + e.Object
	}
	return s
}

// ipvs compares the load balancer's tables: services, and of those that are in both, their members.
func (d *differ) ipvs(a, b *snapshot.IPVS) {
	services := func(v *snapshot.IPVS) (out []fact, members map[string][]fact) {
		members = map[string][]fact{}
		if v == nil {
			return nil, members
		}
		for i := range v.Services {
			s := &v.Services[i]
			name := balancedName(s)
			f := fact{key: name, what: "IPVS " + name, attrs: []attr{{name: "scheduler", text: s.Scheduler}, {name: "flags", text: strings.Join(s.Flags, " ")},
				{name: "persistence", text: num(s.Timeout)}, {name: "netmask", text: s.Netmask}, {name: "pe", text: s.PEName}}}
			var dests []string
			for j := range s.Destinations {
				m := &s.Destinations[j]
				to := fmt.Sprintf("%s:%d", m.Addr, m.Port)
				dests = append(dests, to)
				members[name] = append(members[name], fact{key: to, what: "IPVS " + name + " member " + to, attrs: []attr{{name: "weight", text: fmt.Sprint(m.Weight)},
					{text: m.Method}, {name: "tunnel", text: strings.TrimSpace(m.TunnelType + " " + num(m.TunnelPort))}}})
			}
			if len(dests) > 0 {
				f.attrs = append(f.attrs, attr{name: "members", text: strings.Join(dests, " "), cmp: "-"})
			}
			out = append(out, f)
		}
		return out, members
	}
	x, mx := services(a)
	y, my := services(b)
	d.compare(ChangeIPVS, x, y)
	for _, name := range slices.Sorted(maps.Keys(mx)) {
		if slices.ContainsFunc(y, func(f fact) bool { return f.key == name }) {
			d.compare(ChangeIPVS, mx[name], my[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(my)) {
		if _, had := mx[name]; !had && slices.ContainsFunc(x, func(f fact) bool { return f.key == name }) {
			d.compare(ChangeIPVS, nil, my[name])
		}
	}
}

func balancedName(s *snapshot.IPVSService) string {
	if s.FWMark != 0 {
		return fmt.Sprintf("%s mark %d", s.Family, s.FWMark)
	}
	return fmt.Sprintf("%s %s:%d", s.Protocol, s.Addr, s.Port)
}

// rest compares what only a reading of everything has: sysctls, listeners, IPsec, traffic control.
func (d *differ) rest(a, b *snapshot.Namespace, x, y *listing, read func(...string) bool) {
	if read("sysctls") && !sameMap(a.Sysctls, b.Sysctls) {
		sysctls := func(l *listing, m map[string]string) (out []fact) {
			for _, k := range slices.Sorted(maps.Keys(m)) {
				if k == "net.netfilter.nf_conntrack_count" {
					continue // a number of the moment, in a sysctl's place
				}
				f := fact{key: k, what: "sysctl " + k, attrs: []attr{{name: "=", text: strings.ReplaceAll(m[k], "\t", " ")}}}
				f.follows = func(op ChangeOp) bool { return op != Changed && l.interfaceSysctl(k, op) }
				out = append(out, f)
			}
			return out
		}
		d.compare(ChangeSysctl, sysctls(x, a.Sysctls), sysctls(y, b.Sysctls))
	}
	if read("sockets") && !sameList(a.Sockets, b.Sockets) {
		d.compare(ChangeListener, listeners(a), listeners(b))
	}
	if read("xfrm") && !(sameList(a.Xfrm.States, b.Xfrm.States) && sameList(a.Xfrm.Policies, b.Xfrm.Policies)) {
		d.compare(ChangeXfrm, xfrmFacts(&a.Xfrm), xfrmFacts(&b.Xfrm))
	}
	if read("qdiscs", "filters") && !(sameList(a.Qdiscs, b.Qdiscs) && sameList(a.Filters, b.Filters)) {
		d.compare(ChangeTC, x.tc(), y.tc())
	}
}

// interfaceSysctl tells whether a sysctl is one of an interface that came or went.
func (l *listing) interfaceSysctl(name string, op ChangeOp) bool {
	for _, k := range l.sp.links {
		if strings.Contains(name, "."+k.l.Name+".") && l.causes.link(l.linkKey(k.l.Index), op) {
			return true
		}
	}
	return false
}

func listeners(n *snapshot.Namespace) (out []fact) {
	seen := map[string]bool{}
	for i := range n.Sockets {
		s := &n.Sockets[i]
		key := s.Proto + " " + s.Local.String()
		if s.State != "listen" || seen[key] {
			continue
		}
		seen[key] = true
		out = append(out, fact{key: key, what: "listener " + key, attrs: []attr{{name: "by", text: s.Comm}}})
	}
	return out
}

func xfrmFacts(x *snapshot.Xfrm) (out []fact) {
	for i := range x.States {
		s := x.States[i]
		s.Bytes, s.Packets, s.ReplayErrors, s.IntegrityErrors = 0, 0, 0, 0
		what := fmt.Sprintf("IPsec state %s %s → %s spi %#x", s.Proto, s.Src, s.Dst, s.SPI)
		out = append(out, fact{key: what, what: what, attrs: flatten(nil, "", s)})
	}
	for i := range x.Policies {
		p := x.Policies[i]
		what := fmt.Sprintf("IPsec policy %s %s → %s", p.Dir, p.Src, p.Dst)
		out = append(out, fact{key: fmt.Sprint(what, p.Proto, p.SPort, p.DPort, p.Mark, p.IfID), what: what, attrs: flatten(nil, "", p)})
	}
	return out
}

func (l *listing) tc() (out []fact) {
	for i := range l.sp.ns.Qdiscs {
		q := &l.sp.ns.Qdiscs[i]
		link := l.linkKey(q.Ifindex)
		out = append(out, fact{key: "q " + link + " " + q.Parent, what: "qdisc " + q.Parent + " of " + l.linkName(q.Ifindex), node: l.linkNode(q.Ifindex), attrs: []attr{{text: q.Kind}},
			follows: func(op ChangeOp) bool { return l.causes.link(link, op) || l.causes.moved[link] }})
	}
	for i := range l.sp.ns.Filters {
		t := l.sp.ns.Filters[i]
		link := l.linkKey(t.Ifindex)
		t.Actions = slices.Clone(t.Actions)
		for j := range t.Actions {
			x := &t.Actions[j]
			x.Packets, x.Bytes, x.Drops, x.Overlimits = 0, 0, 0, 0
		}
		what := fmt.Sprintf("filter %s %d %s of %s", t.Parent, t.Priority, t.Handle, l.linkName(t.Ifindex))
		t.Ifindex = 0
		out = append(out, fact{key: fmt.Sprint("f ", link, t.Parent, t.Chain, t.Priority, t.Protocol, t.Handle), what: what, node: l.linkNode(l.sp.ns.Filters[i].Ifindex), attrs: flatten(nil, "", t),
			follows: func(op ChangeOp) bool { return l.causes.link(link, op) }})
	}
	return out
}
