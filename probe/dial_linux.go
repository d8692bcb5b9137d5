package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// DialError is a connection that did not come about.
type DialError struct {
	To     netip.AddrPort
	Class  Class
	Reason string
	Err    error
}

func (e *DialError) Error() string { return fmt.Sprintf("%v: %s", e.To, or(e.Reason, string(e.Class))) }
func (e *DialError) Unwrap() error { return e.Err }

// Dial connects from inside the namespace: network is "tcp" or "udp". The connection is used outside like any other. The
// error is a [DialError], except where the socket could not be made.
func (f *From) Dial(ctx context.Context, network string, to netip.AddrPort, o Options) (net.Conn, error) {
	typ := unix.SOCK_STREAM
	if network == "udp" {
		typ = unix.SOCK_DGRAM
	}
	s, err := f.open(domain(to.Addr()), typ, 0, o.setup(to.Addr()))
	if err != nil {
		return nil, err
	}
	defer s.Close() // net.FileConn has its own copy
	if err := s.connect(ctx, to); err != nil {
		class, reason := classifyErr(err)
		return nil, &DialError{To: to, Class: class, Reason: reason, Err: err}
	}
	return net.FileConn(s.file)
}

// connect connects and waits for it until the context ends.
func (s *sock) connect(ctx context.Context, to netip.AddrPort) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := s.control(func(fd int) error { return unix.Connect(fd, sockaddr(to)) })
	if err == nil || err != unix.EINPROGRESS {
		return os.NewSyscallError("connect", err)
	}
	defer s.interruptible(ctx)()
	var soErr int
	e := s.raw.Write(func(fd uintptr) bool {
		// That the poller woke says little: a socket that is not connected yet is writable for it (POLLOUT|POLLHUP), and that may be heard of late. To
		// wait without having looked would be wrong too: what it waits for may have passed.
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, _ := unix.Poll(p, 0); n <= 0 {
			return false
		}
		soErr, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		return true
	})
	if e != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return e
	}
	if err == nil && soErr != 0 {
		err = unix.Errno(soErr)
	} else if err != nil && err != unix.EINPROGRESS {
		return os.NewSyscallError("connect", err)
	} else {
		err = nil
	}
	return os.NewSyscallError("connect", err)
}
