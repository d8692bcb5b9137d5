package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/topo"
)

// TestRulesAndMatrixOfLabs compares what the matrix says of labs with pings really sent, and sees counters of rules move.
func TestRulesAndMatrixOfLabs(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ping")
	nscope := binary(t)
	for _, mode := range []string{"icc-off", "user-bridge", "publish"} {
		t.Run(mode, func(t *testing.T) {
			lab := fmt.Sprintf("r%d", os.Getpid())
			run := func(args ...string) []byte {
				t.Helper()
				out, err := exec.Command(nscope, args...).Output()
				if err != nil {
					t.Fatalf("nscope %v: %v\n%s", args, err, out)
				}
				return out
			}
			read := func(into any, args ...string) {
				t.Helper()
				if err := json.Unmarshal(run(append(args, "-o", "json")...), into); err != nil {
					t.Fatal(err)
				}
			}
			run("lab", "up", mode, "--name", lab)
			t.Cleanup(func() { run("lab", "down", lab) })
			var rows []topo.PSRow
			read(&rows, "ps")
			owner := map[netip.Addr]int{}
			for _, r := range rows {
				if r.Host != "" && !strings.Contains(r.Host, lab) && !strings.Contains(r.Name, lab) {
					continue
				}
				for _, a := range r.Addresses {
					if x, err := netip.ParseAddr(a); err == nil && !(strings.HasSuffix(r.Host, "host2")) {
						owner[x] = r.PID
					}
				}
			}
			var all []topo.Matrix
			read(&all, "topo", "--matrix")
			tried := map[string]int{}
			for _, m := range all {
				if !strings.Contains(m.Name, lab) || strings.HasSuffix(m.Name, "host2") {
					continue
				}
				for _, c := range m.Cells {
					pid, dst := owner[c.Src], owner[c.Dst]
					if c.May == topo.MayUnknown {
						t.Errorf("%s → %s is unknown: %s %s", c.From, c.To, c.Why, c.Rule)
					}
					if pid == 0 || dst == 0 && c.To != "host" || c.To == "outside" {
						continue
					}
					// The lab's rules make no difference between a ping and an unpublished port.
					out, err := exec.Command(nscope, "exec", fmt.Sprintf("pid:%d", pid), "--", "ping", "-c1", "-W1", c.Dst.String()).CombinedOutput()
					if got := err == nil; got != (c.May == topo.MayYes || c.May == topo.MayNAT) {
						t.Errorf("%s → %s (%s → %s) is said to be %s (%s); ping: %v %s", c.From, c.To, c.Src, c.Dst, c.May, c.Rule, err, out)
					}
					tried[c.May]++
				}
			}
			if tried[topo.MayYes] == 0 || mode != "publish" && tried[topo.MayNo] == 0 {
				t.Errorf("tried %v: too little", tried)
			}
			if mode == "publish" {
				publishedRules(t, lab, read)
				publishedLive(t, lab, run, read)
			}
		})
	}
}

// publishedLive: the live graph proves the userland proxy by its socket, and says that containers reach themselves by their
// ports, as the lab's own checks have it.
func publishedLive(t *testing.T, lab string, run func(args ...string) []byte, read func(into any, args ...string)) {
	var g topo.Graph
	read(&g, "topo")
	proxies := 0
	for _, e := range g.Edges {
		if e.Kind == topo.EdgePublishes && strings.Contains(e.From, lab) && e.Attrs.Note != "" {
			t.Errorf("%+v", e)
		}
		if e.Kind == topo.EdgePublishes && e.Attrs.ProxyPID != 0 {
			proxies++
		}
	}
	if proxies < 3 {
		t.Errorf("%d proxies in the live graph", proxies)
	}
	watched(t, lab)
	out := string(run("find", "8080"))
	for _, want := range []string{"c1 reaches itself by it (through ", "c3 reaches itself by it (it comes back as from 172.17.0.1)"} {
		if !strings.Contains(out, want) {
			t.Errorf("find 8080 has no %q:\n%s", want, out)
		}
	}
}

// watched sees a counter of the lab's rules move in what `rules --watch` writes, while packets pass.
func watched(t *testing.T, lab string) {
	nscope := binary(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, nscope, "rules", "netns:nscope-"+lab+"-host", "--watch", "--every", "100ms", "-o", "wide")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if s := strings.TrimSpace(lines.Text()); strings.Contains(s, "-A FORWARD ") {
				seen <- s
				break
			}
		}
		cancel()
		_ = cmd.Wait()
		close(seen)
	}()
	for ctx.Err() == nil { // packets must pass after its first look, whenever that is
		_ = exec.CommandContext(ctx, nscope, "exec", "nscope-"+lab+"-host/c1", "--", "ping", "-c1", "-W1", "198.51.100.77").Run()
	}
	if s, ok := <-seen; !ok || strings.HasPrefix(s, "0 ") || strings.HasPrefix(s, ". ") {
		t.Errorf("no counter of a rule moved: %q", s)
	}
}

// publishedRules asks for the rules of a container that publishes a port: that port's are there, another container's are not.
func publishedRules(t *testing.T, lab string, read func(into any, args ...string)) {
	for _, as := range []string{"iptables", "nft"} {
		var spaces []topo.RuleSpace
		read(&spaces, "rules", "nscope-"+lab+"-host/c1", "--as", as)
		var texts []string
		for _, s := range spaces {
			for _, c := range s.Chains {
				if c.Hook == "prerouting" {
					for _, r := range c.Rules {
						texts = append(texts, r.Text)
						if r.Unknown != nil {
							t.Errorf("%s is unknown: %v", r.Text, r.Unknown)
						}
					}
				}
			}
		}
		has := func(s string) bool {
			return slices.ContainsFunc(texts, func(x string) bool { return strings.Contains(x, s) })
		}
		if !has("8080") || has("8081") {
			t.Errorf("--as %s: rules of c1 at prerouting are\n%s", as, strings.Join(texts, "\n"))
		}
	}
}
