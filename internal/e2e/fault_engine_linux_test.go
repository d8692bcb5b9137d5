package e2e

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/faults"
	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect/snapshot"
)

// engineFaults are those of the catalogue that it takes a real engine for. Each makes what is healthy, asserts that, breaks it, and
// asserts symptom and proof; it returns what repairs it and asserts that it is healthy again, or nil.
var engineFaults = map[string]func(*swarmOfTwo, *testing.T) (repair func(*testing.T)){
	"container-mode-orphan":     (*swarmOfTwo).orphan,
	"host-mode-publish-ignored": (*swarmOfTwo).publishIgnored,
	"gossip-7946-blocked":       (*swarmOfTwo).gossipBlocked,
	"overlay-ip-exhausted":      (*swarmOfTwo).exhausted,
	"ipvs-kernel-missing":       (*swarmOfTwo).noIPVS,
}

// TestEngineFaults: what breaks with a real engine and not in a lab: healthy, broken with the symptom and the proof that the catalogue
// has, repaired by its fix.
func TestEngineFaults(t *testing.T) {
	for _, f := range faults.All() {
		if _, ok := engineFaults[f.ID]; ok != (f.By == faults.ByEngine) {
			t.Errorf("%s: broken here: %v, by %s in the catalogue", f.ID, ok, f.By)
		}
	}
	s := &swarmOfTwo{peer.NewDocker(t, 2)}
	s.SwarmInit(t)
	for _, id := range slices.Sorted(maps.Keys(engineFaults)) {
		t.Run(id, func(t *testing.T) {
			if repair := engineFaults[id](s, t); repair != nil && !t.Failed() {
				repair(t)
			}
		})
	}
}

// swarmOfTwo are two nodes in a swarm, of which the first manages.
type swarmOfTwo struct{ *peer.Lab }

// httpd is the command of a container that serves a page on a port.
func httpd(port string) []string {
	return []string{peer.Image, "httpd", "-f", "-h", "/www", "-p", port}
}

// soon waits for what comes by itself.
func soon(t *testing.T, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// page asks the first node's port from outside.
func (s *swarmOfTwo) page(t *testing.T, port string) error {
	out, err := s.Switch.Run(t.Context(), "curl", "-sS", "--max-time", "2", "http://"+s.Nodes[0].Addr+":"+port+"/")
	if err == nil && strings.TrimSpace(out) != strings.TrimSpace(peer.WebPage) {
		err = fmt.Errorf("the answer is %q", out)
	}
	return err
}

// refused asserts that nobody listens on the first node's port.
func (s *swarmOfTwo) refused(t *testing.T, port string) {
	t.Helper()
	if err := s.page(t, port); err == nil || !strings.Contains(err.Error(), "exit status 7") { // curl(1): failed to connect
		t.Errorf("port %s from outside: %v", port, err)
	}
}

// pings asks from inside a container.
func pings(t *testing.T, n *peer.Node, name, addr string) error {
	_, err := n.CLI(t.Context(), "exec", name, "ping", "-c1", "-W1", addr)
	return err
}

// workload is what nscope says of a container, read on the first node.
func (s *swarmOfTwo) workload(t *testing.T, name string) *snapshot.Workload {
	t.Helper()
	out, err := s.Nodes[0].Run(t.Context(), binary(t), "snapshot", "-")
	if err != nil {
		t.Fatal(err)
	}
	snap, err := snapshot.Read(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for i := range snap.Workloads {
		if w := &snap.Workloads[i]; w.Name == name {
			return w
		}
	}
	t.Fatalf("nscope does not know %s", name)
	return nil
}

func (s *swarmOfTwo) orphan(t *testing.T) func(*testing.T) {
	n := s.Nodes[0]
	n.Docker(t, "run", "-d", "--name", "main", peer.Image)
	n.Docker(t, "run", "-d", "--name", "side", "--network", "container:main", peer.Image)
	healthy := func(t *testing.T) {
		t.Helper()
		if err := pings(t, n, "side", "172.17.0.1"); err != nil {
			t.Error(err)
		}
		if main, side := s.workload(t, "main"), s.workload(t, "side"); main.Namespace != side.Namespace {
			t.Errorf("main is in %s, side in %s", main.Namespace, side.Namespace)
		}
	}
	healthy(t)
	n.Docker(t, "restart", "-t", "0", "main")
	if err := pings(t, n, "side", "172.17.0.1"); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("the orphan pings: %v", err)
	}
	if err := pings(t, n, "main", "172.17.0.1"); err != nil {
		t.Errorf("who was restarted has no network: %v", err)
	}
	if links := n.Docker(t, "exec", "side", "ls", "/sys/class/net"); links != "lo" {
		t.Errorf("the orphan has the links %q", links)
	}
	if mode := n.Inspect(t, "side").HostConfig.NetworkMode; mode != "container:"+n.Inspect(t, "main").ID {
		t.Errorf("its network mode is %s", mode)
	}
	if main, side := s.workload(t, "main"), s.workload(t, "side"); main.Namespace == side.Namespace {
		t.Errorf("both are in %s", main.Namespace)
	}
	return func(t *testing.T) {
		n.Docker(t, "restart", "-t", "0", "side")
		healthy(t)
		n.Docker(t, "rm", "-f", "side", "main")
	}
}

func (s *swarmOfTwo) publishIgnored(t *testing.T) func(*testing.T) {
	n := s.Nodes[0]
	web := func(args ...string) {
		n.Docker(t, append(append([]string{"run", "-d", "--name", "web"}, args...), httpd("8088")...)...)
	}
	web("-p", "8089:8088")
	soon(t, "the published port", func() error { return s.page(t, "8089") })
	n.Docker(t, "rm", "-f", "web")
	web("--network", "host", "-p", "8089:8088")
	soon(t, "what listens in the container", func() error { return s.page(t, "8088") })
	s.refused(t, "8089")
	if got := n.Docker(t, "inspect", "-f", "{{.HostConfig.NetworkMode}} {{json .HostConfig.PortBindings}}", "web"); !strings.HasPrefix(got, `host {"8088/tcp":`) {
		t.Errorf("the engine has %s", got)
	}
	if w := s.workload(t, "web"); w.Mode != "host" || len(w.Ports) > 0 {
		t.Errorf("nscope says of it: mode %s, ports %+v", w.Mode, w.Ports)
	}
	return func(t *testing.T) {
		n.Docker(t, "rm", "-f", "web")
		web("--network", "host")
		soon(t, "what listens on the host", func() error { return s.page(t, "8088") })
		n.Docker(t, "rm", "-f", "web")
	}
}

// ends makes an overlay with a container on each node, and returns what asserts that they reach each other and who is a peer.
func (s *swarmOfTwo) ends(t *testing.T, net string) (reach, peers func() error) {
	first := s.Nodes[0]
	first.Docker(t, "network", "create", "-d", "overlay", "--attachable", net)
	var addr string
	for i, n := range s.Nodes {
		name := fmt.Sprint(net, i+1)
		n.Docker(t, "run", "-d", "--name", name, "--network", net, peer.Image)
		addr = n.Inspect(t, name).NetworkSettings.Networks[net].IPAddress
	}
	return func() error { return pings(t, first, net+"1", addr) }, func() error {
		if out := first.Docker(t, "network", "inspect", "-f", "{{len .Peers}}", net); out != "2" {
			return fmt.Errorf("%s peers", out)
		}
		return nil
	}
}

func (s *swarmOfTwo) gossipBlocked(t *testing.T) func(*testing.T) {
	reach, peers := s.ends(t, "open")
	soon(t, "the peer", peers)
	soon(t, "its container", reach)
	rules := func(t *testing.T, op string) {
		t.Helper()
		for _, n := range s.Nodes {
			for _, proto := range []string{"tcp", "udp"} {
				if _, err := n.Run(t.Context(), "iptables", op, "INPUT", "-p", proto, "--dport", "7946", "-j", "DROP"); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	rules(t, "-A")
	reach, peers = s.ends(t, "shut")
	// What is gossiped comes within a second; that it never comes cannot be waited for.
	for range 3 {
		if reach() == nil || peers() == nil {
			t.Error("nodes that do not hear each other know of each other")
		}
	}
	return func(t *testing.T) {
		rules(t, "-D")
		soon(t, "the peer", peers)
		soon(t, "its container", reach)
		for i, n := range s.Nodes {
			n.Docker(t, "rm", "-f", fmt.Sprint("open", i+1), fmt.Sprint("shut", i+1))
		}
		s.remove(t, "open", "shut")
	}
}

// states are those of a service's tasks that should run.
func (s *swarmOfTwo) states(t *testing.T, service string) []string {
	var out []string
	for line := range strings.Lines(s.Nodes[0].Docker(t, "service", "ps", "--filter", "desired-state=running", "--filter", "desired-state=ready", "--format", "{{.CurrentState}}", service)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		out = append(out, word)
	}
	slices.Sort(out)
	return out
}

// run waits until the tasks of a service are in these states.
func (s *swarmOfTwo) run(t *testing.T, service string, want ...string) {
	t.Helper()
	soon(t, "the tasks of "+service, func() error {
		if got := s.states(t, service); !slices.Equal(got, want) {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
}

func (s *swarmOfTwo) exhausted(t *testing.T) func(*testing.T) {
	n := s.Nodes[0]
	service := func(net, replicas string) {
		n.Docker(t, append([]string{"service", "create", "-d", "-q", "--no-resolve-image", "--name", "many", "--network", net, "--constraint", "node.hostname==" + n.Name, "--replicas", replicas}, httpd("80")...)...)
	}
	// Five addresses are left of eight by the subnet's own, its broadcast and the gateway: one is the VIP, one the balancer's.
	n.Docker(t, "network", "create", "-d", "overlay", "--subnet", "10.77.0.0/29", "small")
	service("small", "3")
	s.run(t, "many", "Running", "Running", "Running")
	n.Docker(t, "service", "scale", "-d", "many=4")
	s.run(t, "many", "New", "Running", "Running", "Running")
	used := []string{n.Docker(t, "service", "inspect", "-f", "{{(index .Endpoint.VirtualIPs 0).Addr}}", "many")}
	for line := range strings.Lines(n.Docker(t, "network", "inspect", "-f", `{{range .Containers}}{{println .IPv4Address}}{{end}}`, "small")) {
		if line = strings.TrimSpace(line); line != "" {
			used = append(used, line)
		}
	}
	slices.Sort(used)
	if used = slices.Compact(used); len(used) != 5 {
		t.Errorf("the addresses that are used: %v", used)
	}
	return func(t *testing.T) {
		n.Docker(t, "service", "rm", "many")
		n.Docker(t, "network", "create", "-d", "overlay", "--subnet", "10.78.0.0/28", "large")
		service("large", "4")
		s.run(t, "many", "Running", "Running", "Running", "Running")
		n.Docker(t, "service", "rm", "many")
		s.remove(t, "small", "large")
	}
}

// remove removes networks when nothing uses them any more.
func (s *swarmOfTwo) remove(t *testing.T, nets ...string) {
	t.Helper()
	for _, net := range nets {
		soon(t, "the end of network "+net, func() error {
			_, err := s.Nodes[0].CLI(t.Context(), "network", "rm", net)
			return err
		})
	}
}

// noIPVS: a port of the mesh works where the kernel has IPVS, and is refused, with the proofs of the catalogue, where it has none. The
// repair is another kernel: that of internal/vmtest, where a swarm is shown to balance in every detail.
func (s *swarmOfTwo) noIPVS(t *testing.T) func(*testing.T) {
	n := s.Nodes[0]
	n.Docker(t, append([]string{"service", "create", "-d", "-q", "--no-resolve-image", "--name", "web", "--constraint", "node.hostname==" + n.Name, "-p", "8000:80", "-p", "mode=host,target=80,published=8001"}, httpd("80")...)...)
	defer n.Docker(t, "service", "rm", "web")
	s.run(t, "web", "Running")
	soon(t, "the port that the node itself publishes", func() error { return s.page(t, "8001") })
	rules, err := n.Run(t.Context(), "nsenter", "--net=/run/docker/netns/ingress_sbox", "iptables-save", "-t", "mangle")
	if err != nil {
		t.Fatal(err)
	}
	nat, err := n.Run(t.Context(), "iptables-save", "-t", "nat")
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Stat("/proc/net/ip_vs")
	if there := err == nil; there != strings.Contains(rules, "MARK") || there != strings.Contains(nat, "-A DOCKER-INGRESS -p tcp") {
		t.Errorf("IPVS is there: %v, and ingress_sbox has\n%s\nthe node\n%s", there, rules, nat)
	} else if there {
		soon(t, "the port of the mesh", func() error { return s.page(t, "8000") })
	} else {
		s.refused(t, "8000")
	}
	return nil
}
