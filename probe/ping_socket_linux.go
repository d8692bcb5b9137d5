package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/netns"
)

// echoToken is how many random bytes at the begin of a payload tell our packets from those of others.
const echoToken = 16

// icmpFilter is ICMP_FILTER (linux/icmp.h): a bit that is set blocks its type.
const icmpFilter = 1

// echoSock sends echo requests to one address and gets what belongs to them: replies, ICMP errors, errors of the own kernel.
// It is for one goroutine.
type echoSock struct {
	*sock
	raw, v6 bool
	dst     netip.Addr // the zone is a number
	id      uint16
	pattern []byte // the payload of the largest packet so far
	packet  []byte
	buf     []byte
	stop    func() bool
	// src is the address that packets to dst have; zero where the kernel has no route.
	src netip.Addr
	// strange counts replies with our identifier and without our token.
	strange int
}

// echoEvent is what came back for one packet.
type echoEvent struct {
	seq  uint16
	at   time.Time
	from netip.Addr
	ttl  int
	// payload is that of a reply, until the next call.
	payload []byte
	icmp    *icmpError // nil for a reply
}

// newEcho opens a socket for echo requests to an address: one that needs no privilege where the namespace's
// ping_group_range allows it, else a raw one.
func (f *From) newEcho(ctx context.Context, kind string, addr netip.Addr, o Options) (*echoSock, error) {
	addr = addr.Unmap()
	e := &echoSock{v6: addr.Is6(), dst: addr}
	o.SrcPort = 0 // the identifier of a datagram socket: the kernel's choice
	if o.TTL < 0 || o.TTL > 255 {
		return nil, optionf("a TTL is 1 to 255, not %d", o.TTL)
	}
	if o.Src.IsValid() && o.Src.Unmap().Is4() == e.v6 {
		return nil, optionf("the source address %v is not of %v's family", o.Src, addr)
	}
	if addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "" && o.Iface == "" {
		return nil, optionf("%v is a link-local address: name the interface (--iface)", addr)
	}
	fd := -1
	err := f.NS.Do(func() (err error) { fd, err = e.openIn(o); return err })
	if err == nil {
		e.sock, err = newSock(fd)
	}
	if err != nil {
		return nil, f.echoError(kind, addr, o, err)
	}
	e.pattern = make([]byte, echoToken)
	rand.Read(e.pattern)
	if e.raw {
		var id [2]byte
		rand.Read(id[:])
		e.id = binary.BigEndian.Uint16(id[:])
	} else {
		e.id = e.local().Port()
	}
	e.stop = e.interruptible(ctx)
	return e, nil
}

// Close closes the socket.
func (e *echoSock) Close() error {
	e.stop()
	return e.sock.Close()
}

// errNoIface marks an interface that is not there.
var errNoIface = errors.New("no such interface")

// openIn makes the socket in the calling thread's namespace, and finds the source address.
func (e *echoSock) openIn(o Options) (int, error) {
	domain, proto, any := unix.AF_INET, unix.IPPROTO_ICMP, netip.IPv4Unspecified()
	if e.v6 {
		domain, proto, any = unix.AF_INET6, unix.IPPROTO_ICMPV6, netip.IPv6Unspecified()
	}
	common := func(fd int) error {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
		if err := e.scope(fd); err != nil {
			return err
		}
		return o.setup(e.dst)(fd)
	}
	fd, err := socketIn(domain, unix.SOCK_DGRAM, proto, func(fd int) error {
		if err := common(fd); err != nil || o.Src.IsValid() {
			return err
		}
		// The kernel gives the identifier with the address.
		return unix.Bind(fd, sockaddr(netip.AddrPortFrom(any, 0)))
	})
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPROTONOSUPPORT) {
		e.raw = true
		fd, err = socketIn(domain, unix.SOCK_RAW, proto, func(fd int) error {
			// Everything else that comes to this namespace would only fill the buffer.
			if err := e.filter(fd); err != nil {
				return err
			}
			return common(fd)
		})
	}
	if err != nil {
		return -1, err
	}
	e.src = e.source(o)
	return fd, nil
}

// filter lets only echo replies through.
func (e *echoSock) filter(fd int) error {
	if !e.v6 {
		return unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, ^(1 << icmpEchoReply))
	}
	var f unix.ICMPv6Filter
	for i := range f.Data {
		f.Data[i] = ^uint32(0)
	}
	f.Data[icmp6EchoReply/32] &^= 1 << (icmp6EchoReply % 32)
	return unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &f)
}

// scope makes of a zone's name, which is one of the namespace, the number that sockets take.
func (e *echoSock) scope(fd int) error {
	zone := e.dst.Zone()
	if _, err := strconv.Atoi(zone); zone == "" || err == nil {
		return nil
	}
	r, err := unix.NewIfreq(zone)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, r)
	}
	if err != nil {
		return fmt.Errorf("%w %s", errNoIface, zone)
	}
	e.dst = e.dst.WithZone(strconv.Itoa(int(r.Uint32())))
	return nil
}

// source asks the kernel which address a packet would have: a UDP socket that is connected sends nothing.
func (e *echoSock) source(o Options) netip.Addr {
	domain := domain(e.dst)
	fd, err := socketIn(domain, unix.SOCK_DGRAM, 0, o.setup(e.dst))
	if err != nil {
		return netip.Addr{}
	}
	defer unix.Close(fd)
	if unix.Connect(fd, sockaddr(netip.AddrPortFrom(e.dst, 9))) != nil {
		return netip.Addr{}
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.Addr{}
	}
	return addrPort(sa).Addr().WithZone("")
}

// echoError says what kept the socket from being opened.
func (f *From) echoError(kind string, addr netip.Addr, o Options, err error) error {
	var enter *netns.OpError
	switch {
	case errors.As(err, &enter):
		return err
	case errors.Is(err, errNoIface):
		return optionf("%s has %v", f.Name, err)
	case o.Iface != "" && errors.Is(err, unix.ENODEV):
		return optionf("%s has no interface %s", f.Name, o.Iface)
	case o.Src.IsValid() && (errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV)):
		return optionf("%v is not an address of %s", o.Src, f.Name)
	case errors.Is(err, unix.EAFNOSUPPORT):
		return fmt.Errorf("%s to %v: the kernel has no IPv6: %w", kind, addr, err)
	case errors.Is(err, fs.ErrPermission):
		return &NeedsError{
			Probe: kind, From: f.Name, Needs: "CAP_NET_RAW", Why: "raw ICMP sockets",
			Or: "a net.ipv4.ping_group_range of that namespace that has this process's group", Err: err,
		}
	}
	return fmt.Errorf("%s from %s: %w", kind, f.Name, err)
}

// payload is the n bytes that a request carries: the token and a pattern. It is the same for every packet of a socket, so
// that what comes back can be compared.
func (e *echoSock) payload(n int) []byte {
	for i := len(e.pattern); i < n; i++ {
		e.pattern = append(e.pattern, byte(i))
	}
	return e.pattern[:n]
}

// refusal is an error of FROM's own kernel: the packet was not sent.
type refusal struct {
	err error
	// mtu is the limit that the packet is over, 0 where it is not about that.
	mtu int
}

// send sends a request with size bytes of payload. It returns when it was handed over; refused is not nil where the kernel
// did not take it. What the error queue held by then goes to seen.
func (e *echoSock) send(seq uint16, size int, seen func(echoEvent)) (at time.Time, refused *refusal) {
	e.packet = appendEcho(e.packet[:0], e.v6, e.id, seq, e.payload(size))
	var err error
	for range 4 {
		// An ICMP error that came for an earlier packet leaves its errno in the socket, and the next call of any kind returns
		// it. Reading it from the error queue clears it (sock_dequeue_err_skb in net/core/skbuff.c).
		e.drainErrors(seen)
		at = time.Now()
		if err = e.sendTo(e.packet, netip.AddrPortFrom(e.dst, 0)); err == nil {
			return at, nil
		}
		mtu, others := e.drainErrors(seen)
		if mtu > 0 {
			return at, &refusal{err, mtu}
		}
		// An error that came between the two calls was taken for this packet's: it has not been sent.
		if !others {
			break
		}
	}
	return at, &refusal{err: err}
}

// drainErrors empties the error queue. mtu is that of a local "message too long" of the packet just sent, which is no event;
// others tells that an ICMP error was there.
func (e *echoSock) drainErrors(seen func(echoEvent)) (mtu int, others bool) {
	for range 1000 {
		var ev event
		err := e.control(func(fd int) (err error) { ev, err = receiveFlags(fd, e.buffer(), unix.MSG_ERRQUEUE); return err })
		if err != nil || ev.icmp == nil {
			return mtu, others
		}
		if ev.icmp.local() {
			if ev.icmp.errno == unix.EMSGSIZE {
				mtu = int(ev.icmp.info)
			}
			continue
		}
		others = true
		if got, ok := e.match(ev); ok {
			seen(got)
		}
	}
	return mtu, others
}

func (e *echoSock) buffer() []byte {
	if e.buf == nil {
		e.buf = make([]byte, 1<<16+100)
	}
	return e.buf
}

// try returns what is there already; ok false when nothing is.
func (e *echoSock) try() (ev echoEvent, ok bool) {
	for range 1000 { // what belongs to others is skipped
		var got event
		err := e.control(func(fd int) (err error) { got, err = receive(fd, e.buffer()); return err })
		if err != nil {
			return ev, false
		}
		if ev, ok = e.match(got); ok {
			return ev, true
		}
	}
	return ev, false
}

// wait returns when something is there or at the deadline, whichever is first; at the context's end at once.
func (e *echoSock) wait(ctx context.Context, deadline time.Time) (ev echoEvent, ok bool) {
	for range 1000 {
		if ctx.Err() != nil {
			return ev, false
		}
		// The context may end just before the deadline is set, which would undo what its end has set.
		got, err := e.next(e.buffer(), earlier(deadline, time.Now().Add(200*time.Millisecond)))
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if !time.Now().Before(deadline) {
				return ev, false
			}
		case err != nil:
			// The interface went down or the like: the socket goes on living, the next packet tells.
			if sleep(ctx, time.Millisecond) != nil || !time.Now().Before(deadline) {
				return ev, false
			}
		default:
			if ev, ok = e.match(got); ok {
				return ev, true
			}
		}
	}
	return ev, false
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// match finds out whether an event belongs to a packet of this socket: identifier and token are ours.
func (e *echoSock) match(ev event) (echoEvent, bool) {
	out := echoEvent{at: ev.at, from: ev.from.Addr(), ttl: ev.ttl, icmp: ev.icmp}
	m, ok := parseEchoMessage(ev.data, e.raw && !e.v6 && ev.icmp == nil)
	if !ok || m.id != e.id {
		return out, false
	}
	token := e.pattern[:min(echoToken, len(m.payload))]
	mine := bytes.HasPrefix(m.payload, token)
	out.seq, out.payload = m.seq, m.payload
	want := uint8(icmpEchoReply)
	switch {
	case ev.icmp != nil && ev.icmp.local():
		return out, false
	case ev.icmp != nil:
		want = icmpEcho
		if e.v6 {
			want = icmp6Echo
		}
		// What an error quotes may be short. A redirect is advice, no error.
		to := ev.from.Addr()
		return out, mine && m.typ == want && isError(ev.icmp) && (!to.IsValid() || to.WithZone("") == e.dst.WithZone(""))
	case e.v6:
		want = icmp6EchoReply
	}
	if m.typ != want {
		return out, false
	}
	if !mine {
		e.strange++
	}
	return out, mine
}

// isError tells ICMP errors from other messages that reach the error queue (a redirect).
func isError(e *icmpError) bool {
	if e.v6() {
		return e.typ < 128
	}
	return e.typ == icmpUnreachable || e.typ == icmpExceeded || e.typ == icmpParameter
}
