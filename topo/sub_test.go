package topo

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// inSub lists a neighbourhood as "kind name", links as "name@netns".
func inSub(g *Graph, id string) []string {
	s := g.Sub(id)
	var out []string
	for i := range s.Nodes {
		n := &s.Nodes[i]
		switch n.Kind {
		case KindLink:
			ns, _ := s.Node(n.Attrs.Netns)
			out = append(out, n.Name+"@"+ns.Name)
		case KindNetns:
			out = append(out, "netns "+n.Name)
		default:
			out = append(out, fmt.Sprintf("%s %s", n.Kind, n.Name))
		}
	}
	slices.Sort(out)
	return out
}

func wantSub(t *testing.T, g *Graph, target string, want, never []string) {
	t.Helper()
	n, err := g.Resolve(target)
	if err != nil {
		t.Fatal(err)
	}
	sound(t, g.Sub(n.ID))
	got := inSub(g, n.ID)
	for _, w := range want {
		if !slices.Contains(got, w) {
			t.Errorf("%s lacks %q; it has %s", target, w, strings.Join(got, ", "))
		}
	}
	for _, w := range never {
		if slices.Contains(got, w) {
			t.Errorf("%s has %q", target, w)
		}
	}
}

func TestSub(t *testing.T) {
	g := Build(modesLab().s)
	wantSub(t, g, "c1",
		[]string{"container c1", "netns c1", "eth0@c1", "vethc6af457@host", "docker0@host", "netns host", "network bridge", "eth0@host"},
		[]string{"container c2", "veth1cbe74b@host", "container h1", "network un"})
	wantSub(t, g, "c2", []string{"container c2", "container cc"}, []string{"container c1"})
	wantSub(t, g, "m1", []string{"eth0@m1", "eth0@host", "network lan"}, []string{"container v1", "docker0@host"})
	wantSub(t, g, "v1", []string{"eth0@v1", "eth0.100@host", "eth0@host", "network vl100"}, nil)
	wantSub(t, g, "net:bridge", []string{"container c1", "container c2", "docker0@host", "vethc6af457@host", "eth0@c2", "eth0@host"}, []string{"container u1", "network un"})
	wantSub(t, g, "lan", []string{"eth0@host", "eth0@m1", "container m1"}, []string{"container c1"})
	wantSub(t, g, "docker0", []string{"eth0@c1", "eth0@c2", "network bridge"}, []string{"container u1"})
	wantSub(t, g, "vethc6af457", []string{"eth0@c1", "docker0@host", "container c1"}, []string{"container c2"})
	wantSub(t, g, "if:host/eth0", []string{"eth0@m1", "eth0.100@host"}, []string{"container c1"})
	wantSub(t, g, "host", []string{"container c1", "container u1", "container h1", "docker0@host"}, []string{"netns blue"})
	wantSub(t, g, "h1", []string{"container h1", "netns host"}, []string{"docker0@host"})
	wantSub(t, g, "blue", []string{"netns blue"}, []string{"netns host"})

	lab := swarmLab(bootA)
	g = Build(lab.outside())
	wantSub(t, g, "cache", []string{"eth1@cache", "veth2@1-ddijjs6f2q", "br0@1-ddijjs6f2q", "vxlan0@1-ddijjs6f2q", "netns node1", "network backend", "docker_gwbridge@node1"},
		[]string{"container db", "netns lb_ddijjs6f2", "netns ingress_sbox"})
	wantSub(t, g, "net:backend", []string{"container cache", "container db", "netns lb_ddijjs6f2", "service web", "netns node1", "netns node2"},
		[]string{"netns ingress_sbox", "netns 1-xa77g0m8qv", "docker_gwbridge@node1"})
	wantSub(t, g, "service:web", []string{"netns lb_ddijjs6f2", "netns ingress_sbox", "netns node1", "container web.1.fewvfr1aqohai3casiept29n9"}, []string{"container db"})
	one := Build(swarmLab(bootA, bootB).inside(0))
	wantSub(t, one, "vtep:10.99.0.2", []string{"vtep 10.99.0.2", "vxlan0@1-ddijjs6f2q", "netns 1-ddijjs6f2q", "network backend", "netns host"}, []string{"container cache"})
	if s := g.Sub("nothing"); len(s.Nodes) != 0 || len(s.Hosts) != 0 {
		t.Error("a neighbourhood of nothing")
	}
	// A neighbourhood answers questions as a graph does.
	n, _ := g.Resolve("cache")
	s := g.Sub(n.ID)
	if r := rowOf(t, s, "cache"); !slices.Contains(r.Wires, "eth1 → veth2@br0 (1-ddijjs6f2q) vxlan 4097") {
		t.Errorf("%+v", r)
	}
	if len(s.Hosts) != 1 {
		t.Errorf("%v", s.Hosts)
	}
}
