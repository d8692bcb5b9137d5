package tui

import (
	"strings"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// each calls f for every node of a kind, in the graph's order.
func (e *env) each(kind topo.Kind, f func(*topo.Node)) {
	for i := range e.state.Graph.Nodes {
		if n := &e.state.Graph.Nodes[i]; n.Kind == kind {
			f(n)
		}
	}
}

func (e *env) severalHosts() bool { return len(e.state.Graph.Hosts) > 1 }

func (e *env) clean(s string) string { return render.Options{ASCII: e.look.ascii}.Clean(s) }

// arrows puts the look's arrow for the one that rows have.
func (e *env) arrows(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strings.ReplaceAll(strings.ReplaceAll(s, "→", e.look.arrow), "->", e.look.arrow)
	}
	return out
}

// linksOf are the links by which a container or namespace reaches out: all but lo and what is inside.
func (e *env) linksOf(id string) []string {
	g := e.state.Graph
	n := e.node(id)
	if n == nil {
		return nil
	}
	ns, ok := g.Netns(n)
	if !ok || n.Kind == topo.KindContainer && home(g, ns.ID) {
		return nil
	}
	var out []string
	for _, x := range g.In(ns.ID, topo.EdgeIn) {
		l := e.node(x.From)
		if l != nil && l.Attrs.Type != "loopback" && l.Attrs.Type != "bridge" && g.Master(l) == nil {
			out = append(out, l.ID)
		}
	}
	return out
}

// bridgesIn are the bridges of a namespace.
func (e *env) bridgesIn(ns string) []string {
	var out []string
	for _, x := range e.state.Graph.In(ns, topo.EdgeIn) {
		if l := e.node(x.From); l != nil && l.Attrs.Type == "bridge" {
			out = append(out, l.ID)
		}
	}
	return out
}

// owner is what people call a namespace: the container in it, or its own name.
func (e *env) owner(ns *topo.Node) string {
	for _, r := range e.state.Graph.In(ns.ID, topo.EdgeRunsIn) {
		if c := e.node(r.From); c != nil && !home(e.state.Graph, ns.ID) {
			return shortTask(nodeName(c))
		}
	}
	return nodeName(ns)
}

// farEnd is what a link leads to: the other end of a pair, what it sits on, the ends of a tunnel.
func (e *env) farEnd(l *topo.Node) string {
	g := e.state.Graph
	if p := g.Peer(l); p != nil {
		s := nodeName(p)
		if ns, ok := g.Netns(p); ok {
			s += " in " + e.owner(ns)
		}
		return s
	}
	var list []string
	for _, x := range g.Out(l.ID, topo.EdgeParent) {
		if p := e.node(x.To); p != nil {
			list = append(list, "on "+nodeName(p))
		}
	}
	for _, x := range g.Out(l.ID, topo.EdgeTunnel) {
		if p := e.node(x.To); p != nil {
			name := x.Attrs.Address
			if p.Attrs.Node != "" {
				name = p.Attrs.Node + " " + name
			}
			list = append(list, e.look.arrow+" "+name)
		}
	}
	if len(list) == 0 {
		if s := g.FarEnd(l); s != "" {
			return s
		}
	}
	return strings.Join(list, ", ")
}

// related are the ids under which a list may know a node: itself, then the container or namespace or link that it is
// nearest to.
func (e *env) related(id string) []string {
	out := []string{id}
	n := e.node(id)
	if n == nil {
		return out
	}
	g := e.state.Graph
	add := func(edges []*topo.Edge, from bool) {
		for _, x := range edges {
			if from {
				out = append(out, x.From)
			} else {
				out = append(out, x.To)
			}
		}
	}
	switch n.Kind {
	case topo.KindContainer:
		add(g.Out(id, topo.EdgeRunsIn), false)
		out = append(out, e.linksOf(id)...)
		add(g.In(id, topo.EdgeBackend), true)
	case topo.KindNetns:
		add(g.In(id, topo.EdgeRunsIn), true)
		out = append(out, e.linksOf(id)...)
		add(g.Out(id, topo.EdgeCarries), false)
	case topo.KindLink:
		ns := n.Attrs.Netns
		if p := g.Peer(n); p != nil && home(g, ns) {
			ns = p.Attrs.Netns
		}
		add(g.In(ns, topo.EdgeRunsIn), true)
		out = append(out, ns)
		add(g.Out(id, topo.EdgeCarries), false)
	case topo.KindNetwork:
		add(g.In(id, topo.EdgeCarries), true)
	case topo.KindService:
		add(g.In(id, topo.EdgeBalances), true)
		add(g.Out(id, topo.EdgeBackend), false)
	}
	return out
}
