package bench

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// world is a host with n namespaces of one veth each on one bridge.
type world struct {
	host   *netlab.Space
	spaces []*netlab.Space
	all    []*netlab.Space
}

// close takes the namespaces away; a second time does nothing.
func (w *world) close() {
	for _, s := range w.all {
		s.Close()
	}
	w.all = nil
}

func newWorld(tb testing.TB, n int) *world {
	tb.Helper()
	nettest.NeedsRoot(tb)
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	w := &world{}
	tb.Cleanup(w.close)
	add := func(name string) *netlab.Space {
		s, err := netlab.New(name)
		must(err)
		w.all = append(w.all, s)
		return s
	}
	w.host = add("host")
	must(w.host.Bridge("br0", netip.MustParsePrefix("10.77.0.1/16")))
	for i := range n {
		s := add(fmt.Sprint("c", i))
		w.spaces = append(w.spaces, s)
		port := fmt.Sprint("v", i)
		must(w.host.Veth(port, s, "eth0"))
		// A bridge has 1023 ports at most (BR_PORT_BITS): the few beyond hang free.
		if i < 1000 {
			must(w.host.SetMaster(port, "br0"))
		}
		must(s.Addr("eth0", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, byte(1 + i>>8), byte(i)}), 16)))
		must(s.DefaultRoute(netip.MustParseAddr("10.77.0.1")))
	}
	return w
}

// bareLoop is the floor.
func (w *world) bareLoop(tb testing.TB) {
	buf := make([]byte, 64<<10)
	for _, s := range append([]*netlab.Space{w.host}, w.spaces...) {
		if err := dumpAll(s.Handle, buf); err != nil {
			tb.Fatal(err)
		}
	}
}

// dumps are the requests of the floor: message type, family, length of the message's fixed header.
var dumps = []struct {
	kind   uint16
	family byte
	size   int
}{
	{unix.RTM_GETLINK, unix.AF_UNSPEC, unix.SizeofIfInfomsg},
	{unix.RTM_GETADDR, unix.AF_UNSPEC, unix.SizeofIfAddrmsg},
	{unix.RTM_GETROUTE, unix.AF_UNSPEC, unix.SizeofRtMsg},
	{unix.RTM_GETRULE, unix.AF_UNSPEC, unix.SizeofRtMsg},
	{unix.RTM_GETNEIGH, unix.AF_UNSPEC, unix.SizeofNdMsg},
	{unix.RTM_GETNEIGH, unix.AF_BRIDGE, unix.SizeofNdMsg},
}

func dumpAll(h *netns.Handle, buf []byte) error {
	return h.Do(func() error {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for i, d := range dumps {
			req := make([]byte, unix.SizeofNlMsghdr+d.size)
			binary.NativeEndian.PutUint32(req, uint32(len(req)))
			binary.NativeEndian.PutUint16(req[4:], d.kind)
			binary.NativeEndian.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
			binary.NativeEndian.PutUint32(req[8:], uint32(i))
			req[unix.SizeofNlMsghdr] = d.family
			if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
				return err
			}
			for done := false; !done; {
				n, _, err := unix.Recvfrom(fd, buf, 0)
				if err != nil {
					return err
				}
				// Only the types are looked at, to find the end.
				for b := buf[:n]; len(b) >= unix.SizeofNlMsghdr; {
					size := int(binary.NativeEndian.Uint32(b))
					if t := binary.NativeEndian.Uint16(b[4:]); t == unix.NLMSG_DONE || t == unix.NLMSG_ERROR {
						done = true
					}
					b = b[min(len(b), (size+3)&^3):]
				}
			}
		}
		return nil
	})
}
