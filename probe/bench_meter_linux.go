package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// benchBlock is how much one system call sends or takes at most.
const (
	benchBlock   = 256 << 10
	benchReceive = 1 << 20
)

// meter counts what arrives.
type meter struct {
	bytes       atomic.Int64
	first, last atomic.Int64 // nanoseconds since the epoch of the monotonic clock
	zero        time.Time
}

func newMeter() *meter { return &meter{zero: time.Now()} }

func (m *meter) add(n int) {
	now := int64(time.Since(m.zero)) + 1
	if m.first.Load() == 0 {
		m.first.CompareAndSwap(0, now)
	}
	m.bytes.Add(int64(n))
	m.last.Store(now)
}

// seconds is from the first byte to the last.
func (m *meter) seconds() float64 {
	return time.Duration(m.last.Load() - m.first.Load()).Seconds()
}

// watch calls f with each second's figures, the last one being the rest, until stop is closed; it returns then.
func (m *meter) watch(stop <-chan struct{}, f func(BenchInterval)) {
	var done int64
	var from int64
	tick := time.NewTicker(50 * time.Millisecond) // so that a second begins with the first byte, not with the ticker
	defer tick.Stop()
	tell := func(until int64) {
		b := m.bytes.Load()
		i := BenchInterval{Start: time.Duration(from - m.first.Load()).Seconds(), Seconds: time.Duration(until - from).Seconds(), Bytes: b - done}
		i.BitsPerSecond = bits(i.Bytes, i.Seconds)
		done, from = b, until
		f(i)
	}
	for {
		ended := false
		select {
		case <-stop:
			ended = true
		case <-tick.C:
		}
		if from == 0 {
			from = m.first.Load()
		}
		now := int64(time.Since(m.zero)) + 1
		switch {
		case from == 0 && ended:
			return
		case from == 0:
		case ended:
			if last := m.last.Load(); last-from >= int64(50*time.Millisecond) || done == 0 && last > from {
				tell(last)
			}
			return
		case now-from >= int64(time.Second):
			tell(now)
		}
	}
}

// drain takes and forgets what comes until the other end closes, and counts it. The kernel does not even copy it to us
// (MSG_TRUNC, tcp(7)): what is measured is the network, not the memory.
func drain(c syscall.RawConn, m *meter) error {
	b := make([]byte, benchReceive) // not written to: it costs no memory
	var failed error
	err := c.Read(func(fd uintptr) bool {
		for {
			n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_TRUNC|unix.MSG_DONTWAIT, 0, 0)
			switch {
			case errno == unix.EINTR:
			case errno == unix.EAGAIN:
				return false
			case errno != 0:
				failed = errno
				return true
			case n == 0:
				return true
			default:
				m.add(int(n))
			}
		}
	})
	return errors.Join(err, failed)
}

// zeros is what TCP sends.
var zeros = sync.OnceValue(func() []byte { return make([]byte, benchBlock) })

// blast sends as fast as it goes until the time, the context's end or an error.
func blast(ctx context.Context, conn net.Conn, until time.Time, sent *atomic.Int64) error {
	c, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	conn.SetWriteDeadline(until)
	defer context.AfterFunc(ctx, func() { conn.SetWriteDeadline(time.Unix(1, 0)) })()
	var failed error
	err = c.Write(func(fd uintptr) bool {
		for ctx.Err() == nil && time.Now().Before(until) {
			n, err := unix.SendmsgN(int(fd), zeros(), nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			switch err {
			case nil:
				sent.Add(int64(n))
			case unix.EINTR:
			case unix.EAGAIN:
				return false
			default:
				failed = os.NewSyscallError("send", err)
				return true
			}
		}
		return true
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, failed)
}

// tcpInfo adds a sender's figures to a report.
func tcpInfo(conn net.Conn, r *benchReport) {
	c, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return
	}
	c.Control(func(fd uintptr) {
		i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		r.Retransmits += int64(i.Total_retrans)
		if r.Cwnd == 0 {
			r.Cwnd, r.MSS, r.RTT = int(i.Snd_cwnd), int(i.Snd_mss), Millis(time.Duration(i.Rtt)*time.Microsecond)
		}
	})
}

// roundTrips sends 16 bytes and waits for them to come back, again and again, until the context ends or it was done often
// enough (0: no limit).
func roundTrips(ctx context.Context, conn net.Conn, gap time.Duration, times int) (d []time.Duration) {
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	const most = 100_000 // 8 bytes each
	var out, in [16]byte
	for n := 0; (times == 0 || n < times) && n < most && ctx.Err() == nil; n++ {
		binary.BigEndian.PutUint64(out[:], uint64(n))
		at := time.Now()
		if _, err := conn.Write(out[:]); err != nil {
			return d
		}
		for got := 0; got < len(in); {
			k, err := conn.Read(in[got:])
			if got += k; err != nil {
				return d
			}
		}
		if in != out {
			return d
		}
		d = append(d, time.Since(at))
		if sleep(ctx, gap) != nil {
			return d
		}
	}
	return d
}
