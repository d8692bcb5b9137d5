package flow

import (
	"encoding/binary"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/text"
)

// tcpState is what both ends have made of a connection.
type tcpState struct {
	syns      uint32
	syn       int64 // when the last SYN was seen
	isn       uint32
	answered  bool  // by SYN and ACK
	handshake int64 // from SYN to the opener's ACK; 0: not seen
	fins      [2]bool
	refused   bool
	reset     int8 // 1 + the side that reset it
}

// sequence is what is known of one direction of a connection.
type sequence struct {
	known         bool
	next          uint32 // after the highest byte seen
	nextAt        int64
	acked         bool // ack is known
	ack           uint32
	ackAt         int64
	win           uint16
	dups          uint32 // acknowledgements of the same byte
	retransmitted uint32
	bytesAgain    uint64
	outOfOrder    uint32
	zeroWindows   uint32
	keptAlive     bool // by the last segment: its acknowledgement is no duplicate
	mss           uint16
	// of lengths: the least that was sent again, the most that was acknowledged at once
	againMin, ackedMax int
	rtt                latency
	waiting            [8]sent // for their acknowledgement, the oldest first
	n                  int
}

// sent is a segment that ends before a sequence number.
type sent struct {
	next uint32
	at   int64
	len  int
}

// latency are times from one thing to its answer.
type latency struct {
	n             uint32
	min, max, sum int64
}

func (l *latency) add(d int64) {
	if l.n == 0 || d < l.min {
		l.min = d
	}
	l.max, l.sum, l.n = max(l.max, d), l.sum+d, l.n+1
}

func (l *latency) join(o latency) {
	if o.n == 0 {
		return
	}
	if l.n == 0 || o.min < l.min {
		l.min = o.min
	}
	l.max, l.sum, l.n = max(l.max, o.max), l.sum+o.sum, l.n+o.n
}

// TCP flags.
const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

// less compares sequence numbers, which wrap.
func less(a, b uint32) bool { return int32(a-b) < 0 }

// segment takes a TCP segment of n bytes from one side.
func (c *conv) segment(e *text.Event, h *packet.Head, from, n int) {
	b := e.Bytes(h.L4, h.L4+20)
	if len(b) < 20 {
		return
	}
	flags := b[13]
	seq, acked, win := binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint16(b[14:])
	c.handshake(e, h, from, flags, seq)
	fwd, rev := &c.sides[from].seq, &c.sides[1-from].seq
	fwd.analyze(rev, c.tcp.handshake, e.Nanos, flags, seq, acked, win, n)
	if flags&rst != 0 {
		c.sides[from].resets++
		if c.tcp.reset == 0 {
			c.tcp.reset = int8(1 + from)
		}
		if c.sure && !c.tcp.answered && from != int(c.opener) {
			c.tcp.refused = true
		}
	}
	if flags&fin != 0 {
		c.tcp.fins[from] = true
	}
}

// handshake times SYN, SYN and ACK, ACK.
func (c *conv) handshake(e *text.Event, h *packet.Head, from int, flags byte, seq uint32) {
	t := &c.tcp
	switch {
	case flags&(syn|ack) == syn:
		if t.answered && t.isn != seq { // the same ports again
			*t = tcpState{}
			c.sides[0].seq.restart()
			c.sides[1].seq.restart()
		}
		c.opener, c.sure = int8(from), true
		t.syns++
		t.syn, t.isn = e.Nanos, seq
		c.sides[from].seq.mss = mss(e.Bytes(h.L4+20, h.Payload))
	case flags&(syn|ack) == syn|ack:
		c.opener = int8(1 - from)
		c.sides[from].seq.mss = mss(e.Bytes(h.L4+20, h.Payload))
		t.answered = t.answered || t.syn != 0
	case t.handshake == 0 && t.answered && flags&(ack|rst) == ack && from == int(c.opener) && seq == t.isn+1:
		t.handshake = max(e.Nanos-t.syn, 1)
	}
}

// restart forgets numbers, not counts.
func (s *sequence) restart() {
	s.known, s.acked, s.dups, s.n = false, false, 0, 0
}

// mss is the option of a SYN, 0 for none.
func mss(o []byte) uint16 {
	for len(o) > 0 && o[0] != 0 {
		if o[0] == 1 {
			o = o[1:]
			continue
		}
		if len(o) < 2 || o[1] < 2 || int(o[1]) > len(o) {
			return 0
		}
		if o[0] == 2 && o[1] == 4 {
			return binary.BigEndian.Uint16(o[2:])
		}
		o = o[o[1]:]
	}
	return 0
}

// Wireshark's thresholds: a segment that fills a hole so soon after the highest one is out of order (before the handshake's time is known), and
// one that comes so soon after duplicate acknowledgements was sent again because of them.
const (
	outOfOrderWithin = 3e6
	fastWithin       = 20e6
)

// analyze is Wireshark's tcp_analyze_sequence_number, as far as it tells what was sent again.
func (s *sequence) analyze(rev *sequence, handshake, now int64, flags byte, seq, acked uint32, win uint16, n int) {
	next := seq + uint32(n)
	if flags&(syn|fin) != 0 {
		next++
	}
	counts := n > 0 || flags&(syn|fin) != 0
	probe := n == 1 && s.known && seq == s.next && rev.acked && rev.win == 0
	keepAlive := n <= 1 && s.known && seq == s.next-1 && flags&(syn|fin|rst) == 0
	again := false
	if counts && s.known && less(seq, s.next) && !keepAlive {
		switch {
		case n > 0 && rev.acked && !less(rev.ack, next):
			again = true // it had been acknowledged
		case n > 1 && s.next-1 == seq:
			// What follows a probe of the window: new.
		case rev.dups >= 2 && rev.acked && rev.ack == seq && now-rev.ackAt < fastWithin:
			again = true
		case now-s.nextAt < within(handshake) && s.next != next:
			s.outOfOrder++
		default:
			again = true
		}
	}
	if again {
		s.retransmitted++
		s.bytesAgain += uint64(n)
		if n > 0 && (s.againMin == 0 || n < s.againMin) {
			s.againMin = n
		}
		s.forget(seq)
	}
	if counts && !again && flags&rst == 0 {
		s.wait(next, now, n)
	}
	s.keptAlive = keepAlive
	if n == 0 && s.known && win != 0 && win == s.win && seq == s.next && s.acked && acked == s.ack && flags&(syn|fin|rst) == 0 && !rev.keptAlive {
		s.dups++
	}
	if !s.known || counts && less(s.next, next) && !probe {
		s.next, s.nextAt, s.known = next, now, true
	}
	if win == 0 && flags&(rst|syn|fin) == 0 {
		s.zeroWindows++
	}
	s.win = win
	if flags&ack == 0 {
		return
	}
	if !s.acked || acked != s.ack {
		s.dups = 0
	}
	s.ack, s.ackAt, s.acked = acked, now, true
	rev.acknowledged(acked, now)
}

func within(handshake int64) int64 {
	if handshake != 0 {
		return handshake
	}
	return outOfOrderWithin
}

// wait remembers a segment until it is acknowledged; the oldest goes where there are too many.
func (s *sequence) wait(next uint32, now int64, n int) {
	if s.n == len(s.waiting) {
		copy(s.waiting[:], s.waiting[1:])
		s.n--
	}
	s.waiting[s.n] = sent{next, now, n}
	s.n++
}

// forget drops what was sent again from there on: which of the two is acknowledged nobody knows (Karn).
func (s *sequence) forget(seq uint32) {
	for s.n > 0 && less(seq, s.waiting[s.n-1].next) {
		s.n--
	}
}

// acknowledged times the segment that ends where the acknowledgement says.
func (s *sequence) acknowledged(a uint32, now int64) {
	done := 0
	for done < s.n && !less(a, s.waiting[done].next) {
		w := &s.waiting[done]
		if w.next == a {
			s.rtt.add(max(now-w.at, 0))
		}
		s.ackedMax = max(s.ackedMax, w.len)
		done++
	}
	copy(s.waiting[:], s.waiting[done:s.n])
	s.n -= done
}
