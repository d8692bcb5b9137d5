package topo

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// PSRow is one line of `nscope ps`: a container, a pod's sandbox, or a namespace without either that has a process.
type PSRow struct {
	ID     string `json:"id"` // node id: a container's, or a netns's
	Name   string `json:"name"`
	Host   string `json:"host"`
	Engine string `json:"engine,omitempty"` // empty for a bare namespace
	Mode   string `json:"mode,omitempty"`
	State  string `json:"state,omitempty"`
	PID    int    `json:"pid,omitempty"`
	// Netns is the inode (0 for none), NetnsID the node id.
	Netns     uint64   `json:"netns,omitempty"`
	NetnsID   string   `json:"netns_id,omitempty"`
	Addresses []string `json:"addresses"`
	// Wires are the links with what they hang on: "eth0 → veth1a2b@docker0". None for one in its host's namespace.
	Wires    []string `json:"wires"`
	Networks []string `json:"networks"`
	Ports    []string `json:"ports"`
	Image    string   `json:"image,omitempty"`
	Pod      string   `json:"pod,omitempty"`
	Service  string   `json:"service,omitempty"`
}

// NSRow is one line of `nscope ns`: a network namespace.
type NSRow struct {
	ID      string `json:"id"`
	Inode   uint64 `json:"inode,omitempty"` // 0 for one known only by another's nsid
	Host    string `json:"host"`
	Role    string `json:"role"`
	Name    string `json:"name"`
	Network string `json:"network,omitempty"`
	// Holders sums up what keeps it: "3 procs, 1 mount".
	Holders string `json:"holders"`
	Links   int    `json:"links"`
	Procs   int    `json:"procs"`
	Cookie  uint64 `json:"cookie,omitempty"`
	// Containers are the names of those that run in it.
	Containers []string `json:"containers"`
}

// PS are the rows of `nscope ps`, by host, name and id: every container that is not stopped, and every namespace with a
// process that is neither a host's, a node's nor a container's.
func (g *Graph) PS() []PSRow {
	rows := []PSRow{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		switch n.Kind {
		case KindContainer:
			if liveState(n.Attrs.State) {
				rows = append(rows, g.containerRow(n))
			}
		case KindNetns:
			if n.Attrs.Procs > 0 && n.Attrs.Role != RoleHost && n.Attrs.Role != RoleNode && len(g.In(n.ID, EdgeRunsIn)) == 0 {
				rows = append(rows, g.bareRow(n))
			}
		}
	}
	slices.SortFunc(rows, func(x, y PSRow) int {
		return cmp.Or(strings.Compare(x.Host, y.Host), strings.Compare(x.Name, y.Name), strings.Compare(x.ID, y.ID))
	})
	return rows
}

func (g *Graph) containerRow(n *Node) PSRow {
	a := &n.Attrs
	r := PSRow{ID: n.ID, Name: n.Name, Host: n.Host, Engine: a.Engine, Mode: a.Mode, State: a.State, PID: a.PID, Addresses: list(a.Addrs),
		Wires: []string{}, Networks: list(a.Networks), Ports: list(a.Ports), Image: a.Image, Pod: a.Pod, Service: a.Service}
	r.Ports = g.portsShown(n)
	if ns, ok := g.Netns(n); ok {
		r.Netns, r.NetnsID = ns.Attrs.Inode, ns.ID
		if a.Mode != "host" {
			r.Wires = list(g.wires(ns, g.outward))
		}
	}
	return r
}

// portsShown are a container's ports; of one that its engine claims and nothing in the kernel implements it says so.
func (g *Graph) portsShown(n *Node) []string {
	out := slices.Clone(list(n.Attrs.Ports))
	for _, e := range g.Out(n.ID, EdgePublishes) {
		if e.Attrs.Source != SourceEngine || e.Attrs.Note == "" {
			continue
		}
		if i := slices.Index(out, e.portString()); i >= 0 {
			out[i] += " (claimed only)"
		}
	}
	return out
}

// outward tells the links by which a container reaches out; one with bridges of its own (Docker in Docker) has others.
func (g *Graph) outward(l *Node) bool {
	m := g.Master(l)
	return l.Attrs.Type != "bridge" && (m == nil || m.Attrs.Type != "bridge")
}

func (g *Graph) bareRow(n *Node) PSRow {
	r := PSRow{ID: n.ID, Name: n.Name, Host: n.Host, Mode: n.Attrs.Mode, Netns: n.Attrs.Inode, NetnsID: n.ID, Addresses: []string{},
		Wires: list(g.wires(n, nil)), Networks: []string{}, Ports: []string{}}
	if len(n.Attrs.PIDs) > 0 {
		r.PID = n.Attrs.PIDs[0]
	}
	for _, l := range g.linksIn(n) {
		r.Addresses = append(r.Addresses, globalAddrs(l)...)
	}
	r.Addresses = list(sortAddrs(r.Addresses))
	if n.Attrs.Role == RoleOther { // nothing named it: its first process does
		r.Name = strconv.Itoa(r.PID)
		for _, h := range n.Attrs.Holders {
			if f := strings.Fields(h); len(f) > 2 && f[0] == "proc" && f[1] == r.Name {
				r.Name = f[2] + "/" + f[1]
				break
			}
		}
	}
	return r
}

// globalAddrs are a link's addresses that others can reach, without prefix length.
func globalAddrs(l *Node) (out []string) {
	if l.Attrs.Type == "loopback" {
		return nil
	}
	for _, s := range l.Attrs.Addrs {
		ad, _, _ := strings.Cut(s, "/")
		if a := parseHost(ad); a.IsValid() && !a.IsLinkLocalUnicast() && !a.IsLoopback() {
			out = append(out, ad)
		}
	}
	return out
}

var roleOrder = map[string]int{RoleHost: 1, RoleNode: 2, RoleContainer: 3, RoleOverlay: 4, RoleLoadBalancer: 5, RoleIngress: 6, RoleNamed: 7, RoleOther: 8}

// NS are the rows of `nscope ns`, by host, role, name and inode.
func (g *Graph) NS() []NSRow {
	rows := []NSRow{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if n.Kind != KindNetns {
			continue
		}
		r := NSRow{ID: n.ID, Inode: n.Attrs.Inode, Host: n.Host, Role: n.Attrs.Role, Name: n.Name, Network: n.Attrs.Network,
			Holders: holderSummary(n), Links: len(g.In(n.ID, EdgeIn)), Procs: n.Attrs.Procs, Cookie: n.Attrs.Cookie, Containers: []string{}}
		for _, e := range g.In(n.ID, EdgeRunsIn) {
			if c, ok := g.Node(e.From); ok {
				r.Containers = append(r.Containers, c.Name)
			}
		}
		slices.Sort(r.Containers)
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(x, y NSRow) int {
		return cmp.Or(strings.Compare(x.Host, y.Host), cmp.Compare(roleOrder[x.Role], roleOrder[y.Role]), strings.Compare(x.Name, y.Name),
			cmp.Compare(x.Inode, y.Inode), strings.Compare(x.ID, y.ID))
	})
	return rows
}

// holderSummary counts holders by kind: "3 procs, 1 mount"; a lone one is named.
func holderSummary(n *Node) string {
	count := map[string]int{}
	for _, h := range n.Attrs.Holders {
		kind, _, _ := strings.Cut(h, " ")
		count[kind]++
	}
	if len(n.Attrs.Holders) == 1 {
		if len(n.Attrs.Paths) == 1 {
			return "mount " + path.Base(n.Attrs.Paths[0])
		}
		return n.Attrs.Holders[0]
	}
	var parts []string
	for _, k := range []string{snapshot.HolderProc, snapshot.HolderThread, snapshot.HolderMount, snapshot.HolderFD, snapshot.HolderSocket, snapshot.HolderLink} {
		if c := count[k]; c == 1 {
			parts = append(parts, "1 "+k)
		} else if c > 1 {
			parts = append(parts, fmt.Sprintf("%d %ss", c, k))
		}
	}
	return strings.Join(parts, ", ")
}

// list is never nil: JSON shows an empty list, not null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
