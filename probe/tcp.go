package probe

// TCPStats is what TCP found beside its attempts. The times are of the connections that opened: from the SYN to the
// SYN/ACK as FROM's kernel measured it (tcpi_rtt), or where a SYN was sent again to the moment of the connection.
type TCPStats struct {
	Port        uint16 `json:"port"`
	Tried       int    `json:"tried"`
	Open        int    `json:"open"`
	Refused     int    `json:"refused"`
	Filtered    int    `json:"filtered"`
	Unreachable int    `json:"unreachable"` // also without a route
	TimedOut    int    `json:"timed_out"`
	Denied      int    `json:"denied"`
	Reset       int    `json:"reset"` // opened, and reset or closed while it was held
	Failed      int    `json:"failed"`
	MinMS       MS     `json:"min_ms,omitempty"`
	AvgMS       MS     `json:"avg_ms,omitempty"`
	MaxMS       MS     `json:"max_ms,omitempty"`
}

// count adds an attempt.
func (s *TCPStats) count(a Attempt) {
	s.Tried++
	switch a.Class {
	case OK:
		s.Open++
		if s.Open == 1 || a.MS < s.MinMS {
			s.MinMS = a.MS
		}
		s.MaxMS = max(s.MaxMS, a.MS)
		s.AvgMS += (a.MS - s.AvgMS) / MS(s.Open)
	case Refused:
		s.Refused++
	case Filtered:
		s.Filtered++
	case Unreachable, NoRoute, Expired:
		s.Unreachable++
	case Timeout:
		s.TimedOut++
	case Denied:
		s.Denied++
	case Reset:
		s.Reset++
	default:
		s.Failed++
	}
}
