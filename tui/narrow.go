package tui

import (
	"cmp"
	"strings"

	"github.com/nscope/nscope/topo"
)

// filtered is the graph of what passes the filter, with all that leads there: of a container the wires up to the bridge
// and its tunnels, of a bridge its members. shown counts what passed by itself.
func (e *env) filtered() (g *topo.Graph, shown int) {
	whole := e.state.Graph
	if len(e.filter.terms) == 0 {
		return whole, len(whole.Nodes)
	}
	k := keeper{g: whole, keep: make(map[string]bool, len(whole.Nodes)), up: make(map[string]bool, len(whole.Nodes)), down: map[string]bool{}}
	var fields []string
	for i := range whole.Nodes {
		n := &whole.Nodes[i]
		if n.Attrs.Type == "loopback" {
			continue
		}
		if fields = append(words(fields[:0], n), e.hostWord(n.Host)); !e.filter.match(nodeName(n), fields...) {
			continue
		}
		shown++
		k.upward(n.ID)
		k.downward(n.ID)
	}
	nodes, edges := 0, 0
	for i := range whole.Nodes {
		if k.keep[whole.Nodes[i].ID] || whole.Nodes[i].Attrs.Type == "loopback" {
			nodes++
		}
	}
	if nodes == len(whole.Nodes) {
		return whole, shown // all but what is not drawn anyway
	}
	kept := func(x *topo.Edge) bool { return k.keep[x.From] && (k.keep[x.To] || x.Kind == topo.EdgeBackend) }
	for i := range whole.Edges {
		if kept(&whole.Edges[i]) {
			edges++
		}
	}
	part := &topo.Graph{Schema: whole.Schema, Hosts: whole.Hosts, Gaps: whole.Gaps, Nodes: make([]topo.Node, 0, nodes), Edges: make([]topo.Edge, 0, edges)}
	for i := range whole.Nodes {
		if k.keep[whole.Nodes[i].ID] {
			part.Nodes = append(part.Nodes, whole.Nodes[i])
		}
	}
	for i := range whole.Edges {
		if kept(&whole.Edges[i]) {
			part.Edges = append(part.Edges, whole.Edges[i])
		}
	}
	return part, shown
}

// words appends what a filter looks at beside the name.
func words(to []string, n *topo.Node) []string {
	a := &n.Attrs
	to = append(to, string(n.Kind), a.Type, a.Role, a.Engine, a.Image, a.Mode, a.State, a.MAC, a.Network, a.Driver, a.Pod, a.Service, a.Node, a.Address, inode(a.Inode))
	for _, list := range [][]string{a.Addrs, a.Networks, a.VIPs, a.Ports, a.Subnets} {
		to = append(to, list...)
	}
	return to
}

// hostWord is the name of a host for a filter, "" where it is no difference: there is one.
func (e *env) hostWord(name string) string {
	if _, node, ok := strings.Cut(name, "/"); ok || e.severalHosts() {
		return cmp.Or(node, name)
	}
	return ""
}

// keeper collects what is to stay.
type keeper struct {
	g              *topo.Graph
	keep, up, down map[string]bool
}

// upward keeps a node and what it hangs on, towards the NICs.
func (k *keeper) upward(id string) {
	n, ok := k.g.Node(id)
	if !ok || k.up[id] {
		return
	}
	k.up[id], k.keep[id] = true, true
	switch n.Kind {
	case topo.KindContainer:
		for _, x := range k.g.Out(id, topo.EdgeRunsIn) {
			k.upward(x.To)
		}
	case topo.KindNetns:
		if n.Attrs.Role == topo.RoleHost || n.Attrs.Role == topo.RoleNode {
			return
		}
		for _, x := range k.g.In(id, topo.EdgeIn) {
			k.upward(x.From)
		}
	case topo.KindLink:
		k.keep[n.Attrs.Netns] = true
		if p := k.g.Peer(n); p != nil {
			k.keep[p.ID], k.keep[p.Attrs.Netns] = true, true
			if m := k.g.Master(p); m != nil {
				k.upward(m.ID)
			}
		}
		for _, x := range k.g.Out(id, topo.EdgePort, topo.EdgeParent, topo.EdgeUnderlay, topo.EdgeTunnel, topo.EdgeCarries) {
			k.keep[x.To] = true
			if x.Kind == topo.EdgePort || x.Kind == topo.EdgeParent {
				k.upward(x.To)
			}
		}
		for _, x := range k.g.In(id, topo.EdgePort) { // a bridge's tunnels and NICs are on its way out
			if p, ok := k.g.Node(x.From); ok && k.g.Peer(p) == nil {
				k.keep[p.ID] = true
				for _, t := range k.g.Out(p.ID, topo.EdgeTunnel) {
					k.keep[t.To] = true
				}
			}
		}
		for _, x := range k.g.Out(n.Attrs.Netns, topo.EdgeCarries) {
			k.keep[x.To] = true
		}
	case topo.KindService:
		for _, x := range k.g.In(id, topo.EdgeBalances) {
			k.upward(x.From)
		}
	}
}

// downward keeps a node and what hangs on it, towards the containers.
func (k *keeper) downward(id string) {
	n, ok := k.g.Node(id)
	if !ok || k.down[id] {
		return
	}
	k.down[id], k.keep[id] = true, true
	switch n.Kind {
	case topo.KindNetwork:
		for _, x := range k.g.In(id, topo.EdgeCarries) {
			k.upward(x.From)
			k.downward(x.From)
		}
	case topo.KindNetns:
		for _, x := range k.g.In(id, topo.EdgeRunsIn) {
			k.keep[x.From] = true
		}
		if n.Attrs.Role == topo.RoleOverlay {
			for _, x := range k.g.In(id, topo.EdgeIn) {
				k.downward(x.From)
			}
		}
		for _, x := range k.g.Out(id, topo.EdgeBalances) {
			k.keep[x.To] = true
		}
	case topo.KindLink:
		for _, x := range k.g.In(id, topo.EdgePort, topo.EdgeParent) {
			k.downward(x.From)
		}
		if p := k.g.Peer(n); p != nil {
			k.keep[p.ID] = true
			k.under(p.Attrs.Netns)
		}
		k.under(n.Attrs.Netns)
	case topo.KindService:
		for _, x := range k.g.Out(id, topo.EdgeBackend) {
			k.upward(x.To)
		}
	}
}

// under keeps who is in a namespace that is somebody's.
func (k *keeper) under(ns string) {
	if n, ok := k.g.Node(ns); ok && n.Attrs.Role != topo.RoleHost && n.Attrs.Role != topo.RoleNode && n.Attrs.Role != topo.RoleOverlay {
		k.downward(ns)
	}
	k.keep[ns] = true
}
