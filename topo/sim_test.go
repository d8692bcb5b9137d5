package topo

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
)

// sim is a synthetic kernel: namespaces and links as a test makes them, from which snapshots are taken. Ifindexes are
// given out per namespace from 1, so that they collide all the time, as they do.
type sim struct {
	boot string
	next uint64
	all  []*simNS
}

type simNS struct {
	k     *sim
	id    snapshot.NSID
	name  string
	next  int
	links []*simLink
	nsids map[*simNS]int
	ns    snapshot.Namespace
}

type simLink struct {
	ns   *simNS
	l    snapshot.Link
	peer *simLink // veth
	on   *simLink // parent
	via  *simNS   // where it was made, for a tunnel
	mstr *simLink
}

func newSim(boot string) *sim { return &sim{boot: boot, next: 4026531840} }

func (k *sim) ns(name string) *simNS {
	n := &simNS{k: k, id: snapshot.MakeNSID(4, k.next), name: name, next: 1, nsids: map[*simNS]int{}}
	k.next++
	k.all = append(k.all, n)
	n.add("lo", "").l.Type = "loopback"
	n.addr("lo", "127.0.0.1/8")
	return n
}

func (n *simNS) add(name, kind string) *simLink {
	l := &simLink{ns: n, l: snapshot.Link{Index: n.next, Name: name, Kind: kind, Type: "ether", State: "up", MTU: 1500, Flags: []string{"up"}}}
	l.l.MAC = fmt.Sprintf("02:00:%02x:%02x:%02x:%02x", byte(n.id.Inode()>>8), byte(n.id.Inode()), byte(n.next>>8), byte(n.next))
	n.next++
	n.links = append(n.links, l)
	return l
}

func (n *simNS) get(name string) *simLink {
	for _, l := range n.links {
		if l.l.Name == name {
			return l
		}
	}
	panic("no link " + name + " in " + n.name)
}

func (n *simNS) addr(link string, prefixes ...string) *simNS {
	l := n.get(link)
	for _, p := range prefixes {
		l.l.Addrs = append(l.l.Addrs, snapshot.Addr{Prefix: netip.MustParsePrefix(p), Scope: "global"})
	}
	return n
}

func veth(a *simNS, an string, b *simNS, bn string) (*simLink, *simLink) {
	x, y := a.add(an, "veth"), b.add(bn, "veth")
	x.peer, y.peer = y, x
	x.l.Veth, y.l.Veth = &snapshot.Veth{}, &snapshot.Veth{}
	return x, y
}

func (n *simNS) bridge(name string, addrs ...string) *simLink {
	l := n.add(name, "bridge")
	l.l.Bridge = &snapshot.Bridge{}
	n.addr(name, addrs...)
	return l
}

func (l *simLink) port(br *simLink) *simLink {
	l.mstr = br
	l.l.BridgePort = &snapshot.BridgePort{State: "forwarding"}
	return l
}

// plug makes a veth from a namespace to a bridge.
func plug(br *simLink, host string, in *simNS, name, addr, mac string) *simLink {
	h, c := veth(br.ns, host, in, name)
	h.port(br)
	if addr != "" {
		in.addr(name, addr)
	}
	if mac != "" {
		c.l.MAC = mac
	}
	return c
}

func (n *simNS) macvlan(name string, on *simLink, mode string) *simLink {
	l := n.add(name, "macvlan")
	l.on, l.l.Macvlan = on, &snapshot.Macvlan{Mode: mode}
	return l
}

func (n *simNS) vlan(name string, on *simLink, id uint16) *simLink {
	l := n.add(name, "vlan")
	l.on, l.l.Vlan = on, &snapshot.Vlan{ID: id, Protocol: "802.1q"}
	return l
}

func (n *simNS) vxlan(name string, made *simNS, vni uint32, port uint16) *simLink {
	l := n.add(name, "vxlan")
	l.via, l.l.Vxlan = made, &snapshot.Vxlan{VNI: vni, Port: port}
	return l
}

func (l *simLink) fdb(mac, dst string) {
	l.ns.ns.FDB = append(l.ns.ns.FDB, snapshot.FDBEntry{Ifindex: l.l.Index, MAC: mac, Dst: netip.MustParseAddr(dst), State: "permanent", Flags: []string{"self"}})
}

// move puts a link into another namespace, where it keeps its ifindex if that is free, as the kernel does.
func (l *simLink) move(to *simNS) {
	l.ns.links = slices.DeleteFunc(l.ns.links, func(o *simLink) bool { return o == l })
	if slices.ContainsFunc(to.links, func(o *simLink) bool { return o.l.Index == l.l.Index }) {
		l.l.Index = to.next
	}
	to.next = max(to.next, l.l.Index) + 1
	l.ns, l.mstr = to, nil
	to.links = append(to.links, l)
}

func (n *simNS) proc(pid int, comm string) *simNS {
	return n.hold(snapshot.Holder{Kind: snapshot.HolderProc, PID: pid, Comm: comm})
}

func (n *simNS) mount(path string, mnt uint64, root string) *simNS {
	return n.hold(snapshot.Holder{Kind: snapshot.HolderMount, Path: path, MountNS: mnt, Root: root})
}

func (n *simNS) hold(h snapshot.Holder) *simNS {
	n.ns.Holders = append(n.ns.Holders, h)
	return n
}

func (n *simNS) listen(proto string, port uint16, comm string, pid int) {
	st := "listen"
	if proto == "udp" {
		st = "unconnected"
	}
	n.ns.Sockets = append(n.ns.Sockets, snapshot.Socket{Proto: proto, Family: "inet", State: st, Comm: comm, PID: pid,
		Local: netip.AddrPortFrom(netip.MustParseAddr("0.0.0.0"), port)})
}

func (n *simNS) nsid(o *simNS) *int {
	if o == n {
		return nil
	}
	if _, ok := n.nsids[o]; !ok {
		n.nsids[o] = len(n.nsids)
	}
	id := n.nsids[o]
	return &id
}

// snapshot takes the namespaces given, or all.
func (k *sim) snapshot(host string, init *simNS, some ...*simNS) *snapshot.Snapshot {
	s := &snapshot.Snapshot{Schema: 1, Tool: "test", Taken: time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)}
	s.Host = snapshot.Host{Name: host, BootID: k.boot, Kernel: "6.1.0"}
	if init != nil {
		s.Host.InitNS, s.Host.SelfNS = init.id, init.id
	}
	if len(some) == 0 {
		some = k.all
	}
	for _, n := range some {
		ns := n.ns
		ns.ID = n.id
		ns.Holders = slices.Clone(ns.Holders)
		for _, l := range n.links {
			out := l.l
			out.Addrs = slices.Clone(out.Addrs)
			if l.mstr != nil && l.mstr.ns == n {
				out.Master, out.MasterKind = l.mstr.l.Index, l.mstr.l.Kind
			}
			switch {
			case l.peer != nil:
				out.Peer = &snapshot.Peer{Index: l.peer.l.Index, NSID: n.nsid(l.peer.ns), Namespace: l.peer.ns.id}
			case l.on != nil:
				out.Peer = &snapshot.Peer{Index: l.on.l.Index, NSID: n.nsid(l.on.ns), Namespace: l.on.ns.id}
			case l.via != nil:
				out.Peer = &snapshot.Peer{Index: out.Index, NSID: n.nsid(l.via), Namespace: l.via.id}
			}
			ns.Links = append(ns.Links, out)
		}
		s.Namespaces = append(s.Namespaces, ns)
	}
	for i := range s.Namespaces { // nsids given while links were read
		for _, n := range some {
			if n.id == s.Namespaces[i].ID {
				for o, id := range n.nsids {
					s.Namespaces[i].NSIDs = append(s.Namespaces[i].NSIDs, snapshot.PeerNSID{NSID: id, Namespace: o.id})
				}
			}
		}
	}
	return s
}

// node is the id of a namespace's node, of a link's.
func (n *simNS) node() string { return "netns:" + n.k.boot[:8] + ":" + n.id.Short() }
func (l *simLink) node() string {
	return fmt.Sprintf("link:%s:%s/%d", l.ns.k.boot[:8], l.ns.id.Short(), l.l.Index)
}

func hasEdge(g *Graph, kind EdgeKind, from, to string) bool {
	return slices.ContainsFunc(g.Edges, func(e Edge) bool { return e.Kind == kind && e.From == from && e.To == to })
}

func wantEdge(t *testing.T, g *Graph, kind EdgeKind, from, to string) *Edge {
	t.Helper()
	for i := range g.Edges {
		if e := &g.Edges[i]; e.Kind == kind && e.From == from && e.To == to {
			return e
		}
	}
	t.Errorf("no %s edge %s → %s; of that kind there are:", kind, from, to)
	for _, e := range g.Edges {
		if e.Kind == kind {
			t.Logf("  %s → %s", e.From, e.To)
		}
	}
	return &Edge{}
}

func wantNode(t *testing.T, g *Graph, id string) *Node {
	t.Helper()
	n, ok := g.Node(id)
	if !ok {
		t.Fatalf("no node %s", id)
	}
	return n
}
