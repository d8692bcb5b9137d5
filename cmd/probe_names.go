package cmd

import (
	"net"
	"net/netip"
	"sync"

	"github.com/nscope/nscope/topo"
)

// probeNames tells a probe who has an address or MAC, as the graph knows it for where it asks from.
type probeNames struct {
	g    *topo.Graph
	from *topo.Node

	mu    sync.Mutex
	addrs map[netip.Addr]string
}

// Addr is part of probe.Names.
func (n *probeNames) Addr(a netip.Addr) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	name, ok := n.addrs[a]
	if !ok {
		name = n.g.WhoHas(n.from, a)
		if n.addrs == nil {
			n.addrs = map[netip.Addr]string{}
		}
		if len(n.addrs) < 1<<16 {
			n.addrs[a] = name
		}
	}
	return name
}

// MAC is part of probe.Names.
func (n *probeNames) MAC(mac net.HardwareAddr) []string { return n.g.WhoHasMAC(n.from, mac) }
