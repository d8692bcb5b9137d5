package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/topo"
)

// dualStack gives bridges and members of a lab IPv6 addresses beside their others: fd00:18::2 beside 172.18.0.2.
const dualStack = `
sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.all.forwarding=1
ip -o -4 addr show scope global | while read -r _ dev _ addr _; do
	case $addr in 172.*) ;; *) continue ;; esac
	n=${addr#172.}; n=${n%%.*}; x=${addr%/*}; x=${x##*.}
	ip -6 addr add "fd00:$n::$x/64" dev "$dev" nodad
	[ "$x" = 1 ] || ip -6 route add default via "fd00:$n::1" dev "$dev" metric "$n"
done
while ip -6 -o addr show tentative | grep -q .; do sleep 0.1; done`

// TestMatrixByPings holds the matrix against pings really sent, of networks that no bridge of a host carries (members that sit on a link,
// those of an overlay) and over IPv6. Rules are put where the packets pass: in members, on the device below, in the overlay's namespace.
func TestMatrixByPings(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "ping", "nft")
	nscope := binary(t)
	drop := func(hook string) string {
		return "table ip t { chain c { type filter hook " + hook + " priority 0; icmp type echo-request counter drop; }; }"
	}
	type rule struct {
		at, nft string
		// cells are what it makes of "FROM TO", where it changes them.
		cells map[string]string
	}
	for _, mode := range []struct {
		name, at, family string
		cells            map[string]string
		rules            []rule
	}{
		{"macvlan", "host", "ip", map[string]string{"lan lan": topo.MayYes, "lan host": topo.MayNo, "lan outside": topo.MayYes, "outside lan": topo.MayYes}, []rule{
			{"c1", drop("output"), map[string]string{"lan lan": topo.MayNo, "lan host": topo.MayNo, "lan outside": topo.MayNo}},
			{"c2", drop("input"), map[string]string{"lan lan": topo.MayNo}},
			{"c1", drop("input"), map[string]string{"outside lan": topo.MayNo}},
			{"host", `table netdev t { chain c { type filter hook ingress device "eth0" priority 0; ip daddr 192.0.2.102 icmp type echo-request drop; }; }`, map[string]string{"lan lan": topo.MayNo}},
			{"host", `table netdev t { chain c { type filter hook egress device "eth0" priority 0; icmp type echo-request drop; }; }`, map[string]string{"lan outside": topo.MayNo}},
			// What the host does with its own packets is nothing to them.
			{"host", "table ip t { chain c { type filter hook forward priority 0; policy drop; }; chain d { type filter hook input priority 0; policy drop; }; }", nil},
		}},
		// The switch of one lab sends frames back: what it does is not told.
		{"macvlan-vepa", "host", "ip", map[string]string{"lan lan": topo.MayUnknown, "lan host": topo.MayUnknown, "outside lan": topo.MayYes}, []rule{
			{"c1", drop("output"), map[string]string{"lan lan": topo.MayNo, "lan host": topo.MayNo}},
		}},
		{"macvlan-private", "host", "ip", map[string]string{"lan lan": topo.MayNo, "lan1 lan1": topo.MayNo, "lan host": topo.MayNo, "lan lan1": topo.MayUnknown}, nil},
		{"overlay", "ov1", "ip", map[string]string{"backend backend": topo.MayYes, "backend outside": topo.MayNo, "outside backend": topo.MayNo}, []rule{
			{"ov1", "table bridge t { chain c { type filter hook forward priority 0; ip protocol icmp icmp type echo-request drop; }; }", map[string]string{"backend backend": topo.MayNo}},
			{"ov1", "table bridge t { chain c { type filter hook forward priority 0; ip protocol tcp drop; }; }", nil},
		}},
		{"user-bridge", "host", "ip6", map[string]string{"app app": topo.MayYes, "app data": topo.MayYes, "data app": topo.MayYes, "data data": topo.MayYes, "app host": topo.MayYes}, []rule{
			{"host", `table ip6 t { chain c { type filter hook forward priority 0; ip6 saddr fd00:18::/64 ip6 daddr fd00:19::/64 ct state new drop; }; }`, map[string]string{"app data": topo.MayNo}},
			{"host", `table ip6 t { chain c { type filter hook forward priority 0; ip6 saddr fd00:18::/64 ip6 daddr fd00:18::/64 icmpv6 type echo-request drop; }; }`, map[string]string{"app app": topo.MayNo}},
			{"host", `table inet t { chain c { type filter hook input priority 0; meta nfproto ipv6 icmpv6 type echo-request reject; }; }`, map[string]string{"app host": topo.MayNo, "data host": topo.MayNo}},
			{"host", `table ip6 t { chain c { type nat hook postrouting priority 100; ip6 saddr fd00:18::/64 ip6 daddr != fd00:18::/64 masquerade; }; }`, map[string]string{"app data": topo.MayNAT}},
		}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			lab := fmt.Sprintf("m%d", os.Getpid())
			run := func(args ...string) []byte {
				t.Helper()
				out, err := exec.Command(nscope, args...).Output()
				if err != nil {
					t.Fatalf("nscope %v: %v\n%s", args, err, out)
				}
				return out
			}
			run("lab", "up", mode.name, "--name", lab)
			t.Cleanup(func() { run("lab", "down", lab) })
			inode := func(name string) string {
				st, err := os.Stat("/run/netns/nscope-" + lab + "-" + name)
				if err != nil {
					t.Fatal(err)
				}
				return ":" + strconv.FormatUint(st.Sys().(*syscall.Stat_t).Ino, 10)
			}
			home := inode(mode.at)
			in := func(name string, args ...string) (string, error) {
				out, err := exec.Command("ip", append([]string{"netns", "exec", "nscope-" + lab + "-" + name}, args...)...).CombinedOutput()
				return string(out), err
			}
			// owner is the namespace of an address of a member.
			owner := func(a netip.Addr) string {
				for _, c := range []string{"c1", "c2", "c3", "c4"} {
					if _, err := os.Stat("/run/netns/nscope-" + lab + "-" + c); err != nil {
						continue
					}
					if out, err := in(c, "ip", "-o", "addr"); err == nil && strings.Contains(out, " "+a.String()+"/") {
						return c
					}
				}
				return ""
			}
			if mode.family == "ip6" {
				for _, name := range []string{"host", "c1", "c2", "c3"} {
					if out, err := in(name, "sh", "-ec", dualStack); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				}
			}
			// Two members stand for a network: those whose namespaces have the lower numbers, which need not be those that came first.
			alias, addrs := map[string]string{}, map[string]string{}
			check := func(what string, want map[string]string) (pinged map[string]int) {
				t.Helper()
				pinged = map[string]int{}
				var all []topo.Matrix
				if err := json.Unmarshal(run("topo", "--matrix", "--port", "icmp", "-o", "json"), &all); err != nil {
					t.Fatal(err)
				}
				i := slices.IndexFunc(all, func(m topo.Matrix) bool { return m.Family == mode.family && strings.HasSuffix(m.Netns, home) })
				if i < 0 {
					t.Fatalf("%s: no matrix of the lab", what)
				}
				seen := map[string]string{}
				var pings sync.WaitGroup
				for _, c := range all[i].Cells {
					key := c.From + " " + c.To
					seen[key] = c.May
					if w := want[key]; w != "" && c.May != w {
						t.Errorf("%s: %s is %s (%s %s), want %s", what, key, c.May, c.Why, c.Rule, w)
					}
					from, to := owner(c.Src), owner(c.Dst)
					if c.From == c.To && alias["c1"] == "" {
						alias["c1"], alias["c2"] = from, to
						addrs["192.0.2.102"] = c.Dst.String()
					}
					if from == "" || to == "" && c.To != "host" {
						continue
					}
					pinged[c.May]++
					pings.Add(1)
					go func() {
						defer pings.Done()
						out, err := in(from, "ping", "-c2", "-i0.3", "-W1", c.Dst.String()) // a neighbour may have to be found first
						if got := err == nil; c.May != topo.MayUnknown && got != (c.May == topo.MayYes || c.May == topo.MayNAT) {
							t.Errorf("%s: %s (%s → %s) is said to be %s (%s %s); ping: %v %s", what, key, c.Src, c.Dst, c.May, c.Why, c.Rule, err, out)
						}
					}()
				}
				pings.Wait()
				for key := range want {
					if seen[key] == "" {
						t.Errorf("%s: there is no cell %s", what, key)
					}
				}
				return pinged
			}
			first := check("without rules", mode.cells)
			if first[topo.MayYes]+first[topo.MayUnknown] == 0 {
				t.Fatalf("nothing may talk to anything: %v", first)
			}
			refused := first[topo.MayNo]
			for _, r := range mode.rules {
				at, rules := cmp.Or(alias[r.at], r.at), r.nft
				for old, now := range addrs {
					rules = strings.ReplaceAll(rules, old, now)
				}
				if out, err := in(at, "nft", rules); err != nil {
					t.Fatalf("%s: %v %s", rules, err, out)
				}
				want := map[string]string{}
				for k, v := range mode.cells {
					want[k] = v
				}
				for k, v := range r.cells {
					want[k] = v
				}
				refused += check(at+": "+rules, want)[topo.MayNo]
				if out, err := in(at, "nft", "flush ruleset"); err != nil {
					t.Fatal(err, out)
				}
			}
			if refused == 0 {
				t.Error("nothing was refused")
			}
		})
	}
}
