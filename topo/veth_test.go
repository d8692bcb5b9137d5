package topo

import (
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// What one end of a pair says, and what is drawn. Namespaces a, b and c are 4:1, 4:2 and 4:3; the link asked about is
// number 7 of a, and number 7 of b is its other end or not.
func TestVethProof(t *testing.T) {
	n := 0
	nsid := &n
	const a, b, c = snapshot.NSID("4:1"), snapshot.NSID("4:2"), snapshot.NSID("4:3")
	peer := func(idx int, ns snapshot.NSID) *snapshot.Peer {
		return &snapshot.Peer{Index: idx, NSID: nsid, Namespace: ns}
	}
	beside := func(idx int) *snapshot.Peer { return &snapshot.Peer{Index: idx} }
	for _, tc := range []struct {
		name       string
		mine, its  *snapshot.Peer
		kind       string
		third      *snapshot.Peer // number 7 of c
		pair, open string         // the edge, or what the gap says
	}{
		{name: "both prove", mine: peer(7, b), its: peer(7, a), pair: "a-b"},
		{name: "mine proves", mine: peer(7, b), its: peer(7, ""), pair: "a-b"},
		{name: "the other proves", mine: peer(7, ""), its: peer(7, a), pair: "a-b"},
		{name: "none proves", mine: peer(7, ""), its: peer(7, ""), open: "could not be told"},
		{name: "its index is another", mine: peer(7, b), its: peer(8, a), open: "does not say so itself"},
		{name: "its namespace is another", mine: peer(7, b), its: peer(7, c), open: "does not say so itself"},
		{name: "its other end is beside it", mine: peer(7, b), its: beside(7), open: "does not say so itself"},
		{name: "it names none", mine: peer(7, b), its: nil, open: "does not say so itself"},
		{name: "it is no veth", mine: peer(7, b), its: peer(7, a), kind: "dummy", open: "does not say so itself"},
		{name: "it is of the other pairing kind", mine: peer(7, b), its: peer(7, a), kind: "netkit", open: "does not say so itself"},
		{name: "it is gone", mine: peer(9, b), its: peer(7, c), open: "is gone"},
		{name: "mine names none", mine: peer(0, ""), its: peer(7, c), open: "names no other end"},
		{name: "mine is beside", mine: beside(6), its: peer(7, a), open: "does not say so itself"},
		{name: "its namespace is known only by an nsid", mine: peer(7, b), its: peer(7, snapshot.MakeViaNSID(b, 0)), pair: "a-b"},
		{name: "its namespace was not read", mine: peer(7, b), its: peer(7, "4:99"), open: "does not say so itself"},
		{name: "two claim it", mine: peer(7, b), its: peer(7, ""), third: peer(7, b), open: "several veths claim"},
		{name: "two claim it and it proves one", mine: peer(7, b), its: peer(7, a), third: peer(7, b), pair: "a-b"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kind := "veth"
			if tc.kind != "" {
				kind = tc.kind
			}
			s := &snapshot.Snapshot{Host: snapshot.Host{BootID: bootA, Name: "h"}, Namespaces: []snapshot.Namespace{
				{ID: a, Links: []snapshot.Link{{Index: 6, Name: "br", Kind: "bridge"}, {Index: 7, Name: "mine", Kind: "veth", Peer: tc.mine}}},
				{ID: b, Links: []snapshot.Link{{Index: 7, Name: "its", Kind: kind, Peer: tc.its}}},
			}}
			third := []snapshot.Link{{Index: 1, Name: "lo", Type: "loopback"}}
			if tc.third != nil {
				third = append(third, snapshot.Link{Index: 7, Name: "third", Kind: "veth", Peer: tc.third})
			}
			s.Namespaces = append(s.Namespaces, snapshot.Namespace{ID: c, Links: third}, snapshot.Namespace{ID: snapshot.MakeViaNSID(b, 0)})
			g := Build(s)
			got := ""
			for _, e := range g.Edges {
				if e.Kind == EdgeVeth {
					got += strings.NewReplacer("link:a1a1a1a1:1/7", "a", "link:a1a1a1a1:2/7", "b", "link:a1a1a1a1:3/7", "c").Replace(e.From + "-" + e.To)
				}
			}
			if got != tc.pair {
				t.Errorf("pair %q, want %q", got, tc.pair)
			}
			said := asJSON(g.Gaps)
			if tc.open != "" && !strings.Contains(said, tc.open) || tc.pair != "" && tc.third == nil && len(g.Gaps) > 0 {
				t.Errorf("gaps: %s; want %q", said, tc.open)
			}
		})
	}
}

// A host with hundreds of veths whose other ends could not be told says so once.
func TestUntoldPeersFold(t *testing.T) {
	s := bigHost(200)
	for i := range s.Namespaces {
		ns := &s.Namespaces[i]
		if ns.ID != s.Host.InitNS {
			ns.Links = nil
		}
		for j := range ns.Links {
			if p := ns.Links[j].Peer; p != nil {
				p.Namespace = ""
			}
		}
	}
	s.Gaps = []snapshot.Gap{{Reader: "links", Error: "setns: operation not permitted", Needs: "CAP_SYS_ADMIN"}}
	g := Build(s)
	g.Gaps = slices.DeleteFunc(g.Gaps, func(gp Gap) bool { return gp.Error == s.Gaps[0].Error })
	if len(g.Gaps) != 1 || !strings.HasPrefix(g.Gaps[0].Error, "the other ends of 200 veths (") || g.Gaps[0].Needs != "CAP_SYS_ADMIN" {
		t.Errorf("%d gaps: %v", len(g.Gaps), g.Gaps)
	}
}

// A gap is for what somebody could have told, and names only what is known to have been lacking.
func TestUntoldPeer(t *testing.T) {
	zero := 0
	const self, other = snapshot.NSID("4:1"), snapshot.NSID("4:2")
	eth0 := []snapshot.Link{{Index: 8, Name: "eth0", Kind: "veth", Peer: &snapshot.Peer{Index: 9, NSID: &zero}}}
	for _, tc := range []struct {
		name  string
		ns    []snapshot.Namespace
		needs string // that the collector lacked
		gaps  int
	}{
		{name: "nscope's own namespace alone", ns: []snapshot.Namespace{{ID: self, Links: eth0}}},
		{name: "a hidden one", ns: []snapshot.Namespace{{ID: self}, {ID: snapshot.MakeViaNSID(self, 3), Links: eth0}}},
		{name: "one of several", ns: []snapshot.Namespace{{ID: self}, {ID: other, Links: eth0}}, gaps: 1},
		{name: "one of several, unprivileged", ns: []snapshot.Namespace{{ID: self}, {ID: other, Links: eth0}}, needs: "CAP_SYS_ADMIN", gaps: 1},
	} {
		s := &snapshot.Snapshot{Host: snapshot.Host{BootID: bootA, Name: "h", SelfNS: self}, Namespaces: tc.ns}
		if tc.needs != "" {
			s.Gaps = []snapshot.Gap{{Reader: "x", Error: "not entered", Needs: tc.needs}}
		}
		g := Build(s)
		n := 0
		for _, gp := range g.Gaps {
			if gp.Reader != "links" {
				continue
			}
			n++
			if gp.Needs != tc.needs {
				t.Errorf("%s: needs %q, want %q", tc.name, gp.Needs, tc.needs)
			}
		}
		if n != tc.gaps {
			t.Errorf("%s: %d gaps, want %d: %v", tc.name, n, tc.gaps, g.Gaps)
		}
		for i := range g.Nodes {
			if l := &g.Nodes[i]; l.Kind == KindLink {
				if got, want := g.FarEnd(l), "ifindex 9 in another namespace (nsid 0)"; got != want {
					t.Errorf("%s: far end %q, want %q", tc.name, got, want)
				}
			}
		}
	}
}
