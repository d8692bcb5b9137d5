package topo

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// tunnelSpace is the namespace in which a tunnel's outer packets travel, nil where it could not be told or the link is
// no tunnel. A vxlan's IFLA_LINK is its own ifindex once it was moved: only the namespace counts (domain.md §2).
func (l *link) tunnelSpace() *space {
	switch l.l.Kind {
	case "vxlan", "geneve", "bareudp", "gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan", "ipip", "sit", "ip6tnl", "vti", "vti6", "wireguard":
	default:
		return nil
	}
	if l.l.Peer == nil {
		return l.sp
	}
	return l.peerSpace()
}

// fallback tells the device that a tunnel module makes in every namespace (gre0, tunl0, sit0 …): it carries nothing.
func fallback(l *snapshot.Link) bool {
	t := l.Tunnel
	return t != nil && !t.External && t.Link == 0 && !t.Remote.IsValid() && l.Kind != "geneve" ||
		t != nil && t.Link == 0 && t.Remote.IsValid() && t.Remote.IsUnspecified()
}

// underlays draws each tunnel to the namespace, and the link where the kernel names one, that carries it.
func (b *builder) underlays() {
	b.overIn = map[*link]*space{}
	for _, sp := range b.allSpaces() {
		for _, l := range sp.links {
			in := l.tunnelSpace()
			if in == nil {
				if p := l.l.Peer; l.l.Kind == "vxlan" && p != nil {
					b.untold(sp, fmt.Sprintf("the namespace that carries %s %s could not be told", l.l.Kind, l.l.Name))
				}
				continue
			}
			b.overIn[l] = in
			if in == sp && fallback(l.l) {
				continue
			}
			b.edge(EdgeUnderlay, l.node, in.node, EdgeAttrs{})
			under := 0
			switch {
			case l.l.Vxlan != nil:
				under = l.l.Vxlan.Link
			case l.l.Tunnel != nil:
				under = l.l.Tunnel.Link
			}
			if under == 0 {
				continue
			}
			if u := in.byIdx[under]; u != nil && u != l {
				b.edge(EdgeUnderlay, l.node, u.node, EdgeAttrs{})
			} else if len(in.links) > 0 {
				b.gap(sp.src, sp.id, "links", fmt.Sprintf("the link under %s %s, ifindex %d in netns %s, is gone", l.l.Kind, l.l.Name, under, in.id.Short()), "")
			}
		}
	}
}

// remote is where a vxlan sends: one tunnel end, VNI and port.
type remote struct {
	dst  netip.Addr
	vni  uint32
	port uint16
}

type vtepUse struct {
	addr netip.Addr
	from []*link
}

// tunnels draws each vxlan's tunnels: to the matching link where the remote end was inspected, else to a VTEP.
func (b *builder) tunnels() {
	match := b.newTunnelMatcher()
	vteps := map[netip.Addr]*vtepUse{}
	for _, sp := range b.allSpaces() {
		for _, l := range sp.links {
			if l.l.Vxlan == nil || l.l.Kind != "vxlan" {
				continue
			}
			remotes := l.remotes()
			for _, r := range sortedRemotes(remotes) {
				a := EdgeAttrs{VNI: r.vni, Port: r.port, MACs: remotes[r], Address: r.dst.String()}
				to, why := match.find(l, r, remotes[r])
				if why != "" {
					b.gap(sp.src, sp.id, "tunnels", why, "")
				}
				if to != nil {
					b.edge(EdgeTunnel, l.node, to.node, a)
					continue
				}
				u := vteps[r.dst]
				if u == nil {
					u = &vtepUse{addr: r.dst}
					vteps[r.dst] = u
				}
				u.from = append(u.from, l)
				b.edge(EdgeTunnel, l.node, vtepID(r.dst), a)
			}
		}
	}
	for _, u := range vteps {
		b.node(Node{ID: vtepID(u.addr), Kind: KindVTEP, Name: u.addr.String(), Attrs: NodeAttrs{Address: u.addr.String(), Node: b.nodeAt(u)}},
			raw{src: u.from[0].sp.src})
	}
}

func vtepID(a netip.Addr) string { return "vtep:" + a.String() }

func sortedRemotes(m map[remote][]string) []remote {
	out := make([]remote, 0, len(m))
	for r := range m {
		out = append(out, r)
	}
	slices.SortFunc(out, func(x, y remote) int {
		return cmp.Or(x.dst.Compare(y.dst), cmp.Compare(x.vni, y.vni), cmp.Compare(x.port, y.port))
	})
	return out
}

// remotes are the tunnel ends that a vxlan sends to, by its own FDB and its default destination, with the MACs that go
// there.
func (l *link) remotes() map[remote][]string {
	out := map[remote][]string{}
	v := l.l.Vxlan
	usable := func(a netip.Addr) bool { return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() }
	if usable(v.Group) {
		out[remote{v.Group.Unmap(), v.VNI, v.Port}] = nil
	}
	for _, f := range l.sp.fdb()[l.l.Index] {
		if !usable(f.Dst) {
			continue
		}
		r := remote{f.Dst.Unmap(), v.VNI, v.Port}
		if f.VNI != nil {
			r.vni = *f.VNI
		}
		if f.Port != 0 {
			r.port = f.Port
		}
		out[r] = append(out[r], strings.ToLower(f.MAC))
	}
	for r, macs := range out {
		out[r] = sortedSet(macs)
	}
	return out
}

// fdb are the entries by ifindex.
func (sp *space) fdb() map[int][]*snapshot.FDBEntry {
	if sp.fdbIdx == nil {
		sp.fdbIdx = map[int][]*snapshot.FDBEntry{}
		for i := range sp.ns.FDB {
			f := &sp.ns.FDB[i]
			sp.fdbIdx[f.Ifindex] = append(sp.fdbIdx[f.Ifindex], f)
		}
	}
	return sp.fdbIdx
}

// tunnelMatcher finds the link at the other end of a tunnel.
type tunnelMatcher struct {
	b      *builder
	ends   map[remote][]*link // by VNI and port, dst zero
	owners map[netip.Addr][]*space
	above  map[*link]bool // something sits on it
}

func (b *builder) newTunnelMatcher() *tunnelMatcher {
	m := &tunnelMatcher{b: b, ends: map[remote][]*link{}, owners: map[netip.Addr][]*space{}, above: map[*link]bool{}}
	unders := map[*space]bool{}
	for _, sp := range b.allSpaces() {
		for _, l := range sp.links {
			if l.l.Kind == "vxlan" && l.l.Vxlan != nil && b.overIn[l] != nil {
				k := remote{vni: l.l.Vxlan.VNI, port: l.l.Vxlan.Port}
				m.ends[k] = append(m.ends[k], l)
				unders[b.overIn[l]] = true
			}
		}
	}
	for sp := range unders {
		for _, l := range sp.links {
			for _, a := range l.l.Addrs {
				ad := a.Prefix.Addr().Unmap()
				if ad.IsValid() && !ad.IsLoopback() && !slices.Contains(m.owners[ad], sp) {
					m.owners[ad] = append(m.owners[ad], sp)
				}
			}
		}
	}
	for _, p := range b.parents {
		m.above[p] = true
	}
	return m
}

// find returns the one link that can be the other end. Addresses repeat (172.17.0.1 is on every host, and two labs may
// be alike): where that leaves several, or what is known of the one contradicts, it returns none and why.
func (m *tunnelMatcher) find(l *link, r remote, macs []string) (*link, string) {
	mine := m.b.overIn[l]
	if mine == nil || len(m.owners[r.dst]) == 0 {
		return nil, ""
	}
	local := slices.Contains(m.owners[r.dst], mine)
	var found []*link
	why := ""
	for _, c := range m.ends[remote{vni: r.vni, port: r.port}] {
		in := m.b.overIn[c]
		if c == l || !slices.Contains(m.owners[r.dst], in) || local && in != mine {
			continue
		}
		if l.sp.netID != "" && c.sp.netID != "" && !strings.HasPrefix(l.sp.netID, c.sp.netID) && !strings.HasPrefix(c.sp.netID, l.sp.netID) {
			continue // another swarm's network that has the same VNI
		}
		if lo := c.l.Vxlan.Local; lo.IsValid() && !lo.IsUnspecified() && lo.Unmap() != r.dst {
			continue
		}
		if c.l.Master == 0 && !m.above[c] && foreignMACs(macs, c.l.MAC) {
			why = fmt.Sprintf("%s in netns %s has VNI %d and its host has %s, but its MAC is none of those that %s sends there: left unjoined", c.l.Name, c.sp.id.Short(), r.vni, r.dst, l.l.Name)
			continue
		}
		found = append(found, c)
	}
	if len(found) == 1 {
		return found[0], ""
	}
	if len(found) > 1 {
		return nil, fmt.Sprintf("%d links can be the other end of %s's tunnel to %s (VNI %d): left unjoined", len(found), l.l.Name, r.dst, r.vni)
	}
	return nil, why
}

// foreignMACs reports whether there are unicast MACs, and none of them is mac. The link at the other end, when nothing
// is above it, is the only one that could answer for them.
func foreignMACs(macs []string, mac string) bool {
	n := 0
	for _, m := range macs {
		if strings.EqualFold(m, mac) {
			return false
		}
		if m != "00:00:00:00:00:00" && m != "" {
			n++
		}
	}
	return n > 0 && mac != ""
}

// nodeAt is the name of the node that has a tunnel end's address, by the swarm or flannel of the hosts that send
// there; empty where they tell none or several. The engine whose tunnel it is is asked before others of its host.
func (b *builder) nodeAt(u *vtepUse) string {
	own, any := map[string]bool{}, map[string]bool{}
	for _, l := range u.from {
		for _, s := range append([]*source{l.sp.src}, l.sp.seenBy...) {
			for _, e := range s.engines {
				if e.e.Swarm == nil {
					continue
				}
				for _, n := range e.e.Swarm.Nodes {
					if n.Name == "" || parseHost(n.Addr) != u.addr {
						continue
					}
					any[n.Name] = true
					if e.place == l.sp.place {
						own[n.Name] = true
					}
				}
			}
			for _, f := range s.snap.Flannel {
				for _, le := range f.Leases {
					if le.PublicIP.Unmap() == u.addr && le.Node != "" {
						any[le.Node] = true
					}
				}
			}
		}
	}
	for _, names := range []map[string]bool{own, any} {
		if len(names) > 0 {
			if len(names) > 1 {
				return ""
			}
			return sortedKeys(names)[0]
		}
	}
	return ""
}

// parseHost reads "10.99.0.2" and "10.99.0.2:2377".
func parseHost(s string) netip.Addr {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap()
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}
