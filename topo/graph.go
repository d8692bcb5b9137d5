package topo

import "github.com/nscope/nscope/inspect/snapshot"

// Schema is the version of the graph's JSON form.
const Schema = 1

// Graph is the topology of one or several hosts. Nodes and edges are sorted by id, and by kind, from and to.
type Graph struct {
	Schema int         `json:"schema"`
	Hosts  []GraphHost `json:"hosts"`
	Nodes  []Node      `json:"nodes"`
	Edges  []Edge      `json:"edges"`
	Gaps   []Gap       `json:"gaps"`

	// ix finds nodes, edges and raw data; Build makes it, a graph read from JSON makes its own without raw data.
	ix *index
}

// GraphHost is one of the hosts (one running kernel) that a graph was built from.
type GraphHost struct {
	Name   string `json:"name"`
	Boot   string `json:"boot"` // first 8 hex digits of the boot id
	Kernel string `json:"kernel"`
	Taken  string `json:"taken"` // RFC 3339
}

// Gap is a [snapshot.Gap] with the host it is of, or a relation that could not be proven.
type Gap struct {
	Host string `json:"host"`
	snapshot.Gap
}

// Kind is the kind of a node.
type Kind string

// The kinds of nodes.
const (
	KindNetns     Kind = "netns"
	KindLink      Kind = "link"
	KindContainer Kind = "container"
	KindNetwork   Kind = "network"
	KindService   Kind = "service"
	KindVTEP      Kind = "vtep"
)

// The roles of a namespace.
const (
	RoleHost         = "host"         // that of pid 1
	RoleNode         = "node"         // the home of an engine that is not the host's
	RoleContainer    = "container"    // a workload's
	RoleOverlay      = "overlay"      // Docker's 1-<network>
	RoleLoadBalancer = "loadbalancer" // Docker's lb_<network>
	RoleIngress      = "ingress"      // Docker's ingress_sbox
	RoleNamed        = "named"        // bind-mounted under a name, nobody's
	RoleOther        = "other"
)

// Node is one thing of the graph.
type Node struct {
	// ID is stable for the life of the thing: see docs/schema.md.
	ID   string `json:"id"`
	Kind Kind   `json:"kind"`
	Name string `json:"name"`
	// Host is the name of the host it is on, "host/node" for what a nested engine owns, empty for what spans hosts.
	Host  string    `json:"host"`
	Attrs NodeAttrs `json:"attrs"`
}

// NodeAttrs are the attributes of a node; which are set depends on its kind. Absent: does not apply or not known.
type NodeAttrs struct {
	// netns
	Role    string   `json:"role,omitempty"`
	Inode   uint64   `json:"inode,omitempty"`
	Cookie  uint64   `json:"cookie,omitempty"`
	Holders []string `json:"holders,omitempty"` // "proc 1234 nginx", "mount /run/netns/x", as people read them
	PIDs    []int    `json:"pids,omitempty"`    // processes in it, lowest first, at most 16
	Procs   int      `json:"procs,omitempty"`   // how many processes
	Paths   []string `json:"paths,omitempty"`   // mount points
	Network string   `json:"network,omitempty"` // network name, for overlay, loadbalancer and ingress

	// link
	Type    string   `json:"type,omitempty"` // the link's kind; "device" for a NIC, "loopback" for lo
	Ifindex int      `json:"ifindex,omitempty"`
	MAC     string   `json:"mac,omitempty"`
	MTU     int      `json:"mtu,omitempty"`
	State   string   `json:"state,omitempty"` // operstate of a link; state of a container
	Addrs   []string `json:"addrs,omitempty"` // with prefix length for a link, without for a container
	Netns   string   `json:"netns,omitempty"` // node id
	VNI     uint32   `json:"vni,omitempty"`   // also of a network
	Port    uint16   `json:"port,omitempty"`  // UDP port of a tunnel
	Local   string   `json:"local,omitempty"` // source address of a tunnel
	Mode    string   `json:"mode,omitempty"`  // of a macvlan, ipvlan, bond, tun; network mode of a container, or of a netns without one; replicated or global
	Vlan    uint16   `json:"vlan,omitempty"`
	Alias   string   `json:"alias,omitempty"`

	// container
	Engine      string   `json:"engine,omitempty"` // kind of engine; also of a network, service
	EngineID    string   `json:"engine_id,omitempty"`
	ContainerID string   `json:"container_id,omitempty"`
	Image       string   `json:"image,omitempty"`
	PID         int      `json:"pid,omitempty"`
	Networks    []string `json:"networks,omitempty"` // names
	Ports       []string `json:"ports,omitempty"`    // "0.0.0.0:8080->80/tcp"; for a service "8000->80/tcp"
	Pod         string   `json:"pod,omitempty"`
	Sandbox     string   `json:"sandbox,omitempty"` // Docker's sandbox key
	Source      string   `json:"source,omitempty"`  // api, state, cgroup
	Service     string   `json:"service,omitempty"` // name, for a task's container
	Task        string   `json:"task,omitempty"`

	// network
	NetworkID string   `json:"network_id,omitempty"`
	Driver    string   `json:"driver,omitempty"`
	Scope     string   `json:"scope,omitempty"`
	Subnets   []string `json:"subnets,omitempty"`
	Gateways  []string `json:"gateways,omitempty"`
	Internal  bool     `json:"internal,omitempty"`
	Encrypted bool     `json:"encrypted,omitempty"`
	VNIs      []uint32 `json:"vnis,omitempty"`

	// service
	ServiceID    string   `json:"service_id,omitempty"`
	VIPs         []string `json:"vips,omitempty"`
	EndpointMode string   `json:"endpoint_mode,omitempty"`
	// Mark is the firewall mark by which it is balanced, where it is one everywhere; Marks are all: each network, and each
	// node, has its own.
	Mark     uint32   `json:"mark,omitempty"`
	Marks    []uint32 `json:"marks,omitempty"`
	Replicas uint64   `json:"replicas,omitempty"`
	// Backends are the service's running tasks on hosts that were not inspected ("10.0.1.3 web.1 on node2"); those on
	// inspected ones have a backend edge.
	Backends []string `json:"backends,omitempty"`

	// vtep
	Address string `json:"address,omitempty"`
	Node    string `json:"node,omitempty"` // name of the node, where the swarm or flannel tells it
}

// EdgeKind is the kind of an edge.
type EdgeKind string

// The kinds of edges: see docs/schema.md for what each means and which way it points.
const (
	EdgeIn        EdgeKind = "in"
	EdgeRunsIn    EdgeKind = "runs-in"
	EdgeVeth      EdgeKind = "veth"
	EdgePort      EdgeKind = "port"
	EdgeParent    EdgeKind = "parent"
	EdgeUnderlay  EdgeKind = "underlay"
	EdgeTunnel    EdgeKind = "tunnel"
	EdgeCarries   EdgeKind = "carries"
	EdgeBalances  EdgeKind = "balances"
	EdgeBackend   EdgeKind = "backend"
	EdgePublishes EdgeKind = "publishes"
)

// SourceEngine marks an edge that only an engine claims.
const SourceEngine = "engine"

// Edge is one relation between two nodes.
type Edge struct {
	Kind  EdgeKind  `json:"kind"`
	From  string    `json:"from"`
	To    string    `json:"to"`
	Attrs EdgeAttrs `json:"attrs"`
}

// EdgeAttrs are the attributes of an edge; which are set depends on its kind.
type EdgeAttrs struct {
	// Source is "engine" where only the engine claims the relation, empty where the kernel proves it.
	Source string `json:"source,omitempty"`
	// VNI, Port and MACs of a tunnel; the MACs are those that the FDB sends there.
	VNI  uint32   `json:"vni,omitempty"`
	Port uint16   `json:"port,omitempty"`
	MACs []string `json:"macs,omitempty"`
	// Address is a tunnel's remote VTEP, a balanced VIP, a backend's address, the address that a published port is
	// translated to.
	Address string `json:"address,omitempty"`
	// Published ports.
	Proto      string `json:"proto,omitempty"`
	HostAddr   string `json:"host_addr,omitempty"`
	HostPort   uint16 `json:"host_port,omitempty"`
	TargetPort uint16 `json:"target_port,omitempty"`
	// By is dnat, ipvs, proxy, mesh or host; empty where nothing implements the claim. Of balances: dnat or ipvs where no
	// engine tells of the service.
	By string `json:"by,omitempty"`
	// HostPortTo is the last port of a range that is translated alike, where a rule and no engine says so.
	HostPortTo uint16 `json:"host_port_to,omitempty"`
	// From are the senders whose packets rules translate: "outside", "from 192.0.2.0/24" or "from 192.0.2.7-192.0.2.9"
	// where rules ask for the client, "through eth1" where for the link, "host" (a process there, to one of its addresses),
	// "loopback" (the same, to 127.0.0.1 or ::1). Absent where no rules were read.
	From []string `json:"from,omitempty"`
	// Rule is the rule that translates, as its table, chain and place in the chain.
	Rule string `json:"rule,omitempty"`
	// ProxyPID is the process that listens on the port in place of the container.
	ProxyPID int `json:"proxy_pid,omitempty"`
	// Note says what is odd: of a claim, what the kernel does instead; of a rule, that the container's engine claims no
	// such port; of a backend, that the balancer has none.
	Note string `json:"note,omitempty"`
	// Load balancing.
	Weight int `json:"weight,omitempty"`
	// Share is the part of new connections that rules send there by lot, between 0 and 1. Absent where it is all of them,
	// and where it is not known.
	Share float64 `json:"share,omitempty"`
	Mark  uint32  `json:"mark,omitempty"`
	// Scheduler is that of the balancer's entry: rr, wrr, lc …
	Scheduler string `json:"scheduler,omitempty"`
	// Network is the name of the one on which the relation is, for balances and backend.
	Network string `json:"network,omitempty"`
	// State is a bridge port's STP state.
	State string `json:"state,omitempty"`
}
