package probe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const icmpHeader = 8

// matrixToken is how many random bytes of a ping's payload tell our replies from those to others.
const matrixToken = 8

// echoes is the socket by which one member pings all others of one family.
type echoes struct {
	*sock
	raw bool
	v6  bool
	id  uint16
	qs  []*question // by sequence number, modulo their number
	at  []time.Time // when each sequence number was sent

	closed atomic.Bool
}

// pings opens the sockets, runs the matrix and closes them. So that no more than 1,000 sockets are open at once the members
// ask in groups where they are more.
func (x *matrix) pings(ctx context.Context) error {
	const group = 500 // each has at most a socket for IPv4 and one for IPv6
	all := x.asks
	defer func() { x.asks = all }()
	for lo := 0; lo < len(all); lo += group {
		if err := x.pingsOf(ctx, all, lo, min(lo+group, len(all))); err != nil {
			return err
		}
	}
	x.asks = all
	return x.nobody()
}

func (x *matrix) pingsOf(ctx context.Context, all []*asker, lo, hi int) error {
	var token [matrixToken]byte
	rand.Read(token[:])
	socks := map[int][2]*echoes{}
	// Everybody stays in his place: the questions know who asks by his index.
	x.asks = make([]*asker, len(all))
	for i := range all {
		x.asks[i] = &asker{}
		if i >= lo && i < hi {
			x.asks[i] = all[i]
		}
	}
	var readers sync.WaitGroup
	defer func() {
		for _, both := range socks {
			for _, s := range both {
				if s != nil {
					s.closed.Store(true)
					s.Close()
				}
			}
		}
		readers.Wait()
	}()
	for i := lo; i < hi; i++ {
		if ctx.Err() != nil {
			break
		}
		a := all[i]
		both, err := a.echoes(x.o)
		if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
			return matrixOpenError("matrix", a.from, "", err)
		}
		if err != nil {
			x.cannot(a, matrixOpenError("matrix", a.from, "raw ICMP sockets", err))
			continue
		}
		socks[i] = both
		for _, s := range both {
			if s != nil {
				readers.Go(func() { s.read(x, token) })
			}
		}
	}
	payload := make([]byte, icmpHeader+max(or(x.o.Size, 56), matrixToken))
	copy(payload[icmpHeader:], token[:])
	index := map[*question]int{}
	for _, both := range socks {
		for _, s := range both {
			if s != nil {
				for k, q := range s.qs {
					index[q] = k
				}
			}
		}
	}
	send := func(q *question) {
		both := socks[q.cell.From]
		s := both[0]
		if q.addr.Is6() {
			s = both[1]
		}
		if s == nil {
			return
		}
		x.mu.Lock()
		seq := q.sent*len(s.qs) + index[q]
		if q.known && q != x.asks[q.cell.From].control || seq >= 1<<16 {
			x.mu.Unlock()
			return
		}
		q.sent++
		q.at = time.Now()
		q.full = false
		if seq >= len(s.at) {
			s.at = append(s.at, make([]time.Time, seq+1-len(s.at))...)
		}
		s.at[seq] = q.at
		x.mu.Unlock()
		if err := s.send(payload, uint16(seq), q.addr); err != nil {
			x.refused(q, nil, err, 0)
		}
	}
	return x.run(ctx, func(ctx context.Context, qs []*question, times int, timeout time.Duration) error {
		for range times {
			for wave := range waves(qs) {
				if ctx.Err() != nil {
					return nil
				}
				for _, q := range wave {
					send(q)
				}
				if x.isFull() { // go on when there is room again
					x.answered(ctx, qs, time.Now().Add(min(timeout, 50*time.Millisecond)))
					return nil
				}
				x.answered(ctx, wave, time.Now().Add(matrixGap))
			}
			x.answered(ctx, qs, time.Now().Add(timeout/time.Duration(times)))
		}
		return nil
	})
}

func waves(qs []*question) func(func([]*question) bool) {
	return func(yield func([]*question) bool) {
		for len(qs) > 0 {
			n := min(matrixWave, len(qs))
			if !yield(qs[:n:n]) {
				return
			}
			qs = qs[n:]
		}
	}
}

// echoes opens what the member needs, all in one visit to its namespace.
func (a *asker) echoes(o Options) (both [2]*echoes, err error) {
	for _, q := range a.qs {
		if !q.addr.IsValid() || q.known {
			continue
		}
		k := 0
		if q.addr.Is6() {
			k = 1
		}
		if both[k] == nil {
			both[k] = &echoes{v6: k == 1}
		}
		both[k].qs = append(both[k].qs, q)
	}
	var fds [2]int
	err = a.from.NS.Do(func() error {
		for k, s := range both {
			fds[k] = -1
			if s == nil {
				continue
			}
			var err error
			if fds[k], err = s.openIn(o); err != nil {
				return err
			}
		}
		return nil
	})
	for k, s := range both {
		if s == nil || fds[k] < 0 {
			continue
		}
		if err == nil {
			s.sock, err = newSock(fds[k])
		} else {
			unix.Close(fds[k])
		}
	}
	if err != nil {
		for _, s := range both {
			if s != nil && s.sock != nil {
				s.Close()
			}
		}
		return [2]*echoes{}, err
	}
	return both, nil
}

// openIn makes the socket in the calling thread's namespace: one that needs no privilege where ping_group_range has our
// group, else a raw one.
func (s *echoes) openIn(o Options) (int, error) {
	domain, proto := unix.AF_INET, unix.IPPROTO_ICMP
	addr := netip.IPv4Unspecified()
	if s.v6 {
		domain, proto, addr = unix.AF_INET6, unix.IPPROTO_ICMPV6, netip.IPv6Unspecified()
	}
	fd, err := socketIn(domain, unix.SOCK_DGRAM, proto, o.setup(addr))
	if !errors.Is(err, fs.ErrPermission) {
		return fd, err
	}
	s.raw = true
	var id [2]byte
	rand.Read(id[:])
	s.id = binary.BigEndian.Uint16(id[:])
	return socketIn(domain, unix.SOCK_RAW, proto, func(fd int) error {
		// Only echo replies are wanted: everything else that comes to this namespace would fill the buffer.
		if s.v6 {
			var f unix.ICMPv6Filter
			for i := range f.Data {
				f.Data[i] = ^uint32(0) // linux/icmpv6.h: a bit that is set blocks
			}
			f.Data[icmp6EchoReply/32] &^= 1 << (icmp6EchoReply % 32)
			if err := unix.SetsockoptICMPv6Filter(fd, unix.IPPROTO_ICMPV6, unix.ICMPV6_FILTER, &f); err != nil {
				return err
			}
		} else if err := unix.SetsockoptInt(fd, unix.SOL_RAW, 1 /* ICMP_FILTER, linux/icmp.h */, ^(1 << icmpEchoReply)); err != nil {
			return err
		}
		return o.setup(addr)(fd)
	})
}

// send sends one echo request.
func (s *echoes) send(b []byte, seq uint16, to netip.Addr) error {
	b[0], b[1] = icmpEcho, 0
	if s.v6 {
		b[0] = icmp6Echo
	}
	b[2], b[3] = 0, 0
	binary.BigEndian.PutUint16(b[4:], s.id)
	binary.BigEndian.PutUint16(b[6:], seq)
	if !s.v6 { // of ICMPv6, and of sockets that need no privilege, the kernel makes it
		binary.BigEndian.PutUint16(b[2:], echoChecksum(b))
	}
	sa := sockaddr(netip.AddrPortFrom(to, 0))
	var err error
	for try := range 8 {
		e := s.control(func(fd int) error {
			// sk_err holds what an ICMP error to an earlier packet meant, and the next call of any kind returns it: this
			// clears it, or it would be taken for this packet's. What it is the error queue has.
			unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
			err = unix.Sendto(fd, b, unix.MSG_NOSIGNAL, sa)
			return nil
		})
		if e != nil {
			return e
		}
		if err == nil {
			return nil
		}
		if err == unix.EAGAIN {
			time.Sleep(time.Millisecond << min(try, 3))
		}
	}
	return os.NewSyscallError("send", err)
}

// echoChecksum is the Internet checksum (RFC 1071).
func echoChecksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// read takes replies and errors until the socket is closed.
func (s *echoes) read(x *matrix, token [matrixToken]byte) {
	buf := make([]byte, 1<<16)
	for {
		// With a deadline: what came between two readings of the error queue is looked for once more.
		ev, err := s.next(buf, time.Now().Add(100*time.Millisecond))
		if s.closed.Load() {
			return
		}
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				time.Sleep(time.Millisecond) // the interface is down, or so: it must not spin
			}
			continue
		}
		seq, ok := parseEcho(ev.data, s.v6, s.raw, s.id, ev.icmp != nil, token[:])
		if !ok || len(s.qs) == 0 {
			continue
		}
		q := s.qs[seq%len(s.qs)]
		var sent time.Time
		x.mu.Lock()
		if seq < len(s.at) {
			sent = s.at[seq]
		}
		x.mu.Unlock()
		if sent.IsZero() {
			continue
		}
		took := max(0, ev.at.Sub(sent))
		switch from := ev.from.Addr().WithZone(""); {
		case ev.icmp != nil:
			x.refused(q, ev.icmp, nil, took)
		case from == q.addr.WithZone(""):
			x.settle(q, Cell{Class: OK, MS: Millis(took)})
		default:
			x.settle(q, Cell{Class: OK, MS: Millis(took), By: from.String()})
		}
	}
}

// parseEcho finds the sequence number of a reply, or with failed set of the request that an error is about. A raw IPv4
// socket gets the IP header too. What is not ours is not ok.
func parseEcho(b []byte, v6, raw bool, id uint16, failed bool, token []byte) (seq int, ok bool) {
	if raw && !v6 && !failed {
		if len(b) < 20 || b[0]>>4 != 4 || int(b[0]&15)*4 < 20 || len(b) < int(b[0]&15)*4 {
			return 0, false
		}
		b = b[int(b[0]&15)*4:]
	}
	if len(b) < icmpHeader {
		return 0, false
	}
	want := map[bool][2]byte{false: {icmpEchoReply, icmp6EchoReply}, true: {icmpEcho, icmp6Echo}}[failed]
	if v6 && b[0] != want[1] || !v6 && b[0] != want[0] {
		return 0, false
	}
	if raw && binary.BigEndian.Uint16(b[4:]) != id {
		return 0, false
	}
	seq = int(binary.BigEndian.Uint16(b[6:]))
	rest := b[icmpHeader:]
	if failed { // a router may quote no more than the header
		rest, token = rest[:min(len(rest), len(token))], token[:min(len(rest), len(token))]
	}
	if len(rest) < len(token) || string(rest[:len(token)]) != string(token) {
		return 0, false
	}
	return seq, true
}
