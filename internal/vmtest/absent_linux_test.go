package vmtest

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/vm"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// TestKernelWithout: where the kernel has neither nf_tables nor IPVS, gaps say so, and that a swarm's balancing cannot work; rules of
// legacy iptables are all there is then, and what they do is told. Nothing is loaded by reading.
func TestKernelWithout(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "iptables-legacy")
	nscope := buildNscope(t)
	m := vm.New(t, vm.Config{Modules: []string{"veth", "iptable_filter", "iptable_nat", "xt_nat", "xt_tcpudp"}, Memory: 1024, Life: 5 * time.Minute})
	must := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		out, code, err := m.Run(ctx, args...)
		if err != nil || code != 0 {
			t.Fatalf("%q: exit code %d, %v: %s", args, code, err, out)
		}
		return out
	}
	var snap snapshot.Snapshot
	read := func() {
		t.Helper()
		snap = snapshot.Snapshot{}
		if err := json.Unmarshal([]byte(must("sh", "-c", nscope+" snapshot - 2>/dev/null")), &snap); err != nil {
			t.Fatal(err)
		}
	}
	gaps := func(reader string) (found []snapshot.Gap) {
		for _, g := range snap.Gaps {
			if g.Reader == reader {
				found = append(found, g)
			}
		}
		return found
	}
	// Nobody's balancer.
	read()
	if g := gaps("nftables"); len(g) != 1 || g[0].Needs != snapshot.NeedsNfTables || !strings.Contains(g[0].Error, "no nf_tables") {
		t.Errorf("gaps %+v", snap.Gaps)
	}
	if g := gaps("ipvs"); len(g) != 0 {
		t.Errorf("nobody expects IPVS: %+v", g)
	}
	// Docker's sandbox of the mesh, and a port published by iptables.
	must("sh", "-ec", `mkdir -p /run/docker/netns
		touch /run/docker/netns/ingress_sbox
		unshare --net=/run/docker/netns/ingress_sbox true
		ip netns add web
		ip link add v0 type veth peer name eth0 netns web
		ip addr add 10.66.0.1/24 dev v0; ip link set v0 up
		ip -n web addr add 10.66.0.2/24 dev eth0; ip -n web link set eth0 up
		iptables-legacy -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.66.0.2:80`)
	read()
	var sandbox snapshot.NSID
	for _, n := range snap.Namespaces {
		if slices.ContainsFunc(n.Holders, func(h snapshot.Holder) bool { return strings.HasSuffix(h.Path, "/ingress_sbox") }) {
			sandbox = n.ID
		}
	}
	if g := gaps("ipvs"); len(g) != 1 || g[0].Namespace != sandbox || sandbox == "" || !strings.Contains(g[0].Error, "the kernel has no IPVS") ||
		!strings.Contains(g[0].Error, "cannot work") || g[0].Needs != "the kernel module ip_vs" {
		t.Errorf("gaps %+v, the sandbox is %s", snap.Gaps, sandbox)
	}
	if out := must(nscope, "rules", "host"); !strings.Contains(out, "10.66.0.2:80") || strings.Contains(out, "not all firewall rules") {
		t.Errorf("rules: %s", out)
	}
	var g topo.Graph
	if err := json.Unmarshal([]byte(must("sh", "-c", nscope+" topo -o json 2>/dev/null")), &g); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(g.Edges, func(e topo.Edge) bool {
		return e.Kind == topo.EdgePublishes && e.Attrs.HostPort == 8080 && e.Attrs.Address == "10.66.0.2"
	}) {
		t.Errorf("the published port is not told: %+v", g.Edges)
	}
	for line := range strings.Lines(must("cat", "/proc/modules")) {
		if name, _, _ := strings.Cut(line, " "); strings.HasPrefix(name, "nf_tables") || strings.HasPrefix(name, "ip_vs") || name == "nfnetlink" {
			t.Errorf("reading loaded %s", name)
		}
	}
}
