package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/fixtures/peer"
)

// engineChecks is how many checks each mode has on an engine; the others are no modes of Docker's.
var engineChecks = map[string]int{
	"none": 7, "host": 8, "container": 15, "bridge": 20, "user-bridge": 48, "icc-off": 20, "publish": 18, "custom-bridge": 28,
	"macvlan": 18, "macvlan-private": 15, "macvlan-vepa": 15, "macvlan-passthru": 10, "overlay": 22, "host-publish": 12,
}

// engineFeatures are the modes that an engine makes where its kernel has a feature, which in the machine of internal/vmtest it has.
var engineFeatures = map[string]string{
	"macvlan-trunk": "8021q", "ipvlan-l2": "ipvlan", "ipvlan-l3": "ipvlan", "ipvlan-l3s": "an engine with ipvlan_mode=l3s (Docker 23 has it)",
	"overlay-encrypted": "esp4, rfc4106(gcm(aes))", "vip": "ip_vs", "ingress": "ip_vs",
}

// onEngine runs nscope's lab commands on a node, whose engine is at the usual socket of the node's.
func onEngine(t *testing.T, n *peer.Node, code int, args ...string) string {
	t.Helper()
	out, _ := finish(t, code, n.Enter(append([]string{binary(t), "lab"}, args...)...))
	return out
}

// engineTraces is all that an engine and its machine have.
func engineTraces(t *testing.T, n *peer.Node) string {
	t.Helper()
	var b strings.Builder
	for _, args := range [][]string{
		{"ps", "-aq"}, {"network", "ls", "--format", "{{.Name}}"}, {"images", "-aq"}, {"volume", "ls", "-q"},
	} {
		fmt.Fprintln(&b, n.Docker(t, args...))
	}
	links, err := n.Run(t.Context(), "sh", "-c", "ip -o addr show | awk '{print $2,$4}' | grep -v fe80 | sort; ip -o link show type bridge | cut -d: -f2; find /run/nscope /run/netns -type f 2>/dev/null; true")
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString(links)
	return b.String()
}

// nothingNew waits until the machine has what it had: the kernel ends namespaces, and links with them, a little later.
func nothingNew(t *testing.T, n *peer.Node, before string) {
	t.Helper()
	var now string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if now = engineTraces(t, n); now == before {
			return
		}
	}
	t.Errorf("before:\n%q\nleft:\n%q", before, now)
}

// TestLabOnEngine: a real engine makes every mode of Docker's, the checks of the labs pass on them, and all goes away: also
// with several labs at once, asked from another machine, and after kill -9 and ctrl-C at any moment.
func TestLabOnEngine(t *testing.T) {
	t.Parallel()
	n := peer.NewDocker(t, 1).Nodes[0]
	const url = "unix:///run/docker.sock"
	before := engineTraces(t, n)

	t.Run("no swarm", func(t *testing.T) {
		r := jsonOf[[]fixtures.Report](t, onEngine(t, n, 0, "test", "overlay", "--engine", url, "-o", "json"))
		if len(r) != 1 || r[0].Status != fixtures.Skip || !strings.Contains(r[0].Needs[0], "docker swarm init") {
			t.Errorf("overlay without a swarm: %+v", r)
		}
		nothingNew(t, n, before)
	})
	n.Docker(t, "swarm", "init", "--advertise-addr", n.Addr)
	// What a swarm has comes a little later.
	for end := time.Now().Add(20 * time.Second); !strings.Contains(before, "docker_gwbridge 172") || !strings.Contains(before, "\ndocker_gwbridge\n") || !strings.Contains(before, "ingress"); before = engineTraces(t, n) {
		if time.Now().After(end) {
			t.Fatalf("the swarm does not come: %s", before)
		}
	}

	t.Run("all", func(t *testing.T) {
		out := onEngine(t, n, 0, "test", "all", "--engine", url, "-o", "json")
		reports := jsonOf[[]fixtures.Report](t, out)
		if len(reports) != len(fixtures.Modes()) {
			t.Errorf("%d reports for %d modes", len(reports), len(fixtures.Modes()))
		}
		for _, r := range reports {
			want, made := engineChecks[r.Mode]
			feature := engineFeatures[r.Mode]
			switch {
			case r.Status == fixtures.Fail:
				t.Errorf("%s: %s", r.Mode, r.Error)
			case r.Status == fixtures.Pass && made && len(r.Checks) != want:
				t.Errorf("%s: %d checks, not %d", r.Mode, len(r.Checks), want)
			case r.Status == fixtures.Skip && made:
				t.Errorf("%s is skipped: %v", r.Mode, r.Needs)
			case r.Status == fixtures.Skip && r.Needs[0] != feature && !(feature == "" && strings.Contains(r.Needs[0], "a lab without an engine")):
				t.Errorf("%s is skipped: %v", r.Mode, r.Needs)
			}
			for _, c := range r.Checks {
				if c.Status != fixtures.Pass {
					t.Errorf("%s: %s: %s", r.Mode, c.Name, c.Detail)
				}
			}
			t.Logf("%-18s %s, %d checks, %d ms", r.Mode, r.Status, len(r.Checks), r.TookMS)
		}
		nothingNew(t, n, before)
	})

	t.Run("life", func(t *testing.T) {
		// One from inside, one by the socket alone from a machine that has none of its processes.
		out := onEngine(t, n, 0, "up", "user-bridge", "--engine", url, "--name", "one")
		for _, want := range []string{"lab one (user-bridge) is up", "nscope-one-c1", "nscope lab down one"} {
			if !strings.Contains(out, want) {
				t.Errorf("lab up says:\n%s", out)
			}
		}
		outer := "unix://" + n.Socket
		run(t, 0, "lab", "up", "user-bridge", "--engine", outer, "--name", "two")
		if got := onEngine(t, n, 0, "list", "-o", "name", "--engine", url); got != "one\ntwo\n" {
			t.Errorf("the engine's labs: %q", got)
		}
		if got, _ := run(t, 0, "lab", "list", "-o", "name"); !strings.Contains(got, "two\n") {
			t.Errorf("the labs written down here: %q", got)
		}
		if _, text := finish(t, 1, n.Enter(binary(t), "lab", "up", "bridge", "--engine", url, "--name", "one")); !strings.Contains(text, "there is a lab of that name already") {
			t.Errorf("a name that is taken: %s", text)
		}
		if _, text := finish(t, 1, n.Enter(binary(t), "lab", "up", "bridge", "--engine", url, "--name", "two")); !strings.Contains(text, "there is a lab of that name already") {
			t.Errorf("a name that is taken at the engine: %s", text)
		}
		if got := n.Docker(t, "ps", "-q", "--filter", "label=nscope.lab=two"); len(strings.Fields(got)) != 5 {
			t.Errorf("who failed took away what is another's: %q", got)
		}
		onEngine(t, n, 0, "down", "one")
		run(t, 0, "lab", "down", "two")
		nothingNew(t, n, before)
	})

	t.Run("killed", func(t *testing.T) {
		for i := range 6 {
			cut(t, n, []string{"user-bridge", "custom-bridge"}[i%2], syscall.SIGKILL, i)
			onEngine(t, n, 0, "down", "--all", "--engine", url)
			nothingNew(t, n, before)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		for i := range 3 {
			cut(t, n, []string{"custom-bridge", "user-bridge"}[i%2], syscall.SIGINT, i)
			nothingNew(t, n, before)
		}
	})
}

// cut ends an nscope that makes a lab with a signal at a random moment, which in six tries is once in each sixth of the time that
// it takes.
func cut(t *testing.T, n *peer.Node, mode string, sig syscall.Signal, i int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The shell says its pid and becomes nscope: nsenter's own pid is another.
	cmd := n.Enter("sh", "-c", `echo $$; exec "$0" "$@"`, binary(t), "lab", "up", mode, "--engine", "unix:///run/docker.sock", "--name", "cut")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	after := time.Duration(i)*300*time.Millisecond + rand.N(300*time.Millisecond)
	select {
	case <-ctx.Done():
	case <-time.After(after):
	}
	if _, err := n.Run(ctx, "sh", "-c", fmt.Sprintf("kill -%d %d 2>/dev/null; true", sig, pid)); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out)
	err = cmd.Wait()
	t.Logf("signal %d after %v: %v", sig, after, err)
	if _, killed := err.(*exec.ExitError); err != nil && !killed {
		t.Fatal(err)
	}
	if err == nil && sig == syscall.SIGINT { // it was faster
		if !strings.Contains(string(rest), "is up") {
			t.Errorf("it succeeded and says %q", rest)
		}
		onEngine(t, n, 0, "down", "cut")
	}
}

// TestLabOnEngineWithoutProxy: what an engine publishes without a userland proxy is translated for everybody, and that is what is
// asked for then.
func TestLabOnEngineWithoutProxy(t *testing.T) {
	n := peer.NewDocker(t, 1, peer.WithDockerd("--userland-proxy=false")).Nodes[0]
	n.Docker(t, "swarm", "init", "--advertise-addr", n.Addr)
	for _, r := range jsonOf[[]fixtures.Report](t, onEngine(t, n, 0, "test", "publish", "host-publish", "--engine", "unix:///run/docker.sock", "-o", "json")) {
		names := ""
		for _, c := range r.Checks {
			names += c.Name + "\n"
			if c.Status != fixtures.Pass {
				t.Errorf("%s: %s: %s", r.Mode, c.Name, c.Detail)
			}
		}
		if r.Status != fixtures.Pass || r.Mode == "publish" && len(r.Checks) != 14 {
			t.Errorf("%s: %s %s, its checks are:\n%s", r.Mode, r.Status, r.Error, names)
		}
	}
}

// An engine whose addresses are all taken says so, and nothing stays.
func TestLabOnFullEngine(t *testing.T) {
	t.Parallel()
	n := peer.NewDocker(t, 1, peer.WithDockerd("--default-address-pool", "base=10.55.0.0/24,size=24", "--bridge", "none")).Nodes[0]
	n.Docker(t, "network", "create", "taken")
	before := engineTraces(t, n)
	for mode, want := range map[string]string{"user-bridge": "pool", "bridge": "--bridge=none"} {
		_, text := finish(t, 1, n.Enter(binary(t), "lab", "up", mode, "--engine", "unix:///run/docker.sock"))
		if !strings.Contains(text, want) || strings.Count(text, "\n") > 2 {
			t.Errorf("%s: %s", mode, text)
		}
	}
	nothingNew(t, n, before)
	var labs []json.RawMessage
	if err := json.Unmarshal([]byte(onEngine(t, n, 0, "list", "-o", "json", "--engine", "unix:///run/docker.sock")), &labs); err != nil || len(labs) != 0 {
		t.Errorf("labs: %v, %v", labs, err)
	}
}
