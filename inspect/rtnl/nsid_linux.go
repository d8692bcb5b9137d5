package rtnl

import (
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// NSIDOf asks which id the Conn's namespace has for the one that fd is open on (an nsfs file); [ErrNoNSID] where it has
// none.
func (c *Conn) NSIDOf(fd int) (nsid int, err error) {
	req := nlwire.NewRequest(unix.RTM_GETNSID, 0, make([]byte, rtgenmsgLen))
	return c.askNSID(nlwire.AppendU32(req, netnsaFD, uint32(fd)))
}

// NSIDIn asks which id the namespace target has for the namespace nsid. Both numbers are ids of the Conn's namespace.
// [ErrNoNSID] where it has none. Needs CAP_NET_ADMIN in the user namespace that owns target.
func (c *Conn) NSIDIn(target, nsid int) (int, error) {
	req := nlwire.NewRequest(unix.RTM_GETNSID, 0, make([]byte, rtgenmsgLen))
	req = nlwire.AppendU32(req, netnsaNSID, uint32(nsid))
	return c.askNSID(nlwire.AppendU32(req, netnsaTargetNSID, uint32(target)))
}

func (c *Conn) askNSID(req []byte) (int, error) {
	asked.Add(1)
	nsid := notAssigned
	err := c.route.Do(req, func(m nlwire.Message) {
		if n, _, ok := decodeNSID(m.Data); ok && m.Type == unix.RTM_NEWNSID {
			nsid = n
		}
	})
	if err == nil && nsid == notAssigned {
		err = ErrNoNSID
	}
	if err != nil {
		return notAssigned, &Error{"nsid", err}
	}
	return nsid, nil
}

// Translation is one namespace as two others number it.
type Translation struct {
	// There is its id in the namespace that was asked about, Here that in the Conn's own, -1 for none.
	There, Here int
}

// NSIDsIn lists the ids that the namespace target (an id of the Conn's) has for others, with the Conn's own id for each.
// Needs CAP_NET_ADMIN in the user namespace that owns target.
func (c *Conn) NSIDsIn(target int) ([]Translation, error) {
	asked.Add(1)
	req := nlwire.AppendU32(append([]byte(nil), dumpNSIDs...), netnsaTargetNSID, uint32(target))
	out, err := dump(c.route, req, unix.RTM_NEWNSID, 4, func(b []byte, t *Translation) (ok bool) {
		t.There, t.Here, ok = decodeNSID(b)
		return ok
	})
	if err != nil {
		err = &Error{"nsids of another namespace", err}
	}
	return out, err
}

// LinksIn reads the links, with addresses, of the namespace that the Conn's knows as nsid: a namespace that no file leads
// to. Needs CAP_NET_ADMIN in the user namespace that owns it.
//
// The kernel numbers a link's peer ([snapshot.Peer.NSID]) by the ids of the Conn's own namespace, not by those of the
// namespace that the link is in; absent still means that the peer is beside the link.
func (c *Conn) LinksIn(nsid int) ([]snapshot.Link, error) {
	links, err := c.links(&nsid, nil)
	if err == nil {
		err = c.addrs(links, &nsid)
	}
	if err != nil {
		err = &Error{"links of another namespace", err}
	}
	return links, err
}

// LinkIn reads one link, without addresses, as LinksIn does.
func (c *Conn) LinkIn(nsid, index int) (snapshot.Link, error) {
	req := nlwire.NewRequest(unix.RTM_GETLINK, 0, make([]byte, ifInfomsgLen))
	putInt32(req[20:], index) // ifi_index, behind the netlink header
	req = nlwire.AppendU32(req, iflaTargetNetnsid, uint32(nsid))
	var l snapshot.Link
	found := false
	err := c.route.Do(req, func(m nlwire.Message) {
		if m.Type == unix.RTM_NEWLINK {
			found = decodeLink(m.Data, &l)
		}
	})
	if err == nil && !found {
		err = unix.ENODEV
	}
	if err != nil {
		return snapshot.Link{}, &Error{"link of another namespace", err}
	}
	return l, nil
}
