package e2e

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

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
			}
		})
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
