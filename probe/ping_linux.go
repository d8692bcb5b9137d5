package probe

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Ping sends ICMP or ICMPv6 echo requests. It is OK where at least one is answered; the summary tells the loss. Count is 4
// unless set or limited by For alone; a negative one goes on until the context ends or For has passed, and of such a run the
// last 1,000 attempts are kept. An answer counts where identifier, sequence number and payload are those of a request.
//
// Size is the payload in bytes (default 56, -1 none, at most 65507, of IPv6 65527). A size above the path's MTU is fragmented
// unless DF is set. The error is a [NeedsError] where FROM's namespace allows neither socket, an [OptionError] for an
// interface or source address that it does not have.
func Ping(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	r := newResult("ping", from, to, o)
	addr, ok, err := from.target(ctx, &to, o, r)
	if err != nil {
		return nil, err
	}
	if !ok {
		return r, nil
	}
	size := max(0, or(o.Size, pingSize))
	if most := maxEcho(addr.Is6()); size > most {
		return nil, optionf("an echo request has at most %d bytes of payload, not %d", most, size)
	}
	if o.Count == 0 {
		o.Count = pingCount
		if o.For > 0 {
			o.Count = -1
		}
	}
	o.Interval, o.Timeout = or(max(0, o.Interval), pingInterval), or(max(0, o.Timeout), pingTimeout)
	e, err := from.newEcho(ctx, "ping", addr, o)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	r.From.Addr = or(e.src, r.From.Addr)
	r.Ping = &PingStats{Size: size, Socket: "datagram"}
	if e.raw {
		r.Ping.Socket = "raw"
	}
	p := &pinger{echoSock: e, o: o, r: r, st: r.Ping, pace: o.pace(), flights: map[uint16]*flight{}}
	r.Started = time.Now()
	p.run(ctx)
	p.finish(ctx)
	return r, nil
}

// pinger is one run.
type pinger struct {
	*echoSock
	o    Options
	r    *Result
	st   *PingStats
	pace *Pacer
	// flights are the packets by sequence number, of the last maxFlights. waiting are those without an outcome, oldest first.
	flights map[uint16]*flight
	waiting []*flight
	sent    int
	extra   int
	grace   time.Time
}

// maxFlights is how many packets are remembered, so that late answers and duplicates are known: half of all sequence numbers.
const maxFlights = 1 << 15

// flight is one packet.
type flight struct {
	n    int
	at   time.Time
	done bool
	ok   bool
}

func (p *pinger) run(ctx context.Context) {
	next := p.r.Started
	for ctx.Err() == nil {
		// What the kernel has goes first: an answer is in time by the kernel's clock, however late it is read.
		for ev, ok := p.try(); ok; ev, ok = p.try() {
			p.got(ev)
		}
		now := time.Now()
		p.expire(now)
		more := p.more(now)
		switch {
		case more && !now.Before(next):
			if p.pace.Wait(ctx) != nil {
				return
			}
			p.send()
			if next = next.Add(p.o.Interval); next.Before(now) {
				next = now // what could not be sent in time is not made up for
			}
			continue
		case !more && len(p.waiting) == 0:
			// A duplicate comes right behind the answer.
			if !now.Before(p.grace) {
				return
			}
		}
		until := now.Add(p.o.Timeout)
		if more {
			until = next
		} else if len(p.waiting) == 0 {
			until = p.grace
		}
		if len(p.waiting) > 0 {
			until = earlier(until, p.waiting[0].at.Add(p.o.Timeout))
		}
		if ev, ok := p.wait(ctx, until); ok {
			p.got(ev)
		}
	}
}

// more tells whether another packet is to be sent.
func (p *pinger) more(now time.Time) bool {
	return (p.o.Count < 0 || p.sent < p.o.Count) && (p.o.For <= 0 || now.Sub(p.r.Started) < p.o.For)
}

func (p *pinger) send() {
	p.sent++
	p.st.Sent++
	seq := uint16(p.sent)
	fl := &flight{n: p.sent}
	delete(p.flights, uint16(p.sent-maxFlights))
	// The answer is read by this goroutine: it cannot be seen before the flight is known.
	at, refused := p.echoSock.send(seq, p.st.Size, p.got)
	fl.at = at
	p.flights[seq] = fl
	if refused == nil {
		p.waiting = append(p.waiting, fl)
		return
	}
	fl.done = true
	a := p.attempt(fl, time.Now())
	a.Class, a.Reason = classifyErr(refused.err)
	a.MTU = refused.mtu
	a.Detail = p.refusedDetail(refused.err)
	p.st.Errors++
	p.add(a)
}

// refusedDetail says more of an error of FROM's own kernel.
func (p *pinger) refusedDetail(err error) string {
	var errno unix.Errno
	errors.As(err, &errno)
	switch {
	case errno == unix.EPERM:
		return "a rule of " + p.r.From.Name + "'s own firewall (OUTPUT) dropped it"
	case errno == unix.EACCES && p.dst.Is4():
		return "a prohibit route, or a broadcast address"
	case errno == unix.EACCES:
		return "a prohibit route"
	}
	return ""
}

// attempt begins what is told of a flight.
func (p *pinger) attempt(fl *flight, at time.Time) Attempt {
	return Attempt{
		Seq: fl.n, At: fl.at, MS: Millis(max(0, at.Round(0).Sub(fl.at.Round(0)))),
		Size: p.st.Size + echoHeader + ipHeader(p.v6),
	}
}

// got takes what came for one packet.
func (p *pinger) got(ev echoEvent) {
	fl := p.flights[ev.seq]
	if fl == nil {
		if ev.icmp == nil {
			p.strange++
		}
		return
	}
	a := p.attempt(fl, ev.at)
	if e := ev.icmp; e != nil {
		if fl.done {
			return
		}
		a.Class, a.Reason = e.classify()
		a.By = e.by
		if a.Class == TooBig {
			a.MTU = int(e.info)
		}
		if a.Class == Unreachable && e.by == p.src {
			a.Detail = p.r.From.Name + "'s own kernel says so: no neighbour answers for the next hop"
		}
		p.done(fl)
		p.st.Errors++
		p.add(a)
		return
	}
	a.By, a.TTL, a.Class = ev.from.WithZone(""), ev.ttl, OK
	switch {
	case fl.done && fl.ok:
		p.st.Duplicates++
		a.Duplicate = true
		if p.extra++; p.extra <= pingExtra {
			p.add(a)
		}
		return
	case fl.done || a.MS.Duration() > p.o.Timeout:
		p.st.Late++
		if !fl.done { // not told yet: it came in the very moment of its timeout
			p.done(fl)
			a.Class, a.Reason = Timeout, ""
			a.Detail = "answered late"
			p.add(a)
		}
		fl.ok = true // another one is a duplicate
		return
	}
	p.done(fl)
	fl.ok = true
	switch {
	case !p.fromTarget(a.By):
		a.Class, a.Reason = BadAnswer, "answered by another address"
	case !bytes.Equal(ev.payload, p.payload(p.st.Size)):
		a.Class, a.Reason = BadAnswer, "the payload came back changed"
	}
	if a.Class == OK {
		p.st.answered(a.MS)
	} else {
		p.st.Corrupt++
	}
	p.st.TTL = or(ev.ttl, p.st.TTL)
	// At most what is no burden to who waits.
	p.grace = time.Now().Add(min(max(2*a.MS.Duration(), 5*time.Millisecond), 100*time.Millisecond))
	p.add(a)
}

// fromTarget tells whether an answer may come from an address: the one asked, or any where the one asked stands for others.
func (p *pinger) fromTarget(by netip.Addr) bool {
	dst := p.dst.WithZone("")
	return by == dst || dst.IsMulticast() || dst.IsUnspecified()
}

// done takes a flight from those that wait.
func (p *pinger) done(fl *flight) {
	fl.done = true
	if i := slices.Index(p.waiting, fl); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}

// expire gives up what has waited too long.
func (p *pinger) expire(now time.Time) {
	for len(p.waiting) > 0 && now.Sub(p.waiting[0].at) >= p.o.Timeout {
		fl := p.waiting[0]
		p.done(fl)
		a := p.attempt(fl, now)
		a.Class = Timeout
		p.add(a)
	}
}

// add records an attempt, as [Result.add] does, but an endless run forgets the oldest.
func (p *pinger) add(a Attempt) {
	p.r.add(p.o, a)
	if p.o.Count < 0 && len(p.r.Attempts) >= 2*pingKeep {
		p.r.Attempts = append(p.r.Attempts[:0], p.r.Attempts[len(p.r.Attempts)-pingKeep:]...)
	}
}

// finish says what came of it.
func (p *pinger) finish(ctx context.Context) {
	// What is in the socket has come before the end.
	for range maxFlights {
		ev, ok := p.try()
		if !ok {
			break
		}
		p.got(ev)
	}
	r, st := p.r, p.st
	st.Pending, st.Strange = len(p.waiting), p.strange
	st.finish()
	// Attempts are told when they are known, and kept in the order in which they were sent.
	slices.SortStableFunc(r.Attempts, func(a, b Attempt) int { return cmp.Compare(a.Seq, b.Seq) })
	if n := len(r.Attempts); p.o.Count < 0 && n > pingKeep {
		r.Attempts = slices.Clone(r.Attempts[n-pingKeep:])
	}
	class, summary := pingOutcome(r)
	r.NotCertain, r.Hint = pingDoubt(r, class)
	r.end(class, summary)
}
