package topo

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// publishedHow says by what a port is published, as far as it is known: the rule, the chain behind it, the proxy.
func (f *finder) publishedHow(e *Edge) string {
	a := &e.Attrs
	var parts []string
	chain := f.g.ChainOf(e)
	switch {
	case a.By == "mesh":
		parts = append(parts, "through the routing mesh")
	case a.By == "host":
		parts = append(parts, "in host mode")
	case a.By == byIPVS:
		parts = append(parts, fmt.Sprintf("by IPVS %s to %s, weight %d", a.Scheduler, a.Address, a.Weight))
	case a.By == "dnat" && len(chain) == 0:
		parts = append(parts, "by DNAT")
	}
	if len(chain) > 0 {
		s := "by " + strings.Join(chain, " → ")
		if a.Rule != "" {
			s += fmt.Sprintf(" (%s)", a.Rule)
		}
		parts = append(parts, s)
		if len(a.From) > 0 && !slices.Equal(a.From, []string{fromOutside, fromHost, fromLoopback}) {
			parts = append(parts, "for packets "+senderWords(a.From))
		}
		if a.Share != 0 {
			parts = append(parts, "for "+percent(a.Share)+" of new connections")
		}
	}
	if a.By == "proxy" || a.ProxyPID != 0 && len(chain) > 0 {
		s := "through a proxy that listens there"
		if a.ProxyPID != 0 {
			s += fmt.Sprintf(" (pid %d)", a.ProxyPID)
		}
		if len(chain) > 0 {
			s = "else " + s
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

// balancedHow names the sandboxes that hold a VIP of a service, each with the mark by which IPVS balances there and
// whom; or only that of one namespace.
func (g *Graph) balancedHow(n *Node, vip string, in *Node) string {
	var by []string
	for _, b := range g.Balancers(n) {
		if vip != "" && b.VIP != vip || in != nil && b.Netns != in {
			continue
		}
		s := b.Netns.Name + g.on(b.Netns)
		switch {
		case b.Mark != 0:
			var to []string
			for i := range b.Members {
				m := &b.Members[i]
				text := m.Addr.String()
				if name := m.Name(g); name != "" {
					text += " " + name
				}
				if m.Weight != 1 && m.Note != "IPVS does not have it" {
					text += fmt.Sprintf(" weight %d", m.Weight)
				}
				if m.Note != "" {
					text += paren(m.Note)
				}
				to = append(to, text)
			}
			s += fmt.Sprintf(" by mark %s, IPVS %s to %s", markWords(b.Mark), b.Scheduler, cmpOr(enumerate(to), "nobody"))
		case b.By != "":
			s += " " + g.virtualHow(&b)
		case b.Note != "":
			s += paren(b.Note)
		}
		by = append(by, s)
	}
	if len(by) == 0 {
		return g.balancers(n, vip)
	}
	return enumerate(sortedSet(by))
}

// virtualHow says by what a service is balanced of which no engine tells, and to whom.
func (g *Graph) virtualHow(b *Balancer) string {
	how := "by rules"
	switch {
	case b.By == byIPVS:
		how = "by IPVS " + b.Scheduler
	case b.Rule != "":
		how = "by " + b.Rule
	}
	var to []string
	for i := range b.Members {
		to = append(to, g.memberWords(&b.Members[i]))
	}
	return how + " to " + cmpOr(enumerate(to), "nobody") + fromWords(b.From, " for packets ")
}

// memberWords names a member by address and port, name, and what part of the connections it gets.
func (g *Graph) memberWords(m *Member) string {
	s := m.Addr.String()
	if m.Port != 0 {
		s = netip.AddrPortFrom(m.Addr, m.Port).String()
	}
	if m.Container != nil && m.Container.Kind == KindNetns {
		s += " " + g.netnsPhrase(m.Container)
	} else if name := m.Name(g); name != "" {
		s += " " + name
	}
	switch {
	case m.Share != 0:
		s += paren(percent(m.Share))
	case m.Method != "" && m.Weight != 1:
		s += fmt.Sprintf(" weight %d", m.Weight)
	}
	return s
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 0, 64) + "%" }

// fromWords say for whose packets something is so, where it is not for everybody's.
func fromWords(from []string, before string) string {
	if len(from) == 0 || slices.Contains(from, fromOutside) && slices.Contains(from, fromHost) {
		return ""
	}
	return before + senderWords(from)
}

func senderWords(from []string) string {
	var out []string
	for _, w := range from {
		out = append(out, cmpOr(map[string]string{fromOutside: "from outside", fromHost: "from itself", fromLoopback: "from its loopback"}[w], w))
	}
	return enumerate(out)
}

// spaces are the namespaces of the graph with what was read in them.
func (f *finder) spaces(do func(n *Node, sp *space)) {
	for i := range f.g.Nodes {
		n := &f.g.Nodes[i]
		if n.Kind != KindNetns {
			continue
		}
		if sp := f.g.index().raw[n.ID].sp; sp != nil {
			do(n, sp)
		}
	}
}

// nameServers are the namespaces in which the engine's name server is asked at 127.0.0.11.
func (f *finder) nameServers() {
	f.spaces(func(n *Node, sp *space) {
		for _, s := range f.g.NameServer(n) {
			f.hit(n, "name server", "in "+f.g.netnsPhrase(n)+" "+s, f.g.runner(n))
		}
	})
}

// entryWords names an entry of IPVS.
func entryWords(v *snapshot.IPVSService) string {
	if v.FWMark != 0 {
		return "mark " + markWords(v.FWMark)
	}
	return netip.AddrPortFrom(v.Addr, v.Port).String() + "/" + v.Protocol
}

// virtuals are services that rules or IPVS make at an address and that are not in the graph: where there are very many, and
// entries of IPVS at a namespace's own address.
func (f *finder) virtuals(a netip.Addr) {
	f.spaces(func(n *Node, sp *space) {
		if !slices.ContainsFunc(f.g.Out(n.ID, EdgeBalances), func(e *Edge) bool { return e.Attrs.Address == a.String() && e.Attrs.By != "" }) {
			found, _ := candidates(&sp.ns.Netfilter, false)
			all, _ := sp.virtualServices(found, a, maxFollowed)
			for _, v := range all {
				b := Balancer{By: v.by, Scheduler: v.scheduler, Rule: v.rule, From: v.from, Members: f.g.virtualMembers(v)}
				f.hit(n, "VIP", fmt.Sprintf("%s is the VIP of %s in %s, balanced %s", v.id(), cmpOr(v.name, "a service"), f.g.netnsPhrase(n), f.g.virtualHow(&b)))
			}
		}
		if sp.ns.IPVS == nil {
			return
		}
		for i := range sp.ns.IPVS.Services {
			v := &sp.ns.IPVS.Services[i]
			if v.FWMark != 0 || v.Addr != a || !sp.isNodeAddr(a) {
				continue
			}
			var to []string
			var related []*Node
			for _, d := range v.Destinations {
				s := netip.AddrPortFrom(d.Addr, d.Port).String()
				if w := f.g.memberAt(sp, d.Addr); w != nil {
					if c, ok := f.g.Node(w.node); ok {
						s += " " + f.g.shortName(c)
						related = append(related, c)
					}
				}
				to = append(to, s)
			}
			f.hit(n, "IPVS", fmt.Sprintf("%s is balanced by IPVS in %s: %s to %s", entryWords(v), f.g.netnsPhrase(n), v.Scheduler, cmpOr(enumerate(to), "nobody")), related...)
		}
	})
}

// balancedTo are entries of IPVS that an address is a member of.
func (f *finder) balancedTo(a netip.Addr) {
	f.spaces(func(n *Node, sp *space) {
		if sp.ns.IPVS == nil {
			return
		}
		for i := range sp.ns.IPVS.Services {
			v := &sp.ns.IPVS.Services[i]
			for _, d := range v.Destinations {
				if d.Addr != a {
					continue
				}
				of := ""
				var svc *Node
				for _, e := range f.g.Out(n.ID, EdgeBalances) {
					if e.Attrs.Mark == v.FWMark && v.FWMark != 0 {
						if svc, _ = f.g.Node(e.To); svc != nil {
							of = ", service " + svc.Name
						}
					}
				}
				f.hit(n, "IPVS member", fmt.Sprintf("%s is a member of IPVS %s in %s%s: weight %d, %s", a, entryWords(v), f.g.netnsPhrase(n), of, d.Weight, d.Method), svc)
			}
		}
	})
}

// inSets are the sets of rules that contain an address. Of one that was not read whole an absence proves nothing.
func (f *finder) inSets(a netip.Addr) {
	f.spaces(func(n *Node, sp *space) {
		for i := range sp.ns.Netfilter.Tables {
			t := &sp.ns.Netfilter.Tables[i]
			for j := range t.Sets {
				s := &t.Sets[j]
				k := slices.IndexFunc(s.Elements, func(e snapshot.NfElem) bool { return valueHas(&e.Key, a) })
				if k < 0 {
					continue
				}
				name, kind := "@"+s.Name, "set"
				if len(s.DataType) > 0 {
					kind = "map"
				}
				if s.Anonymous {
					name = "without a name"
				}
				text := fmt.Sprintf("%s is in %s %s of table %s %s in %s", a, kind, name, t.Family, t.Name, f.g.netnsPhrase(n))
				if el := valueText(&s.Elements[k].Key); el != a.String() {
					text += ", by its element " + el
				}
				f.hit(n, "set", text, f.g.runner(n))
			}
		}
	})
}

// valueHas reports whether a constant is, or has for a part, an address or a network that it lies in. "Everything" is no
// element that somebody means who looks for an address.
func valueHas(v *snapshot.NfValue, a netip.Addr) bool {
	switch {
	case v.Prefix.IsValid():
		return v.Prefix.Bits() > 0 && v.Prefix.Contains(a)
	case v.Addrs != nil:
		return v.Addrs.From.Is4() == a.Is4() && v.Addrs.From.Compare(a) <= 0 && a.Compare(v.Addrs.To) <= 0
	}
	return slices.ContainsFunc(v.Parts, func(p snapshot.NfValue) bool { return valueHas(&p, a) })
}

func valueText(v *snapshot.NfValue) string {
	switch {
	case v.Prefix.IsValid() && v.Prefix.IsSingleIP():
		return v.Prefix.Addr().String()
	case v.Prefix.IsValid():
		return v.Prefix.String()
	case v.Addrs != nil:
		return v.Addrs.From.String() + "-" + v.Addrs.To.String()
	case v.Num != nil && v.Num.From == v.Num.To:
		return strconv.FormatUint(v.Num.From, 10)
	case v.Num != nil:
		return fmt.Sprintf("%d-%d", v.Num.From, v.Num.To)
	case len(v.Parts) > 0:
		var parts []string
		for i := range v.Parts {
			parts = append(parts, valueText(&v.Parts[i]))
		}
		return strings.Join(parts, " . ")
	}
	return v.Text + v.MAC + v.Hex
}

// marked are the services that are balanced by a mark, the entries of IPVS for it, and the rules that set or ask for it.
func (f *finder) marked(m uint32) {
	word := markWords(m)
	f.spaces(func(n *Node, sp *space) {
		told := false
		for _, e := range f.g.Out(n.ID, EdgeBalances) {
			if svc, ok := f.g.Node(e.To); ok && e.Attrs.Mark == m {
				told = true
				f.hit(svc, "mark", fmt.Sprintf("%s is the firewall mark of service %s in %s, for its VIP %s: balanced in %s", word, svc.Name, f.g.netnsPhrase(n), e.Attrs.Address,
					f.g.balancedHow(svc, e.Attrs.Address, n)), append([]*Node{n}, f.g.Members(svc)...)...)
			}
		}
		if v := sp.marked(m); v != nil && !told {
			var to []string
			for _, d := range v.Destinations {
				to = append(to, netip.AddrPortFrom(d.Addr, d.Port).String())
			}
			f.hit(n, "mark", fmt.Sprintf("%s is balanced by IPVS in %s: %s to %s", word, f.g.netnsPhrase(n), v.Scheduler, cmpOr(enumerate(to), "nobody")))
		}
		for _, r := range sp.ns.Rules {
			if r.FwMark == m {
				f.hit(n, "mark", fmt.Sprintf("%s is asked for by routing rule %d in %s", word, r.Priority, f.g.netnsPhrase(n)))
			}
		}
		f.markRules(n, sp, m)
	})
}

// markRules are the rules that set or ask for a mark.
func (f *finder) markRules(n *Node, sp *space, m uint32) {
	for i := range sp.ns.Netfilter.Tables {
		t := &sp.ns.Netfilter.Tables[i]
		for j := range t.Chains {
			var sets, asks []int
			for k := range t.Chains[j].Rules {
				s, a := ruleMarks(&t.Chains[j].Rules[k], m)
				if s {
					sets = append(sets, k+1)
				}
				if a {
					asks = append(asks, k+1)
				}
			}
			for _, x := range []struct {
				verb  string
				rules []int
			}{{"set", sets}, {"asked for", asks}} {
				if len(x.rules) == 0 {
					continue
				}
				where := fmt.Sprintf("rule %d of", x.rules[0])
				if k := len(x.rules); k > 1 {
					where = fmt.Sprintf("%d rules of", k)
				}
				f.hit(n, "mark", fmt.Sprintf("%s is %s by %s %s %s %s in %s", markWords(m), x.verb, where, t.Family, t.Name, t.Chains[j].Name, f.g.netnsPhrase(n)), f.g.runner(n))
			}
		}
	}
}

// ruleMarks tells whether a rule gives exactly this mark, or asks for it.
func ruleMarks(r *snapshot.NfRule, m uint32) (sets, asks bool) {
	for i := range r.Exprs {
		x := &r.Exprs[i]
		if a := x.Assign; a != nil && a.To.Kind == "meta" && a.To.Key == "mark" {
			switch {
			case a.Value != nil && a.Value.Num != nil:
				sets = sets || a.Value.Num.From == uint64(m)
			case a.From != nil && a.From.Kind == "meta" && a.From.Key == "mark" && a.From.Xor != "":
				v, err := strconv.ParseUint(strings.TrimPrefix(a.From.Xor, "0x"), 16, 32)
				sets = sets || err == nil && v == uint64(m)
			}
		}
		for _, c := range x.Matches {
			if c.Left.Kind == "meta" && c.Left.Key == "mark" {
				for _, v := range c.Values {
					asks = asks || v.Num != nil && v.Num.From <= uint64(m) && uint64(m) <= v.Num.To && v.Num.To-v.Num.From < 1<<16
				}
			}
		}
	}
	return sets, asks
}
