package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nscope/nscope/topo"
)

// scene builds a graph by hand, in the words of what it shows.
type scene struct {
	g    topo.Graph
	ino  uint64
	next map[string]int // namespace → last ifindex
}

func newScene(hosts ...string) *scene {
	s := &scene{ino: 4026532000, next: map[string]int{}}
	s.g.Schema = topo.Schema
	for i, h := range hosts {
		s.g.Hosts = append(s.g.Hosts, topo.GraphHost{Name: h, Boot: fmt.Sprintf("%08x", i+1), Kernel: "6.1.0-28-amd64", Taken: "2026-01-02T03:04:05Z"})
	}
	return s
}

func (s *scene) node(kind topo.Kind, id, name, host string, a topo.NodeAttrs) string {
	s.g.Nodes = append(s.g.Nodes, topo.Node{ID: id, Kind: kind, Name: name, Host: host, Attrs: a})
	return id
}

func (s *scene) edge(kind topo.EdgeKind, from, to string, a ...topo.EdgeAttrs) {
	e := topo.Edge{Kind: kind, From: from, To: to}
	if len(a) > 0 {
		e.Attrs = a[0]
	}
	s.g.Edges = append(s.g.Edges, e)
}

// netns adds a namespace with its lo.
func (s *scene) netns(host, role, name string) string {
	s.ino++
	id := fmt.Sprintf("netns:%s:%d", "00000001", s.ino)
	s.node(topo.KindNetns, id, name, host, topo.NodeAttrs{Role: role, Inode: s.ino})
	s.link(id, "lo", "loopback", "127.0.0.1/8")
	return id
}

func (s *scene) at(id string) *topo.Node {
	i := slices.IndexFunc(s.g.Nodes, func(n topo.Node) bool { return n.ID == id })
	return &s.g.Nodes[i]
}

func (s *scene) link(ns, name, typ string, addrs ...string) string {
	s.next[ns]++
	n := s.next[ns]
	id := "link:" + strings.TrimPrefix(ns, "netns:") + fmt.Sprintf("/%d", n)
	s.node(topo.KindLink, id, name, s.at(ns).Host, topo.NodeAttrs{Type: typ, Ifindex: n, MTU: 1500, State: "up",
		MAC: fmt.Sprintf("02:42:ac:11:%02x:%02x", n>>8, n&255), Addrs: addrs, Netns: ns})
	s.edge(topo.EdgeIn, id, ns)
	return id
}

// veth joins a port of a bridge ("" for none) to a new link in another namespace.
func (s *scene) veth(outer, port, bridge, inner, name string, addrs ...string) string {
	a := s.link(outer, port, "veth")
	b := s.link(inner, name, "veth", addrs...)
	s.edge(topo.EdgeVeth, a, b)
	if bridge != "" {
		s.edge(topo.EdgePort, a, bridge)
	}
	return b
}

func (s *scene) container(ns, engine, name string, a topo.NodeAttrs) string {
	a.Engine = engine
	if a.Image == "" {
		a.Image = "bb:1"
	}
	if a.State == "" {
		a.State = "running"
	}
	host := ""
	if ns != "" {
		host = s.at(ns).Host
	}
	id := s.node(topo.KindContainer, fmt.Sprintf("container:%s:%s:%s", engine, host, name), name, host, a)
	if ns != "" {
		s.edge(topo.EdgeRunsIn, id, ns)
	}
	return id
}

func (s *scene) network(host, name, driver, carrier string, a topo.NodeAttrs) string {
	a.Driver, a.Engine = driver, "docker"
	id := "network:docker:" + name
	if host != "" {
		id += "@" + host
	}
	if !slices.ContainsFunc(s.g.Nodes, func(n topo.Node) bool { return n.ID == id }) {
		s.node(topo.KindNetwork, id, name, host, a)
	}
	if carrier != "" {
		s.edge(topo.EdgeCarries, carrier, id)
	}
	return id
}

// graph sorts and returns it.
func (s *scene) graph() *topo.Graph {
	slices.SortStableFunc(s.g.Nodes, func(a, b topo.Node) int { return strings.Compare(a.ID, b.ID) })
	slices.SortStableFunc(s.g.Edges, func(a, b topo.Edge) int {
		return strings.Compare(string(a.Kind)+"\x00"+a.From+"\x00"+a.To, string(b.Kind)+"\x00"+b.From+"\x00"+b.To)
	})
	return &s.g
}

// modes is one engine with a container in every mode.
func modes() *topo.Graph {
	s := newScene("web1")
	host := s.netns("web1", topo.RoleHost, "host")
	nic := s.link(host, "eth0", "device", "10.99.0.1/24", "fe80::1/64")
	docker0 := s.link(host, "docker0", "bridge", "172.17.0.1/16")
	un := s.link(host, "br-8dd1a97e206d", "bridge", "172.19.0.1/16", "fd00:19::1/64")
	inner := s.link(host, "br-692ff350c7df", "bridge", "172.21.0.1/16")
	s.at(inner).Attrs.State = "down"
	s.network("web1", "bridge", "bridge", docker0, topo.NodeAttrs{})
	s.network("web1", "un", "bridge", un, topo.NodeAttrs{})
	s.network("web1", "inner", "bridge", inner, topo.NodeAttrs{Internal: true})
	s.network("web1", "lan", "macvlan", nic, topo.NodeAttrs{})
	s.network("web1", "host", "host", "", topo.NodeAttrs{})
	s.network("web1", "none", "null", "", topo.NodeAttrs{})
	s.network("web1", "spare", "overlay", "", topo.NodeAttrs{})
	box := func(port, bridge, name, addr string, a topo.NodeAttrs) string {
		ns := s.netns("web1", topo.RoleContainer, name)
		s.veth(host, port, bridge, ns, "eth0", addr)
		s.container(ns, "docker", name, a)
		return ns
	}
	c2 := box("veth1cbe74b", docker0, "c2", "172.17.0.3/16", topo.NodeAttrs{Ports: []string{"0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp", "0.0.0.0:5353->53/udp"}})
	s.container(c2, "docker", "cc", topo.NodeAttrs{Mode: "container"})
	box("vethc6af457", docker0, "c1", "172.17.0.2/16", topo.NodeAttrs{})
	box("veth582043b", docker0, "l1", "172.17.0.4/16", topo.NodeAttrs{State: "paused"})
	box("vethaa41434", un, "u1", "172.19.0.2/16", topo.NodeAttrs{})
	m1 := s.netns("web1", topo.RoleContainer, "m1")
	s.container(m1, "docker", "m1", topo.NodeAttrs{Mode: "macvlan"})
	mv := s.link(m1, "eth0", "macvlan", "10.99.0.128/24")
	s.at(mv).Attrs.Mode = "bridge"
	s.edge(topo.EdgeParent, mv, nic)
	trunk := s.link(host, "eth0.100", "vlan")
	s.at(trunk).Attrs.Vlan = 100
	s.edge(topo.EdgeParent, trunk, nic)
	i1 := s.netns("web1", topo.RoleContainer, "i1")
	s.container(i1, "docker", "i1", topo.NodeAttrs{Mode: "ipvlan"})
	iv := s.link(i1, "eth0", "ipvlan", "10.100.0.5/24")
	s.edge(topo.EdgeParent, iv, trunk)
	s.container(host, "docker", "h1", topo.NodeAttrs{Mode: "host"})
	n1 := s.netns("web1", topo.RoleContainer, "n1")
	s.container(n1, "docker", "n1", topo.NodeAttrs{Mode: "none"})
	// A VLAN in a container, over a link that is drawn as a wire's end.
	vl := s.link(c2, "eth0.7", "vlan", "10.7.0.1/24")
	s.at(vl).Attrs.Vlan = 7
	s.edge(topo.EdgeParent, vl, "link:"+strings.TrimPrefix(c2, "netns:")+"/2")
	blue := s.netns("web1", topo.RoleNamed, "blue")
	redNS := s.netns("web1", topo.RoleNamed, "red")
	s.veth(blue, "eth0", "", redNS, "eth0", "10.5.0.2/24")
	s.container("", "docker", "old", topo.NodeAttrs{State: "exited"})
	s.at("container:docker::old").Host = "web1"
	pod := s.netns("web1", topo.RoleContainer, "cni-1234")
	cni := s.link(host, "cni0", "bridge", "10.244.1.1/24")
	s.veth(host, "vethf00d", cni, pod, "eth0", "10.244.1.7/24")
	s.container(pod, "containerd", "kube-system/coredns-x/coredns", topo.NodeAttrs{Pod: "kube-system/coredns-x"})
	s.container(pod, "containerd", "kube-system/coredns-x/POD", topo.NodeAttrs{Pod: "kube-system/coredns-x"})
	return s.graph()
}

// swarmNode adds one node of the swarm of two. With outer it is a nested engine's node on a host of that name, and its
// home's eth0 a port of a switch there.
func swarmNode(s *scene, name string, id int, outer, outerNS, outerBridge string) (vxlans []string) {
	host, role := name, topo.RoleHost
	if outer != "" {
		host, role = outer+"/"+name, topo.RoleNode
	}
	addr := fmt.Sprintf("10.99.0.%d", id)
	home := s.netns(host, role, name)
	if outer != "" {
		s.veth(outerNS, fmt.Sprintf("u%d", id), outerBridge, home, "eth0", addr+"/24")
		s.container(home, "podman", "machine-"+name, topo.NodeAttrs{})
		s.g.Nodes[len(s.g.Nodes)-1].Host = outer
	} else {
		nic := s.link(home, "eth0", "device", addr+"/24")
		s.at(nic).Attrs.MAC = "ce:91:e3:30:16:e2"
	}
	docker0 := s.link(home, "docker0", "bridge", "172.17.0.1/16")
	s.at(docker0).Attrs.State = "down"
	gw := s.link(home, "docker_gwbridge", "bridge", "172.18.0.1/16")
	s.network(host, "bridge", "bridge", docker0, topo.NodeAttrs{})
	s.network(host, "docker_gwbridge", "bridge", gw, topo.NodeAttrs{})
	overlay := func(file, net string, vni uint32, third int, enc bool) (ns, br string) {
		ns = s.netns(host, topo.RoleOverlay, file)
		s.at(ns).Attrs.Network = net
		br = s.link(ns, "br0", "bridge", fmt.Sprintf("10.0.%d.1/24", third))
		vx := s.link(ns, "vxlan0", "vxlan")
		s.at(vx).Attrs.VNI, s.at(vx).Attrs.Port = vni, 4789
		s.edge(topo.EdgePort, vx, br)
		s.edge(topo.EdgeUnderlay, vx, home)
		vxlans = append(vxlans, vx)
		s.network("", net, "overlay", ns, topo.NodeAttrs{VNI: vni, VNIs: []uint32{vni}, Subnets: []string{fmt.Sprintf("10.0.%d.0/24", third)}, Scope: "swarm", Encrypted: enc})
		return ns, br
	}
	ing, ingBr := overlay("1-ddijjs6f2q", "ingress", 4096, 0, false)
	be, beBr := overlay("1-xa77g0m8qv", "backend", 4097, 1, false)
	sec, secBr := overlay("1-gz7t7pfi85", "secure", 4098, 2, true)
	port, gws := map[string]int{}, 1
	join := func(ns, sw, br, dev, addr string) {
		s.veth(sw, fmt.Sprintf("veth%d", port[sw]), br, ns, dev, addr)
		port[sw]++
	}
	out := func(ns, dev string) {
		gws++
		s.veth(home, fmt.Sprintf("veth%07x", 0x3e14e50+gws*7919*id), gw, ns, dev, fmt.Sprintf("172.18.0.%d/16", gws))
	}
	sbox := s.netns(host, topo.RoleIngress, "ingress_sbox")
	s.at(sbox).Attrs.Network = "ingress"
	join(sbox, ing, ingBr, "eth0", fmt.Sprintf("10.0.0.%d/24", id+1))
	out(sbox, "eth1")
	s.edge(topo.EdgeBalances, sbox, "service:web", topo.EdgeAttrs{Address: "10.0.0.4", Mark: 0x101, Network: "ingress"})
	for _, lb := range []struct{ file, net, sw, br, addr, svc, vip string }{
		{"lb_xa77g0m8q", "backend", be, beBr, "10.0.1.%d/24", "web", "10.0.1.2"},
		{"lb_gz7t7pfi8", "secure", sec, secBr, "10.0.2.%d/24", "vault", "10.0.2.2"},
	} {
		ns := s.netns(host, topo.RoleLoadBalancer, lb.file)
		s.at(ns).Attrs.Network = lb.net
		join(ns, lb.sw, lb.br, "eth0", fmt.Sprintf(lb.addr, 10+id))
		i := slices.IndexFunc(s.g.Nodes, func(n topo.Node) bool { return n.Attrs.Netns == ns && n.Name == "eth0" })
		s.g.Nodes[i].Attrs.Addrs = append(s.g.Nodes[i].Attrs.Addrs, lb.vip+"/32")
		s.edge(topo.EdgeBalances, ns, "service:"+lb.svc, topo.EdgeAttrs{Address: lb.vip, Mark: 0x100, Network: lb.net})
	}
	member := func(name, svc string, sw, br string, addr string, ingress string) {
		ns := s.netns(host, topo.RoleContainer, name)
		c := s.container(ns, "docker", name, topo.NodeAttrs{Service: svc})
		join(ns, sw, br, "eth0", addr)
		if ingress != "" {
			join(ns, ing, ingBr, "eth1", ingress)
		}
		out(ns, "eth2")
		if svc != "" {
			s.edge(topo.EdgeBackend, "service:"+svc, c, topo.EdgeAttrs{Address: bareAddr(addr), Weight: 1})
		}
	}
	if id == 1 {
		member("web.2.s2sqhzr4du4qnfyi7qbimai4k", "web", be, beBr, "10.0.1.4/24", "10.0.0.6/24")
		member("api.1.orwi9nuvn25ygbsu9359tum9r", "api", be, beBr, "10.0.1.8/24", "")
		member("cache", "", be, beBr, "10.0.1.9/24", "")
		member("vault.2.5wg514bd37jn3zieo807s0snl", "vault", sec, secBr, "10.0.2.4/24", "")
	} else {
		member("web.1.fewvfr1aqohaq1v2m2vkh0fxo", "web", be, beBr, "10.0.1.5/24", "10.0.0.7/24")
		member("web.3.tne9rtydv85ls2cj4zx6apbhc", "web", be, beBr, "10.0.1.6/24", "10.0.0.8/24")
		member("vault.1.qywqto0jyun2jx2x7b2aznwys", "vault", sec, secBr, "10.0.2.3/24", "")
		app := s.link(home, "br-6f8b5ad4a0c1", "bridge", "172.19.0.1/16")
		s.network(host, "appnet", "bridge", app, topo.NodeAttrs{})
		db := s.netns(host, topo.RoleContainer, "db")
		s.veth(home, "veth51a777b", app, db, "eth0", "172.19.0.2/16")
		s.container(db, "docker", "db", topo.NodeAttrs{Ports: []string{"0.0.0.0:5432->5432/tcp"}})
	}
	return vxlans
}

func swarmServices(s *scene) {
	s.node(topo.KindService, "service:web", "web", "", topo.NodeAttrs{VIPs: []string{"10.0.1.2/24", "10.0.0.4/24"}, Ports: []string{"8000->80/tcp"}, Replicas: 3, EndpointMode: "vip"})
	s.node(topo.KindService, "service:api", "api", "", topo.NodeAttrs{EndpointMode: "dnsrr", Replicas: 2})
	s.node(topo.KindService, "service:vault", "vault", "", topo.NodeAttrs{VIPs: []string{"10.0.2.2/24"}, Replicas: 2, EndpointMode: "vip"})
}

// swarm is two nodes, each from its own snapshot, whose tunnels meet.
func swarm() *topo.Graph {
	s := newScene("node1", "node2")
	a := swarmNode(s, "node1", 1, "", "", "")
	b := swarmNode(s, "node2", 2, "", "", "")
	for i := range a {
		s.edge(topo.EdgeTunnel, a[i], b[i], topo.EdgeAttrs{Address: "10.99.0.2", VNI: uint32(4096 + i), MACs: []string{"02:42:0a:00:01:05", "02:42:0a:00:01:06"}})
		s.edge(topo.EdgeTunnel, b[i], a[i], topo.EdgeAttrs{Address: "10.99.0.1", VNI: uint32(4096 + i), MACs: []string{"02:42:0a:00:01:04"}})
	}
	swarmServices(s)
	return s.graph()
}

// oneOfThree is one node of a swarm whose others were not inspected.
func oneOfThree() *topo.Graph {
	s := newScene("node1")
	v := swarmNode(s, "node1", 1, "", "", "")
	for i := 2; i <= 3; i++ {
		addr := fmt.Sprintf("10.99.0.%d", i)
		s.node(topo.KindVTEP, "vtep:"+addr, addr, "", topo.NodeAttrs{Address: addr, Node: fmt.Sprintf("node%d", i)})
		for _, vx := range v {
			s.edge(topo.EdgeTunnel, vx, "vtep:"+addr, topo.EdgeAttrs{Address: addr, MACs: []string{"02:42:0a:00:01:05"}})
		}
	}
	swarmServices(s)
	return s.graph()
}

// nested is the same swarm seen from outside: two engines in namespaces of one machine.
func nested() *topo.Graph {
	s := newScene("lab")
	host := s.netns("lab", topo.RoleHost, "host")
	s.link(host, "ens3", "device", "192.168.1.20/24")
	sw := s.netns("lab", topo.RoleNamed, "sw")
	br := s.link(sw, "br0", "bridge")
	a := swarmNode(s, "node1", 1, "lab", sw, br)
	b := swarmNode(s, "node2", 2, "lab", sw, br)
	for i := range a {
		s.edge(topo.EdgeTunnel, a[i], b[i], topo.EdgeAttrs{Address: "10.99.0.2"})
		s.edge(topo.EdgeTunnel, b[i], a[i], topo.EdgeAttrs{Address: "10.99.0.1"})
	}
	swarmServices(s)
	return s.graph()
}

// many is a host with n containers on a few networks.
func many(n int) *topo.Graph {
	s := newScene("big")
	host := s.netns("big", topo.RoleHost, "host")
	s.link(host, "eth0", "device", "10.0.0.5/24")
	nets := []string{"bridge", "shop_default", "shop_backend", "monitoring"}
	var brs []string
	for i, name := range nets {
		br := s.link(host, []string{"docker0", "br-1f00ba4", "br-2ca5cade", "br-3deadbeef"}[i], "bridge", fmt.Sprintf("172.%d.0.1/16", 17+i))
		s.network("big", name, "bridge", br, topo.NodeAttrs{})
		brs = append(brs, br)
	}
	for i := range n {
		name := fmt.Sprintf("shop-worker-%d", i+1)
		ns := s.netns("big", topo.RoleContainer, name)
		s.container(ns, "docker", name, topo.NodeAttrs{})
		k := i % 10 % len(nets)
		s.veth(host, fmt.Sprintf("veth%07x", i*7919+4096), brs[k], ns, "eth0", fmt.Sprintf("172.%d.%d.%d/16", 17+k, i/250, i%250+2))
		if i%5 == 0 {
			s.veth(host, fmt.Sprintf("veth%07x", i*104729+65536), brs[3], ns, "eth1", fmt.Sprintf("172.20.%d.%d/16", i/250, i%250+2))
		}
	}
	return s.graph()
}

// small is a laptop: three containers.
func small() *topo.Graph {
	s := newScene("laptop")
	host := s.netns("laptop", topo.RoleHost, "host")
	s.link(host, "wlan0", "device", "192.168.1.20/24")
	docker0 := s.link(host, "docker0", "bridge", "172.17.0.1/16")
	app := s.link(host, "br-8dd1a97e206d", "bridge", "172.19.0.1/16")
	s.network("laptop", "bridge", "bridge", docker0, topo.NodeAttrs{})
	s.network("laptop", "app_default", "bridge", app, topo.NodeAttrs{})
	for i, c := range []struct{ name, image, port string }{{"app-web-1", "nginx:1.27", "0.0.0.0:8080->80/tcp"}, {"app-db-1", "postgres:17", ""}, {"scratchpad", "debian:12", ""}} {
		ns := s.netns("laptop", topo.RoleContainer, c.name)
		a := topo.NodeAttrs{Image: c.image}
		if c.port != "" {
			a.Ports = []string{c.port}
		}
		s.container(ns, "docker", c.name, a)
		br, net := app, 19
		if i == 2 {
			br, net = docker0, 17
		}
		s.veth(host, fmt.Sprintf("veth%07x", 0x1a2b3c4+i*7919), br, ns, "eth0", fmt.Sprintf("172.%d.0.%d/16", net, i+2))
	}
	return s.graph()
}
