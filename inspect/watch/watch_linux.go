package watch

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/kmod"
	"github.com/nscope/nscope/internal/nlwire"
)

// Groups of rtnetlink (enum rtnetlink_groups) and of nfnetlink (NFNLGRP_NFTABLES).
var routeGroups = []int{1 /* LINK */, 3 /* NEIGH */, 5 /* IPV4_IFADDR */, 7 /* IPV4_ROUTE */, 8 /* IPV4_RULE */, 9 /* IPV6_IFADDR */, 11 /* IPV6_ROUTE */, 19 /* IPV6_RULE */, 28 /* NSID */, 32 /* NEXTHOP */, 33 /* BRVLAN */}

const nftablesGroup = 7

// homeRoom is the buffer of a socket that hears of many namespaces, ownRoom that of one that hears of one. The kernel accounts
// twice what it holds.
const (
	homeRoom = 8 << 20
	ownRoom  = 256 << 10
)

// mostAtOnce bounds how many datagrams of one socket are taken before the others have their turn.
const mostAtOnce = 256

// Watcher hears. Its methods may be called from anywhere.
type Watcher struct {
	epoll, wake, notify int
	events              chan []Event
	done                chan struct{}

	mu      sync.Mutex
	sockets map[int]*socket
	names   map[place]snapshot.NSID
	folders map[int]string // by watch descriptor
	files   map[int]*os.File
	mounted map[*os.File]uint64
	left    []Event // what waited at sockets that were closed
	closed  bool
}

// socket is one that is listened on.
type socket struct {
	*nlwire.Listener
	in        snapshot.NSID
	netfilter bool
}

// place is a number in a namespace.
type place struct {
	in   snapshot.NSID
	nsid int
}

// New makes a Watcher that hears nothing yet.
func New() (*Watcher, error) {
	w := &Watcher{epoll: -1, wake: -1, notify: -1, events: make(chan []Event), done: make(chan struct{}), sockets: map[int]*socket{}, names: map[place]snapshot.NSID{}, folders: map[int]string{}, files: map[int]*os.File{}}
	var err error
	if w.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err == nil {
		w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	}
	if err == nil {
		err = w.add(w.wake, unix.EPOLLIN)
	}
	if err != nil {
		w.closeAll()
		return nil, fmt.Errorf("wait for events: %w", err)
	}
	go w.run()
	return w, nil
}

// Events are batches of events, in the order in which they were heard. It is closed by Close.
func (w *Watcher) Events() <-chan []Event { return w.events }

// Close ends it, and closes every socket.
func (w *Watcher) Close() {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if already {
		return
	}
	_, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	for range w.events { // what it wants to tell is in its way
	}
	<-w.done
}

func (w *Watcher) closeAll() {
	for _, s := range w.sockets {
		s.Close()
	}
	for _, f := range w.files {
		f.Close()
	}
	for _, fd := range []int{w.epoll, w.wake, w.notify} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (w *Watcher) add(fd int, events uint32) error {
	return unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// Listen opens the sockets for the namespace id in the calling thread's, which it is: call it inside [netns.Handle.Do]. With all
// they hear of every namespace that has an nsid in it; the result tells whether they may. Nftables is listened to where the
// kernel has it by now: call it again later where it had not.
func (w *Watcher) Listen(id snapshot.NSID, all bool) (heardAll bool, err error) {
	route, netfilter := w.has(id)
	room := ownRoom
	if all {
		room = homeRoom
	}
	if route == nil {
		l, err := nlwire.Listen(unix.NETLINK_ROUTE, all, room, routeGroups...)
		if err != nil {
			return false, err
		}
		route = &socket{Listener: l, in: id}
		if err := w.take(route); err != nil {
			return false, err
		}
	}
	if netfilter == nil && kmod.MayAsk("nfnetlink") && kmod.MayAsk("nf_tables") {
		// Who may not read rules may not hear of them either: there is a gap that says so.
		if l, err := nlwire.Listen(unix.NETLINK_NETFILTER, all, room, nftablesGroup); err == nil {
			if err := w.take(&socket{Listener: l, in: id, netfilter: true}); err != nil {
				return route.All, err
			}
		}
	}
	return route.All, nil
}

// has returns the sockets of a namespace.
func (w *Watcher) has(id snapshot.NSID) (route, netfilter *socket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sockets {
		switch {
		case s.in != id:
		case s.netfilter:
			netfilter = s
		default:
			route = s
		}
	}
	return route, netfilter
}

func (w *Watcher) take(s *socket) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		s.Close()
		return errors.New("the watcher is closed")
	}
	if err := w.add(s.FD(), unix.EPOLLIN); err != nil {
		s.Close()
		return fmt.Errorf("wait for events: %w", err)
	}
	w.sockets[s.FD()] = s
	return nil
}

// Name tells which namespace the number nsid is in the namespace in; events of it are then events of id.
func (w *Watcher) Name(in snapshot.NSID, nsid int, id snapshot.NSID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[place{in, nsid}] = id
}

// Unname takes that back.
func (w *Watcher) Unname(in snapshot.NSID, nsid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.names, place{in, nsid})
}

// Forget closes the sockets of a namespace, and takes its names back. What waits there is told nevertheless.
func (w *Watcher) Forget(id snapshot.NSID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	buf := make([]byte, 64<<10)
	for fd, s := range w.sockets {
		if s.in == id {
			w.left = w.receive(w.left, s, buf)
			delete(w.sockets, fd)
			s.Close() // which takes it out of the epoll set
		}
	}
	if len(w.left) > 0 {
		_, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	for p, to := range w.names {
		if p.in == id || to == id {
			delete(w.names, p)
		}
	}
}

// Sockets is how many are open.
func (w *Watcher) Sockets() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sockets)
}

// run waits.
func (w *Watcher) run() {
	defer close(w.done)
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.closeAll()
	}()
	defer close(w.events)
	ready := make([]unix.EpollEvent, 64)
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.EpollWait(w.epoll, ready, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return
		}
		var batch []Event
		for _, e := range ready[:n] {
			fd := int(e.Fd)
			if fd == w.wake {
				var count [8]byte
				_, _ = unix.Read(fd, count[:])
				w.mu.Lock()
				closed := w.closed
				batch, w.left = append(batch, w.left...), nil
				w.mu.Unlock()
				if closed {
					return
				}
				continue
			}
			batch = w.ready(batch, fd, buf)
		}
		if len(batch) > 0 {
			w.events <- batch
		}
	}
}

// ready takes what waits at a descriptor. The lock is held, so that Forget does not close it meanwhile.
func (w *Watcher) ready(batch []Event, fd int, buf []byte) []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.sockets[fd]
	if s == nil {
		return w.changed(batch, fd, buf)
	}
	return w.receive(batch, s, buf)
}

// receive takes what waits at a socket. The lock is held.
func (w *Watcher) receive(batch []Event, s *socket, buf []byte) []Event {
	now := time.Now()
	for range mostAtOnce {
		err := s.Receive(buf, func(nsid int, own bool, m nlwire.Message) {
			if e, ok := w.event(s, nsid, own, m); ok {
				e.At = now
				batch = append(batch, e)
			}
		})
		switch {
		case errors.Is(err, nlwire.ErrLost):
			batch = append(batch, Event{At: now, In: s.in, Lost: true, All: s.All})
		case err == unix.EINTR:
		case err != nil:
			return batch
		}
	}
	return batch
}

func (w *Watcher) event(s *socket, nsid int, own bool, m nlwire.Message) (e Event, ok bool) {
	e.In = s.in
	if !own {
		if to, known := w.names[place{s.in, nsid}]; known {
			e.In = to
		} else {
			e.Far, e.Via = true, nsid
		}
	}
	if s.netfilter {
		e.Netfilter = true
		return e, true
	}
	family := nlwire.U8(m.Data)
	if e.Parts, e.Gone = partsOf(m.Type, family); e.Parts == 0 {
		return e, false
	}
	switch m.Type {
	case newNSID, delNSID:
		e.NSID, _ = rtnl.DecodeNSID(m.Data)
		if own && e.Gone {
			delete(w.names, place{s.in, e.NSID}) // the next that has it is another namespace
		}
	case newNeigh, delNeigh:
		n, ok := rtnl.DecodeNeighbor(m.Data)
		if ok && n.Passing() {
			return e, false // on a host with many namespaces hundreds of them go at once, again and again
		}
		if ok && !e.Gone {
			e.Neighbor = &n
		}
	}
	return e, true
}
