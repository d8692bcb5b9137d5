package vmtest

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/topo"
)

// inside is the environment variable that tells these tests that they are in the machine.
const inside = "NSCOPE_IN_VM"

func needsInside(t *testing.T) {
	t.Helper()
	if os.Getenv(inside) != "1" {
		t.Skip("skip: runs in the virtual machine, by TestPackages")
	}
}

// lab is a few namespaces, each wired with ip, that are read as one graph.
type lab struct {
	t      *testing.T
	spaces map[string]*nettest.Handle
}

func newLab(t *testing.T, names ...string) *lab {
	t.Helper()
	l := &lab{t: t, spaces: map[string]*nettest.Handle{}}
	for _, name := range names {
		l.spaces[name] = nettest.New(t)
	}
	return l
}

// ip runs one ip command per line, "SPACE: arguments"; @SPACE in the arguments is that namespace's path.
func (l *lab) ip(lines string) {
	l.t.Helper()
	for line := range strings.Lines(lines) {
		space, args, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		words := strings.Fields(args)
		for i, w := range words {
			if to, ok := strings.CutPrefix(w, "@"); ok {
				words[i] = "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(l.spaces[to].FD())
			}
		}
		nettest.Run(l.t, l.spaces[space], "ip", words...)
	}
}

// graph reads everything and returns the graph and a function that names a node of ours, "space/link" or "space".
func (l *lab) graph() (*topo.Graph, func(id string) string) {
	l.t.Helper()
	snap, err := inspect.Collect(l.t.Context(), inspect.WithoutEngines())
	if err != nil {
		l.t.Fatal(err)
	}
	for _, g := range snap.Gaps {
		l.t.Logf("gap: %+v", g)
	}
	g := topo.Build(snap)
	byNS := map[string]string{}
	for name, h := range l.spaces {
		byNS[fmt.Sprintf("netns:%.8s:%d", snap.Host.BootID, h.ID().Inode())] = name
	}
	return g, func(id string) string {
		n, ok := g.Node(id)
		if !ok {
			return "nothing"
		}
		if n.Kind == topo.KindLink {
			return byNS[n.Attrs.Netns] + "/" + n.Name
		}
		return byNS[id]
	}
}

// edges returns those of a kind that begin in the lab, as "from → to", sorted.
func (l *lab) edges(g *topo.Graph, name func(string) string, kind topo.EdgeKind) []string {
	out := []string{}
	for _, e := range g.Edges {
		if from := name(e.From); e.Kind == kind && from != "" && !strings.HasPrefix(from, "/") {
			out = append(out, from+" → "+name(e.To))
		}
	}
	slices.Sort(out)
	return out
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant:\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestInsideParents: what sits on what, across namespaces, with ifindexes that collide: a trunk with two VLANs, each the
// parent of children in other namespaces, and ipvlan in all its modes.
func TestInsideParents(t *testing.T) {
	needsInside(t)
	l := newLab(t, "host", "switch", "c1", "c2", "c3")
	l.ip(`host: link add eth0 type veth peer name port netns @switch
		host: link set eth0 up
		switch: link set port up
		host: link add eth0.100 link eth0 type vlan id 100
		host: link add eth0.200 link eth0 type vlan protocol 802.1ad id 200
		host: link add m1 link eth0.100 netns @c1 type macvlan mode bridge
		host: link add m2 link eth0.200 netns @c2 type macvlan mode private
		host: link add du0 type dummy
		host: link add i1 link du0 index 100 type ipvlan mode l2
		host: link set i1 netns @c1
		host: link add i2 link du0 netns @c2 index 100 type ipvlan mode l2
		host: link add du1 type dummy
		host: link add i3 link du1 netns @c3 index 100 type ipvlan mode l3s
		host: link add q link du0 netns @c3 type vlan id 7
		c3: link add q9 link q type vlan id 9`)
	g, name := l.graph()
	same(t, "parents", l.edges(g, name, topo.EdgeParent),
		"host/eth0.100 → host/eth0", "host/eth0.200 → host/eth0", "c1/m1 → host/eth0.100", "c2/m2 → host/eth0.200",
		"c1/i1 → host/du0", "c2/i2 → host/du0", "c3/i3 → host/du1", "c3/q → host/du0", "c3/q9 → c3/q")
	attrs := []string{}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		if at := name(n.ID); n.Kind == topo.KindLink && !strings.HasPrefix(at, "/") && (n.Attrs.Vlan != 0 || n.Attrs.Mode != "") {
			attrs = append(attrs, fmt.Sprint(at, " ", n.Attrs.Type, " ", n.Attrs.Mode, n.Attrs.Vlan))
		}
	}
	slices.Sort(attrs)
	same(t, "attributes", attrs,
		"host/eth0.100 vlan 100", "host/eth0.200 vlan 200", "c1/m1 macvlan bridge0", "c2/m2 macvlan private0",
		"c1/i1 ipvlan l20", "c2/i2 ipvlan l20", "c3/i3 ipvlan l3s0", "c3/q vlan 7", "c3/q9 vlan 9")
}

// TestInsideMasters: bonds, VRFs and bridges that filter VLANs have ports; tunnels stay where they were made.
func TestInsideMasters(t *testing.T) {
	needsInside(t)
	l := newLab(t, "host", "c1")
	l.ip(`host: link add v1 type veth peer name eth0 netns @c1
		host: link add d1 type dummy
		host: link add d2 type dummy
		host: link add bond0 type bond mode active-backup
		host: link set d1 master bond0
		host: link add br0 type bridge vlan_filtering 1
		host: link set v1 master br0
		host: link set bond0 master br0
		host: link add blue type vrf table 10
		host: link set d2 master blue
		host: link add gn0 type geneve id 5 remote 192.0.2.2
		host: link set gn0 netns @c1
		host: link add wg0 type wireguard
		host: link set wg0 netns @c1`)
	g, name := l.graph()
	same(t, "ports", l.edges(g, name, topo.EdgePort), "host/d1 → host/bond0", "host/v1 → host/br0", "host/bond0 → host/br0", "host/d2 → host/blue")
	same(t, "pairs", l.edges(g, name, topo.EdgeVeth), pairOf(g, name))
	same(t, "parents", l.edges(g, name, topo.EdgeParent))
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == topo.KindLink && (n.Name == "gn0" || n.Name == "wg0") && name(n.ID) != "c1/"+n.Name {
			t.Errorf("%s is said to be at %s", n.Name, name(n.ID))
		}
	}
}

// pairOf is the lab's one pair, in the order of its ids.
func pairOf(g *topo.Graph, name func(string) string) string {
	for _, e := range g.Edges {
		if e.Kind == topo.EdgeVeth && name(e.From) == "c1/eth0" {
			return "c1/eth0 → host/v1"
		}
	}
	return "host/v1 → c1/eth0"
}

// TestInsideQuiet: the devices that modules put into every namespace are in the graph and in no picture, but for one that is used.
func TestInsideQuiet(t *testing.T) {
	needsInside(t)
	l := newLab(t, "new", "used")
	l.ip("used: address add 192.0.2.1/32 dev tunl0")
	g, name := l.graph()
	links := func(g *topo.Graph) map[string][]string {
		out := map[string][]string{}
		for i := range g.Nodes {
			n := &g.Nodes[i]
			if space, link, ok := strings.Cut(name(n.ID), "/"); n.Kind == topo.KindLink && ok && space != "" {
				out[space] = append(out[space], link)
			}
		}
		return out
	}
	if all := links(g); len(all["new"]) < 8 || len(all["used"]) != len(all["new"]) {
		t.Errorf("the kernel's own devices are %v", all)
	}
	quiet := links(g.Quiet())
	same(t, "links in pictures", append(quiet["new"], quiet["used"]...), "lo", "lo", "tunl0")
}
