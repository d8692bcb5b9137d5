package capture

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/topo"
)

// cluster is the recorded overlay of two hosts; suffix, where not empty, makes another cluster of it, with the same addresses and VNI.
func cluster(t *testing.T, suffix string) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.Load("../docs/examples/lab-overlay.json.zst")
	if err != nil {
		t.Fatal(err)
	}
	if suffix == "" {
		return s
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(b), s.Host.BootID, "ffffffff"+s.Host.BootID[8:])
	for _, n := range s.Networks {
		text = strings.ReplaceAll(text, n.ID, suffix+n.ID[len(suffix):])
	}
	var out snapshot.Snapshot
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	for i := range out.Workloads {
		out.Workloads[i].ID = suffix + out.Workloads[i].ID[len(suffix):]
		out.Workloads[i].Name += suffix
	}
	return &out
}

// TestTwoClusters: two clusters that have one VNI and the same addresses do not name each other's. What is in the tunnel is named by neither, where
// they would say different things; in the containers each by its own.
func TestTwoClusters(t *testing.T) {
	c1 := netip.MustParseAddr("10.0.1.2")
	name := func(f func(netip.Addr) string) string {
		if f == nil {
			return "nobody names"
		}
		return f(c1)
	}
	one := topo.Build(cluster(t, ""))
	want := name(NewNamer(one).inside(4097))
	if want == "" || want == "nobody names" {
		t.Fatalf("alone, 10.0.1.2 in VNI 4097 is %q", want)
	}
	if got := name(NewNamer(one).inside(99)); got != "nobody names" {
		t.Errorf("in a VNI that there is not: %q", got)
	}
	both := topo.Build(cluster(t, ""), cluster(t, "ee"))
	n := NewNamer(both)
	if got := name(n.inside(4097)); got != "" {
		t.Errorf("with another cluster beside it, 10.0.1.2 in VNI 4097 is %q", got)
	}
	own := map[string]bool{}
	for i := range both.Nodes {
		ns := &both.Nodes[i]
		if ns.Kind != topo.KindNetns || ns.Attrs.Role != topo.RoleContainer {
			continue
		}
		called, _ := n.NetnsName(ns)
		got := n.Place(ns, "eth0").Names(c1)
		switch {
		case got == "":
		case strings.HasSuffix(called, "ee") != strings.HasSuffix(got, "ee"):
			t.Errorf("%s calls 10.0.1.2 %q", called, got)
		default:
			own[got] = true
		}
	}
	if len(own) != 2 {
		t.Errorf("the containers call 10.0.1.2 %v", own)
	}
	for _, a := range Addresses(both) {
		if a.Addr == c1 {
			t.Errorf("a file calls 10.0.1.2 %q, which two have", a.Name)
		}
	}
}
