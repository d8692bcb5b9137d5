package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/peer"
)

// probeLab is a swarm of two nodes with a container on each, on one overlay network and in no other way connected: cart on the
// first, till on the second with a web server on port 8080 (published as 8085) that can be stopped.
type probeLab struct {
	*peer.Lab
	network string
	// pids of the containers' first processes, and where eth0's other end is: the pid and the name.
	cart, till int
}

func newProbeLab(t *testing.T) *probeLab {
	t.Helper()
	lab := &probeLab{Lab: peer.NewDocker(t, 2), network: "shopnet"}
	lab.SwarmInit(t)
	first, last := lab.Nodes[0], lab.Nodes[1]
	first.Docker(t, "network", "create", "-d", "overlay", "--attachable", lab.network)
	first.Docker(t, "run", "-d", "--name", "cart", "--network", lab.network, peer.Image)
	last.Docker(t, "run", "-d", "--name", "till", "--network", lab.network, "-p", "8085:8080", peer.Image)
	lab.cart, lab.till = first.HostPid(t, "cart"), last.HostPid(t, "till")
	lab.serve(t)
	// The nodes learn of each other's endpoints by gossip.
	eventually(t, "the overlay connects the nodes", func() error {
		_, err := first.CLI(t.Context(), "exec", "cart", "ping", "-c1", "-W1", "till")
		return err
	})
	return lab
}

func (l *probeLab) serve(t *testing.T) {
	t.Helper()
	l.Nodes[1].Docker(t, "exec", "-d", "till", "httpd", "-f", "-h", "/www", "-p", "8080")
	eventually(t, "the server listens", func() error {
		_, err := l.Nodes[1].CLI(t.Context(), "exec", "till", "wget", "-qO-", "http://127.0.0.1:8080/")
		return err
	})
}

// eventually waits at most 20 s for f to succeed.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// inside runs a command with the network of a process.
func inside(t *testing.T, pid int, args ...string) string {
	t.Helper()
	out, err := exec.Command("nsenter", append([]string{"-t", fmt.Sprint(pid), "-n", "--"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q with the network of %d: %v\n%s", args, pid, err, out)
	}
	return string(out)
}

// probeAll runs `nscope probe all` and returns its first line, all of it and the exit code.
func probeAll(t *testing.T, cmd *exec.Cmd) (first, all string, code int) {
	t.Helper()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if _, ok := err.(*exec.ExitError); err != nil && !ok {
		t.Fatal(err)
	}
	first, _, _ = strings.Cut(string(out), "\n")
	return first, string(out) + stderr.String(), cmd.ProcessState.ExitCode()
}

// TestProbeAll is what a person sees first when something between two containers of a swarm breaks.
func TestProbeAll(t *testing.T) {
	t.Parallel()
	peer.Require(t, "nsenter", "ip", "iptables", "iptables-save", "iptables-restore")
	bin := binary(t)
	lab := newProbeLab(t)
	// From the machine that holds both nodes See knows both ends; from inside a node the other end is only a name.
	outside := func(to string) *exec.Cmd { return exec.Command(bin, "-v", "probe", "all", "cart", to) }
	within := func(to string) *exec.Cmd { return lab.Nodes[0].Enter(bin, "-v", "probe", "all", "cart", to) }
	addr := lab.Nodes[1].Inspect(t, "till").NetworkSettings.Networks[lab.network].IPAddress
	net := regexp.QuoteMeta(addr[:strings.LastIndex(addr, ".")] + ".0/24")
	to := regexp.QuoteMeta(addr)

	healthy := func(t *testing.T) {
		t.Helper()
		for name, cmd := range map[string]*exec.Cmd{"outside": outside("till"), "node": within("till:8080")} {
			first, all, code := probeAll(t, cmd)
			if code != 0 || !regexp.MustCompile(`^ok: all cart → till .*`+to+`.*: ping [0-9.]+ ms; dns till; tcp 8080 open; 1450 bytes pass$`).MatchString(first) {
				t.Fatalf("%s: the healthy pair: exit %d\n%s", name, code, all)
			}
		}
	}
	broken := func(t *testing.T, cmd *exec.Cmd, want string) {
		t.Helper()
		first, all, code := probeAll(t, cmd)
		if code != 1 || !regexp.MustCompile(want).MatchString(first) {
			t.Errorf("exit %d, the first line should match %s\n%s", code, want, all)
		}
	}
	healthy(t)

	t.Run("route deleted", func(t *testing.T) {
		route := strings.TrimSpace(inside(t, lab.cart, "ip", "route", "show", "dev", "eth0"))
		inside(t, lab.cart, append([]string{"ip", "route", "del"}, strings.Fields(strings.Split(route, "\n")[0])[0])...)
		defer healthy(t)
		defer inside(t, lab.cart, append([]string{"ip", "route", "add", "dev", "eth0"}, strings.Fields(route)...)...)
		want := `^FAILED: all cart → till .*: ` + to + ` is eth0's neighbour .*but packets leave by eth1 via .*the route of ` + net + ` is missing`
		broken(t, outside("till"), want)
		broken(t, within("till"), want)
	})
	t.Run("dns rules flushed", func(t *testing.T) {
		rules := inside(t, lab.cart, "iptables-save", "-t", "nat")
		if !strings.Contains(rules, "DOCKER_OUTPUT") {
			t.Fatalf("no rules of the embedded DNS:\n%s", rules)
		}
		inside(t, lab.cart, "iptables", "-t", "nat", "-F", "DOCKER_OUTPUT")
		defer healthy(t)
		defer func() {
			cmd := exec.Command("nsenter", "-t", fmt.Sprint(lab.cart), "-n", "--", "iptables-restore")
			cmd.Stdin = strings.NewReader(rules)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		}()
		want := `^FAILED: all cart → till.*: dns: .*127\.0\.0\.11:53.*127\.0\.0\.11:\d+.*DOCKER_OUTPUT`
		broken(t, outside("till"), want)
		broken(t, within("till"), want)
	})
	t.Run("port closed", func(t *testing.T) {
		lab.Nodes[1].Docker(t, "exec", "till", "killall", "httpd")
		defer healthy(t)
		defer lab.serve(t)
		broken(t, outside("till"), `^FAILED: all cart → till .*: tcp 8080: refused .*nothing listens on it in till \(published as 8085\)$`)
		broken(t, outside("till:8080"), `^FAILED: all cart → till .*: tcp 8080: refused .*nothing listens on it in till`)
		broken(t, within("till:8080"), `^FAILED: all cart → till .*: tcp 8080: refused`)
	})
	for name, at := range map[string]struct {
		pid   int
		outer bool
	}{"of cart": {lab.cart, false}, "of till": {lab.till, false}, "beside cart": {lab.cart, true}, "beside till": {lab.till, true}} {
		t.Run("mtu lowered "+name, func(t *testing.T) {
			enter := func(args ...string) { inside(t, at.pid, args...) }
			dev := "eth0"
			if at.outer {
				enter, dev = lab.farEnd(t, at.pid)
			}
			enter("ip", "link", "set", dev, "mtu", "1200")
			defer healthy(t)
			defer enter("ip", "link", "set", dev, "mtu", "1450")
			if name == "of cart" {
				broken(t, outside("till"), `^FAILED: all cart → till .*: mtu: eth0 of cart has 1200 and .* has 1450 on one segment`)
				return
			}
			broken(t, outside("till"), `^FAILED: all cart → till .*: mtu: .*120[0-4] bytes pass.*`+dev+` .*has MTU 1200`)
			broken(t, within("till"), `^FAILED: all cart → till .*: mtu: .*120[0-4]`)
		})
	}
}

// farEnd finds the other end of a container's eth0 in the overlay's namespace, by the mounts of its node.
func (l *probeLab) farEnd(t *testing.T, pid int) (enter func(args ...string), dev string) {
	t.Helper()
	index := l.iflink(t, pid)
	node := l.Nodes[0]
	if pid == l.till {
		node = l.Nodes[1]
	}
	list, err := node.Run(t.Context(), "sh", "-c", "ls /run/docker/netns")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Fields(list) {
		if !strings.HasPrefix(name, "1-") {
			continue
		}
		in := func(args ...string) (string, error) {
			return node.Run(t.Context(), append([]string{"nsenter", "--net=/run/docker/netns/" + name, "--"}, args...)...)
		}
		out, err := in("ip", "-o", "link")
		if err != nil {
			t.Fatal(err, out)
		}
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if strings.TrimSuffix(f[0], ":") != index {
				continue
			}
			dev, _, _ = strings.Cut(strings.TrimSuffix(f[1], ":"), "@")
			return func(args ...string) {
				if out, err := in(args...); err != nil {
					t.Error(err, out)
				}
			}, dev
		}
	}
	t.Fatal("the other end of eth0 was not found")
	return nil, ""
}

// iflink is the index of the other end of a container's eth0.
func (l *probeLab) iflink(t *testing.T, pid int) string {
	t.Helper()
	out := inside(t, pid, "ip", "-o", "link", "show", "eth0")
	m := regexp.MustCompile(`eth0@if(\d+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("eth0 has no other end: %s", out)
	}
	return m[1]
}
