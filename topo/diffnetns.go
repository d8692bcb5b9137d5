package topo

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
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

// listing makes facts of one namespace's lists.
type listing struct {
	*graphSide
	sp     *space
	byName bool // links are paired by name
	causes *causes
}

// linkKey tells links apart; linkName is what a link is called.
func (l *listing) linkKey(index int) string {
	if l.byName {
		return l.linkName(index)
	}
	return strconv.Itoa(index)
}

func (l *listing) linkName(index int) string {
	if k := l.sp.byIdx[index]; k != nil && k.l.Name != "" {
		return k.l.Name
	}
	return "if" + strconv.Itoa(index)
}

// sameLinks are the ifindexes of links that are the same in both but for their counters: most, where little changed.
func (l *listing) sameLinks(o *listing) map[int]bool {
	out := map[int]bool{}
	if l.byName {
		return out
	}
	for i, k := range l.sp.byIdx {
		m := o.sp.byIdx[i]
		if m == nil {
			continue
		}
		x, y := *k.l, *m.l
		x.Stats, y.Stats = snapshot.LinkStats{}, snapshot.LinkStats{}
		if reflect.DeepEqual(&x, &y) && l.peerAttr(k).same(o.peerAttr(m)) && l.linkName(x.Master) == o.linkName(x.Master) {
			out[i] = true
		}
	}
	return out
}

// linkFacts are those of the links that are not left out, by ifindex.
func (l *listing) linkFacts(leave map[int]bool) []fact {
	out := make([]fact, 0, len(l.sp.links))
	for _, k := range l.sp.links {
		if leave[k.l.Index] {
			continue
		}
		f := fact{key: l.linkKey(k.l.Index), what: "link " + l.linkName(k.l.Index), node: k.node, attrs: l.linkAttrs(k)}
		out = append(out, f)
	}
	return out
}

func (l *listing) linkAttrs(k *link) []attr {
	v := k.l
	up := "down"
	if slices.Contains(v.Flags, "up") {
		up = "up"
	}
	out := []attr{{name: "name", text: v.Name, quiet: true}, {text: cmp.Or(v.Kind, v.Type)}, {name: "set", text: up, quiet: true}, {name: "state", text: v.State}, {name: "mtu", text: num(v.MTU)},
		{name: "mac", text: v.MAC}}
	if v.Master != 0 {
		out = append(out, attr{name: "master", text: l.linkName(v.Master), cmp: l.linkKey(v.Master)})
	}
	if p := l.peerAttr(k); p.text != "" {
		out = append(out, p)
	}
	flags := slices.DeleteFunc(slices.Clone(v.Flags), func(s string) bool { return s == "up" || s == "lower_up" || s == "no-carrier" })
	out = append(out, attr{name: "alias", text: v.Alias}, attr{name: "xdp", text: v.XDP})
	shown := len(out)
	out = append(out, attr{name: "flags", text: strings.Join(flags, " ")}, attr{name: "altnames", text: strings.Join(v.AltNames, " ")}, attr{name: "group", text: num(v.Group)},
		attr{name: "txqlen", text: num(v.TxQLen)}, attr{name: "qdisc", text: v.Qdisc}, attr{name: "xdp program", text: num(v.XDPProg)})
	// Cost, number and timers of a port or bridge are among what flatten gives.
	br := v.Bridge
	if br != nil && !br.STP {
		// Ids without a protocol that uses them are the MAC once more.
		plain := *br
		plain.BridgeID, plain.RootID = "", ""
		br = &plain
	}
	out = flatten(out, "bridge", br)
	out = flatten(out, "port", v.BridgePort)
	out = flatten(out, "vxlan", v.Vxlan)
	out = flatten(out, "macvlan", v.Macvlan)
	out = flatten(out, "ipvlan", v.Ipvlan)
	out = flatten(out, "vlan", v.Vlan)
	out = flatten(out, "tun", v.Tun)
	out = flatten(out, "netkit", v.Veth)
	out = flatten(out, "bond", v.Bond)
	out = flatten(out, "vrf", v.Vrf)
	out = flatten(out, "tunnel", v.Tunnel)
	for i := shown; i < len(out); i++ {
		out[i].quiet = out[i].name != "vxlan vni" && out[i].name != "vlan id" && !strings.HasSuffix(out[i].name, " mode")
	}
	return out
}

// peerAttr is a link's other end or parent, by what does not change when it is renamed.
func (l *listing) peerAttr(k *link) attr {
	p := k.l.Peer
	if p == nil {
		return attr{}
	}
	to := l.g.Peer(l.node(k.node))
	name := "peer"
	if to == nil {
		if to = l.g.first(l.node(k.node), EdgeParent); to != nil {
			name = "parent"
		}
	}
	if to == nil {
		return attr{name: name, text: ""}
	}
	where := ""
	if in, ok := l.g.Netns(to); ok && in.ID != l.sp.node {
		where = " in " + in.Name
	}
	id := to.ID
	if l.byName {
		id = to.Name
	}
	return attr{name: name, text: to.Name + where, cmp: id}
}

func (s *graphSide) node(id string) *Node {
	n, _ := s.g.Node(id)
	return n
}

func (l *listing) addrs() (out []fact) {
	for _, k := range l.sp.links {
		for i := range k.l.Addrs {
			a := &k.l.Addrs[i]
			key := l.linkKey(k.l.Index)
			f := fact{key: key + " " + a.Prefix.String(), what: "address " + a.Prefix.String() + " on " + l.linkName(k.l.Index), node: k.node}
			if a.Peer.IsValid() {
				f.key += " " + a.Peer.String()
				f.attrs = append(f.attrs, attr{name: "peer", text: a.Peer.String()})
			}
			flags := slices.DeleteFunc(slices.Clone(a.Flags), func(s string) bool { return s == "tentative" })
			slices.Sort(flags)
			if a.Scope != "global" {
				f.attrs = append(f.attrs, attr{name: "scope", text: a.Scope})
			}
			if a.Broadcast.IsValid() {
				f.attrs = append(f.attrs, attr{name: "broadcast", text: a.Broadcast.String()})
			}
			if a.Label != k.l.Name {
				f.attrs = append(f.attrs, attr{name: "label", text: a.Label})
			}
			f.attrs = append(f.attrs, attr{name: "flags", text: strings.Join(flags, " "), quiet: true})
			f.follows = func(op ChangeOp) bool {
				return l.causes.link(key, op) || a.Prefix.Addr().IsLinkLocalUnicast() && l.causes.moved[key]
			}
			out = append(out, f)
		}
	}
	return out
}

func (l *listing) routes() (out []fact) {
	for i := range l.sp.ns.Routes {
		r := &l.sp.ns.Routes[i]
		what := "route "
		if r.Type != "unicast" {
			what += r.Type + " "
		}
		if r.Dst.Bits() == 0 {
			what += "default"
			if r.Family == "inet6" {
				what += " (IPv6)"
			}
		} else {
			what += r.Dst.String()
		}
		key := fmt.Sprint(r.Family, r.Table, r.Type, r.Dst, r.Src, r.Metric, r.TOS)
		f := fact{key: key}
		via := func(gw netip.Addr, oif int) string {
			s := ""
			if gw.IsValid() {
				s = "via " + gw.String()
			}
			if oif != 0 {
				s = strings.TrimSpace(s + " dev " + l.linkName(oif))
			}
			return s
		}
		if s := via(r.Gateway, r.OIF); s != "" {
			f.attrs = append(f.attrs, attr{text: s, cmp: r.Gateway.String() + " " + l.linkKey(r.OIF)})
		}
		for j, h := range r.NextHops {
			f.attrs = append(f.attrs, attr{name: "hop " + num(j+1), text: fmt.Sprintf("%s weight %d", via(h.Gateway, h.OIF), h.Weight)})
		}
		if r.Src.IsValid() {
			what += " from " + r.Src.String()
		}
		if r.Table != 254 {
			what += " table " + num(r.Table)
		}
		if r.Metric != 0 {
			what += " metric " + num(r.Metric)
		}
		f.what = what
		if r.PrefSrc.IsValid() {
			f.attrs = append(f.attrs, attr{name: "src", text: r.PrefSrc.String()})
		}
		f.attrs = append(f.attrs, attr{name: "proto", text: r.Protocol}, attr{name: "scope", text: r.Scope}, attr{name: "mtu", text: num(r.MTU)}, attr{name: "advmss", text: num(r.AdvMSS)},
			attr{name: "flags", text: strings.Join(r.Flags, " ")}, attr{name: "nexthop object", text: num(r.NHID)}, attr{name: "pref", text: r.Pref}, attr{name: "encap", text: r.Encap})
		link := l.linkKey(r.OIF)
		f.follows = func(op ChangeOp) bool {
			return l.causes.link(link, op) || r.Protocol == "kernel" && (r.Table == 255 && r.Dst.Addr().IsLinkLocalUnicast() || l.causes.moved[link] || l.causes.addr(link, op, r.Dst)) || op == Changed && l.causes.moved[link]
		}
		out = append(out, f)
	}
	return out
}

func ruleFacts(rules []snapshot.Rule) (out []fact) {
	for i := range rules {
		r := &rules[i]
		out = append(out, fact{key: asJSON(r), what: fmt.Sprintf("rule %d: %s", r.Priority, policyText(r))})
	}
	return out
}

// policyText is a rule of policy routing as ip prints it.
func policyText(r *snapshot.Rule) string {
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	if r.Family == "inet6" {
		add("IPv6")
	}
	if r.Invert {
		add("not")
	}
	from := "all"
	if r.Src.IsValid() {
		from = r.Src.String()
	}
	add("from %s", from)
	if r.Dst.IsValid() {
		add("to %s", r.Dst)
	}
	if r.FwMark != 0 {
		add("fwmark %#x/%#x", r.FwMark, r.FwMask)
	}
	if r.IIF != "" {
		add("iif %s", r.IIF)
	}
	if r.OIF != "" {
		add("oif %s", r.OIF)
	}
	if r.IPProto != 0 {
		add("ipproto %d", r.IPProto)
	}
	if r.SPort != nil {
		add("sport %d-%d", r.SPort.From, r.SPort.To)
	}
	if r.DPort != nil {
		add("dport %d-%d", r.DPort.From, r.DPort.To)
	}
	if r.UIDRange != nil {
		add("uidrange %d-%d", r.UIDRange.From, r.UIDRange.To)
	}
	switch {
	case r.L3MDev:
		add("lookup of the VRF's table")
	case r.Action == "lookup":
		add("lookup %d", r.Table)
	case r.Action == "goto":
		add("goto %d", r.Goto)
	default:
		add("%s", r.Action)
	}
	return strings.Join(w, " ")
}

// neighborState is a neighbour's state without its timers.
func neighborState(s string) string {
	switch s {
	case "reachable", "stale", "delay", "probe":
		return "learnt"
	case "failed", "incomplete":
		return "unanswered"
	}
	return s
}

func (l *listing) neighbors() (out []fact) {
	for i := range l.sp.ns.Neighbors {
		n := &l.sp.ns.Neighbors[i]
		if n.State == "noarp" && (n.Addr.IsMulticast() || n.Addr.IsLoopback()) {
			continue // the kernel's own, there as long as somebody sends to them
		}
		link := l.linkKey(n.Ifindex)
		what := "neighbour " + n.Addr.String()
		if slices.Contains(n.Flags, "proxy") {
			what = "proxy for " + n.Addr.String()
		}
		f := fact{key: link + " " + what, what: what + " on " + l.linkName(n.Ifindex), node: l.linkNode(n.Ifindex),
			attrs: []attr{{text: n.MAC}, {name: "state", text: neighborState(n.State)}, {name: "flags", text: strings.Join(n.Flags, " ")}, {name: "proto", text: n.Protocol}}}
		f.follows = func(op ChangeOp) bool { return l.causes.link(link, op) }
		out = append(out, f)
	}
	return out
}

func (l *listing) linkNode(index int) string {
	if k := l.sp.byIdx[index]; k != nil {
		return k.node
	}
	return ""
}

func (l *listing) fdb() (out []fact) {
	for i := range l.sp.ns.FDB {
		e := &l.sp.ns.FDB[i]
		link := l.linkKey(e.Ifindex)
		kind, to := "self", ""
		if e.Master != 0 {
			kind = "master " + l.linkKey(e.Master)
		}
		if e.Dst.IsValid() {
			to = e.Dst.String()
		}
		key := fmt.Sprint(link, e.MAC, e.VLAN, kind, e.SrcVNI)
		if strings.Trim(e.MAC, "0:") == "" { // the entry for all others may have many
			key += to
		}
		what := "FDB entry " + e.MAC
		if e.VLAN != 0 {
			what += " vlan " + num(e.VLAN)
		}
		f := fact{key: key, what: what + " on " + l.linkName(e.Ifindex), node: l.linkNode(e.Ifindex), attrs: []attr{{name: "to", text: to}}}
		if e.VNI != nil {
			f.attrs = append(f.attrs, attr{name: "vni", text: num(*e.VNI)})
		}
		state := e.State
		if state == "reachable" || state == "stale" {
			state = ""
		}
		f.attrs = append(f.attrs, attr{name: "port", text: num(e.Port)}, attr{name: "via", text: num(e.Via)}, attr{name: "", text: cmp.Or(state, "learnt")},
			attr{name: "flags", text: strings.Join(e.Flags, " ")}, attr{name: "nexthop object", text: num(e.NHID)})
		f.follows = func(op ChangeOp) bool {
			return l.causes.link(link, op) || state == "permanent" && !e.Dst.IsValid() && l.causes.moved[link]
		}
		out = append(out, f)
	}
	return out
}

// causes are changes of which others are mere consequences, by the key of the link.
type causes struct {
	ops   map[string]ChangeOp       // links that came or went
	moved map[string]bool           // links that were set up or down, got or lost their carrier, another MAC or master
	came  map[string][]netip.Prefix // addresses, by link and op
}

func newCauses() *causes {
	return &causes{ops: map[string]ChangeOp{}, moved: map[string]bool{}, came: map[string][]netip.Prefix{}}
}

func (c *causes) link(key string, op ChangeOp) bool { return c.ops[key] == op && op != "" }

// links takes in what became of the links.
func (c *causes) links(list []Change) {
	for i := range list {
		ch := &list[i]
		if ch.Op != Changed {
			c.ops[ch.key] = ch.Op
			continue
		}
		for _, f := range ch.Fields {
			switch f.Name {
			case "set", "state", "mac", "master", "mtu", "flags":
				c.moved[ch.key] = true
			}
		}
	}
}

// addrs takes in what became of the addresses, whose keys are "LINK PREFIX".
func (c *causes) addrs(list []Change) {
	for i := range list {
		link, rest, _ := strings.Cut(list[i].key, " ")
		prefix, _, _ := strings.Cut(rest, " ")
		if p, err := netip.ParsePrefix(prefix); err == nil {
			k := link + " " + string(list[i].Op)
			c.came[k] = append(c.came[k], p)
		}
	}
}

// addr tells whether a kernel's route to dst comes and goes with an address that did: that of its subnet, of itself, or of
// its broadcasts.
func (c *causes) addr(link string, op ChangeOp, dst netip.Prefix) bool {
	return slices.ContainsFunc(c.came[link+" "+string(op)], func(p netip.Prefix) bool {
		return p.Masked() == dst || dst.IsSingleIP() && p.Contains(dst.Addr())
	})
}
