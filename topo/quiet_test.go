package topo

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// TestQuiet: every device that the kernel made and nobody uses is left out, and stays where anything tells that it is used.
func TestQuiet(t *testing.T) {
	uses := []struct {
		what string
		use  func(ns *snapshot.Namespace, l *snapshot.Link)
	}{
		{"idle", func(*snapshot.Namespace, *snapshot.Link) {}},
		{"up", func(_ *snapshot.Namespace, l *snapshot.Link) { l.Flags = append(l.Flags, "up") }},
		{"with an address", func(_ *snapshot.Namespace, l *snapshot.Link) {
			l.Addrs = []snapshot.Addr{{Prefix: netip.MustParsePrefix("10.0.0.1/24")}}
		}},
		{"a port", func(_ *snapshot.Namespace, l *snapshot.Link) { l.Master, l.MasterKind = 90, "bridge" }},
		{"with a port", func(ns *snapshot.Namespace, l *snapshot.Link) {
			ns.Links[0].Master, ns.Links[0].MasterKind = l.Index, "bond"
		}},
		{"a parent", func(ns *snapshot.Namespace, l *snapshot.Link) {
			ns.Links[0].Kind, ns.Links[0].Peer, ns.Links[0].Vlan = "vlan", &snapshot.Peer{Index: l.Index, Namespace: ns.ID}, &snapshot.Vlan{ID: 5}
		}},
		{"counted", func(_ *snapshot.Namespace, l *snapshot.Link) { l.Stats.RxPackets = 1 }},
		{"of another name", func(_ *snapshot.Namespace, l *snapshot.Link) { l.Name += "9" }},
		{"of another kind", func(_ *snapshot.Namespace, l *snapshot.Link) { l.Kind = "tun" }},
	}
	for kind, names := range fallbacks {
		for _, name := range names {
			for _, u := range uses {
				if u.what == "with a port" && kind != "bond" {
					continue // these have none
				}
				id := snapshot.MakeNSID(4, 100)
				ns := snapshot.Namespace{ID: id, Links: []snapshot.Link{
					{Index: 2, Name: "eth0", Type: "ether", Flags: []string{"up"}, State: "up"},
					{Index: 3, Name: name, Kind: kind, Type: "none", Flags: []string{"noarp"}, State: "down"},
					{Index: 90, Name: "br0", Kind: "bridge", Type: "ether", Flags: []string{}, State: "down", Bridge: &snapshot.Bridge{}},
				}}
				u.use(&ns, &ns.Links[1])
				s := &snapshot.Snapshot{Schema: 1, Tool: "t", Host: snapshot.Host{Name: "h", BootID: "aaaaaaaa-0000", InitNS: id, SelfNS: id}, Namespaces: []snapshot.Namespace{ns}}
				s.Normalize()
				g := Build(s)
				of := fmt.Sprintf("link:aaaaaaaa:%s/3", id.Short())
				if _, ok := g.Node(of); !ok {
					t.Fatalf("there is no %s among %v", of, g.Nodes)
				}
				q := g.Quiet()
				if _, shown := q.Node(of); shown != (u.what != "idle") {
					t.Errorf("%s %s, %s, is shown: %v", kind, name, u.what, shown)
				}
				if _, ok := g.Quiet(of).Node(of); !ok {
					t.Errorf("%s %s that was asked for is not shown", kind, name)
				}
				if len(q.Hosts) != 1 || q.Whole() != q {
					t.Errorf("without %s the graph is a part, of hosts %v", name, q.Hosts)
				}
			}
		}
	}
}
