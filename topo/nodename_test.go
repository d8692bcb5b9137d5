package topo

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// TestNodeName: a remote subnet, VTEP or gateway carries the name of its node, and none where two are told.
func TestNodeName(t *testing.T) {
	host := snapshot.MakeNSID(4, 4026531840)
	lease := func(subnet, ip, node string) snapshot.FlannelLease {
		return snapshot.FlannelLease{Subnet: netip.MustParsePrefix(subnet), PublicIP: netip.MustParseAddr(ip), Node: node}
	}
	s := &snapshot.Snapshot{Schema: 1, Tool: "t", Host: snapshot.Host{Name: "w1", BootID: "b", InitNS: host, SelfNS: host,
		Engines: []snapshot.Engine{{ID: "docker", Kind: "docker", Home: host, Swarm: &snapshot.Swarm{Nodes: []snapshot.SwarmNode{{Name: "w3", Addr: "10.98.0.3:2377"}}}}}},
		Namespaces: []snapshot.Namespace{{ID: host}},
		Flannel: []snapshot.Flannel{{Path: "http://etcd", Leases: []snapshot.FlannelLease{lease("10.244.2.0/24", "10.98.0.2", "w2"),
			lease("10.244.4.0/24", "10.98.0.4", "a"), lease("10.244.5.0/24", "10.98.0.4", "b")}}}}
	s.Normalize()
	g := Build(s)
	n, ok := g.Node("netns:b:4026531840")
	if !ok {
		t.Fatalf("no host in %v", g.Nodes)
	}
	for addr, want := range map[string]string{
		"10.98.0.2": "w2", "10.244.2.0": "w2", "10.244.2.7": "w2", "::ffff:10.98.0.2": "w2", "10.98.0.3": "w3", "10.98.0.4": "", "10.244.3.1": "", "10.98.0.9": "",
	} {
		if got := g.NodeName(n, netip.MustParseAddr(addr)); got != want {
			t.Errorf("NodeName(%s) = %q, want %q", addr, got, want)
		}
	}
	if got := g.NodeName(n, netip.Addr{}); got != "" {
		t.Errorf("NodeName of no address = %q", got)
	}
	for what, want := range map[string]string{"10.98.0.2": "node w2", "10.244.2.9": "node w2"} {
		hits, err := g.Find(what)
		if err != nil || len(hits) != 1 || !strings.Contains(hits[0].Sentence, want) {
			t.Errorf("Find(%s) = %v, %v", what, hits, err)
		}
	}
}
