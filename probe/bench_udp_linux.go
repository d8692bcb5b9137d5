package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// benchBatch is how many datagrams one call sends (UDP_MAX_SEGMENTS was 64 before Linux 6.9).
	benchBatch = 64
	// benchLate is how long datagrams may be on their way after the last one was sent.
	benchLate = 250 * time.Millisecond
)

// openUDP makes a socket of a bench. The kernel may split what is sent and join what comes (UDP_SEGMENT, UDP_GRO).
func (f *From) openUDP(o Options, addr netip.Addr) (*sock, error) {
	return f.open(domain(addr), unix.SOCK_DGRAM, 0, func(fd int) error {
		if err := o.setup(addr)(fd); err != nil {
			return err
		}
		// Within net.core.rmem_max and wmem_max; less only loses more.
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20)
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 2<<20)
		unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1)
		return nil
	})
}

// show tells the other end the way to this one.
func (e *benchEnd) show() error {
	var b [benchHeader]byte
	datagram{session: e.session, seq: benchShow}.put(b[:])
	return e.udp.sendTo(b[:], netip.AddrPort{})
}

// meet waits for the other end to show itself and connects to it.
func (e *benchEnd) meet(ctx context.Context) error {
	defer e.udp.interruptible(ctx)()
	buf := make([]byte, 1<<16)
	until := time.Now().Add(benchPatience)
	for ctx.Err() == nil {
		ev, err := e.udp.next(buf, until)
		if err != nil {
			return err
		}
		if d, ok := parseDatagram(ev.data); ok && d.session == e.session && d.seq == benchShow {
			return e.udp.control(func(fd int) error { return unix.Connect(fd, sockaddr(ev.from)) })
		}
	}
	return ctx.Err()
}

// udpSend sends datagrams for as long as it should, as fast as it may, and returns how many the kernel took.
func (e *benchEnd) udpSend(ctx context.Context) (int64, error) {
	if e.udp.peer() == (netip.AddrPort{}) {
		if err := e.meet(ctx); err != nil {
			return 0, errors.Join(errors.New("no datagram of the receiver came"), err)
		}
	}
	batch := min(benchBatch, 65000/e.size)
	if e.rate > 0 { // no more than a millisecond's worth at once
		batch = int(max(1, min(int64(batch), e.rate/8/1000/int64(e.size))))
	}
	if batch > 1 && e.udp.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, e.size) }) != nil {
		batch = 1
	}
	buf := make([]byte, max(1, batch)*e.size)
	started := time.Now()
	until := started.Add(e.dur)
	defer context.AfterFunc(ctx, func() { e.udp.file.SetWriteDeadline(time.Unix(1, 0)) })()
	e.udp.file.SetWriteDeadline(until)
	var seq uint64
	for ctx.Err() == nil {
		now := time.Now()
		if !now.Before(until) {
			break
		}
		if e.rate > 0 {
			due := time.Duration(float64(seq) * float64(e.size) * 8 / float64(e.rate) * float64(time.Second))
			if wait := due - now.Sub(started); wait > 0 {
				if sleep(ctx, min(wait, until.Sub(now))) != nil {
					break
				}
				continue
			}
		}
		for i := range batch {
			datagram{e.session, seq + uint64(i), int64(now.Sub(started))}.put(buf[i*e.size:])
		}
		err := e.udp.sendTo(buf, netip.AddrPort{})
		switch {
		case err == nil:
			seq += uint64(batch)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return int64(seq), nil
		case batch > 1 && (errors.Is(err, unix.EIO) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EMSGSIZE)):
			// The device cannot, or the datagrams do not fit the link: then each alone, and fragments.
			e.udp.control(func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, 0) })
			batch, buf = 1, buf[:e.size]
		case errors.Is(err, unix.ENOBUFS):
			if sleep(ctx, time.Millisecond) != nil {
				return int64(seq), nil
			}
		default:
			return int64(seq), err
		}
	}
	return int64(seq), nil
}

// udpReceive takes datagrams until the context ends, and a little longer what is on its way.
func (e *benchEnd) udpReceive(ctx context.Context, m *meter) (a arrivals) {
	buf := make([]byte, 1<<16)
	oob := make([]byte, 256)
	// Without a name the call allocates nothing.
	iov := unix.Iovec{Base: &buf[0]}
	iov.SetLen(len(buf))
	msg := unix.Msghdr{Iov: &iov, Iovlen: 1, Control: &oob[0]}
	stop := context.AfterFunc(ctx, func() { e.udp.file.SetReadDeadline(time.Now().Add(benchLate)) })
	defer stop()
	for {
		var got uintptr
		var errno unix.Errno
		err := e.udp.raw.Read(func(fd uintptr) bool {
			msg.SetControllen(len(oob))
			got, _, errno = unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&msg)), unix.MSG_DONTWAIT)
			for range 8 { // errors of packets that showed the way
				if errno != unix.ECONNREFUSED && errno != unix.EHOSTUNREACH && errno != unix.ENETUNREACH && errno != unix.EINTR {
					break
				}
				got, _, errno = unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&msg)), unix.MSG_DONTWAIT)
			}
			return errno != unix.EAGAIN
		})
		if err != nil || errno != 0 {
			return a
		}
		n := int(got)
		at, segment := arrival(oob[:min(len(oob), int(msg.Controllen))], n)
		counted := 0
		for off := 0; off < n; off += segment {
			b := buf[off:min(off+segment, n)]
			if d, ok := parseDatagram(b); ok && d.session == e.session && d.seq != benchShow {
				a.add(d, len(b), at, off == 0)
				counted += len(b)
			}
		}
		if counted > 0 {
			m.add(counted)
		}
	}
}

// arrival is when a packet came, by the kernel's clock in nanoseconds, and how long its parts are where the kernel joined some
// (UDP_GRO, udp(7)).
func arrival(oob []byte, n int) (at int64, segment int) {
	segment = max(1, n)
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SCM_TIMESTAMPNS && len(data) >= 16:
			at = int64(binary.NativeEndian.Uint64(data))*1e9 + int64(binary.NativeEndian.Uint64(data[8:]))
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			if s := int(binary.NativeEndian.Uint32(data)); s > 0 {
				segment = s
			}
		}
		oob = rest
	}
	if at == 0 {
		at = time.Now().UnixNano()
	}
	return at, segment
}

// peer is whom the socket is connected to, zero for nobody.
func (s *sock) peer() (a netip.AddrPort) {
	s.control(func(fd int) error {
		if sa, err := unix.Getpeername(fd); err == nil {
			a = addrPort(sa)
		}
		return nil
	})
	return a
}
