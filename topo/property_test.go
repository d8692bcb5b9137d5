package topo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// randomHost makes namespaces and wires by chance: pairs within and across namespaces, bridges on bridges, stacked
// parents, tunnels made elsewhere, links moved after they were made.
func randomHost(rng *rand.Rand, boot string) *sim {
	k := newSim(boot)
	n := 2 + rng.IntN(12)
	var spaces []*simNS
	var all, bridges []*simLink
	for i := range n {
		spaces = append(spaces, k.ns(fmt.Sprintf("ns%d", i)))
	}
	pick := func() *simNS { return spaces[rng.IntN(n)] }
	for i := range 5 * n {
		name := fmt.Sprintf("x%d", i)
		switch rng.IntN(7) {
		case 0, 1, 2:
			a, b := veth(pick(), name, pick(), name+"p")
			all = append(all, a, b)
		case 3:
			b := pick().bridge(name)
			bridges, all = append(bridges, b), append(all, b)
		case 4:
			if len(all) > 0 {
				on := all[rng.IntN(len(all))]
				all = append(all, pick().macvlan(name, on, "bridge"))
			}
		case 5:
			if len(all) > 0 {
				on := all[rng.IntN(len(all))]
				all = append(all, pick().vlan(name, on, uint16(i)))
			}
		case 6:
			all = append(all, pick().vxlan(name, pick(), uint32(rng.IntN(3)+1), 4789))
		}
	}
	for _, l := range all {
		if rng.IntN(4) == 0 && l.l.Kind != "bridge" {
			l.move(pick())
		}
	}
	for _, l := range all {
		if rng.IntN(2) == 0 || len(bridges) == 0 {
			continue
		}
		// A port of a later bridge, so that no circle arises.
		if b := bridges[rng.IntN(len(bridges))]; b.ns == l.ns && b != l && (l.l.Kind != "bridge" || l.l.Index < b.l.Index) && l.mstr == nil {
			l.port(b)
		}
	}
	return k
}

type relation struct {
	kind     EdgeKind
	from, to string
}

// truth is how a host was wired.
func truth(k *sim) map[relation]bool {
	out := map[relation]bool{}
	for _, n := range k.all {
		for _, l := range n.links {
			out[relation{EdgeIn, l.node(), n.node()}] = true
			if l.peer != nil && l.node() < l.peer.node() {
				out[relation{EdgeVeth, l.node(), l.peer.node()}] = true
			}
			if l.mstr != nil {
				out[relation{EdgePort, l.node(), l.mstr.node()}] = true
			}
			if l.on != nil {
				out[relation{EdgeParent, l.node(), l.on.node()}] = true
			}
			if l.via != nil {
				out[relation{EdgeUnderlay, l.node(), l.via.node()}] = true
			}
		}
	}
	return out
}

func relations(g *Graph) map[relation]bool {
	out := map[relation]bool{}
	for _, e := range g.Edges {
		out[relation{e.Kind, e.From, e.To}] = true
	}
	return out
}

// Every edge is one that was made, and every wire that was made is an edge.
func TestPropertyComplete(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		k := randomHost(rng, bootA)
		g := Build(k.snapshot("h", k.all[0]))
		sound(t, g)
		want, got := truth(k), relations(g)
		for r := range got {
			if !want[r] {
				t.Fatalf("seed %d: %v was never made", seed, r)
			}
		}
		for r := range want {
			if !got[r] {
				t.Fatalf("seed %d: %v is missing", seed, r)
			}
		}
		if len(g.Gaps) > 0 {
			t.Fatalf("seed %d: gaps where everything is known: %v", seed, g.Gaps)
		}
	}
}

// With information removed the edges are fewer, never others: unreadable namespaces, peers whose namespace could not be
// told, namespaces known only by an nsid, links that vanished between two reads.
func TestPropertyIncomplete(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 2))
		k := randomHost(rng, bootA)
		s := k.snapshot("h", k.all[0])
		damage(rng, s)
		g := Build(s)
		sound(t, g)
		want := truth(k)
		known := map[string]string{} // the namespace that a hidden one is
		for _, n := range k.all {
			for o, id := range n.nsids {
				known["netns:"+bootA[:8]+":"+snapshot.MakeViaNSID(n.id, id).Short()] = o.node()
			}
		}
		for r := range relations(g) {
			if real := known[r.to]; real != "" {
				r.to = real
			}
			if !want[r] {
				t.Fatalf("seed %d: %v was never made", seed, r)
			}
		}
	}
}

// Of a pair whose one end could be told the edge is there.
func TestPropertyOneEndSuffices(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		k := randomHost(rng, bootA)
		s := k.snapshot("h", k.all[0])
		forgot := map[string]bool{}
		for i := range s.Namespaces {
			ns := &s.Namespaces[i]
			for j := range ns.Links {
				l := &ns.Links[j]
				here := fmt.Sprintf("%s/%d", ns.ID, l.Index)
				if l.Kind != "veth" || l.Peer.NSID == nil || forgot[fmt.Sprintf("%s/%d", l.Peer.Namespace, l.Peer.Index)] {
					continue
				}
				if rng.IntN(2) == 0 {
					l.Peer.Namespace, forgot[here] = "", true
				}
			}
		}
		got := relations(Build(s))
		for r := range truth(k) {
			if r.kind == EdgeVeth && !got[r] {
				t.Fatalf("seed %d: %v is missing", seed, r)
			}
		}
	}
}

// damage forgets and hides at random; it tells nothing wrong.
func damage(rng *rand.Rand, s *snapshot.Snapshot) {
	hidden := map[snapshot.NSID]bool{}
	for i := range s.Namespaces {
		ns := &s.Namespaces[i]
		switch rng.IntN(8) {
		case 0:
			ns.Links = nil
		case 1:
			hidden[ns.ID] = true
		}
		for j := len(ns.Links) - 1; j >= 0; j-- {
			l := &ns.Links[j]
			switch rng.IntN(10) {
			case 0:
				ns.Links = append(ns.Links[:j:j], ns.Links[j+1:]...)
			case 1, 2:
				if l.Peer != nil && l.Peer.NSID != nil {
					l.Peer.Namespace = ""
				}
			case 3:
				l.Peer = nil
				l.Vxlan = nil
				if l.Kind == "vxlan" {
					l.Kind = ""
				}
			case 4:
				if l.Peer != nil {
					l.Peer.Index = 0
				}
			case 5:
				l.Master = 0
			}
		}
	}
	// Hidden namespaces are known only as somebody's nsid: they go, and who refers to them says so.
	kept := s.Namespaces[:0]
	for _, ns := range s.Namespaces {
		if !hidden[ns.ID] {
			kept = append(kept, ns)
		}
	}
	s.Namespaces = kept
	seen := map[snapshot.NSID]bool{}
	for i := range s.Namespaces {
		ns := &s.Namespaces[i]
		for j := range ns.NSIDs {
			if hidden[ns.NSIDs[j].Namespace] {
				ns.NSIDs[j].Namespace = ""
			}
		}
		for j := range ns.Links {
			if p := ns.Links[j].Peer; p != nil && hidden[p.Namespace] && p.NSID != nil {
				p.Namespace = snapshot.MakeViaNSID(ns.ID, *p.NSID)
				if !seen[p.Namespace] {
					seen[p.Namespace] = true
					s.Namespaces = append(s.Namespaces, snapshot.Namespace{ID: p.Namespace})
					ns = &s.Namespaces[i]
				}
			}
		}
	}
}

// Two kernels with the same inodes and ifindexes everywhere do not touch.
func TestPropertyTwoKernels(t *testing.T) {
	for seed := range uint64(100) {
		a := randomHost(rand.New(rand.NewPCG(seed, 4)), bootA)
		b := randomHost(rand.New(rand.NewPCG(seed, 4)), bootB)
		g := Build(b.snapshot("b", b.all[0]), a.snapshot("a", a.all[0]))
		sound(t, g)
		got := relations(g)
		want := truth(a)
		for r := range truth(b) {
			want[r] = true
		}
		for r := range got {
			if !want[r] {
				t.Fatalf("seed %d: %v was never made", seed, r)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d edges, want %d", seed, len(got), len(want))
		}
	}
}

// Reading takes time: of namespaces read before and after links were moved, removed and made anew with the same
// ifindexes, only such pairs are drawn as were pairs at one of the two moments.
func TestPropertyTorn(t *testing.T) {
	drawn := 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 5))
		k := randomHost(rng, bootA)
		before, was := k.snapshot("h", k.all[0]), truth(k)
		for range 2 * len(k.all) {
			n := k.all[rng.IntN(len(k.all))]
			if len(n.links) < 2 {
				continue
			}
			switch l := n.links[1+rng.IntN(len(n.links)-1)]; {
			case l.peer == nil:
			case rng.IntN(2) == 0:
				l.move(k.all[rng.IntN(len(k.all))])
			default: // the pair goes, and others get its numbers
				for _, e := range []*simLink{l, l.peer} {
					e.ns.links = slices.DeleteFunc(e.ns.links, func(o *simLink) bool { return o == e })
					at := e.ns.next
					e.ns.next = e.l.Index
					other := k.all[rng.IntN(len(k.all))]
					if other == e.ns {
						e.ns.next = at
						continue
					}
					veth(e.ns, "new", other, "newp")
					e.ns.next = at
				}
			}
		}
		after, now := k.snapshot("h", k.all[0]), truth(k)
		for i := range before.Namespaces {
			if rng.IntN(2) == 0 {
				before.Namespaces[i] = after.Namespaces[i]
			}
			for j := range before.Namespaces[i].Links {
				if p := before.Namespaces[i].Links[j].Peer; p != nil && p.NSID != nil && rng.IntN(4) == 0 {
					p.Namespace = ""
				}
			}
		}
		g := Build(before)
		sound(t, g)
		ends := map[string]int{}
		for r := range relations(g) {
			if r.kind != EdgeVeth {
				continue
			}
			drawn++
			ends[r.from]++
			ends[r.to]++
			if !was[r] && !now[r] {
				t.Fatalf("seed %d: %v was never a pair", seed, r)
			}
		}
		for id, n := range ends {
			if n > 1 {
				t.Fatalf("seed %d: %s has %d other ends", seed, id, n)
			}
		}
	}
	if drawn < 400 {
		t.Errorf("only %d pairs in all: the test tests nothing", drawn)
	}
}
