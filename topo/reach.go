package topo

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/nscope/nscope/inspect/snapshot"
)

// reach answers what is where as one namespace sees it: which links share its layer 2 segments, and where its packets to
// an address would arrive. It follows edges that the kernel proves, never a subnet: 172.17.0.0/16 exists on every host.
type reach struct {
	g    *Graph
	from *Node // the netns
}

// segment are the links that a frame sent on one of them can get to, each with how many tunnels are between, and who of
// them has an address.
type segment struct {
	links   map[*Node]int
	holder  map[netip.Addr][]*Node
	bridges []*Node
}

// local are a namespace's links and who of them has an address.
type local struct {
	links  []*Node
	holder map[netip.Addr][]*Node
}

// reachCache keeps what many questions ask for: matrices ask about every pair.
type reachCache struct {
	mu       sync.Mutex
	segments map[*Node]*segment
	locals   map[*Node]*local
}

func (g *Graph) reachOf(from *Node) *reach {
	ns, ok := g.Netns(from)
	if !ok {
		return nil
	}
	return &reach{g: g, from: ns}
}

// localOf are the links of a namespace.
func (r *reach) localOf(ns *Node) *local {
	c := &r.g.index().reach
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.locals[ns]; l != nil {
		return l
	}
	l := &local{links: r.g.linksIn(ns), holder: map[netip.Addr][]*Node{}}
	for _, x := range l.links {
		for _, a := range linkAddrs(x) {
			l.holder[a] = append(l.holder[a], x)
		}
	}
	if c.locals == nil {
		c.locals = map[*Node]*local{}
	}
	c.locals[ns] = l
	return l
}

// own are the segments of the namespace's own links.
func (r *reach) own() []*segment {
	var out []*segment
	for _, l := range r.localOf(r.from).links {
		if l.Attrs.Type == "loopback" {
			continue
		}
		if s := r.segment(l); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// segment walks the wires from a link: the other end of a pair, a bridge or bond and its ports, a macvlan's parent and its
// other children, the far ends of a vxlan. A VLAN's frames are tagged on its parent: that is another segment.
func (r *reach) segment(l *Node) *segment {
	c := &r.g.index().reach
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.segments[l]; s != nil {
		return s
	}
	s := &segment{links: map[*Node]int{l: 0}, holder: map[netip.Addr][]*Node{}}
	queue := []*Node{l}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		r.wires(at, func(next *Node, tunnels int) {
			d := s.links[at] + tunnels
			if old, ok := s.links[next]; !ok || d < old {
				s.links[next] = d
				queue = append(queue, next)
			}
		})
	}
	if c.segments == nil {
		c.segments = map[*Node]*segment{}
	}
	for x, d := range s.links {
		if x.Attrs.Type == "bridge" {
			s.bridges = append(s.bridges, x)
		}
		for _, a := range linkAddrs(x) {
			s.holder[a] = append(s.holder[a], x)
		}
		if d == 0 { // without a tunnel between, theirs is the same
			c.segments[x] = s
		}
	}
	return s
}

// wires calls f for each link that frames of another one get to directly.
func (r *reach) wires(l *Node, f func(next *Node, tunnels int)) {
	g := r.g
	if p := g.Peer(l); p != nil {
		f(p, 0)
	}
	if m := g.Master(l); m != nil && r.joins(l, m) {
		f(m, 0)
	}
	switch l.Attrs.Type {
	case "bridge", "bond", "team":
		for _, e := range g.In(l.ID, EdgePort) {
			if p, ok := g.Node(e.From); ok && r.joins(p, l) {
				f(p, 0)
			}
		}
	case "vxlan":
		if l.Attrs.VNI == 0 {
			break
		}
		for _, e := range append(g.Out(l.ID, EdgeTunnel), g.In(l.ID, EdgeTunnel)...) {
			id := e.To
			if id == l.ID {
				id = e.From
			}
			if o, ok := g.Node(id); ok && o.Kind == KindLink && o.Attrs.VNI == l.Attrs.VNI {
				f(o, 1)
			}
		}
	case "vlan":
	default:
		if p := g.first(l, EdgeParent); p != nil {
			f(p, 0)
		}
	}
	for _, e := range g.In(l.ID, EdgeParent) {
		if c, ok := g.Node(e.From); ok && c.Attrs.Type != "vlan" {
			f(c, 0)
		}
	}
}

// joins reports whether a port's frames and its master's are the same. A bridge that filters VLANs joins only ports whose
// untagged frames are in one VLAN with its own; a VRF joins nothing.
func (r *reach) joins(port, master *Node) bool {
	switch master.Attrs.Type {
	case "bond", "team":
		return true
	case "bridge":
	default:
		return false
	}
	p, m := r.g.Link(port), r.g.Link(master)
	if p == nil || m == nil || m.Bridge == nil || !m.Bridge.VlanFiltering {
		return true
	}
	if p.BridgePort == nil {
		return false
	}
	vlan := pvid(p.BridgePort.Vlans)
	return vlan != 0 && vlan == pvid(m.Bridge.Vlans)
}

func pvid(vlans []snapshot.BridgeVlan) uint16 {
	for _, v := range vlans {
		if v.PVID && v.Untagged {
			return v.From
		}
	}
	return 0
}

// holders are the links of a segment that have an address, only those with the fewest tunnels between: a frame's answer
// comes from there first, and every node of an overlay has its gateway's address.
func (s *segment) holders(a netip.Addr) []*Node {
	var out []*Node
	for _, l := range s.holder[a] {
		switch {
		case len(out) > 0 && s.links[l] > s.links[out[0]]:
			continue
		case len(out) > 0 && s.links[l] < s.links[out[0]]:
			out = nil
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(x, y *Node) int { return strings.Compare(x.ID, y.ID) })
	return out
}

// linkAddrs are a link's addresses.
func linkAddrs(l *Node) (out []netip.Addr) {
	for _, s := range l.Attrs.Addrs {
		if p, err := netip.ParsePrefix(s); err == nil {
			out = append(out, p.Addr().Unmap().WithZone(""))
		}
	}
	return out
}

// arrival is where packets to an address arrive.
type arrival struct {
	// links have the address there: several only where they are one service's balancers. None where nobody known has it.
	links []*Node
	// last is the last namespace on the way.
	last *Node
	// left is set where the packets leave what is known of, by way of last.
	left bool
}

// maxWalk bounds a walk: routes may lead in a circle.
const maxWalk = 32

// arrive follows the routes from the namespace to an address. Where a rule, several next hops or two holders leave a
// choice, it stops and knows nothing.
func (r *reach) arrive(a netip.Addr) arrival {
	at := r.from
	for range maxWalk {
		if own := r.localOf(at).holder[a]; len(own) > 0 {
			return arrival{links: own, last: at}
		}
		oif, via, ok := r.route(at, a)
		if !ok {
			return arrival{last: at}
		}
		s := r.segment(oif)
		found := s.holders(via)
		if via == a {
			if len(found) > 0 {
				if !r.oneHolder(found, a) {
					return arrival{last: at}
				}
				return arrival{links: found, last: at}
			}
			// A pair that no bridge joins: a route to a subnet that is behind the other end is not proven to be there.
			return arrival{last: at, left: true}
		}
		switch {
		case len(found) == 0:
			return arrival{last: at, left: true}
		case !r.oneNetns(found):
			return arrival{last: at}
		}
		next, ok := r.g.Netns(found[0])
		if !ok || next == at {
			return arrival{last: at}
		}
		at = next
	}
	return arrival{last: at}
}

func (r *reach) oneNetns(links []*Node) bool {
	return !slices.ContainsFunc(links, func(l *Node) bool { return l.Attrs.Netns != links[0].Attrs.Netns })
}

// oneHolder reports whether holders are one thing: of one namespace, or balancers of one service.
func (r *reach) oneHolder(links []*Node, a netip.Addr) bool {
	if r.oneNetns(links) {
		return true
	}
	first := r.g.serviceAt(links[0], a)
	return first != nil && !slices.ContainsFunc(links, func(l *Node) bool { return r.g.serviceAt(l, a) != first })
}

// serviceAt is the service whose VIP an address of a link is, nil for none.
func (g *Graph) serviceAt(l *Node, a netip.Addr) *Node {
	for _, e := range g.Out(l.Attrs.Netns, EdgeBalances) {
		if e.Attrs.Address == a.String() {
			n, _ := g.Node(e.To)
			return n
		}
	}
	return nil
}

// route is the way that a namespace's packets to an address take: the link, and the address of the next hop, which is the
// address itself where it is on the link. ok is false where there is none, or more than one.
func (r *reach) route(ns *Node, a netip.Addr) (oif *Node, via netip.Addr, ok bool) {
	raw := r.g.Namespace(ns)
	if raw == nil {
		return nil, via, false
	}
	for _, rule := range raw.Rules {
		standard := rule.Action == "lookup" && (rule.Table == 253 || rule.Table == 254 || rule.Table == 255) && !rule.Src.IsValid() && !rule.Dst.IsValid()
		if marked := rule.FwMark != 0 && !rule.Invert; !standard && !marked {
			return nil, via, false
		}
	}
	var best *snapshot.Route
	several := false
	for i := range raw.Routes {
		rt := &raw.Routes[i]
		if rt.Table != 254 && rt.Table != 0 || !rt.Dst.IsValid() || rt.Dst.Addr().Is4() != a.Is4() || !rt.Dst.Contains(a) || rt.Src.Bits() > 0 {
			continue
		}
		switch {
		case best == nil || rt.Dst.Bits() > best.Dst.Bits() || rt.Dst.Bits() == best.Dst.Bits() && rt.Metric < best.Metric:
			best, several = rt, false
		case rt.Dst.Bits() == best.Dst.Bits() && rt.Metric == best.Metric:
			several = true
		}
	}
	if best == nil || several || best.Type != "unicast" || len(best.NextHops) > 1 || best.Encap != "" {
		return nil, via, false
	}
	index, gw := best.OIF, best.Gateway
	if len(best.NextHops) == 1 {
		index, gw = best.NextHops[0].OIF, best.NextHops[0].Gateway
	}
	if best.NHID != 0 && index == 0 {
		return nil, via, false
	}
	via = a
	if gw.IsValid() {
		via = gw.Unmap().WithZone("")
	}
	for _, l := range r.localOf(ns).links {
		if l.Attrs.Ifindex == index {
			return l, via, true
		}
	}
	return nil, via, false
}
