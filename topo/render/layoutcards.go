package render

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/nscope/nscope/topo"
)

func (l *layouter) pill(n *topo.Node) *draft {
	d := l.draft(n.ID, "port", colPort, bigLine(nameOf(n)))
	d.dot = stateWord(n) != ""
	return d
}

func (l *layouter) linkCard(n *topo.Node) *draft {
	class, what := "nic", linkFacts(n, true)
	switch {
	case isNIC(n) && n.Attrs.Type != "bond":
		what = "NIC"
	case n.Attrs.Type == "vxlan" || n.Attrs.VNI != 0 || n.Attrs.Type == "geneve" || n.Attrs.Type == "gre" || n.Attrs.Type == "wireguard":
		class = "tunnel"
	case isPair(n):
		what = n.Attrs.Type
	}
	var nets []string
	for _, nw := range l.networks[n.ID] {
		nets = append(nets, nw.Name)
	}
	lines := []line{bigLine(nameOf(n)), smallLine(joinDot(what, stateWord(n)))}
	lines = append(lines, l.addrLines(n)...)
	if len(nets) > 0 {
		lines = append(lines, line{text: "network " + strings.Join(nets, ", "), class: "w", size: smallSize})
	}
	d := l.draft(n.ID, class, colNIC, lines...)
	d.dot = stateWord(n) != ""
	return d
}

func (l *layouter) addrLines(n *topo.Node) []line {
	addrs := ownAddrs(n)
	var r []line
	for i, a := range addrs {
		if i == 2 && len(addrs) > 3 {
			r = append(r, smallLine(fmt.Sprintf("%d more addresses", len(addrs)-i)))
			break
		}
		r = append(r, smallLine(a))
	}
	return r
}

func (l *layouter) bridgeCard(n *topo.Node) *draft {
	lines := []line{bigLine(nameOf(n)), smallLine(joinDot(cmp.Or(n.Attrs.Type, "bridge"), stateWord(n)))}
	lines = append(lines, l.addrLines(n)...)
	for _, nw := range l.carried(n) {
		lines = append(lines, line{text: "network " + nw.Name, class: "w", size: smallSize})
	}
	d := l.draft(n.ID, "bridge", colBridge, lines...)
	d.dot = stateWord(n) != ""
	return d
}

func (l *layouter) containerCard(c *topo.Node) *draft {
	state := c.Attrs.State
	if state == "running" {
		state = ""
	}
	d := l.draft(c.ID, "container", colContainer, bigLine(nameOf(c)), smallLine(joinDot(c.Attrs.Engine, state, c.Attrs.Image)),
		smallLine(l.o.few(l.o.ports(c.Attrs.Ports), 3, " ")))
	d.dot = state != ""
	return d
}

func (l *layouter) serviceCard(n *topo.Node, e *topo.Edge) *draft {
	vip := ""
	if e != nil && e.Attrs.Address != "" {
		vip = "VIP " + bareAddr(e.Attrs.Address)
	}
	mark := ""
	if e != nil && e.Attrs.Mark != 0 {
		mark = markWord(e.Attrs.Mark)
	}
	return l.draft(n.ID, "service", colContainer, bigLine(nameOf(n)), smallLine(joinDot("service", vip, mark)),
		smallLine(l.o.few(l.o.ports(n.Attrs.Ports), 3, " ")))
}
