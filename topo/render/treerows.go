package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo"
)

// build returns one row per host, and one for the services.
func (t *tree) build() []*row {
	// A wire may cross from one host's section to a node's inside it, so what is left over is known only after all of
	// them were drawn.
	rows := map[*section]*row{}
	t.eachSection(func(s *section) { rows[s] = t.sectionRow(s) })
	t.eachSection(func(s *section) {
		if r := rows[s]; r != nil {
			r.kids = append(r.kids, t.leftovers(s)...)
			r.kids = append(r.kids, t.hostMode(s)...)
			r.kids = append(r.kids, t.loose(s)...)
			r.kids = append(r.kids, t.idle(s)...)
		}
	})
	var top []*row
	for _, s := range t.sections {
		if r := t.nest(s, rows); r != nil {
			top = append(top, r)
		}
	}
	if r := t.services(); r != nil {
		top = append(top, r)
	}
	if len(top) == 0 {
		top = t.bareNetworks()
	}
	return top
}

// bareNetworks are networks that nothing carries and nobody is on, where there is nothing else to show: who asks for one
// wants an answer.
func (t *tree) bareNetworks() []*row {
	var rows []*row
	t.each(topo.KindNetwork, func(n *topo.Node) {
		rows = append(rows, text(span{t.o.clean(n.Name), cyan}, span{"  " + t.facts("network ("+n.Attrs.Driver+")", n.Host, "nothing carries it, nobody is on it"), plain}).of(n))
	})
	return rows
}

func (t *tree) eachSection(f func(*section)) {
	for _, s := range t.sections {
		s.walk(f)
	}
}

// nest hangs the rows of nodes below that of their host.
func (t *tree) nest(s *section, rows map[*section]*row) *row {
	r := rows[s]
	for _, k := range s.kids {
		if kr := t.nest(k, rows); kr != nil && r != nil {
			r.kids = append(r.kids, kr)
		}
	}
	return r
}

func (t *tree) sectionRow(s *section) *row {
	containers, namespaces := s.count(t.index)
	if containers+namespaces+len(s.idle)+len(s.kids) == 0 {
		return nil
	}
	var facts []string
	switch {
	case s.name == "":
		facts = append(facts, "of no known host")
	case s.isNode():
		facts = append(facts, "node")
	default:
		facts = append(facts, "host")
	}
	for _, h := range t.index.g.Hosts {
		if h.Name == s.name && h.Kernel != "" {
			facts = append(facts, "Linux "+h.Kernel)
		}
	}
	if containers > 0 {
		facts = append(facts, plural(containers, "container"))
	}
	if namespaces > 0 {
		facts = append(facts, plural(namespaces, "namespace"))
	}
	if s.home != nil && t.o.Wide {
		facts = append(facts, inodeWord(s.home))
	}
	title := s.name
	if title == "" {
		title = "elsewhere"
		if s.home != nil {
			title = nsName(s.home)
		}
	}
	r := text(span{t.o.clean(title), strong}, span{"  " + t.facts(facts...), dim}).of(s.home)
	if s.home != nil {
		t.placed[s.home.ID] = true
		r.kids = t.netnsRows(s.home)
	}
	r.kids = append(r.kids, t.switches(s)...)
	return r
}

// facts joins what is known, and leaves out what is empty.
func (t *tree) facts(list ...string) string {
	var r []string
	for _, s := range list {
		if s != "" {
			r = append(r, t.o.clean(s))
		}
	}
	return strings.ReplaceAll(strings.Join(r, " "+t.g.dot+" "), t.g.dot+" "+t.g.arrow, t.g.arrow)
}

// processWord names the first process of a namespace that is no container's, and counts the others.
func processWord(n *topo.Node) string {
	if n.Attrs.Procs == 0 {
		return ""
	}
	for _, h := range n.Attrs.Holders {
		rest, ok := strings.CutPrefix(h, "proc ")
		if pid, comm, named := strings.Cut(rest, " "); ok && named {
			s := fmt.Sprintf("%s (pid %s)", comm, pid)
			if n.Attrs.Procs > 1 {
				s += fmt.Sprintf(" and %d more", n.Attrs.Procs-1)
			}
			return s
		}
	}
	return plural(n.Attrs.Procs, "process")
}

// holderWord says what keeps a namespace of which nothing else is known.
func holderWord(n *topo.Node) string {
	if n.Attrs.Role != topo.RoleOther || n.Attrs.Procs > 0 || len(n.Attrs.Holders) == 0 {
		return ""
	}
	return "held by " + n.Attrs.Holders[0]
}

func inodeWord(n *topo.Node) string {
	if n.Attrs.Inode == 0 {
		return ""
	}
	return "netns " + strconv.FormatUint(n.Attrs.Inode, 10)
}

// netnsRows returns the rows of a namespace's links that hang on no other of its links.
func (t *tree) netnsRows(ns *topo.Node) []*row {
	var rows []*row
	for _, stray := range []bool{false, true} { // strays are left when ports lead in a circle
		for _, l := range t.links[ns.ID] {
			if !t.shown[l.ID] && (stray || !t.hangs(l)) {
				rows = append(rows, t.linkRow(l))
			}
		}
	}
	rows = t.foldMembers(sortRows(rows), ns)
	return t.foldBridges(rows)
}

// hangs tells whether a link is drawn below another one of its namespace.
func (t *tree) hangs(l *topo.Node) bool {
	for _, up := range []*topo.Node{t.master[l.ID], t.parent[l.ID]} {
		if up != nil && t.netnsOf[up.ID] == t.netnsOf[l.ID] && !isLoopback(up) {
			return true
		}
	}
	return false
}

func (t *tree) foldBridges(rows []*row) []*row {
	from := slices.IndexFunc(rows, func(r *row) bool { return r.class == classBridge })
	if from < 0 {
		return rows
	}
	to := from
	for to < len(rows) && rows[to].class == classBridge {
		to++
	}
	r := append([]*row(nil), rows[:from]...)
	r = append(r, t.fold(rows[from:to], foldNetworks, keepNetworks, nil)...)
	return append(r, rows[to:]...)
}

// switches returns the rows of a section's other namespaces that switch: overlays, and bridges that nobody owns.
func (t *tree) switches(s *section) []*row {
	var rows []*row
	for _, n := range s.netns {
		if t.placed[n.ID] || !t.isSwitch(n) {
			continue
		}
		t.placed[n.ID] = true
		rows = append(rows, t.switchRow(n))
	}
	return t.fold(sortRows(rows), foldNetworks, keepNetworks, nil)
}

func (t *tree) switchRow(n *topo.Node) *row {
	name, word := n.Attrs.Network, "overlay"
	if n.Attrs.Role != topo.RoleOverlay {
		word = roleWord(n)
		if word != "namespace" {
			word += " namespace"
		}
	}
	var facts []string
	if list := t.networks[n.ID]; len(list) > 0 {
		name = cmp.Or(name, list[0].Name)
		facts = networkFacts(list[0])
	}
	if t.o.Wide {
		facts = append(facts, inodeWord(n))
	}
	facts = append(facts, holderWord(n))
	spans := []span{{t.o.clean(nsName(n)), bold}, {"  " + word, plain}}
	if name != "" {
		spans = append(spans, span{" ", plain}, span{t.o.clean(name), cyan})
	}
	r := text(append(spans, span{t.after(facts...), plain})...).of(n)
	r.class, r.name = classBridge, lastIf(name == "ingress")+cmp.Or(name, nsName(n))
	if n.Attrs.Role != topo.RoleOverlay {
		r.name = "\xff\xff" + r.name // what only happens to be there comes after what engines made
	}
	r.kids = t.netnsRows(n)
	return r
}

// lastIf is a prefix that sorts a name behind those without.
func lastIf(b bool) string {
	if b {
		return "\xff"
	}
	return ""
}

// after is facts with a separator in front, or nothing.
func (t *tree) after(list ...string) string {
	s := t.facts(list...)
	if s == "" {
		return ""
	}
	return " " + t.g.dot + " " + s
}

// networkFacts are the VNIs, subnets and properties of a network.
func networkFacts(nw *topo.Node) []string {
	var f []string
	switch {
	case len(nw.Attrs.VNIs) > 0:
		for _, v := range nw.Attrs.VNIs {
			f = append(f, fmt.Sprintf("vni %d", v))
		}
	case nw.Attrs.VNI != 0:
		f = append(f, fmt.Sprintf("vni %d", nw.Attrs.VNI))
	}
	f = append(f, nw.Attrs.Subnets...)
	if nw.Attrs.Encrypted {
		f = append(f, "encrypted")
	}
	if nw.Attrs.Internal {
		f = append(f, "internal")
	}
	return f
}

// services returns the row of the services with those below it, which belong to no single host.
func (t *tree) services() *row {
	var rows []*row
	t.each(topo.KindService, func(n *topo.Node) {
		var facts []string
		facts = append(facts, t.o.few(t.o.ports(n.Attrs.Ports), 4, " "))
		var vips []string
		for _, v := range n.Attrs.VIPs {
			vips = append(vips, bareAddr(v))
		}
		if len(vips) > 0 {
			facts = append(facts, "VIP "+t.o.few(vips, 4, " "))
		}
		if n.Attrs.EndpointMode == "dnsrr" {
			facts = append(facts, "no VIP (dnsrr)")
		}
		if n.Attrs.Replicas > 0 {
			facts = append(facts, plural(int(min(n.Attrs.Replicas, 1<<30)), "replica"))
		}
		r := text(span{t.o.clean(nameOf(n)), bold}, span{"  " + t.facts(facts...), plain}).of(n)
		r.class, r.name = classMember, n.Name
		rows = append(rows, r)
	})
	if len(rows) == 0 {
		return nil
	}
	r := text(span{"services", strong})
	r.kids = t.foldMembers(sortRows(rows), nil)
	return r
}

func bareAddr(s string) string {
	a, _, _ := strings.Cut(s, "/")
	return a
}
