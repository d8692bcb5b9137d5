package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/fixtures"
	"github.com/nscope/nscope/topo"
)

// labModes are what topo calls the mode of a lab's containers, with those that are in another one.
var labModes = map[string]string{
	"none": "none", "host": "host", "bridge": "bridge", "icc-off": "bridge", "publish": "bridge", "custom-bridge": "bridge", "two-hosts": "bridge",
	"routed": "bridge", "user-bridge": "user-bridge", "container": "bridge", "container/c2": "container",
	"macvlan": "macvlan", "macvlan-private": "macvlan", "macvlan-vepa": "macvlan", "macvlan-passthru": "macvlan", "macvlan-trunk": "macvlan",
	"ipvlan-l2": "ipvlan", "ipvlan-l3": "ipvlan", "ipvlan-l3s": "ipvlan",
	"overlay": "overlay", "overlay-encrypted": "overlay", "vip": "overlay", "ingress": "overlay", "host-publish": "overlay",
	"flannel-udp": "cni", "flannel-vxlan": "cni", "flannel-host-gw": "cni",
	"cni-bridge": "cni", "cni-bridge/web": "container", "cni-bridge/client": "container",
}

// What topo shows of a lab is what its plan says: every link with its kind, address and namespace, every pair, every port,
// every parent; every role, mode, network and service; and nothing else.
func TestLabTopology(t *testing.T) {
	t.Parallel()
	machine := newMachine(t)
	only := strings.Fields(os.Getenv("NSCOPE_LABS")) // in a virtual machine, those that no other kernel has
	for _, m := range fixtures.Modes() {
		if len(only) > 0 && !slices.Contains(only, m.Info().Name) {
			continue
		}
		t.Run(m.Info().Name, func(t *testing.T) {
			t.Parallel()
			lab := m.Info().Name
			machine.up(t, lab, lab)
			// Only a snapshot has sockets, which prove a published port.
			file := filepath.Join(t.TempDir(), "lab.json")
			machine.run(t, machine.nscope, "snapshot", file)
			run := func(args ...string) string {
				t.Helper()
				return machine.run(t, append([]string{machine.nscope, "--from", file}, args...)...)
			}
			var g topo.Graph
			if err := json.Unmarshal([]byte(run("topo", "-o", "json")), &g); err != nil {
				t.Fatal(err)
			}
			p := fixtures.NewPlan(m, lab)
			want := planned(t, p)
			if len(want) == 0 {
				t.Fatal("the plan has no links")
			}
			if diff := cmp.Diff(want, shown(t, p, &g)); diff != "" {
				t.Errorf("of the plan (-) and of topo (+):\n%s", diff)
			}
			if diff := cmp.Diff(called(p, m.Info().Name), calledBy(p, &g)); diff != "" {
				t.Errorf("roles, modes, services of the plan (-) and of topo (+):\n%s", diff)
			}
			for i, s := range p.Spaces {
				if len(only) > 0 && i%4 != 0 { // there a program takes its time
					continue
				}
				names := []string{s.Full()}
				if s.Role == fixtures.RoleContainer {
					names = append(names, p.Full(s.Name))
				}
				for _, name := range names {
					if out := run("show", name); !strings.Contains(out, s.Name) && !strings.Contains(out, s.Full()) {
						t.Errorf("show %s says\n%s", name, out)
					}
				}
			}
			machine.run(t, machine.nscope, "show", p.Spaces[len(p.Spaces)-1].Full()) // live
			machine.labOK(t, "down", lab)
		})
	}
}

// labLink is a link of a plan.
type labLink struct {
	at, name, kind       string // at is the namespace's full name
	addrs                []string
	peer, master, parent *labLink
}

func (l *labLink) String() string { return l.at + "/" + l.name }

// planned reads a plan's command lines of ip, and says what links come of them.
func planned(t *testing.T, p *fixtures.Plan) []string {
	var links []*labLink
	find := func(at, name string) *labLink {
		for _, l := range links {
			if l.at == at && l.name == name {
				return l
			}
		}
		t.Fatalf("the plan has no link %s in %s", name, at)
		return nil
	}
	lines := append([]fixtures.Step{}, p.Steps...)
	sort.SliceStable(lines, func(i, j int) bool { return !lines[i].Later && lines[j].Later })
	for _, s := range lines {
		f, at := strings.Fields(s.Line), s.Space.Full()
		switch {
		case strings.HasPrefix(s.Line, "ip link add "):
			links = append(links, madeLinks(f[3:], at, find)...)
		case strings.HasPrefix(s.Line, "ip tuntap add "):
			links = append(links, &labLink{at: at, name: after(f, "dev"), kind: after(f, "mode")})
		case strings.HasPrefix(s.Line, "ip link set "):
			f = f[3:]
			if f[0] == "dev" {
				f = f[1:]
			}
			if f[0] == "lo" {
				continue
			}
			l := find(at, f[0])
			if to := after(f, "netns"); to != "" {
				l.at = to
			}
			if name := after(f, "name"); name != "" {
				l.name = name
			}
			if master := after(f, "master"); master != "" {
				l.master = find(at, master)
			}
		case strings.HasPrefix(s.Line, "ip addr add ") && after(f, "dev") != "lo":
			l := find(at, after(f, "dev"))
			addr := f[3]
			if !strings.Contains(addr, "/") {
				addr += "/32"
			}
			l.addrs = append(l.addrs, addr)
		}
	}
	var out []string
	for _, l := range links {
		sort.Strings(l.addrs)
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s is a %s %s", l, l.kind, strings.Join(l.addrs, " "))))
		if l.peer != nil {
			out = append(out, pair(l.String(), l.peer.String()))
		}
		if l.master != nil {
			out = append(out, fmt.Sprintf("%s is a port of %s", l, l.master))
		}
		if l.parent != nil {
			out = append(out, fmt.Sprintf("%s is on %s", l, l.parent))
		}
	}
	sort.Strings(out)
	return out
}

// madeLinks are what `ip link add` with these words makes: one link, or the two ends of a pair.
func madeLinks(f []string, at string, find func(at, name string) *labLink) []*labLink {
	l := &labLink{at: at}
	typed := slices.Index(f, "type")
	own := f[:typed]
	l.kind = f[typed+1]
	if p := after(own, "link"); p != "" {
		l.parent = find(at, p)
	}
	if n := after(own, "netns"); n != "" {
		l.at = n
	}
	if l.name = after(own, "name"); l.name == "" {
		l.name = own[0]
	}
	peer := slices.Index(f, "peer")
	if l.kind != "veth" || peer < 0 {
		return []*labLink{l}
	}
	// Where the netns of the other end is not said, it is that of the command.
	other := &labLink{at: at, name: after(f[peer:], "name"), kind: "veth"}
	if n := after(f[peer:], "netns"); n != "" {
		other.at = n
	}
	l.peer = other
	return []*labLink{l, other}
}

// after is the word that follows another.
func after(f []string, word string) string {
	if i := slices.Index(f, word); i >= 0 && i+1 < len(f) {
		return f[i+1]
	}
	return ""
}

func pair(a, b string) string {
	if a > b {
		a, b = b, a
	}
	return a + " is wired to " + b
}

// shown says the same of a graph, about the namespaces of a plan.
func shown(t *testing.T, p *fixtures.Plan, g *topo.Graph) []string {
	spaces := map[string]string{} // by node id
	for _, n := range g.Nodes {
		for _, path := range n.Attrs.Paths {
			for _, s := range p.Spaces {
				if n.Kind == topo.KindNetns && path == "/run/netns/"+s.Full() {
					spaces[n.ID] = s.Full()
				}
			}
		}
	}
	names := map[string]string{}
	var out []string
	for _, n := range g.Nodes {
		at, ok := spaces[n.Attrs.Netns]
		if n.Kind != topo.KindLink || !ok || n.Attrs.Type == "loopback" || slices.Contains(fallbackLinks, n.Name) {
			continue
		}
		names[n.ID] = at + "/" + n.Name
		var addrs []string
		for _, a := range n.Attrs.Addrs {
			if !strings.Contains(a, ":") {
				addrs = append(addrs, a)
			}
		}
		sort.Strings(addrs)
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s is a %s %s", names[n.ID], n.Attrs.Type, strings.Join(addrs, " "))))
	}
	for _, e := range g.Edges {
		from, ok := names[e.From]
		if !ok {
			continue
		}
		to := names[e.To]
		switch e.Kind {
		case topo.EdgeVeth:
			out = append(out, pair(from, to))
		case topo.EdgePort:
			out = append(out, from+" is a port of "+to)
		case topo.EdgeParent:
			out = append(out, from+" is on "+to)
		}
	}
	sort.Strings(out)
	return out
}

// fallbackLinks are those that some kernels put into every namespace (net.core.fb_tunnels_only_for_init_net).
var fallbackLinks = []string{"sit0", "tunl0", "ip6tnl0", "gre0", "gretap0", "erspan0", "ip6gre0", "ip_vti0", "ip6_vti0"}
