package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sock is a socket of another namespace, used by Go's poller from this one: waiting costs no thread.
type sock struct {
	file *os.File
	raw  syscall.RawConn
}

// open makes a socket in the namespace. setup runs inside it, on the fresh descriptor, and may be nil.
func (f *From) open(domain, typ, proto int, setup func(fd int) error) (*sock, error) {
	fd := -1
	err := f.NS.Do(func() (err error) {
		fd, err = socketIn(domain, typ, proto, setup)
		return err
	})
	if err != nil {
		return nil, err
	}
	return newSock(fd)
}

// socketIn makes a socket in the calling thread's namespace.
func socketIn(domain, typ, proto int, setup func(fd int) error) (int, error) {
	fd, err := unix.Socket(domain, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if setup != nil {
		if err := setup(fd); err != nil {
			unix.Close(fd)
			return -1, err
		}
	}
	return fd, nil
}

// newSock takes over a nonblocking descriptor.
func newSock(fd int) (*sock, error) {
	file := os.NewFile(uintptr(fd), "socket")
	raw, err := file.SyscallConn()
	if err == nil {
		err = file.SetDeadline(time.Time{}) // fails unless the poller took it
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &sock{file, raw}, nil
}

func (s *sock) Close() error { return s.file.Close() }

// control runs f with the descriptor.
func (s *sock) control(f func(fd int) error) error {
	var err error
	if e := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); e != nil {
		return e
	}
	return err
}

// interruptible makes what waits on the socket return when the context ends. Call the result when done.
func (s *sock) interruptible(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { s.file.SetDeadline(time.Unix(1, 0)) })
}

// sendTo sends one packet; to is ignored on a connected socket when it is not valid.
func (s *sock) sendTo(b []byte, to netip.AddrPort) error {
	var sa unix.Sockaddr
	if to.IsValid() {
		sa = sockaddr(to)
	}
	var err error
	e := s.raw.Write(func(fd uintptr) bool {
		for range 2 {
			_, err = unix.SendmsgN(int(fd), b, nil, sa, unix.MSG_NOSIGNAL)
			// An ICMP error that came before is told by the next call: the packet was not sent. It stays in the error queue.
			if !pendingError(err) {
				break
			}
		}
		return err != unix.EAGAIN
	})
	if e != nil {
		return e
	}
	if err != nil {
		return os.NewSyscallError("send", err)
	}
	return nil
}

// pendingError tells the errors that the kernel keeps of earlier packets (sk_err).
func pendingError(err error) bool { return err == unix.ECONNREFUSED || err == unix.EPROTO }

// event is what a socket had to say: a packet, or with icmp set an ICMP error or a local one of the error queue.
type event struct {
	data []byte // of an error: the packet that caused it, from the transport's header on
	from netip.AddrPort
	at   time.Time // the kernel's receive time, where SO_TIMESTAMPNS is on
	ttl  int       // where IP_RECVTTL is on
	icmp *icmpError
}

// icmpError is struct sock_extended_err (linux/errqueue.h).
type icmpError struct {
	errno     unix.Errno
	origin    uint8
	typ, code uint8
	info      uint32     // the next hop's MTU of a "too big"
	by        netip.Addr // who sent the ICMP error; zero for a local error
}

// v6 tells whether the error is ICMPv6's.
func (e *icmpError) v6() bool { return e.origin == unix.SO_EE_ORIGIN_ICMP6 }

// local tells that the kernel itself refused.
func (e *icmpError) local() bool { return e.origin == unix.SO_EE_ORIGIN_LOCAL }

// classify says what the error means and how it is called.
func (e *icmpError) classify() (Class, string) {
	if e.local() {
		return classifyErrno(e.errno)
	}
	return classifyICMP(e.v6(), e.typ, e.code)
}

// next waits for a packet or an error of the error queue, at most until the deadline (the zero time: for ever). At the
// deadline, or when the context of interruptible ended, the error is os.ErrDeadlineExceeded.
func (s *sock) next(buf []byte, deadline time.Time) (event, error) {
	if err := s.file.SetReadDeadline(deadline); err != nil {
		return event{}, err
	}
	var ev event
	var err error
	e := s.raw.Read(func(fd uintptr) bool {
		ev, err = receive(int(fd), buf)
		return err != unix.EAGAIN
	})
	if e != nil {
		return event{}, e
	}
	if err != nil {
		return event{}, os.NewSyscallError("recv", err)
	}
	return ev, nil
}

// receive reads the error queue first, then the data, without waiting.
func receive(fd int, buf []byte) (event, error) {
	for range 3 {
		if ev, err := receiveFlags(fd, buf, unix.MSG_ERRQUEUE); err == nil {
			if ev.icmp != nil {
				return ev, nil
			}
			continue // a timestamp or something else that was not asked for
		}
		ev, err := receiveFlags(fd, buf, 0)
		if err == nil || err == unix.EAGAIN {
			return ev, err
		}
		// sk_err of an ICMP error: what it is stands in the error queue, read in the next round.
		if !pendingError(err) && err != unix.EHOSTUNREACH && err != unix.ENETUNREACH && err != unix.EMSGSIZE && err != unix.EACCES && err != unix.ENOPROTOOPT && err != unix.EHOSTDOWN && err != unix.ENONET && err != unix.EOPNOTSUPP {
			return ev, err
		}
	}
	return event{}, unix.EAGAIN
}

func receiveFlags(fd int, buf []byte, flags int) (event, error) {
	var oob [512]byte
	n, oobn, _, sa, err := unix.Recvmsg(fd, buf, oob[:], flags|unix.MSG_DONTWAIT)
	if err != nil {
		return event{}, err
	}
	ev := event{data: buf[:n], at: time.Now(), from: addrPort(sa)}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return ev, nil
	}
	for _, m := range msgs {
		ev.control(m)
	}
	return ev, nil
}

func (ev *event) control(m unix.SocketControlMessage) {
	level, typ, b := m.Header.Level, m.Header.Type, m.Data
	switch {
	case level == unix.SOL_SOCKET && typ == unix.SCM_TIMESTAMPNS && len(b) >= 16:
		ev.at = time.Unix(int64(binary.NativeEndian.Uint64(b)), int64(binary.NativeEndian.Uint64(b[8:])))
	case level == unix.IPPROTO_IP && typ == unix.IP_TTL && len(b) >= 4,
		level == unix.IPPROTO_IPV6 && typ == unix.IPV6_HOPLIMIT && len(b) >= 4:
		ev.ttl = int(binary.NativeEndian.Uint32(b))
	case level == unix.IPPROTO_IP && typ == unix.IP_RECVERR && len(b) >= 16,
		level == unix.IPPROTO_IPV6 && typ == unix.IPV6_RECVERR && len(b) >= 16:
		ev.icmp = extendedError(b)
	}
}

// extendedError decodes struct sock_extended_err and the offender's address behind it.
func extendedError(b []byte) *icmpError {
	e := &icmpError{
		errno: unix.Errno(binary.NativeEndian.Uint32(b)), origin: b[4], typ: b[5], code: b[6], info: binary.NativeEndian.Uint32(b[8:]),
	}
	if e.origin == unix.SO_EE_ORIGIN_ICMP || e.origin == unix.SO_EE_ORIGIN_ICMP6 {
		e.by = rawSockaddr(b[16:])
	}
	return e
}

// rawSockaddr reads the address of a struct sockaddr_in or sockaddr_in6.
func rawSockaddr(b []byte) netip.Addr {
	if len(b) < 8 {
		return netip.Addr{}
	}
	switch family := binary.NativeEndian.Uint16(b); {
	case family == unix.AF_INET:
		return netip.AddrFrom4([4]byte(b[4:8]))
	case family == unix.AF_INET6 && len(b) >= 24:
		return netip.AddrFrom16([16]byte(b[8:24])).Unmap()
	}
	return netip.Addr{}
}

// sockaddr is the system's form of an address. A zone must be a number (an interface index).
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	ip := a.Addr().Unmap()
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: ip.As16()}
	fmt.Sscanf(ip.Zone(), "%d", &sa.ZoneId)
	return sa
}

// addrPort is the netip form; the zone of a link-local address is its interface's index.
func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.ZoneId != 0 && ip.Is6() {
			ip = ip.WithZone(fmt.Sprint(sa.ZoneId))
		}
		return netip.AddrPortFrom(ip, uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// local is the socket's own address.
func (s *sock) local() netip.AddrPort {
	var a netip.AddrPort
	s.control(func(fd int) error {
		if sa, err := unix.Getsockname(fd); err == nil {
			a = addrPort(sa)
		}
		return nil
	})
	return a
}

// domain is the socket family of an address.
func domain(a netip.Addr) int {
	if a.Unmap().Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// setup applies the options that all sockets have: interface, source, TTL, DF; and asks for the error queue, the TTL of what
// comes and the time when it came. It is for [From.open].
func (o Options) setup(to netip.Addr) func(fd int) error {
	return func(fd int) error {
		v4 := to.Unmap().Is4()
		set := func(level, opt, v int, what string) error {
			if err := unix.SetsockoptInt(fd, level, opt, v); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			return nil
		}
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		level, recvErr, recvTTL, ttl, pmtu := unix.IPPROTO_IP, unix.IP_RECVERR, unix.IP_RECVTTL, unix.IP_TTL, unix.IP_MTU_DISCOVER
		if !v4 {
			level, recvErr, recvTTL, ttl, pmtu = unix.IPPROTO_IPV6, unix.IPV6_RECVERR, unix.IPV6_RECVHOPLIMIT, unix.IPV6_UNICAST_HOPS, unix.IPV6_MTU_DISCOVER
		}
		if err := set(level, recvErr, 1, "error queue"); err != nil {
			return err
		}
		unix.SetsockoptInt(fd, level, recvTTL, 1)
		if o.Iface != "" {
			if err := unix.BindToDevice(fd, o.Iface); err != nil {
				return fmt.Errorf("interface %s: %w", o.Iface, err)
			}
		}
		if o.TTL > 0 {
			if err := set(level, ttl, o.TTL, "TTL"); err != nil {
				return err
			}
		}
		if o.DF {
			if err := set(level, pmtu, unix.IP_PMTUDISC_PROBE, "don't fragment"); err != nil {
				return err
			}
			if !v4 {
				// Without it the own kernel fragments what is larger than its link (__ip6_append_data).
				if err := set(level, unix.IPV6_DONTFRAG, 1, "don't fragment"); err != nil {
					return err
				}
			}
		}
		if o.Src.IsValid() || o.SrcPort != 0 {
			src := o.Src
			if !src.IsValid() {
				src = netip.IPv4Unspecified()
				if !v4 {
					src = netip.IPv6Unspecified()
				}
			}
			if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(src, o.SrcPort))); err != nil {
				return fmt.Errorf("source %v: %w", netip.AddrPortFrom(src, o.SrcPort), err)
			}
		}
		return nil
	}
}

// classifyErr says what an error of a socket call means and how it is called.
func classifyErr(err error) (Class, string) {
	var errno unix.Errno
	switch {
	case err == nil:
		return OK, ""
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return Timeout, ""
	case errors.As(err, &errno):
		return classifyErrno(errno)
	}
	return Failed, err.Error()
}

// classifyErrno says what the kernel of FROM means by an error.
func classifyErrno(errno unix.Errno) (Class, string) {
	switch errno {
	case unix.ECONNREFUSED:
		return Refused, "connection refused"
	case unix.ENETUNREACH:
		return NoRoute, "network is unreachable"
	case unix.EHOSTUNREACH:
		return Unreachable, "no route to host"
	case unix.EACCES, unix.EPERM:
		// An OUTPUT rule that drops gives EPERM, a prohibit route EACCES, a broadcast without SO_BROADCAST too.
		return Denied, errno.Error()
	case unix.EMSGSIZE:
		return TooBig, "message too long for the interface"
	case unix.ETIMEDOUT:
		return Timeout, "connection timed out"
	case unix.ECONNRESET, unix.EPIPE:
		return Reset, "connection reset"
	case unix.ENETDOWN:
		return NoRoute, "network is down"
	case unix.EHOSTDOWN:
		return Unreachable, "host is down"
	case unix.EINVAL:
		// A blackhole route (fib_rt_type in net/ipv4/fib_semantics.c).
		return NoRoute, "invalid argument (a blackhole route says so)"
	}
	return Failed, errno.Error()
}
