package topo

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo/ruleset"
	"github.com/nscope/nscope/topo/ruleset/spell"
)

// RuleSpace are rules of one namespace, in the order in which they are evaluated.
type RuleSpace struct {
	// Netns is the id of its node, Name what it is called.
	Netns string `json:"netns"`
	Name  string `json:"name"`
	// Ingress is what packets pass on links before all chains, Egress what they pass after them, Sockets what its sockets are asked.
	Ingress []RuleStage `json:"ingress"`
	Chains  []RuleChain `json:"chains"`
	Egress  []RuleStage `json:"egress"`
	Sockets []RuleStage `json:"sockets"`
	// Unread tells that the firewall rules of the namespace were not read, or not all: a gap says why. What stands here is then not all.
	Unread bool `json:"unread,omitempty"`
}

// RuleChain is a base chain with the rules that it leads to.
type RuleChain struct {
	// Family is that of the packets (ip, ip6, bridge, arp, netdev), TableFamily that of the table (it may be inet).
	Family      string   `json:"family"`
	Hook        string   `json:"hook"`
	Priority    int32    `json:"priority"`
	Backend     string   `json:"backend"`
	TableFamily string   `json:"table_family"`
	Table       string   `json:"table"`
	Chain       string   `json:"chain"`
	Type        string   `json:"type"`
	Policy      string   `json:"policy"`
	Rules       []RuleOf `json:"rules"`
}

// RuleOf is one rule.
type RuleOf struct {
	// Chain is where it stands, Depth how many jumps lead there, Number its place in the chain from 1.
	Chain  string `json:"chain"`
	Depth  int    `json:"depth"`
	Number int    `json:"number"`
	Handle uint64 `json:"handle,omitempty"`
	// Text is the rule as iptables or nft writes it.
	Text    string `json:"text"`
	Comment string `json:"comment,omitempty"`
	// Packets and Bytes are absent for a rule that does not count.
	Packets *uint64 `json:"packets,omitempty"`
	Bytes   *uint64 `json:"bytes,omitempty"`
	// Unknown are what of it is not understood.
	Unknown []string `json:"unknown,omitempty"`
}

// RuleOptions say how rules are listed.
type RuleOptions struct {
	// As is the spelling: iptables, nft, or empty for the way each was written.
	As string
	// Used leaves out rules that count and have not counted.
	Used bool
}

func familyOf(a netip.Addr) string {
	if a.Is6() {
		return "ip6"
	}
	return "ip"
}

var ruleHooks = []string{"ingress", "prerouting", "input", "forward", "output", "postrouting", "egress"}

// rulesOf lists the rules of a namespace that one of the packets that asks describes may come to and match; all, where asks is nil.
func (g *Graph) rulesOf(n *Node, sp *space, asks []ruleAsk, o RuleOptions) RuleSpace {
	out := RuleSpace{Netns: n.ID, Name: n.Name, Chains: []RuleChain{}, Unread: sp.rulesUnread()}
	names := sp.names()
	for _, hook := range ruleHooks {
		for _, fam := range []string{"netdev", "bridge", "arp", "ip", "ip6"} {
			at := ruleset.At{Family: fam, Hook: hook}
			steps := sp.rules().Rules.Reach(at, ruleset.Packet{Family: packetFamily(fam)}, ruleset.Blank{})
			if asks != nil {
				steps = touched(sp, at, steps, asks)
			}
			out.Chains = append(out.Chains, chainsOf(fam, hook, sp.ns, steps, names, o)...)
		}
	}
	return out
}

func (sp *space) names() spell.Names {
	return spell.Names{Link: func(i int) string {
		if l := sp.byIdx[i]; l != nil {
			return l.l.Name
		}
		return ""
	}}
}

// SavedTable is a whole table as text that makes it again.
type SavedTable struct {
	Backend string `json:"backend"`
	Family  string `json:"family"`
	Table   string `json:"table"`
	// For is what takes the text: "nft -f", "iptables-restore", "ip6tables-restore", "iptables-legacy-restore" ….
	For  string `json:"for"`
	Text string `json:"text"`
	// Whole is false where some of it stands as a comment, for the tool has no words for it.
	Whole bool `json:"whole"`
}

// RulesUnread reports whether a gap says that the firewall rules of n's namespace were not read, or not all.
func (g *Graph) RulesUnread(n *Node) bool {
	ns, ok := g.Netns(n)
	if !ok {
		return false
	}
	sp := g.space(ns)
	return sp != nil && sp.rulesUnread()
}

// SaveRules writes the tables of n's namespace. As is the spelling: nft, iptables (for tables that iptables can have), or empty for the way
// each was written.
func (g *Graph) SaveRules(n *Node, as string) []SavedTable {
	out := []SavedTable{}
	ns, ok := g.Netns(n)
	if !ok {
		return out
	}
	sp := g.space(ns)
	if sp == nil {
		return out
	}
	for i := range sp.ns.Netfilter.Tables {
		t := &sp.ns.Netfilter.Tables[i]
		s := SavedTable{Backend: t.Backend, Family: t.Family, Table: t.Name}
		if t.Backend == snapshot.NfLegacy || as != "nft" && byIPTables(t) && (t.Family == "ip" || t.Family == "ip6") {
			lines := spell.IPTablesSave(t)
			s.Text = strings.Join(lines, "\n") + "\n"
			s.Whole = !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "#") })
			s.For = map[string]string{"ip": "iptables", "ip6": "ip6tables"}[t.Family]
			if t.Backend == snapshot.NfLegacy {
				s.For += "-legacy"
			}
			s.For += "-restore"
		} else {
			s.Text, s.Whole = spell.NftText(t, sp.names())
			s.For = "nft -f"
		}
		out = append(out, s)
	}
	return out
}

// packetFamily is that of packets at a place; those of bridges and devices may be any, IPv4 stands for them.
func packetFamily(fam string) string {
	if fam == "ip6" || fam == "arp" {
		return fam
	}
	return "ip"
}

// touched are the steps that a packet of those described may come to.
func touched(sp *space, at ruleset.At, all []ruleset.Step, asks []ruleAsk) []ruleset.Step {
	may := map[ruleset.Ref]bool{}
	for _, ask := range asks {
		p, ok := ask(at)
		if !ok {
			continue
		}
		for _, s := range sp.rules().Rules.Reach(at, p, sp.rules()) {
			may[s.Ref] = true
		}
	}
	return slices.DeleteFunc(all, func(s ruleset.Step) bool { return !may[s.Ref] })
}

// chainsOf groups steps by the base chain through which they were reached.
func chainsOf(fam, hook string, ns *snapshot.Namespace, steps []ruleset.Step, names spell.Names, o RuleOptions) []RuleChain {
	var out []RuleChain
	var base *snapshot.NfChain
	for _, s := range steps {
		table := tableOf(&ns.Netfilter, &s)
		if s.Depth == 0 { // stands in the base chain itself
			if base = chainIn(table, s.Chain); base == nil {
				continue
			}
			if n := len(out); n == 0 || out[n-1].Table != s.Table || out[n-1].Chain != s.Chain || out[n-1].TableFamily != s.Family || out[n-1].Backend != s.Backend {
				out = append(out, RuleChain{
					Family: fam, Hook: hook, Priority: s.Priority, Backend: s.Backend, TableFamily: s.Family, Table: s.Table, Chain: s.Chain,
					Type: base.Type, Policy: base.Policy, Rules: []RuleOf{},
				})
			}
		}
		r := s.Source()
		if r == nil || len(out) == 0 {
			continue
		}
		x := RuleOf{Chain: s.Chain, Depth: s.Depth, Number: s.Rule + 1, Handle: s.Handle, Comment: r.Comment, Unknown: r.Unknown}
		for i := range r.Exprs {
			if c := r.Exprs[i].Counter; c != nil {
				x.Packets, x.Bytes = &c.Packets, &c.Bytes
				break
			}
		}
		if o.Used && x.Packets != nil && *x.Packets == 0 {
			continue
		}
		x.Text = ruleText(table, s.Chain, r, names, o.As)
		c := &out[len(out)-1]
		c.Rules = append(c.Rules, x)
	}
	return slices.DeleteFunc(out, func(c RuleChain) bool { return len(c.Rules) == 0 && (o.Used || c.Policy != "drop") })
}

func tableOf(nf *snapshot.Netfilter, s *ruleset.Step) *snapshot.NfTable {
	for i := range nf.Tables {
		if t := &nf.Tables[i]; t.Backend == s.Backend && t.Family == s.Family && t.Name == s.Table {
			return t
		}
	}
	return &snapshot.NfTable{}
}

func chainIn(t *snapshot.NfTable, name string) *snapshot.NfChain {
	for i := range t.Chains {
		if t.Chains[i].Name == name {
			return &t.Chains[i]
		}
	}
	return nil
}

// ruleText spells a rule. The way it was written is iptables' for legacy tables and for what has xtables parts or stands
// in a table as iptables-nft makes them.
func ruleText(t *snapshot.NfTable, chain string, r *snapshot.NfRule, names spell.Names, as string) string {
	ipt := as == "iptables"
	if as == "" {
		ipt = t.Backend == snapshot.NfLegacy || byIPTables(t)
	}
	if ipt && (t.Family == "ip" || t.Family == "ip6") {
		if s, err := spell.IPTables(t.Family, chain, r); err == nil {
			return s
		} else if as != "" {
			return spell.Nft(t, r, names) + "  # " + err.Error()
		}
	}
	return spell.Nft(t, r, names)
}

// byIPTables tells whether a table of nftables is one that iptables-nft keeps: by its name and those of its base chains.
func byIPTables(t *snapshot.NfTable) bool {
	if !slices.Contains([]string{"filter", "nat", "mangle", "raw", "security"}, t.Name) {
		return false
	}
	for i := range t.Chains {
		if c := &t.Chains[i]; c.Hook != "" && c.Name != strings.ToUpper(c.Hook) {
			return false
		}
	}
	return true
}
