package probe

import (
	"errors"
	"io/fs"
	"net/netip"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
)

// watch hears every ICMP error that reaches FROM's namespace, also one that FROM's own kernel sends to itself. It tells
// who refused a connection where the socket's error queue does not. A nil watch hears nothing.
type watch struct {
	s  *sock
	v6 bool

	mu   sync.Mutex
	seen []watched
}

type watched struct {
	ev    event
	quote quote
}

// maxWatched bounds what a watch remembers.
const maxWatched = 4096

// watch opens one for IPv4 or IPv6, for a kind of probe. It needs CAP_NET_RAW; the error is a [NeedsError] without.
func (f *From) watch(kind string, v4 bool) (*watch, error) {
	family, proto, to := unix.AF_INET, unix.IPPROTO_ICMP, netip.IPv4Unspecified()
	if !v4 {
		family, proto, to = unix.AF_INET6, unix.IPPROTO_ICMPV6, netip.IPv6Unspecified()
	}
	s, err := f.open(family, unix.SOCK_RAW, proto, func(fd int) error {
		if err := onlyErrors(fd, v4); err != nil {
			return err
		}
		return Options{}.setup(to)(fd)
	})
	var entering *netns.OpError
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrPermission) && !errors.As(err, &entering):
		return nil, &NeedsError{Probe: kind, From: f.Name, Needs: "CAP_NET_RAW", Why: "to hear ICMP errors, before Linux 5.8", Err: err}
	default:
		return nil, openError(kind, f, Options{}, err)
	}
	return &watch{s: s, v6: !v4}, nil
}

// onlyErrors lets only ICMP errors through to a raw socket (linux/icmp.h, linux/icmpv6.h: a set bit blocks the type).
func onlyErrors(fd int, v4 bool) error {
	const icmpFilter, icmp6Filter, solRaw, solICMPv6 = 1, 1, 255, 58
	if v4 {
		pass := uint32(1<<icmpUnreachable | 1<<icmpExceeded | 1<<icmpParameter)
		return unix.SetsockoptInt(fd, solRaw, icmpFilter, int(int32(^pass)))
	}
	var block [8]uint32
	for i := range block {
		block[i] = ^uint32(0)
	}
	block[0] &^= 1<<icmp6Unreachable | 1<<icmp6TooBig | 1<<icmp6Exceeded | 1<<icmp6Parameter
	b := unsafe.Slice((*byte)(unsafe.Pointer(&block[0])), len(block)*4)
	return unix.SetsockoptString(fd, solICMPv6, icmp6Filter, string(b))
}

// Close ends the watch.
func (w *watch) Close() error {
	if w == nil {
		return nil
	}
	return w.s.Close()
}

// find is the first error since a time about a packet of a protocol from local to remote, nil where none was heard. A
// local or remote address without a port means any; of a quote that was cut before its ports only the addresses count.
func (w *watch) find(proto uint8, local, remote netip.AddrPort, since time.Time) *event {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	for i, x := range w.seen {
		if x.quote.Proto == proto && !x.ev.at.Before(since.Round(0)) && same(x.quote.Src, local) && same(x.quote.Dst, remote) {
			return &w.seen[i].ev
		}
	}
	return nil
}

func same(quoted, own netip.AddrPort) bool {
	return quoted.Addr() == own.Addr().WithZone("") && (quoted.Port() == own.Port() || quoted.Port() == 0 || own.Port() == 0)
}

// drain takes what came since, without waiting.
func (w *watch) drain() {
	buf := make([]byte, 2048)
	for range maxWatched {
		var ev event
		err := w.s.control(func(fd int) (err error) { ev, err = receiveFlags(fd, buf, 0); return err })
		if err == unix.EINTR {
			continue
		}
		if err == unix.EAGAIN || err != nil && !w.pending(err) {
			return
		}
		if err != nil {
			continue
		}
		b := ev.data
		if !w.v6 { // a raw IPv4 socket has the IP header in front
			if len(b) < 20 || len(b) < int(b[0]&15)*4 {
				continue
			}
			b = b[int(b[0]&15)*4:]
		}
		m, ok := parseICMP(w.v6, b)
		if !ok {
			continue
		}
		origin := uint8(unix.SO_EE_ORIGIN_ICMP)
		if w.v6 {
			origin = unix.SO_EE_ORIGIN_ICMP6
		}
		ev.icmp = &icmpError{origin: origin, typ: m.Type, code: m.Code, info: m.MTU, by: ev.from.Addr().WithZone("")}
		ev.data = nil
		if len(w.seen) == maxWatched {
			w.seen = w.seen[1:]
		}
		w.seen = append(w.seen, watched{ev, m.Quote})
	}
}

// pending tells an error that only means that there was one for an earlier packet.
func (w *watch) pending(err error) bool {
	class, _ := classifyErr(err)
	return class != Failed
}

// watchTCP tells whether TCP needs the watch: before Linux 5.8 a connecting TCP socket has no ICMP errors in its error queue
// (tcp_v4_err in net/ipv4/tcp_ipv4.c).
var watchTCP = sync.OnceValue(func() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return true
	}
	var major, minor int
	for i, field := 0, &major; i < len(u.Release); i++ {
		switch c := u.Release[i]; {
		case c >= '0' && c <= '9':
			*field = *field*10 + int(c-'0')
		case field == &major:
			field = &minor
		default:
			return major < 5 || major == 5 && minor < 8
		}
	}
	return true
})
