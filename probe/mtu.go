package probe

import "net/netip"

// PathMTU is what MTU found beside its attempts. Sizes are those of IP packets in bytes.
type PathMTU struct {
	// Interface is the MTU of the link that FROM sends by, Kernel what FROM's kernel has learned for the path (0: nothing).
	Interface int `json:"interface"`
	Kernel    int `json:"kernel,omitempty"`
	// Largest is the largest packet that passed, Fails the smallest that did not; 0 where there is none.
	Largest int `json:"largest"`
	Fails   int `json:"fails,omitempty"`
	// BlackHole tells that packets from Fails on vanish without an ICMP error; else By is the router that said so.
	BlackHole bool       `json:"black_hole,omitempty"`
	By        netip.Addr `json:"by,omitzero"`
	ByName    string     `json:"by_name,omitempty"`
}
