package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/topo"
)

// hostTruth is one host with one engine, and what the engine's own client says of it.
type hostTruth struct {
	*oracle
	host       *peer.Host
	kind       string
	containers map[string]*dockerTruth // by id
	modes      map[string]string       // by name
	carriers   map[string]string       // network id → the link on the host that carries it
	publishes  map[string]bool
}

// check compares a graph with the truth, from outside where the host is a node.
func (w *hostTruth) check(t *testing.T, g *topo.Graph, inner bool) {
	t.Helper()
	unseen := uint64(0)
	if inner {
		for name, ino := range w.homes {
			if name != w.host.Name {
				unseen = ino
			}
		}
	}
	w.checkWires(t, g, unseen)
	home := w.nsID(w.homes[w.host.Name])
	role := map[bool]string{false: topo.RoleNode, true: topo.RoleHost}[inner]
	if got := node(t, g, home).Attrs.Role; got != role {
		t.Errorf("%s has the role %s, want %s", w.host.Name, got, role)
	}
	runsIn, macvlans := map[string]bool{}, map[string]bool{}
	for id, c := range w.containers {
		n, ok := g.Node("container:" + w.kind + ":" + id)
		if !ok {
			t.Errorf("container %s is missing", c.Name)
			continue
		}
		runsIn[n.ID+" "+w.nsID(c.ino)] = true
		pid := c.pid
		if inner {
			pid = c.State.Pid
		}
		if n.Name != c.Name || n.Attrs.PID != pid || n.Attrs.Mode != w.modes[c.Name] || n.Attrs.State != "running" {
			t.Errorf("container %s: %+v, want pid %d and mode %s", c.Name, n, pid, w.modes[c.Name])
		}
		w.checkEndpoints(t, g, c, n)
		switch w.modes[c.Name] {
		case "none":
			if len(g.In(w.nsID(c.ino), topo.EdgeIn)) != 1 || len(n.Attrs.Addrs) != 0 {
				t.Errorf("container %s has no network: %+v", c.Name, n)
			}
		case "host":
			if c.ino != w.homes[w.host.Name] || len(n.Attrs.Addrs) != 0 {
				t.Errorf("container %s is on the host: %+v", c.Name, n)
			}
		case "macvlan":
			eth0 := end{c.ino, w.spaces[c.ino].byName("eth0").Index}
			parent := end{w.homes[w.host.Name], w.spaces[w.homes[w.host.Name]].byName("eth0").Index}
			macvlans[w.linkID(eth0)+" "+w.linkID(parent)] = true
			if l := node(t, g, w.linkID(eth0)); l.Attrs.Type != "macvlan" || l.Attrs.Mode != "bridge" {
				t.Errorf("%s's eth0: %+v", c.Name, l)
			}
		}
	}
	got := map[string]int{}
	for _, e := range g.Edges {
		if e.Kind == topo.EdgeRunsIn && w.ours(e.To) {
			got[e.From+" "+e.To]++
		}
	}
	sameSet(t, "runs-in", got, runsIn)
	sameSet(t, "parent", w.edges(g, topo.EdgeParent), macvlans)
	carries := map[string]bool{}
	for id, link := range w.carriers {
		l := w.spaces[w.homes[w.host.Name]].byName(link)
		carries[w.linkID(end{w.homes[w.host.Name], l.Index})+" network:"+w.kind+":"+id] = true
	}
	got = map[string]int{}
	for _, e := range g.Edges {
		if e.Kind == topo.EdgeCarries && w.ours(e.From) { // Podman's ids are not unique in the world: the node's has more in it
			got[e.From+" network:"+w.kind+":"+node(t, g, e.To).Attrs.NetworkID]++
		}
	}
	sameSet(t, "carries", got, carries)
	got = map[string]int{}
	for _, e := range g.Edges {
		if e.Kind == topo.EdgePublishes && w.ours(e.To) {
			if e.Attrs.Note != "" || inner && e.Attrs.Source != "" || e.Attrs.By == "dnat" && len(e.Attrs.From) == 0 {
				t.Errorf("the kernel does not prove it: %s %+v", e.From, e.Attrs)
			}
			got[fmt.Sprintf("%s %s %s %d %s %d", e.From, e.To, e.Attrs.HostAddr, e.Attrs.HostPort, e.Attrs.Proto, e.Attrs.TargetPort)]++
		}
	}
	sameSet(t, "publishes", got, w.publishes)
}

// addPorts adds what `inspect` says of a container's published ports.
func (w *hostTruth) addPorts(c *dockerTruth) {
	for key, list := range c.NetworkSettings.Ports {
		target, proto, _ := strings.Cut(key, "/")
		for _, p := range list {
			addr := p.HostIP
			if addr == "0.0.0.0" || addr == "::" {
				addr = ""
			}
			w.publishes[fmt.Sprintf("container:%s:%s %s %s %s %s %s", w.kind, c.ID, w.nsID(w.homes[w.host.Name]), addr, p.HostPort, proto, target)] = true
		}
	}
}

// everyView looks at the host from outside, from inside, from the file without root, and without the engine.
func (w *hostTruth) everyView(t *testing.T, fixture string) {
	t.Helper()
	dir := openTemp(t)
	file := filepath.Join(dir, "host.json.zst")
	var live string
	t.Run("Outside", func(t *testing.T) {
		live, _ = run(t, 0, "--timeout", "10s", "topo", "-o", "json")
		g := parseGraph(t, live)
		w.check(t, g, false)
		noGaps(t, g, w.oracle)
	})
	t.Run("Inside", func(t *testing.T) {
		finish(t, 0, w.host.Enter(binary(t), "--timeout", "10s", "snapshot", file))
		readable(t, file)
		understood(t, load(t, file))
		out, _ := runAsNobody(t, 0, "--from", file, "topo", "-o", "json")
		g := parseGraph(t, out)
		w.check(t, g, true)
		record(t, fixture, file)
	})
	t.Run("NoEngine", func(t *testing.T) {
		out, _ := run(t, 0, "--no-engine", "topo", "-o", "json")
		g := parseGraph(t, out)
		if a, b := wires(t, w.oracle, parseGraph(t, live)), wires(t, w.oracle, g); a != b {
			t.Errorf("other wires without the engine:\n%s", diffLines(a, b))
		}
		w.checkWires(t, g, 0)
	})
}

// TestModes has a container in every network mode of Docker.
func TestModes(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts an engine")
	}
	lab := peer.NewDocker(t, 1)
	n := lab.Nodes[0]
	scene := n.Modes(t)
	w := &hostTruth{oracle: look(t, lab.Switch, n.Host), host: n.Host, kind: "docker", containers: dockerTruths(t, n, scene), carriers: map[string]string{}, publishes: map[string]bool{}}
	w.modes = map[string]string{
		"c1": "bridge", "c2": "bridge", "l1": "bridge", "u1": "user-bridge", "u2": "user-bridge", "i1": "user-bridge", "i2": "user-bridge",
		"in1": "user-bridge", "s1": "user-bridge", "two": "user-bridge", "m1": "macvlan", "h1": "host", "n1": "none", "cc": "container",
	}
	if len(w.modes) != len(w.containers) {
		t.Fatalf("the lab itself: %d containers", len(w.containers))
	}
	for _, c := range w.containers {
		w.addPorts(c)
	}
	var nets []networkTruth
	if err := n.InspectJSON(t.Context(), &nets, "network", "bridge", "appnet", "noicc", "inner", "six", "lan"); err != nil {
		t.Fatal(err)
	}
	for _, x := range nets {
		w.carriers[x.ID] = "br-" + x.ID[:12]
		for _, key := range []string{"com.docker.network.bridge.name", "parent"} {
			if x.Options[key] != "" {
				w.carriers[x.ID] = x.Options[key]
			}
		}
	}
	w.everyView(t, "docker-modes")
	t.Run("Live", func(t *testing.T) { followed(t, n) })
	t.Run("Killed", func(t *testing.T) {
		before, _ := run(t, 0, "--timeout", "10s", "topo", "-o", "json")
		n.KillDockerd(t)
		out, errOut := run(t, 0, "--timeout", "10s", "topo", "-o", "json")
		g := parseGraph(t, out)
		w.check(t, g, false)
		noGaps(t, g, w.oracle, "engine docker")
		if a, b := wires(t, w.oracle, parseGraph(t, before)), wires(t, w.oracle, g); a != b {
			t.Errorf("other wires without dockerd:\n%s", diffLines(a, b))
		}
		if !strings.Contains(errOut, "engine") {
			t.Errorf("nothing says that the engine does not answer: %s", errOut)
		}
	})
}

// TestPodman: Podman has no daemon, pods, and bridges of other names.
func TestPodman(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts Podman")
	}
	lab := peer.SharedPodman(t)
	w := &hostTruth{oracle: look(t, lab.Switch, lab.Host), host: lab.Host, kind: "podman", containers: map[string]*dockerTruth{}, carriers: map[string]string{}, publishes: map[string]bool{}}
	w.modes = map[string]string{"p1": "bridge", "p2": "bridge", "u1": "user-bridge", "u2": "user-bridge", "m1": "macvlan", "h1": "host", "n1": "none", "cc": "container",
		"pp1": "container", "pp2": "container", lab.Pods["pod"][:12] + "-infra": "bridge"}
	for name, id := range lab.Containers {
		var list []*peer.Container
		if err := json.Unmarshal([]byte(lab.Podman(t, "inspect", name)), &list); err != nil || len(list) != 1 {
			t.Fatalf("%s: %v", name, err)
		}
		c := &dockerTruth{Container: list[0], pid: lab.HostPid(t, name)}
		c.ino = netnsInode(fmt.Sprintf("/proc/%d/ns/net", c.pid))
		w.containers[id] = c
		if w.modes[name] != "container" { // a member repeats its pod's ports
			w.addPorts(c)
		}
	}
	if len(w.modes) != len(w.containers) {
		t.Fatalf("the lab itself: %v", lab.Containers)
	}
	var nets []struct {
		ID        string `json:"id"`
		Interface string `json:"network_interface"`
	}
	if err := json.Unmarshal([]byte(lab.Podman(t, "network", "inspect", "podman", "pnet", "lan")), &nets); err != nil {
		t.Fatal(err)
	}
	for _, n := range nets {
		w.carriers[n.ID] = n.Interface
	}
	w.everyView(t, "podman")
}

// TestContainerd: pods as Kubernetes has them, on a CNI bridge, with no engine that could be asked.
func TestContainerd(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts containerd")
	}
	lab := peer.SharedContainerd(t)
	w := &hostTruth{oracle: look(t, lab.Switch, lab.Host), host: lab.Host, kind: "containerd", containers: map[string]*dockerTruth{}, modes: map[string]string{}, carriers: map[string]string{}, publishes: map[string]bool{}}
	home := w.homes[lab.Name]
	for _, pod := range lab.Pods {
		add := func(name, id, mode string) {
			c := &dockerTruth{Container: &peer.Container{ID: id, Name: name}, pid: lab.HostPid(t, id)}
			c.State.Pid = innerPid(t, c.pid)
			c.ino = netnsInode(fmt.Sprintf("/proc/%d/ns/net", c.pid))
			if pod.Netns == "" {
				mode = "host"
			} else if s := w.file(lab.Host, pod.Netns); s == nil || s.ino != c.ino || !s.hasAddr(pod.Addr) {
				t.Errorf("the lab itself: %s is not in %s with %s", name, pod.Netns, pod.Addr)
			}
			if (pod.Netns == "") != (c.ino == home) {
				t.Errorf("the lab itself: %s in netns %d", name, c.ino)
			}
			w.containers[id], w.modes[name] = c, mode
		}
		full := pod.Namespace + "/" + pod.Name
		add(full, pod.Sandbox, "cni")
		for name, id := range pod.Containers {
			add(full+"/"+name, id, "container")
		}
		if full == "shop/front" { // its hostPort, which only the rules of the portmap plugin tell of
			w.publishes[fmt.Sprintf("container:containerd:%s %s 0.0.0.0 8090 tcp 80", pod.Sandbox, w.nsID(home))] = true
		}
	}
	w.everyView(t, "containerd")

	t.Run("Names", func(t *testing.T) {
		// Each pod's names, and its address by find, whoever runs containerd.
		for _, pod := range lab.Pods {
			if pod.Addr == "" {
				continue
			}
			out, _ := run(t, 0, "--timeout", "10s", "find", pod.Addr)
			if !strings.Contains(out, pod.Namespace+"/"+pod.Name) {
				t.Errorf("find %s: %s", pod.Addr, out)
			}
			out, _ = run(t, 0, "--timeout", "10s", "find", pod.Netns)
			if !strings.Contains(out, pod.Namespace+"/"+pod.Name) {
				t.Errorf("find %s: %s", pod.Netns, out)
			}
		}
	})
}

// innerPid is what a process is called one pid namespace further in.
func innerPid(t *testing.T, pid int) int {
	t.Helper()
	ids := nsPids(t, pid)
	if len(ids) < 2 {
		t.Fatalf("process %d is in no pid namespace of its own", pid)
	}
	return ids[1]
}

func nsPids(t *testing.T, pid int) []int {
	t.Helper()
	var ids []int
	for line := range strings.Lines(readFile(t, fmt.Sprintf("/proc/%d/status", pid))) {
		rest, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		for f := range strings.FieldsSeq(rest) {
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, n)
		}
	}
	return ids
}
