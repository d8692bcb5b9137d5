package snapshot

// Qdisc is one queueing discipline with its counters.
type Qdisc struct {
	Ifindex    int    `json:"ifindex"`
	Kind       string `json:"kind"`
	Handle     string `json:"handle"` // "8001:0"
	Parent     string `json:"parent"` // "root", "ingress" or "8001:1"
	Bytes      uint64 `json:"bytes"`
	Packets    uint64 `json:"packets"`
	Drops      uint64 `json:"drops"`
	Overlimits uint64 `json:"overlimits"`
	Requeues   uint64 `json:"requeues"`
	Backlog    uint64 `json:"backlog"` // bytes
	QLen       uint64 `json:"qlen"`    // packets
}

// TCClass is one class of a qdisc (tc class) with its counters.
type TCClass struct {
	Ifindex int    `json:"ifindex"`
	Kind    string `json:"kind"`  // of the qdisc: htb, hfsc, prio …
	Class   string `json:"class"` // "7:1"
	// Parent is the class or qdisc above: "7:0", or "root".
	Parent string `json:"parent"`
	// Leaf is the handle of the qdisc that the class's packets wait in.
	Leaf       string `json:"leaf,omitempty"`
	Bytes      uint64 `json:"bytes"`
	Packets    uint64 `json:"packets"`
	Drops      uint64 `json:"drops"`
	Overlimits uint64 `json:"overlimits"`
	Requeues   uint64 `json:"requeues"`
	Backlog    uint64 `json:"backlog"` // bytes
	QLen       uint64 `json:"qlen"`    // packets
}

// TCFilter is one filter of traffic control (tc filter).
type TCFilter struct {
	Ifindex int `json:"ifindex"`
	// Parent is "ingress" or "egress" of a clsact or ingress qdisc, else the handle of the qdisc that it sorts packets for, "1:0".
	Parent string `json:"parent"`
	Chain  uint32 `json:"chain,omitempty"`
	// Priority is tc's pref: the lowest is tried first.
	Priority uint16 `json:"priority"`
	// Protocol is all, ip, ipv6, arp, 802.1Q, 802.1ad, or the ethertype: "0x88cc".
	Protocol string `json:"protocol"`
	Kind     string `json:"kind"`   // bpf, u32, flower, matchall, fw, basic …
	Handle   string `json:"handle"` // hexadecimal, "0x1"
	// ProgName, ProgTag and ProgID are the program's of kind bpf.
	ProgName string `json:"prog_name,omitempty"`
	ProgTag  string `json:"prog_tag,omitempty"`
	ProgID   uint32 `json:"prog_id,omitempty"`
	// Actions are done with what matches, in this order.
	Actions []TCAction `json:"actions"`
	// Class is the class that matching packets go to ("7:1"), Direct that a program's own result decides what becomes of them.
	Class  string `json:"class,omitempty"`
	Direct bool   `json:"direct,omitempty"`
}

// TCAction is one action of a [TCFilter] with its counters.
type TCAction struct {
	Kind string `json:"kind"` // gact, mirred, police, skbedit, pedit, ct …
	// Result is what becomes of the packet after it: pass, drop, pipe, stolen, continue …
	Result string `json:"result,omitempty"`
	// ProgName, ProgTag and ProgID are the program's of kind bpf.
	ProgName string `json:"prog_name,omitempty"`
	ProgTag  string `json:"prog_tag,omitempty"`
	ProgID   uint32 `json:"prog_id,omitempty"`
	// To is the ifindex that mirred sends to.
	To         int    `json:"to,omitempty"`
	Packets    uint64 `json:"packets"`
	Bytes      uint64 `json:"bytes"`
	Drops      uint64 `json:"drops"`
	Overlimits uint64 `json:"overlimits"`
}

// BPFProgram is a BPF program where it is attached.
type BPFProgram struct {
	// Attach is the place as libbpf calls it: xdp, tcx_ingress, tcx_egress, netkit_primary, netkit_peer of a link; sk_lookup and
	// flow_dissector of the namespace; cgroup_inet_ingress, cgroup_inet4_connect … of a cgroup.
	Attach string `json:"attach"`
	// Ifindex is the link's, 0 for none.
	Ifindex int `json:"ifindex,omitempty"`
	// Mode is that of xdp: driver, generic, offload.
	Mode string `json:"mode,omitempty"`
	// Cgroup is the path of the cgroup that it is attached to, which holds processes of the namespace or cgroups of such.
	Cgroup string `json:"cgroup,omitempty" redact:"text"`
	// ID is the kernel's number of the program. Name (as its author called it, cut off after 15 letters) and Tag (a hash of its
	// instructions) are absent where they could not be read.
	ID   uint32 `json:"id"`
	Name string `json:"name,omitempty"`
	Tag  string `json:"tag,omitempty"`
}
