package topo

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// byName finds the only container with a name.
func byName(t *testing.T, g *Graph, name string) *Node {
	t.Helper()
	var found []*Node
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == KindContainer && n.Name == name {
			found = append(found, n)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d containers are called %s", len(found), name)
	}
	return found[0]
}

func rowOf(t *testing.T, g *Graph, name string) PSRow {
	t.Helper()
	for _, r := range g.PS() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("ps has no %s", name)
	return PSRow{}
}

// sound checks what is true of every graph.
func sound(t *testing.T, g *Graph) {
	t.Helper()
	seen := map[string]bool{}
	for _, n := range g.Nodes {
		if seen[n.ID] {
			t.Errorf("two nodes %s", n.ID)
		}
		seen[n.ID] = true
		if n.Name == "" {
			t.Errorf("%s has no name", n.ID)
		}
	}
	for _, e := range g.Edges {
		if !seen[e.From] || !seen[e.To] {
			t.Errorf("dangling edge %s %s → %s", e.Kind, e.From, e.To)
		}
		if e.From == e.To {
			t.Errorf("%s edge from %s to itself", e.Kind, e.From)
		}
	}
	if !slices.IsSortedFunc(g.Edges, func(x, y Edge) int { return compareEdges(&x, &y) }) {
		t.Error("edges are not sorted")
	}
}

func TestModes(t *testing.T) {
	m := modesLab()
	g := Build(m.s)
	sound(t, g)
	want := map[string]struct{ mode, addr, wire string }{
		"c1":                {"bridge", "172.17.0.2", "eth0 → vethc6af457@docker0"},
		"c2":                {"bridge", "172.17.0.3", "eth0 → veth1cbe74b@docker0"},
		"cc":                {"container", "172.17.0.3", "eth0 → veth1cbe74b@docker0"},
		"u1":                {"user-bridge", "172.19.0.2", "eth0 → vethaa41434@br-8dd1a97e206d"},
		"i1":                {"user-bridge", "172.21.0.2", "eth0 → veth5555555@br-692ff350c7df"},
		"n1":                {"none", "", ""},
		"h1":                {"host", "", ""},
		"m1":                {"macvlan", "192.168.1.128", "eth0 → macvlan bridge on eth0 (host)"},
		"v1":                {"macvlan", "10.100.0.5", "eth0 → macvlan bridge on eth0.100 (host)"},
		"p1":                {"ipvlan", "", "eth0 → ipvlan l3 on eth0 (host)"},
		"default/nginx":     {"cni", "10.244.31.9", "eth0 → veth0cni0001@cni0"},
		"default/nginx/app": {"cni", "10.244.31.9", "eth0 → veth0cni0001@cni0"},
		"ab12ab12ab12":      {"bridge", "10.9.9.2", "eth0 → hand0@br-hand"},
	}
	for _, r := range g.PS() {
		w, ok := want[r.Name]
		delete(want, r.Name)
		if !ok {
			t.Errorf("ps has %s, which does not run", r.Name)
			continue
		}
		if r.Mode != w.mode || strings.Join(r.Addresses, " ") != w.addr || strings.Join(r.Wires, " ") != w.wire {
			t.Errorf("%s: mode %q, addresses %q, wires %q; want %+v", r.Name, r.Mode, r.Addresses, r.Wires, w)
		}
	}
	for name := range want {
		t.Errorf("ps lacks %s", name)
	}
	roles := map[string]string{}
	for _, r := range g.NS() {
		roles[r.Name] = r.Role
	}
	for name, role := range map[string]string{"host": RoleHost, "c2": RoleContainer, "default/nginx": RoleContainer, "blue": RoleNamed, m.k.all[len(m.k.all)-1].id.Short(): RoleOther} {
		if roles[name] != role {
			t.Errorf("netns %s has role %q, want %q", name, roles[name], role)
		}
	}
	if len(g.Gaps) > 0 {
		t.Errorf("gaps on a healthy host: %v", g.Gaps)
	}
}

// The carriers of networks, and whether the kernel or only the engine says so.
func TestCarries(t *testing.T) {
	m := modesLab()
	g := Build(m.s)
	for _, c := range []struct{ link, net, source string }{
		{"docker0", "bridge", ""}, {"br-8dd1a97e206d", "un", ""}, {"br-692ff350c7df", "inner", SourceEngine}, {"eth0", "lan", ""},
		{"eth0.100", "vl100", ""}, {"eth0", "l3net", SourceEngine}, {"cni0", "cbr0", SourceEngine},
	} {
		n, err := g.Resolve("net:" + c.net)
		if err != nil {
			t.Fatal(err)
		}
		if e := wantEdge(t, g, EdgeCarries, m.host.get(c.link).node(), n.ID); e.Attrs.Source != c.source {
			t.Errorf("%s carries %s by %q, want %q", c.link, c.net, e.Attrs.Source, c.source)
		}
	}
	// An address that contradicts the configuration: not drawn.
	m.s.Networks[0].Subnets[0].Subnet = pfx("10.200.0.0/16")
	g = Build(m.s)
	if hasEdge(g, EdgeCarries, m.host.get("docker0").node(), "network:docker:"+m.s.Networks[0].ID) {
		t.Error("docker0 carries a network whose subnet is another")
	}
	if len(g.Gaps) != 1 {
		t.Errorf("want one gap, have %v", g.Gaps)
	}
}

func TestPublishes(t *testing.T) {
	m := modesLab()
	g := Build(m.s)
	c2 := byName(t, g, "c2")
	var got []string
	for _, e := range g.Out(c2.ID, EdgePublishes) {
		got = append(got, e.Attrs.Proto+" "+e.Attrs.HostAddr+" "+e.Attrs.By+" "+e.Attrs.Source)
	}
	want := []string{"tcp 0.0.0.0 proxy ", "tcp 127.0.0.1 dnat engine", "udp 0.0.0.0 proxy "}
	if !slices.Equal(got, want) {
		t.Errorf("published: %q, want %q", got, want)
	}
}

// The same facts in another order are the same graph.
func TestDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	lab := swarmLab(bootA)
	snaps := []*snapshot.Snapshot{modesLab().s, lab.outside(), lab.inside(0), lab.inside(1)}
	want := asJSON(Build(snaps...))
	for range 20 {
		var again []*snapshot.Snapshot
		for _, s := range snaps {
			var c snapshot.Snapshot
			if err := json.Unmarshal([]byte(asJSON(s)), &c); err != nil {
				t.Fatal(err)
			}
			mix := func(n int, swap func(i, j int)) { rng.Shuffle(n, swap) }
			mix(len(c.Namespaces), func(i, j int) { c.Namespaces[i], c.Namespaces[j] = c.Namespaces[j], c.Namespaces[i] })
			mix(len(c.Workloads), func(i, j int) { c.Workloads[i], c.Workloads[j] = c.Workloads[j], c.Workloads[i] })
			mix(len(c.Networks), func(i, j int) { c.Networks[i], c.Networks[j] = c.Networks[j], c.Networks[i] })
			mix(len(c.Host.Engines), func(i, j int) { c.Host.Engines[i], c.Host.Engines[j] = c.Host.Engines[j], c.Host.Engines[i] })
			for i := range c.Namespaces {
				ns := &c.Namespaces[i]
				mix(len(ns.Links), func(i, j int) { ns.Links[i], ns.Links[j] = ns.Links[j], ns.Links[i] })
				mix(len(ns.Holders), func(i, j int) { ns.Holders[i], ns.Holders[j] = ns.Holders[j], ns.Holders[i] })
				mix(len(ns.FDB), func(i, j int) { ns.FDB[i], ns.FDB[j] = ns.FDB[j], ns.FDB[i] })
			}
			again = append(again, &c)
		}
		rng.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
		if got := asJSON(Build(again...)); got != want {
			t.Fatal("the order of the input shows in the graph")
		}
	}
}

// Build must leave the snapshots alone: others read them at the same time.
func TestInputUnchanged(t *testing.T) {
	lab := swarmLab(bootA)
	snaps := []*snapshot.Snapshot{lab.inside(0), lab.outside(), lab.inside(1)}
	before := asJSON(snaps)
	g := Build(snaps...)
	g.PS()
	g.Targets()
	if asJSON(snaps) != before {
		t.Error("Build changed a snapshot")
	}
}

// A graph read from JSON answers what needs no raw data.
func TestGraphFromJSON(t *testing.T) {
	g := Build(modesLab().s)
	var again Graph
	if err := json.Unmarshal([]byte(asJSON(g)), &again); err != nil {
		t.Fatal(err)
	}
	if asJSON(again.PS()) != asJSON(g.PS()) || asJSON(again.NS()) != asJSON(g.NS()) {
		t.Error("ps and ns of a graph read from JSON differ")
	}
	n, err := again.Resolve("web1")
	if err == nil {
		t.Errorf("resolved %v", n)
	}
	if n, err = again.Resolve("c2"); err != nil || again.Workload(n) != nil || again.Snapshot(n) != nil {
		t.Errorf("c2: %v, %v", n, err)
	}
	if hits, err := again.Find("172.17.0.3"); err != nil || len(hits) != 1 {
		t.Errorf("%v, %v", hits, err)
	}
}

func TestEmpty(t *testing.T) {
	for _, g := range []*Graph{Build(), Build(nil), Build(&snapshot.Snapshot{}), Build(&snapshot.Snapshot{}, &snapshot.Snapshot{})} {
		sound(t, g)
		if asJSON(g.PS()) != "[]" || asJSON(g.NS()) != "[]" || strings.Contains(asJSON(g), "null") {
			t.Errorf("%s", asJSON(g))
		}
		if _, err := g.Resolve("host"); err == nil {
			t.Error("a graph of nothing has a host")
		}
	}
}

func BenchmarkBuild1000(b *testing.B) {
	s := bigHost(1000)
	b.ReportAllocs()
	for b.Loop() {
		Build(s)
	}
}

func BenchmarkBuild100(b *testing.B) {
	s := bigHost(100)
	b.ReportAllocs()
	for b.Loop() {
		Build(s)
	}
}

// bigHost has n containers on one bridge, each known to Docker.
func bigHost(n int) *snapshot.Snapshot {
	k := newSim(bootA)
	h := k.ns("host")
	br := h.bridge("docker0", "172.17.0.1/16")
	var at []*simNS
	for i := range n {
		c := k.ns("c").proc(100+i, "httpd")
		c.add("tunl0", "ipip")
		plug(br, "veth"+strings.Repeat("0", 3)+string(rune('a'+i%26))+asJSON(i), c, "eth0", "172.17."+asJSON(1+i/250)+"."+asJSON(i%250+2)+"/16", "")
		at = append(at, c)
	}
	s := k.snapshot("big", h)
	s.Host.Engines = []snapshot.Engine{{ID: "docker", Kind: "docker", Home: h.id}}
	net := bridgeNet("docker", "ae6be3a47546", "bridge", "docker0", "172.17.0.0/16")
	s.Networks = []snapshot.Network{net}
	for i, c := range at {
		s.Workloads = append(s.Workloads, ctr("docker", "c"+asJSON(100000+i), "c"+asJSON(i), "default", c, 100+i, ep(net, "", "")))
	}
	return s
}

func TestBuildIsLinear(t *testing.T) {
	cost := func(n int) float64 {
		s := bigHost(n)
		best := 0.0
		for range 3 {
			r := testing.AllocsPerRun(1, func() { Build(s) })
			if best == 0 || r < best {
				best = r
			}
		}
		return best / float64(n)
	}
	if a, b := cost(100), cost(1000); b > 1.3*a {
		t.Errorf("a namespace costs %.0f allocations among 100, %.0f among 1000", a, b)
	}
}
