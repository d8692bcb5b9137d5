package topo

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// exercise calls everything that a view calls.
func exercise(t *testing.T, g *Graph) {
	t.Helper()
	sound(t, g)
	g.PS()
	g.NS()
	for _, target := range g.Targets() {
		if _, err := g.Resolve(target); err != nil && target != "self" {
			t.Errorf("completion offers %q, which is %v", target, err)
		}
	}
	for i, n := range g.Nodes {
		if i > 40 {
			break
		}
		g.TargetOf(&n)
		Explicit(&n)
		g.Sub(n.ID)
		for _, what := range []string{n.Name, n.ID, n.Attrs.MAC} {
			if _, err := g.Find(what); err != nil {
				var nf *NotFoundError
				if !errors.As(err, &nf) {
					t.Errorf("find %q: %v", what, err)
				}
			}
		}
	}
	for _, what := range []string{"", ":", "/", "//", "if:", "if:/", "if:if:/", "netns:", "pid:-1", "port:99999999", "host", "self", "1", "10.0.0.1", "::1", "0x1", "net:[4]", "a/b/c", "path:/proc/x/ns/net", "vni:1"} {
		_, _ = g.Find(what)
		_, _ = g.Resolve(what)
		_, _ = g.ResolveAll(what)
	}
}

func TestHostile(t *testing.T) {
	m := modesLab()
	for name, harm := range map[string]func(*snapshot.Snapshot){
		"cyclic masters": func(s *snapshot.Snapshot) {
			for i := range s.Namespaces {
				for j := range s.Namespaces[i].Links {
					l := &s.Namespaces[i].Links[j]
					l.Master, l.MasterKind = 1+(l.Index%len(s.Namespaces[i].Links)), ""
				}
			}
		},
		"cyclic parents": func(s *snapshot.Snapshot) {
			for i := range s.Namespaces {
				ls := s.Namespaces[i].Links
				for j := range ls {
					ls[j].Kind, ls[j].Peer = "vlan", &snapshot.Peer{Index: 1 + ls[j].Index%len(ls)}
				}
			}
		},
		"every id the same": func(s *snapshot.Snapshot) {
			for i := range s.Namespaces {
				s.Namespaces[i].ID = "4:1"
			}
			for i := range s.Workloads {
				s.Workloads[i].ID = "x"
			}
		},
		"one inode on many devices": func(s *snapshot.Snapshot) {
			for i := range s.Namespaces {
				s.Namespaces[i].ID = snapshot.MakeNSID(uint64(i), 7)
			}
		},
		"nonsense ids": func(s *snapshot.Snapshot) {
			for i := range s.Namespaces {
				s.Namespaces[i].ID = []snapshot.NSID{"", "via:", "via:x/y", ":", "1:-5", "via:4:1/0", "a/b"}[i%7]
			}
		},
		"negative numbers": func(s *snapshot.Snapshot) {
			for i := range s.Namespaces {
				for j := range s.Namespaces[i].Links {
					l := &s.Namespaces[i].Links[j]
					l.Index, l.Master, l.MTU = -l.Index, -1, -1
					l.Peer = &snapshot.Peer{Index: -5}
				}
			}
		},
		"peers are themselves": func(s *snapshot.Snapshot) {
			for i := range s.Namespaces {
				for j := range s.Namespaces[i].Links {
					l := &s.Namespaces[i].Links[j]
					l.Kind, l.Peer = "veth", &snapshot.Peer{Index: l.Index, Namespace: s.Namespaces[i].ID}
				}
			}
		},
		"nothing refers to anything": func(s *snapshot.Snapshot) {
			s.Host.InitNS, s.Host.SelfNS = "4:999", "4:999"
			for i := range s.Workloads {
				s.Workloads[i].Engine, s.Workloads[i].Namespace = "nobody", "9:9"
			}
			for i := range s.Networks {
				s.Networks[i].Engine = ""
			}
			s.Host.Engines[0].Home = "8:8"
		},
		"everyone has the same sandbox": func(s *snapshot.Snapshot) {
			for i := range s.Namespaces {
				s.Namespaces[i].Holders = []snapshot.Holder{{Kind: snapshot.HolderMount, Path: "/run/docker/netns/1-aaaaaaaaaa"}, {Kind: "", Path: ""}, {Kind: snapshot.HolderMount}}
			}
			for i := range s.Workloads {
				s.Workloads[i].SandboxKey, s.Workloads[i].Namespace = "/var/run/docker/netns/1-aaaaaaaaaa", ""
			}
		},
		"containers joined in a circle": func(s *snapshot.Snapshot) {
			for i := range s.Workloads {
				s.Workloads[i].Mode, s.Workloads[i].Namespace = "container:"+s.Workloads[(i+1)%len(s.Workloads)].ID, ""
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s snapshot.Snapshot
			if err := json.Unmarshal([]byte(asJSON(m.s)), &s); err != nil {
				t.Fatal(err)
			}
			harm(&s)
			exercise(t, Build(&s))
			exercise(t, Build(&s, m.s))
			for _, e := range Build(&s).Edges {
				if e.Kind == EdgePort || e.Kind == EdgeParent {
					if name == "cyclic masters" && e.Kind == EdgePort || name == "cyclic parents" && e.Kind == EdgeParent {
						t.Errorf("%s edge in a circle: %s → %s", e.Kind, e.From, e.To)
					}
				}
			}
		})
	}
}

// scramble changes a snapshot at random, as a forged or broken file might be.
func scramble(rng *rand.Rand, s *snapshot.Snapshot) {
	id := func() snapshot.NSID {
		switch rng.IntN(5) {
		case 0:
			return ""
		case 1:
			return snapshot.NSID("via:4:4026531841/" + string(rune('0'+rng.IntN(9))))
		}
		return snapshot.MakeNSID(4, 4026531840+uint64(rng.IntN(16)))
	}
	kinds := []string{"veth", "bridge", "vxlan", "macvlan", "vlan", "ipvlan", "netkit", "gre", "", "geneve", "bond"}
	for range 1 + rng.IntN(40) {
		if len(s.Namespaces) == 0 {
			return
		}
		ns := &s.Namespaces[rng.IntN(len(s.Namespaces))]
		switch rng.IntN(9) {
		case 0:
			ns.ID = id()
		case 1:
			s.Host.InitNS = id()
		case 2:
			if len(s.Host.Engines) > 0 {
				s.Host.Engines[rng.IntN(len(s.Host.Engines))].Home = id()
			}
		case 3:
			if len(s.Workloads) > 0 {
				w := &s.Workloads[rng.IntN(len(s.Workloads))]
				w.Namespace, w.ID = id(), s.Workloads[rng.IntN(len(s.Workloads))].ID
			}
		case 4:
			ns.NSIDs = append(ns.NSIDs, snapshot.PeerNSID{NSID: rng.IntN(9), Namespace: id()})
		case 5:
			ns.FDB = append(ns.FDB, snapshot.FDBEntry{Ifindex: rng.IntN(9), MAC: "x", Dst: netip.AddrFrom4([4]byte{10, 99, 0, byte(rng.IntN(3))})})
		default:
			if len(ns.Links) > 0 {
				l := &ns.Links[rng.IntN(len(ns.Links))]
				nsid := rng.IntN(4)
				l.Kind, l.Master, l.Index = kinds[rng.IntN(len(kinds))], rng.IntN(12)-1, rng.IntN(14)-1
				l.Peer = &snapshot.Peer{Index: rng.IntN(12) - 1, NSID: &nsid, Namespace: id()}
				l.Vxlan = &snapshot.Vxlan{VNI: 4097, Port: 4789, Link: rng.IntN(8), Group: netip.AddrFrom4([4]byte{10, 99, 0, byte(rng.IntN(3))})}
			}
		}
	}
}

func TestScrambled(t *testing.T) {
	lab := swarmLab(bootA)
	raw := [][]byte{[]byte(asJSON(modesLab().s)), []byte(asJSON(lab.outside())), []byte(asJSON(lab.inside(0)))}
	for seed := range uint64(150) {
		rng := rand.New(rand.NewPCG(seed, 9))
		var snaps []*snapshot.Snapshot
		for _, r := range raw {
			var s snapshot.Snapshot
			if err := json.Unmarshal(r, &s); err != nil {
				t.Fatal(err)
			}
			scramble(rng, &s)
			snaps = append(snaps, &s)
		}
		g := Build(snaps...)
		exercise(t, g)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzBuild takes any JSON that is a snapshot.
func FuzzBuild(f *testing.F) {
	lab := swarmLab(bootA)
	f.Add([]byte(asJSON(modesLab().s)), []byte(`{}`))
	f.Add([]byte(asJSON(lab.inside(0))), []byte(asJSON(lab.outside())))
	f.Add([]byte(`{"namespaces":[{"id":"via:4:1/0"},{"id":"4:1","nsids":[{"nsid":0,"namespace":"4:1"}]}]}`), []byte(`{"host":{"boot_id":"-"}}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var x, y snapshot.Snapshot
		if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
			t.Skip()
		}
		exercise(t, Build(&x, &y))
	})
}
