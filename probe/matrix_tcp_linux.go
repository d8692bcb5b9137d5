package probe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// matrixSockets is how many connections a matrix tries at once, all members together.
const matrixSockets = 1250

// connectAll tries a connection for each question. All sockets of a member that fit are opened in one visit to its namespace.
func (x *matrix) connectAll(ctx context.Context, qs []*question, _ int, timeout time.Duration) error {
	by := make([][]*question, len(x.asks))
	for _, q := range qs {
		by[q.cell.From] = append(by[q.cell.From], q)
	}
	slots := make(chan struct{}, socketLimit())
	var wg sync.WaitGroup
	var failed error
	for i, qs := range by {
		for len(qs) > 0 && failed == nil && ctx.Err() == nil && !x.isFull() {
			some := qs[:min(len(qs), matrixSockets/5, cap(slots))]
			qs = qs[len(some):]
			for range some {
				slots <- struct{}{}
			}
			if err := x.connectSome(ctx, x.asks[i], some, timeout, &wg, slots); err != nil {
				failed = err
			}
		}
	}
	wg.Wait()
	if failed != nil {
		return failed
	}
	return x.nobody()
}

// socketLimit leaves half of the open files that are allowed to everything else.
func socketLimit() int {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return matrixSockets / 5
	}
	return int(max(1, min(matrixSockets, l.Cur/2)))
}

func (x *matrix) connectSome(ctx context.Context, a *asker, qs []*question, timeout time.Duration, wg *sync.WaitGroup, slots chan struct{}) error {
	fds := make([]int, 0, len(qs))
	var openErr error
	err := a.from.NS.Do(func() error {
		for _, q := range qs {
			fd, err := socketIn(domain(q.addr), unix.SOCK_STREAM, 0, x.o.setup(q.addr))
			if err != nil {
				openErr = err
				break
			}
			fds = append(fds, fd)
		}
		return nil
	})
	if err == nil {
		err = openErr
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		for range qs {
			<-slots
		}
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			return matrixOpenError("matrix", a.from, "", err)
		}
		x.cannot(a, matrixOpenError("matrix", a.from, "", err))
		return nil
	}
	for wave := range waves(qs) {
		for _, q := range wave {
			fd := fds[0]
			fds = fds[1:]
			wg.Go(func() {
				defer func() { <-slots }()
				x.connect(ctx, q, fd, timeout)
			})
		}
		x.answered(ctx, wave, time.Now().Add(matrixGap))
	}
	return nil
}

func (x *matrix) connect(ctx context.Context, q *question, fd int, timeout time.Duration) {
	s, err := newSock(fd)
	if err != nil {
		x.refused(q, nil, err, 0)
		return
	}
	defer s.Close()
	limit, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	x.mu.Lock()
	q.sent++
	q.at = time.Now()
	sent := q.at
	x.mu.Unlock()
	err = s.connect(limit, netip.AddrPortFrom(q.addr, x.m.TCP))
	took := time.Since(sent)
	switch {
	case err == nil:
		x.settle(q, Cell{Class: OK, MS: Millis(took)})
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded):
	default:
		x.refused(q, s.queued(), err, took)
	}
}

// queued is the ICMP error that ended a connection, nil where the kernel keeps none for TCP (before Linux 5.18).
func (s *sock) queued() (e *icmpError) {
	s.control(func(fd int) error {
		var buf [256]byte
		if ev, err := receiveFlags(fd, buf[:], unix.MSG_ERRQUEUE); err == nil {
			e = ev.icmp
		}
		return nil
	})
	return e
}
