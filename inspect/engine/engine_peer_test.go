//go:build linux

package engine_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect/engine"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// asUser is set for a run of this test binary that only reads, and prints what it read.
const asUser = "NSCOPE_ENGINE_AS_USER"

func TestMain(m *testing.M) {
	if os.Getenv(asUser) != "" {
		found, err := netns.Find(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = json.NewEncoder(os.Stdout).Encode(engine.Read(context.Background(), options(found)))
		os.Exit(0)
	}
	os.Exit(peer.Main(m))
}

func options(found *netns.Found) engine.Options {
	return engine.Options{
		Processes: found.Processes, HostNS: found.Init, Timeout: 20 * time.Second, // the machine may be busy
		Home: "/nonexistent", Getenv: func(string) string { return "" },
		Hostname: func(pid int) string {
			out, err := exec.Command("nsenter", "-t", strconv.Itoa(pid), "-u", "hostname").Output()
			if err != nil {
				return ""
			}
			return strings.TrimSpace(string(out))
		},
	}
}

func readAll(t *testing.T, change func(*engine.Options)) engine.Result {
	t.Helper()
	found, err := netns.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := options(found)
	if change != nil {
		change(&o)
	}
	return engine.Read(t.Context(), o)
}

// home is the network namespace of a lab's host, which tells its engines from others on the machine.
func home(t *testing.T, h *peer.Host) snapshot.NSID { return nsOf(t, h.PidNSInit) }

func nsOf(t *testing.T, pid int) snapshot.NSID {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &st); err != nil {
		t.Fatal(err)
	}
	return snapshot.MakeNSID(st.Dev, st.Ino)
}

// of picks what belongs to the engine of a kind on a lab's host, and fails unless there is exactly one.
func of(t *testing.T, r engine.Result, kind string, at snapshot.NSID) (e snapshot.Engine, w map[string]snapshot.Workload, n map[string]snapshot.Network, gaps []snapshot.Gap) {
	t.Helper()
	w, n = map[string]snapshot.Workload{}, map[string]snapshot.Network{}
	count := 0
	for _, have := range r.Engines {
		if have.Home == at && have.Kind == kind {
			e = have
			count++
		} else if have.Home == at {
			t.Errorf("an engine %s that is not: %+v", have.ID, have)
		}
	}
	if count != 1 {
		t.Fatalf("%d %s engines at %s, want 1: %+v", count, kind, at, r.Engines)
	}
	for _, x := range r.Workloads {
		if x.Engine == e.ID {
			w[x.Name] = x
		}
	}
	for _, x := range r.Networks {
		if x.Engine == e.ID {
			n[x.Name] = x
		}
	}
	for _, g := range r.Gaps {
		if g.Reader == "engine "+e.ID {
			gaps = append(gaps, g)
		}
	}
	return e, w, n, gaps
}

// truth is what `docker inspect` says of a node's containers, and what the kernel says of their processes.
type truth struct {
	*peer.Container
	pid int
	ns  snapshot.NSID
}

func truths(t *testing.T, n *peer.Node, s *peer.Scene) map[string]truth {
	t.Helper()
	m := map[string]truth{}
	for name := range s.Containers {
		c := truth{Container: n.Inspect(t, name)}
		if c.State.Status == "running" {
			c.pid = n.HostPid(t, name)
			c.ns = nsOf(t, c.pid)
		}
		m[name] = c
	}
	return m
}

func compareDocker(t *testing.T, want map[string]truth, got map[string]snapshot.Workload, source string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d containers, want %d", len(got), len(want))
	}
	for name, c := range want {
		w := got[name]
		if w.ID != c.ID || w.PID != c.pid || w.Namespace != c.ns || w.Mode != c.HostConfig.NetworkMode || w.Image != c.Config.Image ||
			w.State != c.State.Status || w.SandboxKey != c.NetworkSettings.SandboxKey || w.Hostname != c.Config.Hostname || w.Source != source {
			t.Errorf("%s (%s): %+v\nwant %+v, process %d in %s", name, source, w, c.Container, c.pid, c.ns)
		}
		if len(w.Labels) != len(c.Config.Labels) {
			t.Errorf("%s: labels %v, want %v", name, w.Labels, c.Config.Labels)
		}
		if len(w.Endpoints) != len(c.NetworkSettings.Networks) {
			t.Errorf("%s: endpoints %+v, want %+v", name, w.Endpoints, c.NetworkSettings.Networks)
		}
		for _, ep := range w.Endpoints {
			x := c.NetworkSettings.Networks[ep.NetworkName]
			addr := ""
			if ep.Addr.IsValid() {
				addr = ep.Addr.String()
			}
			wantAddr := ""
			if x.IPAddress != "" {
				wantAddr = fmt.Sprintf("%s/%d", x.IPAddress, x.IPPrefixLen)
			}
			if ep.Network != x.NetworkID || ep.ID != x.EndpointID || addr != wantAddr || ep.MAC != x.MacAddress {
				t.Errorf("%s on %s: %+v, want %+v", name, ep.NetworkName, ep, x)
			}
		}
		var ports []string
		for key, list := range c.NetworkSettings.Ports {
			port, proto, _ := strings.Cut(key, "/")
			for _, b := range list {
				ip := b.HostIP
				if a, err := netip.ParseAddr(ip); err != nil || a.IsUnspecified() {
					ip = ""
				}
				ports = append(ports, fmt.Sprint(ip, " ", b.HostPort, " ", port, " ", proto))
			}
		}
		var have []string
		for _, p := range w.Ports {
			if p.HostPort == 0 {
				continue
			}
			ip := ""
			if p.HostAddr.IsValid() {
				ip = p.HostAddr.String()
			}
			have = append(have, fmt.Sprint(ip, " ", p.HostPort, " ", p.Port, " ", p.Proto))
		}
		slices.Sort(ports)
		slices.Sort(have)
		if ports = slices.Compact(ports); !slices.Equal(ports, have) {
			t.Errorf("%s publishes %q, want %q", name, have, ports)
		}
	}
}

// inspectedNetwork is what `docker network inspect` says.
type inspectedNetwork struct {
	Name, Id, Driver, Scope string
	Internal, EnableIPv6    bool
	IPAM                    struct{ Config []struct{ Subnet string } }
	Options                 map[string]string
}

func networks(t *testing.T, n *peer.Node, s *peer.Scene) []inspectedNetwork {
	t.Helper()
	names := make([]string, 0, len(s.Networks))
	for _, id := range s.Networks {
		names = append(names, id)
	}
	var list []inspectedNetwork
	if err := n.InspectJSON(t.Context(), &list, "network", names...); err != nil {
		t.Fatal(err)
	}
	return list
}

func compareNetworks(t *testing.T, want []inspectedNetwork, got map[string]snapshot.Network, source string) {
	t.Helper()
	for _, x := range want {
		n, ok := got[x.Name]
		if !ok && source == "state" && x.Scope == "swarm" {
			continue // known only where a container is on it
		}
		var subnets, wantSubnets []string
		for _, s := range n.Subnets {
			subnets = append(subnets, s.Subnet.String())
		}
		for _, s := range x.IPAM.Config {
			wantSubnets = append(wantSubnets, s.Subnet)
		}
		slices.Sort(subnets)
		slices.Sort(wantSubnets)
		internal := n.Internal == x.Internal || source == "state" && x.Scope == "swarm"
		if n.ID != x.Id || n.Driver != x.Driver || n.Scope != x.Scope || !internal || n.IPv6 != x.EnableIPv6 || !slices.Equal(subnets, wantSubnets) {
			t.Errorf("network (%s): %+v\nwant %+v", source, n, x)
		}
		if x.Driver == "bridge" && n.Bridge != cmp.Or(x.Options["com.docker.network.bridge.name"], "br-"+x.Id[:12]) {
			t.Errorf("network %s is carried by %q", x.Name, n.Bridge)
		}
		if x.Driver == "macvlan" && n.Parent != x.Options["parent"] {
			t.Errorf("network %s has the parent %q", x.Name, n.Parent)
		}
	}
}

func TestPeerModes(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts an engine")
	}
	lab := peer.SharedModes(t)
	node := lab.Nodes[0]
	at := home(t, node.Host)
	want, nets := truths(t, node, lab.Scene), networks(t, node, lab.Scene)

	e, w, n, gaps := of(t, readAll(t, nil), "docker", at)
	if len(gaps) > 0 || !e.Reachable || e.PID != node.Pid || e.Name != node.Name {
		t.Errorf("engine %+v, gaps %+v", e, gaps)
	}
	compareDocker(t, want, w, "api")
	compareNetworks(t, nets, n, "api")

	// By an explicit endpoint, and only that.
	r := readAll(t, func(o *engine.Options) { o.Endpoints = []string{"unix://" + node.Socket} })
	e, w, _, gaps = of(t, r, "docker", at)
	if len(gaps) > 0 || !e.Reachable || e.PID != node.Pid {
		t.Errorf("engine %+v, gaps %+v", e, gaps)
	}
	compareDocker(t, want, w, "api")

	asNobody(t, at)

	// An engine that hangs costs its deadline.
	if err := syscall.Kill(node.Pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	e, w, n, gaps = of(t, readAll(t, func(o *engine.Options) { o.Timeout = time.Second }), "docker", at)
	took := time.Since(start)
	if err := syscall.Kill(node.Pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if took > 10*time.Second || e.Reachable || len(gaps) != 1 || !strings.Contains(gaps[0].Error, "does not answer within 1s") {
		t.Errorf("stopped for %v: engine %+v, gaps %+v", took, e, gaps)
	}
	compareDocker(t, want, w, "state")
	compareNetworks(t, nets, n, "state")

	node.KillDockerd(t)
	e, w, n, gaps = of(t, readAll(t, nil), "docker", at)
	if len(gaps) != 1 || gaps[0].Needs != "a running engine" || e.Reachable || e.PID != 0 || e.Source != "state" || e.Name != node.Name || e.StateDir != "/var/lib/docker" {
		t.Errorf("engine %+v, gaps %+v", e, gaps)
	}
	compareDocker(t, want, w, "state")
	compareNetworks(t, nets, n, "state")
}

// asNobody reads as a user who may nothing: the engine is named with a gap, and nothing is made up.
func asNobody(t *testing.T, at snapshot.NSID) {
	t.Helper()
	// The user must be able to run the binary.
	exe := filepath.Join(t.TempDir(), "engine.test")
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(exe); len(dir) > len(os.TempDir()); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(exe, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), asUser+"=1")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("as nobody: %v", err)
	}
	var r engine.Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	denied := 0
	for _, g := range r.Gaps {
		if strings.HasPrefix(g.Reader, "engine docker") && strings.Contains(g.Error, "permission denied") && strings.HasPrefix(g.Needs, "root") {
			denied++
		}
	}
	if denied == 0 {
		t.Errorf("as nobody: no gap says what is missing: %+v", r.Gaps)
	}
	for _, w := range r.Workloads {
		if w.Namespace == at {
			t.Errorf("as nobody: %+v", w)
		}
	}
}

func TestPeerSwarm(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts engines")
	}
	lab := peer.SharedSwarm(t)
	r := readAll(t, nil)
	manager, worker := lab.Nodes[0], lab.Nodes[1]
	for i, node := range lab.Nodes {
		want := truths(t, node, lab.Scenes[i])
		e, w, n, gaps := of(t, r, "docker", home(t, node.Host))
		if len(gaps) > 0 || e.Swarm == nil || e.Swarm.Manager != (node == manager) || e.Swarm.NodeAddr != node.Addr {
			t.Errorf("engine %+v, gaps %+v", e, gaps)
		}
		compareDocker(t, want, w, "api")
		compareNetworks(t, networks(t, node, lab.Scenes[i]), n, "api")
		if len(n["backend"].VNIs) != 1 || len(n["backend"].Peers) != 2 {
			t.Errorf("backend: %+v", n["backend"])
		}
	}
	compareServices(t, lab, r, manager, "api")
	compareServices(t, lab, r, worker, "state")

	before := truths(t, worker, lab.Scenes[1])
	nets := networks(t, worker, lab.Scenes[1])
	worker.KillDockerd(t)
	r = readAll(t, func(o *engine.Options) { o.Hostname = nil })
	e, w, n, gaps := of(t, r, "docker", home(t, worker.Host))
	// Its name is known from the manager.
	if len(gaps) != 1 || e.Reachable || e.Name != worker.Name || e.Swarm == nil || e.Swarm.NodeAddr != worker.Addr {
		t.Errorf("engine %+v, gaps %+v", e, gaps)
	}
	compareDocker(t, before, w, "state")
	compareNetworks(t, nets, n, "state")
	compareServices(t, lab, r, worker, "state")
}

func compareServices(t *testing.T, lab *peer.Swarm, r engine.Result, node *peer.Node, source string) {
	t.Helper()
	e, _, _, _ := of(t, r, "docker", home(t, node.Host))
	for name, id := range lab.Services {
		var inspected []struct {
			Endpoint struct {
				VirtualIPs []struct{ NetworkID, Addr string }
			}
		}
		if err := lab.Nodes[0].InspectJSON(t.Context(), &inspected, "service", id); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, v := range inspected[0].Endpoint.VirtualIPs {
			if v.Addr != "" {
				want = append(want, v.NetworkID+" "+v.Addr)
			}
		}
		found := false
		for _, s := range r.Services {
			if s.Engine != e.ID || s.ID != id {
				continue
			}
			found = true
			if s.Name != name || s.Source != source || len(s.Tasks) == 0 {
				t.Errorf("service %s: %+v", name, s)
			}
			for _, v := range s.VIPs {
				got = append(got, v.Network+" "+v.Addr.String())
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !found && source == "state" {
			continue // no task of it on that node
		}
		if !found || !slices.Equal(want, got) {
			t.Errorf("service %s (%s): VIPs %q, want %q", name, source, got, want)
		}
	}
}

func TestPeerPodman(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts Podman")
	}
	lab := peer.SharedPodman(t)
	at := home(t, lab.Host)
	check := func(source string, w map[string]snapshot.Workload, n map[string]snapshot.Network) {
		t.Helper()
		if len(w) != len(lab.Containers) {
			t.Errorf("%d containers, want %d", len(w), len(lab.Containers))
		}
		for name, id := range lab.Containers {
			pid := lab.HostPid(t, name)
			c := w[name]
			if c.ID != id || c.PID != pid || c.Namespace != nsOf(t, pid) || c.State != "running" || c.Source != source || c.Image == "" {
				t.Errorf("%s (%s): %+v, want process %d", name, source, c, pid)
			}
		}
		pod := w["pp1"].Pod
		infra := w[lab.Pods["pod"][:12]+"-infra"]
		if pod == nil || pod.Name != "pod" || pod.SandboxID != infra.ID || infra.Pod == nil || !infra.Pod.Sandbox {
			t.Errorf("pp1's pod: %+v, infra %+v", pod, infra)
		}
		if m := w["cc"].Mode; m != "container:"+lab.Containers["p2"] {
			t.Errorf("cc's mode is %q", m)
		}
		if w["h1"].Mode != "host" || n["pnet"].Bridge != "podman1" || n["lan"].Parent != "eth0" {
			t.Errorf("h1 %+v, networks %+v", w["h1"], n)
		}
	}
	r := readAll(t, nil)
	e, w, n, gaps := of(t, r, "podman", at)
	if len(gaps) > 0 || !e.Reachable || e.Name != lab.Name || e.Version == "" {
		t.Errorf("engine %+v, gaps %+v", e, gaps)
	}
	check("api", w, n)
	if p := w["p2"].Ports; len(p) != 1 || p[0].HostPort != 8080 {
		t.Errorf("p2 publishes %+v", p)
	}
	for name := range lab.Networks {
		if n[name].ID != lab.Networks[name] {
			t.Errorf("network %s: %+v", name, n[name])
		}
	}
	if ep := w["u1"].Endpoints; len(ep) != 1 || ep[0].Network != lab.Networks["pnet"] || ep[0].Addr.String() != lab.Podman(t, "inspect", "-f", "{{.NetworkSettings.Networks.pnet.IPAddress}}/24", "u1") {
		t.Errorf("u1's endpoints: %+v", ep)
	}
	// Its socket by name, as people name Docker's.
	r = readAll(t, func(o *engine.Options) { o.Endpoints = []string{"unix://" + lab.Socket} })
	if e, w, n, gaps = of(t, r, "podman", at); len(gaps) > 0 || !e.Reachable {
		t.Errorf("engine %+v, gaps %+v", e, gaps)
	}
	check("api", w, n)

	// Without the service, which is Podman's usual state.
	if err := syscall.Kill(e.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e, w, n, gaps = of(t, readAll(t, nil), "podman", at)
	if len(gaps) > 0 || e.Reachable || e.Source != "state" || e.Name != lab.Name {
		t.Errorf("engine %+v, gaps %+v", e, gaps)
	}
	check("state", w, n)
}

func TestPeerContainerd(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts containerd")
	}
	lab := peer.SharedContainerd(t)
	at := home(t, lab.Host)
	check := func() {
		t.Helper()
		e, w, _, gaps := of(t, readAll(t, nil), "containerd", at)
		if len(gaps) > 0 || e.PID != lab.Pid || e.Name != lab.Name || e.StateDir != "/run/containerd" {
			t.Errorf("engine %+v, gaps %+v", e, gaps)
		}
		count := 0
		for _, pod := range lab.Pods {
			all := map[string]string{pod.Namespace + "/" + pod.Name: pod.Sandbox}
			for name, id := range pod.Containers {
				all[pod.Namespace+"/"+pod.Name+"/"+name] = id
			}
			for name, id := range all {
				count++
				pid := lab.HostPid(t, id)
				c := w[name]
				if c.ID != id || c.PID != pid || c.Namespace != nsOf(t, pid) || c.SandboxKey != pod.Netns || c.State != "running" {
					t.Errorf("%s: %+v, want process %d", name, c, pid)
				}
				if p := c.Pod; p == nil || p.UID != pod.UID || p.SandboxID != pod.Sandbox || p.Sandbox != (id == pod.Sandbox) {
					t.Errorf("%s: pod %+v", name, p)
				}
			}
		}
		if len(w) != count {
			t.Errorf("%d containers, want %d", len(w), count)
		}
	}
	pids := map[string]int{}
	for _, pod := range lab.Pods {
		pids[pod.Sandbox] = lab.HostPid(t, pod.Sandbox)
	}
	check()
	lab.Kill(t)
	e, w, _, gaps := of(t, readAll(t, nil), "containerd", at)
	if len(gaps) > 0 || e.PID != 0 || len(w) == 0 {
		t.Errorf("killed: engine %+v, gaps %+v", e, gaps)
	}
	for _, c := range w {
		if pid := pids[c.ID]; pid != 0 && c.PID != pid {
			t.Errorf("killed: %+v, want process %d", c, pid)
		}
	}
}

// Containers come and go while the engine is read: that is no error, and whoever is said to run somewhere does.
func TestPeerChurn(t *testing.T) {
	if testing.Short() {
		t.Skip("skip: starts an engine")
	}
	node := peer.NewDocker(t, 1).Nodes[0]
	at := home(t, node.Host)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 3 {
		wg.Go(func() {
			name := fmt.Sprint("churn", i)
			for ctx.Err() == nil {
				if _, err := node.CLI(context.WithoutCancel(ctx), "run", "-d", "--name", name, peer.Image); err != nil {
					t.Error(err)
				}
				if _, err := node.CLI(context.WithoutCancel(ctx), "rm", "-f", name); err != nil {
					t.Error(err)
				}
			}
		})
	}
	seen := map[string]bool{}
	for range 25 {
		_, w, _, gaps := of(t, readAll(t, nil), "docker", at)
		if len(gaps) > 0 {
			t.Errorf("gaps: %+v", gaps)
		}
		for _, c := range w {
			seen[c.ID] = true
			if c.Namespace == at {
				t.Errorf("%s is said to be in the node's own namespace: %+v", c.Name, c)
			}
			if c.PID != 0 && c.State == "running" {
				cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", c.PID))
				if err == nil && len(cgroup) > 0 && !strings.Contains(string(cgroup), c.ID) {
					t.Errorf("%s is said to be process %d, which is in %s", c.Name, c.PID, cgroup)
				}
			}
		}
	}
	stop()
	wg.Wait()
	if len(seen) < 3 {
		t.Errorf("only %d containers were seen", len(seen))
	}
	t.Logf("%d containers were seen", len(seen))
}
