package render

import (
	"math"

	"github.com/nscope/nscope/topo"
)

// finishPanel puts the boxes where the solved items are, and draws the frames around them.
func (l *layouter) finishPanel(p *panel, ports []*port) {
	bottom := p.y + panelHead
	spaces := map[*space]*[2]float64{}
	var order []*space
	put := func(d *draft, y float64) {
		d.x, d.y, d.panel = l.colX[d.col], y, p.num
		bottom = math.Max(bottom, y+d.h)
		l.pic.boxes = append(l.pic.boxes, d.box)
	}
	span := map[*band]*[2]float64{}
	for _, it := range ports {
		if it.d != nil {
			put(it.d, it.y-it.h/2)
		}
		grow(span, it.b, it.y-it.h/2, it.y+it.h/2)
	}
	for _, b := range p.bands {
		mid := (span[b][0] + span[b][1]) / 2
		if b.mid != nil {
			put(b.mid, mid-b.mid.h/2)
			grow(span, b, b.mid.y, b.mid.y+b.mid.h)
		}
		h := -cardGap
		for _, d := range b.left {
			h += d.h + cardGap
		}
		y := mid - h/2
		for _, d := range b.left {
			put(d, y)
			grow(span, b, d.y, d.y+d.h)
			y += d.h + cardGap
		}
		if b.space != nil {
			if spaces[b.space] == nil {
				order = append(order, b.space)
			}
			grow(spaces, b.space, span[b][0], span[b][1])
		}
	}
	for _, u := range p.units {
		y := u.y
		if u.card != nil {
			put(u.card, u.y-u.card.h/2)
		}
		h := -cardGap
		for _, d := range u.side {
			h += d.h + cardGap
		}
		y -= h / 2
		for _, d := range u.side {
			put(d, y)
			y += d.h + cardGap
		}
	}
	left, right := l.colX[colNIC]-panelFromC1, l.pic.w-margin-l.rightLanes()
	for _, s := range order {
		f := &frame{id: s.ns.ID, class: "space", x: l.colX[colNIC] - framePad, y: spaces[s][0] - frameHead}
		f.w = l.colX[colPort] + l.colW[colPort] + framePad - f.x
		f.h = spaces[s][1] + framePad - f.y
		bottom = math.Max(bottom, f.y+f.h)
		f.labels = []label{{x: f.x + framePad, y: f.y + 16, size: smallSize, class: "f", text: fitText(s.title, smallSize, f.w-2*framePad, false)}}
		l.pic.frames = append(l.pic.frames, f)
	}
	p.h = bottom + panelPad - p.y
	title, sub := l.panelTitle(p)
	p.frame = &frame{class: "panel", x: left, y: p.y, w: right - left, h: p.h}
	if p.s.home != nil {
		p.frame.id = p.s.home.ID
	}
	room := p.frame.w - 2*panelPad
	t := fitText(title, 15, room, true)
	p.frame.labels = []label{{x: left + panelPad - 4, y: p.y + 23, size: 15, class: "t", text: t}}
	if rest := room - extent(t, 15) - 16; rest > 60 {
		p.frame.labels = append(p.frame.labels, label{x: left + panelPad - 4 + extent(t, 15) + 14, y: p.y + 23, size: smallSize, class: "s", text: fitText(sub, smallSize, rest, false)})
	}
	l.pic.frames = append(l.pic.frames, p.frame)
}

func grow[K comparable](m map[K]*[2]float64, k K, from, to float64) {
	if m[k] == nil {
		m[k] = &[2]float64{from, to}
	}
	m[k][0], m[k][1] = math.Min(m[k][0], from), math.Max(m[k][1], to)
}

func (l *layouter) panelTitle(p *panel) (title, sub string) {
	if p.s.home == nil && len(p.s.netns) == 0 && len(p.s.loose) == 0 {
		return p.s.name, "that no namespace here balances"
	}
	containers, namespaces := p.s.count(l.whole.index) // of the host, not of what is drawn where that is folded
	if l.more != nil {
		namespaces = 0
		l.whole.each(topo.KindNetns, func(n *topo.Node) {
			if n.Host == p.s.name {
				namespaces++
			}
		})
	}
	kernel := ""
	for _, h := range l.g.Hosts {
		if h.Name == p.s.name && h.Kernel != "" {
			kernel = "Linux " + h.Kernel
		}
	}
	word := p.s.word()
	title = p.s.name
	if title == "" {
		title, word = "elsewhere", "of no known host"
	}
	return title, joinDot(word, kernel, when(containers > 0, plural(containers, "container")), when(namespaces > 0, plural(namespaces, "namespace")))
}

// placeVTEPs puts the ends of tunnels that were not inspected beside what leads to them.
func (l *layouter) placeVTEPs() {
	want, weight, gap := make([]float64, len(l.vteps)), make([]float64, len(l.vteps)), make([]float64, len(l.vteps))
	for i, d := range l.vteps {
		n := 0.0
		for _, e := range l.edgesTo(d.id, topo.EdgeTunnel) {
			if a, ok := l.anchors[e.From]; ok {
				want[i] += a.y()
				n++
			}
		}
		if n > 0 {
			want[i] /= n
		}
		weight[i] = 1
		gap[i] = d.h / 2
		if i > 0 {
			gap[i] += l.vteps[i-1].h/2 + 18
		}
	}
	at := make([]float64, len(l.vteps))
	spread(want, weight, gap, func(i int, y float64) { at[i] = y })
	shift := 0.0
	if len(at) > 0 {
		shift = math.Max(0, margin+headSpace-(at[0]-l.vteps[0].h/2))
	}
	for i, d := range l.vteps {
		d.x, d.y, d.panel = l.colX[colVTEP], at[i]+shift-d.h/2, -1
		l.pic.boxes = append(l.pic.boxes, d.box)
	}
}
