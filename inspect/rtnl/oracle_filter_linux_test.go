package rtnl

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// words splits at blanks; one that does not break stays one.
func words(s string) []string {
	out := strings.Split(s, " ")
	for i := range out {
		out[i] = strings.ReplaceAll(out[i], "\u00a0", " ")
	}
	return out
}

// TestFilters: filters with their actions are what tc says of them, and their counters move.
func TestFilters(t *testing.T) {
	nettest.NeedsRoot(t)
	h := nettest.New(t)
	tc := func(args string) { t.Helper(); nettest.Run(t, h, "tc", words(args)...) }
	nettest.Run(t, h, "ip", strings.Fields("link add w0 type veth peer name w1")...)
	nettest.Run(t, h, "ip", "address", "add", "10.0.0.1/24", "dev", "w1")
	for _, dev := range []string{"w0", "w1"} {
		nettest.Run(t, h, "ip", "link", "set", dev, "up")
	}
	tc("qdisc add dev w0 ingress")
	tc("qdisc add dev w1 root handle 7: htb default 1")
	tc("class add dev w1 parent 7: classid 7:1 htb rate 1gbit")
	tc("filter add dev w0 ingress protocol ip pref 10 u32 match u32 0 0 action mirred egress redirect dev lo")
	tc("filter add dev w1 parent 7: protocol arp pref 5 u32 match u32 0 0 action mirred egress mirror dev w0")
	tc("filter add dev w1 parent 7: protocol ipv6 pref 20 u32 match u32 0 0 classid 7:1")
	tc("filter add dev w1 parent 7: protocol ip pref 30 bpf bytecode 1,6\u00a00\u00a00\u00a04294967295, classid 7:1 action mirred egress mirror dev w0")
	nettest.Run(t, h, "ip", "neighbor", "add", "10.0.0.2", "lladdr", "02:00:00:00:00:02", "dev", "w1")

	read := func() (ns snapshot.Namespace) {
		t.Helper()
		var c *Conn
		if err := h.Do(func() (err error) { c, err = Open(); return err }); err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Read(&ns, func(reader string, err error, _ string) { t.Errorf("%s: %v", reader, err) })
		return ns
	}
	ns := read()
	index := map[string]int{}
	for _, l := range ns.Links {
		index[l.Name] = l.Index
	}
	want := []string{}
	for _, at := range []struct{ dev, where, parent string }{{"w0", "ingress", "ingress"}, {"w1", "parent 7:", "7:0"}} {
		var list []struct {
			Protocol, Kind string
			Pref           int
			Options        *struct {
				Actions []struct {
					Kind string
					Dev  string `json:"to_dev"`
				}
			}
		}
		if err := json.Unmarshal([]byte(nettest.Run(t, h, "tc", strings.Fields("-s -j filter show dev "+at.dev+" "+at.where)...)), &list); err != nil {
			t.Fatal(err)
		}
		for _, f := range list {
			if f.Options == nil {
				continue
			}
			acts := ""
			for _, a := range f.Options.Actions {
				acts += fmt.Sprint(" ", a.Kind, index[a.Dev])
			}
			want = append(want, fmt.Sprint(index[at.dev], " ", at.parent, " ", f.Protocol, " ", f.Pref, " ", f.Kind, acts))
		}
	}
	got := []string{}
	for _, f := range ns.Filters {
		acts := ""
		for _, a := range f.Actions {
			acts += fmt.Sprint(" ", a.Kind, a.To)
		}
		got = append(got, fmt.Sprint(f.Ifindex, " ", f.Parent, " ", f.Protocol, " ", f.Priority, " ", f.Kind, acts))
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 7 || !slices.Equal(got, want) { // each u32 comes with a hash table
		t.Errorf("%s\ntc has:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// A packet sent out of w1 comes in at w0, where it is redirected.
	if moved := ns.Filters[slices.IndexFunc(ns.Filters, redirects)].Actions[0]; moved.Packets != 0 || moved.Result != "stolen" {
		t.Errorf("before: %+v", moved)
	}
	err := h.Do(func() error {
		c, err := net.Dial("udp4", "10.0.0.2:9")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write(make([]byte, 100))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var after snapshot.TCAction
	for deadline := time.Now().Add(10 * time.Second); after.Packets == 0 && time.Now().Before(deadline); {
		ns = read()
		after = ns.Filters[slices.IndexFunc(ns.Filters, redirects)].Actions[0]
	}
	if after.Packets != 1 || after.Bytes < 128 {
		t.Errorf("after one packet of 100 bytes: %+v", after)
	}
}

func redirects(f snapshot.TCFilter) bool { return f.Parent == "ingress" && len(f.Actions) > 0 }
