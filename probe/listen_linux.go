package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// listenIdle ends a connection on which nothing came for so long.
const listenIdle = 10 * time.Minute

// listener is a Listen that runs.
type listener struct {
	at  *From
	o   Options
	l   ListenOptions
	ctx context.Context
	r   *Result

	mu    sync.Mutex // of r and stats
	stats ListenStats
	seq   int
	ended bool
	open  atomic.Int64
	wg    sync.WaitGroup
}

// Listen answers inside the namespace until the context ends or o.For is over: TCP and UDP echoes, HTTP, or the other end of
// [Bench]. It listens on o.Src, else on all addresses, of both families where there are both (o.Family takes one), and on o.Iface
// alone where that is set. Each connection, request and datagram is an attempt (By is the peer, Size the bytes that came);
// the result keeps the last 1,000.
//
// At most 1,000 connections are open at once; one on which nothing comes for 10 minutes is closed. UDP does not answer what
// would go round for ever: datagrams from ports below 1024, and for a second a peer that sends the same bytes 64 times
// running, each within 50 ms.
//
// The error is an [OptionError] for options that cannot be, a [NeedsError] for a port below 1024 without the privilege, and wraps
// EADDRINUSE where the port is taken.
func Listen(ctx context.Context, at *From, o Options, l ListenOptions) (*Result, error) {
	switch n := count(l.TCP, l.HTTP, l.Bench); {
	case n > 1:
		return nil, optionf("TCP echo, HTTP and bench cannot share a port: choose one")
	case l.UDP && l.Bench:
		return nil, optionf("UDP echo and bench cannot share a port: choose one")
	case n == 0 && !l.UDP:
		return nil, optionf("nothing to answer with: TCP, UDP, HTTP or bench")
	}
	if o.SrcPort != 0 && l.Port == 0 {
		l.Port = o.SrcPort
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	x := &listener{at: at, o: o, l: l, ctx: ctx, r: newResult("listen", at, To{}, o)}
	tcp, udp, err := x.bind()
	if err != nil {
		return nil, err
	}
	x.stats.Addrs = []string{}
	var serve func(net.Conn)
	switch {
	case l.TCP:
		x.stats.Addrs = append(x.stats.Addrs, "tcp "+tcp.Addr().String())
		serve = x.echo
	case l.HTTP:
		x.stats.Addrs = append(x.stats.Addrs, "http "+tcp.Addr().String())
	case l.Bench:
		x.stats.Addrs = append(x.stats.Addrs, "bench "+tcp.Addr().String())
		b := &benchServer{at: at, o: Options{Iface: o.Iface}, done: x.benched}
		serve = func(c net.Conn) { b.serve(ctx, c) }
	}
	if udp != nil {
		x.stats.Addrs = append(x.stats.Addrs, "udp "+udp.local().String())
	}
	if l.Ready != nil {
		l.Ready(append([]string(nil), x.stats.Addrs...))
	}
	switch {
	case l.HTTP:
		x.wg.Go(func() { x.http(tcp) })
	case tcp != nil:
		x.wg.Go(func() { x.accept(tcp, serve) })
	}
	if udp != nil {
		x.wg.Go(func() { x.echoUDP(udp) })
	}
	<-ctx.Done()
	if tcp != nil {
		tcp.Close()
	}
	if udp != nil {
		udp.Close()
	}
	x.wg.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ended = true
	x.r.Listen = &x.stats
	return x.r.end(OK, x.stats.summary()), nil
}

func count(of ...bool) (n int) {
	for _, b := range of {
		if b {
			n++
		}
	}
	return n
}

// bind opens what is needed, TCP and UDP on the same port.
func (x *listener) bind() (tcp net.Listener, udp *sock, err error) {
	stream := x.l.TCP || x.l.HTTP || x.l.Bench
	addr := netip.AddrPortFrom(x.o.Src, x.l.Port)
	// A free port of TCP need not be free for UDP.
	for range 10 {
		want := addr
		if stream {
			if tcp, err = x.at.listenTCP(x.o, addr); err != nil {
				return nil, nil, err
			}
			want = netip.AddrPortFrom(addr.Addr(), netip.MustParseAddrPort(tcp.Addr().String()).Port())
		}
		if !x.l.UDP {
			return tcp, nil, nil
		}
		fd := -1
		err = x.at.NS.Do(func() (err error) { fd, err = bindIn(unix.SOCK_DGRAM, x.o, want, wantsTarget); return err })
		if err == nil {
			if udp, err = newSock(fd); err == nil {
				return tcp, udp, nil
			}
		}
		if tcp != nil {
			tcp.Close()
		}
		if !errors.Is(err, unix.EADDRINUSE) || x.l.Port != 0 || !stream {
			return nil, nil, listenError(x.at, "UDP", want, err)
		}
	}
	return nil, nil, err
}

// accept serves connections, which serve closes, up to the limit, until the listener is closed; then until all have ended.
func (x *listener) accept(l net.Listener, serve func(net.Conn)) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if x.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			if sleep(x.ctx, 10*time.Millisecond) != nil { // EMFILE and the like
				return
			}
			continue
		}
		if !x.admit(c) {
			continue
		}
		wg.Go(func() {
			defer x.open.Add(-1)
			defer context.AfterFunc(x.ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
			serve(c)
		})
	}
}

// admit counts a connection, and closes one too many.
func (x *listener) admit(c net.Conn) bool {
	if x.open.Add(1) > listenConns {
		x.open.Add(-1)
		c.Close()
		x.mu.Lock()
		x.stats.TooMany++
		x.mu.Unlock()
		return false
	}
	x.mu.Lock()
	x.stats.Connections++
	x.mu.Unlock()
	return true
}

// saw records and reports something that came.
func (x *listener) saw(a Attempt, count func(*ListenStats)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended { // a request that was being answered
		return
	}
	count(&x.stats)
	x.seq++
	a.Seq, a.By = x.seq, a.Remote.Addr().Unmap().WithZone("")
	a.Class = or(a.Class, OK)
	if n := len(x.r.Attempts); n >= 2*listenKept {
		x.r.Attempts = append(x.r.Attempts[:0], x.r.Attempts[n-listenKept:]...)
	}
	x.r.add(x.o, a)
}

func addrPortOf(a net.Addr) netip.AddrPort {
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return p
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// echo sends back what comes on a connection.
func (x *listener) echo(c net.Conn) {
	defer c.Close()
	a := Attempt{At: time.Now(), Local: addrPortOf(c.LocalAddr()), Remote: addrPortOf(c.RemoteAddr())}
	buf := make([]byte, 16<<10)
	in, out := int64(0), int64(0)
	for x.ctx.Err() == nil {
		c.SetDeadline(time.Now().Add(listenIdle))
		if x.ctx.Err() != nil { // the context's own deadline must not be undone
			break
		}
		n, err := c.Read(buf)
		in += int64(n)
		if n > 0 {
			k, err := c.Write(buf[:n])
			out += int64(k)
			if err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	a.MS = Millis(time.Since(a.At))
	a.Size = int(in)
	a.Detail = fmt.Sprintf("tcp: %s came, %s sent back", byteCount(in), byteCount(out))
	x.saw(a, func(s *ListenStats) { s.BytesIn += in; s.BytesOut += out })
}

// benched reports a bench that ended.
func (x *listener) benched(c net.Conn, what string) {
	x.saw(Attempt{At: time.Now(), Local: addrPortOf(c.LocalAddr()), Remote: addrPortOf(c.RemoteAddr()), Detail: what}, func(s *ListenStats) { s.Benches++ })
}

// wantsTarget asks for the address that a datagram was sent to, to answer from there.
func wantsTarget(fd int, v6 bool) error {
	if v6 {
		return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
}

// echoUDP sends datagrams back, until the socket is closed.
func (x *listener) echoUDP(s *sock) {
	var guard echoGuard
	buf, oob := make([]byte, 1<<16), make([]byte, 512)
	for x.ctx.Err() == nil {
		var n, oobn int
		var sa unix.Sockaddr
		var err error
		e := s.raw.Read(func(fd uintptr) bool {
			n, oobn, _, sa, err = unix.Recvmsg(int(fd), buf, oob, unix.MSG_DONTWAIT)
			return err != unix.EAGAIN
		})
		if e != nil {
			return // closed
		}
		if err != nil {
			if sleep(x.ctx, time.Millisecond) != nil {
				return
			}
			continue
		}
		from := addrPort(sa)
		local, answerFrom := targetOf(oob[:oobn])
		a := Attempt{At: time.Now(), Remote: from, Local: netip.AddrPortFrom(local, s.local().Port()), Size: n}
		b := buf[:n]
		answered := from != a.Local && guard.answer(from.Addr().String(), from.Port(), hashOf(b), a.At.UnixNano())
		a.Detail = fmt.Sprintf("udp: %s, sent back", byteCount(int64(n)))
		if answered {
			if err := s.control(func(fd int) error {
				_, err := unix.SendmsgN(fd, b, answerFrom, sa, unix.MSG_DONTWAIT)
				return err
			}); err != nil {
				answered = false
				class, reason := classifyErr(os.NewSyscallError("send", err))
				a.Class, a.Reason = class, reason
				a.Detail = fmt.Sprintf("udp: %s, not sent back", byteCount(int64(n)))
			}
		} else {
			a.Detail = fmt.Sprintf("udp: %s, not sent back: it might go round for ever", byteCount(int64(n)))
		}
		x.saw(a, func(s *ListenStats) {
			s.Datagrams++
			s.BytesIn += int64(n)
			if answered {
				s.BytesOut += int64(n)
			} else if a.Class == "" {
				s.Unanswered++
			}
		})
	}
}

// targetOf finds the address that a datagram was sent to, and makes the message that answers from it.
func targetOf(oob []byte) (local netip.Addr, answer []byte) {
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			break
		}
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: index, specific destination, destination of the header.
			addr := [4]byte(data[8:12])
			local = netip.AddrFrom4(addr)
			answer = unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(data[4:8])})
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			addr := [16]byte(data[:16])
			a := netip.AddrFrom16(addr)
			local = a.Unmap()
			info := &unix.Inet6Pktinfo{Addr: addr}
			if a.IsLinkLocalUnicast() {
				info.Ifindex = binary.NativeEndian.Uint32(data[16:])
			}
			if !a.IsMulticast() {
				answer = unix.PktInfo6(info)
			}
		}
		oob = rest
	}
	return local, answer
}

// hashOf is FNV-1a.
func hashOf(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}
