package probe

import "time"

// Bounds of [MTU].
const (
	// mtuGrid is how many sizes are tried at once, mtuTries how often each size at the border is.
	mtuGrid  = 8
	mtuTries = 3
	// mtuProbes bounds all requests, mtuTime all of it.
	mtuProbes = 250
	mtuTime   = 20 * time.Second
	// mtuWait is how long a size may be silent before the search goes on without it, at the least; at the border a size has
	// the whole timeout. mtuRTTs is the same as a multiple of the slowest answer.
	mtuWait = 200 * time.Millisecond
	mtuRTTs = 10
)

// PathMTU is what MTU found. Sizes are lengths of IP packets in bytes, headers included.
type PathMTU struct {
	// Interface is the MTU of the link that the packets leave by, Link its name where it is known.
	Interface int    `json:"interface"`
	Link      string `json:"link,omitempty"`
	// Kernel is the path MTU that FROM's kernel assumed for TO before the probe, KernelAfter the one afterwards: lower than
	// Interface where an ICMP error or the route says so. 0: not known.
	Kernel      int `json:"kernel,omitempty"`
	KernelAfter int `json:"kernel_after,omitempty"`
	// Largest is the largest size that was answered, Smallest the smallest above it that was not; 0 where there is none.
	Largest  int `json:"largest"`
	Smallest int `json:"smallest,omitempty"`
	// BlackHole tells that Smallest and what is larger vanishes without a "too big".
	BlackHole bool `json:"black_hole"`
	// Limits are the ICMP errors "too big": By is the router, MTU what it said, Size what it was said to; one for each router
	// and MTU, in the order in which they came. Never null.
	Limits []Attempt `json:"limits"`
	// Sizes are all that were tried, ascending. Never null.
	Sizes []MTUSize `json:"sizes"`
}

// MTUSize is a size and what became of it.
type MTUSize struct {
	Size     int `json:"size"`
	Sent     int `json:"sent"`
	Answered int `json:"answered"`
	// Class is OK where one was answered, else that of the error, else timeout; By is who sent the error, Reason its name.
	Class  Class  `json:"class"`
	Reason string `json:"reason,omitempty"`
}
