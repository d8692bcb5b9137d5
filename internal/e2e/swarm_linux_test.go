package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/topo"
)

// swarmTruth is what the engines of a swarm say, asked with Docker's own client while they run.
type swarmTruth struct {
	*oracle
	lab        *peer.Swarm
	containers map[string]*dockerTruth // by id
	networks   map[string]networkTruth // by name
	services   map[string]serviceTruth // by name
}

type dockerTruth struct {
	*peer.Container
	node     *peer.Node
	pid      int // as this process sees it
	ino      uint64
	networks []string
}

type networkTruth struct {
	ID      string `json:"Id"`
	Name    string
	Driver  string
	Scope   string
	Options map[string]string
	IPAM    struct{ Config []struct{ Subnet string } }
}

func (n networkTruth) vni(t *testing.T) uint32 {
	t.Helper()
	v, err := strconv.ParseUint(n.Options["com.docker.network.driver.overlay.vxlanid_list"], 10, 32)
	if err != nil {
		t.Fatalf("network %s: %v", n.Name, err)
	}
	return uint32(v)
}

type serviceTruth struct {
	ID       string
	Spec     struct{ Name string }
	Endpoint struct {
		Ports []struct {
			Protocol, PublishMode     string
			TargetPort, PublishedPort uint16
		}
		VirtualIPs []struct{ NetworkID, Addr string }
	}
}

func dockerTruths(t *testing.T, n *peer.Node, s *peer.Scene) map[string]*dockerTruth {
	t.Helper()
	out := map[string]*dockerTruth{}
	for name, id := range s.Containers {
		c := &dockerTruth{Container: n.Inspect(t, name), node: n, pid: n.HostPid(t, name)}
		c.ino = netnsInode(fmt.Sprintf("/proc/%d/ns/net", c.pid))
		for net := range c.NetworkSettings.Networks {
			c.networks = append(c.networks, net)
		}
		slices.Sort(c.networks)
		out[id] = c
	}
	return out
}

func lookAtSwarm(t *testing.T, lab *peer.Swarm) *swarmTruth {
	t.Helper()
	w := &swarmTruth{lab: lab, containers: map[string]*dockerTruth{}, networks: map[string]networkTruth{}, services: map[string]serviceTruth{}}
	w.oracle = look(t, lab.Switch, lab.Nodes[0].Host, lab.Nodes[1].Host)
	for i, n := range lab.Nodes {
		for id, c := range dockerTruths(t, n, lab.Scenes[i]) {
			w.containers[id] = c
		}
	}
	var nets []networkTruth
	if err := lab.Nodes[0].InspectJSON(t.Context(), &nets, "network", "backend", "ingress"); err != nil {
		t.Fatal(err)
	}
	for _, n := range nets {
		w.networks[n.Name] = n
	}
	var services []serviceTruth
	if err := lab.Nodes[0].InspectJSON(t.Context(), &services, "service", "web", "api", "edge"); err != nil {
		t.Fatal(err)
	}
	for _, s := range services {
		w.services[s.Spec.Name] = s
	}
	return w
}

// netName is the name of a network of the swarm.
func (w *swarmTruth) netName(id string) string {
	for _, n := range w.networks {
		if n.ID == id {
			return n.Name
		}
	}
	return ""
}

// view is one way to look at the swarm.
type view struct {
	// inner: from inside the nodes, so that each is a host, pids are the nodes' own, and the switch cannot be entered.
	inner bool
	// noEngine: nobody was asked for names.
	noEngine bool
	// dead is the node whose dockerd was killed.
	dead *peer.Node
}

// check compares a graph of the swarm with the truth.
func (w *swarmTruth) check(t *testing.T, g *topo.Graph, v view) {
	t.Helper()
	unseen := uint64(0)
	role := topo.RoleNode
	if v.inner {
		unseen, role = w.homes[w.lab.Switch.Name], topo.RoleHost
	}
	w.checkWires(t, g, unseen)
	if !v.noEngine {
		for _, n := range w.lab.Nodes {
			if got := node(t, g, w.nsID(w.homes[n.Name])).Attrs.Role; got != role {
				t.Errorf("%s has the role %s, want %s", n.Name, got, role)
			}
		}
		w.checkContainers(t, g, v)
		w.checkServices(t, g, v)
	}
	w.checkOverlays(t, g, v)
}

func (w *swarmTruth) checkContainers(t *testing.T, g *topo.Graph, v view) {
	t.Helper()
	runsIn := map[string]bool{}
	for id, c := range w.containers {
		n, ok := g.Node("container:docker:" + id)
		if !ok {
			t.Errorf("container %s is missing", c.Name)
			continue
		}
		runsIn[n.ID+" "+w.nsID(c.ino)] = true
		pid, mode, source := c.pid, "overlay", "api"
		if v.inner {
			pid = c.State.Pid
		}
		if c.node == v.dead {
			source = "state"
		}
		if c.Name == "db" {
			mode = "user-bridge"
		}
		if n.Name != c.Name || n.Attrs.PID != pid || n.Attrs.Mode != mode || n.Attrs.Image != c.Config.Image || n.Attrs.Source != source || n.Attrs.State != "running" {
			t.Errorf("container %s: %+v, want pid %d, mode %s, image %s from %s", c.Name, n, pid, mode, c.Config.Image, source)
		}
		if !slices.Equal(n.Attrs.Networks, c.networks) {
			t.Errorf("container %s is on %q, want %q", c.Name, n.Attrs.Networks, c.networks)
		}
		w.checkEndpoints(t, g, c, n)
		if got := node(t, g, w.nsID(c.ino)).Attrs.Role; got != topo.RoleContainer {
			t.Errorf("the netns of %s has the role %s", c.Name, got)
		}
	}
	got := map[string]int{}
	for _, e := range g.Edges {
		if e.Kind == topo.EdgeRunsIn && w.ours(e.To) {
			got[e.From+" "+e.To]++
			if e.Attrs.Source != "" {
				t.Errorf("that %s runs in %s is only claimed", e.From, e.To)
			}
		}
	}
	sameSet(t, "runs-in", got, runsIn)
}

// checkEndpoints wants every address and MAC that Docker gave the container on a link of its namespace, and in what is
// said of the container.
func (o *oracle) checkEndpoints(t *testing.T, g *topo.Graph, c *dockerTruth, n *topo.Node) {
	t.Helper()
	for name, ep := range c.NetworkSettings.Networks {
		if ep.IPAddress == "" {
			continue
		}
		if !slices.Contains(n.Attrs.Addrs, ep.IPAddress) {
			t.Errorf("container %s has the addresses %q, not %s on %s", c.Name, n.Attrs.Addrs, ep.IPAddress, name)
		}
		found := false
		for _, e := range g.In(o.nsID(c.ino), topo.EdgeIn) {
			l := node(t, g, e.From)
			found = found || l.Attrs.MAC == ep.MacAddress && slices.Contains(l.Attrs.Addrs, fmt.Sprintf("%s/%d", ep.IPAddress, ep.IPPrefixLen))
		}
		if !found {
			t.Errorf("no link of %s has %s and %s, which it has on %s", c.Name, ep.MacAddress, ep.IPAddress, name)
		}
	}
}

// checkOverlays: the switch of each overlay on each node under the network's name, with its VNI, its socket's namespace
// and its tunnel to the other node; the balancers.
func (w *swarmTruth) checkOverlays(t *testing.T, g *topo.Graph, v view) {
	t.Helper()
	tunnels, underlays, carries := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, name := range []string{"backend", "ingress"} {
		net := w.networks[name]
		vxlan := map[*peer.Node]end{}
		for _, n := range w.lab.Nodes {
			s := w.file(n.Host, "/run/docker/netns/1-"+net.ID[:10])
			if s == nil {
				t.Fatalf("%s has no switch of %s", n.Name, name)
			}
			w.checkRole(t, g, v, s, topo.RoleOverlay, name)
			vx := s.byName("vxlan0")
			vxlan[n] = end{s.ino, vx.Index}
			if vx.Info.Data.ID != net.vni(t) {
				t.Errorf("the lab itself: %s's vxlan0 of %s has VNI %d", n.Name, name, vx.Info.Data.ID)
			}
			underlays[w.linkID(vxlan[n])+" "+w.nsID(w.homes[n.Name])] = true
			carries[w.nsID(s.ino)+" network:docker:"+net.ID] = true
		}
		a, b := w.lab.Nodes[0], w.lab.Nodes[1]
		tunnels[w.linkID(vxlan[a])+" "+w.linkID(vxlan[b])] = true
		tunnels[w.linkID(vxlan[b])+" "+w.linkID(vxlan[a])] = true
		w.checkTunnels(t, g, net.vni(t), map[end]*peer.Node{vxlan[a]: b, vxlan[b]: a})
	}
	for _, n := range w.lab.Nodes {
		lb := w.file(n.Host, "/run/docker/netns/lb_"+w.networks["backend"].ID[:9])
		w.checkRole(t, g, v, lb, topo.RoleLoadBalancer, "backend")
		w.checkRole(t, g, v, w.file(n.Host, "/run/docker/netns/ingress_sbox"), topo.RoleIngress, "ingress")
	}
	sameSet(t, "tunnel", w.edges(g, topo.EdgeTunnel), tunnels)
	sameSet(t, "underlay", w.edges(g, topo.EdgeUnderlay), underlays)
	if v.noEngine {
		return
	}
	got := map[string]int{}
	for _, e := range g.Edges {
		if e.Kind == topo.EdgeCarries && strings.HasPrefix(e.From, "netns:") && w.ours(e.From) {
			got[e.From+" "+e.To]++
		}
	}
	sameSet(t, "carries", got, carries)
	for name, net := range w.networks {
		n := node(t, g, "network:docker:"+net.ID)
		if n.Name != name || n.Attrs.Driver != net.Driver || n.Attrs.VNI != net.vni(t) || !slices.Contains(n.Attrs.Subnets, net.IPAM.Config[0].Subnet) {
			t.Errorf("network %s: %+v, want %+v", name, n, net)
		}
	}
}

func (w *swarmTruth) checkRole(t *testing.T, g *topo.Graph, v view, s *oSpace, role, network string) {
	t.Helper()
	n := node(t, g, w.nsID(s.ino))
	if v.noEngine {
		network = ""
	}
	if n.Attrs.Role != role || network != "" && n.Attrs.Network != network {
		t.Errorf("%s has the role %s, network %q; want %s, %q", s.path, n.Attrs.Role, n.Attrs.Network, role, network)
	}
}

// checkTunnels compares each tunnel's MACs with `bridge -j fdb`.
func (w *swarmTruth) checkTunnels(t *testing.T, g *topo.Graph, vni uint32, remote map[end]*peer.Node) {
	t.Helper()
	for at, far := range remote {
		var want []string
		for _, e := range w.spaces[at.ino].fdb {
			if e.Dev == "vxlan0" && e.Dst != "" {
				if e.Dst != far.Addr {
					t.Errorf("the lab itself: %+v", e)
				}
				want = append(want, e.MAC)
			}
		}
		slices.Sort(want)
		for _, e := range g.Out(w.linkID(at), topo.EdgeTunnel) {
			got := slices.Clone(e.Attrs.MACs)
			slices.Sort(got)
			if e.Attrs.VNI != vni || e.Attrs.Port != 4789 || e.Attrs.Address != far.Addr || !slices.Equal(got, want) {
				t.Errorf("tunnel %+v, want VNI %d to %s for %q", e, vni, far.Addr, want)
			}
		}
	}
}

func (w *swarmTruth) checkServices(t *testing.T, g *topo.Graph, v view) {
	t.Helper()
	balances, backends, publishes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for name, s := range w.services {
		n := node(t, g, "service:"+s.ID)
		var vips []string
		for _, vip := range s.Endpoint.VirtualIPs {
			addr, _, _ := strings.Cut(vip.Addr, "/")
			if addr == "" {
				continue
			}
			vips = append(vips, addr)
			for _, node := range w.lab.Nodes {
				lb := w.file(node.Host, "/run/docker/netns/lb_"+vip.NetworkID[:9])
				if w.netName(vip.NetworkID) == "ingress" {
					lb = w.file(node.Host, "/run/docker/netns/ingress_sbox")
				}
				// An engine whose kernel lacks IPVS gives up before it adds the address.
				source := ""
				if !lb.hasAddr(addr) {
					source = topo.SourceEngine
				}
				balances[fmt.Sprintf("%s %s %s %s %s", w.nsID(lb.ino), n.ID, addr, w.netName(vip.NetworkID), source)] = true
			}
		}
		slices.Sort(vips)
		got := slices.Clone(n.Attrs.VIPs)
		slices.Sort(got)
		if n.Name != name || !slices.Equal(got, vips) {
			t.Errorf("service %s: %+v, want the VIPs %q", name, n, vips)
		}
		for _, c := range w.containers {
			if c.Config.Labels["com.docker.swarm.service.id"] == s.ID {
				backends[n.ID+" container:docker:"+c.ID] = true
			}
		}
		for _, p := range s.Endpoint.Ports {
			for _, node := range w.lab.Nodes {
				to := w.nsID(w.homes[node.Name])
				if p.PublishMode == "ingress" {
					publishes[fmt.Sprintf("service:%s %s %d %d mesh", s.ID, to, p.PublishedPort, p.TargetPort)] = true
				}
			}
		}
	}
	for _, c := range w.containers {
		for port, list := range c.NetworkSettings.Ports {
			for _, p := range list {
				target, _, _ := strings.Cut(port, "/")
				publishes[fmt.Sprintf("container:docker:%s %s %s %s", c.ID, w.nsID(w.homes[c.node.Name]), p.HostPort, target)] = true
			}
		}
	}
	gotBalances, gotBackends, gotPublishes := map[string]int{}, map[string]int{}, map[string]int{}
	for _, e := range g.Edges {
		switch e.Kind {
		case topo.EdgeBalances:
			if w.ours(e.From) {
				gotBalances[fmt.Sprintf("%s %s %s %s %s", e.From, e.To, e.Attrs.Address, e.Attrs.Network, e.Attrs.Source)]++
			}
		case topo.EdgeBackend:
			for _, s := range w.services {
				if e.From == "service:"+s.ID {
					gotBackends[e.From+" "+e.To] = 1 // one for each network
				}
			}
		case topo.EdgePublishes:
			if !w.ours(e.To) {
				continue
			}
			by := ""
			if strings.HasPrefix(e.From, "service:") {
				by = " " + e.Attrs.By
			}
			gotPublishes[fmt.Sprintf("%s %s %d %d%s", e.From, e.To, e.Attrs.HostPort, e.Attrs.TargetPort, by)] = 1
		}
	}
	sameSet(t, "balances", gotBalances, balances)
	sameSet(t, "backend", gotBackends, backends)
	sameSet(t, "publishes", gotPublishes, publishes)
}

func (s *oSpace) hasAddr(addr string) bool {
	for _, l := range s.links {
		for _, a := range l.Address {
			if a.Local == addr {
				return true
			}
		}
	}
	return false
}

// TestSwarm looks at a swarm of two nodes in every way there is: from outside, where both nodes are nested engines, from
// the nodes' own snapshots, with and without engines, with a dockerd killed, from files without root.
func TestSwarm(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts engines")
	}
	lab := peer.NewSwarm(t, 2)
	w := lookAtSwarm(t, lab)
	if t.Failed() {
		t.FailNow()
	}
	dir := openTemp(t)
	outside := filepath.Join(dir, "outside.json.zst")
	inside := []string{filepath.Join(dir, "node1.json.zst"), filepath.Join(dir, "node2.json.zst")}
	var live *topo.Graph

	t.Run("Outside", func(t *testing.T) {
		out, _ := run(t, 0, "--timeout", "10s", "topo", "-o", "json")
		live = parseGraph(t, out)
		w.check(t, live, view{})
		noGaps(t, live, w.oracle, "the kernel has no IPVS")
	})
	t.Run("Capture", w.checkCapture)
	t.Run("Nodes", func(t *testing.T) {
		for i, n := range lab.Nodes {
			finish(t, 0, n.Enter(binary(t), "--timeout", "10s", "snapshot", inside[i]))
		}
		run(t, 0, "--timeout", "10s", "snapshot", outside)
		readable(t, append(inside, outside)...)
		for i, n := range lab.Nodes {
			record(t, "swarm-"+n.Name, inside[i])
			s := load(t, inside[i])
			understood(t, s)
			if s.Host.Name != n.Name || s.Host.InitNS.Inode() != w.homes[n.Name] || s.Host.BootID[:8] != w.boot {
				t.Errorf("%s: %+v", n.Name, s.Host)
			}
			g := topo.Build(s)
			for id, c := range w.containers {
				if _, ok := g.Node("container:docker:" + id); ok != (c.node == n) {
					t.Errorf("%s in the snapshot of %s: %v", c.Name, n.Name, ok)
				}
			}
			// Alone it cannot know what is at the other end of the tunnel, but its address.
			far := "vtep:" + lab.Nodes[1-i].Addr
			if v := node(t, g, far); len(g.In(v.ID, topo.EdgeTunnel)) != 2 {
				t.Errorf("%s: tunnels to %s: %+v", n.Name, far, g.In(v.ID))
			}
		}
	})
	t.Run("Merged", func(t *testing.T) {
		out, _ := run(t, 0, "--from", inside[0], "--from", inside[1], "topo", "-o", "json")
		g := parseGraph(t, out)
		w.check(t, g, view{inner: true})
		for _, n := range g.Nodes {
			if n.Kind == topo.KindVTEP {
				t.Errorf("a tunnel's end that is not joined: %+v", n)
			}
		}
		// In whatever order.
		again, _ := run(t, 0, "--from", inside[1], "--from", inside[0], "topo", "-o", "json")
		if out != again {
			t.Error("the order of the files matters")
		}
		// And with the view from outside as well: the same nodes, nothing twice.
		out, _ = run(t, 0, "--from", inside[1], "--from", outside, "--from", inside[0], "topo", "-o", "json")
		w.check(t, parseGraph(t, out), view{})
	})
	t.Run("OtherBoot", func(t *testing.T) { w.otherBoot(t, dir, inside) })
	t.Run("Nobody", func(t *testing.T) {
		out, errOut := runAsNobody(t, 0, "--from", inside[0], "--from", inside[1], "topo", "-o", "json")
		w.check(t, parseGraph(t, out), view{inner: true})
		tree, _ := runAsNobody(t, 0, "--from", inside[0], "--from", inside[1], "topo", "--full")
		w.checkTree(t, tree)
		out, _ = runAsNobody(t, 0, "--from", outside, "topo", "-o", "json")
		w.check(t, parseGraph(t, out), view{})
		if strings.Contains(errOut, "permission") {
			t.Errorf("a file needs no permission: %s", errOut)
		}
		w.checkFind(t, func(what string) []topo.Hit {
			out, _ := runAsNobody(t, 0, "--from", inside[0], "--from", inside[1], "find", "-o", "json", what)
			return hits(t, out)
		}, view{inner: true})
	})
	t.Run("Find", func(t *testing.T) {
		w.checkFind(t, func(what string) []topo.Hit {
			out, _ := run(t, 0, "--from", outside, "find", "-o", "json", what)
			return hits(t, out)
		}, view{})
	})
	t.Run("NoEngine", func(t *testing.T) {
		with, _ := run(t, 0, "--timeout", "10s", "topo", "-o", "json")
		out, errOut := run(t, 0, "--no-engine", "topo", "-o", "json")
		g := parseGraph(t, out)
		w.check(t, g, view{noEngine: true})
		if a, b := wires(t, w.oracle, parseGraph(t, with)), wires(t, w.oracle, g); a != b {
			t.Errorf("other wires without the engines:\n%s", diffLines(a, b))
		}
		if errOut != "" && !strings.Contains(errOut, "gap: links") {
			t.Logf("stderr: %s", errOut)
		}
	})
	t.Run("Killed", func(t *testing.T) {
		before, _ := run(t, 0, "--timeout", "10s", "topo", "-o", "json")
		for i := len(lab.Nodes) - 1; i >= 0; i-- { // the worker first: then the manager still tells of it
			n := lab.Nodes[i]
			n.KillDockerd(t)
			out, _ := run(t, 0, "--timeout", "10s", "topo", "-o", "json")
			g := parseGraph(t, out)
			if a, b := wires(t, w.oracle, parseGraph(t, before)), wires(t, w.oracle, g); a != b {
				t.Errorf("other wires without %s's dockerd:\n%s", n.Name, diffLines(a, b))
			}
			noGaps(t, g, w.oracle, "engine docker", "the kernel has no IPVS")
			if i == 1 {
				w.check(t, g, view{dead: n})
				continue
			}
			// Both are dead: everything is from disk.
			for id, c := range w.containers {
				n, ok := g.Node("container:docker:" + id)
				if !ok || n.Name != c.Name || n.Attrs.Source != "state" || n.Attrs.PID != c.pid || !slices.Equal(n.Attrs.Networks, c.networks) {
					t.Errorf("%s: %+v", c.Name, n)
				}
			}
			w.checkServices(t, g, view{})
			w.checkOverlays(t, g, view{})
		}
	})
}

// otherBoot merges the first node's snapshot with a copy that says it is of another machine: every inode is there twice.
func (w *swarmTruth) otherBoot(t *testing.T, dir string, inside []string) {
	other := filepath.Join(dir, "other.json")
	s := load(t, inside[0])
	boot := s.Host.BootID
	s.Host.BootID = "ffffffff-0000-4000-8000-000000000000"
	s.Host.Name = "twin"
	f, err := os.Create(other)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	one, _ := run(t, 0, "--from", inside[0], "topo", "-o", "json")
	two, _ := run(t, 0, "--from", inside[0], "--from", other, "topo", "-o", "json")
	alone, merged := parseGraph(t, one), parseGraph(t, two)
	for _, kind := range []topo.EdgeKind{topo.EdgeIn, topo.EdgeVeth, topo.EdgePort, topo.EdgeUnderlay} {
		count := func(g *topo.Graph) (here, there, mixed int) {
			for _, e := range g.Edges {
				if e.Kind != kind {
					continue
				}
				a, b := strings.Contains(e.From, ":"+boot[:8]+":"), strings.Contains(e.To, ":"+boot[:8]+":")
				switch {
				case a && b:
					here++
				case !a && !b:
					there++
				default:
					mixed++
				}
			}
			return here, there, mixed
		}
		want, _, _ := count(alone)
		here, there, mixed := count(merged)
		if here != want || there != want || mixed != 0 || want == 0 {
			t.Errorf("%s: %d edges of the one, %d of the other, %d between them; want %d of each", kind, here, there, mixed, want)
		}
	}
}

// checkTree wants what the issue promises to be seen: every container under its name, each overlay with name and VNI.
func (w *swarmTruth) checkTree(t *testing.T, tree string) {
	t.Helper()
	for _, c := range w.containers {
		name := c.Name
		if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i == 26 {
			name = name[:i] // a task without its id
		}
		if !strings.Contains(tree, name) {
			t.Errorf("the tree does not show %s", name)
		}
	}
	for name, net := range w.networks {
		found := 0
		for line := range strings.Lines(tree) {
			if strings.Contains(line, "1-"+net.ID[:10]) && strings.Contains(line, name) && strings.Contains(line, fmt.Sprint(net.vni(t))) {
				found++
			}
		}
		if found != 2 {
			t.Errorf("the tree shows overlay %s with its VNI %d times, want once for each node\n%s", name, found, tree)
		}
	}
}

func hits(t *testing.T, out string) []topo.Hit {
	t.Helper()
	var h []topo.Hit
	if err := json.Unmarshal([]byte(out), &h); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	return h
}

// checkFind asks for one thing of each kind.
func (w *swarmTruth) checkFind(t *testing.T, find func(string) []topo.Hit, v view) {
	t.Helper()
	ask := func(what, id, why string, words ...string) {
		t.Helper()
		all := find(what)
		for _, h := range all {
			if h.Node == nil || h.Node.ID != id || h.Why != why {
				continue
			}
			for _, word := range words {
				if !strings.Contains(h.Sentence, word) {
					t.Errorf("find %s: %q does not say %s", what, h.Sentence, word)
				}
			}
			return
		}
		t.Errorf("find %s: no hit on %s for its %s: %+v", what, id, why, all)
	}
	var cache, web *dockerTruth
	for _, c := range w.containers {
		switch {
		case c.Name == "cache":
			cache = c
		case strings.HasPrefix(c.Name, "web.1."):
			web = c
		}
	}
	n1, n2 := w.lab.Nodes[0], w.lab.Nodes[1]
	id := func(c *dockerTruth) string { return "container:docker:" + c.ID }
	backend := w.networks["backend"]
	ep := cache.NetworkSettings.Networks["backend"]
	eth := w.linkWith(cache.ino, ep.MacAddress)
	port := w.pairs[eth]

	// Its eth0, by MAC, by address, and the other end by name where that is the only one of its name.
	ask(ep.MacAddress, w.linkID(eth), "MAC", "cache")
	ask(ep.IPAddress, w.linkID(eth), "address", "cache", "backend")
	gw := w.linkWith(cache.ino, cache.NetworkSettings.Networks["docker_gwbridge"].MacAddress)
	for _, l := range w.spaces[cache.ino].links { // docker does not tell an attached container's second MAC
		if l.Info.Kind == "veth" && l.Index != eth.index {
			gw = end{cache.ino, l.Index}
		}
	}
	outer := w.pairs[gw]
	ask(w.spaces[outer.ino].links[outer.index].Name, w.linkID(outer), "interface", "cache", "docker_gwbridge")
	ask("if:"+w.spaces[port.ino].links[port.index].Name, w.linkID(port), "interface", "cache", "backend")

	ask(cache.ID[:12], id(cache), "name", "cache")
	ask(cache.ID, id(cache), "name", "cache")
	ask("cache", id(cache), "name", "cache")
	pid := cache.pid
	if v.inner {
		pid = cache.State.Pid
	}
	ask("pid:"+strconv.Itoa(pid), id(cache), "pid", "cache")
	ask(strconv.FormatUint(cache.ino, 10), w.nsID(cache.ino), "inode", "cache")
	ask(cache.NetworkSettings.SandboxKey, w.nsID(cache.ino), "path", "cache")
	over := w.file(n1.Host, "/run/docker/netns/1-"+backend.ID[:10])
	ask("/run/docker/netns/1-"+backend.ID[:10], w.nsID(over.ino), "path", "backend")
	ask(strconv.Itoa(int(backend.vni(t))), "network:docker:"+backend.ID, "VNI", "backend")
	ask("backend", "network:docker:"+backend.ID, "name", "overlay")

	// Published ports: by a container, by the mesh, by the node of a task.
	ask("5432", "container:docker:"+w.lab.Scenes[1].Containers["db"], "published port", "db", n2.Name)
	ask("8000", "service:"+w.services["web"].ID, "published port", "web")
	for _, c := range w.containers {
		if c.Config.Labels["com.docker.swarm.service.name"] == "edge" {
			ask("8001/tcp", id(c), "published port", "edge")
		}
	}
	for name, s := range w.services {
		for _, vip := range s.Endpoint.VirtualIPs {
			if addr, _, _ := strings.Cut(vip.Addr, "/"); addr != "" {
				ask(addr, "service:"+s.ID, "VIP", name)
			}
		}
		ask("service:"+name, "service:"+s.ID, "name", name)
	}
	// What a node reaches through the tunnel.
	if e := web.NetworkSettings.Networks["backend"]; e.MacAddress != "" {
		ask(e.MacAddress, w.linkID(w.linkWith(web.ino, e.MacAddress)), "MAC", "web.1")
	}
	ask(cmp.Or(n2.Addr), w.linkID(end{w.homes[n2.Name], w.spaces[w.homes[n2.Name]].byName("eth0").Index}), "address", n2.Name)
}

func (o *oracle) linkWith(ino uint64, mac string) end {
	for _, l := range o.spaces[ino].links {
		if l.MAC == mac {
			return end{ino, l.Index}
		}
	}
	return end{ino: ino}
}

// diffLines are the lines that only one of two texts has.
func diffLines(a, b string) string {
	in := func(s string) map[string]bool {
		m := map[string]bool{}
		for l := range strings.Lines(s) {
			m[l] = true
		}
		return m
	}
	x, y := in(a), in(b)
	var out []string
	for l := range x {
		if !y[l] {
			out = append(out, "-"+l)
		}
	}
	for l := range y {
		if !x[l] {
			out = append(out, "+"+l)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}
