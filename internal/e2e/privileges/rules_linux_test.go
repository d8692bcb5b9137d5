package privileges

import (
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// TestRulesWithoutNetAdmin: without CAP_NET_ADMIN the gap names it, nothing is said of rules that were not read, and all else is shown.
func TestRulesWithoutNetAdmin(t *testing.T) {
	nettest.NeedsTool(t, "nft", "iptables-legacy")
	m := newMachine(t)
	m.must(t, `ip link add br0 type bridge
		ip addr add 10.66.0.1/24 dev br0
		ip link set br0 up
		nft 'table ip t { chain c { type nat hook prerouting priority -100; }; }'
		nft add rule ip t c tcp dport 4242 dnat to 10.66.0.2:80
		iptables-legacy -A INPUT -p tcp --dport 4343 -j DROP`)
	ns := m.inode(t, "/proc/1/ns/net")
	bin := nscope(t)
	for _, uid := range []int{0, 65534} {
		with, without := caps(uid, five...), caps(uid, slices.DeleteFunc(slices.Clone(five), func(c string) bool { return c == "CAP_NET_ADMIN" })...)
		run := func(how []string, args ...string) result {
			return m.run(t, append(append(slices.Clone(how), bin), args...)...)
		}
		// With it.
		for _, r := range []result{run(with, "rules", "host"), run(with, "rules", "host", "--save")} {
			if r.wantCode(t, 0); r.err != "" || !strings.Contains(r.out, "4242") || !strings.Contains(r.out, "4343") {
				t.Fatalf("uid %d, with the right: %v", uid, r)
			}
		}
		snap := decode[snapshot.Snapshot](t, run(with, "snapshot", "-").wantCode(t, 0))
		full := find(&snap, ns)
		if full == nil || len(full.Netfilter.Tables) != 2 || len(snap.Gaps) != 0 {
			t.Fatalf("uid %d, with the right: %+v, gaps %v", uid, full, snap.Gaps)
		}
		// Without it.
		r := run(without, "rules", "host").wantCode(t, 0).wantErr(t, "gap: firewall rules of netns", "nftables, legacy iptables", "needs CAP_NET_ADMIN")
		if strings.Contains(r.out+r.err, "no rule there") || !strings.Contains(r.out, "not all firewall rules were read") || strings.Contains(r.out, "4242") {
			t.Errorf("uid %d: %v", uid, r)
		}
		if s := decode[[]topo.RuleSpace](t, run(without, "rules", "host", "-o", "json").wantCode(t, 0)); len(s) != 1 || !s[0].Unread || len(s[0].Chains) != 0 {
			t.Errorf("uid %d: %+v", uid, s)
		}
		if r := run(without, "rules", "host", "--save").wantCode(t, 1).wantErr(t, "CAP_NET_ADMIN", "nothing is saved"); r.out != "" {
			t.Errorf("uid %d: %v", uid, r)
		}
		run(without, "conns", "host").wantCode(t, 0).wantErr(t, "conntrack: ", "needs CAP_NET_ADMIN")
		snap = decode[snapshot.Snapshot](t, run(without, "snapshot", "-").wantCode(t, 0).wantErr(t, "firewall rules", "CAP_NET_ADMIN"))
		got := find(&snap, ns)
		if got == nil || len(got.Netfilter.Tables) != 0 || len(got.Links) != len(full.Links) || len(got.Routes) != len(full.Routes) || len(got.Links) < 2 {
			t.Errorf("uid %d: all but the rules should be there: %+v", uid, got)
		}
		if !slices.ContainsFunc(snap.Gaps, func(g snapshot.Gap) bool {
			return got != nil && g.Namespace == got.ID && g.Reader == "firewall rules" && g.Needs == "CAP_NET_ADMIN"
		}) {
			t.Errorf("uid %d: gaps %+v", uid, snap.Gaps)
		}
		// The tree, which is what people see first, still has the bridge.
		if r := run(without, "topo").wantCode(t, 0).wantErr(t, "firewall rules", "CAP_NET_ADMIN"); !strings.Contains(r.out, "br0") {
			t.Errorf("uid %d: %v", uid, r)
		}
	}
}
