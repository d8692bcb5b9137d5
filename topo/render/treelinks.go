package render

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nscope/nscope/topo"
)

// linkRow is the row of one link with what hangs on it: ports, children, tunnels.
func (t *tree) linkRow(l *topo.Node) *row {
	t.shown[l.ID] = true
	if isPair(l) {
		r := t.pairRow(l)
		r.kids = append(r.kids, t.below(l, l)...)
		return r
	}
	spans := []span{{t.o.clean(nameOf(l)), bold}}
	if addrs := t.o.few(ownAddrs(l), 2, " "); addrs != "" {
		spans = append(spans, span{"  " + t.o.clean(addrs), plain})
	}
	var facts []string
	if isNIC(l) && l.Attrs.Type == "device" && t.master[l.ID] == nil {
		facts = append(facts, "NIC")
	}
	facts = append(facts, linkFacts(l, t.o.Wide))
	if t.o.Wide {
		facts = append(facts, fmt.Sprintf("mtu %d", l.Attrs.MTU), l.Attrs.MAC)
	}
	tunnels, facts := t.tunnels(l, facts)
	if s := t.facts(facts...); s != "" {
		sep := "  "
		if len(spans) > 1 {
			sep = " " + t.g.dot + " "
		}
		spans = append(spans, span{sep + s, plain})
	}
	class, sort := classUplink, l.Name
	if isBridge(l) {
		class = classBridge
		if nws := t.carried(l); len(nws) > 0 {
			sort = nws[0].Name // "br-1f00ba4" is no order that people know
		}
	}
	spans = append(spans, t.networkSpans(l)...)
	if w := stateWord(l); w != "" {
		spans = append(spans, span{" " + t.g.dot + " ", plain}, span{t.o.clean(w), red})
	}
	group := l
	if nws := t.carried(l); len(nws) == 1 {
		group = nws[0]
	}
	r := text(spans...).of(l)
	r.class, r.name = class, lastIf(!isNIC(l) && class == classUplink || l.Name == "docker_gwbridge")+sort
	r.kids = append(tunnels, t.below(l, group)...)
	return r
}

// networkSpans names the networks that a link carries.
func (t *tree) networkSpans(l *topo.Node) []span {
	var spans []span
	for i, nw := range t.networks[l.ID] {
		word := " " + t.g.dot + " network "
		if i > 0 {
			word = ", "
		}
		spans = append(spans, span{word, plain}, span{t.o.clean(nw.Name), cyan})
		if d := nw.Attrs.Driver; d != "" && d != l.Attrs.Type {
			spans = append(spans, span{" (" + t.o.clean(d) + ")", plain})
		}
		if nw.Attrs.Internal {
			spans = append(spans, span{" " + t.g.dot + " internal", plain})
		}
	}
	return spans
}

// below returns the rows of a link's ports and children; group is what to look at to see all of them.
func (t *tree) below(l, group *topo.Node) []*row {
	var rows []*row
	for _, p := range t.ports[l.ID] {
		if !t.shown[p.ID] {
			rows = append(rows, t.linkRow(p))
		}
	}
	for _, c := range t.children[l.ID] {
		switch ns := t.netnsOf[c.ID]; {
		case t.shown[c.ID]:
		case ns == nil, ns == t.netnsOf[l.ID]:
			if t.master[c.ID] == nil {
				rows = append(rows, t.linkRow(c))
			}
		default:
			rows = append(rows, t.memberRow(c.Attrs.Type, c, ns))
		}
	}
	return t.foldMembers(sortRows(rows), group)
}

// pairRow is the row of one end of a pair.
func (t *tree) pairRow(l *topo.Node) *row {
	p := t.peer[l.ID]
	if p == nil {
		word := cmp.Or(t.index.g.FarEnd(l), "other end unknown")
		if t.index.g.Whole().Peer(l) != nil {
			word = "other end not shown here"
		}
		own := ownAddrs(l)
		r := text(span{t.o.clean(nameOf(l)), bold}, span{"  " + t.facts(t.o.few(own, 2, " "), l.Attrs.Type, word), plain}).of(l)
		r.class, r.name = classReference, l.Name
		if len(own) > 0 {
			r.class = classUplink
		}
		return r
	}
	ns := t.netnsOf[p.ID]
	if ns == nil || ns == t.netnsOf[l.ID] {
		word := "both ends here"
		if ns == nil {
			word = "namespace unknown"
		} else if !t.hangs(p) && len(t.children[p.ID]) == 0 {
			t.shown[p.ID] = true
		}
		facts := append([]string{word}, mainAddrs(l.Attrs.Addrs, false)...)
		r := text(span{t.o.clean(nameOf(l)), bold}, span{" " + t.g.wire + " " + t.o.clean(nameOf(p)) + "  " + t.facts(facts...), plain}).of(l)
		r.class, r.name = classReference, l.Name
		return r
	}
	own := t.o.few(ownAddrs(l), 2, " ")
	if t.isSwitch(ns) {
		if own != "" {
			return t.uplinkRow(l, p, ns, own)
		}
		return t.sectionRef(l, p, ns)
	}
	r := t.memberRow(strings.TrimSpace(nameOf(l)+" "+own), p, ns)
	r.ids[0] = l.ID
	return r
}

// uplinkRow is the row of a link with addresses whose wire leads to a namespace with a section of its own: a node's way
// out.
func (t *tree) uplinkRow(l, p, ns *topo.Node, addrs string) *row {
	at := nsName(ns)
	if isHome(ns) {
		at = cmp.Or(ns.Host, at)
	}
	spans := []span{{t.o.clean(nameOf(l)), bold}, {"  " + t.o.clean(addrs) + " " + t.g.wire + " " + t.o.clean(nameOf(p)), plain}}
	spans = append(append(spans, t.networkSpans(l)...), span{t.after("see " + at), dim})
	r := text(spans...).of(l)
	r.name = l.Name
	return r
}

// sectionRef is the row of a wire to a namespace that has a section of its own.
func (t *tree) sectionRef(l, p, ns *topo.Node) *row {
	name, word := nsName(ns), "see "+nsName(ns)
	style := dim
	if isHome(ns) {
		name = cmp.Or(ns.Host, name)
		word = "see " + roleWord(ns) + " " + name
		// The container that is the node belongs to the engine out here, and has its place on this wire.
		var outer []*topo.Node
		for _, c := range t.containers[ns.ID] {
			if c.Host != ns.Host {
				outer = append(outer, c)
			}
		}
		if len(outer) > 0 && t.netnsOf[l.ID] != nil && t.netnsOf[l.ID].Host != ns.Host {
			style = green
			name = nameOf(outer[0])
			word = engineWord(outer[0]) + " " + word
			for _, c := range outer {
				t.placed[c.ID] = true
			}
		}
	}
	r := member(span{t.o.clean(nameOf(l)), plain}, span{t.g.wire + " " + t.o.clean(nameOf(p)), plain}, span{t.o.clean(name), style},
		span{t.o.clean(t.o.few(mainAddrs(p.Attrs.Addrs, true), 1, " ")), plain}, span{t.o.clean(word), dim}).of(l, p, ns)
	if style == dim {
		r.class = classReference
	}
	return r
}

// tunnels returns the rows of a link's remote ends, or adds a single one to its facts.
func (t *tree) tunnels(l *topo.Node, facts []string) ([]*row, []string) {
	for _, e := range t.edges(l.ID, topo.EdgeUnderlay) {
		if to := t.node[e.To]; to.Kind == topo.KindLink {
			facts = append(facts, "over "+nameOf(to))
		} else if t.o.Wide {
			facts = append(facts, "over "+nsName(to))
		}
	}
	edges := t.edges(l.ID, topo.EdgeTunnel)
	var rows []*row
	for _, e := range edges {
		to := t.node[e.To]
		where := cmp.Or(to.Attrs.Node, to.Host)
		if to.Kind == topo.KindLink {
			where = strings.TrimSpace(where + " " + to.Name)
		}
		addr := cmp.Or(e.Attrs.Address, to.Attrs.Address, to.Attrs.Local)
		if where == "" && addr == "" {
			addr = nameOf(to)
		}
		s := t.g.arrow + " " + t.o.clean(strings.TrimSpace(where+" "+addr))
		if len(edges) == 1 {
			return nil, append(facts, s)
		}
		if n := len(e.Attrs.MACs); n > 0 {
			s += " " + t.g.dot + " " + plural(n, "MAC")
		}
		r := text(span{s, plain}).of(to)
		r.class, r.name = classMember, s
		rows = append(rows, r)
	}
	return t.foldMembers(sortRows(rows), l), facts
}
