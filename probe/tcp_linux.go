package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// TCP connects to TO's port, Count times (1), Interval apart (1 s), and waits Timeout (2 s) for each. With Hold it keeps each
// connection that long and sees whether it stays. The time of an attempt is that from the SYN to the SYN/ACK as FROM's
// kernel measured it. OK means that every attempt opened a connection.
//
// A connection ends as others do, with a FIN, except from a fixed local port: there a reset ends it, because the kernel
// would keep the port for the same target for a minute (TIME_WAIT).
func TCP(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	if to.Port == 0 {
		return nil, optionf("tcp needs a port")
	}
	o.Interval, o.Timeout = or(o.Interval, time.Second), or(o.Timeout, 2*time.Second)
	r := newResult("tcp", from, to, o)
	addr, ok, err := from.target(ctx, &to, o, r)
	if err != nil || !ok {
		return r, err
	}
	p := &tcpProbe{from: from, o: o, to: netip.AddrPortFrom(addr, to.Port), r: r, why: &explainer{from: from, o: o}}
	if watchTCP() {
		p.watch, _ = from.watch("tcp", addr.Is4()) // what is not allowed is said where it is missed
		defer p.watch.Close()
	}
	r.Started = time.Now()
	if err := r.repeat(ctx, o, o.SrcPort != 0, p.once); err != nil {
		return nil, err
	}
	r.endTCP()
	if r.Class == Timeout && p.notAsked.Load() {
		r.Hint = "its own OUTPUT rules may drop it: CAP_NET_RAW would tell"
	}
	return r, nil
}

// tcpProbe is one run.
type tcpProbe struct {
	from  *From
	o     Options
	to    netip.AddrPort
	r     *Result
	watch *watch
	why   *explainer
	// quiet keeps a silent attempt from sending once more to find out why.
	quiet bool
	// notAsked tells that FROM's OUTPUT rules were not asked for want of CAP_NET_RAW.
	notAsked atomic.Bool
}

// once makes one connection.
func (p *tcpProbe) once(ctx context.Context, seq int) (Attempt, error) {
	a := Attempt{Seq: seq, Remote: p.to}
	s, err := p.from.open(domain(p.to.Addr()), unix.SOCK_STREAM, unix.IPPROTO_TCP, func(fd int) error {
		if p.o.SrcPort != 0 {
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
			unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		}
		return p.o.setup(p.to.Addr())(fd)
	})
	if err != nil {
		return a, openError("tcp", p.from, p.o, err)
	}
	defer s.Close()
	deadline := p.r.deadline(p.o)
	h := s.handshake(ctx, p.to, deadline)
	a.At, a.MS, a.Local = h.begun, Millis(h.took), s.local()
	if errors.Is(h.err, errInterrupted) {
		return a, errInterrupted
	}
	switch {
	case h.icmp != nil:
		a.icmp(h.icmp)
		p.why.own(&a)
	case h.err == nil:
		a.Class, a.By = OK, p.to.Addr()
		if h.syns > 1 {
			a.Detail = fmt.Sprintf("%d SYNs until it answered", h.syns)
		}
		if p.o.Hold > 0 {
			s.hold(ctx, p.o.Hold, &a)
		}
	case errors.Is(h.err, os.ErrDeadlineExceeded):
		a.Class = Timeout
		a.Detail = fmt.Sprintf("%d SYNs sent", h.syns)
		if h.syns == 1 {
			a.Detail = "1 SYN sent"
		}
		p.silent(&a)
	default:
		p.failed(&a, h.err, h.local)
	}
	return a, nil
}

// failed says what an error of connect(2) means. Where it came from the network the kernel had it in the error queue; what
// is left is a reset, or FROM's own kernel.
func (p *tcpProbe) failed(a *Attempt, err error, local bool) {
	a.Class, a.Reason = classifyErr(err)
	if e := p.watch.find(unix.IPPROTO_TCP, a.Local, a.Remote, a.At); e != nil && a.Class != Reset {
		a.icmp(e)
		p.why.own(a)
		return
	}
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		a.By, a.Reason = p.to.Addr(), "TCP reset"
		if watchTCP() && p.watch == nil {
			a.By, a.Reason = netip.Addr{}, "by the target or a REJECT rule (CAP_NET_RAW would tell)"
		}
	case errors.Is(err, unix.EADDRNOTAVAIL) && p.o.SrcPort != 0:
		a.Reason = "an earlier connection from this local port is still in TIME_WAIT"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		a.Reason = "no local port is free"
	case local:
		a.localReason(err)
	}
}

// silent looks for what kept a SYN without an answer.
func (p *tcpProbe) silent(a *Attempt) {
	if e := p.watch.find(unix.IPPROTO_TCP, a.Local, a.Remote, a.At); e != nil {
		a.icmp(e)
		p.why.own(a)
		return
	}
	// tcp_connect in net/ipv4/tcp_output.c ignores that an OUTPUT rule drops the SYN: a raw socket hears it.
	if p.quiet {
		p.why.neighbour(a)
		return
	}
	drops, asked := p.from.outputDrops(a.Local, a.Remote, p.o)
	if drops {
		a.Class, a.Reason, a.Detail = Denied, ownFirewall, ""
		return
	}
	if !asked {
		p.notAsked.Store(true)
	}
	p.why.neighbour(a)
}

// handshake is what a connect brought.
type handshake struct {
	begun time.Time
	took  time.Duration
	syns  int
	icmp  *event // the ICMP error that ended it
	local bool   // connect(2) itself failed: nothing was sent
	err   error
}

// handshake connects and waits until the deadline.
func (s *sock) handshake(ctx context.Context, to netip.AddrPort, deadline time.Time) (h handshake) {
	if h.err = s.file.SetWriteDeadline(deadline); h.err != nil {
		return h
	}
	defer s.interruptible(ctx)()
	if ctx.Err() != nil {
		h.err = errInterrupted
		return h
	}
	h.begun = time.Now()
	err := s.control(func(fd int) error {
		h.begun = time.Now()
		return unix.Connect(fd, sockaddr(to))
	})
	if h.local = err != nil && err != unix.EINPROGRESS; !h.local {
		err = s.connected(&h)
	}
	if h.took == 0 {
		h.took = time.Since(h.begun)
	}
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil && time.Now().Before(deadline):
		h.err = errInterrupted
	case errors.Is(err, os.ErrDeadlineExceeded):
		h.err = err
	default:
		h.err = os.NewSyscallError("connect", err)
	}
	s.control(func(fd int) error {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return err
		}
		h.syns = 1 + int(info.Total_retrans)
		// The kernel's own time of the handshake, without that until this process was woken. It has none where the SYN was
		// sent again (Karn's rule).
		if rtt := time.Duration(info.Rtt) * time.Microsecond; h.err == nil && h.icmp == nil && h.syns == 1 && rtt > 0 && rtt < h.took {
			h.took = rtt
		}
		return nil
	})
	return h
}

// connected waits for the end of a handshake. An ICMP error is in the error queue (since Linux 5.8, tcp_v4_err in
// net/ipv4/tcp_ipv4.c), also where the kernel goes on trying: it hears one of its own OUTPUT rules while connect(2) still
// holds the socket, and only notes it.
func (s *sock) connected(h *handshake) error {
	var buf [128]byte
	var err error
	e := s.raw.Write(func(fd uintptr) bool {
		err = nil
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, _ := unix.Poll(p, 0); n <= 0 {
			return false
		}
		h.took = time.Since(h.begun)
		if ev, e := receiveFlags(int(fd), buf[:], unix.MSG_ERRQUEUE); e == nil && ev.icmp != nil {
			h.icmp = &ev
			h.took = since(h.begun, ev.at, h.took)
			return true
		}
		if p[0].Revents&(unix.POLLOUT|unix.POLLHUP) == 0 {
			return false
		}
		soErr, e := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err = e; e == nil && soErr != 0 {
			err = unix.Errno(soErr)
		}
		return true
	})
	return errors.Join(e, err)
}

// since is the time from begun until the kernel received something, or woke where the clocks do not agree.
func since(begun, at time.Time, woke time.Duration) time.Duration {
	if d := at.Round(0).Sub(begun.Round(0)); d > 0 && d < woke {
		return d
	}
	return woke
}

// icmp makes an attempt that of an ICMP error.
func (a *Attempt) icmp(ev *event) {
	a.Class, a.Reason = ev.icmp.classify()
	a.By, a.TTL = ev.icmp.by, ev.ttl
	if a.Class == TooBig {
		a.MTU = int(ev.icmp.info)
	}
}

// localReason says more exactly what FROM's own kernel means where nothing was sent at all.
func (a *Attempt) localReason(err error) {
	switch {
	case errors.Is(err, unix.ENETUNREACH):
		a.Reason = "its own kernel has none (ENETUNREACH)"
	case errors.Is(err, unix.EHOSTUNREACH):
		a.Reason = "its own unreachable route (EHOSTUNREACH)"
	case errors.Is(err, unix.EACCES):
		a.Reason = "its own prohibit route (EACCES)"
	case errors.Is(err, unix.EINVAL):
		a.Reason = "its own blackhole route (EINVAL)"
	case errors.Is(err, unix.EPERM):
		a.Reason = ownFirewall
	}
}

// ownFirewall is why FROM's own kernel answers EPERM.
const ownFirewall = "its own OUTPUT rules drop it (EPERM)"

// maxBanner is how much of what a peer says first is shown, maxHeld how much is read of it at all.
const (
	maxBanner = 80
	maxHeld   = 64 << 10
)

// hold keeps the connection and sees whether it is reset or closed. The peer's first words are in Detail.
func (s *sock) hold(ctx context.Context, d time.Duration, a *Attempt) {
	begun := time.Now()
	s.file.SetReadDeadline(begun.Add(d))
	defer s.interruptible(ctx)()
	var banner string
	buf := make([]byte, 2048)
	for total := 0; ; {
		n, err := s.file.Read(buf)
		if n > 0 && banner == "" {
			banner = printable(buf[:n])
		}
		if total += n; err == nil && total < maxHeld {
			continue
		}
		took := Millis(time.Since(begun))
		words := fmt.Sprintf("stayed open for %v", took)
		switch {
		case err == nil: // it talks without end: what more it says stays unread, and a FIN behind it unseen
			sleep(ctx, time.Until(begun.Add(d)))
			words = fmt.Sprintf("talked for %v", Millis(time.Since(begun)))
		case errors.Is(err, os.ErrDeadlineExceeded):
		case n == 0 && strings.Contains(err.Error(), "EOF"):
			a.Class, a.Reason = Reset, fmt.Sprintf("opened, and closed by the target after %v", took)
			words = ""
		default:
			a.Class, a.Reason = Reset, fmt.Sprintf("opened, and reset after %v", took)
			if class, reason := classifyErr(err); class != Reset {
				a.Class, a.Reason = class, fmt.Sprintf("opened, and lost after %v: %s", took, reason)
			}
			words = ""
		}
		if banner != "" {
			words = strings.TrimPrefix(words+fmt.Sprintf("; it said %q", banner), "; ")
		}
		a.Detail = strings.TrimPrefix(a.Detail+"; "+words, "; ")
		return
	}
}

// printable is the first line of what a peer said, at most maxBanner bytes, without what a terminal would obey.
func printable(b []byte) string {
	line, _, _ := strings.Cut(string(b[:min(len(b), maxBanner)]), "\n")
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return -1
		}
		return c
	}, line)
}

// endTCP sums up.
func (r *Result) endTCP() *Result {
	st := &TCPStats{Port: r.To.Port}
	r.TCP = st
	if len(r.Attempts) == 0 {
		return r.interrupted()
	}
	var bad *Attempt
	for i, a := range r.Attempts {
		st.count(a)
		if a.Class != OK && bad == nil {
			bad = &r.Attempts[i]
		}
		if !r.From.Addr.IsValid() {
			r.From.Addr = a.Local.Addr()
		}
	}
	r.explainTCP(bad)
	if st.Tried == 1 {
		return r.end(r.Attempts[0].Class, outcome(r.Attempts[0], "open"))
	}
	s := fmt.Sprintf("%d/%d open", st.Open, st.Tried)
	if st.Open > 0 {
		s += ", " + spread(st.MinMS, st.AvgMS, st.MaxMS)
	}
	if bad == nil {
		return r.end(OK, s)
	}
	if slices.ContainsFunc(r.Attempts, func(a Attempt) bool { return !sameEnd(a, *bad) }) {
		s += ", " + tally(r.Attempts)
	} else {
		s += ": " + outcome(*bad, "open")
	}
	return r.end(bad.Class, s)
}

// explainTCP says what else the first failure may mean.
func (r *Result) explainTCP(bad *Attempt) {
	switch {
	case bad == nil:
	case bad.Class == Timeout:
		r.NotCertain = "silent: a DROP rule, no host, or a full listen queue look alike"
	case bad.Class == Refused && bad.Reason == "TCP reset":
		r.Hint = "nothing listens there, or a rule rejects with tcp-reset"
	case bad.Class == Refused && strings.Contains(bad.Reason, "port unreachable") && bad.By.IsValid():
		r.Hint = "a REJECT rule at " + bad.who() + ": a closed port answers with a reset"
	}
}
