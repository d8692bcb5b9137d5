package topo

import (
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// seenFrom is a snapshot taken in a node whose eth0's other end is in a namespace that only its nsid leads to: the switch
// between two nodes, as each of them sees it.
func seenFrom(node string, ino uint64, port int, mac string) *snapshot.Snapshot {
	own := snapshot.MakeNSID(4, ino)
	via := snapshot.MakeViaNSID(own, 0)
	zero, other := 0, 7
	link := func(index int, name, mac string) snapshot.Link {
		return snapshot.Link{Index: index, Name: name, Kind: "veth", Type: "ether", MAC: mac, Veth: &snapshot.Veth{}, Peer: &snapshot.Peer{Index: 2, NSID: &other}}
	}
	switchNS := snapshot.Namespace{ID: via, Holders: []snapshot.Holder{{Kind: snapshot.HolderLink, Via: own, NSID: &zero}},
		Links: []snapshot.Link{{Index: 5, Name: "sw", Kind: "bridge", Type: "ether", MAC: "02:00:00:00:00:05"}, link(6, "n1", "02:00:00:00:00:06"), link(7, "n2", "02:00:00:00:00:07")}}
	for i := range switchNS.Links {
		if l := &switchNS.Links[i]; l.Index == port {
			l.Peer = &snapshot.Peer{Index: 2, NSID: &zero, Namespace: own}
		}
	}
	eth0 := link(2, "eth0", mac)
	eth0.Peer = &snapshot.Peer{Index: port, NSID: &zero, Namespace: via}
	s := &snapshot.Snapshot{Schema: 1, Tool: "t", Host: snapshot.Host{Name: node, BootID: "aaaaaaaa-0000", InitNS: own, SelfNS: own},
		Namespaces: []snapshot.Namespace{{ID: own, Links: []snapshot.Link{eth0}}, switchNS}}
	s.Normalize()
	return s
}

// TestHiddenSeenTwice: the switch is one namespace, each of its links is there once, and both nodes hang on it.
func TestHiddenSeenTwice(t *testing.T) {
	g := Build(seenFrom("node1", 100, 6, "02:00:00:00:01:02"), seenFrom("node2", 200, 7, "02:00:00:00:02:02"))
	count := map[Kind]int{}
	names := map[string]int{}
	for _, n := range g.Nodes {
		count[n.Kind]++
		if n.Kind == KindLink {
			names[n.Name]++
		}
	}
	if count[KindNetns] != 3 || names["sw"] != 1 || names["n1"] != 1 || names["n2"] != 1 {
		t.Errorf("%d namespaces, links %v", count[KindNetns], names)
	}
	pairs := 0
	for _, e := range g.Edges {
		if e.Kind == EdgeVeth {
			pairs++
		}
	}
	if pairs != 2 {
		t.Errorf("%d pairs, want 2; gaps %v", pairs, g.Gaps)
	}
}

// TestHiddenTwins: two that look alike in one snapshot stay two.
func TestHiddenTwins(t *testing.T) {
	a, b := seenFrom("node1", 100, 6, "02:00:00:00:01:02"), seenFrom("node2", 200, 7, "02:00:00:00:02:02")
	twin := a.Namespaces[1]
	for _, ns := range a.Namespaces {
		if ns.ID.Hidden() {
			twin = ns
		}
	}
	twin.ID = snapshot.MakeViaNSID(a.Host.SelfNS, 9)
	a.Namespaces = append(a.Namespaces, twin)
	a.Normalize()
	n := 0
	for _, node := range Build(a, b).Nodes {
		if node.Kind == KindNetns {
			n++
		}
	}
	if n != 5 {
		t.Errorf("%d namespaces, want 5", n)
	}
}
