package rtnl

import (
	"cmp"
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
)

// The order of every list, so that two snapshots of an unchanged host are alike: kernels walk hash tables.

func sortLinks(s []snapshot.Link) {
	byIndex := func(a, b *snapshot.Link) int { return cmp.Compare(a.Index, b.Index) }
	// A Link is large and nearly always in order already.
	for i := 1; i < len(s); i++ {
		if byIndex(&s[i-1], &s[i]) > 0 {
			slices.SortStableFunc(s, func(a, b snapshot.Link) int { return byIndex(&a, &b) })
			return
		}
	}
}

// findLink finds a link in a sorted list.
func findLink(s []snapshot.Link, index int) *snapshot.Link {
	i, ok := slices.BinarySearchFunc(s, index, func(l snapshot.Link, n int) int { return cmp.Compare(l.Index, n) })
	if !ok {
		return nil
	}
	return &s[i]
}

func sortAddrs(s []snapshot.Addr) {
	if len(s) > 1 {
		slices.SortStableFunc(s, func(a, b snapshot.Addr) int {
			return cmp.Or(snapshot.ComparePrefix(a.Prefix, b.Prefix), snapshot.ComparePrefix(a.Peer, b.Peer))
		})
	}
}

func sortRoutes(s []snapshot.Route) {
	slices.SortStableFunc(s, func(a, b snapshot.Route) int {
		if c := cmp.Compare(len(a.Family), len(b.Family)); c != 0 {
			return c
		}
		if c := cmp.Compare(a.Table, b.Table); c != 0 {
			return c
		}
		if c := snapshot.ComparePrefix(a.Dst, b.Dst); c != 0 {
			return c
		}
		return cmp.Or(
			cmp.Compare(a.Metric, b.Metric), cmp.Compare(a.TOS, b.TOS), cmp.Compare(a.Type, b.Type), cmp.Compare(a.OIF, b.OIF),
			a.Gateway.Compare(b.Gateway), snapshot.ComparePrefix(a.Src, b.Src), a.PrefSrc.Compare(b.PrefSrc), cmp.Compare(a.Protocol, b.Protocol),
		)
	})
}

// sortRules keeps the kernel's order among rules of one priority: it is the order in which they are tried.
func sortRules(s []snapshot.Rule) {
	slices.SortStableFunc(s, func(a, b snapshot.Rule) int {
		return cmp.Or(cmp.Compare(len(a.Family), len(b.Family)), cmp.Compare(a.Priority, b.Priority))
	})
}

func sortNeighbors(s []snapshot.Neighbor) {
	slices.SortStableFunc(s, func(a, b snapshot.Neighbor) int {
		return cmp.Or(cmp.Compare(a.Ifindex, b.Ifindex), a.Addr.Compare(b.Addr), cmp.Compare(a.State, b.State))
	})
}

func sortFDB(s []snapshot.FDBEntry) {
	vni := func(p *uint32) int64 {
		if p == nil {
			return -1
		}
		return int64(*p)
	}
	slices.SortStableFunc(s, func(a, b snapshot.FDBEntry) int {
		return cmp.Or(
			cmp.Compare(a.Ifindex, b.Ifindex), cmp.Compare(a.MAC, b.MAC), cmp.Compare(a.VLAN, b.VLAN), cmp.Compare(a.Master, b.Master),
			a.Dst.Compare(b.Dst), cmp.Compare(vni(a.VNI), vni(b.VNI)), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Via, b.Via),
		)
	})
}

func sortNSIDs(s []snapshot.PeerNSID) {
	slices.SortFunc(s, func(a, b snapshot.PeerNSID) int { return cmp.Compare(a.NSID, b.NSID) })
}

func sortQdiscs(s []snapshot.Qdisc) {
	slices.SortStableFunc(s, func(a, b snapshot.Qdisc) int {
		return cmp.Or(cmp.Compare(a.Ifindex, b.Ifindex), cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Handle, b.Handle))
	})
}

func sortXfrm(x *snapshot.Xfrm) {
	slices.SortStableFunc(x.States, func(a, b snapshot.XfrmState) int {
		return cmp.Or(a.Src.Compare(b.Src), a.Dst.Compare(b.Dst), cmp.Compare(a.Proto, b.Proto), cmp.Compare(a.SPI, b.SPI), cmp.Compare(a.Mark, b.Mark))
	})
	slices.SortStableFunc(x.Policies, func(a, b snapshot.XfrmPolicy) int {
		return cmp.Or(cmp.Compare(a.Dir, b.Dir), cmp.Compare(a.Priority, b.Priority), snapshot.ComparePrefix(a.Src, b.Src), snapshot.ComparePrefix(a.Dst, b.Dst), cmp.Compare(a.Index, b.Index))
	})
}
