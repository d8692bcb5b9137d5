package probe

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// MTU finds the largest IP packet that TO answers, by echo requests with "don't fragment", to the byte. It is OK where that is
// all that the interface takes, or where a router says with ICMP what is too big, as it should. Where larger ones vanish
// without a word, which lets connections open and then hang, it is not: class [TooBig]. Where TO does not answer ping nothing
// can be told, and the class is that of the ping.
//
// An answer is as large as its request, so the way back counts too. Of the options Count, Interval and Size mean nothing here;
// For (default 20 s) limits all. As after every packet that was too big, FROM's kernel remembers what a router said of the path.
// Errors are those of [Ping].
func MTU(ctx context.Context, from *From, to To, o Options) (*Result, error) {
	r := newResult("mtu", from, to, o)
	addr, ok, err := from.target(ctx, &to, o, r)
	if err != nil {
		return nil, err
	}
	if !ok {
		return r, nil
	}
	o.DF = true
	o.Timeout = or(max(0, o.Timeout), pingTimeout)
	e, err := from.newEcho(ctx, "mtu", addr, o)
	if err != nil {
		return nil, err
	}
	defer e.Close()
	r.From.Addr = or(e.src, r.From.Addr)
	r.MTU = &PathMTU{Limits: []Attempt{}, Sizes: []MTUSize{}}
	s := &mtuSearch{
		echoSock: e, o: o, r: r, m: r.MTU, pace: o.pace(), head: ipHeader(e.v6) + echoHeader,
		sizes: map[int]*MTUSize{}, flights: map[uint16]*mtuFlight{},
	}
	s.m.Kernel = from.kernelMTU(e.dst, o)
	r.Started = time.Now()
	limited, cancel := context.WithTimeout(ctx, or(max(0, o.For), mtuTime))
	defer cancel()
	s.run(limited, from)
	s.m.KernelAfter = from.kernelMTU(e.dst, o)
	s.finish(ctx)
	return r, nil
}

// kernelMTU is the path MTU that the kernel assumes, 0 where it has no route.
func (f *From) kernelMTU(dst netip.Addr, o Options) (mtu int) {
	o.DF, o.SrcPort = false, 0
	level, discover, opt := unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_MTU
	if dst.Is6() {
		level, discover, opt = unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_MTU
	}
	s, err := f.open(domain(dst), unix.SOCK_DGRAM, 0, o.setup(dst))
	if err != nil {
		return 0
	}
	defer s.Close()
	s.control(func(fd int) error {
		unix.SetsockoptInt(fd, level, discover, unix.IP_PMTUDISC_DO)
		if unix.Connect(fd, sockaddr(netip.AddrPortFrom(dst, 9))) == nil {
			mtu, _ = unix.GetsockoptInt(fd, level, opt)
		}
		return nil
	})
	return mtu
}

// mtuSearch is one run.
type mtuSearch struct {
	*echoSock
	o    Options
	r    *Result
	m    *PathMTU
	pace *Pacer
	// head is the length of all headers.
	head    int
	sizes   map[int]*MTUSize
	flights map[uint16]*mtuFlight
	list    []*mtuFlight
	slowest time.Duration
	// base is the small ping that must be answered first.
	base int
	// cut says why the search is not finished.
	cut string
}

// mtuFlight is one packet.
type mtuFlight struct {
	Attempt
	known bool
}

// run searches.
func (s *mtuSearch) run(ctx context.Context, f *From) {
	s.base = s.head + echoToken
	for range mtuTries {
		if s.round(ctx, s.o.Timeout, 0, s.base); s.passed(s.base) || ctx.Err() != nil {
			break
		}
	}
	if !s.passed(s.base) {
		return
	}
	s.iface(ctx, f)
	s.round(ctx, s.wait(), 0, s.m.Interface)
	for ctx.Err() == nil {
		lo, hi := s.border()
		if len(s.list) > mtuProbes {
			s.cut = "too many packets are lost"
			return
		}
		if next := s.next(lo, hi); len(next) > 0 {
			s.round(ctx, s.wait(), 0, next...)
			continue
		}
		// Loss must not pass for a border: each side is tried a few times.
		var again []int
		for _, size := range []int{lo, hi} {
			if size > s.m.Interface || hi > s.m.Interface {
				continue
			}
			for range mtuTries - min(mtuTries, s.sizes[size].Sent) {
				again = append(again, size)
			}
		}
		if len(again) == 0 {
			return
		}
		s.round(ctx, s.o.Timeout, 20*time.Millisecond, again...)
	}
	s.cut = "the time was over"
}

// iface finds the MTU of the link that the packets leave by: what is larger than any link takes is refused by the kernel, with
// that number.
func (s *mtuSearch) iface(ctx context.Context, f *From) {
	most := maxEcho(s.v6) + s.head
	if s.pace.Wait(ctx) != nil {
		return
	}
	link := ""
	linkMTU := 0
	if w, err := f.look(s.dst); err == nil && w.dev != nil {
		link, linkMTU = w.dev.Name, w.dev.MTU
	}
	if s.o.Iface != "" {
		link = s.o.Iface
	}
	if refused := s.sendSize(most); refused > 0 {
		s.m.Interface = min(refused, most)
		if s.o.Iface != "" || linkMTU == s.m.Interface {
			s.m.Link = link
		}
		return
	}
	s.m.Interface = most
	s.m.Link = link
}

// sendSize sends one packet and tells the MTU that it was refused for, 0 where it was not.
func (s *mtuSearch) sendSize(size int) (mtu int) {
	fl := &mtuFlight{Attempt: Attempt{Seq: len(s.list) + 1, Size: size}}
	seq := uint16(fl.Seq)
	// The flight must be known before anything can be said about it.
	s.flights[seq] = fl
	at, refused := s.send(seq, size-s.head, s.got)
	fl.At = at
	if refused != nil && refused.mtu > 0 && size > refused.mtu {
		delete(s.flights, seq)
		return refused.mtu
	}
	s.list = append(s.list, fl)
	x := s.sizes[size]
	if x == nil {
		x = &MTUSize{Size: size, Class: Timeout}
		s.sizes[size] = x
	}
	x.Sent++
	if refused != nil {
		fl.Class, fl.Reason = classifyErr(refused.err)
		s.known(fl)
	}
	return 0
}

// round sends packets of these sizes, gap apart, and waits until all are known or the time is over.
func (s *mtuSearch) round(ctx context.Context, wait, gap time.Duration, sizes ...int) {
	begin := len(s.list)
	for i, size := range sizes {
		if s.pace.Wait(ctx) != nil || i > 0 && sleep(ctx, gap) != nil {
			return
		}
		if mtu := s.sendSize(size); mtu > 0 {
			// The interface's MTU has become smaller meanwhile.
			s.m.Interface = min(s.m.Interface, mtu)
		}
	}
	for deadline := time.Now().Add(wait); ; {
		open := slices.ContainsFunc(s.list[begin:], func(fl *mtuFlight) bool { return !fl.known })
		if !open {
			return
		}
		ev, ok := s.echoSock.wait(ctx, deadline)
		if !ok {
			break
		}
		s.got(ev)
	}
	for ev, ok := s.try(); ok; ev, ok = s.try() {
		s.got(ev)
	}
	if ctx.Err() != nil {
		return
	}
	for _, fl := range s.list[begin:] {
		if !fl.known {
			fl.MS, fl.Class = Millis(time.Since(fl.At)), Timeout
			s.known(fl)
		}
	}
}

// known records an outcome.
func (s *mtuSearch) known(fl *mtuFlight) {
	fl.known = true
	fl.ByName = s.o.nameOf(fl.By)
	s.o.each(fl.Attempt)
	if x := s.sizes[fl.Size]; x.Answered == 0 && (fl.Class != Timeout || x.Reason == "") {
		x.Class, x.Reason = fl.Class, fl.Reason
	}
}

// got takes what came for one packet. What comes after its time still tells that the size passes.
func (s *mtuSearch) got(ev echoEvent) {
	fl := s.flights[ev.seq]
	if fl == nil || fl.At.IsZero() || fl.Class == OK {
		return
	}
	fl.MS = Millis(max(0, ev.at.Round(0).Sub(fl.At.Round(0))))
	if e := ev.icmp; e != nil {
		if fl.known && fl.Class != Timeout {
			return
		}
		fl.Class, fl.Reason = e.classify()
		fl.By = e.by
		if fl.Class == TooBig {
			fl.MTU = int(e.info)
		}
		s.known(fl)
		said := func(l Attempt) bool { return l.By == fl.By && l.MTU == fl.MTU }
		if fl.Class == TooBig && !slices.ContainsFunc(s.m.Limits, said) {
			s.m.Limits = append(s.m.Limits, fl.Attempt)
		}
		return
	}
	if ev.from.WithZone("") != s.dst.WithZone("") || len(ev.payload)+s.head != fl.Size {
		return
	}
	if fl.known {
		fl.Detail = "late"
	}
	fl.Class, fl.Reason, fl.By, fl.TTL = OK, "", ev.from.WithZone(""), ev.ttl
	s.sizes[fl.Size].Answered++
	s.sizes[fl.Size].Class, s.sizes[fl.Size].Reason = OK, ""
	s.slowest = max(s.slowest, fl.MS.Duration())
	fl.known = true
	fl.ByName = s.o.nameOf(fl.By)
	s.o.each(fl.Attempt)
}

func (s *mtuSearch) wait() time.Duration { return min(s.o.Timeout, max(mtuWait, mtuRTTs*s.slowest)) }

func (s *mtuSearch) passed(size int) bool { return s.sizes[size] != nil && s.sizes[size].Answered > 0 }

// border is the largest size that was answered, and the smallest above it that was not.
func (s *mtuSearch) border() (lo, hi int) {
	for size, x := range s.sizes {
		if x.Answered > 0 {
			lo = max(lo, size)
		}
	}
	hi = max(s.m.Interface, lo) + 1
	for size := range s.sizes {
		if size > lo {
			hi = min(hi, size)
		}
	}
	return lo, hi
}

// next are the sizes to try between two: what a router said and one more, else some in even steps.
func (s *mtuSearch) next(lo, hi int) []int {
	var out []int
	for _, l := range s.m.Limits {
		for _, size := range []int{l.MTU, l.MTU + 1} {
			if size > lo && size < hi && s.sizes[size] == nil && !slices.Contains(out, size) {
				out = append(out, size)
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	n := min(mtuGrid, hi-lo-1)
	for i := 1; i <= n; i++ {
		out = append(out, lo+(hi-lo)*i/(n+1))
	}
	return out
}

// finish says what came of it.
func (s *mtuSearch) finish(ctx context.Context) {
	for _, fl := range s.list {
		if fl.known {
			s.r.Attempts = append(s.r.Attempts, fl.Attempt)
		}
	}
	for _, size := range slices.SortedFunc(maps.Keys(s.sizes), cmp.Compare) {
		s.m.Sizes = append(s.m.Sizes, *s.sizes[size])
	}
	for i := range s.m.Limits {
		s.m.Limits[i].ByName = s.o.nameOf(s.m.Limits[i].By)
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		s.cut = "it was stopped"
	}
	if s.passed(s.base) {
		lo, hi := s.border()
		s.m.Largest = lo
		if hi <= s.m.Interface {
			s.m.Smallest = hi
		}
	}
	mtuJudge(s.r, s.cut)
}
