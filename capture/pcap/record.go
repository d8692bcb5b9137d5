package pcap

import (
	"errors"
	"net/netip"
	"time"

	"github.com/nscope/nscope/capture/packet"
)

// MaxBlock is the longest block or packet that is read: 16 MiB, more than any capture tool writes.
const MaxBlock = 16 << 20

// ErrFormat tells that something is no capture file, or breaks its format.
var ErrFormat = errors.New("not a pcap or pcapng file")

// Dir is a packet's direction (pcapng's epb_flags, bits 0 and 1).
type Dir uint8

// The directions.
const (
	DirUnknown Dir = iota
	DirIn
	DirOut
)

// Record is one captured packet.
type Record struct {
	// Nanos is the time since 1970 in nanoseconds.
	Nanos int64
	// Interface indexes Reader.Interfaces.
	Interface int
	// Data are the captured bytes, Len how many there were on the wire.
	Data    []byte
	Len     int
	Dir     Dir
	Comment string
	// Drop is how many packets of the interface were lost before this one (pcapng's epb_dropcount).
	Drop uint64
}

// Time is Nanos as a time.
func (r *Record) Time() time.Time { return time.Unix(0, r.Nanos) }

// Interface describes where packets were captured.
type Interface struct {
	Name        string
	Description string
	Link        packet.LinkType
	// SnapLen is the most that is captured of a packet, 0 for all.
	SnapLen uint32
	// MAC is the interface's own, 6 bytes, or nil.
	MAC []byte
	// OS is what it was captured with: "Linux 6.18 (nscope)".
	OS     string
	Filter string

	// scale of time stamps: units per second, and an offset in seconds.
	perSecond uint64
	offset    int64
}

// Name is an address with a name, of a name resolution block.
type Name struct {
	Addr netip.Addr
	Name string
}

// Stats are an interface's counters at the end.
type Stats struct {
	Received, Dropped uint64
	// DropUnknown has Dropped left out.
	DropUnknown bool
	Comment     string
}
