package rtnl

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vishvananda/netlink"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// trafficScript makes qdiscs, classes, filters and actions; what a kernel lacks of it is left out, unless it must have all.
const trafficScript = `qdisc add dev w0 clsact
filter add dev w0 egress protocol ip pref 3 u32 match u32 0 0 action drop
filter add dev w0 egress protocol all pref 4 matchall action pass
filter add dev w0 egress protocol ip pref 5 flower ip_proto tcp dst_port 80 action skbedit mark 7 pipe action goto chain 9
filter add dev w0 egress protocol ip pref 6 chain 9 basic action csum udp pass
filter add dev w0 ingress protocol ipv6 pref 7 matchall action police rate 1mbit burst 10k conform-exceed drop/pipe
filter add dev w0 ingress protocol ip pref 8 matchall action connmark pipe action csum ip pipe action vlan push id 5
filter add dev w0 ingress protocol ip pref 9 matchall action ct zone 4 commit pipe action tunnel_key unset continue
filter add dev w0 ingress protocol ip pref 10 matchall action pedit munge ip ttl set 9 pipe action mirred egress redirect dev w1
qdisc add dev w1 root handle 7: htb default 20
class add dev w1 parent 7: classid 7:1 htb rate 100mbit
class add dev w1 parent 7:1 classid 7:10 htb rate 1mbit
class add dev w1 parent 7:1 classid 7:20 htb rate 50mbit
qdisc add dev w1 parent 7:10 handle a: pfifo
qdisc add dev w1 parent 7:20 handle b: tbf rate 8mbit burst 4000 latency 10ms
filter add dev w1 parent 7: protocol ip pref 1 u32 match ip dport 80 0xffff classid 7:10
filter add dev w1 parent 7: protocol ip pref 2 basic classid 7:20
qdisc add dev x0 root handle 1: prio
qdisc add dev x0 parent 1:1 handle 2: netem loss 1%
qdisc add dev x1 root handle 1: hfsc default 1
class add dev x1 parent 1: classid 1:1 hfsc sc rate 1mbit
class add dev x1 parent 1:1 classid 1:2 hfsc ls rate 1mbit`

// TestTraffic: qdiscs, classes, filters and actions are those that tc shows, with their counters.
func TestTraffic(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "tc", "ip")
	h := nettest.New(t)
	// Nothing is sent but what the test sends: counters are read twice, by us and by tc.
	nettest.Run(t, h, "sh", "-c", "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 >$f; done")
	for _, line := range []string{"link add w0 type veth peer name w1", "link add x0 type veth peer name x1", "link set w0 up", "address add 10.0.0.1/24 dev w1", "link set w1 up",
		"neighbor add 10.0.0.2 lladdr 02:00:00:00:00:02 nud permanent dev w1"} {
		nettest.Run(t, h, "ip", strings.Fields(line)...)
	}
	for line := range strings.Lines(trafficScript) {
		if out, err := nettest.Try(h, "tc", strings.Fields(line)...); err != nil {
			if os.Getenv("NSCOPE_MUST_HAVE_KINDS") == "1" {
				t.Errorf("tc %s: %s", strings.TrimSpace(line), out)
			} else {
				t.Logf("not in this kernel: tc %s", strings.TrimSpace(line))
			}
		}
	}
	// A program has a name that only its filter tells.
	prog := nettest.LoadBPF(t, nettest.BPFSchedCls, 0, "judge", 0)
	if err := h.Do(func() error {
		l, err := netlink.LinkByName("w0")
		if err != nil {
			return err
		}
		return netlink.FilterAdd(&netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: netlink.HANDLE_MIN_EGRESS, Priority: 2, Protocol: unix.ETH_P_ALL},
			Fd:          prog, Name: "judge", DirectAction: true,
		})
	}); err != nil {
		t.Fatal(err)
	}

	_, _ = nettest.Try(h, "ping", "-c", "1", "-W", "1", "10.0.0.2") // nobody answers
	if out := nettest.Run(t, h, "tc", "-s", "qdisc", "show", "dev", "w1"); !strings.Contains(out, "Sent 98 bytes 1 pkt") {
		t.Errorf("a ping is not counted:\n%s", out)
	}

	var c *Conn
	if err := h.Do(func() (err error) { c, err = Open(); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var ns snapshot.Namespace
	c.Read(&ns, func(reader string, err error, _ string) { t.Errorf("%s: %v", reader, err) })
	name := map[int]string{}
	for _, l := range ns.Links {
		name[l.Index] = l.Name
	}
	for _, dev := range []string{"w0", "w1", "x0", "x1"} {
		sameLines(t, dev+"'s classes", classLines(&ns, dev, name), tcClasses(nettest.Run(t, h, "tc", "-s", "class", "show", "dev", dev)))
		for _, at := range [][]string{{"ingress"}, {"egress"}, {"parent", "7:"}} {
			if dev != "w0" && at[0] != "parent" || dev != "w1" && at[0] == "parent" {
				continue
			}
			out := nettest.Run(t, h, "tc", append([]string{"-s", "-j", "filter", "show", "dev", dev}, at...)...)
			sameLines(t, dev+"'s filters at "+at[0], filterLines(&ns, dev, at[0], name), tcFilters(t, out))
		}
	}
	if !slices.ContainsFunc(ns.Filters, func(f snapshot.TCFilter) bool {
		return f.Kind == "bpf" && f.ProgName == "judge" && f.Direct && f.ProgID != 0 && len(f.ProgTag) == 16
	}) {
		t.Errorf("no program is called judge: %+v", ns.Filters)
	}
}

func sameLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\ntc has:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func classLines(ns *snapshot.Namespace, dev string, name map[int]string) (out []string) {
	short := func(h string) string { return strings.TrimSuffix(strings.TrimSuffix(h, "0"), ":") }
	for _, c := range ns.Classes {
		if name[c.Ifindex] != dev {
			continue
		}
		parent := c.Parent
		if strings.HasSuffix(parent, ":0") {
			parent = short(parent) + ":"
		}
		class := c.Class
		if strings.HasSuffix(class, ":0") {
			class = short(class) + ":"
		}
		leaf := ""
		if c.Leaf != "" {
			leaf = short(c.Leaf) + ":"
		}
		out = append(out, fmt.Sprint(c.Kind, " ", class, " ", parent, " ", leaf, " ", c.Bytes, " ", c.Packets, " ", c.Drops, " ", c.Overlimits, " ", c.Requeues))
	}
	return out
}

var (
	classHead  = regexp.MustCompile(`^class (\S+) (\S+) (?:parent )?(\S+)(?: leaf (\S+))?`)
	classStats = regexp.MustCompile(`Sent (\d+) bytes (\d+) pkt \(dropped (\d+), overlimits (\d+) requeues (\d+)\)`)
)

// tcClasses reads what tc says: its class show has no JSON in all versions.
func tcClasses(text string) (out []string) {
	for _, block := range strings.Split(text, "class ")[1:] {
		m := classHead.FindStringSubmatch("class " + block)
		if m == nil {
			continue
		}
		n := classStats.FindStringSubmatch(block)
		if n == nil {
			n = []string{"", "0", "0", "0", "0", "0"}
		}
		out = append(out, strings.Join([]string{m[1], m[2], m[3], m[4], n[1], n[2], n[3], n[4], n[5]}, " "))
	}
	return out
}

func filterLines(ns *snapshot.Namespace, dev, at string, name map[int]string) (out []string) {
	for _, f := range ns.Filters {
		if name[f.Ifindex] != dev || f.Parent != at && at != "parent" {
			continue
		}
		class := f.Class
		if strings.HasSuffix(class, ":0") {
			class = strings.TrimSuffix(class, "0")
		}
		line := fmt.Sprint(f.Protocol, " ", f.Priority, " ", f.Kind, " ", f.Chain, " ", class, " ", f.ProgName)
		for _, a := range f.Actions {
			result := a.Result
			if s, ok := strings.CutPrefix(result, "goto chain "); ok {
				result = "goto " + s
			}
			if a.Kind == "mirred" || a.Kind == "police" || a.Kind == "pedit" {
				result = "" // written elsewhere, or not at all
			}
			line += fmt.Sprint(", ", a.Kind, " ", result, " ", name[a.To], " ", a.Packets, " ", a.Bytes, " ", a.Drops)
		}
		out = append(out, line)
	}
	return out
}

func tcFilters(t *testing.T, text string) (out []string) {
	t.Helper()
	var list []struct {
		Protocol, Kind string
		Pref, Chain    int
		Options        *struct {
			FlowID  string `json:"flowid"`
			ClassID string `json:"classid"`
			Name    string `json:"bpf_name"`
			Actions []struct {
				Kind    string
				Control struct {
					Type  string
					Chain int
				} `json:"control_action"`
				Dev   string `json:"to_dev"`
				Stats struct{ Bytes, Packets, Drops uint64 }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, f := range list {
		if f.Options == nil {
			continue
		}
		line := fmt.Sprint(f.Protocol, " ", f.Pref, " ", f.Kind, " ", f.Chain, " ", f.Options.FlowID+f.Options.ClassID, " ", f.Options.Name)
		for _, a := range f.Options.Actions {
			result := a.Control.Type
			if result == "goto" {
				result += " " + strconv.Itoa(a.Control.Chain)
			}
			if a.Kind == "mirred" || a.Kind == "police" || a.Kind == "pedit" {
				result = ""
			}
			line += fmt.Sprint(", ", a.Kind, " ", result, " ", a.Dev, " ", a.Stats.Packets, " ", a.Stats.Bytes, " ", a.Stats.Drops)
		}
		out = append(out, line)
	}
	return out
}
