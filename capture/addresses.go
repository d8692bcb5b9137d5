package capture

import (
	"net/netip"
	"slices"

	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// Addresses names addresses for a file's name resolution block: those of containers' namespaces and of services, by address. One that more than
// one thing has (172.17.0.2 on two hosts, loopback) is left out: a file has no place to ask from.
func Addresses(g *topo.Graph) []pcap.Name {
	names := map[netip.Addr]string{}
	add := func(a netip.Addr, name string) {
		if !a.IsValid() || a.IsLoopback() || a.IsLinkLocalUnicast() || name == "" {
			return
		}
		if old, ok := names[a]; ok && old != name {
			name = "" // told apart by nothing
		}
		names[a] = name
	}
	n := NewNamer(g)
	for i := range g.Nodes {
		x := &g.Nodes[i]
		switch x.Kind {
		case topo.KindNetns:
			ns := g.Namespace(x)
			if ns == nil || x.Attrs.Role != topo.RoleContainer {
				continue
			}
			name, _ := n.NetnsName(x)
			eachAddr(ns, func(a netip.Addr) { add(a, name) })
		case topo.KindService:
			if s := g.Service(x); s != nil {
				for _, v := range s.VIPs {
					add(v.Addr.Addr(), x.Name)
				}
			}
		}
	}
	out := make([]pcap.Name, 0, len(names))
	for a, name := range names {
		if name != "" {
			out = append(out, pcap.Name{Addr: a, Name: name})
		}
	}
	slices.SortFunc(out, func(a, b pcap.Name) int { return a.Addr.Compare(b.Addr) })
	return out
}

func eachAddr(ns *snapshot.Namespace, fn func(netip.Addr)) {
	for i := range ns.Links {
		for _, a := range ns.Links[i].Addrs {
			fn(a.Prefix.Addr())
		}
	}
}
