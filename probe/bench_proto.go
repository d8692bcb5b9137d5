package probe

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// The protocol between two benches, so small that both ends of different releases understand each other.
//
// All is on one TCP port. Each connection begins with benchHello in both directions, then messages follow: four bytes of
// length, most significant first, and so many bytes of JSON, a [benchMsg].
//
//	control connection   → start {proto, reverse, streams, ms, rate, size}   ← ok {session}, or error
//	each stream (TCP)    → stream {session}                                  ← ok, then only data
//	latency connection   → echo {session}                                    ← ok, then 16 bytes at a time come back
//	control connection   → go           both ends begin; who receives counts
//	                     ← interval     once a second, when TO receives
//	                     ← done         when TO was the sender, and has sent all
//	                     → end          ← report, the other end's figures
//
// UDP data goes to and from the same port number. A datagram begins with benchMagic, the session (8 bytes), a sequence number
// (8 bytes, all ones in what only shows TO the way to FROM) and the sender's clock in nanoseconds (8 bytes). TO sends only to an
// address from which the session, which it told on the control connection, came back to it.

const (
	benchHello   = "nscope-bench/1\r\n"
	benchMagic   = "nsUB"
	benchHeader  = len(benchMagic) + 24
	benchMessage = 1 << 16 // bytes at most
)

// benchMsg is one message.
type benchMsg struct {
	Do      string `json:"do,omitempty"`
	Proto   string `json:"proto,omitempty"`
	Reverse bool   `json:"reverse,omitempty"`
	Streams int    `json:"streams,omitempty"`
	MS      int64  `json:"ms,omitempty"`
	Rate    int64  `json:"rate,omitempty"`
	Size    int    `json:"size,omitempty"`
	Session string `json:"session,omitempty"`

	OK       bool           `json:"ok,omitempty"`
	Error    string         `json:"error,omitempty"`
	Interval *BenchInterval `json:"interval,omitempty"`
	Report   *benchReport   `json:"report,omitempty"`
}

// benchReport is one end's figures.
type benchReport struct {
	Bytes       int64   `json:"bytes"`
	Seconds     float64 `json:"seconds"`
	Retransmits int64   `json:"retransmits,omitempty"`
	RTT         MS      `json:"rtt_ms,omitempty"`
	Cwnd        int     `json:"cwnd,omitempty"`
	MSS         int     `json:"mss,omitempty"`
	Datagrams   int64   `json:"datagrams,omitempty"`
	Reordered   int64   `json:"reordered,omitempty"`
	Jitter      MS      `json:"jitter_ms,omitempty"`
	Error       string  `json:"error,omitempty"`
}

// notBench says that something else answers, and what it does.
type notBench struct{ does string }

func (e *notBench) Error() string { return "no nscope bench answers there: it " + e.does }

// readHello reads the other end's first bytes.
func readHello(r io.Reader) error {
	var b [len(benchHello)]byte
	for n := range b {
		if _, err := io.ReadFull(r, b[n:n+1]); err != nil {
			if err == io.EOF {
				return &notBench{"closed the connection"}
			}
			return err
		}
		if b[n] != benchHello[n] {
			// What else came with it tells people what it is.
			said := append(make([]byte, 0, 40), b[:n+1]...)
			k, _ := r.Read(said[len(said):cap(said)])
			first, _, _ := strings.Cut(string(said[:len(said)+k]), "\n")
			return &notBench{fmt.Sprintf("says %q", strings.ToValidUTF8(strings.TrimSpace(first), "?"))}
		}
	}
	return nil
}

func writeMsg(w io.Writer, m benchMsg) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

func readMsg(r io.Reader) (m benchMsg, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return m, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > benchMessage {
		return m, fmt.Errorf("a message of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("a message that is no JSON: %w", err)
	}
	return m, nil
}

// check tells what is wrong with a start message, and bounds it.
func (m *benchMsg) check() error {
	switch {
	case m.Proto != "tcp" && m.Proto != "udp":
		return fmt.Errorf("protocol %q is not known", m.Proto)
	case m.Streams < 1 || m.Streams > benchStreams:
		return fmt.Errorf("%d streams: 1 to %d", m.Streams, benchStreams)
	case m.MS < 1 || m.MS > int64(benchLongest/time.Millisecond):
		return fmt.Errorf("%d ms: at most %v", m.MS, benchLongest)
	case m.Proto == "udp" && (m.Size < benchHeader || m.Size > 65507):
		return fmt.Errorf("datagrams of %d bytes: %d to 65507", m.Size, benchHeader)
	case m.Rate < 0:
		return fmt.Errorf("a negative rate")
	}
	return nil
}

// datagram is a UDP packet's header.
type datagram struct {
	session, seq uint64
	clock        int64
}

const benchShow = ^uint64(0) // the sequence number of a datagram that only shows the way

func (d datagram) put(b []byte) {
	copy(b, benchMagic)
	binary.BigEndian.PutUint64(b[4:], d.session)
	binary.BigEndian.PutUint64(b[12:], d.seq)
	binary.BigEndian.PutUint64(b[20:], uint64(d.clock))
}

func parseDatagram(b []byte) (d datagram, ok bool) {
	if len(b) < benchHeader || string(b[:len(benchMagic)]) != benchMagic {
		return d, false
	}
	return datagram{binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint64(b[12:]), int64(binary.BigEndian.Uint64(b[20:]))}, true
}

// arrivals counts datagrams.
type arrivals struct {
	bytes, n, reordered int64
	highest             uint64
	any                 bool
	jitter              float64 // ns
	transit             int64
	timed               bool
}

// add counts one that arrived at a time of the receiver's clock; timed tells that both clocks are this datagram's own and not
// those of a batch.
func (a *arrivals) add(d datagram, size int, at int64, timed bool) {
	a.n++
	a.bytes += int64(size)
	if a.any && d.seq < a.highest {
		a.reordered++
	}
	a.highest = max(a.highest, d.seq)
	a.any = true
	if !timed {
		return
	}
	// The clocks need not agree: only how the difference changes counts.
	transit := at - d.clock
	if a.timed {
		diff := float64(transit) - float64(a.transit)
		if diff < 0 {
			diff = -diff
		}
		a.jitter += (diff - a.jitter) / 16
	}
	a.transit, a.timed = transit, true
}
