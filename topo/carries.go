package topo

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// carries draws which link or namespace implements each network.
func (b *builder) carries() {
	b.carried = map[*link][]*netw{}
	for _, sp := range b.allSpaces() {
		if sp.role == RoleOverlay && sp.net != nil {
			b.edge(EdgeCarries, sp.node, sp.net.node, EdgeAttrs{})
		}
	}
	for _, n := range b.nets {
		for _, v := range n.views {
			home, sure := (*space)(nil), true
			switch {
			case v.eng == nil:
			case v.eng.home != nil:
				home = v.eng.home
			case v.eng.e.Root == "" && !strings.Contains(v.eng.e.ID, "@"):
				// The engine is gone; its bridges stay in the namespace of the host that it ran on.
				home, sure = v.src.k.space(v.src.snap.Host.InitNS), false
			}
			if home == nil {
				continue
			}
			if v.n.Bridge != "" {
				b.carriesBridge(n, v, home, sure)
			}
			if v.n.Parent != "" {
				b.carriesParent(n, v, home, sure)
			}
		}
	}
}

func (b *builder) carriesBridge(n *netw, v netView, home *space, sure bool) {
	l := home.byName[v.n.Bridge]
	if l == nil || l.l.Kind != "bridge" {
		if l != nil {
			b.gap(v.src, home.id, "networks", fmt.Sprintf("network %s is said to be carried by %s, which is no bridge", n.name, v.n.Bridge), "")
		}
		return
	}
	inside, global := 0, 0
	for _, a := range l.l.Addrs {
		ad := a.Prefix.Addr()
		if !ad.IsValid() || ad.IsLinkLocalUnicast() || ad.IsLoopback() {
			continue
		}
		global++
		if slices.ContainsFunc(v.n.Subnets, func(s snapshot.Subnet) bool { return s.Subnet.IsValid() && s.Subnet.Contains(ad) }) {
			inside++
		}
	}
	switch {
	case inside > 0 && sure:
		b.carry(l, n, "")
	case inside > 0 || sure && (global == 0 || len(v.n.Subnets) == 0):
		b.carry(l, n, SourceEngine)
	default:
		b.gap(v.src, home.id, "networks", fmt.Sprintf("network %s is said to be carried by %s, whose address is not in its subnet", n.name, v.n.Bridge), "")
	}
}

// carriesParent draws parent → network; it is proven by a member's link that sits on that parent.
func (b *builder) carriesParent(n *netw, v netView, home *space, sure bool) {
	l := home.byName[v.n.Parent]
	if l == nil {
		return
	}
	for child, parent := range b.parents {
		if parent == l && b.isMemberLink(child, n) {
			b.carry(l, n, "")
			return
		}
	}
	if sure {
		b.carry(l, n, SourceEngine)
	}
}

// isMemberLink reports whether a link has the address or MAC of an endpoint that its container has on a network.
func (b *builder) isMemberLink(l *link, n *netw) bool {
	for _, w := range l.sp.work {
		for i, ep := range w.w.Endpoints {
			if w.nets[i] != n {
				continue
			}
			if ep.MAC != "" && strings.EqualFold(ep.MAC, l.l.MAC) || hasAddr(l.l, ep.Addr.Addr()) || hasAddr(l.l, ep.Addr6.Addr()) {
				return true
			}
		}
	}
	return false
}

func (b *builder) carry(l *link, n *netw, source string) {
	if slices.Contains(b.carried[l], n) {
		return
	}
	b.carried[l] = append(b.carried[l], n)
	b.edge(EdgeCarries, l.node, n.node, EdgeAttrs{Source: source})
}

func hasAddr(l *snapshot.Link, a netip.Addr) bool {
	return a.IsValid() && slices.ContainsFunc(l.Addrs, func(x snapshot.Addr) bool { return x.Prefix.Addr() == a })
}
