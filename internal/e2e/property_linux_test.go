package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/topo"
)

// TestRandomTopologies makes random wirings, with ifindexes that collide on purpose, links that are moved after they were
// made, and namespaces that nothing visible holds, and compares every edge with how it was made.
//
// Each link is known by a MAC that is its alone, so the truth needs neither names nor indexes.
func TestRandomTopologies(t *testing.T) {
	nettest.NeedsRoot(t)
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	first := seed.Of(t)
	for i := range rounds {
		seed := first + uint64(i)
		t.Run(fmt.Sprintf("%d-seed-%d", i, seed), func(t *testing.T) {
			w := newWorld(t, rand.New(rand.NewPCG(seed, 0)))
			w.build()
			snap, err := inspect.Collect(t.Context(), inspect.WithoutEngines(), inspect.WithDepth(inspect.Topology))
			if err != nil {
				t.Fatal(err)
			}
			w.compare(snap)
		})
	}
}

// world is a random topology and the truth of it: relations between MACs, or from a MAC to a namespace.
type world struct {
	t      *testing.T
	r      *rand.Rand
	spaces []*netlab.Space
	links  []*thing
	hidden map[*netlab.Space]bool
	edges  map[string]bool // "veth a b", "port a b", "parent a b", "underlay a ns2"
	serial int
}

// thing is a link that was made.
type thing struct {
	mac    string
	kind   string
	name   string
	in     *netlab.Space
	master bool // is a port, or has ports or children: it stays where it is
}

func newWorld(t *testing.T, r *rand.Rand) *world {
	w := &world{t: t, r: r, edges: map[string]bool{}, hidden: map[*netlab.Space]bool{}}
	for i := range 3 + r.IntN(5) {
		s, err := netlab.New(fmt.Sprintf("ns%d", i))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		w.spaces = append(w.spaces, s)
	}
	return w
}

func (w *world) space() *netlab.Space { return w.spaces[w.r.IntN(len(w.spaces))] }

func (w *world) fresh(prefix string) (name string, mac net.HardwareAddr) {
	w.serial++
	mac = net.HardwareAddr{0x02, byte(w.r.Uint32()), byte(w.r.Uint32()), byte(w.r.Uint32()), byte(w.serial >> 8), byte(w.serial)}
	return fmt.Sprintf("%s%d", prefix, w.serial), mac
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) build() {
	for range 8 + w.r.IntN(30) {
		switch w.r.IntN(10) {
		case 0, 1, 2, 3:
			w.veth()
		case 4:
			w.bridge()
		case 5, 6:
			w.port()
		case 7:
			w.macvlan()
		case 8:
			w.vxlan()
		case 9:
			w.move()
		}
	}
	if w.r.IntN(2) == 0 {
		w.hide()
	}
}

// veth makes a pair; its ends often ask for an ifindex that others have too.
func (w *world) veth() {
	a, b := w.space(), w.space()
	nameA, macA := w.fresh("v")
	nameB, macB := w.fresh("p")
	v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nameA, HardwareAddr: macA}, PeerName: nameB, PeerHardwareAddr: macB}
	if a != b {
		v.PeerNamespace = netlink.NsFd(b.FD())
	}
	if w.r.IntN(2) == 0 {
		v.Index = 2 + w.r.IntN(6)
	}
	if err := a.Add(v); err != nil {
		v.Index = 0 // that one is taken
		w.must(a.Add(v))
	}
	w.must(a.Up(nameA))
	w.must(b.Up(nameB))
	w.links = append(w.links, &thing{mac: macA.String(), kind: "veth", name: nameA, in: a}, &thing{mac: macB.String(), kind: "veth", name: nameB, in: b})
	w.edge("veth", macA.String(), macB.String())
}

func (w *world) edge(kind, a, b string) {
	if kind == "veth" && b < a {
		a, b = b, a
	}
	w.edges[kind+" "+a+" "+b] = true
}

func (w *world) bridge() {
	s := w.space()
	name, mac := w.fresh("br")
	w.must(s.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: mac}}))
	w.must(s.Up(name))
	w.links = append(w.links, &thing{mac: mac.String(), kind: "bridge", name: name, in: s, master: true})
}

func (w *world) pick(f func(*thing) bool) *thing {
	var fit []*thing
	for _, l := range w.links {
		if f(l) {
			fit = append(fit, l)
		}
	}
	if len(fit) == 0 {
		return nil
	}
	return fit[w.r.IntN(len(fit))]
}

func (w *world) port() {
	br := w.pick(func(l *thing) bool { return l.kind == "bridge" })
	if br == nil {
		return
	}
	l := w.pick(func(l *thing) bool {
		return l.in == br.in && !l.master && (l.kind == "veth" || l.kind == "vxlan")
	})
	if l == nil {
		return
	}
	if err := br.in.SetMaster(l.name, br.name); err != nil {
		return // two bridges joined by a pair in one namespace: the kernel may refuse
	}
	l.master = true
	w.edge("port", l.mac, br.mac)
}

// macvlan makes a macvlan on a veth, often in another namespace.
func (w *world) macvlan() {
	parent := w.pick(func(l *thing) bool { return l.kind == "veth" && !l.master })
	if parent == nil {
		return
	}
	p, err := parent.in.Link(parent.name)
	w.must(err)
	name, mac := w.fresh("mv")
	to := w.space()
	m := &netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: mac, ParentIndex: p.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE}
	if to != parent.in && w.r.IntN(2) == 0 {
		m.Namespace = netlink.NsFd(to.FD())
		w.must(parent.in.Add(m))
	} else {
		w.must(parent.in.Add(m))
		if to != parent.in {
			w.must(parent.in.Move(name, to))
		}
	}
	parent.master = true
	w.links = append(w.links, &thing{mac: mac.String(), kind: "macvlan", name: name, in: to, master: true})
	w.edge("parent", mac.String(), parent.mac)
}

// vxlan makes a vxlan and moves it away, as Docker does: its socket stays where it was made.
func (w *world) vxlan() {
	home, to := w.space(), w.space()
	name, mac := w.fresh("vx")
	w.must(home.Add(&netlink.Vxlan{LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: mac}, VxlanId: 4096 + w.serial, Port: 4789, Learning: true}))
	if to != home {
		w.must(home.Move(name, to))
	}
	w.must(to.FDB(name, net.HardwareAddr{2, 0xfd, 0xb, 0, 0, byte(w.serial)}, netip.AddrFrom4([4]byte{198, 51, 100, byte(1 + w.serial%200)})))
	w.links = append(w.links, &thing{mac: mac.String(), kind: "vxlan", name: name, in: to})
	w.edge("underlay", mac.String(), w.nsName(home))
}

// move moves a link that nothing hangs on.
func (w *world) move() {
	l := w.pick(func(l *thing) bool { return l.kind == "veth" && !l.master })
	if l == nil {
		return
	}
	to := w.space()
	if to == l.in {
		return
	}
	w.must(l.in.Move(l.name, to))
	l.in = to
	w.must(to.Up(l.name))
}

func (w *world) nsName(s *netlab.Space) string { return "netns-" + s.Name }

// hide takes the last visible holder from a namespace: its descriptor travels in a socket's queue for ever.
func (w *world) hide() {
	s := w.space()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	w.must(err)
	w.t.Cleanup(func() { unix.Close(pair[0]); unix.Close(pair[1]) })
	w.must(unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(s.FD()), nil, 0))
	w.must(s.Close())
	w.hidden[s] = true
}

// compare checks the snapshot's graph against the truth.
func (w *world) compare(snap *snapshot.Snapshot) {
	g := topo.Build(snap)
	names := map[string]string{} // netns node id → our name
	byMAC := map[string][]*topo.Node{}
	for _, s := range w.spaces {
		names[fmt.Sprintf("netns:%.8s:%d", snap.Host.BootID, s.ID().Inode())] = w.nsName(s)
	}
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Kind == topo.KindLink && n.Attrs.MAC != "" {
			byMAC[n.Attrs.MAC] = append(byMAC[n.Attrs.MAC], n)
		}
	}
	// What may be missing is only what hangs on a namespace that nothing but a link leads to.
	visible := map[string]bool{}
	ours := map[string]string{} // link node id → MAC
	for _, l := range w.links {
		nodes := byMAC[l.mac]
		if len(nodes) > 1 {
			w.t.Errorf("%s %s (%s) appears %d times", l.kind, l.name, l.mac, len(nodes))
		}
		if len(nodes) == 0 {
			if !w.hidden[l.in] {
				w.t.Errorf("%s %s (%s) in %s is missing", l.kind, l.name, l.mac, l.in.Name)
			}
			continue
		}
		visible[l.mac] = true
		ours[nodes[0].ID] = l.mac
		ns := names[nodes[0].Attrs.Netns]
		if want := w.nsName(l.in); !w.hidden[l.in] && ns != want {
			w.t.Errorf("%s %s is said to be in %s, is in %s", l.kind, l.name, ns, want)
		} else if w.hidden[l.in] && ns != "" && ns != want {
			w.t.Errorf("%s %s in the hidden %s is said to be in %s", l.kind, l.name, want, ns)
		}
	}
	got := map[string]bool{}
	for _, e := range g.Edges {
		from, ok := ours[e.From]
		if !ok {
			continue
		}
		to, toOurs := ours[e.To]
		switch e.Kind {
		case topo.EdgeVeth, topo.EdgePort, topo.EdgeParent:
			if !toOurs {
				w.t.Errorf("edge %s from our %s to a foreign %s", e.Kind, from, e.To)
				continue
			}
		case topo.EdgeUnderlay:
			if to = names[e.To]; to == "" {
				to = "hidden"
			}
		default:
			continue
		}
		if e.Kind == topo.EdgeVeth && to < from {
			from, to = to, from
		}
		key := string(e.Kind) + " " + from + " " + to
		if got[key] {
			w.t.Errorf("edge twice: %s", key)
		}
		got[key] = true
	}
	var wrong, missing []string
	for e := range got {
		if strings.HasSuffix(e, " hidden") {
			continue // judged below by what is missing
		}
		if !w.edges[e] {
			wrong = append(wrong, e)
		}
	}
	for e := range w.edges {
		f := strings.Fields(e)
		if got[e] || !visible[f[1]] || f[0] != "underlay" && !visible[f[2]] {
			continue
		}
		if f[0] == "underlay" && got["underlay "+f[1]+" hidden"] && w.isHidden(f[2]) {
			continue
		}
		missing = append(missing, e)
	}
	sort.Strings(wrong)
	sort.Strings(missing)
	if len(wrong)+len(missing) > 0 {
		w.t.Errorf("wrong edges:   %q\nmissing edges: %q", wrong, missing)
		for _, gap := range g.Gaps {
			w.t.Logf("gap: %+v", gap)
		}
		if os.Getenv("NSCOPE_KEEP") == "" {
			return // set it to keep the snapshot of a failure
		}
		dump, err := os.CreateTemp("", "nscope-property-*.json")
		if err == nil {
			snap.Write(dump)
			dump.Close()
			w.t.Logf("snapshot: %s", dump.Name())
		}
	}
}

func (w *world) isHidden(name string) bool {
	return slices.ContainsFunc(w.spaces, func(s *netlab.Space) bool { return w.hidden[s] && w.nsName(s) == name })
}
