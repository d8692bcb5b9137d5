package render

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

// memberRow is the row of a wire to the link p of a namespace that hangs on others. On the wire that is its place it
// says everything, on others it refers there.
func (t *tree) memberRow(port string, p, ns *topo.Node) *row {
	t.shown[p.ID] = true
	here := !t.placed[ns.ID] && cmp.Or(t.home[ns.ID], p.ID) == p.ID
	name, more := t.netnsWords(ns)
	nameStyle, class := green, classMember
	switch {
	case ns.Attrs.Role == topo.RoleLoadBalancer, ns.Attrs.Role == topo.RoleIngress:
		nameStyle, class = magenta, classHelper
	case !here:
		class = classReference
	}
	if !here {
		nameStyle, more = plain, "see above"
		if at := t.placeName(ns); at != "" {
			more = "see " + at
		}
	}
	addrs := mainAddrs(t.withoutVIPs(p, ns), true)
	if t.o.Wide {
		more = t.facts(more, p.Attrs.MAC)
	}
	r := member(span{t.o.clean(port), plain}, span{t.g.wire + " " + t.o.clean(nameOf(p)), plain},
		span{t.o.clean(name), nameStyle}, span{t.o.clean(t.o.few(addrs, 1, " ")), plain}, span{t.o.clean(more), dim}).of(nil, p, t.tenant(ns))
	r.class = class
	if here {
		t.placed[ns.ID] = true
		r.kids = t.inside(ns)
	}
	r.kids = append(r.kids, t.below(p, p)...)
	return r
}

// tenant is whose a namespace is: its first container, or itself.
func (t *tree) tenant(ns *topo.Node) *topo.Node {
	if list := t.containers[ns.ID]; len(list) > 0 {
		return list[0]
	}
	return ns
}

// withoutVIPs returns a link's addresses but those that are the virtual ones of services.
func (t *tree) withoutVIPs(l, ns *topo.Node) []string {
	edges := t.edges(ns.ID, topo.EdgeBalances)
	if len(edges) == 0 {
		return l.Attrs.Addrs
	}
	return slices.DeleteFunc(slices.Clone(l.Attrs.Addrs), func(a string) bool {
		return slices.ContainsFunc(edges, func(e *topo.Edge) bool { return bareAddr(e.Attrs.Address) == bareAddr(a) })
	})
}

// netnsWords are a namespace's name (that of the container in it) and what else is to be said of it. The containers
// named so have had their place.
func (t *tree) netnsWords(ns *topo.Node) (name, more string) {
	list := t.containers[ns.ID]
	if len(list) == 0 {
		words := []string{roleWord(ns)}
		if p := processWord(ns); p != "" {
			words = append(words, p)
		}
		if t.o.Wide {
			words = append(words, inodeWord(ns))
		}
		if h := holderWord(ns); h != "" {
			words = append(words, h)
		}
		return nsName(ns), strings.Join(words, ", ")
	}
	if pod := podOf(list); pod != "" {
		return "pod " + pod, plural(len(list), "container")
	}
	name = nameOf(list[0])
	if !t.o.Wide {
		name = shortTask(name) // the id tells people nothing and takes the room of the ports
	}
	return name, t.containerWords(list[0])
}

// podOf is the pod that all of several containers belong to.
func podOf(list []*topo.Node) string {
	if len(list) < 2 {
		return ""
	}
	for _, c := range list {
		if c.Attrs.Pod != list[0].Attrs.Pod {
			return ""
		}
	}
	return list[0].Attrs.Pod
}

func (t *tree) containerWords(c *topo.Node) string {
	words := []string{engineWord(c)}
	if p := t.o.ports(c.Attrs.Ports); len(p) > 0 {
		words = append(words, t.o.few(p, 2, " "))
	}
	if t.o.Wide {
		words = append(words, c.Attrs.Image)
		if c.Attrs.PID != 0 {
			words = append(words, fmt.Sprintf("pid %d", c.Attrs.PID))
		}
		if ns := t.homeOf[c.ID]; ns != nil {
			words = append(words, inodeWord(ns))
		}
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), " ")
}

// inside returns the rows below a namespace's place: who else is in it, what it balances, and the wires that are seen
// from nowhere else.
func (t *tree) inside(ns *topo.Node) []*row {
	rows := t.tenants(ns)
	rows = append(rows, t.balanced(ns)...)
	var links []*row
	for _, stray := range []bool{false, true} {
		for _, l := range t.links[ns.ID] {
			if t.shown[l.ID] || !stray && t.hangs(l) {
				continue
			}
			if up := t.upstream(l); up != nil && t.netnsOf[up.ID] != nil && t.isSwitch(t.netnsOf[up.ID]) {
				continue // it is drawn there
			}
			links = append(links, t.linkRow(l))
		}
	}
	return append(rows, t.foldBridges(t.foldMembers(sortRows(links), nil))...)
}

// tenants returns the containers of a namespace that its row does not name.
func (t *tree) tenants(ns *topo.Node) []*row {
	list := t.containers[ns.ID]
	pod := podOf(list) != ""
	var rows []*row
	for i, c := range list {
		if t.placed[c.ID] {
			continue
		}
		t.placed[c.ID] = true
		if i == 0 && !pod {
			continue
		}
		more := t.containerWords(c)
		if !pod {
			more += " " + t.g.dot + " shares this namespace"
		}
		r := text(span{t.o.clean(nameOf(c)), green}, span{"  " + t.o.clean(more), dim}).of(c)
		r.class, r.name = classMember, c.Name
		rows = append(rows, r)
	}
	return t.foldMembers(rows, nil)
}

// balanced returns the rows of the services whose virtual addresses a namespace holds.
func (t *tree) balanced(ns *topo.Node) []*row {
	var rows []*row
	for _, e := range t.edges(ns.ID, topo.EdgeBalances) {
		svc := t.node[e.To]
		s := "VIP " + bareAddr(cmp.Or(e.Attrs.Address, "?")) + " " + t.g.arrow + " service "
		var facts []string
		facts = append(facts, t.o.few(t.o.ports(svc.Attrs.Ports), 3, " "))
		if m := cmp.Or(e.Attrs.Mark, svc.Attrs.Mark); m != 0 {
			facts = append(facts, markWord(m))
		}
		r := text(span{s, plain}, span{t.o.clean(nameOf(svc)), magenta}, span{t.after(facts...), plain}).of(svc)
		r.class, r.name = classMember, svc.Name+e.Attrs.Address
		rows = append(rows, r)
	}
	return t.foldMembers(sortRows(rows), nil)
}
