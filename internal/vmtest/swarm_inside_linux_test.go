package vmtest

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/peer"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/snapshot"
)

// served is a swarm with a service web of two members on the network backend, published as 8000 by the mesh. It has one node:
// with two, emulated on a busy machine, heartbeats time out and nothing starts for minutes.
type served struct {
	*peer.Lab
	id string
	// balancers are what balances, by the name of the namespace.
	balancers map[string]*balancer
	members   []*peer.Container
}

// balancer is what the engine, ipvsadm and iptables say of one.
type balancer struct {
	vip   netip.Addr
	mark  uint32
	lines []string // of ipvsadm -Sn
	// members are the service's, as the engine has them on this network: container id by address.
	members map[netip.Addr]string
}

// eventually calls f until it returns nil, for at most six minutes: the processor is emulated, and may be shared.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(time.Second):
		}
	}
}

func serve(t *testing.T) *served {
	t.Helper()
	// A sandbox copies it from the initial namespace when it is born: with 0 there neither VIPs nor the mesh answer.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	peer.Patience = 6
	begun := time.Now()
	step := func(what string) { t.Logf("%4.0f s: %s", time.Since(begun).Seconds(), what) }
	s := &served{balancers: map[string]*balancer{}}
	// Without docker0, whose rules take their time too, as does a filter of system calls, which runc makes for each process.
	allow := filepath.Join(t.TempDir(), "seccomp.json")
	if err := os.WriteFile(allow, []byte(`{"defaultAction":"SCMP_ACT_ALLOW"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Lab = peer.NewDocker(t, 1, peer.WithDockerd("--bridge=none", "--seccomp-profile="+allow))
	step("the engine answers")
	s.SwarmInit(t)
	n := s.Nodes[0]
	backend := n.Docker(t, "network", "create", "-d", "overlay", "backend")
	ingress := n.Docker(t, "network", "inspect", "-f", "{{.ID}}", "ingress")
	s.id = n.Docker(t, "service", "create", "-d", "-q", "--no-resolve-image", "--name", "web", "--network", "backend", "--replicas", "2",
		"-p", "8000:80", peer.Image, "httpd", "-f", "-h", "/www", "-p", "80")
	step("the service is made")
	var ids []string
	eventually(t, "the service's members", func() error {
		var list []struct {
			ID string `json:"Id"`
		}
		filters := fmt.Sprintf(`{"label":["com.docker.swarm.service.id=%s"],"status":["running"]}`, s.id)
		err := n.Get(t.Context(), "/containers/json?filters="+url.QueryEscape(filters), &list)
		ids = nil
		for _, c := range list {
			ids = append(ids, c.ID)
		}
		if err == nil && len(ids) != 2 {
			err = fmt.Errorf("%d are running\n%s", len(ids), n.Log())
		}
		return err
	})
	step("its members run")
	for _, id := range ids {
		s.members = append(s.members, n.Inspect(t, id))
	}
	names := map[string]string{backend: "lb_" + backend[:9], ingress: "ingress_sbox"}
	for line := range strings.Lines(n.Docker(t, "service", "inspect", "-f", `{{range .Endpoint.VirtualIPs}}{{.NetworkID}} {{.Addr}}{{"\n"}}{{end}}`, "web")) {
		f := strings.Fields(line)
		if len(f) != 2 || names[f[0]] == "" {
			continue
		}
		b := &balancer{vip: netip.MustParsePrefix(f[1]).Addr(), members: map[netip.Addr]string{}}
		s.balancers[names[f[0]]] = b
		for _, c := range s.members {
			for _, e := range c.NetworkSettings.Networks {
				if e.NetworkID == f[0] {
					b.members[netip.MustParseAddr(e.IPAddress)] = c.ID
				}
			}
		}
	}
	if len(s.balancers) != 2 {
		t.Fatalf("the service's VIPs: %v", s.balancers)
	}
	s.ask(t)
	step("it answers")
	for name, b := range s.balancers {
		s.look(t, name, b)
	}
	return s
}

// in runs a program in a namespace of the node.
func (s *served) in(t *testing.T, netns string, args ...string) (string, error) {
	return s.Nodes[0].Run(t.Context(), append([]string{"nsenter", "--net=/run/docker/netns/" + netns}, args...)...)
}

// ask makes real requests: to the VIP from each member, to the published port from outside. Everything is healthy.
func (s *served) ask(t *testing.T) {
	t.Helper()
	n := s.Nodes[0]
	answers := func(out string, err error) error {
		if err == nil && strings.TrimSpace(out) != strings.TrimSpace(peer.WebPage) {
			err = fmt.Errorf("the answer is %q", out)
		}
		return err
	}
	for name, b := range s.balancers {
		if name == "ingress_sbox" {
			continue
		}
		for _, c := range s.members {
			sandbox := c.NetworkSettings.SandboxKey[strings.LastIndex(c.NetworkSettings.SandboxKey, "/")+1:]
			eventually(t, "the VIP, from "+c.Name, func() error {
				return answers(s.in(t, sandbox, "curl", "-sS", "--max-time", "5", "http://"+b.vip.String()+"/"))
			})
		}
	}
	eventually(t, "the published port", func() error {
		return answers(s.Switch.Run(t.Context(), "curl", "-sS", "--max-time", "5", "http://"+n.Addr+":8000/"))
	})
}

// look asks ipvsadm and iptables about a balancer, once IPVS has all members: the engine adds one when its task is healthy.
func (s *served) look(t *testing.T, name string, b *balancer) {
	t.Helper()
	var out string
	eventually(t, "the members in "+name, func() (err error) {
		out, err = s.in(t, name, "ipvsadm", "-Sn")
		if err == nil && strings.Count(out, " -r ") != len(s.members) {
			err = fmt.Errorf("ipvsadm has\n%s", out)
		}
		return err
	})
	b.lines = strings.Split(out, "\n")
	if n, err := fmt.Sscanf(out, "-A -f %d -s rr", &b.mark); n != 1 || strings.Count(out, "-A ") != 1 {
		t.Fatalf("in %s ipvsadm has (%v)\n%s", name, err, out)
	}
	rules, err := s.in(t, name, "iptables", "-t", "mangle", "-S")
	if line := fmt.Sprintf("-A INPUT -d %s/32 -j MARK --set-xmark 0x%x/0xffffffff", b.vip, b.mark); err != nil || !strings.Contains(rules, line) {
		t.Fatalf("in %s there is no %q: %v\n%s", name, line, err, rules)
	}
}

// TestSwarmInside: a swarm that works, seen from outside its node and by nscope that runs in it. What is to be compared with
// a real load balancer has its place here, as one more subtest: the swarm takes minutes to start.
func TestSwarmInside(t *testing.T) {
	needsInside(t)
	s := serve(t)
	outside, err := inspect.Collect(t.Context(), inspect.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("outside", func(t *testing.T) { s.compare(t, outside) })
	out, err := s.Nodes[0].Run(t.Context(), os.Getenv("NSCOPE_BINARY"), "snapshot", "--timeout", "60s", "-")
	if err != nil {
		t.Fatal(err)
	}
	within, err := snapshot.Read(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("within", func(t *testing.T) { s.compare(t, within) })
	t.Run("live", func(t *testing.T) {
		for name, b := range s.balancers {
			out, err := s.Nodes[0].Run(t.Context(), os.Getenv("NSCOPE_BINARY"), "find", "--timeout", "60s", b.vip.String())
			if err != nil {
				t.Fatal(err)
			}
			t.Log(out)
			s.compareSentence(t, b.vip.String(), out, name, b)
		}
	})
	t.Run("labs", s.labs)
	t.Run("differs", s.compareDiffering)
}
