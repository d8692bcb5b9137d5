package render

import (
	"cmp"
	"math"
	"slices"
)

// Distances, in pixels.
const (
	margin      = 28.0
	headSpace   = 26.0 // above the first panel, for the columns' names
	panelHead   = 40.0
	panelPad    = 20.0
	panelGap    = 40.0
	bandGap     = 20.0
	frameHead   = 26.0
	framePad    = 12.0
	portGap     = 7.0
	cardGap     = 8.0
	unitGap     = 14.0
	laneStep    = 7.0
	maxLanes    = 24
	panelFromC1 = 22.0 // from a panel's left edge to its first column
)

// columnGaps are the spaces to the right of the columns.
var columnGaps = [columns]float64{40, 46, 54, 130, 30, 0}

// settle gives each column its width and every box its labels.
func (l *layouter) settle() {
	used := [columns]bool{}
	for _, d := range l.drafts {
		l.colW[d.col] = math.Max(l.colW[d.col], math.Min(math.Max(d.w, columnWidths[d.col][0]), columnWidths[d.col][1]))
		used[d.col] = true
	}
	for _, d := range l.drafts {
		d.settle(l.colW[d.col])
	}
	x := margin
	for c := range l.colX {
		if c == colNIC {
			x += l.leftLanes() + panelFromC1
		}
		l.colX[c] = x
		if used[c] {
			x += l.colW[c] + columnGaps[c]
		}
	}
	l.pic.w = x + panelFromC1 + l.rightLanes() + margin
}

// port is an item of the column of ports: a pill, or the stand-in for a band without any.
type port struct {
	b       *band
	d       *draft
	h       float64
	targets []target // lines of namespace cards at the other end
	y       float64  // centre
}

// target is where a port leads to. The wire on which a namespace has its place weighs most: it is to be straight.
type target struct {
	anchor
	u      *unit
	weight float64
}

func (t target) y() float64 { return t.u.y - t.d.h/2 + t.dy }

// place gives every box its position.
func (l *layouter) place() {
	unitOf := map[*draft]*unit{}
	y := margin + headSpace
	for _, p := range l.panels {
		for _, u := range p.units {
			l.measure(u)
			if u.card != nil {
				unitOf[u.card] = u
			}
		}
		p.y = y
		l.placePanel(p, unitOf)
		y += p.h + panelGap
	}
	y -= panelGap
	l.placeVTEPs()
	for _, d := range l.vteps {
		y = math.Max(y, d.y+d.h)
	}
	l.pic.h = y + margin
}

// measure stacks a unit's cards; its height is that of the higher side.
func (l *layouter) measure(u *unit) {
	side := 0.0
	for i, d := range u.side {
		if i > 0 {
			side += cardGap
		}
		side += d.h
	}
	u.h = side
	if u.card != nil {
		u.h = math.Max(u.h, u.card.h)
	}
}

func (l *layouter) placePanel(p *panel, unitOf map[*draft]*unit) {
	inPanel := map[*unit]bool{}
	for _, u := range p.units {
		inPanel[u] = true
	}
	to := func(id string) (target, bool) {
		a, ok := l.anchors[id]
		if !ok || unitOf[a.d] == nil || !inPanel[unitOf[a.d]] {
			return target{}, false
		}
		t := target{anchor: a, u: unitOf[a.d], weight: 0.05}
		if t.u.ns != nil && (l.t.home[t.u.ns.ID] == id || l.t.home[t.u.ns.ID] == "") {
			t.weight = 1
		}
		return t, true
	}
	items := l.portItems(p, to)
	l.order(p, items)
	ports := flatten(p, items)
	l.solve(p, ports)
	l.finishPanel(p, ports)
}

// portItems makes the items of the ports' column, with what each leads to in the same panel.
func (l *layouter) portItems(p *panel, to func(string) (target, bool)) map[*band][]*port {
	items := map[*band][]*port{}
	for _, b := range p.bands {
		for _, d := range b.right {
			it := &port{b: b, d: d, h: d.h}
			if peer := l.peer[d.id]; peer != nil {
				if t, ok := to(peer.ID); ok {
					it.targets = append(it.targets, t)
				}
			}
			items[b] = append(items[b], it)
		}
		if len(b.right) == 0 {
			items[b] = []*port{{b: b, h: b.need()}}
		}
		// A macvlan's parent, or a bridge's child, is drawn to the children without a port between.
		for _, d := range append(slices.Clone(b.left), b.mid) {
			if d == nil {
				continue
			}
			for _, c := range l.children[d.id] {
				if t, ok := to(c.ID); ok {
					items[b][0].targets = append(items[b][0].targets, t)
				}
			}
		}
	}
	return items
}

// need is the least height of a band but for its ports.
func (b *band) need() float64 {
	h := 0.0
	for i, d := range b.left {
		if i > 0 {
			h += cardGap
		}
		h += d.h
	}
	if b.mid != nil {
		h = math.Max(h, b.mid.h)
	}
	return h
}

// lack is by how much a band is higher than its ports stacked tightly.
func (b *band) lack(items []*port) float64 {
	h := -portGap
	for _, it := range items {
		h += it.h + portGap
	}
	return math.Max(0, b.need()-h)
}

// order sorts units by the average of what leads to them, and ports by what they lead to, in turns.
func (l *layouter) order(p *panel, items map[*band][]*port) {
	slices.SortStableFunc(p.units, func(a, b *unit) int { return natural(a.name, b.name) })
	for round := range 4 {
		sum, n := map[*unit]float64{}, map[*unit]float64{}
		i := 0.0
		for k, b := range p.bands {
			for _, it := range items[b] {
				i++
				for j, t := range it.targets {
					at := i + float64(j)/float64(len(it.targets))
					if round == 0 {
						at = float64(k)*1e3 + float64(j)
					}
					sum[t.u] += at * t.weight
					n[t.u] += t.weight
				}
			}
		}
		for _, u := range p.units {
			u.order = math.Inf(1)
			if n[u] > 0 {
				u.order = sum[u] / n[u]
			}
		}
		l.orderStrays(p)
		slices.SortStableFunc(p.units, func(a, b *unit) int { return cmp.Compare(a.order, b.order) })
		place := map[*unit]float64{}
		for i, u := range p.units {
			place[u] = float64(i)
		}
		for _, b := range p.bands {
			key := func(it *port) float64 {
				if len(it.targets) == 0 {
					return math.Inf(1)
				}
				return place[it.targets[0].u] + it.targets[0].dy/1e4
			}
			slices.SortStableFunc(items[b], func(x, y *port) int { return cmp.Compare(key(x), key(y)) })
		}
	}
}

// orderStrays puts namespaces that no port leads to beside those that they are wired to, the rest at the end.
func (l *layouter) orderStrays(p *panel) {
	of := map[string]*unit{}
	for _, u := range p.units {
		if u.ns != nil && !l.isSwitch(u.ns) {
			of[u.ns.ID] = u
		}
	}
	rank := 1e6
	var visit func(u *unit, order float64)
	visit = func(u *unit, order float64) {
		u.order = order
		for _, n := range l.links[u.ns.ID] {
			if peer := l.peer[n.ID]; peer != nil && l.netnsOf[peer.ID] != nil {
				if v := of[l.netnsOf[peer.ID].ID]; v != nil && math.IsInf(v.order, 1) {
					visit(v, order+1e-3)
				}
			}
		}
	}
	for _, u := range p.units {
		if u.ns != nil && of[u.ns.ID] != nil && !math.IsInf(u.order, 1) {
			visit(u, u.order)
		}
	}
	for _, u := range p.units {
		if u.ns != nil && of[u.ns.ID] != nil && math.IsInf(u.order, 1) && len(l.links[u.ns.ID]) > 0 {
			rank++
			visit(u, rank)
		}
	}
}

// flatten joins the bands' items from top to bottom.
func flatten(p *panel, items map[*band][]*port) []*port {
	var all []*port
	for _, b := range p.bands {
		all = append(all, items[b]...)
	}
	return all
}

// solve finds heights: each unit at the average of its ports, each port beside its namespace's line, nothing closer
// than it may be.
func (l *layouter) solve(p *panel, ports []*port) {
	perBand := map[*band][]*port{}
	for _, it := range ports {
		perBand[it.b] = append(perBand[it.b], it)
	}
	gapP := make([]float64, len(ports)) // to the one above
	for i, it := range ports {
		if i == 0 {
			gapP[i] = it.h/2 + it.b.lack(perBand[it.b])/2
			if it.b.space != nil {
				gapP[i] += frameHead
			}
			continue
		}
		up := ports[i-1]
		gapP[i] = up.h/2 + it.h/2
		if up.b == it.b {
			gapP[i] += portGap
			continue
		}
		gapP[i] += bandGap + up.b.lack(perBand[up.b])/2 + it.b.lack(perBand[it.b])/2
		if up.b.space != it.b.space {
			if up.b.space != nil {
				gapP[i] += framePad
			}
			if it.b.space != nil {
				gapP[i] += frameHead
			}
		}
	}
	gapU := make([]float64, len(p.units))
	for i, u := range p.units {
		gapU[i] = u.h / 2
		if i > 0 {
			gapU[i] += p.units[i-1].h/2 + unitGap
		}
	}
	wantU, weightU := make([]float64, len(p.units)), make([]float64, len(p.units))
	wantP, weightP := make([]float64, len(ports)), make([]float64, len(ports))
	spread(wantU, weightU, gapU, func(i int, y float64) { p.units[i].y = y })
	for range 12 {
		for i, it := range ports {
			wantP[i], weightP[i] = it.y, 1e-4
			if len(it.targets) > 0 {
				sum, n := 0.0, 0.0
				for _, t := range it.targets {
					sum += t.y() * t.weight
					n += t.weight
				}
				wantP[i], weightP[i] = sum/n, n
			}
		}
		spread(wantP, weightP, gapP, func(i int, y float64) { ports[i].y = y })
		sum, n := map[*unit]float64{}, map[*unit]float64{}
		for _, it := range ports {
			for _, t := range it.targets {
				sum[t.u] += (it.y + t.u.y - t.y()) * t.weight
				n[t.u] += t.weight
			}
		}
		for i, u := range p.units {
			wantU[i], weightU[i] = u.y, 1e-4
			if n[u] > 0 {
				wantU[i], weightU[i] = sum[u]/n[u], n[u]
			}
		}
		spread(wantU, weightU, gapU, func(i int, y float64) { p.units[i].y = y })
	}
	// Both columns begin at the top together: what is free above the first of both is nobody's.
	free := math.Inf(1)
	if len(ports) > 0 {
		free = math.Min(free, ports[0].y-gapP[0])
	}
	if len(p.units) > 0 {
		free = math.Min(free, p.units[0].y-gapU[0])
	}
	top := p.y + panelHead
	for _, it := range ports {
		it.y += top - free
	}
	for _, u := range p.units {
		u.y += top - free
	}
}

// spread finds positions as near as possible to those wanted, weighted, of which each is at least gap below the one
// before (isotonic regression by pooling adjacent violators). The first may be anywhere.
func spread(want, weight, gap []float64, set func(int, float64)) {
	type pool struct {
		sum, w float64
		from   int
	}
	var pools []pool
	offset, off := make([]float64, len(want)), 0.0
	for i := range want {
		off += gap[i]
		offset[i] = off
		w := math.Max(weight[i], 1e-6)
		pools = append(pools, pool{(want[i] - off) * w, w, i})
		for n := len(pools); n > 1 && pools[n-2].sum/pools[n-2].w >= pools[n-1].sum/pools[n-1].w; n = len(pools) {
			pools[n-2].sum += pools[n-1].sum
			pools[n-2].w += pools[n-1].w
			pools = pools[:n-1]
		}
	}
	for k, q := range pools {
		to := len(want)
		if k+1 < len(pools) {
			to = pools[k+1].from
		}
		for i := q.from; i < to; i++ {
			set(i, q.sum/q.w+offset[i])
		}
	}
}
