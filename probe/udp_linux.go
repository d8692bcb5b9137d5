package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// UDP sends a datagram to TO's port, Count times (1), Interval apart (1 s), and waits Timeout (1 s) for an answer or an ICMP
// error. Size bytes are sent; where Size is 0 a DNS query to port 53, an NTP request to port 123, elsewhere a few bytes. OK
// means that something was answered. Silence is [NoAnswer]: most servers say nothing to what they do not understand.
func UDP(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	if to.Port == 0 {
		return nil, optionf("udp needs a port")
	}
	o.Interval, o.Timeout = or(o.Interval, time.Second), or(o.Timeout, time.Second)
	r := newResult("udp", from, to, o)
	addr, ok, err := from.target(ctx, &to, o, r)
	if err != nil || !ok {
		return r, err
	}
	if limit := maxUDP(addr.Is4()); o.Size > limit {
		return nil, optionf("a UDP datagram has at most %d bytes", limit)
	}
	p := &udpProbe{from: from, o: o, to: netip.AddrPortFrom(addr, to.Port), r: r, why: &explainer{from: from, o: o}}
	r.Started = time.Now()
	if err := r.repeat(ctx, o, o.SrcPort != 0, p.once); err != nil {
		return nil, err
	}
	return r.endUDP(o), nil
}

type udpProbe struct {
	from *From
	o    Options
	to   netip.AddrPort
	r    *Result
	why  *explainer
}

// once sends one datagram from a socket of its own: what comes to it belongs to that datagram.
func (p *udpProbe) once(ctx context.Context, seq int) (Attempt, error) {
	a := Attempt{Seq: seq, Remote: p.to}
	s, err := p.from.open(domain(p.to.Addr()), unix.SOCK_DGRAM, unix.IPPROTO_UDP, p.o.setup(p.to.Addr()))
	if err != nil {
		return a, openError("udp", p.from, p.o, err)
	}
	defer s.Close()
	defer s.interruptible(ctx)()
	payload, _ := udpQuestion(p.to.Port(), p.o.Size)
	deadline := p.r.deadline(p.o)
	a.At = time.Now()
	err = s.control(func(fd int) error { return unix.Connect(fd, sockaddr(p.to)) })
	if err == nil {
		a.Local = s.local()
		a.Size = len(payload) + 28
		if !p.to.Addr().Is4() {
			a.Size += 20
		}
		a.At = time.Now()
		err = s.sendTo(payload, netip.AddrPort{})
	}
	if err != nil {
		a.MS = Millis(time.Since(a.At))
		p.refusedLocally(s, &a, err)
		return a, nil
	}
	buf := make([]byte, 1<<16)
	for {
		if ctx.Err() != nil {
			return a, errInterrupted
		}
		// The context may end just before the deadline is set, which would undo what its end has set.
		ev, err := s.next(buf, earlier(deadline, time.Now().Add(200*time.Millisecond)))
		took := time.Since(a.At)
		a.MS = Millis(took)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
			return a, errInterrupted
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline):
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			a.Class = NoAnswer
			p.why.neighbour(&a)
			return a, nil
		case err != nil:
			a.Class, a.Reason = classifyErr(err)
			return a, nil
		}
		a.MS = Millis(since(a.At, ev.at, took))
		if ev.icmp != nil {
			a.icmp(&ev)
			if !ev.icmp.local() {
				p.why.own(&a)
			}
			return a, nil
		}
		a.Class, a.By, a.TTL = OK, p.to.Addr(), ev.ttl
		var ok bool
		if a.Detail, ok = udpAnswer(p.to.Port(), payload, ev.data); !ok {
			a.Class, a.Reason, a.Detail = BadAnswer, a.Detail, ""
		}
		return a, nil
	}
}

// refusedLocally says why FROM's own kernel did not send. Where a rule rejects (and not only drops) the ICMP error is in the
// queue; of a datagram that is too large it has the MTU.
func (p *udpProbe) refusedLocally(s *sock, a *Attempt, err error) {
	a.Class, a.Reason = classifyErr(err)
	a.localReason(err)
	var buf [256]byte
	s.control(func(fd int) error {
		ev, err := receiveFlags(fd, buf[:], unix.MSG_ERRQUEUE)
		if err == nil && ev.icmp != nil {
			a.icmp(&ev)
			if !ev.icmp.local() {
				p.why.own(a)
			}
		}
		return err
	})
}

// endUDP sums up.
func (r *Result) endUDP(o Options) *Result {
	st := &UDPStats{Port: r.To.Port}
	_, st.Asked = udpQuestion(r.To.Port, o.Size)
	r.UDP = st
	if len(r.Attempts) == 0 {
		return r.interrupted()
	}
	var bad *Attempt // the failure that tells most: an error, or else silence
	for i, a := range r.Attempts {
		st.count(a)
		if a.Class != OK && (bad == nil || bad.Class == NoAnswer && a.Class != NoAnswer) {
			bad = &r.Attempts[i]
		}
		if !r.From.Addr.IsValid() {
			r.From.Addr = a.Local.Addr()
		}
	}
	r.explainUDP(st, bad)
	class := OK
	if st.Answered == 0 {
		class = bad.Class
	}
	if st.Sent == 1 {
		a := r.Attempts[0]
		s := outcome(a, "answered")
		if a.Class == NoAnswer {
			s += ": open or dropped"
		}
		return r.end(class, s)
	}
	switch {
	case st.Answered > 0:
		s := fmt.Sprintf("%d/%d answered, %s", st.Answered, st.Sent, spread(st.MinMS, st.AvgMS, st.MaxMS))
		if bad != nil {
			s += ", " + tally(r.Attempts)
		}
		return r.end(class, s)
	case bad.Class == NoAnswer:
		return r.end(class, fmt.Sprintf("no answer to %d datagrams: open or dropped", st.Sent))
	}
	s := outcome(*bad, "")
	if t := tally(r.Attempts); strings.Contains(t, ",") {
		s += " (" + t + ")"
	}
	return r.end(class, s)
}

// explainUDP says what else silence may mean.
func (r *Result) explainUDP(st *UDPStats, bad *Attempt) {
	switch {
	case bad == nil:
	case st.Silent > 0 && st.Refused+st.Filtered+st.Unreachable > 0:
		r.NotCertain = fmt.Sprintf("%d stayed silent: ICMP errors are rate-limited, or they were lost", st.Silent)
	case st.Silent > 0 && st.Answered > 0:
		r.NotCertain = fmt.Sprintf("%d stayed silent: lost, or the server did not care to answer", st.Silent)
	case st.Silent > 0:
		r.NotCertain = "an open port that has nothing to say, a DROP rule, or a lost ICMP"
	case bad.Class == Refused && bad.By.IsValid() && bad.By != r.To.Addr:
		r.Hint = "a REJECT rule at " + bad.who() + ", or a translated address"
	case bad.Class == Refused && bad.By == r.To.Addr && strings.HasSuffix(bad.Reason, "port unreachable"):
		r.Hint = "nothing listens there, or a REJECT rule: both say so"
	}
}
