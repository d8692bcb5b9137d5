package probe

import (
	"net/netip"
	"time"
)

// Defaults of [ARP].
const (
	arpCount    = 3
	arpInterval = 200 * time.Millisecond
	arpTimeout  = 500 * time.Millisecond
	// arpMACs is how many hardware addresses are remembered.
	arpMACs = 256
)

// ARPAnswers is what ARP found beside its attempts.
type ARPAnswers struct {
	// Links are those that were asked on. Never null.
	Links []ARPLink `json:"links"`
	// OnLink tells that the address is on the subnet of one of them, Own that it is FROM's own: then whoever answers has it too.
	OnLink bool `json:"on_link"`
	Own    bool `json:"own"`
	// Answers are in the order in which the hardware addresses were first heard. Never null.
	Answers []ARPAnswer `json:"answers"`
	// Known is what FROM's own neighbour table had for the address before it was asked, by link. Never null.
	Known []ARPKnown `json:"known"`
}

// ARPLink is a link that was asked on.
type ARPLink struct {
	Iface string `json:"iface"`
	Index int    `json:"index"`
	MAC   string `json:"mac"`
	// Src is the sender's address in the requests; zero where none was told, so that nobody learns from them.
	Src netip.Addr `json:"src,omitzero"`
}

// ARPAnswer is one hardware address that answered for the address on one link.
type ARPAnswer struct {
	Iface string `json:"iface"`
	MAC   string `json:"mac"`
	// Names are whose it is, empty where nobody is known. Own tells that it is of another link of FROM's. Never null.
	Names []string `json:"names"`
	Own   bool     `json:"own,omitempty"`
	// Count is how often it answered, MS the time from the last request to its first answer.
	Count int `json:"count"`
	MS    MS  `json:"ms"`
	// Heard is how often it used the address in a request of its own.
	Heard int `json:"heard,omitempty"`
	// FrameMAC is the source of the frame where it is not MAC: somebody answers for another.
	FrameMAC string `json:"frame_mac,omitempty"`
	// Router is that flag of a neighbour advertisement.
	Router bool `json:"router,omitempty"`
}

// ARPKnown is an entry of a neighbour table.
type ARPKnown struct {
	Iface string `json:"iface"`
	MAC   string `json:"mac,omitempty"`
	State string `json:"state"` // as `ip neigh` names it
}
