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

// Conn is one entry of connection tracking (conntrack -L). No snapshot holds any: they are read when asked for.
type Conn struct {
	Family   string `json:"family"` // inet, inet6
	Protocol string `json:"proto"`  // tcp, udp, icmp, icmpv6, igmp, sctp, dccp, gre, esp, ah, udplite, or the number
	// Orig is the first packet's way, before any translation; Reply that of the answer, as it comes in: where it is not Orig
	// turned around, addresses are translated.
	Orig  ConnTuple `json:"orig"`
	Reply ConnTuple `json:"reply"`
	// State is that of tcp, sctp and dccp, as conntrack prints it: ESTABLISHED, TIME_WAIT …
	State string `json:"state,omitempty"`
	// Status: expected, seen-reply, assured, confirmed, snat, dnat, dying, fixed-timeout, helper, offload, hw-offload …
	Status []string `json:"status"`
	// Timeout is how many seconds remain when no packet comes; 0 for one that was offloaded.
	Timeout uint32 `json:"timeout_s"`
	Mark    uint32 `json:"mark"`
	// Zone is the conntrack zone, 0 for the default one.
	Zone uint16 `json:"zone,omitempty"`
	// Helper is the protocol's helper, as ftp.
	Helper string `json:"helper,omitempty"`
	// ID is the kernel's number of the entry, as long as it lives.
	ID uint32 `json:"id"`
}

// ConnTuple is one direction of a [Conn].
type ConnTuple struct {
	// Src and Dst have port 0 where the protocol has none.
	Src netip.AddrPort `json:"src"`
	Dst netip.AddrPort `json:"dst"`
	// ICMP is set for icmp and icmpv6 alone.
	ICMP *ConnICMP `json:"icmp,omitempty"`
	// Packets and Bytes are counted with net.netfilter.nf_conntrack_acct alone.
	Packets uint64 `json:"packets,omitempty"`
	Bytes   uint64 `json:"bytes,omitempty"`
}

// ConnICMP is what ICMP has instead of ports.
type ConnICMP struct {
	// ID is that of an echo request.
	ID uint16 `json:"id"`
	// Type and Code are ICMP's.
	Type uint8 `json:"type"`
	Code uint8 `json:"code"`
}

// Server is where the packets of the original direction really go: Orig.Dst, or what it is translated to.
func (c *Conn) Server() netip.AddrPort { return c.Reply.Src }

// DNAT tells whether the destination is translated.
func (c *Conn) DNAT() bool { return c.Reply.Src != c.Orig.Dst }

// SNAT tells whether the source is translated: the answer does not go where the question came from.
func (c *Conn) SNAT() bool { return c.Reply.Dst != c.Orig.Src }
