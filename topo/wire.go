package topo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// wires describes the links of a namespace, each with what it hangs on:
//
//	eth0 → veth1a2b@docker0
//	eth0 → veth3@br0 (1-gz7t7pfi85) vxlan 4097
//	eth0 → macvlan bridge on eth1 (host)
func (g *Graph) wires(ns *Node, want func(*Node) bool) []string {
	var out []string
	for _, l := range g.linksIn(ns) {
		if want != nil && !want(l) {
			continue
		}
		if s := g.wire(ns, l); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// linksIn are the links of a namespace by ifindex.
func (g *Graph) linksIn(ns *Node) []*Node {
	var out []*Node
	for _, e := range g.In(ns.ID, EdgeIn) {
		if n, ok := g.Node(e.From); ok {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, func(x, y *Node) int {
		return cmp.Or(cmp.Compare(x.Attrs.Ifindex, y.Attrs.Ifindex), strings.Compare(x.ID, y.ID))
	})
	return out
}

func (g *Graph) wire(ns, l *Node) string {
	switch l.Attrs.Type {
	case "loopback":
		return ""
	case "gre", "gretap", "erspan", "ipip", "sit", "ip6tnl", "ip6gre", "vti", "vti6":
		if raw := g.Link(l); raw == nil || fallback(raw) {
			return ""
		}
	case "veth", "netkit":
		p := g.Peer(l)
		if p == nil {
			return l.Name + " → ?"
		}
		s := l.Name + " → " + p.Name
		m := g.Master(p)
		if m != nil {
			s += "@" + m.Name
		}
		if in, ok := g.Netns(p); ok && in != ns && (m == nil || in.Attrs.Role != RoleHost && in.Attrs.Role != RoleNode) {
			s += " (" + in.Name + ")"
		}
		if m != nil {
			for _, e := range g.In(m.ID, EdgePort) {
				if o, ok := g.Node(e.From); ok && o.Attrs.Type == "vxlan" {
					s += fmt.Sprintf(" vxlan %d", o.Attrs.VNI)
				}
			}
		}
		return s
	}
	if p := g.first(l, EdgeParent); p != nil {
		what := l.Attrs.Type
		if l.Attrs.Mode != "" {
			what += " " + l.Attrs.Mode
		}
		if l.Attrs.Vlan != 0 {
			what += fmt.Sprintf(" %d", l.Attrs.Vlan)
		}
		s := fmt.Sprintf("%s → %s on %s", l.Name, what, p.Name)
		if in, ok := g.Netns(p); ok && in != ns {
			s += " (" + in.Name + ")"
		}
		return s
	}
	switch {
	case l.Attrs.VNI != 0:
		return fmt.Sprintf("%s (%s %d)", l.Name, l.Attrs.Type, l.Attrs.VNI)
	case sitsOnParent(l.Attrs.Type):
		return l.Name + " → " + l.Attrs.Type + " on ?"
	}
	return fmt.Sprintf("%s (%s)", l.Name, l.Attrs.Type)
}

// Peer is the other end of a veth, nil where it is not proven.
func (g *Graph) Peer(l *Node) *Node {
	for _, e := range g.index().out[l.ID] {
		if e.Kind == EdgeVeth {
			n, _ := g.Node(e.To)
			return n
		}
	}
	for _, e := range g.index().in[l.ID] {
		if e.Kind == EdgeVeth {
			n, _ := g.Node(e.From)
			return n
		}
	}
	return nil
}

// Master is the bridge, bond or VRF that a link is a port of, nil for none.
func (g *Graph) Master(l *Node) *Node { return g.first(l, EdgePort) }

// first is the node at the end of the first edge of a kind.
func (g *Graph) first(n *Node, kind EdgeKind) *Node {
	for _, e := range g.index().out[n.ID] {
		if e.Kind == kind {
			to, _ := g.Node(e.To)
			return to
		}
	}
	return nil
}
