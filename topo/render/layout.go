package render

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/topo"
)

// layouter turns a graph into a picture. Each host is a panel; in it a bridge with its ports is a band: its tunnels
// and NICs to the left of it, its ports to the right. What is in no bridge makes bands of its own. To the right of all
// bands stand the namespaces, each with its containers. Bands never overlap, so the only wires that can cross are
// those between ports and namespaces; both are ordered so that few do.
type layouter struct {
	*index
	o       Options
	t       *tree          // knows where each namespace has its place
	whole   *tree          // of the graph of which this is a folded part
	more    map[string]int // how many ports of a bridge are left out
	panels  []*panel
	drafts  []*draft
	anchors map[string]anchor
	vteps   []*draft
	pic     *picture
	colX    [columns]float64
	colW    [columns]float64
}

// anchor is where wires meet a node: a box, and how far below its top.
type anchor struct {
	d  *draft
	dy float64
}

func (a anchor) y() float64 { return a.d.y + a.dy }

// panel is a host or node.
type panel struct {
	s     *section
	num   int
	bands []*band
	units []*unit
	frame *frame
	y, h  float64
}

// band is a bridge with what is plugged into it, or links that are in none.
type band struct {
	space *space
	left  []*draft
	mid   *draft
	right []*draft
}

// space is a switching namespace whose bands get a frame of their own; none for a host's own.
type space struct {
	ns    *topo.Node
	title string
}

// unit is a namespace with its containers, or containers without.
type unit struct {
	ns    *topo.Node
	card  *draft // nil for none
	side  []*draft
	order float64
	name  string
	y, h  float64
}

func layout(g *topo.Graph, o Options) *picture {
	return newLayouter(g, o, nil, nil).picture()
}

func newLayouter(g *topo.Graph, o Options, whole *tree, more map[string]int) *layouter {
	t := newTree(g, o)
	if whole == nil {
		whole = t
	}
	return &layouter{index: newIndex(g), o: o, t: t, whole: whole, more: more, anchors: map[string]anchor{}, pic: &picture{}}
}

func (l *layouter) picture() *picture {
	l.fillPanels()
	l.each(topo.KindVTEP, func(n *topo.Node) {
		if len(l.in[n.ID]) == 0 {
			return
		}
		l.vteps = append(l.vteps, l.draft(n.ID, "vtep", colVTEP, bigLine(cmp.Or(n.Attrs.Node, nameOf(n))), smallLine(addressBeside(n))))
	})
	l.settle()
	l.place()
	l.wire()
	l.moreWires()
	l.legend()
	return l.pic
}

// fillPanels makes the panels with all that is in them, without places.
func (l *layouter) fillPanels() {
	for _, top := range l.t.sections {
		top.walk(func(s *section) {
			p := &panel{s: s, num: len(l.panels)}
			l.fill(p)
			if s.home != nil || len(p.bands)+len(p.units) > 0 {
				l.panels = append(l.panels, p)
			}
		})
	}
	l.strayServices()
}

func addressBeside(n *topo.Node) string {
	if n.Attrs.Node == "" {
		return "not inspected"
	}
	return n.Attrs.Address
}

func bigLine(s string) line   { return line{text: s, class: "n", size: textSize, middle: true} }
func smallLine(s string) line { return line{text: s, class: "s", size: smallSize} }

// draft makes a box and the anchor of its node.
func (l *layouter) draft(id, class string, col int, lines ...line) *draft {
	d := newDraft(id, class, col, lines...)
	l.drafts = append(l.drafts, d)
	if _, ok := l.anchors[id]; !ok {
		l.anchors[id] = anchor{d, d.h / 2}
	}
	return d
}

// fill makes a panel's bands and units.
func (l *layouter) fill(p *panel) {
	var framed []*topo.Node
	for _, n := range p.s.netns {
		switch {
		case n == p.s.home:
			p.bands = append(l.bands(n, nil), p.bands...)
			if len(l.containers[n.ID]) > 0 {
				p.units = append(p.units, l.unit(n))
			}
		case l.isSwitch(n):
			framed = append(framed, n)
			if len(l.containers[n.ID]) > 0 {
				p.units = append(p.units, l.unit(n))
			}
		default:
			if slices.ContainsFunc(l.links[n.ID], isBridge) {
				framed = append(framed, n)
			}
			p.units = append(p.units, l.unit(n))
		}
	}
	slices.SortStableFunc(framed, func(a, b *topo.Node) int {
		key := func(n *topo.Node) string {
			if n.Attrs.Role != topo.RoleOverlay {
				return "\x00" + nsName(n) // a wire of the host leads there: the fewer frames it passes, the better
			}
			return lastIf(n.Attrs.Network == "ingress") + cmp.Or(n.Attrs.Network, nsName(n))
		}
		return natural(key(a), key(b))
	})
	for _, n := range framed {
		bands := l.bands(n, &space{ns: n, title: l.spaceTitle(n)})
		if len(bands) == 0 && len(l.containers[n.ID]) == 0 {
			p.units = append(p.units, l.unit(n)) // nothing is known of it, but it is there
		}
		p.bands = append(p.bands, bands...)
	}
	// Every overlay container hangs on docker_gwbridge as well: beside the overlays its wires cross the fewest others.
	slices.SortStableFunc(p.bands, func(a, b *band) int {
		last := func(b *band) bool { return b.mid != nil && l.node[b.mid.id].Name == "docker_gwbridge" }
		return cmp.Compare(len(lastIf(last(a))), len(lastIf(last(b))))
	})
	for _, c := range p.s.loose {
		u := &unit{name: c.Name}
		u.side = append(u.side, l.containerCard(c))
		p.units = append(p.units, u)
	}
}

func (l *layouter) spaceTitle(n *topo.Node) string {
	name := nsName(n)
	if n.Attrs.Role != topo.RoleOverlay {
		return name + " · " + roleWord(n)
	}
	words := []string{"overlay", cmp.Or(n.Attrs.Network, "?")}
	if nws := l.networks[n.ID]; len(nws) > 0 {
		words[1] = cmp.Or(n.Attrs.Network, nws[0].Name)
		words = append(words, networkFacts(nws[0])...)
		return strings.Join(words[:2], " ") + " · " + strings.Join(append(words[2:], name), " · ")
	}
	return strings.Join(words, " ") + " · " + name
}

// inBand tells whether a link of a namespace with a card of its own belongs into the band of a bridge nevertheless.
func (l *layouter) inBand(n *topo.Node) bool {
	return isBridge(n) || l.hangs(n)
}

// hangs tells whether a link is a port of a bridge in its own namespace.
func (l *layouter) hangs(n *topo.Node) bool {
	m := l.master[n.ID]
	return m != nil && isBridge(m) && m != n && !isBridge(n) && l.netnsOf[m.ID] == l.netnsOf[n.ID]
}

// bands makes the bands of a switching namespace, or of the bridges inside one that is somebody's.
func (l *layouter) bands(ns *topo.Node, sp *space) []*band {
	var bridges, singles []*band
	direct := &band{space: sp}
	whole := l.isSwitch(ns)
	clusters := map[*topo.Node]*band{}
	for _, n := range l.links[ns.ID] {
		switch {
		case isBridge(n):
			b := &band{space: sp, mid: l.bridgeCard(n)}
			for _, p := range l.ports[n.ID] {
				if !l.hangs(p) || l.master[p.ID] != n {
					continue
				}
				if isPair(p) {
					b.right = append(b.right, l.pill(p))
				} else {
					b.left = append(b.left, l.linkCard(p))
				}
			}
			if l.more[n.ID] > 0 {
				b.right = append(b.right, l.morePill(n))
			}
			bridges = append(bridges, b)
		case !whole || l.hangs(n):
		case isPair(n) && !l.uplink(n):
			direct.right = append(direct.right, l.pill(n))
		default:
			root := l.root(n)
			b := clusters[root]
			if b == nil {
				b = &band{space: sp}
				clusters[root] = b
				singles = append(singles, b)
			}
			b.left = append(b.left, l.linkCard(n))
		}
	}
	slices.SortStableFunc(bridges, func(a, b *band) int {
		key := func(b *band) string {
			n := l.node[b.mid.id]
			name := n.Name
			if nws := l.carried(n); len(nws) > 0 {
				name = nws[0].Name
			}
			return lastIf(n.Name == "docker_gwbridge") + name
		}
		return natural(key(a), key(b))
	})
	r := append(singles, bridges...)
	if len(direct.right) > 0 {
		r = append(r, direct)
	}
	return r
}

// uplink tells whether one end of a pair is a namespace's way out rather than a port towards somebody.
func (l *layouter) uplink(n *topo.Node) bool {
	p := l.peer[n.ID]
	if p == nil || l.netnsOf[p.ID] == nil || l.netnsOf[p.ID] == l.netnsOf[n.ID] {
		return p == nil
	}
	return len(ownAddrs(n)) > 0 && l.isSwitch(l.netnsOf[p.ID])
}

// root is the link on which n sits in its own namespace, by way of parents and bonds.
func (l *layouter) root(n *topo.Node) *topo.Node {
	for range 8 {
		up := cmp.Or(l.parent[n.ID], l.master[n.ID])
		if up == nil || l.netnsOf[up.ID] != l.netnsOf[n.ID] || isBridge(up) || l.hangs(up) {
			return n
		}
		n = up
	}
	return n
}

// unit makes the card of a namespace, a line per link in it, and the cards of who is in it.
func (l *layouter) unit(ns *topo.Node) *unit {
	list := l.containers[ns.ID]
	u := &unit{ns: ns, name: nsName(ns)}
	title := nsName(ns)
	if len(list) > 0 && ns.Attrs.Inode != 0 && !isHome(ns) {
		title = "netns " + strconv.FormatUint(ns.Attrs.Inode, 10)
		u.name = list[0].Name
	}
	lines := []line{bigLine(title)}
	if len(list) == 0 || l.isSwitch(ns) {
		lines = append(lines, smallLine(roleWord(ns)))
	}
	head := len(lines)
	var rows []*topo.Node
	if !l.isSwitch(ns) {
		for _, n := range l.links[ns.ID] {
			if !l.inBand(n) {
				rows = append(rows, n)
			}
		}
		if len(l.links[ns.ID]) == 0 {
			word := "no links but lo"
			if !l.loopback[ns.ID] {
				word = "links not read"
			}
			lines = append(lines, smallLine(word))
		}
	}
	for _, n := range rows {
		addrs := mainAddrs(l.t.withoutVIPs(n, ns), false)
		text := nameOf(n)
		switch {
		case len(addrs) == 1:
			text += "  " + addrs[0]
		case len(addrs) > 1:
			text += fmt.Sprintf("  %s +%d", addrs[0], len(addrs)-1)
		case !isPair(n) && n.Attrs.Type != "":
			text += "  " + n.Attrs.Type
		}
		lines = append(lines, line{text: text, class: "r", size: smallSize, id: n.ID, tip: strings.TrimSpace(nameOf(n) + "  " + strings.Join(n.Attrs.Addrs, " "))})
	}
	u.card = l.draft(ns.ID, "netns", colNetns, lines...)
	for i, n := range rows {
		l.anchors[n.ID] = anchor{u.card, u.card.lineY(head + i)}
	}
	for _, c := range list {
		u.side = append(u.side, l.containerCard(c))
	}
	for _, e := range l.edges(ns.ID, topo.EdgeBalances) {
		u.side = append(u.side, l.serviceCard(l.node[e.To], e))
	}
	return u
}

// strayServices adds the services that no namespace balances, in a panel of their own.
func (l *layouter) strayServices() {
	p := &panel{s: &section{name: "services"}, num: len(l.panels)}
	l.each(topo.KindService, func(n *topo.Node) {
		if _, ok := l.anchors[n.ID]; !ok {
			p.units = append(p.units, &unit{name: n.Name, side: []*draft{l.serviceCard(n, nil)}})
		}
	})
	if len(p.units) > 0 {
		l.panels = append(l.panels, p)
	}
}

func joinDot(list ...string) string {
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	return strings.Join(list, " · ")
}
