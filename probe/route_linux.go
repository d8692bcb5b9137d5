package probe

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// What a trace sends at once and how long it waits. A kernel sends six ICMP errors at once to one address and then one a second
// (net.ipv4.icmp_ratelimit, inet_peer_xrlim_allow in net/ipv4/inetpeer.c): the target answers what goes beyond its own hop
// too, so few packets may do that.
const (
	routeWindow   = 4
	routeHops     = 30
	routeQueries  = 3
	routePatience = time.Second             // until a silent hop is passed over
	routeLinger   = 3300 * time.Millisecond // a router says "host unreachable" three seconds after its first ARP request
	routeSYN      = 950 * time.Millisecond  // a kernel sends a SYN again after a second: whose answer it is nobody knows then
	routeBasePort = 33434                   // traceroute's: nobody listens there
)

// Route finds the routers between FROM and TO: it sends packets of growing TTL, some at once, and hears who says that it has
// ended. How says by what. It needs no privilege, except ICMP where the namespace's ping_group_range does not allow it. Where
// TO answers, the MTU is looked for too. OK means that TO was reached. Attempts are the packets; Count does not
// matter.
func Route(ctx context.Context, from *From, to To, o Options, how RouteOptions) (*Result, error) {
	how.By, how.MaxHops, how.Queries = or(how.By, "udp"), or(how.MaxHops, routeHops), or(how.Queries, routeQueries)
	switch {
	case how.By != "udp" && how.By != "icmp" && how.By != "tcp":
		return nil, optionf("a route is traced by udp, icmp or tcp, not by %q", how.By)
	case how.MaxHops < 1 || how.MaxHops > 255:
		return nil, optionf("a path has 1 to 255 hops, not %d", how.MaxHops)
	case how.Queries < 1 || how.Queries > 10:
		return nil, optionf("1 to 10 packets for each hop, not %d", how.Queries)
	case o.SrcPort != 0:
		return nil, optionf("route takes a local port for each packet: it cannot be given")
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	patience, linger := routePatience, routeLinger
	if how.By == "tcp" {
		linger = routeSYN
	}
	if o.Timeout > 0 {
		patience, linger = o.Timeout, o.Timeout
	}
	o.Timeout, o.For, o.Hold, o.DF = linger, 0, 0, false
	r := newResult("route", from, to, o)
	addr, ok, err := from.target(ctx, &to, o, r)
	if err != nil || !ok {
		return r, err
	}
	path := &RoutePath{By: how.By, Hops: []Hop{}}
	r.Route, r.To.Port = path, 0
	if how.By == "tcp" {
		path.Port = or(to.Port, 80)
		r.To.Port = path.Port
	}
	r.Started = time.Now()
	ctx, cancel := context.WithCancel(ctx)
	t := &tracer{
		ctx: ctx, from: from, o: o, how: how, to: addr, r: r, path: path, patience: patience, pace: o.pace(),
		why: &explainer{from: from, o: o}, flights: map[int]*flown{}, landed: make(chan landing),
	}
	if how.By == "tcp" && watchTCP() {
		if t.watch, err = from.watch("route", addr.Is4()); err != nil {
			cancel()
			return nil, err
		}
	}
	defer t.watch.Close()
	defer t.wg.Wait()
	defer cancel()
	if t.trace(); t.err != nil {
		return nil, t.err
	}
	return t.finish(), nil
}

// tracer is one run. Everything but the flights' own goroutines is in the goroutine of Route.
type tracer struct {
	ctx      context.Context
	from     *From
	o        Options
	how      RouteOptions
	to       netip.Addr
	r        *Result
	path     *RoutePath
	patience time.Duration
	pace     *Pacer
	why      *explainer
	watch    *watch

	seq     int
	flights map[int]*flown
	landed  chan landing
	wg      sync.WaitGroup

	end  int // the TTL at which the path ends, 0 while that is not known
	last Attempt
	err  error
}

// flown is a packet on its way, landing what became of it.
type flown struct {
	ttl    int
	cancel context.CancelFunc
}

type landing struct {
	seq, ttl int
	a        Attempt
	err      error
}

// trace asks all hops until the end is known, and then those that are worth it again.
func (t *tracer) trace() {
	began := time.Now()
	t.forward(1)
	for round := 1; round < t.how.Queries && t.alive() && t.path.LoopFrom == 0; round++ {
		upTo := t.end
		if upTo == 0 { // of what nobody answers only the begin is asked again
			upTo = min(t.path.answered()+routeWindow, t.how.MaxHops)
		}
		if t.silentHop(upTo) { // it may only be out of tokens: one a second comes
			t.idle(began.Add(time.Second))
		}
		began = time.Now()
		if t.end > 0 {
			upTo = t.end
		}
		first := t.seq
		for ttl := 1; ttl <= upTo; ttl++ {
			t.launch(ttl)
		}
		t.collect(first, upTo)
		if t.end == 0 && t.path.answered() == upTo && upTo < t.how.MaxHops {
			t.forward(upTo + 1)
		}
	}
	if t.alive() && t.path.Reached && t.how.By != "tcp" {
		t.findMTU()
	}
}

func (t *tracer) silentHop(upTo int) bool {
	for ttl := 1; ttl <= upTo; ttl++ {
		if len(t.path.hop(ttl).Replies) == 0 {
			return true
		}
	}
	return false
}

// alive tells whether there is a reason to go on.
func (t *tracer) alive() bool { return t.ctx.Err() == nil && t.err == nil && !t.own() }

// own tells that FROM's own kernel ended it.
func (t *tracer) own() bool { return t.end < 0 }

// forward asks each TTL once, a few at a time, until the end is known; once nobody answers, all that are left.
func (t *tracer) forward(ttl int) {
	window := routeWindow
	for ttl <= t.how.MaxHops && t.end == 0 && t.ctx.Err() == nil && t.err == nil {
		upTo := min(ttl+window-1, t.how.MaxHops)
		first := t.seq
		for i := ttl; i <= upTo; i++ {
			t.launch(i)
		}
		t.collect(first, upTo)
		// What is sent last finds the fewest tokens: of many packets that reach the target those of the lowest TTL are answered.
		if window = routeWindow; t.path.answered() < ttl {
			window = t.how.MaxHops
		}
		ttl = upTo + 1
		if t.path.LoopFrom = t.path.loop(); t.path.LoopFrom != 0 {
			return
		}
	}
}

// launch sends a packet. What becomes of it comes by landed, also after nobody waits for it any more.
func (t *tracer) launch(ttl int) {
	if t.pace.Wait(t.ctx) != nil || t.err != nil || t.own() {
		return
	}
	t.path.hop(ttl).Silent++
	seq := t.seq
	t.seq++
	ctx, cancel := context.WithCancel(t.ctx)
	t.flights[seq] = &flown{ttl, cancel}
	t.wg.Go(func() {
		a, err := t.ask(ctx, seq, ttl, t.o.Size, false)
		select {
		case t.landed <- landing{seq, ttl, a, err}:
		case <-t.ctx.Done():
		}
	})
}

// collect waits for the packets since the first one, up to a TTL, at most its patience. Once a later hop has answered, an
// earlier one has not much more time.
func (t *tracer) collect(first, upTo int) {
	deadline := time.Now().Add(t.patience)
	for !t.own() && t.err == nil {
		lowest, highest := t.awaited(first, upTo)
		if lowest == 0 {
			return
		}
		if last := t.path.answered(); last > highest {
			soon := time.Now().Add(max(300*time.Millisecond, 3*t.path.hop(last).Replies[0].MS.Duration()))
			if soon.Before(deadline) {
				deadline = soon
			}
		}
		if _, ok := t.land(deadline); !ok {
			return
		}
	}
}

// awaited are the lowest and the highest TTL of the packets since the first that are still on their way, 0 where none is.
func (t *tracer) awaited(first, upTo int) (lowest, highest int) {
	if t.end > 0 {
		upTo = min(upTo, t.end)
	}
	for seq, f := range t.flights {
		if seq < first || f.ttl > upTo {
			continue
		}
		if lowest == 0 || f.ttl < lowest {
			lowest = f.ttl
		}
		highest = max(highest, f.ttl)
	}
	return lowest, highest
}

// idle takes what comes until a time.
func (t *tracer) idle(until time.Time) {
	for time.Now().Before(until) && !t.own() {
		if _, ok := t.land(until); !ok {
			return
		}
	}
}

// land takes one packet's outcome; ok is false at the deadline and at the context's end.
func (t *tracer) land(deadline time.Time) (l landing, ok bool) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-timer.C:
		return l, false
	case <-t.ctx.Done():
		return l, false
	case l = <-t.landed:
	}
	t.flights[l.seq].cancel()
	delete(t.flights, l.seq)
	switch {
	case l.err == nil:
		t.note(l.ttl, l.a)
	case l.seq == 0:
		t.err = l.err
	}
	return l, true
}

// note enters an outcome into the path.
func (t *tracer) note(ttl int, a Attempt) {
	if !t.r.From.Addr.IsValid() && a.Local.IsValid() {
		t.r.From.Addr = a.Local.Addr()
	}
	own := a.Class == Denied || a.Class == Failed || !a.By.IsValid() && (a.Class == NoRoute || a.Class == Unreachable || a.Class == TooBig)
	reached := a.By == t.to && a.Class != Expired
	if reached {
		a.Class, a.Reason = OK, ""
	}
	t.r.add(t.o, a)
	a = t.r.Attempts[len(t.r.Attempts)-1]
	switch {
	case own && a.Local.Addr() != t.to:
		t.end, t.last = -1, a
		return
	case !a.By.IsValid():
		return
	}
	hop := t.path.hop(ttl)
	hop.Silent--
	hop.Replies = append(hop.Replies, HopReply{By: a.By, ByName: a.ByName, MS: a.MS, Class: a.Class, Reason: a.Reason, TTL: a.TTL})
	if a.Class == TooBig && a.MTU > 0 {
		hop.MTU = a.MTU
	}
	// What the path ends with: the target, or else the nearest that says it does not go on. One that also forwards (a rule
	// that rejects some) is no end where the target was reached.
	if reached && (!t.path.Reached || ttl < t.end) {
		t.end, t.path.Reached, t.last = ttl, true, a
	} else if !reached && a.Class != Expired && !t.path.Reached && (t.end == 0 || ttl < t.end) {
		t.end, t.last = ttl, a
	}
}

// ask sends one packet and waits for what becomes of it. The answer of an attempt that TO gave is by TO.
func (t *tracer) ask(ctx context.Context, seq, ttl, size int, df bool) (Attempt, error) {
	o := t.o
	o.TTL, o.Size, o.DF = ttl, size, df
	var a Attempt
	var err error
	switch t.how.By {
	case "udp":
		port := uint16(routeBasePort + seq%1000)
		p := &udpProbe{from: t.from, o: o, to: netip.AddrPortFrom(t.to, port), r: t.r, why: t.why}
		a, err = p.once(ctx, seq)
	case "tcp":
		p := &tcpProbe{from: t.from, o: o, to: netip.AddrPortFrom(t.to, t.path.Port), r: t.r, watch: t.watch, why: t.why, quiet: true}
		a, err = p.once(ctx, seq)
	default:
		a, err = t.askICMP(ctx, seq, o)
	}
	a.Detail = ""
	return a, err
}

// askICMP sends an echo request.
func (t *tracer) askICMP(ctx context.Context, seq int, o Options) (Attempt, error) {
	a := Attempt{Seq: seq}
	e, err := t.from.newEcho(ctx, "route", t.to, o)
	if err != nil {
		return a, err
	}
	defer e.Close()
	a.Local, a.Remote = netip.AddrPortFrom(e.src, 0), netip.AddrPortFrom(t.to, 0)
	size := max(echoToken, o.Size)
	var got []echoEvent
	at, refused := e.send(uint16(seq), size, func(ev echoEvent) { got = append(got, ev) })
	a.At = at
	if refused != nil && len(got) == 0 {
		a.Class, a.Reason = classifyErr(refused.err)
		a.localReason(refused.err)
		a.MTU = refused.mtu
		return a, nil
	}
	if len(got) == 0 {
		ev, ok := e.wait(ctx, at.Add(o.Timeout))
		if !ok {
			if ctx.Err() != nil {
				return a, errInterrupted
			}
			a.MS, a.Class = Millis(time.Since(at)), NoAnswer
			t.why.neighbour(&a)
			return a, nil
		}
		got = append(got, ev)
	}
	ev := got[0]
	a.MS, a.TTL = Millis(since(at, ev.at, time.Since(at))), ev.ttl
	if ev.icmp == nil {
		a.Class, a.By = OK, ev.from.WithZone("")
		return a, nil
	}
	a.icmp(&event{icmp: ev.icmp, ttl: ev.ttl})
	t.why.own(&a)
	return a, nil
}

// findMTU sends packets of the first link's size that may not be fragmented, smaller each time a router says it is too big.
func (t *tracer) findMTU() {
	header := 28
	if t.to.Is6() {
		header = 48
	}
	rtt := t.last.MS.Duration()
	ask := func(size int) (Attempt, bool) {
		ctx, cancel := context.WithTimeout(t.ctx, max(300*time.Millisecond, 4*rtt))
		defer cancel()
		a, err := t.ask(ctx, t.seq, 0, size-header, true)
		t.seq++
		return a, err == nil && a.Class != NoAnswer && a.Class != Timeout
	}
	// Nothing can be as large as this: the kernel says at once what the first link takes (tracepath's way).
	a, ok := ask(65535)
	if !ok || a.Class != TooBig || a.By.IsValid() || a.MTU < 68 {
		return
	}
	for size := a.MTU; ; {
		a, ok := ask(size)
		if !ok {
			return
		}
		a.Size = size
		t.r.add(t.o, a)
		if a.Class != TooBig {
			if a.By == t.to {
				t.path.MTU = size
			}
			return
		}
		// RFC 1191 §3: a router that does not know of this says 0.
		if !a.By.IsValid() || a.MTU < 68 || a.MTU >= size {
			return
		}
		for i := range t.path.Hops {
			h := &t.path.Hops[i]
			if slices.ContainsFunc(h.Replies, func(x HopReply) bool { return x.By == a.By }) {
				h.MTU = a.MTU
				break
			}
		}
		size = a.MTU
	}
}
