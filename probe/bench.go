package probe

import (
	"slices"
	"time"
)

// BenchFigure is what Bench measured.
type BenchFigure struct {
	Proto   string `json:"proto"`   // tcp or udp
	Reverse bool   `json:"reverse"` // TO sent
	Streams int    `json:"streams"`
	// BitsPerSecond, Bytes and Seconds are the receiver's: payload from the first byte to the last.
	BitsPerSecond float64 `json:"bits_per_second"`
	Bytes         int64   `json:"bytes"`
	Seconds       float64 `json:"seconds"`
	// SentBytes is what the sender handed to its kernel; some of it may not have arrived when the time was over.
	SentBytes int64           `json:"sent_bytes"`
	Intervals []BenchInterval `json:"intervals"` // never null
	// Retransmits, RTT, Cwnd (in segments) and MSS (bytes) are of the sender's connections (struct tcp_info, linux/tcp.h): the
	// first a sum, the others the first connection's at the end. Not of UDP.
	Retransmits int64 `json:"retransmits"`
	RTT         MS    `json:"rtt_ms,omitempty"`
	Cwnd        int   `json:"cwnd,omitempty"`
	MSS         int   `json:"mss,omitempty"`
	// Idle and Loaded are round trips of 16 bytes on a TCP connection beside, before and during the load, as a program
	// sees them. Null where none came back.
	Idle   *BenchLatency `json:"latency_idle,omitempty"`
	Loaded *BenchLatency `json:"latency_loaded,omitempty"`
	UDP    *BenchUDP     `json:"udp,omitempty"`
	// Missing is "sender" or "receiver" where that end's last figures did not come: then what only it knows is 0.
	Missing string `json:"missing,omitempty"`
}

// BenchInterval is what arrived in one second, or in the rest of one.
type BenchInterval struct {
	Start         float64 `json:"start"` // seconds since the first byte
	Seconds       float64 `json:"seconds"`
	Bytes         int64   `json:"bytes"`
	BitsPerSecond float64 `json:"bits_per_second"`
}

// BenchLatency is about round trips.
type BenchLatency struct {
	Count int `json:"count"`
	Min   MS  `json:"min_ms"`
	Avg   MS  `json:"avg_ms"`
	P99   MS  `json:"p99_ms"`
	Max   MS  `json:"max_ms"`
}

// BenchUDP is about datagrams.
type BenchUDP struct {
	Size      int   `json:"size"` // payload in bytes
	Sent      int64 `json:"sent"`
	Received  int64 `json:"received"`
	Lost      int64 `json:"lost"`
	Reordered int64 `json:"reordered"`
	// LossPercent is of those sent.
	LossPercent float64 `json:"loss_percent"`
	// Jitter is the interarrival jitter of RFC 3550 §6.4.1.
	Jitter MS `json:"jitter_ms"`
}

// BenchOptions say what is measured.
type BenchOptions struct {
	// UDP measures datagrams instead of TCP; Reverse from TO to FROM; Streams is how many connections at once, 0 means 1.
	UDP, Reverse bool
	Streams      int
	// Rate bounds UDP in bits a second of payload, 0 is as fast as it goes.
	Rate int64
}

// The bounds of what the other end may ask for.
const (
	benchStreams  = 64
	benchLongest  = time.Hour
	benchSessions = 16
)

// latencyOf sums round trips up; nil of none.
func latencyOf(d []time.Duration) *BenchLatency {
	if len(d) == 0 {
		return nil
	}
	d = slices.Sorted(slices.Values(d))
	var sum time.Duration
	for _, x := range d {
		sum += x
	}
	return &BenchLatency{
		Count: len(d), Min: Millis(d[0]), Avg: Millis(sum / time.Duration(len(d))), P99: Millis(d[(len(d)-1)*99/100]), Max: Millis(d[len(d)-1]),
	}
}

// bits is a rate in bits a second.
func bits(bytes int64, seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return float64(bytes) * 8 / seconds
}
