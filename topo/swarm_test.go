package topo

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/snapshot"
)

// The same two nodes, seen in every way: from outside, from within, both, and as two machines.
func TestSwarmViews(t *testing.T) {
	one, two := swarmLab(bootA), swarmLab(bootA, bootB)
	for _, c := range []struct {
		name  string
		lab   *swarm
		snaps []*snapshot.Snapshot
		hosts [2]string
		role  string
	}{
		{"outside", one, []*snapshot.Snapshot{one.outside()}, [2]string{"vm/node1", "vm/node2"}, RoleNode},
		{"inside", one, []*snapshot.Snapshot{one.inside(0), one.inside(1)}, [2]string{"node1", "node2"}, RoleHost},
		{"both", one, []*snapshot.Snapshot{one.inside(1), one.outside(), one.inside(0)}, [2]string{"vm/node1", "vm/node2"}, RoleNode},
		{"one node and the machine", one, []*snapshot.Snapshot{one.inside(1), one.outside()}, [2]string{"vm/node1", "vm/node2"}, RoleNode},
		{"two machines", two, []*snapshot.Snapshot{two.inside(0), two.inside(1)}, [2]string{"node1", "node2"}, RoleHost},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := Build(c.snaps...)
			sound(t, g)
			if len(g.Gaps) > 0 {
				t.Errorf("gaps: %v", g.Gaps)
			}
			wantSwarm(t, g, c.lab, c.hosts, c.role)
			// Every wire that was made, once, and no other.
			want := map[relation]bool{}
			for _, k := range slices.Compact(slices.Clone(c.lab.k[:])) {
				for r := range truth(k) {
					want[r] = true
				}
			}
			n := 0
			for r := range relations(g) {
				switch r.kind {
				case EdgeVeth, EdgePort, EdgeParent, EdgeUnderlay, EdgeIn:
					if !want[r] {
						t.Errorf("%v was never made", r)
					}
					if r.kind == EdgeVeth {
						n++
					}
				}
			}
			if pairs := 16 + 2*len(c.snaps[0].Gaps); n < pairs-2 {
				t.Errorf("%d veth pairs, want at least %d", n, pairs-2)
			}
		})
	}
}

func wantSwarm(t *testing.T, g *Graph, lab *swarm, hosts [2]string, role string) {
	t.Helper()
	if want := map[bool]int{true: 1, false: 2}[role == RoleNode]; len(g.Hosts) != want {
		t.Errorf("%d hosts, want %d", len(g.Hosts), want)
	}
	for i, n := range lab.node {
		for _, c := range []struct {
			ns                  *simNS
			role, name, network string
		}{
			{n.home, role, "", ""}, {n.backend, RoleOverlay, "1-ddijjs6f2q", "backend"}, {n.ingress, RoleOverlay, "1-xa77g0m8qv", "ingress"},
			{n.lb, RoleLoadBalancer, "lb_ddijjs6f2", "backend"}, {n.sbox, RoleIngress, "ingress_sbox", "ingress"},
			{n.ctr["web"], RoleContainer, "web." + string(rune('1'+i)), ""}, {n.ctr["aux"], RoleContainer, []string{"cache", "db"}[i], ""},
		} {
			got := wantNode(t, g, c.ns.node())
			if got.Attrs.Role != c.role || got.Attrs.Network != c.network || c.name != "" && got.Name != c.name || got.Host != hosts[i] {
				t.Errorf("%s: role %q, name %q, network %q, host %q; want %+v on %s", got.ID, got.Attrs.Role, got.Name, got.Attrs.Network, got.Host, c, hosts[i])
			}
		}
		o := lab.node[1-i]
		e := wantEdge(t, g, EdgeTunnel, n.backend.get("vxlan0").node(), o.backend.get("vxlan0").node())
		if e.Attrs.VNI != 4097 || e.Attrs.Port != 4789 || len(e.Attrs.MACs) != 3 {
			t.Errorf("tunnel: %+v", e.Attrs)
		}
		wantEdge(t, g, EdgeTunnel, n.ingress.get("vxlan0").node(), o.ingress.get("vxlan0").node())
		wantEdge(t, g, EdgeUnderlay, n.backend.get("vxlan0").node(), n.home.node())
		wantEdge(t, g, EdgeCarries, n.backend.node(), "network:docker:"+netBackend.ID)
		wantEdge(t, g, EdgeCarries, n.ingress.node(), "network:docker:"+netIngress.ID)
		if e := wantEdge(t, g, EdgeBalances, n.lb.node(), "service:"+webService); e.Attrs.Address != "10.0.1.2" || e.Attrs.Network != "backend" {
			t.Errorf("balances: %+v", e.Attrs)
		}
		if e := wantEdge(t, g, EdgeBalances, n.sbox.node(), "service:"+webService); e.Attrs.Address != "10.0.0.4" || e.Attrs.Network != "ingress" {
			t.Errorf("balances: %+v", e.Attrs)
		}
		if e := wantEdge(t, g, EdgePublishes, "service:"+webService, n.home.node()); e.Attrs.By != "mesh" || e.Attrs.Source != "" || e.Attrs.HostPort != 8000 {
			t.Errorf("publishes: %+v", e.Attrs)
		}
		wantEdge(t, g, EdgeBackend, "service:"+webService, "container:docker:"+hexID("b2521206c70"+string(rune('0'+i))))
	}
	r := rowOf(t, g, "cache")
	if want := "eth1 → veth2@br0 (1-ddijjs6f2q) vxlan 4097; eth2 → vethgw01@docker_gwbridge"; strings.Join(r.Wires, "; ") != want || r.Mode != "overlay" {
		t.Errorf("cache: %q %s", r.Wires, r.Mode)
	}
	if n, err := g.Resolve("web.2"); err != nil || n.Attrs.Service != "web" {
		t.Errorf("web.2: %v, %v", n, err)
	}
}

// Seen from outside, pids are the machine's; from within, the node's.
func TestMergedPIDs(t *testing.T) {
	lab := swarmLab(bootA)
	g := Build(lab.inside(0), lab.outside(), lab.inside(1))
	if r := rowOf(t, g, "db"); r.PID != 2011 {
		t.Errorf("db has pid %d", r.PID)
	}
	for _, r := range g.NS() {
		if r.Name == "db" && r.Procs != 1 {
			t.Errorf("db has %d processes: one was counted by two numbers", r.Procs)
		}
	}
}

// One node alone: the other end of its tunnels is a VTEP with the node's name, its task an attribute.
func TestOneNode(t *testing.T) {
	lab := swarmLab(bootA, bootB)
	g := Build(lab.inside(0))
	sound(t, g)
	v := wantNode(t, g, "vtep:10.99.0.2")
	if v.Attrs.Node != "node2" || v.Host != "" {
		t.Errorf("%+v", v)
	}
	wantEdge(t, g, EdgeTunnel, lab.node[0].backend.get("vxlan0").node(), v.ID)
	svc := wantNode(t, g, "service:"+webService)
	if !slices.Equal(svc.Attrs.Backends, []string{"10.0.1.12 web.2 on node2"}) {
		t.Errorf("backends elsewhere: %q", svc.Attrs.Backends)
	}
	// The worker knows no service but by its task's endpoint.
	g = Build(lab.inside(1))
	svc = wantNode(t, g, "service:"+webService)
	if svc.Name != "web" || !slices.Equal(svc.Attrs.VIPs, []string{"10.0.0.4", "10.0.1.2"}) {
		t.Errorf("%+v", svc)
	}
	wantEdge(t, g, EdgeBalances, lab.node[1].lb.node(), svc.ID)
}

// Without an engine the wires are the same, and the networks go by what their files tell.
func TestNoEngine(t *testing.T) {
	lab := swarmLab(bootA)
	s := lab.outside()
	full := relations(Build(s))
	s.Networks, s.Services, s.Workloads, s.Host.Engines = nil, nil, nil, nil
	g := Build(s)
	sound(t, g)
	for r := range full {
		switch r.kind {
		case EdgeIn, EdgeVeth, EdgePort, EdgeParent, EdgeUnderlay, EdgeTunnel:
			if !relations(g)[r] {
				t.Errorf("%v is missing", r)
			}
		}
	}
	n := wantNode(t, g, lab.node[0].backend.node())
	if n.Attrs.Role != RoleOverlay || n.Attrs.Network != "ddijjs6f2q" {
		t.Errorf("%+v", n.Attrs)
	}
	c := wantNode(t, g, lab.node[0].ctr["web"].node())
	if c.Attrs.Role != RoleContainer || c.Attrs.Mode != "overlay" {
		t.Errorf("%+v", c.Attrs)
	}
	if r := rowOf(t, g, c.Name); len(r.Wires) != 3 {
		t.Errorf("%+v", r)
	}
}

// Only containers are left of the engine (its state files): networks are known by their endpoints.
func TestNetworksFromEndpoints(t *testing.T) {
	lab := swarmLab(bootA)
	s := lab.outside()
	s.Networks = nil
	g := Build(s)
	sound(t, g)
	n := wantNode(t, g, "network:docker:"+netBackend.ID)
	if n.Name != "backend" || n.Attrs.Driver != "overlay" || n.Attrs.VNI != 4097 {
		t.Errorf("%+v", n)
	}
	wantEdge(t, g, EdgeCarries, lab.node[1].backend.node(), n.ID)
}

// Nested nodes of one name: none of them has it alone.
func TestNodesOfOneName(t *testing.T) {
	lab := swarmLab(bootA)
	s := lab.outside()
	for i := range s.Host.Engines {
		s.Host.Engines[i].Name = "node"
	}
	g := Build(s)
	sound(t, g)
	for _, n := range lab.node {
		name := "node~" + n.home.id.Short()
		if h := wantNode(t, g, n.home.node()); h.Name != name || h.Host != "vm/"+name {
			t.Errorf("%+v", h)
		}
	}
	var amb *AmbiguousError
	if _, err := g.Resolve("node"); !errors.As(err, &amb) || len(amb.Candidates) != 2 {
		t.Errorf("%v", err)
	}
}

// Two labs alike on one machine: addresses, VNIs and names repeat, and nothing is joined across. Docker's network ids
// tell them apart; where they do not, the tunnel is left open and a gap says so.
func TestTwinLabs(t *testing.T) {
	a, b := swarmLab(bootA), swarmLab(bootA)
	// The second lab lives on the same kernel, with inodes of its own.
	for _, n := range b.k[0].all {
		n.id = snapshot.MakeNSID(4, n.id.Inode()+1000)
	}
	build := func(sameNetwork bool) *Graph {
		sa, sb := a.outside(), b.outside()
		for i := range sb.Namespaces {
			for j := range sb.Namespaces[i].Holders {
				h := &sb.Namespaces[i].Holders[j]
				h.PID, h.MountNS = h.PID+50000, h.MountNS+500
				if !sameNetwork {
					h.Path = strings.Replace(strings.Replace(h.Path, "ddijjs6f2", "zzzzzzzz2", 1), "xa77g0m8q", "yyyyyyyy8", 1)
				}
			}
		}
		sa.Namespaces = append(sa.Namespaces, sb.Namespaces...)
		return Build(sa)
	}
	g := build(false)
	sound(t, g)
	for _, lab := range []*swarm{a, b} {
		wantEdge(t, g, EdgeTunnel, lab.node[0].backend.get("vxlan0").node(), lab.node[1].backend.get("vxlan0").node())
	}
	if e := g.Out(b.node[0].lb.node(), EdgeBalances); len(e) > 0 {
		t.Errorf("the other lab's balancer, with the same VIP, balances this one's service: %v", e[0])
	}
	g = build(true)
	for _, e := range g.Edges {
		if e.Kind == EdgeTunnel && e.To != "vtep:10.99.0.1" && e.To != "vtep:10.99.0.2" {
			t.Errorf("joined on a guess: %s → %s", e.From, e.To)
		}
	}
	if !slices.ContainsFunc(g.Gaps, func(gp Gap) bool { return strings.Contains(gp.Error, "left unjoined") }) {
		t.Error("no gap says why the tunnels are open")
	}
}

// A kernel without IPVS: Docker puts the VIP on no link. That its sandbox balances is the engine's word.
func TestBalancesClaimed(t *testing.T) {
	lab := swarmLab(bootA)
	for _, n := range lab.node {
		l := n.lb.get("eth0")
		l.l.Addrs = l.l.Addrs[:1]
	}
	g := Build(lab.outside())
	if e := wantEdge(t, g, EdgeBalances, lab.node[0].lb.node(), "service:"+webService); e.Attrs.Source != SourceEngine || e.Attrs.Address != "10.0.1.2" {
		t.Errorf("%+v", e.Attrs)
	}
	if e := wantEdge(t, g, EdgeBalances, lab.node[0].sbox.node(), "service:"+webService); e.Attrs.Source != "" {
		t.Errorf("%+v", e.Attrs)
	}
}

// Flannel: the vxlan is in the node's own namespace, over a named link; the lease names the other node.
func TestFlannel(t *testing.T) {
	build := func(wrongMAC bool) (*Graph, [2]*simNS) {
		var nodes [2]*simNS
		var snaps []*snapshot.Snapshot
		for i, boot := range []string{bootA, bootB} {
			k := newSim(boot)
			h := k.ns("node")
			h.add("eth0", "")
			h.addr("eth0", "10.98.0."+string(rune('1'+i))+"/24")
			v := h.vxlan("flannel.1", h, 1, 8472)
			v.l.Peer, v.l.Vxlan.Link, v.l.Vxlan.Local = nil, h.get("eth0").l.Index, ip("10.98.0."+string(rune('1'+i)))
			v.l.MAC = []string{"be:78:f7:8f:be:e4", "2e:5c:fc:00:4a:e6"}[i]
			mac := []string{"2e:5c:fc:00:4a:e6", "be:78:f7:8f:be:e4"}[i]
			if wrongMAC {
				mac = "02:00:00:00:00:99"
			}
			v.fdb(mac, "10.98.0."+string(rune('2'-i)))
			nodes[i] = h
			s := k.snapshot("node-"+string(rune('a'+i)), h)
			s.Flannel = []snapshot.Flannel{{Leases: []snapshot.FlannelLease{{Subnet: pfx("10.244.47.0/24"), PublicIP: ip("10.98.0.2"), Node: "node-b"}}}}
			snaps = append(snaps, s)
		}
		if wrongMAC {
			return Build(snaps...), nodes
		}
		one := Build(snaps[0])
		if n := wantNode(t, one, "vtep:10.98.0.2"); n.Attrs.Node != "node-b" {
			t.Errorf("%+v", n)
		}
		return Build(snaps...), nodes
	}
	g, nodes := build(false)
	sound(t, g)
	for i, n := range nodes {
		wantEdge(t, g, EdgeTunnel, n.get("flannel.1").node(), nodes[1-i].get("flannel.1").node())
		wantEdge(t, g, EdgeUnderlay, n.get("flannel.1").node(), n.node())
		wantEdge(t, g, EdgeUnderlay, n.get("flannel.1").node(), n.get("eth0").node())
	}
	// Two sites with the same addresses: the MAC that flannel drew at random is not the one that is sent to.
	g, _ = build(true)
	for _, e := range g.Edges {
		if e.Kind == EdgeTunnel && !strings.HasPrefix(e.To, "vtep:") {
			t.Errorf("joined with a link that does not answer for the MAC: %v", e)
		}
	}
}

// A vxlan of another namespace whose address is this host's own is not a remote host's.
func TestTunnelToOwnAddress(t *testing.T) {
	lab := swarmLab(bootA, bootB)
	n := lab.node[0]
	n.backend.get("vxlan0").fdb("02:42:ac:11:00:09", "172.17.0.1") // docker0, on every host
	g := Build(lab.inside(0), lab.inside(1))
	wantEdge(t, g, EdgeTunnel, n.backend.get("vxlan0").node(), "vtep:172.17.0.1")
}

// The inode of a namespace that is gone is given to another: the cookie tells.
func TestInodeReused(t *testing.T) {
	lab := modesLab()
	old, now := lab.k.snapshot("vm", lab.host), lab.k.snapshot("vm", lab.host)
	now.Taken = now.Taken.Add(time.Hour)
	c := lab.at["c1"].id
	for i := range old.Namespaces {
		if old.Namespaces[i].ID == c {
			old.Namespaces[i].Cookie, now.Namespaces[i].Cookie = 41, 99
			now.Namespaces[i].Links = now.Namespaces[i].Links[:1]
		}
	}
	g := Build(now, old)
	sound(t, g)
	n := wantNode(t, g, lab.at["c1"].node())
	if n.Attrs.Cookie != 99 || len(g.In(n.ID, EdgeIn)) != 1 {
		t.Errorf("%+v with %d links", n.Attrs, len(g.In(n.ID, EdgeIn)))
	}
	if len(g.Hosts) != 1 || g.Hosts[0].Taken != "2026-11-20T19:00:00Z" {
		t.Errorf("hosts: %v", g.Hosts)
	}
}

// Podman's network ids are hashes of names: the same on every host.
func TestPodman(t *testing.T) {
	var snaps []*snapshot.Snapshot
	var hosts []*simNS
	for _, boot := range []string{bootA, bootB} {
		k := newSim(boot)
		h := k.ns("host")
		br := h.bridge("podman0", "10.88.0.1/16")
		c := k.ns("c").mount("/run/netns/netns-0a0b0c0d-1111-2222-3333-444455556666", 9, "").proc(77, "httpd")
		plug(br, "veth0", c, "eth0", "10.88.0.2/16", "")
		s := k.snapshot("h"+boot[:1], h)
		s.Host.Engines = []snapshot.Engine{{ID: "podman", Kind: "podman", Home: h.id}}
		n := bridgeNet("podman", "2f259bab93aa", "podman", "podman0", "10.88.0.0/16")
		s.Networks = []snapshot.Network{n}
		s.Workloads = []snapshot.Workload{ctr("podman", "ab"+boot[:2], "web", "bridge", c, 77, ep(n, "10.88.0.2/16", ""))}
		snaps, hosts = append(snaps, s), append(hosts, h)
	}
	g := Build(snaps...)
	sound(t, g)
	for i, boot := range []string{"a1a1a1a1", "b2b2b2b2"} {
		id := "network:podman:" + boot + "-" + hexID("2f259bab93aa")
		wantEdge(t, g, EdgeCarries, hosts[i].get("podman0").node(), id)
		if n := wantNode(t, g, id); n.Host != "h"+boot[:1] {
			t.Errorf("%+v", n)
		}
	}
	if r := rowOf(t, g, "web"); r.Mode != "bridge" {
		t.Errorf("%+v", r)
	}
	if _, err := g.Resolve("web"); err == nil || err.Error() != `"web" may be any of ha/container:web, hb/container:web` {
		t.Errorf("%v", err)
	}
	if n, err := g.Resolve("hb/web"); err != nil || n.Host != "hb" {
		t.Errorf("%v %v", n, err)
	}
}

// A machine that was cloned has the same container and network ids on two kernels.
func TestClones(t *testing.T) {
	a, b := modesLab(), modesLab()
	b.s.Host.BootID, b.s.Host.Name = bootB, "clone"
	g := Build(a.s, b.s)
	sound(t, g)
	if n := len(g.PS()); n != 2*len(Build(a.s).PS()) {
		t.Errorf("%d rows", n)
	}
	for _, n := range g.Nodes {
		if n.Kind == KindContainer && len(g.Out(n.ID, EdgeRunsIn)) > 1 {
			t.Errorf("%s runs in two namespaces", n.Name)
		}
	}
}

// Docker in Docker: the container is the node of the engine inside.
func TestDockerInDocker(t *testing.T) {
	k := newSim(bootA)
	h := k.ns("host").proc(1, "init")
	d := k.ns("dind").proc(300, "dockerd")
	plug(h.bridge("docker0", "172.17.0.1/16"), "veth1", d, "eth0", "172.17.0.2/16", "")
	in := k.ns("inner").proc(400, "sleep")
	plug(d.bridge("docker0", "172.18.0.1/16"), "veth9", in, "eth0", "172.18.0.2/16", "")
	s := k.snapshot("vm", h)
	s.Host.Engines = []snapshot.Engine{{ID: "docker", Kind: "docker", Home: h.id, Name: "vm"}, {ID: "docker@dind", Kind: "docker", Home: d.id, Root: "/proc/300/root", Name: "dind", PID: 300}}
	outer, inner := bridgeNet("docker", "aaaa", "bridge", "docker0", "172.17.0.0/16"), bridgeNet("docker@dind", "bbbb", "bridge", "docker0", "172.18.0.0/16")
	s.Networks = []snapshot.Network{outer, inner}
	s.Workloads = []snapshot.Workload{ctr("docker", "d1d1d1", "dind", "default", d, 300, ep(outer, "172.17.0.2/16", "")),
		ctr("docker@dind", "e1e1e1", "app", "default", in, 400, ep(inner, "172.18.0.2/16", ""))}
	g := Build(s)
	sound(t, g)
	if n := wantNode(t, g, d.node()); n.Attrs.Role != RoleNode || n.Name != "dind" || n.Host != "vm/dind" {
		t.Errorf("%+v", n)
	}
	r := rowOf(t, g, "dind")
	if r.Host != "vm" || strings.Join(r.Wires, ";") != "eth0 → veth1@docker0" || r.Mode != "bridge" || strings.Join(r.Addresses, " ") != "172.17.0.2" {
		t.Errorf("%+v", r)
	}
	r = rowOf(t, g, "app")
	if r.Host != "vm/dind" || r.Mode != "bridge" || strings.Join(r.Wires, ";") != "eth0 → veth9@docker0" {
		t.Errorf("%+v", r)
	}
	if n, err := g.Resolve("vm/net:bridge"); err != nil || n.Host != "vm" {
		t.Errorf("%v, %v", n, err)
	}
	if n, err := g.Resolve("dind/net:bridge"); err != nil || n.Host != "vm/dind" {
		t.Errorf("%v, %v", n, err)
	}
}

// A namespace known only by an nsid to one reader, and opened by another, is one namespace.
func TestHiddenIsOpenedElsewhere(t *testing.T) {
	lab := swarmLab(bootA)
	in := lab.inside(0)
	g := Build(in)
	via := "netns:" + bootA[:8] + ":" + snapshot.MakeViaNSID(lab.node[0].home.id, 0).Short()
	wantNode(t, g, via)
	g = Build(in, lab.outside())
	if _, ok := g.Node(via); ok {
		t.Error("the switch is there twice")
	}
	wantEdge(t, g, EdgeVeth, lab.sw.get("p1").node(), lab.node[0].home.get("eth0").node())
}

// The host's own namespace could not be told: the engine's home is not called a node.
func TestInitNSUnknown(t *testing.T) {
	m := modesLab()
	m.s.Host.InitNS = ""
	g := Build(m.s)
	sound(t, g)
	if n := wantNode(t, g, m.host.node()); n.Attrs.Role != RoleOther || n.Host != "vm" {
		t.Errorf("%+v", n)
	}
	if r := rowOf(t, g, "h1"); r.Mode != "host" {
		t.Errorf("%+v", r)
	}
	if len(g.Gaps) == 0 {
		t.Error("no gap says so")
	}
}
