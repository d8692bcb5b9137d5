package ring

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Poller waits for many rings in one thread.
type Poller struct {
	epoll int
	wake  int
	mu    sync.Mutex
	rings map[int32]*Ring
	calls []func()
	done  bool
	asked time.Time
}

// NewPoller makes one without rings.
func NewPoller() (*Poller, error) {
	e, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	w, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(e)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &Poller{epoll: e, wake: w, rings: map[int32]*Ring{}}
	if err := unix.EpollCtl(e, unix.EPOLL_CTL_ADD, w, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(w)}); err != nil {
		p.close()
		return nil, fmt.Errorf("epoll: %w", err)
	}
	return p, nil
}

// Add has a ring waited for. It belongs to the poller then. Like Remove it may be called before Wait, from the callbacks, and by [Poller.Call].
func (p *Poller) Add(r *Ring) error {
	if err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, r.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLERR, Fd: int32(r.fd)}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	p.rings[int32(r.fd)] = r
	return nil
}

// Remove closes a ring.
func (p *Poller) Remove(r *Ring) {
	delete(p.rings, int32(r.fd))
	r.Close()
}

// Call has fn called by Wait's goroutine, soon, unless that has ended. It may be called from any other.
func (p *Poller) Call(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return // the descriptor may be another's by now
	}
	p.calls = append(p.calls, fn)
	_, _ = unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

// Wait gives frames to fn until ctx ends, and tells of rings whose link is down or gone (ENETDOWN): such a ring goes on, unless gone
// removes it. idle is called whenever all that was ready has been given; while it returns true it is called again soon, also if nothing comes.
func (p *Poller) Wait(ctx context.Context, fn func(*Ring, *Frame), gone func(*Ring, error), idle func() bool) error {
	stop := context.AfterFunc(ctx, func() { p.Call(func() {}) })
	defer stop()
	events := make([]unix.EpollEvent, 64)
	timeout := -1
	for ctx.Err() == nil {
		asked := time.Now()
		n, err := unix.EpollWait(p.epoll, events, timeout)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, e := range events[:n] {
			if e.Fd == int32(p.wake) {
				p.run()
				continue
			}
			r := p.rings[e.Fd]
			if r == nil {
				continue
			}
			r.drain(fn)
			if r.fd >= 0 && e.Events&unix.EPOLLERR != 0 {
				if errno, err := unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && errno != 0 {
					gone(r, unix.Errno(errno))
				}
			}
		}
		if n < len(events) { // else there may be more
			p.asked = asked
		}
		timeout = -1
		if idle() {
			timeout = RetireMS
		}
	}
	// A block that is not full is handed over after RetireMS: what came before the end is waited for.
	for end := time.Now().Add(2 * RetireMS * time.Millisecond); ; {
		left := time.Until(end)
		for _, r := range p.rings {
			r.drain(fn)
		}
		idle()
		if left <= 0 || len(p.rings) == 0 {
			return nil
		}
		_, _ = unix.EpollWait(p.epoll, events, int(left/time.Millisecond)+1)
		p.run()
	}
}

func (p *Poller) run() {
	var b [8]byte
	_, _ = unix.Read(p.wake, b[:])
	p.mu.Lock()
	calls := p.calls
	p.calls = nil
	p.mu.Unlock()
	for _, f := range calls {
		f()
	}
}

// Drained is a moment: the blocks that were ready then have been given. It is for Wait's callbacks.
func (p *Poller) Drained() time.Time { return p.asked }

// Rings are those that are waited for.
func (p *Poller) Rings() []*Ring {
	out := make([]*Ring, 0, len(p.rings))
	for _, r := range p.rings {
		out = append(out, r)
	}
	return out
}

// Close closes all rings.
func (p *Poller) Close() {
	for _, r := range p.rings {
		r.Close()
	}
	p.rings = nil
	p.close()
}

func (p *Poller) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	unix.Close(p.epoll)
	unix.Close(p.wake)
}
