package snapshot

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Normalize brings a snapshot into the form that the format promises: no list and no map is null, every list is sorted.
// Load and Save call it; whoever fills a Snapshot by other means must.
func (s *Snapshot) Normalize() {
	h := &s.Host
	fillMap(&h.Counters)
	fill(&h.Engines)
	slices.SortFunc(h.Engines, func(a, b Engine) int { return strings.Compare(a.ID, b.ID) })
	for i := range h.Engines {
		if sw := h.Engines[i].Swarm; sw != nil {
			fill(&sw.Nodes)
			slices.SortFunc(sw.Nodes, func(a, b SwarmNode) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
		}
	}
	fill(&s.Namespaces)
	for i := range s.Namespaces {
		s.Namespaces[i].normalize()
	}
	slices.SortFunc(s.Namespaces, func(a, b Namespace) int { return compareNSID(a.ID, b.ID) })
	fill(&s.Workloads)
	for i := range s.Workloads {
		s.Workloads[i].normalize()
	}
	slices.SortFunc(s.Workloads, func(a, b Workload) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID), strings.Compare(a.Engine, b.Engine))
	})
	s.normalizeNetworks()
	s.normalizeServices()
	fill(&s.Flannel)
	for i := range s.Flannel {
		f := &s.Flannel[i]
		fill(&f.Leases)
		slices.SortFunc(f.Leases, func(a, b FlannelLease) int { return ComparePrefix(a.Subnet, b.Subnet) })
	}
	slices.SortFunc(s.Flannel, func(a, b Flannel) int { return strings.Compare(a.Path, b.Path) })
	fill(&s.Gaps)
	slices.SortFunc(s.Gaps, func(a, b Gap) int {
		return cmp.Or(compareNSID(a.Namespace, b.Namespace), strings.Compare(a.Reader, b.Reader), strings.Compare(a.Error, b.Error))
	})
}

func (s *Snapshot) normalizeNetworks() {
	fill(&s.Networks)
	for i := range s.Networks {
		n := &s.Networks[i]
		fill(&n.Subnets)
		slices.SortFunc(n.Subnets, func(a, b Subnet) int { return ComparePrefix(a.Subnet, b.Subnet) })
		fill(&n.VNIs)
		fillMap(&n.Options)
		fillMap(&n.Labels)
		fill(&n.Peers)
		slices.SortFunc(n.Peers, func(a, b NetworkPeer) int { return cmp.Or(a.Addr.Compare(b.Addr), strings.Compare(a.Name, b.Name)) })
	}
	slices.SortFunc(s.Networks, func(a, b Network) int {
		return cmp.Or(strings.Compare(a.Engine, b.Engine), strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
}

func (s *Snapshot) normalizeServices() {
	fill(&s.Services)
	for i := range s.Services {
		v := &s.Services[i]
		fill(&v.VIPs)
		slices.SortFunc(v.VIPs, func(a, b VIP) int {
			return cmp.Or(strings.Compare(a.Network, b.Network), ComparePrefix(a.Addr, b.Addr))
		})
		fill(&v.Ports)
		slices.SortFunc(v.Ports, comparePort)
		fill(&v.Networks)
		slices.Sort(v.Networks)
		fillMap(&v.Labels)
		fill(&v.Tasks)
		for j := range v.Tasks {
			t := &v.Tasks[j]
			fill(&t.Addrs)
			slices.SortFunc(t.Addrs, func(a, b TaskAddr) int {
				return cmp.Or(strings.Compare(a.Network, b.Network), ComparePrefix(a.Addr, b.Addr))
			})
		}
		slices.SortFunc(v.Tasks, func(a, b Task) int {
			return cmp.Or(cmp.Compare(a.Slot, b.Slot), strings.Compare(a.NodeID, b.NodeID), strings.Compare(a.ID, b.ID))
		})
	}
	slices.SortFunc(s.Services, func(a, b Service) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID), strings.Compare(a.Engine, b.Engine))
	})
}

func (w *Workload) normalize() {
	fillMap(&w.Labels)
	fill(&w.Endpoints)
	for i := range w.Endpoints {
		fill(&w.Endpoints[i].Aliases)
	}
	slices.SortFunc(w.Endpoints, func(a, b Endpoint) int {
		return cmp.Or(strings.Compare(a.NetworkName, b.NetworkName), strings.Compare(a.ID, b.ID))
	})
	fill(&w.Ports)
	slices.SortFunc(w.Ports, comparePort)
	fill(&w.DNS.Servers)
	fill(&w.DNS.Search)
	fill(&w.DNS.Options)
}

func comparePort(a, b Port) int {
	return cmp.Or(cmp.Compare(a.Port, b.Port), strings.Compare(a.Proto, b.Proto), cmp.Compare(a.HostPort, b.HostPort), a.HostAddr.Compare(b.HostAddr))
}

func (n *Namespace) normalize() {
	fill(&n.Holders)
	fill(&n.NSIDs)
	slices.SortFunc(n.NSIDs, func(a, b PeerNSID) int { return cmp.Compare(a.NSID, b.NSID) })
	fill(&n.Links)
	for i := range n.Links {
		n.Links[i].normalize()
	}
	slices.SortFunc(n.Links, func(a, b Link) int { return cmp.Compare(a.Index, b.Index) })
	fill(&n.Routes)
	for i := range n.Routes {
		r := &n.Routes[i]
		fill(&r.Flags)
		fill(&r.NextHops)
		for j := range r.NextHops {
			fill(&r.NextHops[j].Flags)
		}
	}
	slices.SortFunc(n.Routes, compareRoute)
	fill(&n.Rules)
	// Stable: the kernel tries rules of one priority in the order in which it lists them.
	slices.SortStableFunc(n.Rules, func(a, b Rule) int {
		return cmp.Or(strings.Compare(a.Family, b.Family), cmp.Compare(a.Priority, b.Priority))
	})
	fill(&n.Neighbors)
	for i := range n.Neighbors {
		fill(&n.Neighbors[i].Flags)
	}
	slices.SortFunc(n.Neighbors, func(a, b Neighbor) int {
		return cmp.Or(cmp.Compare(a.Ifindex, b.Ifindex), a.Addr.Compare(b.Addr), strings.Compare(a.State, b.State))
	})
	fill(&n.FDB)
	for i := range n.FDB {
		fill(&n.FDB[i].Flags)
	}
	slices.SortFunc(n.FDB, func(a, b FDBEntry) int {
		return cmp.Or(cmp.Compare(a.Ifindex, b.Ifindex), strings.Compare(a.MAC, b.MAC), cmp.Compare(a.VLAN, b.VLAN), cmp.Compare(a.Master, b.Master), a.Dst.Compare(b.Dst), slices.Compare(a.Flags, b.Flags))
	})
	fill(&n.Sockets)
	slices.SortFunc(n.Sockets, func(a, b Socket) int {
		return cmp.Or(strings.Compare(a.Proto, b.Proto), compareAddrPort(a.Local, b.Local), compareAddrPort(a.Remote, b.Remote), strings.Compare(a.State, b.State), cmp.Compare(a.Inode, b.Inode))
	})
	fillMap(&n.Sysctls)
	fillMap(&n.Counters)
	n.Xfrm.normalize()
	fill(&n.Filters) // their order is the kernel's
	for i := range n.Filters {
		fill(&n.Filters[i].Actions)
	}
	fill(&n.Programs) // as is theirs
	fill(&n.Classes)
	slices.SortFunc(n.Classes, func(a, b TCClass) int {
		return cmp.Or(cmp.Compare(a.Ifindex, b.Ifindex), strings.Compare(a.Class, b.Class))
	})
	n.Netfilter.normalize()
	n.IPVS.normalize()
	fill(&n.Qdiscs)
	slices.SortFunc(n.Qdiscs, func(a, b Qdisc) int {
		return cmp.Or(cmp.Compare(a.Ifindex, b.Ifindex), strings.Compare(a.Parent, b.Parent), strings.Compare(a.Handle, b.Handle))
	})
}

func (x *Xfrm) normalize() {
	fill(&x.States)
	slices.SortFunc(x.States, func(a, b XfrmState) int {
		return cmp.Or(a.Src.Compare(b.Src), a.Dst.Compare(b.Dst), strings.Compare(a.Proto, b.Proto), cmp.Compare(a.SPI, b.SPI))
	})
	fill(&x.Policies)
	for i := range x.Policies {
		fill(&x.Policies[i].Tmpls)
	}
	slices.SortFunc(x.Policies, func(a, b XfrmPolicy) int {
		return cmp.Or(strings.Compare(a.Dir, b.Dir), cmp.Compare(a.Priority, b.Priority), ComparePrefix(a.Src, b.Src), ComparePrefix(a.Dst, b.Dst), cmp.Compare(a.Index, b.Index))
	})
}

func (l *Link) normalize() {
	fill(&l.Flags)
	fill(&l.Addrs)
	for i := range l.Addrs {
		fill(&l.Addrs[i].Flags)
	}
	slices.SortFunc(l.Addrs, func(a, b Addr) int {
		return cmp.Or(ComparePrefix(a.Prefix, b.Prefix), ComparePrefix(a.Peer, b.Peer))
	})
	if l.Bridge != nil {
		fill(&l.Bridge.Vlans)
	}
	if l.BridgePort != nil {
		fill(&l.BridgePort.Vlans)
	}
	if l.Macvlan != nil {
		fill(&l.Macvlan.Flags)
	}
	if l.Vlan != nil {
		fill(&l.Vlan.Flags)
	}
}

func compareRoute(a, b Route) int {
	return cmp.Or(strings.Compare(a.Family, b.Family), cmp.Compare(a.Table, b.Table), ComparePrefix(a.Dst, b.Dst),
		cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.TOS, b.TOS), strings.Compare(a.Type, b.Type), cmp.Compare(a.OIF, b.OIF),
		a.Gateway.Compare(b.Gateway), ComparePrefix(a.Src, b.Src), a.PrefSrc.Compare(b.PrefSrc), strings.Compare(a.Protocol, b.Protocol))
}

// ComparePrefix orders prefixes by address, then length; the zero prefix comes first.
func ComparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func compareAddrPort(a, b netip.AddrPort) int { return a.Compare(b) }

func compareNSID(a, b NSID) int {
	return cmp.Or(cmp.Compare(a.Inode(), b.Inode()), strings.Compare(string(a), string(b)))
}

func fill[T any](s *[]T) {
	if *s == nil {
		*s = []T{}
	}
}

func fillMap[V any](m *map[string]V) {
	if *m == nil {
		*m = map[string]V{}
	}
}
