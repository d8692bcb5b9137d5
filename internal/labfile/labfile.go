package labfile

import "net/netip"

// Where labs are: their files, one <name>.json each, and their namespaces as `ip netns` keeps its own.
const (
	Dir      = "/run/nscope/labs"
	NetnsDir = "/run/netns"
)

// Prefix begins the name of everything that a lab makes outside its own namespaces.
const Prefix = "nscope-"

// HolderCommand is the first argument of the process of a lab's container or host; the second is [Full].
const HolderCommand = "lab-holder"

// Full is the name of a space of a lab, for all to see.
func Full(lab, space string) string { return Prefix + lab + "-" + space }

// Roles of a lab's namespaces.
const (
	RoleHost      = "host"
	RoleContainer = "container"
	RoleSandbox   = "sandbox" // a namespace without a process: an overlay, a load balancer
	RoleSwitch    = "switch"  // a namespace that is only a bridge
)

// Lab is what of a lab's file says what it is made of. The file has more, which is for those who keep it.
type Lab struct {
	Name string `json:"name"`
	Mode string `json:"mode"`
	// Engine is the URL of the engine that made it, whose containers its spaces are then; "" for a lab without one.
	Engine string `json:"engine,omitempty"`
	// Ready is false while it is being made.
	Ready  bool    `json:"ready"`
	Spaces []Space `json:"spaces"`
	// Networks and Services are what the engines of its hosts would list; never null.
	Networks []Network `json:"networks"`
	Services []Service `json:"services"`
}

// Space is one of a lab's hosts, containers, sandboxes and switches.
type Space struct {
	Name string `json:"name"`
	// Full is the name under NetnsDir of the namespace that it is in.
	Full string `json:"full"`
	Role string `json:"role"`
	// Host is the name of the host that it is on, empty for a host.
	Host string `json:"host,omitempty"`
	// Shares is the name of the space whose namespace it is in, where it has none of its own.
	Shares string `json:"shares,omitempty"`
	// Addr is a host's address on the network that its swarm's nodes share.
	Addr netip.Addr `json:"addr,omitzero"`
	// Pod is the name of the pod of a container, which is its own for the one that holds the pod's namespace.
	Pod string `json:"pod,omitempty"`
	// Network is a container's network mode as an engine is given it: bridge, none, host, container:<name>, or a network's name.
	Network   string     `json:"network,omitempty"`
	Endpoints []Endpoint `json:"endpoints,omitempty"`
	Ports     []Port     `json:"ports,omitempty"`
	// Service is the id of the service that it is a task of.
	Service string `json:"service,omitempty"`
}

// Network is a network of one host's engine, or of the swarm that all hosts with it are.
type Network struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Hosts are those whose engines know it.
	Hosts []string `json:"hosts"`
	// Driver is bridge, macvlan, ipvlan or overlay; for a bridge of CNI plugins, "cni".
	Driver string `json:"driver"`
	// Default is set for the network "bridge" of an engine.
	Default bool           `json:"default,omitempty"`
	Subnets []netip.Prefix `json:"subnets"`
	Gateway netip.Addr     `json:"gateway,omitzero"`
	// Bridge is the name of its bridge on the host, Parent that of the link that macvlan and ipvlan children sit on.
	Bridge    string `json:"bridge,omitempty"`
	Parent    string `json:"parent,omitempty"`
	VNI       uint32 `json:"vni,omitempty"`
	Ingress   bool   `json:"ingress,omitempty"`
	Encrypted bool   `json:"encrypted,omitempty"`
}

// Endpoint is an attachment to a network.
type Endpoint struct {
	// Network is the [Network.ID].
	Network string       `json:"network"`
	Link    string       `json:"link"`
	Addr    netip.Prefix `json:"addr"`
	MAC     string       `json:"mac,omitempty"`
	Aliases []string     `json:"aliases,omitempty"`
}

// Port is a published port.
type Port struct {
	Proto string     `json:"proto"`
	Addr  netip.Addr `json:"addr,omitzero"` // zero or unspecified: all of the host's
	Host  uint16     `json:"host"`
	Port  uint16     `json:"port"`
	// Mode is "ingress" or "host" for a service's, empty for a container's.
	Mode string `json:"mode,omitempty"`
}

// Service is a service of the swarm; its tasks are the containers that name it.
type Service struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	VIPs  []VIP  `json:"vips"`
	Ports []Port `json:"ports"`
}

// VIP is a service's address on a network.
type VIP struct {
	Network string     `json:"network"`
	Addr    netip.Addr `json:"addr"`
}
