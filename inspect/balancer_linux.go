package inspect

import (
	"path"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// balancersWithoutIPVS is what cannot work on a kernel that has no IPVS: the sandboxes in which a swarm balances, and where
// none is seen, its services that have a virtual address. Where nothing expects IPVS, its absence is no gap.
func balancersWithoutIPVS(s *snapshot.Snapshot) []snapshot.Gap {
	const lacks = "the kernel has no IPVS (ip_vs, neither built in nor loaded): "
	var out []snapshot.Gap
	for i := range s.Namespaces {
		if n := &s.Namespaces[i]; isBalancer(n) {
			out = append(out, snapshot.Gap{
				Namespace: n.ID, Reader: "ipvs", Needs: "the kernel module ip_vs",
				Error: lacks + "this namespace is there to balance a swarm's services, which cannot work",
			})
		}
	}
	if out != nil {
		return out
	}
	for i := range s.Services {
		if v := &s.Services[i]; v.EndpointMode != "dnsrr" && len(v.VIPs) > 0 {
			return []snapshot.Gap{{
				Reader: "ipvs", Needs: "the kernel module ip_vs",
				Error: lacks + "virtual addresses of the swarm's services cannot work on this host",
			}}
		}
	}
	return nil
}

// isBalancer tells Docker's sandboxes for load balancing by the names of their mounts.
func isBalancer(n *snapshot.Namespace) bool {
	for i := range n.Holders {
		if base := path.Base(n.Holders[i].Path); n.Holders[i].Kind == snapshot.HolderMount && (base == "ingress_sbox" || strings.HasPrefix(base, "lb_")) {
			return true
		}
	}
	return false
}
