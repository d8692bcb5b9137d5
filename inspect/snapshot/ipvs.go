package snapshot

import "net/netip"

// IPVS is the load balancer of one namespace (ipvsadm -L).
type IPVS struct {
	Services []IPVSService `json:"services"`
	// Timeouts of connections in seconds: tcp, tcpfin, udp.
	Timeouts map[string]uint32 `json:"timeouts"`
	// Version is the kernel's, as "1.2.1"; Size the number of buckets of its table of connections.
	Version string `json:"version,omitempty"`
	Size    uint32 `json:"size,omitempty"`
}

// IPVSService is one virtual server: by protocol, address and port, or by firewall mark.
type IPVSService struct {
	Family string `json:"family"` // inet, inet6
	// Protocol is tcp, udp or sctp; empty for one by mark.
	Protocol string     `json:"protocol,omitempty"`
	Addr     netip.Addr `json:"addr,omitzero"`
	Port     uint16     `json:"port,omitempty"`
	// FWMark is 0 for one by address.
	FWMark    uint32   `json:"fwmark,omitempty"`
	Scheduler string   `json:"scheduler"` // rr, wrr, lc, sh …
	Flags     []string `json:"flags"`     // persistent, hashed, ops (one packet), sched-1, sched-2, sched-3
	// Timeout of persistence in seconds.
	Timeout uint32 `json:"timeout,omitempty"`
	// Netmask is how much of a client's address counts for persistence, where not all: a mask of IPv4 ("255.255.255.0"), a
	// prefix length of IPv6 ("64").
	Netmask      string            `json:"netmask,omitempty"`
	PEName       string            `json:"pe,omitempty"`
	Stats        IPVSStats         `json:"stats"`
	Destinations []IPVSDestination `json:"destinations"`
}

// IPVSDestination is one real server.
type IPVSDestination struct {
	Addr netip.Addr `json:"addr"`
	// Port is 0 for the port asked for.
	Port   uint16 `json:"port"`
	Weight int32  `json:"weight"`
	Method string `json:"method"` // masq, tunnel, route, local, bypass
	// TunnelType is ipip, gue or gre, for method tunnel alone, as the next two; TunnelPort is UDP's, of gue.
	TunnelType  string   `json:"tunnel_type,omitempty"`
	TunnelPort  uint16   `json:"tunnel_port,omitempty"`
	TunnelFlags []string `json:"tunnel_flags"` // csum, remcsum
	Active      uint32   `json:"active"`
	Inactive    uint32   `json:"inactive"`
	// Persistent counts templates of persistent connections.
	Persistent     uint32    `json:"persistent,omitempty"`
	UpperThreshold uint32    `json:"upper_threshold,omitempty"`
	LowerThreshold uint32    `json:"lower_threshold,omitempty"`
	Stats          IPVSStats `json:"stats"`
}

// IPVSStats are counters since the service was made, and rates per second as the kernel estimates them.
type IPVSStats struct {
	Conns      uint64 `json:"conns"`
	InPackets  uint64 `json:"in_packets"`
	OutPackets uint64 `json:"out_packets"`
	InBytes    uint64 `json:"in_bytes"`
	OutBytes   uint64 `json:"out_bytes"`
	CPS        uint64 `json:"cps,omitempty"`
	InPPS      uint64 `json:"in_pps,omitempty"`
	OutPPS     uint64 `json:"out_pps,omitempty"`
	InBPS      uint64 `json:"in_bps,omitempty"`
	OutBPS     uint64 `json:"out_bps,omitempty"`
}
