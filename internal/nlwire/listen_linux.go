package nlwire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// listenAllNSID is NETLINK_LISTEN_ALL_NSID, as a socket option and as the type of the control message that carries the nsid.
const listenAllNSID = 8

// ErrLost tells that the kernel had more to say than there was room for: what was said meanwhile is lost (ENOBUFS).
var ErrLost = errors.New("netlink events were lost")

// Listener is a socket that hears what the kernel tells to groups. It never blocks. As every socket it keeps the namespace
// that it was opened in, which does not end as long as it is open.
type Listener struct {
	fd int
	// All tells that it hears of every namespace that has an nsid in its own.
	All bool
}

// Listen opens one in the calling thread's network namespace and joins these groups. With all it wants to hear of every
// namespace that has an nsid here, which needs CAP_NET_BROADCAST: where that is missing, All of the result is false. A group
// that this kernel does not know is left out. room is how many bytes may wait to be received, 0 for the kernel's default.
func Listen(family int, all bool, room int, groups ...int) (*Listener, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, family)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	l := &Listener{fd: fd}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		l.Close()
		return nil, fmt.Errorf("bind netlink socket: %w", err)
	}
	if all {
		l.All = unix.SetsockoptInt(fd, unix.SOL_NETLINK, listenAllNSID, 1) == nil
	}
	if room > 0 && unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, room) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, room)
	}
	for _, g := range groups {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g); err != nil && err != unix.EINVAL {
			l.Close()
			return nil, fmt.Errorf("join netlink group %d: %w", g, err)
		}
	}
	return l, nil
}

// FD is the descriptor, to be polled.
func (l *Listener) FD() int { return l.fd }

// Close closes the socket.
func (l *Listener) Close() error { return unix.Close(l.fd) }

// Receive gives the messages of one datagram to fn; buf is room for it. nsid is the one of the namespace that they are from,
// in the Listener's own, and own tells that they are from that itself. The error is [ErrLost], or EAGAIN where nothing waits.
func (l *Listener) Receive(buf []byte, fn func(nsid int, own bool, m Message)) error {
	var control [64]byte
	n, cn, flags, from, err := unix.Recvmsg(l.fd, buf, control[:], 0)
	switch {
	case err == unix.ENOBUFS || err == nil && flags&unix.MSG_TRUNC != 0:
		return ErrLost
	case err != nil:
		return err
	}
	// Root of a container may send to groups in its namespace too: only the kernel's word counts.
	if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
		return nil
	}
	nsid, own := 0, true
	if cn > 0 {
		list, err := unix.ParseSocketControlMessage(control[:cn])
		if err != nil {
			return err
		}
		for _, c := range list {
			if c.Header.Level == unix.SOL_NETLINK && c.Header.Type == listenAllNSID && len(c.Data) >= 4 {
				nsid, own = int(int32(binary.NativeEndian.Uint32(c.Data))), false
			}
		}
	}
	for b := buf[:n]; ; {
		m, _, rest, ok := next(b)
		if !ok {
			return nil
		}
		b = rest
		fn(nsid, own, m)
	}
}
