package probe

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// benchServer is the other end of a bench: it does what the control connection asks for.
type benchServer struct {
	// at is where it is, for the sockets of UDP.
	at *From
	o  Options

	mu       sync.Mutex
	sessions map[string]*benchSession
	// done is called with each session's outcome; may be nil.
	done func(control net.Conn, what string)
}

// benchSession is one bench.
type benchSession struct {
	benchMsg
	id      uint64
	streams chan net.Conn
	ctx     context.Context
}

// wait for a message of the other end at most so long, outside a measurement.
const benchPatience = 10 * time.Second

// serve handles one connection and closes it, or hands it to its session.
func (s *benchServer) serve(ctx context.Context, conn net.Conn) {
	keep := false
	defer func() {
		if !keep {
			conn.Close()
		}
	}()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	conn.SetDeadline(time.Now().Add(benchPatience))
	if _, err := io.WriteString(conn, benchHello); err != nil {
		return
	}
	if readHello(conn) != nil {
		return
	}
	m, err := readMsg(conn)
	if err != nil || ctx.Err() != nil {
		return
	}
	fail := func(format string, args ...any) { writeMsg(conn, benchMsg{Error: fmt.Sprintf(format, args...)}) }
	switch m.Do {
	case "start":
		if err := m.check(); err != nil {
			fail("%v", err)
			return
		}
		s.control(ctx, conn, m, fail)
	case "stream":
		se := s.session(m.Session)
		if se == nil {
			fail("no such session")
			return
		}
		if writeMsg(conn, benchMsg{OK: true}) != nil {
			return
		}
		conn.SetDeadline(time.Time{})
		select {
		case se.streams <- conn:
			keep = true
		default: // more than were asked for
		}
	case "echo":
		se := s.session(m.Session)
		if se == nil {
			fail("no such session")
			return
		}
		if writeMsg(conn, benchMsg{OK: true}) != nil {
			return
		}
		conn.SetDeadline(time.Time{})
		defer context.AfterFunc(se.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
		if se.ctx.Err() == nil {
			echoTo(conn)
		}
	default:
		fail("%q is not known", m.Do)
	}
}

// echoTo sends 16 bytes back each time.
func echoTo(conn net.Conn) {
	var b [16]byte
	for {
		if _, err := io.ReadFull(conn, b[:]); err != nil {
			return
		}
		if _, err := conn.Write(b[:]); err != nil {
			return
		}
	}
}

func (s *benchServer) session(id string) *benchSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// control runs a session.
func (s *benchServer) control(ctx context.Context, conn net.Conn, m benchMsg, fail func(string, ...any)) {
	var id [8]byte
	rand.Read(id[:])
	m.Session = hex.EncodeToString(id[:])
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	se := &benchSession{benchMsg: m, streams: make(chan net.Conn, m.Streams), ctx: ctx}
	se.id, _ = strconv.ParseUint(m.Session, 16, 64)
	s.mu.Lock()
	busy := len(s.sessions) >= benchSessions
	if !busy {
		if s.sessions == nil {
			s.sessions = map[string]*benchSession{}
		}
		s.sessions[m.Session] = se
	}
	s.mu.Unlock()
	if busy {
		fail("busy with %d others", benchSessions)
		return
	}
	defer func() {
		s.mu.Lock()
		delete(s.sessions, m.Session)
		s.mu.Unlock()
		for {
			select {
			case c := <-se.streams:
				c.Close()
				continue
			default:
			}
			break
		}
	}()
	var udp *sock
	if m.Proto == "udp" {
		local := netip.MustParseAddrPort(conn.LocalAddr().String())
		o := s.o
		o.Src, o.SrcPort = local.Addr().Unmap().WithZone(""), local.Port()
		var err error
		udp, err = s.at.openUDP(o, o.Src)
		for until := time.Now().Add(time.Second); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(until); {
			// The bench before this one has ended for who asked, but may not have closed its socket yet.
			if sleep(ctx, 10*time.Millisecond) != nil {
				break
			}
			udp, err = s.at.openUDP(o, o.Src)
		}
		if err != nil {
			fail("UDP: %v", err)
			return
		}
		defer udp.Close()
	}
	if writeMsg(conn, benchMsg{OK: true, Session: m.Session}) != nil {
		return
	}
	// What the other end says from here on; it hanging up ends the session.
	conn.SetDeadline(time.Time{})
	said := make(chan string, 4)
	var reader sync.WaitGroup
	defer func() {
		cancel()
		conn.SetReadDeadline(time.Unix(1, 0))
		reader.Wait()
	}()
	reader.Go(func() {
		defer close(said)
		r := bufio.NewReader(conn)
		for {
			m, err := readMsg(r)
			if err != nil {
				cancel()
				return
			}
			select {
			case said <- m.Do:
			default:
				return
			}
		}
	})
	await := func(what string, most time.Duration) bool {
		select {
		case got := <-said:
			return got == what
		case <-time.After(most):
		case <-ctx.Done():
		}
		return false
	}
	// The session's start must have come within a minute, when the streams are there.
	if !await("go", time.Minute) {
		return
	}
	dur := time.Duration(m.MS) * time.Millisecond
	var conns []net.Conn
	if m.Proto == "tcp" {
		for range m.Streams {
			select {
			case c := <-se.streams:
				conns = append(conns, c)
				defer c.Close()
				defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
			default:
				return
			}
		}
	}
	end := &benchEnd{dur: dur, rate: m.Rate, size: m.Size, session: se.id, conns: conns, udp: udp}
	var wmu sync.Mutex
	tell := func(m benchMsg) {
		wmu.Lock()
		defer wmu.Unlock()
		conn.SetWriteDeadline(time.Now().Add(benchPatience))
		writeMsg(conn, m)
	}
	var report benchReport
	// The other end says when it has had enough; it does not take longer than it ought to.
	stop, ended := context.WithTimeout(ctx, dur+time.Minute)
	defer ended()
	asked := make(chan struct{})
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer ended()
	waiting.Go(func() {
		select {
		case got := <-said:
			if got == "end" {
				close(asked)
			}
		case <-stop.Done():
		}
		ended()
	})
	if m.Reverse {
		report = end.send(stop)
		if stop.Err() != nil {
			report.Error = "" // of streams that the other end has left
		}
		tell(benchMsg{Do: "done"})
	} else {
		report = end.receive(stop, func(i BenchInterval) { tell(benchMsg{Interval: &i}) })
	}
	select { // all was sent, or all streams were closed: "end" is on its way
	case <-asked:
	case <-ctx.Done():
		return
	case <-time.After(benchPatience):
		return
	}
	tell(benchMsg{Report: &report})
	if s.done != nil {
		way := "received"
		if m.Reverse {
			way = "sent"
		}
		s.done(conn, fmt.Sprintf("bench %s: %s %s in %.1f s", m.Proto, way, byteCount(report.Bytes), report.Seconds))
	}
}

// benchEnd is what sends or receives, at either end.
type benchEnd struct {
	dur     time.Duration
	rate    int64
	size    int
	session uint64
	conns   []net.Conn
	udp     *sock // connected, or for TO with nobody known yet
}

// send sends for as long as it should.
func (e *benchEnd) send(ctx context.Context) (r benchReport) {
	started := time.Now()
	if e.udp != nil {
		n, err := e.udpSend(ctx)
		r.Datagrams, r.Bytes = n, n*int64(e.size)
		if err != nil {
			r.Error = err.Error()
		}
		r.Seconds = time.Since(started).Seconds()
		return r
	}
	var sent atomic.Int64
	errs := make([]error, len(e.conns))
	var wg sync.WaitGroup
	until := started.Add(e.dur)
	for i, c := range e.conns {
		wg.Go(func() { errs[i] = blast(ctx, c, until, &sent) })
	}
	wg.Wait()
	r.Seconds = time.Since(started).Seconds()
	r.Bytes = sent.Load()
	for _, c := range e.conns {
		tcpInfo(c, &r)
		if t, ok := c.(*net.TCPConn); ok {
			t.CloseWrite()
		}
	}
	if err := errors.Join(errs...); err != nil {
		r.Error = err.Error()
	}
	return r
}

// receive takes what comes until all streams are closed, or the context ends; each tells the seconds.
func (e *benchEnd) receive(ctx context.Context, each func(BenchInterval)) (r benchReport) {
	m := newMeter()
	stop := make(chan struct{})
	var watch, wg sync.WaitGroup
	watch.Go(func() { m.watch(stop, each) })
	if e.udp != nil {
		a := e.udpReceive(ctx, m)
		r.Datagrams, r.Reordered, r.Jitter = a.n, a.reordered, Millis(time.Duration(a.jitter))
	}
	for _, c := range e.conns {
		wg.Go(func() {
			defer context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })()
			if raw, err := c.(syscall.Conn).SyscallConn(); err == nil {
				drain(raw, m)
			}
		})
	}
	wg.Wait()
	close(stop)
	watch.Wait()
	r.Bytes, r.Seconds = m.bytes.Load(), m.seconds()
	return r
}
