package topo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// maxPIDs is how many processes of a namespace a node lists.
const maxPIDs = 16

// addSpaces makes the namespace nodes.
func (b *builder) addSpaces() {
	for _, sp := range b.allSpaces() {
		a := NodeAttrs{Role: sp.role, Inode: sp.id.Inode(), Cookie: sp.ns.Cookie}
		pids := map[int]bool{}
		for _, h := range sp.ns.Holders {
			a.Holders = append(a.Holders, holderText(h))
			switch h.Kind {
			case snapshot.HolderProc:
				pids[h.PID] = true
			case snapshot.HolderMount:
				a.Paths = append(a.Paths, h.Path)
			}
		}
		a.Holders, a.Paths, a.Procs = sortedSet(a.Holders), sortedSet(a.Paths), len(pids)
		if len(pids) > 0 {
			a.PIDs = sortedKeys(pids)
			a.PIDs = a.PIDs[:min(len(a.PIDs), maxPIDs):min(len(a.PIDs), maxPIDs)]
		}
		b.node(Node{ID: sp.node, Kind: KindNetns, Host: sp.place, Attrs: a}, raw{src: sp.src, sp: sp})
	}
}

// holderText is a holder as people read it: "proc 1234 nginx", "mount /run/netns/x", "fd 12 of 1234 dockerd".
func holderText(h snapshot.Holder) string {
	var s string
	switch h.Kind {
	case snapshot.HolderThread:
		s = fmt.Sprintf("thread %d of %d %s", h.TID, h.PID, h.Comm)
	case snapshot.HolderMount:
		s = "mount " + h.Path
		if h.Root != "" {
			s += " in " + h.Root
		}
	case snapshot.HolderFD, snapshot.HolderSocket:
		s = fmt.Sprintf("%s %d of %d %s", h.Kind, h.FD, h.PID, h.Comm)
	case snapshot.HolderLink:
		s = "link"
		if h.Via != "" && h.NSID != nil {
			s = fmt.Sprintf("link nsid %d of netns %s", *h.NSID, h.Via.Short())
		}
	default:
		s = fmt.Sprintf("%s %d %s", h.Kind, h.PID, h.Comm)
	}
	return strings.TrimSpace(s)
}

// addLinks makes the link nodes, and draws where each is, its master and its parent.
func (b *builder) addLinks() {
	b.parents = map[*link]*link{}
	for _, sp := range b.allSpaces() {
		for _, l := range sp.links {
			b.node(b.linkNode(l), raw{src: sp.src, sp: sp, link: l})
			b.edge(EdgeIn, l.node, sp.node, EdgeAttrs{})
		}
		b.ports(sp)
	}
	for _, sp := range b.allSpaces() {
		for _, l := range sp.links {
			if sitsOnParent(l.l.Kind) {
				b.parent(l)
			}
		}
	}
	b.breakParentCircles()
	for _, sp := range b.allSpaces() {
		for _, l := range sp.links {
			if p := b.parents[l]; p != nil {
				b.edge(EdgeParent, l.node, p.node, EdgeAttrs{})
			}
		}
	}
}

func (b *builder) linkNode(k *link) Node {
	l := k.l
	a := NodeAttrs{Type: l.Kind, Ifindex: l.Index, MAC: strings.ToLower(l.MAC), MTU: l.MTU, State: l.State, Netns: k.sp.node, Alias: l.Alias}
	if a.Type == "" {
		a.Type = "device"
		if l.Type == "loopback" {
			a.Type = "loopback"
		}
	}
	for _, ad := range l.Addrs {
		if ad.Prefix.IsValid() {
			a.Addrs = append(a.Addrs, ad.Prefix.String())
		}
	}
	a.Addrs = sortAddrs(a.Addrs)
	switch {
	case l.Vxlan != nil:
		a.VNI, a.Port = l.Vxlan.VNI, l.Vxlan.Port
		if l.Vxlan.Local.IsValid() {
			a.Local = l.Vxlan.Local.String()
		}
	case l.Macvlan != nil:
		a.Mode = l.Macvlan.Mode
	case l.Ipvlan != nil:
		a.Mode = l.Ipvlan.Mode
	case l.Vlan != nil:
		a.Vlan = l.Vlan.ID
	case l.Bond != nil:
		a.Mode = l.Bond.Mode
	case l.Tun != nil:
		a.Mode = l.Tun.Mode
	case l.Tunnel != nil:
		a.Port = l.Tunnel.Port
		if l.Kind == "geneve" {
			a.VNI = l.Tunnel.Key
		}
		if l.Tunnel.Local.IsValid() {
			a.Local = l.Tunnel.Local.String()
		}
	}
	return Node{ID: k.node, Kind: KindLink, Name: cmp.Or(l.Name, fmt.Sprintf("if%d", l.Index)), Host: k.sp.place, Attrs: a}
}

// master finds the link that another one is a port of, nil for none.
func (l *link) master() *link {
	if l.l.Master == 0 || l.l.Master == l.l.Index {
		return nil
	}
	m := l.sp.byIdx[l.l.Master]
	if m == nil || l.l.MasterKind != "" && m.l.Kind != "" && m.l.Kind != l.l.MasterKind {
		return nil
	}
	return m
}

// ports draws the ports of one namespace's bridges, bonds and VRFs. IFLA_MASTER is an ifindex of the same namespace.
func (b *builder) ports(sp *space) {
	for _, l := range sp.links {
		if l.l.Master == 0 {
			continue
		}
		m := l.master()
		if m == nil || circular(l) {
			b.gap(sp.src, sp.id, "links", fmt.Sprintf("the master of %s is said to be ifindex %d, which is no link that it can be a port of", l.l.Name, l.l.Master), "")
			continue
		}
		a := EdgeAttrs{}
		if l.l.BridgePort != nil {
			a.State = l.l.BridgePort.State
		}
		b.edge(EdgePort, l.node, m.node, a)
	}
}

// circular reports whether following masters from a link comes back to it. No kernel has that; a file may.
func circular(l *link) bool {
	for m, n := l.master(), 0; m != nil && n < 64; m, n = m.master(), n+1 {
		if m == l {
			return true
		}
	}
	return false
}

// sitsOnParent tells the kinds whose IFLA_LINK is a parent device, in whatever namespace.
func sitsOnParent(kind string) bool {
	switch kind {
	case "macvlan", "macvtap", "ipvlan", "ipvtap", "vlan", "macsec":
		return true
	}
	return false
}

// peerSpace is the namespace in which a link's Peer.Index counts: proven by the collector, or the link's own where the
// kernel gives no nsid. It is nil where it could not be told.
func (l *link) peerSpace() *space {
	p := l.l.Peer
	if p == nil {
		return nil
	}
	if p.Namespace != "" {
		return l.sp.k.space(p.Namespace)
	}
	if p.NSID == nil {
		return l.sp
	}
	return nil
}

func (b *builder) parent(l *link) {
	p := l.l.Peer
	if p == nil || p.Index == 0 {
		b.gap(l.sp.src, l.sp.id, "links", fmt.Sprintf("the kernel gives no parent of %s %s", l.l.Kind, l.l.Name), "")
		return
	}
	in := l.peerSpace()
	if in == nil {
		b.untold(l.sp, fmt.Sprintf("the namespace of the parent of %s %s could not be told", l.l.Kind, l.l.Name))
		return
	}
	to := in.byIdx[p.Index]
	switch {
	case to == l:
		b.gap(l.sp.src, l.sp.id, "links", fmt.Sprintf("%s %s is said to sit on itself", l.l.Kind, l.l.Name), "")
	case to != nil:
		b.parents[l] = to
	case len(in.links) > 0:
		b.gap(l.sp.src, l.sp.id, "links", fmt.Sprintf("the parent of %s %s, ifindex %d in netns %s, is gone", l.l.Kind, l.l.Name, p.Index, in.id.Short()), "")
	}
}

// breakParentCircles takes out parents that lead in a circle, which only a forged file has.
func (b *builder) breakParentCircles() {
	var bad []*link
	for l := range b.parents {
		for p, n := b.parents[l], 0; p != nil && n < 64; p, n = b.parents[p], n+1 {
			if p == l {
				bad = append(bad, l)
				break
			}
		}
	}
	slices.SortFunc(bad, func(x, y *link) int { return strings.Compare(x.node, y.node) })
	for _, l := range bad {
		delete(b.parents, l)
		b.gap(l.sp.src, l.sp.id, "links", fmt.Sprintf("the parents of %s %s lead in a circle", l.l.Kind, l.l.Name), "")
	}
}
