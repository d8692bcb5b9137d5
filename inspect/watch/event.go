package watch

import (
	"time"

	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
)

// Event is something that was heard.
type Event struct {
	At time.Time
	// In is the namespace in which it was, or where Far is set the one that has the number Via for that namespace, which nobody
	// has named yet. Empty for mounts and folders.
	In  snapshot.NSID
	Via int
	Far bool
	// Parts are what has to be read again.
	Parts rtnl.Part
	// Netfilter tells of a change of nftables.
	Netfilter bool
	// Names tells that namespaces may have come or gone: a mount, a file in a folder.
	Names bool
	// Lost tells that events were lost: of In alone, or where All is set of any.
	Lost, All bool
	// Found tells that it was not heard, but is what a reading found to be another.
	Found bool
	// Gone is set where something was removed.
	Gone bool
	// NSID is the number that came or went, of an event of Parts NSIDs.
	NSID int
	// Neighbor is a neighbour that came or changed.
	Neighbor *snapshot.Neighbor
}

// What rtnetlink calls its messages (rtnetlink.h).
const (
	newLink, delLink       = 16, 17
	newAddr, delAddr       = 20, 21
	newRoute, delRoute     = 24, 25
	newNeigh, delNeigh     = 28, 29
	newRule, delRule       = 32, 33
	newNSID, delNSID       = 88, 89
	newNextHop, delNextHop = 104, 105
	newVLAN, delVLAN       = 112, 113
)

// partsOf tells what a message of rtnetlink makes worth reading again. family is its first byte. It is none for one that says
// nothing that is read.
func partsOf(typ uint16, family byte) (parts rtnl.Part, gone bool) {
	const bridge = 7 // AF_BRIDGE
	switch typ {
	case newLink, delLink:
		// IPv4's routes go with a link that is set down, and the multicast addresses of its own FDB, and nobody says so.
		return rtnl.Links | rtnl.Routes | rtnl.FDB, typ == delLink
	case newAddr, delAddr:
		return rtnl.Links | rtnl.Routes | rtnl.FDB, typ == delAddr
	case newRoute, delRoute, newNextHop, delNextHop:
		return rtnl.Routes, typ == delRoute || typ == delNextHop
	case newNeigh, delNeigh:
		if family == bridge {
			return rtnl.FDB, typ == delNeigh
		}
		return rtnl.Neighbors, typ == delNeigh
	case newRule, delRule:
		return rtnl.Rules, typ == delRule
	case newNSID, delNSID:
		return rtnl.NSIDs, typ == delNSID
	case newVLAN, delVLAN:
		return rtnl.Links, typ == delVLAN
	}
	return 0, false
}
