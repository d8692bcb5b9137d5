package topo

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
)

// NodeName is the name of the cluster's node that is behind an address, as seen from the namespace or link n: the node
// that has it (by the swarm's membership or a flannel lease), or whose flannel subnet it lies in, as the gateway of a
// flannel.1 route does. It is empty where nothing tells, or several names are told.
//
// The swarm whose engine is at home in n's namespace is asked before others of the same host.
func (g *Graph) NodeName(n *Node, a netip.Addr) string {
	s := g.Snapshot(n)
	if s == nil || !a.IsValid() {
		return ""
	}
	a = a.Unmap().WithZone("")
	var here snapshot.NSID
	if ns, ok := g.Netns(n); ok {
		if raw := g.Namespace(ns); raw != nil {
			here = raw.ID
		}
	}
	own, any := map[string]bool{}, map[string]bool{}
	for i := range s.Host.Engines {
		e := &s.Host.Engines[i]
		if e.Swarm == nil {
			continue
		}
		for _, m := range e.Swarm.Nodes {
			if m.Name == "" || parseHost(m.Addr) != a {
				continue
			}
			any[m.Name] = true
			if e.Home == here && here != "" {
				own[m.Name] = true
			}
		}
	}
	for i := range s.Flannel {
		for _, l := range s.Flannel[i].Leases {
			if l.Node != "" && (l.PublicIP.Unmap() == a || l.Subnet.Contains(a)) {
				any[l.Node] = true
			}
		}
	}
	for _, names := range []map[string]bool{own, any} {
		switch len(names) {
		case 0:
		case 1:
			return sortedKeys(names)[0]
		default:
			return ""
		}
	}
	return ""
}
