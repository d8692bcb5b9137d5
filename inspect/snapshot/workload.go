package snapshot

import "net/netip"

// Engine is one container engine: a daemon, or the state that one left on disk.
type Engine struct {
	// ID is unique in the snapshot: the kind, and where there are several of it "<kind>@<node>" or "<kind>#<n>".
	ID string `json:"id" redact:"text"`
	// Kind: docker, podman, containerd, crio, nscope (a host of a lab), cgroup (containers known only by a cgroup path).
	Kind string `json:"kind"`
	// Name is the host name that the engine gives itself; for a nested one the name of its node.
	Name       string `json:"name,omitempty" redact:"name"`
	Version    string `json:"version,omitempty"`
	APIVersion string `json:"api_version,omitempty"`
	// Endpoint is where it listens ("unix:///run/docker.sock"), Root the prefix through which its mount namespace
	// was reached ("/proc/1234/root"), empty for nscope's own.
	Endpoint string `json:"endpoint,omitempty" redact:"text"`
	Root     string `json:"root,omitempty"`
	// StateDir is where its state files were read, inside Root.
	StateDir string `json:"state_dir,omitempty" redact:"text"`
	// Reachable tells whether it answered; Source whether what is said of it comes from its "api" or from "state" files.
	Reachable bool   `json:"reachable"`
	Source    string `json:"source"`
	Error     string `json:"error,omitempty" redact:"text"`
	// PID is the daemon's, 0 where none runs or it was not found.
	PID int `json:"pid,omitempty"`
	// Home is the network namespace in which it (or what it left running: its shims) runs: there it makes bridges.
	Home NSID `json:"home,omitempty"`
	// Swarm is what the engine knows of its swarm, absent for none.
	Swarm *Swarm `json:"swarm,omitempty"`
}

// Swarm is one engine's membership in a swarm.
type Swarm struct {
	NodeID   string `json:"node_id"`
	NodeAddr string `json:"node_addr,omitempty" redact:"text"`
	Manager  bool   `json:"manager"`
	State    string `json:"state"` // active, pending, locked, error
	// Nodes is the whole membership where the engine may tell it (managers).
	Nodes []SwarmNode `json:"nodes"`
}

// SwarmNode is one member of a swarm.
type SwarmNode struct {
	ID    string `json:"id"`
	Name  string `json:"name" redact:"name"`
	Addr  string `json:"addr,omitempty" redact:"text"`
	Role  string `json:"role"` // manager, worker
	State string `json:"state"`
}

// Workload is one container, or a pod's sandbox, as its engine knows it.
type Workload struct {
	// Engine is the [Engine.ID].
	Engine string `json:"engine" redact:"text"`
	ID     string `json:"id"`
	// Name as the engine's own tools print it; for a Kubernetes container "<namespace>/<pod>/<container>".
	Name   string            `json:"name" redact:"name"`
	Image  string            `json:"image,omitempty" redact:"name"`
	Labels map[string]string `json:"labels" redact:"value"`
	State  string            `json:"state"` // running, paused, created, exited …
	PID    int               `json:"pid,omitempty"`
	// Namespace is the netns of its process as read from /proc (or of its sandbox file); empty where neither told.
	Namespace NSID `json:"namespace,omitempty"`
	// Mode is the network mode as configured: default, bridge, host, none, container:<id>, a network's name, pod.
	Mode string `json:"mode,omitempty" redact:"text"`
	// SandboxID and SandboxKey are Docker's: the key is the path of the netns file.
	SandboxID  string     `json:"sandbox_id,omitempty"`
	SandboxKey string     `json:"sandbox_key,omitempty" redact:"path"`
	Endpoints  []Endpoint `json:"endpoints"`
	Ports      []Port     `json:"ports"`
	DNS        DNS        `json:"dns"`
	// Hostname is the one inside.
	Hostname string `json:"hostname,omitempty" redact:"name"`
	// Pod is set for members and sandboxes of pods.
	Pod *Pod `json:"pod,omitempty"`
	// Service and Task are Swarm's ids, where it is a task.
	Service string `json:"service,omitempty"`
	Task    string `json:"task,omitempty"`
	// Source is "api", "state" or "cgroup": where this was read.
	Source string `json:"source"`
}

// Pod ties a container to its pod.
type Pod struct {
	Name      string `json:"name" redact:"name"`
	Namespace string `json:"namespace,omitempty" redact:"name"`
	UID       string `json:"uid,omitempty"`
	// SandboxID is the id of the pause or infra container.
	SandboxID string `json:"sandbox_id,omitempty"`
	// Sandbox tells that this workload is the sandbox itself.
	Sandbox bool `json:"sandbox,omitempty"`
}

// Endpoint is a workload's attachment to a network.
type Endpoint struct {
	ID string `json:"id,omitempty"`
	// Network is the [Network.ID], NetworkName its name.
	Network     string       `json:"network,omitempty"`
	NetworkName string       `json:"network_name" redact:"name"`
	Addr        netip.Prefix `json:"addr,omitzero"`
	Addr6       netip.Prefix `json:"addr6,omitzero"`
	Gateway     netip.Addr   `json:"gateway,omitzero"`
	Gateway6    netip.Addr   `json:"gateway6,omitzero"`
	MAC         string       `json:"mac,omitempty" redact:"mac"`
	// Interface is the name inside the workload where the engine says it.
	Interface string   `json:"interface,omitempty"`
	Aliases   []string `json:"aliases" redact:"name"`
	// VIPs are those that a task's endpoint state names (Docker's config.v2.json).
	VIPs []netip.Addr `json:"vips,omitempty"`
}

// Port is one published port.
type Port struct {
	Proto string `json:"proto"` // tcp, udp, sctp
	// HostAddr is the address bound on the host, zero for all.
	HostAddr netip.Addr `json:"host_addr,omitzero"`
	// HostPort is the port on the host, 0 where it is only exposed.
	HostPort uint16 `json:"host_port,omitempty"`
	// Port is the container's.
	Port uint16 `json:"port"`
	// Mode is "ingress" (the routing mesh) or "host" for a Swarm service, empty for a container.
	Mode string `json:"mode,omitempty" redact:"text"`
}

// DNS is a workload's resolver configuration as the engine gives it.
type DNS struct {
	Servers []string `json:"servers" redact:"text"`
	Search  []string `json:"search" redact:"name"`
	Options []string `json:"options"`
}

// Network is one network of an engine.
type Network struct {
	Engine string `json:"engine" redact:"text"`
	ID     string `json:"id"`
	Name   string `json:"name" redact:"name"`
	// Driver: bridge, host, null, macvlan, ipvlan, overlay, a third party's name.
	Driver     string   `json:"driver"`
	Scope      string   `json:"scope"` // local, swarm, global
	Subnets    []Subnet `json:"subnets"`
	Internal   bool     `json:"internal,omitempty"`
	Attachable bool     `json:"attachable,omitempty"`
	Ingress    bool     `json:"ingress,omitempty"`
	Encrypted  bool     `json:"encrypted,omitempty"`
	IPv6       bool     `json:"ipv6,omitempty"`
	// VNIs, for an overlay, one per subnet.
	VNIs []uint32 `json:"vnis"`
	// Bridge is the name of the bridge link that the engine makes for it in its home namespace, Parent that of a
	// macvlan's or ipvlan's parent link there.
	Bridge  string            `json:"bridge,omitempty"`
	Parent  string            `json:"parent,omitempty"`
	Options map[string]string `json:"options" redact:"value"`
	Labels  map[string]string `json:"labels" redact:"value"`
	// Peers are the nodes that take part, for an overlay.
	Peers  []NetworkPeer `json:"peers"`
	Source string        `json:"source"`
}

// Subnet is one address range of a network.
type Subnet struct {
	Subnet  netip.Prefix `json:"subnet"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	IPRange netip.Prefix `json:"ip_range,omitzero"`
}

// NetworkPeer is a node that takes part in an overlay.
type NetworkPeer struct {
	Name string     `json:"name" redact:"name"`
	Addr netip.Addr `json:"addr"`
}

// Service is a Swarm service.
type Service struct {
	Engine string `json:"engine" redact:"text"`
	ID     string `json:"id"`
	Name   string `json:"name" redact:"name"`
	Mode   string `json:"mode" redact:"text"` // replicated, global, replicated-job, global-job
	// Replicas is the wanted number for a replicated one.
	Replicas     uint64 `json:"replicas,omitempty"`
	EndpointMode string `json:"endpoint_mode,omitempty"` // vip, dnsrr
	Image        string `json:"image,omitempty" redact:"name"`
	VIPs         []VIP  `json:"vips"`
	Ports        []Port `json:"ports"`
	Tasks        []Task `json:"tasks"`
	// Networks are the ids of those it is attached to.
	Networks []string          `json:"networks"`
	Labels   map[string]string `json:"labels" redact:"value"`
	Source   string            `json:"source"`
}

// VIP is a service's virtual address on one network.
type VIP struct {
	Network string       `json:"network"` // network id
	Addr    netip.Prefix `json:"addr"`
}

// Task is one instance of a service.
type Task struct {
	ID       string     `json:"id"`
	Name     string     `json:"name" redact:"name"`
	Slot     int        `json:"slot,omitempty"`
	NodeID   string     `json:"node_id,omitempty"`
	NodeName string     `json:"node_name,omitempty" redact:"name"`
	State    string     `json:"state"`
	Desired  string     `json:"desired,omitempty"`
	Workload string     `json:"workload,omitempty"` // container id
	Addrs    []TaskAddr `json:"addrs"`
}

// TaskAddr is a task's address on one network.
type TaskAddr struct {
	Network string       `json:"network"`
	Addr    netip.Prefix `json:"addr"`
}

// Flannel is what one flannel daemon left in its environment file, and what its lease store says.
type Flannel struct {
	// Path is the environment file that was read (with the root through which it was reached), or the URL of etcd.
	Path    string         `json:"path" redact:"text"`
	Network netip.Prefix   `json:"network,omitzero"`
	Subnet  netip.Prefix   `json:"subnet,omitzero"`
	MTU     int            `json:"mtu,omitempty"`
	IPMasq  bool           `json:"ipmasq,omitempty"`
	Backend string         `json:"backend,omitempty"` // udp, vxlan, host-gw
	VNI     uint32         `json:"vni,omitempty"`
	Leases  []FlannelLease `json:"leases"`
}

// FlannelLease is one node's lease.
type FlannelLease struct {
	Subnet   netip.Prefix `json:"subnet"`
	PublicIP netip.Addr   `json:"public_ip"`
	Backend  string       `json:"backend,omitempty"`
	// VtepMAC is the MAC of that node's flannel.1.
	VtepMAC string `json:"vtep_mac,omitempty" redact:"mac"`
	// Node is the node's name, where the store (or the swarm, by its address) tells it.
	Node string `json:"node,omitempty" redact:"name"`
}
