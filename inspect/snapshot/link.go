package snapshot

import "net/netip"

// Link is one network interface as its namespace sees it (RTM_NEWLINK).
type Link struct {
	Index    int      `json:"index"`
	Name     string   `json:"name"`
	AltNames []string `json:"altnames,omitempty"`
	Alias    string   `json:"alias,omitempty" redact:"name"`
	// Kind is IFLA_INFO_KIND ("veth", "bridge", "vxlan", "macvlan" …), and empty for a device that has none: a NIC, or lo.
	Kind string `json:"kind,omitempty"`
	// Type is the hardware type as ip prints it: ether, loopback, none, ipip, sit, gre …
	Type string `json:"type"`
	// Flags as ip prints them, in lower case: up, broadcast, multicast, promisc, noarp, lower_up …
	Flags []string `json:"flags"`
	// State is IFLA_OPERSTATE: up, down, unknown, lowerlayerdown, dormant, testing, notpresent.
	State string `json:"state"`
	MTU   int    `json:"mtu"`
	MAC   string `json:"mac,omitempty" redact:"mac"`
	// PermMAC is the permanent address, where it differs from MAC.
	PermMAC string `json:"perm_mac,omitempty" redact:"mac"`
	// Master is the ifindex of the bridge, bond or vrf that it belongs to, 0 for none.
	Master     int    `json:"master,omitempty"`
	MasterKind string `json:"master_kind,omitempty"` // IFLA_INFO_SLAVE_KIND
	Group      uint32 `json:"group,omitempty"`
	TxQLen     int    `json:"txqlen,omitempty"`
	Qdisc      string `json:"qdisc,omitempty"`
	// Promiscuity counts who asked for promiscuous mode.
	Promiscuity uint32 `json:"promiscuity,omitempty"`
	GSOMaxSize  uint32 `json:"gso_max_size,omitempty"`
	// Parent device on a bus (IFLA_PARENT_DEV_NAME, _BUS_NAME), for NICs: "0000:00:03.0", "pci".
	ParentDev string `json:"parent_dev,omitempty"`
	ParentBus string `json:"parent_bus,omitempty"`
	// XDP is the mode of an attached XDP program: driver, generic, offload; XDPProg its id. "multi" is one of several modes: XDPProgs are
	// their programs' ids by mode.
	XDP      string            `json:"xdp,omitempty"`
	XDPProg  uint32            `json:"xdp_prog,omitempty"`
	XDPProgs map[string]uint32 `json:"xdp_progs,omitempty"`
	// Peer is what IFLA_LINK and IFLA_LINK_NETNSID say: see [Peer].
	Peer  *Peer     `json:"peer,omitempty"`
	Addrs []Addr    `json:"addrs"`
	Stats LinkStats `json:"stats"`

	// One of these is set, by Kind (BridgePort by MasterKind, beside another).
	Bridge     *Bridge     `json:"bridge,omitempty"`
	BridgePort *BridgePort `json:"bridge_port,omitempty"`
	Vxlan      *Vxlan      `json:"vxlan,omitempty"`
	Macvlan    *Macvlan    `json:"macvlan,omitempty"` // macvlan and macvtap
	Ipvlan     *Ipvlan     `json:"ipvlan,omitempty"`  // ipvlan and ipvtap
	Vlan       *Vlan       `json:"vlan,omitempty"`
	Tun        *Tun        `json:"tun,omitempty"`
	Veth       *Veth       `json:"veth,omitempty"`
	Bond       *Bond       `json:"bond,omitempty"`
	Vrf        *Vrf        `json:"vrf,omitempty"`
	Tunnel     *Tunnel     `json:"tunnel,omitempty"` // gre, ipip, sit, ip6tnl, vti, geneve
}

// Peer is the link that another one refers to by IFLA_LINK: a veth's other end, a macvlan's, ipvlan's or vlan's
// parent. For a vxlan Index is its underlay device or, once it was moved, its own ifindex, and only the namespace means
// something: it is the one in which the vxlan's UDP socket lives.
type Peer struct {
	// Index is an ifindex in the peer's namespace, 0 where the kernel gives none.
	Index int `json:"index"`
	// NSID is the id that this link's namespace has for the peer's; absent: the same namespace.
	NSID *int `json:"nsid,omitempty"`
	// Namespace is the one that NSID was proven to be (the link's own where NSID is absent); empty where it could
	// not be told.
	Namespace NSID `json:"namespace,omitempty"`
}

// Addr is one address of a link.
type Addr struct {
	// Prefix is the address (not masked) with its prefix length.
	Prefix netip.Prefix `json:"prefix"`
	// Peer is the other end of a point-to-point address.
	Peer      netip.Prefix `json:"peer,omitzero"`
	Broadcast netip.Addr   `json:"broadcast,omitzero"`
	Scope     string       `json:"scope"` // global, site, link, host
	Label     string       `json:"label,omitempty"`
	// Flags: secondary, permanent, dynamic, tentative, dadfailed, deprecated, noprefixroute, nodad, mngtmpaddr …
	Flags []string `json:"flags"`
}

// LinkStats are IFLA_STATS64.
type LinkStats struct {
	RxPackets uint64 `json:"rx_packets"`
	TxPackets uint64 `json:"tx_packets"`
	RxBytes   uint64 `json:"rx_bytes"`
	TxBytes   uint64 `json:"tx_bytes"`
	RxErrors  uint64 `json:"rx_errors,omitempty"`
	TxErrors  uint64 `json:"tx_errors,omitempty"`
	RxDropped uint64 `json:"rx_dropped,omitempty"`
	TxDropped uint64 `json:"tx_dropped,omitempty"`
	Multicast uint64 `json:"multicast,omitempty"`
	// Carrier changes (IFLA_CARRIER_CHANGES).
	CarrierChanges uint32 `json:"carrier_changes,omitempty"`
}

// Bridge holds the attributes of a bridge. Times are seconds.
type Bridge struct {
	STP              bool    `json:"stp"`
	Priority         uint16  `json:"priority"`
	BridgeID         string  `json:"bridge_id" redact:"text"`
	RootID           string  `json:"root_id" redact:"text"`
	ForwardDelay     float64 `json:"forward_delay"`
	HelloTime        float64 `json:"hello_time"`
	MaxAge           float64 `json:"max_age"`
	AgeingTime       float64 `json:"ageing_time"`
	VlanFiltering    bool    `json:"vlan_filtering"`
	VlanProtocol     string  `json:"vlan_protocol"` // 802.1q, 802.1ad
	VlanDefaultPVID  uint16  `json:"vlan_default_pvid"`
	McastSnooping    bool    `json:"mcast_snooping"`
	McastQuerier     bool    `json:"mcast_querier"`
	GroupFwdMask     uint16  `json:"group_fwd_mask"`
	NfCallIptables   bool    `json:"nf_call_iptables"`
	NfCallIp6tables  bool    `json:"nf_call_ip6tables"`
	NfCallArptables  bool    `json:"nf_call_arptables"`
	NoLinkLocalLearn bool    `json:"no_linklocal_learn,omitempty"`
	// Vlans of the bridge itself (its "self" membership).
	Vlans []BridgeVlan `json:"vlans"`
}

// BridgeVlan is the membership of a bridge or a port in a VLAN range.
type BridgeVlan struct {
	From     uint16 `json:"from"`
	To       uint16 `json:"to"`
	PVID     bool   `json:"pvid,omitempty"`
	Untagged bool   `json:"untagged,omitempty"`
}

// BridgePort holds the attributes of a bridge's port (IFLA_BRPORT_*).
type BridgePort struct {
	// State is the STP state: disabled, listening, learning, forwarding, blocking.
	State         string       `json:"state"`
	Number        uint16       `json:"number"`
	Priority      uint16       `json:"priority"`
	Cost          uint32       `json:"cost"`
	Hairpin       bool         `json:"hairpin"`
	Guard         bool         `json:"guard"`
	RootBlock     bool         `json:"root_block"`
	FastLeave     bool         `json:"fastleave"`
	Learning      bool         `json:"learning"`
	Flood         bool         `json:"flood"`
	McastFlood    bool         `json:"mcast_flood"`
	BcastFlood    bool         `json:"bcast_flood"`
	ProxyARP      bool         `json:"proxy_arp"`
	NeighSuppress bool         `json:"neigh_suppress"`
	VlanTunnel    bool         `json:"vlan_tunnel"`
	Isolated      bool         `json:"isolated"`
	Locked        bool         `json:"locked"`
	McastRouter   uint8        `json:"mcast_router"`
	McastToUcast  bool         `json:"mcast_to_unicast"`
	BackupIfindex int          `json:"backup_port,omitempty"`
	Vlans         []BridgeVlan `json:"vlans"`
}

// Vxlan holds the attributes of a vxlan. Port is in host byte order.
type Vxlan struct {
	VNI  uint32 `json:"vni"`
	Port uint16 `json:"port"`
	// Local is the source address of the outer packets, zero for any.
	Local netip.Addr `json:"local,omitzero"`
	// Group is the multicast group or the one remote that unknown destinations go to.
	Group netip.Addr `json:"group,omitzero"`
	// Link is IFLA_VXLAN_LINK: the ifindex of the underlay link in the namespace where the UDP socket lives, 0 for none.
	Link     int    `json:"link,omitempty"`
	Learning bool   `json:"learning"`
	Proxy    bool   `json:"proxy"`
	RSC      bool   `json:"rsc"`
	L2Miss   bool   `json:"l2miss"`
	L3Miss   bool   `json:"l3miss"`
	TTL      int    `json:"ttl"` // 0: auto
	TOS      int    `json:"tos"`
	DF       string `json:"df,omitempty"` // unset, set, inherit
	Ageing   int    `json:"ageing"`       // seconds
	Limit    int    `json:"limit,omitempty"`
	// SrcPortLow and High are the range of outer source ports, 0 for the default.
	SrcPortLow     uint16 `json:"srcport_low,omitempty"`
	SrcPortHigh    uint16 `json:"srcport_high,omitempty"`
	UDPCsum        bool   `json:"udp_csum"`
	UDP6ZeroCsumTx bool   `json:"udp6_zero_csum_tx,omitempty"`
	UDP6ZeroCsumRx bool   `json:"udp6_zero_csum_rx,omitempty"`
	GBP            bool   `json:"gbp,omitempty"`
	GPE            bool   `json:"gpe,omitempty"`
	External       bool   `json:"external,omitempty"` // collect metadata: the VNI comes with each packet
	VNIFilter      bool   `json:"vnifilter,omitempty"`
}

// Macvlan holds the attributes of a macvlan or macvtap.
type Macvlan struct {
	Mode string `json:"mode"` // private, vepa, bridge, passthru, source
	// Flags: nopromisc, nodst.
	Flags []string `json:"flags"`
}

// Ipvlan holds the attributes of an ipvlan or ipvtap.
type Ipvlan struct {
	Mode string `json:"mode"` // l2, l3, l3s
	// Flag: bridge, private, vepa.
	Flag string `json:"flag"`
}

// Vlan holds the attributes of a VLAN sub-interface.
type Vlan struct {
	ID       uint16 `json:"id"`
	Protocol string `json:"protocol"` // 802.1q, 802.1ad
	// Flags: reorder_hdr, gvrp, loose_binding, mvrp, bridge_binding.
	Flags []string `json:"flags"`
}

// Tun holds the attributes of a TUN or TAP device.
type Tun struct {
	Mode       string  `json:"mode"` // tun, tap
	Owner      *uint32 `json:"owner,omitempty"`
	Group      *uint32 `json:"group,omitempty"`
	PI         bool    `json:"pi"`
	VnetHdr    bool    `json:"vnet_hdr"`
	MultiQueue bool    `json:"multi_queue"`
	Persist    bool    `json:"persist"`
}

// Veth marks a virtual Ethernet pair's end (also netkit, kind "netkit"). What it is paired with is [Link.Peer].
type Veth struct {
	// Mode and Primary are a netkit's: l2 or l3.
	Mode    string `json:"mode,omitempty"`
	Primary bool   `json:"primary,omitempty"`
}

// Bond holds the main attributes of a bonding device.
type Bond struct {
	Mode   string `json:"mode"`             // balance-rr, active-backup, 802.3ad …
	Active int    `json:"active,omitempty"` // ifindex of the active port
}

// Vrf holds the attributes of a VRF.
type Vrf struct {
	Table uint32 `json:"table"`
}

// Tunnel holds what the point-to-point tunnel kinds have in common.
type Tunnel struct {
	Local  netip.Addr `json:"local,omitzero"`
	Remote netip.Addr `json:"remote,omitzero"`
	// Link is the ifindex of the underlay link, in the namespace that Peer tells, 0 for none.
	Link int `json:"link,omitempty"`
	// Key is a GRE key or a Geneve VNI; Port is Geneve's UDP port.
	Key      uint32 `json:"key,omitempty"`
	Port     uint16 `json:"port,omitempty"`
	TTL      int    `json:"ttl,omitempty"`
	External bool   `json:"external,omitempty"`
}
