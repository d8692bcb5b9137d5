package probe

import (
	"math"
	"time"
)

// Defaults of [Ping].
const (
	pingCount    = 4
	pingInterval = 200 * time.Millisecond
	pingTimeout  = time.Second
	pingSize     = 56
	// pingKeep is how many attempts the result of an endless ping holds: the last ones.
	pingKeep = 1000
	// pingExtra is how many duplicates become attempts of their own; beyond that they are counted only.
	pingExtra = 100
)

// PingStats is what Ping found beside its attempts. Duplicates are in no other figure.
type PingStats struct {
	// Sent are the attempts, those that the own kernel refused too. Pending of them were on the way when the probe was
	// stopped: they are neither answered nor lost.
	Sent     int `json:"sent"`
	Pending  int `json:"pending,omitempty"`
	Received int `json:"received"`
	// Errors are attempts that ended with an ICMP error or an error of FROM's own kernel. Late are answers that came after
	// their time, which count as lost. Corrupt are answers with another payload than was sent or from another address.
	Errors     int `json:"errors"`
	Duplicates int `json:"duplicates"`
	Late       int `json:"late"`
	Corrupt    int `json:"corrupt"`
	// Strange are echo replies with our identifier that answer nothing that was sent.
	Strange int `json:"strange"`
	// Loss is the percentage of attempts that got no answer in time.
	Loss float64 `json:"loss_percent"`
	// Round-trip times of the answers in time; Mdev is their standard deviation, as ping prints it. 0 without an answer.
	Min  MS `json:"min_ms"`
	Avg  MS `json:"avg_ms"`
	Max  MS `json:"max_ms"`
	Mdev MS `json:"mdev_ms"`
	// Size is the payload in bytes, TTL that of the last answer (0: not known).
	Size int `json:"size"`
	TTL  int `json:"ttl,omitempty"`
	// Socket is "datagram", which needs no privilege, or "raw".
	Socket string `json:"socket"`

	sum, squares float64
}

// answered counts an answer.
func (s *PingStats) answered(rtt MS) {
	if s.Received == 0 || rtt < s.Min {
		s.Min = rtt
	}
	s.Max = max(s.Max, rtt)
	s.Received++
	s.sum += float64(rtt)
	s.squares += float64(rtt) * float64(rtt)
}

// finish computes what is left.
func (s *PingStats) finish() {
	if n := float64(s.Received); n > 0 {
		s.Avg = MS(s.sum / n)
		s.Mdev = MS(math.Sqrt(max(0, s.squares/n-float64(s.Avg)*float64(s.Avg))))
	}
	if n := s.Sent - s.Pending; n > 0 {
		s.Loss = 100 * float64(n-s.Received) / float64(n)
	}
}
