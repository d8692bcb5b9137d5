package topo

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
)

// The labs are modelled after recordings of real systems: Docker 20.10 in every mode, and a swarm of two nodes.

const bootA, bootB = "a1a1a1a1-0000-4000-8000-000000000001", "b2b2b2b2-0000-4000-8000-000000000002"

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func ip(s string) netip.Addr    { return netip.MustParseAddr(s) }

// hexID makes a container or network id that starts with a word of hex digits.
func hexID(start string) string {
	for len(start) < 64 {
		start += "0123456789abcdef"[len(start)%16 : len(start)%16+1]
	}
	return start
}

func bridgeNet(eng, id, name, br, subnet string) snapshot.Network {
	return snapshot.Network{Engine: eng, ID: hexID(id), Name: name, Driver: "bridge", Scope: "local", Bridge: br, Source: "api",
		Subnets: []snapshot.Subnet{{Subnet: pfx(subnet), Gateway: pfx(subnet).Addr().Next()}}}
}

func ctr(eng, id, name, mode string, ns *simNS, pid int, eps ...snapshot.Endpoint) snapshot.Workload {
	w := snapshot.Workload{Engine: eng, ID: hexID(id), Name: name, Image: "bb:1", State: "running", PID: pid, Mode: mode, Source: "api", Endpoints: eps}
	if ns != nil {
		w.Namespace = ns.id
	}
	return w
}

func ep(n snapshot.Network, addr, mac string) snapshot.Endpoint {
	e := snapshot.Endpoint{Network: n.ID, NetworkName: n.Name, MAC: mac}
	if addr != "" {
		e.Addr = pfx(addr)
	}
	return e
}

// modes is one host with a container in every mode.
type modes struct {
	k    *sim
	host *simNS
	at   map[string]*simNS
	s    *snapshot.Snapshot
}

func modesLab() *modes {
	k := newSim(bootA)
	m := &modes{k: k, host: k.ns("host"), at: map[string]*simNS{}}
	h := m.host.proc(1, "systemd").proc(500, "dockerd")
	h.add("eth0", "")
	h.addr("eth0", "192.168.1.10/24")
	h.ns.Routes = []snapshot.Route{{Family: "inet", Table: 254, Type: "unicast", Dst: pfx("0.0.0.0/0"), OIF: h.get("eth0").l.Index}}
	d0 := h.bridge("docker0", "172.17.0.1/16")
	un := h.bridge("br-8dd1a97e206d", "172.19.0.1/16")
	in := h.bridge("br-692ff350c7df")
	cni := h.bridge("cni0", "10.244.31.1/24")
	ns := func(name string, pid int) *simNS {
		n := k.ns(name).proc(pid, "httpd")
		m.at[name] = n
		return n
	}
	plug(d0, "vethc6af457", ns("c1", 618), "eth0", "172.17.0.2/16", "02:42:ac:11:00:02")
	c2 := ns("c2", 715)
	plug(d0, "veth1cbe74b", c2, "eth0", "172.17.0.3/16", "02:42:ac:11:00:03")
	c2.proc(1096, "sleep")
	plug(un, "vethaa41434", ns("u1", 846), "eth0", "172.19.0.2/16", "02:42:ac:13:00:02")
	plug(in, "veth5555555", ns("i1", 847), "eth0", "172.21.0.2/16", "")
	ns("n1", 1039)
	mv := ns("m1", 1197).macvlan("eth0", h.get("eth0"), "bridge")
	mv.ns.addr("eth0", "192.168.1.128/24")
	sub := h.vlan("eth0.100", h.get("eth0"), 100)
	m.at["v1"] = ns("v1", 1198)
	m.at["v1"].macvlan("eth0", sub, "bridge").ns.addr("eth0", "10.100.0.5/24")
	ipv := ns("p1", 1199).add("eth0", "ipvlan")
	ipv.on, ipv.l.Ipvlan = h.get("eth0"), &snapshot.Ipvlan{Mode: "l3"}
	pod := ns("pod", 2000).mount("/run/netns/cni-0a0b0c0d-1111-2222-3333-444455556666", 9, "")
	plug(cni, "veth0cni0001", pod, "eth0", "10.244.31.9/24", "be:74:32:ac:90:4f")
	bare := ns("bare", 3000)
	plug(h.bridge("br-hand"), "hand0", bare, "eth0", "10.9.9.2/24", "")
	k.ns("named").mount("/run/netns/blue", 9, "")
	k.ns("leaked").hold(snapshot.Holder{Kind: snapshot.HolderFD, PID: 500, FD: 12, Comm: "dockerd"})
	h.listen("tcp", 8080, "docker-proxy", 700)
	h.listen("udp", 5353, "docker-proxy", 701)
	h.listen("tcp", 22, "sshd", 20)

	s := k.snapshot("vm", h)
	br := bridgeNet("docker", "ae6be3a47546", "bridge", "docker0", "172.17.0.0/16")
	user := bridgeNet("docker", "8dd1a97e206d", "un", "br-8dd1a97e206d", "172.19.0.0/16")
	inner := bridgeNet("docker", "692ff350c7df", "inner", "br-692ff350c7df", "172.21.0.0/16")
	inner.Internal = true
	lan := snapshot.Network{Engine: "docker", ID: hexID("76ad33a2d4e5"), Name: "lan", Driver: "macvlan", Scope: "local", Parent: "eth0", Source: "api",
		Subnets: []snapshot.Subnet{{Subnet: pfx("192.168.1.0/24")}}}
	vl := snapshot.Network{Engine: "docker", ID: hexID("76ad33a2d4e6"), Name: "vl100", Driver: "macvlan", Scope: "local", Parent: "eth0.100", Source: "api"}
	l3 := snapshot.Network{Engine: "docker", ID: hexID("76ad33a2d4e7"), Name: "l3net", Driver: "ipvlan", Scope: "local", Parent: "eth0", Source: "api"}
	hostNet := snapshot.Network{Engine: "docker", ID: hexID("b8e6b17ff1ad"), Name: "host", Driver: "host", Scope: "local", Source: "api"}
	none := snapshot.Network{Engine: "docker", ID: hexID("bdef03f21866"), Name: "none", Driver: "null", Scope: "local", Source: "api"}
	cniNet := snapshot.Network{Engine: "containerd", ID: "cbr0", Name: "cbr0", Driver: "bridge", Scope: "local", Bridge: "cni0", Source: "state"}
	s.Networks = []snapshot.Network{br, user, inner, lan, vl, l3, hostNet, none, cniNet}
	s.Host.Engines = []snapshot.Engine{
		{ID: "docker", Kind: "docker", Home: h.id, PID: 500, Reachable: true, Source: "api"},
		{ID: "containerd", Kind: "containerd", Home: h.id, PID: 400, Source: "state"},
		{ID: "cgroup", Kind: "cgroup", Home: h.id, Source: "cgroup"},
	}
	c2w := ctr("docker", "db9074afd5eb", "c2", "default", c2, 715, ep(br, "172.17.0.3/16", ""))
	c2w.Ports = []snapshot.Port{{Proto: "tcp", HostAddr: ip("0.0.0.0"), HostPort: 8080, Port: 80}, {Proto: "udp", HostAddr: ip("0.0.0.0"), HostPort: 5353, Port: 53},
		{Proto: "tcp", HostAddr: ip("127.0.0.1"), HostPort: 9000, Port: 90}, {Proto: "tcp", Port: 443}}
	podw := ctr("containerd", "d0d0d0d0d0d0", "default/nginx", "", pod, 2000)
	podw.Source, podw.Pod = "state", &snapshot.Pod{Name: "nginx", Namespace: "default", Sandbox: true}
	app := ctr("containerd", "d1d1d1d1d1d1", "default/nginx/app", "", pod, 2001)
	app.Source, app.Pod = "state", &snapshot.Pod{Name: "nginx", Namespace: "default", SandboxID: podw.ID}
	exited := ctr("docker", "eeee00000000", "old", "default", nil, 0, ep(br, "", ""))
	exited.State = "exited"
	cg := ctr("cgroup", "ab12ab12ab12", "ab12ab12ab12", "", m.at["bare"], 3000)
	cg.Source = "cgroup"
	s.Workloads = []snapshot.Workload{
		ctr("docker", "116bd6a5ebbf", "c1", "default", m.at["c1"], 618, ep(br, "172.17.0.2/16", "02:42:ac:11:00:02")), c2w,
		ctr("docker", "5b49ffeaee15", "u1", "un", m.at["u1"], 846, ep(user, "172.19.0.2/16", "")),
		ctr("docker", "5b49ffeaee16", "i1", "inner", m.at["i1"], 847, ep(inner, "172.21.0.2/16", "")),
		ctr("docker", "c002652ea214", "n1", "none", m.at["n1"], 1039, ep(none, "", "")),
		ctr("docker", "9967a135ddc3", "h1", "host", h, 995, ep(hostNet, "", "")),
		ctr("docker", "e9b7fca67104", "cc", "container:"+c2w.ID, c2, 1096),
		ctr("docker", "e6292be2c9d9", "m1", "lan", m.at["m1"], 1197, ep(lan, "192.168.1.128/24", "")),
		ctr("docker", "e6292be2c9da", "v1", "vl100", m.at["v1"], 1198, ep(vl, "10.100.0.5/24", "")),
		ctr("docker", "e6292be2c9db", "p1", "l3net", m.at["p1"], 1199, ep(l3, "192.168.1.129/24", "")),
		podw, app, exited, cg,
	}
	m.s = s
	return m
}

// swarm is a lab of two nodes, each a namespace with a Docker engine of its own, on one switch. With two boots the
// nodes are two machines.
type swarm struct {
	k     [2]*sim
	outer *simNS // the machine's own namespace, where the nodes are nested
	sw    *simNS
	node  [2]*simNode
}

type simNode struct {
	home, backend, ingress, lb, sbox *simNS
	ctr                              map[string]*simNS
	pid                              int
	mnt                              uint64
}

var (
	netBackend = snapshot.Network{ID: "ddijjs6f2qfg68fdjr4wq2zqa", Name: "backend", Driver: "overlay", Scope: "swarm", VNIs: []uint32{4097}, Source: "api",
		Subnets: []snapshot.Subnet{{Subnet: pfx("10.0.1.0/24"), Gateway: ip("10.0.1.1")}}}
	netIngress = snapshot.Network{ID: "xa77g0m8qv1qbpuaw5kasofcc", Name: "ingress", Driver: "overlay", Scope: "swarm", VNIs: []uint32{4096}, Ingress: true, Source: "api",
		Subnets: []snapshot.Subnet{{Subnet: pfx("10.0.0.0/24"), Gateway: ip("10.0.0.1")}}}
)

const (
	swarmNode1, swarmNode2 = "rjfenaz0918rb7tgeb1jsf2na", "nsl83ufqwkk9n2bbp6pvo1ecq"
	webService             = "w3bw3bw3bw3bw3bw3bw3bw3bw"
)

func swarmLab(boots ...string) *swarm {
	s := &swarm{}
	for i := range s.k {
		if i == 0 || len(boots) > 1 {
			s.k[i] = newSim(boots[i])
		} else {
			s.k[i] = s.k[0]
		}
	}
	var under *simLink
	if len(boots) == 1 {
		s.outer = s.k[0].ns("machine").proc(1, "init")
		s.outer.add("eth0", "")
		s.sw = s.k[0].ns("sw").mount("/run/netns/sw", 9, "")
		under = s.sw.bridge("br0")
	}
	for i := range s.node {
		k := s.k[i]
		n := &simNode{home: k.ns(fmt.Sprintf("node%d", i+1)), pid: 1000 * (i + 1), mnt: uint64(100 + i), ctr: map[string]*simNS{}}
		s.node[i] = n
		underIP, root := fmt.Sprintf("10.99.0.%d", i+1), fmt.Sprintf("/proc/%d/root", n.pid)
		peer := fmt.Sprintf("10.99.0.%d", 2-i)
		if under != nil {
			plug(under, fmt.Sprintf("p%d", i+1), n.home, "eth0", underIP+"/24", "")
			n.home.mount(fmt.Sprintf("/run/netns/n%d", i+1), 9, "")
		} else {
			n.home.add("eth0", "")
			n.home.addr("eth0", underIP+"/24")
			root = ""
		}
		n.home.proc(n.pid, "dockerd")
		n.home.bridge("docker0", "172.17.0.1/16")
		gw := n.home.bridge("docker_gwbridge", "172.18.0.1/16")
		overlay := func(file, gwAddr string, vni uint32) *simNS {
			o := k.ns(file).mount("/run/docker/netns/"+file, n.mnt, root)
			br := o.bridge("br0", gwAddr)
			o.vxlan("vxlan0", n.home, vni, 4789).port(br)
			return o
		}
		n.ingress = overlay("1-xa77g0m8qv", "10.0.0.1/24", 4096)
		n.sbox = k.ns("sbox").mount("/run/docker/netns/ingress_sbox", n.mnt, root)
		plug(n.ingress.get("br0"), "veth0", n.sbox, "eth0", fmt.Sprintf("10.0.0.%d/24", 2+i), "")
		n.sbox.addr("eth0", "10.0.0.4/32")
		plug(gw, fmt.Sprintf("vethsb%d", i), n.sbox, "eth1", "172.18.0.2/16", "")
		n.backend = overlay("1-ddijjs6f2q", "10.0.1.1/24", 4097)
		n.lb = k.ns("lb").mount("/run/docker/netns/lb_ddijjs6f2", n.mnt, root)
		plug(n.backend.get("br0"), "veth0", n.lb, "eth0", fmt.Sprintf("10.0.1.%d/24", 6+i), fmt.Sprintf("02:42:0a:00:01:%02x", 6+i))
		n.lb.addr("eth0", "10.0.1.2/32")
		for j, name := range []string{"web", "aux"} {
			c := k.ns(name).proc(n.pid+10+j, "httpd").mount(fmt.Sprintf("/run/docker/netns/%012x", 0xb33c0000+i*16+j), n.mnt, root)
			n.ctr[name] = c
			plug(n.backend.get("br0"), fmt.Sprintf("veth%d", 1+j), c, "eth1", fmt.Sprintf("10.0.1.%d/24", 10+2*i+j), fmt.Sprintf("02:42:0a:00:01:%02x", 10+2*i+j))
			if name == "web" {
				plug(n.ingress.get("br0"), "veth1", c, "eth0", fmt.Sprintf("10.0.0.%d/24", 8+i), fmt.Sprintf("02:42:0a:00:00:%02x", 8+i))
			}
			plug(gw, fmt.Sprintf("vethgw%d%d", i, j), c, "eth2", fmt.Sprintf("172.18.0.%d/16", 3+j), "")
		}
		for j := range 2 {
			n.backend.get("vxlan0").fdb(fmt.Sprintf("02:42:0a:00:01:%02x", 10+2*(1-i)+j), peer)
		}
		n.backend.get("vxlan0").fdb(fmt.Sprintf("02:42:0a:00:01:%02x", 7-i), peer)
		n.ingress.get("vxlan0").fdb(fmt.Sprintf("02:42:0a:00:00:%02x", 9-i), peer)
		n.home.listen("tcp", 8000, "dockerd", n.pid)
	}
	return s
}

// say adds what a node's engine tells; id is the engine's as the snapshot has it. The first node is the manager.
func (s *swarm) say(snap *snapshot.Snapshot, i int, id, root string) {
	n := s.node[i]
	ids := []string{swarmNode1, swarmNode2}
	e := snapshot.Engine{ID: id, Kind: "docker", Name: fmt.Sprintf("node%d", i+1), Home: n.home.id, Root: root, PID: n.pid, Reachable: true, Source: "api",
		Swarm: &snapshot.Swarm{NodeID: ids[i], NodeAddr: fmt.Sprintf("10.99.0.%d", i+1), Manager: i == 0, State: "active"}}
	if i == 0 {
		e.Swarm.Nodes = []snapshot.SwarmNode{{ID: ids[0], Name: "node1", Addr: "10.99.0.1", Role: "manager", State: "ready"}, {ID: ids[1], Name: "node2", Addr: "10.99.0.2", Role: "worker", State: "ready"}}
	}
	snap.Host.Engines = append(snap.Host.Engines, e)
	backend, ingress := netBackend, netIngress
	backend.Engine, ingress.Engine = id, id
	gw := bridgeNet(id, fmt.Sprintf("e4ca2b3b718%d", i), "docker_gwbridge", "docker_gwbridge", "172.18.0.0/16")
	d0 := bridgeNet(id, fmt.Sprintf("ffbbc8a6a6f%d", i), "bridge", "docker0", "172.17.0.0/16")
	snap.Networks = append(snap.Networks, backend, ingress, gw, d0)
	tasks := []string{"fewvfr1aqohai3casiept29n9", "s2sqhzr4du4qnfyi7qbimai4k"}
	web := ctr(id, fmt.Sprintf("b2521206c70%d", i), fmt.Sprintf("web.%d.%s", i+1, tasks[i]), "default", n.ctr["web"], n.pid+10,
		ep(ingress, fmt.Sprintf("10.0.0.%d/24", 8+i), ""), ep(backend, fmt.Sprintf("10.0.1.%d/24", 10+2*i), ""))
	web.Service, web.Task = webService, tasks[i]
	web.Labels = map[string]string{labelServiceName: "web", labelServiceID: webService}
	web.SandboxKey = fmt.Sprintf("/var/run/docker/netns/%012x", 0xb33c0000+i*16)
	web.Endpoints[0].VIPs, web.Endpoints[1].VIPs = []netip.Addr{ip("10.0.0.4")}, []netip.Addr{ip("10.0.1.2")}
	aux := ctr(id, fmt.Sprintf("51877e788a9%d", i), []string{"cache", "db"}[i], "backend", n.ctr["aux"], n.pid+11, ep(backend, fmt.Sprintf("10.0.1.%d/24", 11+2*i), ""))
	snap.Workloads = append(snap.Workloads, web, aux)
	if i == 0 {
		svc := snapshot.Service{Engine: id, ID: webService, Name: "web", Mode: "replicated", Replicas: 2, EndpointMode: "vip", Source: "api", Networks: []string{netBackend.ID},
			VIPs:  []snapshot.VIP{{Network: netIngress.ID, Addr: pfx("10.0.0.4/24")}, {Network: netBackend.ID, Addr: pfx("10.0.1.2/24")}},
			Ports: []snapshot.Port{{Proto: "tcp", HostPort: 8000, Port: 80, Mode: "ingress"}}}
		for j := range 2 {
			svc.Tasks = append(svc.Tasks, snapshot.Task{ID: tasks[j], Name: fmt.Sprintf("web.%d", j+1), NodeID: ids[j], NodeName: fmt.Sprintf("node%d", j+1), State: "running",
				Workload: hexID(fmt.Sprintf("b2521206c70%d", j)), Addrs: []snapshot.TaskAddr{{Network: netBackend.ID, Addr: pfx(fmt.Sprintf("10.0.1.%d/24", 10+2*j))}}})
		}
		snap.Services = append(snap.Services, svc)
	}
}

// outside is the machine's view of both nodes.
func (s *swarm) outside() *snapshot.Snapshot {
	snap := s.k[0].snapshot("vm", s.outer)
	for i, n := range s.node {
		s.say(snap, i, fmt.Sprintf("docker@node%d", i+1), fmt.Sprintf("/proc/%d/root", n.pid))
	}
	return snap
}

// inside is one node's own view: it sees its own namespaces, and has an nsid for the switch.
func (s *swarm) inside(i int) *snapshot.Snapshot {
	n := s.node[i]
	all := []*simNS{n.home, n.backend, n.ingress, n.lb, n.sbox}
	for _, name := range slices.Sorted(maps.Keys(n.ctr)) {
		all = append(all, n.ctr[name])
	}
	snap := s.k[i].snapshot(fmt.Sprintf("node%d", i+1), n.home, all...)
	s.say(snap, i, "docker", "")
	for j := range snap.Host.Engines {
		snap.Host.Engines[j].PID = 7 // another pid namespace
	}
	for j := range snap.Workloads {
		snap.Workloads[j].PID = 20 + j
	}
	seen := map[snapshot.NSID]bool{}
	for _, o := range all {
		seen[o.id] = true
	}
	for j := range snap.Namespaces {
		ns := &snap.Namespaces[j]
		for h := range ns.Holders {
			ns.Holders[h].Root = ""
			if ns.Holders[h].Kind == snapshot.HolderProc {
				ns.Holders[h].PID = 20 + j
			}
		}
		ns.Holders = slices.DeleteFunc(ns.Holders, func(h snapshot.Holder) bool { return h.MountNS == 9 })
		for l := range ns.Links {
			if p := ns.Links[l].Peer; p != nil && !seen[p.Namespace] {
				p.Namespace = snapshot.MakeViaNSID(ns.ID, *p.NSID)
			}
		}
		ns.NSIDs = slices.DeleteFunc(ns.NSIDs, func(p snapshot.PeerNSID) bool { return !seen[p.Namespace] })
	}
	if s.sw != nil {
		via := snapshot.MakeViaNSID(n.home.id, *n.home.nsid(s.sw))
		snap.Namespaces = append(snap.Namespaces, snapshot.Namespace{ID: via, Holders: []snapshot.Holder{{Kind: snapshot.HolderLink, Via: n.home.id}}})
	}
	return snap
}
