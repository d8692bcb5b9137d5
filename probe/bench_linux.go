package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Bench measures how fast data goes from FROM to TO, or back (Reverse). Where TO's namespace is open (To.NS) the other end is made
// there, on To.Port or a free one, for as long as it lasts; else [Listen] with Bench must run at To.Port. It lasts o.For,
// by default 3 s. The receiver's count is the figure. o.Size is the payload of a UDP datagram, by default what the path's
// MTU takes whole.
//
// TCP data that arrives is not copied to the program (MSG_TRUNC), as with iperf3 --skip-rx-copy.
//
// o.Count, o.Interval, o.SrcPort and o.Hold have no meaning; o.Timeout bounds each connection, by default 5 s. A context that
// ends leaves the figures until then. Errors are those of sockets and options; what the network refused is the result's class, and
// BadAnswer what something else than a bench said.
func Bench(ctx context.Context, from *From, to To, o Options, b BenchOptions) (*Result, error) {
	o.For, o.Timeout, o.SrcPort = or(o.For, 3*time.Second), or(o.Timeout, 5*time.Second), 0
	b.Streams = or(b.Streams, 1)
	switch {
	case b.Streams < 1 || b.Streams > benchStreams:
		return nil, optionf("%d streams: 1 to %d", b.Streams, benchStreams)
	case b.UDP && b.Streams > 1:
		return nil, optionf("UDP has one stream")
	case o.For < time.Millisecond || o.For > benchLongest:
		return nil, optionf("a bench of %v: at most %v", o.For, benchLongest)
	case b.Rate < 0 || b.Rate > 0 && !b.UDP:
		return nil, optionf("a rate is for UDP")
	case b.UDP && o.Size != 0 && (o.Size < benchHeader || o.Size > 65507):
		return nil, optionf("datagrams of %d bytes: %d to 65507", o.Size, benchHeader)
	case to.NS == nil && to.Port == 0:
		return nil, optionf("bench to %s needs a port where `nscope probe listen --bench` runs", to.label())
	}
	r := newResult("bench", from, to, o)
	addr, ok, err := from.target(ctx, &to, o, r)
	if err != nil || !ok {
		return r, err
	}
	r.Bench = &BenchFigure{Proto: "tcp", Reverse: b.Reverse, Streams: b.Streams, Intervals: []BenchInterval{}}
	if b.UDP {
		r.Bench.Proto = "udp"
	}
	if to.NS != nil {
		l, err := listenIn(to, addr)
		if err != nil {
			return nil, err
		}
		serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
		end := serveBench(serving, l, &benchServer{at: &From{Name: to.label(), NS: to.NS}})
		defer func() { cancel(); end() }()
		to.Port = netip.MustParseAddrPort(l.Addr().String()).Port()
		r.To.Port = to.Port
	}
	c := &bench{from: from, to: netip.AddrPortFrom(addr, to.Port), o: o, b: b, r: r, own: to.NS != nil}
	err = c.run(ctx)
	return c.end(ctx, err)
}

// listenIn opens the other end's listener.
func listenIn(to To, addr netip.Addr) (net.Listener, error) {
	f := &From{Name: to.label(), NS: to.NS}
	l, err := f.listenTCP(Options{}, netip.AddrPortFrom(addr, to.Port))
	if errors.Is(err, unix.EADDRNOTAVAIL) { // a service's address leads there, but is not there
		any := netip.IPv4Unspecified()
		if addr.Is6() {
			any = netip.IPv6Unspecified()
		}
		l, err = f.listenTCP(Options{}, netip.AddrPortFrom(any, to.Port))
	}
	return l, err
}

// serveBench takes connections until end is called.
func serveBench(ctx context.Context, l net.Listener, s *benchServer) (end func()) {
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(ctx, conn) })
		}
	})
	return func() { l.Close(); wg.Wait() }
}

// bench is FROM's end.
type bench struct {
	from *From
	to   netip.AddrPort
	o    Options
	b    BenchOptions
	r    *Result
	own  bool // the other end is this process's too

	conns   []io.Closer
	mine    benchReport
	theirs  *benchReport
	mu      sync.Mutex // of what the reader of the control connection adds
	idle    []time.Duration
	loaded  []time.Duration
	session string
	size    int
}

// otherError is what the other end says that keeps it from working.
type otherError struct{ said string }

func (e *otherError) Error() string { return "the other end says: " + e.said }

// connect opens one connection and says what it is for.
func (c *bench) connect(ctx context.Context, m benchMsg) (net.Conn, benchMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	conn, err := c.from.Dial(ctx, "tcp", c.to, c.o)
	if err != nil {
		return nil, m, err
	}
	c.conns = append(c.conns, conn)
	if a, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
		c.r.From.Addr = a.Addr().Unmap()
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, benchHello); err != nil {
		return conn, m, err
	}
	if err := writeMsg(conn, m); err != nil {
		return conn, m, err
	}
	if err := readHello(conn); err != nil {
		return conn, m, err
	}
	got, err := readMsg(conn)
	switch {
	case err != nil:
	case got.Error != "":
		err = &otherError{got.Error}
	case !got.OK:
		err = &notBench{"answers something else"}
		if got.Do == m.Do {
			err = &notBench{"sends back what it is sent"}
		}
	}
	if ctx.Err() == nil && err == nil {
		conn.SetDeadline(time.Time{})
	}
	return conn, got, err
}

func (c *bench) run(ctx context.Context) error {
	defer func() {
		for _, x := range c.conns {
			x.Close()
		}
	}()
	start := benchMsg{Do: "start", Proto: c.r.Bench.Proto, Reverse: c.b.Reverse, Streams: c.b.Streams, MS: c.o.For.Milliseconds(), Rate: c.b.Rate}
	var udp *sock
	if c.b.UDP {
		s, err := c.from.openUDP(c.o, c.to.Addr())
		if err != nil {
			return err
		}
		c.conns = append(c.conns, s)
		if err := s.control(func(fd int) error { return unix.Connect(fd, sockaddr(c.to)) }); err != nil {
			class, reason := classifyErr(err)
			return &DialError{To: c.to, Class: class, Reason: reason, Err: err}
		}
		udp = s
		if start.Size = c.o.Size; start.Size == 0 {
			start.Size = max(benchHeader, s.pathMTU(c.to.Addr())-udpOverhead(c.to.Addr()))
		}
		start.Size = min(start.Size, 65507)
		c.size = start.Size
	}
	control, ok, err := c.connect(ctx, start)
	if err != nil {
		return err
	}
	c.session = ok.Session
	id, err := strconv.ParseUint(ok.Session, 16, 64)
	if err != nil {
		return &notBench{"answers something else"}
	}
	end := &benchEnd{dur: c.o.For, rate: c.b.Rate, size: c.size, session: id, udp: udp}
	beside, _, err := c.connect(ctx, benchMsg{Do: "echo", Session: ok.Session})
	if err != nil {
		return err
	}
	if !c.b.UDP {
		for range c.b.Streams {
			s, _, err := c.connect(ctx, benchMsg{Do: "stream", Session: ok.Session})
			if err != nil {
				return err
			}
			end.conns = append(end.conns, s)
		}
	}
	quiet, cancel := context.WithTimeout(ctx, time.Second)
	c.idle = roundTrips(quiet, beside, 2*time.Millisecond, 50)
	cancel()
	beside.SetDeadline(time.Time{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.measure(ctx, control, beside, end)
}

// measure does what run has prepared.
func (c *bench) measure(ctx context.Context, control, beside net.Conn, end *benchEnd) error {
	if err := writeMsg(control, benchMsg{Do: "go"}); err != nil {
		return err
	}
	// What the other end says meanwhile.
	done := make(chan struct{}) // it has sent all
	reported := make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		saidDone := sync.OnceFunc(func() { close(done) })
		defer saidDone()
		for {
			m, err := readMsg(control)
			switch {
			case err != nil:
				reported <- err
				return
			case m.Interval != nil:
				c.interval(*m.Interval)
			case m.Do == "done":
				saidDone()
			case m.Report != nil:
				c.theirs = m.Report
				reported <- nil
				return
			}
		}
	})
	defer func() {
		control.SetReadDeadline(time.Unix(1, 0))
		reader.Wait()
	}()
	under, ended := context.WithCancel(ctx)
	var wg sync.WaitGroup
	gap := max(10*time.Millisecond, c.o.For/10_000)
	wg.Go(func() { c.loaded = roundTrips(under, beside, gap, 0) })
	if c.b.Reverse {
		stop, enough := context.WithTimeout(ctx, c.o.For+c.o.Timeout)
		if c.b.UDP {
			// The way is shown until something comes or all is over.
			wg.Go(func() {
				for under.Err() == nil && end.show() == nil {
					if sleep(under, 50*time.Millisecond) != nil {
						return
					}
				}
			})
			wg.Go(func() {
				select {
				case <-done:
				case <-stop.Done():
				}
				enough()
			})
		}
		c.mine = end.receive(stop, c.interval)
		enough()
	} else {
		c.mine = end.send(ctx)
	}
	ended()
	wg.Wait()
	if c.b.UDP && !c.b.Reverse {
		// What is on its way counts.
		sleep(ctx, 20*time.Millisecond)
	}
	control.SetWriteDeadline(time.Now().Add(time.Second))
	patience := c.o.Timeout
	if ctx.Err() != nil { // the user waits: what the other end has by now
		patience = time.Second
	}
	if err := writeMsg(control, benchMsg{Do: "end"}); err != nil {
		return err
	}
	select {
	case err := <-reported:
		return err
	case <-time.After(patience):
		return errors.New("the other end did not report")
	}
}

func (c *bench) interval(i BenchInterval) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.r.Bench.Intervals = append(c.r.Bench.Intervals, i)
	c.r.add(c.o, Attempt{
		Seq: len(c.r.Bench.Intervals), At: time.Now(), MS: MS(i.Seconds * 1000), Class: OK,
		Remote: c.to, Detail: byteCount(i.Bytes) + ", " + bitRate(i.BitsPerSecond),
	})
}

// end makes the result.
func (c *bench) end(ctx context.Context, err error) (*Result, error) {
	r, f := c.r, c.r.Bench
	f.Idle, f.Loaded = latencyOf(c.idle), latencyOf(c.loaded)
	var dial *DialError
	var not *notBench
	var said *otherError
	began := c.mine.Seconds > 0 || c.mine.Bytes > 0 || len(f.Intervals) > 0
	switch {
	case err == nil || began:
	case ctx.Err() != nil:
		return r.end(Timeout, "ended before it began"), nil
	case errors.As(err, &dial):
		if dial.Class == Refused && r.To.Port != 0 {
			r.Hint = fmt.Sprintf("start the other end there: nscope probe listen … --bench --port %d", c.to.Port())
		}
		return r.end(dial.Class, or(dial.Reason, "no connection to port "+fmt.Sprint(c.to.Port()))), nil
	case errors.As(err, &not):
		r.Hint = "the other end is nscope probe listen --bench"
		return r.end(BadAnswer, not.Error()), nil
	case errors.As(err, &said):
		return r.end(BadAnswer, said.Error()), nil
	default:
		var n net.Error
		if errors.As(err, &n) && n.Timeout() {
			r.NotCertain = fmt.Sprintf("it may only be slow: nothing came within %v", c.o.Timeout)
			if c.own {
				return r.end(Timeout, "the other end did not answer in time"), nil
			}
			r.Hint = "the other end is nscope probe listen --bench"
			return r.end(BadAnswer, (&notBench{"accepts the connection, but does not answer"}).Error()), nil
		}
		var errno unix.Errno
		if errors.As(err, &errno) {
			class, reason := classifyErr(err)
			return r.end(class, reason), nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return r.end(BadAnswer, "the other end closed the connection"), nil
		}
		return nil, err
	}
	sender, receiver := c.mine, benchReport{}
	if c.theirs != nil {
		receiver = *c.theirs
	} else { // the seconds that it told of
		for _, i := range f.Intervals {
			receiver.Bytes += i.Bytes
			receiver.Seconds = i.Start + i.Seconds
		}
		f.Missing = "receiver"
	}
	if c.b.Reverse {
		receiver = c.mine
		if sender = (benchReport{}); c.theirs != nil {
			sender = *c.theirs
		} else {
			f.Missing = "sender"
		}
	}
	f.Bytes, f.Seconds, f.SentBytes = receiver.Bytes, receiver.Seconds, sender.Bytes
	f.BitsPerSecond = bits(f.Bytes, f.Seconds)
	f.Retransmits, f.RTT, f.Cwnd, f.MSS = sender.Retransmits, sender.RTT, sender.Cwnd, sender.MSS
	if c.b.UDP {
		u := &BenchUDP{Size: c.size, Sent: sender.Datagrams, Received: receiver.Datagrams, Reordered: receiver.Reordered, Jitter: receiver.Jitter}
		u.Lost = max(0, u.Sent-u.Received)
		if c.theirs == nil { // one of the two is not known
			u.Lost = 0
		} else if u.Sent > 0 {
			u.LossPercent = 100 * float64(u.Lost) / float64(u.Sent)
		}
		f.UDP = u
	}
	if f.UDP != nil && f.UDP.LossPercent > 1 && c.b.Rate == 0 {
		r.Hint = "it was sent as fast as the sender could; a rate shows what passes without loss"
	}
	summary := f.summary()
	if f.Missing != "" {
		r.NotCertain = "the " + f.Missing + "'s last figures did not come"
	}
	if ctx.Err() != nil && f.Seconds < c.o.For.Seconds()*0.9 {
		summary += ", ended early"
	}
	switch why := or(sender.Error, receiver.Error); {
	case f.Bytes == 0 && why != "":
		return r.end(Failed, "nothing arrived: "+why), nil
	case f.Bytes == 0:
		return r.end(Timeout, "nothing arrived"), nil
	case f.Missing != "" && ctx.Err() == nil:
		return r.end(Timeout, summary+", then the other end was not heard any more"), nil
	case why != "" && !strings.Contains(why, "closed"):
		r.NotCertain = or(r.NotCertain, "it broke off: "+why)
	}
	return r.end(OK, summary), nil
}

// pathMTU is what the kernel knows of the path of a connected socket, or the smallest that every host must take.
func (s *sock) pathMTU(addr netip.Addr) (mtu int) {
	s.control(func(fd int) (err error) {
		if addr.Is4() {
			mtu, err = unix.GetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU)
		} else {
			mtu, err = unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU)
		}
		return err
	})
	if mtu <= 0 {
		mtu = 576
		if addr.Is6() {
			mtu = 1280
		}
	}
	return mtu
}

// udpOverhead is the headers' length.
func udpOverhead(addr netip.Addr) int {
	if addr.Is4() {
		return 28
	}
	return 48
}
