package snapshot

import "net/netip"

// Namespace is one network namespace and all that was read inside it.
type Namespace struct {
	ID NSID `json:"id"`
	// Cookie is SO_NETNS_COOKIE (Linux 5.14): unlike the inode it is never reused while the kernel runs. 0: unknown.
	Cookie uint64 `json:"cookie,omitempty"`
	// OwnerUserNS is the inode of the user namespace that owns it (NS_GET_USERNS). 0: unknown.
	OwnerUserNS uint64 `json:"owner_userns,omitempty"`
	// Holders is everything that keeps it alive, as far as could be seen.
	Holders []Holder `json:"holders"`
	// NSIDs are the ids that this namespace has for others (RTM_GETNSID).
	NSIDs     []PeerNSID        `json:"nsids"`
	Links     []Link            `json:"links"`
	Routes    []Route           `json:"routes"`
	Rules     []Rule            `json:"rules"`
	Neighbors []Neighbor        `json:"neighbors"`
	FDB       []FDBEntry        `json:"fdb"`
	Sockets   []Socket          `json:"sockets"`
	Sysctls   map[string]string `json:"sysctls"`
	Xfrm      Xfrm              `json:"xfrm"`
	Qdiscs    []Qdisc           `json:"qdiscs"`
	// Classes are those of qdiscs that share out bandwidth.
	Classes []TCClass `json:"classes"`
	// Filters are those of traffic control, in the order in which they are tried.
	Filters []TCFilter `json:"filters"`
	// Programs are BPF programs that packets or sockets of the namespace pass, in the order in which they run at each place; those of
	// tc filters and actions stand with them.
	Programs []BPFProgram `json:"programs"`
	// Netfilter are the firewall rules: nftables and legacy iptables.
	Netfilter Netfilter `json:"netfilter"`
	// IPVS is the load balancer's table; absent where the kernel has none, or none was ever used in this namespace.
	IPVS *IPVS `json:"ipvs,omitempty"`
	// Counters are those of /proc/net/{snmp,snmp6,netstat,stat/nf_conntrack} by "Tcp.RetransSegs",
	// "TcpExt.ListenDrops", "Ip6.InDiscards", "conntrack.drop". Zeros are left out.
	Counters map[string]uint64 `json:"counters"`
}

// The kinds of [Holder].
const (
	HolderProc   = "proc"   // a process whose main thread is in it
	HolderThread = "thread" // a thread in another netns than its process's main thread
	HolderMount  = "mount"  // a bind mount of its nsfs file
	HolderFD     = "fd"     // an open descriptor of its nsfs file
	HolderSocket = "socket" // a socket opened inside, held by a process elsewhere
	HolderLink   = "link"   // nothing but a link's nsid in another namespace leads to it
)

// Holder is one thing that keeps a namespace alive or leads to it.
type Holder struct {
	Kind string `json:"kind"`
	// PID is the process's id as seen by the pid namespace of the /proc that was read. For a mount it is a process
	// in the mount namespace that has it.
	PID int `json:"pid,omitempty"`
	// TID is the thread's, for kind thread.
	TID int `json:"tid,omitempty"`
	// FD is the descriptor's number, for kind fd and socket.
	FD int `json:"fd,omitempty"`
	// Comm is the process's (or thread's) command name.
	Comm string `json:"comm,omitempty" redact:"name"`
	// Path is the mount point inside its mount namespace, for kind mount.
	Path string `json:"path,omitempty" redact:"path"`
	// MountNS is the inode of the mount namespace that has the mount, for kind mount.
	MountNS uint64 `json:"mount_ns,omitempty"`
	// Root leads to the root of that mount namespace where it is not nscope's own: "/proc/1234/root".
	Root string `json:"root,omitempty"`
	// Cgroup is the process's cgroup path (of the unified hierarchy, else of the first), for kind proc.
	Cgroup string `json:"cgroup,omitempty" redact:"text"`
	// Via is the namespace whose nsid leads to it, for kind link, with the nsid.
	Via  NSID `json:"via,omitempty"`
	NSID *int `json:"nsid,omitempty"`
}

// PeerNSID is an id that one namespace has for another, and which that is where it could be told.
type PeerNSID struct {
	NSID      int  `json:"nsid"`
	Namespace NSID `json:"namespace,omitempty"`
}

// Route is one entry of one routing table.
type Route struct {
	Family string `json:"family"` // "inet" or "inet6"
	Table  uint32 `json:"table"`
	// Type is that of `ip route`: unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw, nat.
	Type     string `json:"type"`
	Protocol string `json:"protocol"` // kernel, boot, static, dhcp, ra, bird …, or the number
	Scope    string `json:"scope"`    // global, site, link, host, nowhere, or the number
	// Dst is the destination; the default route is 0.0.0.0/0 or ::/0.
	Dst netip.Prefix `json:"dst"`
	// Src is the source prefix of a source-specific (IPv6) route.
	Src     netip.Prefix `json:"src,omitzero"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
	PrefSrc netip.Addr   `json:"prefsrc,omitzero"`
	// OIF is the ifindex of the outgoing link, 0 for none.
	OIF    int    `json:"oif,omitempty"`
	IIF    int    `json:"iif,omitempty"`
	Metric uint32 `json:"metric,omitempty"`
	TOS    int    `json:"tos,omitempty"`
	// MTU, AdvMSS are route metrics, 0 for unset.
	MTU    int `json:"mtu,omitempty"`
	AdvMSS int `json:"advmss,omitempty"`
	// Flags: onlink, linkdown, dead, pervasive, offload, cloned …
	Flags    []string  `json:"flags"`
	NextHops []NextHop `json:"nexthops"`
	// NHID is the id of a nexthop object (ip nexthop), 0 for none.
	NHID  uint32 `json:"nhid,omitempty"`
	Pref  string `json:"pref,omitempty"`  // IPv6 router preference where not medium
	Encap string `json:"encap,omitempty"` // lightweight tunnel: mpls, ip, seg6 …
}

// NextHop is one way of a multipath route.
type NextHop struct {
	Gateway netip.Addr `json:"gateway,omitzero"`
	OIF     int        `json:"oif,omitempty"`
	Weight  int        `json:"weight"` // as `ip route` prints it: 1 and up
	Flags   []string   `json:"flags"`
}

// Rule is one policy routing rule (ip rule).
type Rule struct {
	Family   string       `json:"family"`
	Priority uint32       `json:"priority"`
	Src      netip.Prefix `json:"src,omitzero"` // zero: from all
	Dst      netip.Prefix `json:"dst,omitzero"`
	IIF      string       `json:"iif,omitempty"`
	OIF      string       `json:"oif,omitempty"`
	FwMark   uint32       `json:"fwmark,omitempty"`
	FwMask   uint32       `json:"fwmask,omitempty"`
	TOS      int          `json:"tos,omitempty"`
	IPProto  int          `json:"ipproto,omitempty"`
	SPort    *PortRange   `json:"sport,omitempty"`
	DPort    *PortRange   `json:"dport,omitempty"`
	UIDRange *UIDRange    `json:"uidrange,omitempty"`
	Invert   bool         `json:"invert,omitempty"` // not
	// Action is "lookup" (then Table), goto (then Goto), nop, blackhole, unreachable, prohibit.
	Action   string `json:"action"`
	Table    uint32 `json:"table,omitempty"`
	Goto     uint32 `json:"goto,omitempty"`
	L3MDev   bool   `json:"l3mdev,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	// SuppressPrefixLen is suppress_prefixlength, absent for none.
	SuppressPrefixLen *int   `json:"suppress_prefixlen,omitempty"`
	SuppressIfGroup   *int   `json:"suppress_ifgroup,omitempty"`
	TunID             uint64 `json:"tun_id,omitempty"`
}

// PortRange is a range of ports, both ends included.
type PortRange struct {
	From uint16 `json:"from"`
	To   uint16 `json:"to"`
}

// UIDRange is a range of user ids, both ends included.
type UIDRange struct {
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
}

// Neighbor is one ARP or neighbour discovery entry.
type Neighbor struct {
	Family  string     `json:"family"`
	Ifindex int        `json:"ifindex"`
	Addr    netip.Addr `json:"addr"`
	MAC     string     `json:"mac,omitempty" redact:"mac"`
	// State is that of `ip neigh`: permanent, noarp, reachable, stale, delay, probe, failed, incomplete, none.
	State string `json:"state"`
	// Flags: proxy, router, extern_learn, offload, use, managed.
	Flags    []string `json:"flags"`
	Protocol string   `json:"protocol,omitempty"`
}

// Passing tells that the kernel made it by itself, because something was sent to a multicast or loopback address, and lets it go again a
// while after the last such packet (state NUD_NOARP; net/core/neighbour.c, neigh_periodic_work). It says nothing of anybody.
func (n *Neighbor) Passing() bool {
	return n.State == "noarp" && (n.Addr.IsMulticast() || n.Addr.IsLoopback())
}

// FDBEntry is one forwarding database entry: of a bridge (master), or of a device itself (self), as for vxlan.
type FDBEntry struct {
	Ifindex int    `json:"ifindex"`
	MAC     string `json:"mac" redact:"mac"`
	// Master is the ifindex of the bridge that has it, 0 for a device's own.
	Master int `json:"master,omitempty"`
	// Dst is the remote VTEP, for a vxlan's own entries.
	Dst netip.Addr `json:"dst,omitzero"`
	// VNI, Port and Via (an ifindex in the vxlan's underlay netns) are set only where the entry overrides the device's.
	VNI  *uint32 `json:"vni,omitempty"`
	Port uint16  `json:"port,omitempty"`
	Via  int     `json:"via,omitempty"`
	// SrcVNI is the VNI that the entry belongs to, on a vxlan that carries many (external).
	SrcVNI uint32 `json:"src_vni,omitempty"`
	// VLAN is the 802.1q id on a VLAN filtering bridge, 0 for none.
	VLAN int `json:"vlan,omitempty"`
	// State: permanent, static (noarp), reachable, stale, or "" for a learnt one.
	State string `json:"state,omitempty"`
	// Flags: self, master, extern_learn, offload, sticky, locked.
	Flags []string `json:"flags"`
	NHID  uint32   `json:"nhid,omitempty"`
}

// Socket is one TCP, UDP or raw socket (sock_diag).
type Socket struct {
	Proto string `json:"proto"` // tcp, udp, udplite, raw, sctp
	// Family is "inet" or "inet6"; an inet6 socket bound to :: without v6only takes IPv4 too.
	Family string         `json:"family"`
	V6Only bool           `json:"v6only,omitempty"`
	State  string         `json:"state"` // as ss prints: listen, established, unconnected, time-wait …
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote,omitzero"`
	// Ifindex is the device that it is bound to, 0 for any.
	Ifindex int    `json:"ifindex,omitempty"`
	RxQueue uint32 `json:"rxq,omitempty"`
	TxQueue uint32 `json:"txq,omitempty"`
	UID     uint32 `json:"uid"`
	Inode   uint64 `json:"inode,omitempty"`
	Mark    uint32 `json:"mark,omitempty"`
	Drops   uint32 `json:"drops,omitempty"`
	// PID and Comm are a process that has it open (the lowest pid); 0 where none was seen.
	PID  int    `json:"pid,omitempty"`
	Comm string `json:"comm,omitempty" redact:"name"`
}

// Xfrm is the IPsec state of a namespace, without keys.
type Xfrm struct {
	States   []XfrmState  `json:"states"`
	Policies []XfrmPolicy `json:"policies"`
}

// XfrmState is one security association.
type XfrmState struct {
	Src   netip.Addr `json:"src"`
	Dst   netip.Addr `json:"dst"`
	Proto string     `json:"proto"` // esp, ah, comp
	SPI   uint32     `json:"spi"`
	ReqID uint32     `json:"reqid,omitempty"`
	Mode  string     `json:"mode"` // transport, tunnel, beet
	// AEAD, Auth, Crypt are algorithm names; keys are never read into the snapshot.
	AEAD    string       `json:"aead,omitempty"`
	Auth    string       `json:"auth,omitempty"`
	Crypt   string       `json:"crypt,omitempty"`
	Mark    uint32       `json:"mark,omitempty"`
	MarkMsk uint32       `json:"mark_mask,omitempty"`
	IfID    uint32       `json:"if_id,omitempty"`
	SelSrc  netip.Prefix `json:"sel_src,omitzero"`
	SelDst  netip.Prefix `json:"sel_dst,omitzero"`
	Bytes   uint64       `json:"bytes"`
	Packets uint64       `json:"packets"`
	Replay  uint32       `json:"replay_window,omitempty"`
	// ReplayErrors, IntegrityErrors count dropped packets.
	ReplayErrors    uint32 `json:"replay_errors,omitempty"`
	IntegrityErrors uint32 `json:"integrity_errors,omitempty"`
}

// XfrmPolicy is one IPsec policy.
type XfrmPolicy struct {
	Dir      string         `json:"dir"` // in, out, fwd
	Src      netip.Prefix   `json:"src"`
	Dst      netip.Prefix   `json:"dst"`
	Proto    int            `json:"proto,omitempty"` // IP protocol of the selector, 0 for any
	SPort    uint16         `json:"sport,omitempty"`
	DPort    uint16         `json:"dport,omitempty"`
	Action   string         `json:"action"` // allow, block
	Priority uint32         `json:"priority"`
	Index    uint32         `json:"index"`
	Mark     uint32         `json:"mark,omitempty"`
	MarkMask uint32         `json:"mark_mask,omitempty"`
	IfID     uint32         `json:"if_id,omitempty"`
	Tmpls    []XfrmTemplate `json:"templates"`
}

// XfrmTemplate is what a policy asks a state to be.
type XfrmTemplate struct {
	Src   netip.Addr `json:"src"`
	Dst   netip.Addr `json:"dst"`
	Proto string     `json:"proto"`
	Mode  string     `json:"mode"`
	ReqID uint32     `json:"reqid,omitempty"`
	SPI   uint32     `json:"spi,omitempty"`
}
