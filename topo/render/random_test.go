package render

import (
	"fmt"
	"math/rand/v2"

	"github.com/nscope/nscope/topo"
)

// hostile are names that try to break out of whatever they are put into.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</script><script>window.hacked=1</script>`, `]]>`, `&amp;<b>`,
	"\x1b[2J\x1b[31mred", "two\nlines", "tab\there", "\xff\xfe", "日本語のとても長いコンテナ名前です", "a\u202eb\u200d", "é́́́",
	`quote" and 'quote'`, `back\slash`, `--> %% end`, "subgraph x", "`tick`", "#35;", "{{x}}", "", " ", "-->", "😀👨‍👩‍👧", "end",
	"very-long-" + "0123456789012345678901234567890123456789012345678901234567890123456789",
}

// random makes a graph that no kernel would make: any link may be anything's port, parent and peer, in circles too.
// Only its ids are sound, and every namespace and container has a name of its own. With nasty, names are hostile.
func random(seed uint64, size int, nasty bool) *topo.Graph {
	r := rand.New(rand.NewPCG(seed, 1))
	s := newScene("alpha", "beta")
	name := func(kind string, i int) string {
		n := fmt.Sprintf("%s-%d", kind, i)
		if nasty {
			n += hostile[r.IntN(len(hostile))]
		}
		return n
	}
	pick := func(list []string) string { return list[r.IntN(len(list))] }
	hosts := []string{"alpha", "beta", "alpha/inner", "alpha/inner/most", "", "gamma"}
	roles := []string{topo.RoleHost, topo.RoleNode, topo.RoleContainer, topo.RoleContainer, topo.RoleContainer, topo.RoleOverlay, topo.RoleLoadBalancer, topo.RoleIngress, topo.RoleNamed, topo.RoleOther, ""}
	types := []string{"veth", "veth", "veth", "device", "bridge", "vxlan", "macvlan", "ipvlan", "vlan", "tun", "dummy", "bond", "weird", ""}
	var spaces, links, bridges, networks, services, containers, vteps []string
	for i := range 2 + r.IntN(size/3+1) {
		spaces = append(spaces, s.netns(pick(hosts), pick(roles), name("ns", i)))
	}
	for i := range r.IntN(size + 1) {
		ns := pick(spaces)
		l := s.link(ns, name("l", i), pick(types))
		n := s.at(l)
		for range r.IntN(3) {
			n.Attrs.Addrs = append(n.Attrs.Addrs, []string{"10.1.2.3/24", "fd00::1234:5678:9abc:def0/64", "fe80::1/64", "hardly an address"}[r.IntN(4)])
		}
		n.Attrs.State = pick([]string{"up", "down", "unknown", "lowerlayerdown", ""})
		if n.Attrs.Type == "vxlan" {
			n.Attrs.VNI = r.Uint32N(1 << 24)
		}
		links = append(links, l)
		if n.Attrs.Type == "bridge" {
			bridges = append(bridges, l)
		}
	}
	for i := range 1 + r.IntN(4) {
		networks = append(networks, s.network(pick(hosts), name("net", i), pick([]string{"bridge", "overlay", "macvlan", "null"}), "", topo.NodeAttrs{}))
		services = append(services, s.node(topo.KindService, fmt.Sprintf("service:%d", i), name("svc", i), "", topo.NodeAttrs{VIPs: []string{"10.0.0.9/24"}}))
		vteps = append(vteps, s.node(topo.KindVTEP, fmt.Sprintf("vtep:10.9.0.%d", i), "", "", topo.NodeAttrs{Address: fmt.Sprintf("10.9.0.%d", i)}))
	}
	for i := range r.IntN(size/2 + 1) {
		ns := pick(spaces)
		if r.IntN(8) == 0 {
			ns = ""
		}
		c := s.container(ns, "docker", name("box", i), topo.NodeAttrs{State: pick([]string{"running", "exited", ""}), Pod: pick([]string{"", "", "pod-x"})})
		containers = append(containers, c)
	}
	if len(links) > 1 {
		for range len(links) {
			a, b := pick(links), pick(links)
			switch r.IntN(8) {
			case 0, 1, 2:
				s.edge(topo.EdgeVeth, min(a, b), max(a, b))
			case 3:
				s.edge(topo.EdgePort, a, b)
			case 4:
				if len(bridges) > 0 {
					s.edge(topo.EdgePort, a, pick(bridges))
				}
			case 5:
				s.edge(topo.EdgeParent, a, b)
			case 6:
				s.edge(topo.EdgeTunnel, a, pick(append(vteps, b)), topo.EdgeAttrs{Address: "10.9.0.1"})
			case 7:
				s.edge(topo.EdgeUnderlay, a, pick(append(links, spaces...)))
			}
		}
		s.edge(topo.EdgeCarries, pick(append(links, spaces...)), pick(networks))
		s.edge(topo.EdgeIn, pick(links), "netns:nowhere")
	}
	for range 1 + r.IntN(4) {
		s.edge(topo.EdgeBalances, pick(spaces), pick(services), topo.EdgeAttrs{Address: "10.0.0.9", Mark: 0x100})
		s.edge(topo.EdgeBackend, pick(services), pick(append(containers, "10.0.0.77")))
	}
	return s.graph()
}
