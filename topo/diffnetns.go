package topo

import (
	"strings"
)

// pair is one namespace in both graphs.
type pair struct {
	a, b *space
	na   *Node
	nb   *Node
	// born tells that it is another namespace by the same name: its links are paired by name.
	born bool
}

// spaces pairs the namespaces and compares each pair.
func (d *differ) spaces() {
	as, bs := d.a.netns(), d.b.netns()
	left := map[string]*Node{}
	for _, n := range bs {
		left[n.ID] = n
	}
	var pairs []pair
	var gone []*Node
	for _, n := range as {
		x := d.a.space(n)
		if m := left[n.ID]; m != nil {
			if y := d.b.space(m); x.ns.Cookie == 0 || y.ns.Cookie == 0 || x.ns.Cookie == y.ns.Cookie {
				pairs = append(pairs, pair{a: x, b: y, na: n, nb: m})
				delete(left, n.ID)
				continue
			}
		}
		gone = append(gone, n)
	}
	byName := map[string][]*Node{}
	for _, n := range bs {
		if left[n.ID] != nil {
			byName[d.b.lasting(n)] = append(byName[d.b.lasting(n)], n)
		}
	}
	old := map[string]int{}
	for _, n := range gone {
		old[d.a.lasting(n)]++
	}
	for _, n := range gone {
		name := d.a.lasting(n)
		if m := byName[name]; name != "" && len(m) == 1 && old[name] == 1 {
			pairs = append(pairs, pair{a: d.a.space(n), b: d.b.space(m[0]), na: n, nb: m[0], born: true})
			delete(left, m[0].ID)
			continue
		}
		d.whole(d.a, n, Removed)
	}
	for _, n := range bs {
		if left[n.ID] != nil {
			d.whole(d.b, n, Added)
		}
	}
	for i := range pairs {
		d.pair(&pairs[i])
	}
}

func (s *graphSide) netns() (out []*Node) {
	for i := range s.g.Nodes {
		if n := &s.g.Nodes[i]; n.Kind == KindNetns && s.space(n) != nil {
			out = append(out, n)
		}
	}
	return out
}

func (s *graphSide) space(n *Node) *space { return s.g.index().raw[n.ID].sp }

// lasting is a name that outlives the namespace: of its host, of what runs in it, of the file that it is mounted on. It is
// empty where nothing but numbers names it.
func (s *graphSide) lasting(n *Node) string {
	if n.Name == shortOf(n) || n.Attrs.Role == RoleOther && len(s.g.In(n.ID, EdgeRunsIn)) == 0 {
		return ""
	}
	return s.place(n.Host) + "\x00" + n.Attrs.Role + "\x00" + n.Name
}

// place is a host's name where there are several; of one alone only what is below it, so that two hosts can be compared.
func (s *graphSide) place(host string) string {
	if len(s.g.Hosts) != 1 {
		return host
	}
	_, node, _ := strings.Cut(host, "/")
	return node
}

func (s *graphSide) where(n *Node) where {
	w := where{node: n.ID, netns: n.ID, host: n.Host, name: n.Name, rank: 3}
	switch n.Attrs.Role {
	case RoleHost:
		w.rank = 1
	case RoleNode:
		w.rank = 2
	}
	return w
}

// whole tells of a namespace that came or went; what is in it came or went with it.
func (d *differ) whole(s *graphSide, n *Node, op ChangeOp) {
	d.at = s.where(n)
	f := fact{what: "netns " + shortOf(n), node: n.ID, attrs: []attr{{text: n.Attrs.Role}}}
	if wires := s.g.wires(n, nil); len(wires) > 0 {
		f.attrs = append(f.attrs, attr{text: strings.Join(wires, ", ")})
	}
	var addrs []string
	for _, l := range s.g.linksIn(n) {
		if l.Attrs.Type != "loopback" {
			addrs = append(addrs, l.Attrs.Addrs...)
		}
	}
	if len(addrs) > 0 {
		f.attrs = append(f.attrs, attr{text: strings.Join(addrs, " ")})
	}
	d.add(ChangeNetns, op, &f, nil)
}

func (d *differ) pair(p *pair) {
	d.at = d.b.where(p.nb)
	na, nb := p.a.ns, p.b.ns
	if p.born {
		d.compare(ChangeNetns, []fact{{key: "x", what: "netns " + shortOf(p.na), attrs: []attr{{text: shortOf(p.na)}}}},
			[]fact{{key: "x", what: "netns", node: p.nb.ID, attrs: []attr{{text: shortOf(p.nb)}}}})
	} else if p.na.Name != p.nb.Name || p.na.Attrs.Role != p.nb.Attrs.Role {
		f := func(n *Node) []fact {
			return []fact{{key: "x", what: "netns " + shortOf(n), node: n.ID, attrs: []attr{{name: "name", text: n.Name}, {name: "role", text: n.Attrs.Role}}}}
		}
		d.compare(ChangeNetns, f(p.na), f(p.nb))
	}
	read := func(readers ...string) bool {
		for _, r := range append(readers, "namespace") {
			if d.a.closed[p.na.ID][r] || d.b.closed[p.nb.ID][r] {
				return false
			}
		}
		return true
	}
	x, y := &listing{d.a, p.a, p.born, nil}, &listing{d.b, p.b, p.born, nil}
	c := newCauses()
	if read("links") && !sameList(na.Links, nb.Links) {
		from := len(d.out)
		same := x.sameLinks(y)
		d.compare(ChangeLink, x.linkFacts(same), y.linkFacts(same))
		c.links(d.out[from:])
		x.causes, y.causes = c, c
		if read("addresses") {
			from = len(d.out)
			d.compare(ChangeAddress, x.addrs(), y.addrs())
			c.addrs(d.out[from:])
		}
	}
	x.causes, y.causes = c, c
	if read("links", "routes") && !sameList(na.Routes, nb.Routes) {
		d.compare(ChangeRoute, x.routes(), y.routes())
	}
	if read("rules") && !sameList(na.Rules, nb.Rules) {
		d.compare(ChangeRule, ruleFacts(na.Rules), ruleFacts(nb.Rules))
	}
	if read("links", "neighbors") && !sameList(na.Neighbors, nb.Neighbors) {
		d.compare(ChangeNeighbor, x.neighbors(), y.neighbors())
	}
	if read("links", "fdb") && !sameList(na.FDB, nb.FDB) {
		d.compare(ChangeFDB, x.fdb(), y.fdb())
	}
	if read("nftables", "firewall rules", "legacy iptables", "legacy ip6tables") && !sameList(na.Netfilter.Tables, nb.Netfilter.Tables) {
		d.firewall(na, nb)
	}
	if read("ipvs") && na.IPVS != nb.IPVS {
		d.ipvs(na.IPVS, nb.IPVS)
	}
	// The sysctls tell a snapshot of everything from one of the topology alone.
	if len(na.Sysctls) > 0 && len(nb.Sysctls) > 0 {
		d.rest(na, nb, x, y, read)
	}
}
