package snapshot

import (
	"fmt"
	"strconv"
	"strings"
)

// NSID identifies a network namespace within one snapshot.
//
// It is "<dev>:<ino>", the device and inode (decimal) of its nsfs file. A namespace that no file leads to and that is
// known only because another one has an nsid for it is "via:<dev>:<ino>/<nsid>", after that other one.
type NSID string

// MakeNSID makes the id of the namespace whose nsfs file has this device and inode.
func MakeNSID(dev, ino uint64) NSID {
	return NSID(strconv.FormatUint(dev, 10) + ":" + strconv.FormatUint(ino, 10))
}

// MakeViaNSID makes the id of a namespace known only as nsid in the namespace ref.
func MakeViaNSID(ref NSID, nsid int) NSID { return NSID(fmt.Sprintf("via:%s/%d", ref, nsid)) }

// Hidden tells whether the namespace is known only through another one's nsid.
func (id NSID) Hidden() bool { return strings.HasPrefix(string(id), "via:") }

// Inode returns the inode number, and 0 for a hidden namespace or a malformed id.
func (id NSID) Inode() uint64 {
	if id.Hidden() {
		return 0
	}
	_, ino, ok := strings.Cut(string(id), ":")
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(ino, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// Short is the id as people see it: the inode, or "via-<inode>-<nsid>" for a hidden namespace.
func (id NSID) Short() string {
	if id.Hidden() {
		ref, nsid, _ := strings.Cut(strings.TrimPrefix(string(id), "via:"), "/")
		return fmt.Sprintf("via-%d-%s", NSID(ref).Inode(), nsid)
	}
	if n := id.Inode(); n != 0 {
		return strconv.FormatUint(n, 10)
	}
	return string(id)
}
