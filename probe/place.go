package probe

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/netns"
)

// From is where a probe asks from.
type From struct {
	// Name is what people call it.
	Name string
	// NS is its namespace, open as long as the probe runs. The zero handle is not allowed.
	NS *netns.Handle
	// PID is a process in it whose /etc/resolv.conf and /etc/hosts are those of FROM; 0 where there is none, then names
	// are resolved by the files of nscope's own mount namespace (a bare namespace has no files).
	PID int
	// Proc is where the host's /proc is mounted; "" means /proc.
	Proc string
	// UpstreamNS is where an engine's embedded DNS asks upstream from when it does not ask from the container; may be nil.
	UpstreamNS *netns.Handle
	// Upstreams are the servers that an engine's embedded DNS (127.0.0.11) forwards to, where the engine's files say so.
	Upstreams []netip.AddrPort
	// Links are those of the namespace as See knows them, for All; may be empty.
	Links []LinkInfo
}

// LinkInfo is what See knows of a link and of what it is plugged into.
type LinkInfo struct {
	Index int
	Name  string // "eth0 of web"
	MAC   string // as `ip link` prints it
	MTU   int    // bytes of an IP packet
	Addrs []netip.Addr
	// Peer is the other end of a veth pair ("veth1a2b of host"), "" where there is none or it is not known.
	Peer    string
	PeerMTU int
}

func (f *From) inode() uint64 {
	if f == nil || f.NS == nil {
		return 0
	}
	return f.NS.ID().Inode()
}

func (f *From) proc() string { return or(f.Proc, "/proc") }

// To is what a probe asks. Either Addrs are known (a TARGET, an address) or Host is a name that FROM's own resolver is asked
// for.
type To struct {
	// Asked is TO as it was given; Name is what See calls it, "" for what it does not know.
	Asked, Name string
	// Addrs are its addresses, the best one first: one on a network that FROM is on too, then the others.
	Addrs []netip.Addr
	Host  string
	// Port is where one is needed; 0 where none was given.
	Port uint16
	// NS is its namespace where it is on this host and could be opened; nil otherwise. Bench needs it.
	NS *netns.Handle
	// Names are names that FROM should be able to resolve to one of Addrs (a container's name and aliases, a service), for
	// All. Ports are the TCP ports to try there.
	Names []string
	Ports []Port
	// Links are those of TO's namespace as See knows them, for All; may be empty.
	Links []LinkInfo
	// PortsKnown tells that Ports holds every TCP port that TO listens on: then one that is not there is closed.
	PortsKnown bool
}

// Port is one that TO listens on or has published.
type Port struct {
	Port uint16
	// Listening tells that a socket is there; Why says where the port is known from ("published as 8080", "listening").
	Listening bool
	Why       string
}

// label is what a result's lines call TO.
func (t To) label() string { return or(t.Name, t.Host, t.Asked) }
