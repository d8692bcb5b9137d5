package text

import (
	"bytes"
	"net/netip"

	"github.com/nscope/nscope/capture/packet"
)

// Dir is a packet's direction at its interface.
type Dir uint8

// The directions.
const (
	Unknown Dir = iota
	In
	Out
)

func (d Dir) String() string { return [...]string{"", "in", "out"}[d] }

// Place is where packets were captured.
type Place struct {
	// Name is how people call it, "web/eth0"; Netns and Link its namespace and interface.
	Name, Netns, Link string
	// Description says more of it: its kind, its peer.
	Description string
	// Workload is the container's name, "" where the namespace is no container's.
	Workload string
	// Names gives an address's name as seen from here, "" for none.
	Names func(netip.Addr) string
	// Inside gives names as seen inside a tunnel with this VNI, nil for none.
	Inside func(vni uint32) func(netip.Addr) string
	// Own are the addresses of the namespace: whose other end is the peer.
	Own map[netip.Addr]bool
}

// Event is a captured packet.
type Event struct {
	*packet.Packet
	Nanos int64
	Dir   Dir
	Place *Place
	// Drop is how many packets were lost just before this one, because nobody fetched them from the kernel in time: of its interface, or where
	// DropShared of any of those that were captured together.
	Drop       uint64
	DropShared bool
}

// Clone is a copy that stays as it is when the event is used again.
func (e *Event) Clone() *Event {
	c := *e
	p := *e.Packet
	p.Data = bytes.Clone(p.Data)
	c.Packet = &p
	return &c
}

// name is the name of an address in the innermost headers.
func (e *Event) name(a netip.Addr) string {
	if e.Place == nil || !a.IsValid() {
		return ""
	}
	names := e.Place.Names
	if e.Place.Inside != nil && e.NT > 0 {
		if t := &e.Tunnels[e.NT-1]; t.HasVNI && t.Type != packet.ESPt {
			names = e.Place.Inside(t.VNI)
		}
	}
	if names == nil {
		return ""
	}
	return names(a)
}
