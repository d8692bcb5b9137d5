package rtnl

import (
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Stats reads the counters of one link of the Conn's namespace, or where nsid is not nil of that which it has this id for
// (which needs CAP_NET_ADMIN in the user namespace that owns it).
func (c *Conn) Stats(nsid *int, index int) (snapshot.LinkStats, error) {
	if nsid != nil {
		l, err := c.LinkIn(*nsid, index)
		return l.Stats, err
	}
	req := nlwire.NewRequest(unix.RTM_GETLINK, 0, make([]byte, ifInfomsgLen))
	putInt32(req[20:], index) // ifi_index, behind the netlink header
	var l snapshot.Link
	err := c.route.Do(req, func(m nlwire.Message) {
		if m.Type == unix.RTM_NEWLINK {
			decodeLink(m.Data, &l)
		}
	})
	if err != nil {
		return snapshot.LinkStats{}, &Error{"counters", err}
	}
	return l.Stats, nil
}

// DecodeNeighbor decodes the body of an RTM_NEWNEIGH or RTM_DELNEIGH message of IPv4 or IPv6.
func DecodeNeighbor(b []byte) (n snapshot.Neighbor, ok bool) {
	ok = decodeNeighbor(b, &n)
	return n, ok
}

// DecodeNSID decodes the id of an RTM_NEWNSID or RTM_DELNSID message.
func DecodeNSID(b []byte) (nsid int, ok bool) {
	nsid, _, ok = decodeNSID(b)
	return nsid, ok
}
