package topo

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file under testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range max(len(g), len(w)) {
			at := func(s []string) string {
				if i < len(s) {
					return s[i]
				}
				return "(nothing)"
			}
			if at(g) != at(w) {
				t.Fatalf("%s:%d differs\n got %s\nwant %s\n(go test -update writes it anew)", path, i+1, at(g), at(w))
			}
		}
	}
}

func answers(g *Graph, whats ...string) string {
	var b strings.Builder
	for _, what := range whats {
		fmt.Fprintf(&b, "? %s\n", what)
		hits, err := g.Find(what)
		if err != nil {
			fmt.Fprintf(&b, "  error: %v\n", err)
		}
		for _, h := range hits {
			fmt.Fprintf(&b, "  [%s: %s] %s\n", h.Why, g.TargetOf(h.Node), h.Sentence)
		}
	}
	return b.String()
}

// What find says, word by word.
func TestFindSentences(t *testing.T) {
	m := modesLab()
	m.s.Namespaces[0].Neighbors = nil
	one := Build(m.s)
	lab := swarmLab(bootA)
	nested := Build(lab.outside())
	alone := swarmLab(bootA, bootB)
	node1 := Build(alone.inside(0))
	golden(t, "find.txt", "# one host, every mode\n"+answers(one,
		"vethc6af457", "docker0", "eth0.100", "lo", "if:m1/eth0", "br-692ff350c7df", "hand0",
		"02:42:ac:11:00:02", "02-42-AC-13-00-02", "mac:ff:ff:00:00:00:01",
		"172.17.0.2", "172.17.0.1", "172.17.0.77", "192.168.1.128", "192.168.1.10/24", "127.0.0.1", "9.9.9.9", "192.168.1.129", "10.244.31.200",
		"8080", ":8080", "8080/udp", "5353/udp", "9000", "22", "192.168.1.10:8080", "10.0.0.1:8080", "port:4", "443",
		"4026531842", "net:[4026531842]", "netns:4026531840", "/run/netns/blue", "/run/netns/cni-0a0b0c0d-1111-2222-3333-444455556666", "blue",
		"715", "pid:1096", "pid:1", "pid:77777",
		"c2", "116bd6a5ebbf", "old", "c22", "nginx", "default/nginx/app", "h1", "cc", "n1", "ab12", "net:un", "lan", "bridge", "host")+
		"\n# a machine with two nested swarm nodes\n"+answers(nested,
		"vxlan0", "10.0.1.2", "10.0.1.12", "10.0.1.99", "10.0.1.1", "10.99.0.2", "172.17.0.1", "4097", "vni:4096", "4789", "8000", "web", "web.2", "backend", "node2",
		"lb_ddijjs6f2", "02:42:0a:00:01:0c", "veth2", "p1", "sw", "1-ddijjs6f2q", "ingress_sbox", "service:web", "/run/docker/netns/ingress_sbox", "51877e788a90", "0x101")+
		"\n# one of two swarm nodes\n"+answers(node1,
		"10.0.1.12", "10.99.0.2", "02:42:0a:00:01:0c", "4097", "vethgw01", "web", "10.0.1.2"))
}

func TestFindMark(t *testing.T) {
	g := Build(swarmLab(bootA).outside())
	n := wantNode(t, g, "service:"+webService)
	n.Attrs.Mark = 0x101
	for _, what := range []string{"0x101", "257", "mark:257"} {
		hits, err := g.Find(what)
		if err != nil || len(hits) != 1 || hits[0].Node != n || hits[0].Sentence != "0x101 (257) is the firewall mark of service web" {
			t.Errorf("%s: %v %v", what, hits, err)
		}
	}
}

// The name of every node finds it, and so does what identifies it.
func TestFindEverything(t *testing.T) {
	lab := swarmLab(bootA)
	for _, g := range []*Graph{Build(modesLab().s), Build(lab.outside()), Build(lab.inside(0))} {
		for i := range g.Nodes {
			n := &g.Nodes[i]
			whats := []string{n.Name}
			switch n.Kind {
			case KindLink:
				whats = append(whats, "mac:"+n.Attrs.MAC)
			case KindContainer:
				whats = append(whats, n.Attrs.ContainerID, n.Attrs.ContainerID[:12])
			case KindNetns:
				whats = []string{shortOf(n)}
			case KindVTEP:
				whats = append(whats, n.Attrs.Address)
			}
			for _, what := range whats {
				hits, err := g.Find(what)
				if err != nil || !slices.ContainsFunc(hits, func(h Hit) bool { return h.Node == n }) {
					t.Errorf("%s (%s) is not found by %q: %v", n.ID, n.Name, what, err)
				}
				for _, h := range hits {
					if h.Sentence == "" || strings.Contains(h.Sentence, "  ") || strings.HasSuffix(h.Sentence, ".") || strings.Contains(h.Sentence, "%!") {
						t.Errorf("%q: %q", what, h.Sentence)
					}
				}
			}
		}
		var nf *NotFoundError
		if _, err := g.Find("nothing-is-called-so"); !errors.As(err, &nf) {
			t.Errorf("%v", err)
		}
	}
}
