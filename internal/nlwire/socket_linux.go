package nlwire

import (
	"encoding/binary"
	"fmt"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bufLen is the receive buffer's size. The kernel builds each part of a dump as large as the last buffer that it saw,
// 32 KiB at most, so a larger one would only cost memory.
const bufLen = 32 << 10

var buffers = sync.Pool{New: func() any { return new([bufLen]byte) }}

// Socket is a netlink socket. It is bound for life to the namespace of the thread that opened it and may be used from
// any other. It serves one request at a time.
type Socket struct {
	fd  int
	seq uint32
	// secret has the receive buffer wiped after each answer.
	secret bool
}

// Open opens a socket of this netlink family in the calling thread's network namespace.
//
// Where a family is missing it may be asked of a module, which the kernel then loads: callers that must not load any
// look first.
func Open(family int) (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	// A connected socket takes messages from the kernel alone. (A process with CAP_NET_ADMIN in its own container could
	// send to an unconnected one that has a port in there.) It binds by itself.
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect netlink socket: %w", err)
	}
	// Old kernels lack both: errors are then without text, and requests are not checked strictly.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	if family == unix.NETLINK_ROUTE {
		_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	}
	// The kernel answers while it is asked: only an answer that cannot be understood would be waited for in vain.
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	return &Socket{fd: fd, secret: family == unix.NETLINK_XFRM}, nil
}

// Close closes the socket.
func (s *Socket) Close() error {
	if s == nil || s.fd < 0 {
		return nil
	}
	err := unix.Close(s.fd)
	s.fd = -1
	return err
}

// Do sends a request made by [NewRequest] and gives every message of the answer to fn, in order. The error is the kernel's
// ([*Error]), [ErrInterrupted] after a complete but unreliable dump, or one of the socket's.
func (s *Socket) Do(req []byte, fn func(Message)) error { return s.do(req, fn, new(bool)) }

func (s *Socket) do(req []byte, fn func(Message), stopped *bool) error {
	s.seq++
	binary.NativeEndian.PutUint32(req, uint32(len(req)))
	binary.NativeEndian.PutUint32(req[8:], s.seq)
	if err := s.send(req); err != nil {
		return err
	}
	buf := buffers.Get().(*[bufLen]byte)
	defer buffers.Put(buf)
	interrupted := false
	for {
		n, err := s.receive(buf[:])
		if err != nil {
			return err
		}
		if n > len(buf) {
			return ErrTruncated
		}
		done, intr, err := s.deliver(buf[:n], fn)
		if s.secret {
			clear(buf[:n])
		}
		interrupted = interrupted || intr
		switch {
		case err != nil:
			return err
		case *stopped:
			return nil
		case done && interrupted:
			return ErrInterrupted
		case done:
			return nil
		}
	}
}

// deliver gives the messages of one datagram to fn.
func (s *Socket) deliver(b []byte, fn func(Message)) (done, interrupted bool, err error) {
	for {
		m, seq, rest, ok := next(b)
		if !ok {
			return false, interrupted, nil
		}
		b = rest
		if seq != s.seq {
			continue // left over from a request that failed half-way
		}
		interrupted = interrupted || m.Flags&flagDumpIntr != 0
		switch m.Type {
		case typeNoop:
		case typeDone, typeError:
			return true, interrupted, failure(m)
		default:
			fn(m)
			if m.Flags&flagMulti == 0 {
				return true, interrupted, nil
			}
		}
	}
}

func (s *Socket) send(b []byte) error {
	for {
		_, err := unix.Write(s.fd, b)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("send netlink request: %w", err)
		}
		return nil
	}
}

// receive reads one datagram. n is its true length, which may exceed the buffer's: hence MSG_TRUNC, and the raw call,
// because unix.Recvfrom allocates an address each time.
func (s *Socket) receive(b []byte) (n int, err error) {
	for {
		r, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_TRUNC, 0, 0)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return 0, fmt.Errorf("receive netlink answer: %w", errno)
		}
	}
}

// DoWhile is [Socket.Do] until fn says false. What is left of the answer is then not read and the kernel's dump goes on waiting: the
// socket is of no more use but to be closed.
func (s *Socket) DoWhile(req []byte, fn func(Message) bool) error {
	stopped := false
	return s.do(req, func(m Message) {
		if !stopped {
			stopped = !fn(m)
		}
	}, &stopped)
}
