package rtnl

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// RouteTo asks which way a packet to dst would leave the namespace (RTM_GETROUTE, as `ip route get`): rules, tables and
// learned path MTUs are the kernel's own. Dst of the result is the one address; MTU is set only where it differs from the
// link's. The error wraps ENETUNREACH where there is no route, EHOSTUNREACH, EACCES, EINVAL where the route is unreachable,
// prohibit or blackhole.
func (c *Conn) RouteTo(dst netip.Addr) (snapshot.Route, error) {
	dst = dst.Unmap()
	hdr := make([]byte, rtmsgLen)
	hdr[0], hdr[1] = unix.AF_INET, byte(dst.BitLen())
	if dst.Is6() {
		hdr[0] = unix.AF_INET6
	}
	var out snapshot.Route
	found := false
	req := nlwire.AppendAttr(nlwire.NewRequest(unix.RTM_GETROUTE, 0, hdr), rtaDst, dst.WithZone("").AsSlice())
	err := c.route.Do(req, func(m nlwire.Message) {
		if m.Type != unix.RTM_NEWROUTE || len(m.Data) < rtmsgLen {
			return
		}
		// The kernel marks what it answers as an entry of the route cache, which the decoder leaves out.
		b := append([]byte(nil), m.Data...)
		binary.NativeEndian.PutUint32(b[8:], nlwire.U32(b[8:])&^rtmCloned)
		found = decodeRoute(b, &out) || found
	})
	if err == nil && !found {
		err = unix.ENETUNREACH
	}
	if err != nil {
		return out, &Error{"route to " + dst.String(), err}
	}
	return out, nil
}
