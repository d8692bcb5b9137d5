package snapshot

import "net/netip"

// IPVSConn is one connection that IPVS forwards (ipvsadm -Lc). No snapshot holds any: they are read when asked for.
type IPVSConn struct {
	// Protocol is tcp, udp, sctp, or ip for the template of a persistent service by mark.
	Protocol string         `json:"proto"`
	Client   netip.AddrPort `json:"client"` // port 0 for a template: any of the client's
	// Virtual is what the client asked for; in a template of a service by mark, the mark as an address.
	Virtual netip.AddrPort `json:"virtual"`
	// Destination is the real server that it was given to.
	Destination netip.AddrPort `json:"destination"`
	State       string         `json:"state"` // the kernel's: ESTABLISHED, FIN_WAIT, UDP, NONE …
	// Expires is how many seconds remain when no packet comes.
	Expires uint32 `json:"expires_s"`
}
