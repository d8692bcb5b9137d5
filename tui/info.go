package tui

import (
	"fmt"
	"strings"

	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/topo/render"
)

// drawInfo draws one line about a node: what it is, what it leads to, and how busy it is.
func (e *env) drawInfo(cv canvas, id string) {
	n := e.node(id)
	if n == nil {
		return
	}
	cv.fill(0, 0, cv.w, 1, plain, ' ')
	x := 1
	if sign, st := e.sign(id); sign != "" {
		x = cv.put(x, 0, st, sign) + 1
	}
	x = cv.text(x, 0, cv.w/2, strong, nodeName(n)) + 2
	links := []string{}
	switch n.Kind {
	case topo.KindLink:
		links = append(links, id)
	case topo.KindContainer, topo.KindNetns:
		links = e.linksOf(id)
	}
	rate, trend := "", ""
	if len(links) > 0 {
		e.watch(links...)
		if r, ok := e.rates.of(links); ok {
			rate = perSecond(r.packets) + " pkt/s " + perSecond(r.bytes) + " B/s"
			if r.drops > 0 {
				rate += " " + perSecond(r.drops) + " drops/s"
			}
			trend = e.look.sparkline(e.rates.past(links, 12))
		}
	}
	room := cv.w - 1
	if rate != "" {
		room -= render.TextWidth(rate) + render.TextWidth(trend) + 4
	}
	cv.text(x, 0, room-x, plain, e.sentence(n))
	if rate != "" && room > x {
		cv.put(room+2, 0, wire, trend)
		cv.put(room+3+render.TextWidth(trend), 0, plain, rate)
	}
}

// sentence says of a node what is worth knowing first.
func (e *env) sentence(n *topo.Node) string {
	a := &n.Attrs
	g := e.state.Graph
	var w []string
	add := func(format string, args ...any) { w = append(w, fmt.Sprintf(format, args...)) }
	switch n.Kind {
	case topo.KindLink:
		w = append(w, a.Type, a.State)
		if a.VNI != 0 {
			add("vni %d port %d", a.VNI, a.Port)
		}
		w = append(w, mainAddrs(a.Addrs)...)
		if m := g.Master(n); m != nil {
			add("port of %s", nodeName(m))
		}
		if f := e.farEnd(n); f != "" {
			w = append(w, strings.TrimPrefix(e.look.arrow+" "+f, e.look.arrow+" "+e.look.arrow+" "))
		}
		if ns, ok := g.Netns(n); ok {
			add("in %s", e.owner(ns))
		}
		if e.wide {
			add("mtu %d %s", a.MTU, a.MAC)
		}
	case topo.KindNetns:
		w = append(w, a.Role+" namespace", inode(a.Inode))
		if a.Network != "" {
			add("of network %s", a.Network)
		}
		if a.Procs > 0 {
			w = append(w, plural(a.Procs, "process", "processes"))
		}
	case topo.KindContainer:
		w = append(w, a.Engine, a.Image, a.State, a.Mode)
		w = append(w, a.Addrs...)
		w = append(w, e.arrows(a.Ports)...)
	case topo.KindNetwork:
		w = append(w, a.Driver+" network")
		w = append(w, a.Subnets...)
	case topo.KindService:
		w = append(w, "service")
		for _, v := range a.VIPs {
			w = append(w, "VIP "+bareAddr(v))
		}
		w = append(w, e.arrows(a.Ports)...)
		w = append(w, plural(len(g.Out(n.ID, topo.EdgeBackend)), "member", "members")+" (enter)")
	case topo.KindVTEP:
		w = append(w, "tunnel end of "+a.Node, "not inspected")
	}
	out := w[:0]
	for _, s := range w {
		if s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, " "+e.look.dot+" ")
}
