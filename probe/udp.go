package probe

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// UDPStats is what UDP found beside its attempts. The times are those of the answers.
type UDPStats struct {
	Port uint16 `json:"port"`
	// Asked is what was sent: "a DNS query", "an NTP request", "13 bytes".
	Asked       string `json:"asked"`
	Sent        int    `json:"sent"`
	Answered    int    `json:"answered"`
	Refused     int    `json:"refused"`
	Filtered    int    `json:"filtered"`
	Unreachable int    `json:"unreachable"` // also without a route
	Silent      int    `json:"silent"`
	Denied      int    `json:"denied"`
	Failed      int    `json:"failed"`
	MinMS       MS     `json:"min_ms,omitempty"`
	AvgMS       MS     `json:"avg_ms,omitempty"`
	MaxMS       MS     `json:"max_ms,omitempty"`
}

// count adds an attempt.
func (s *UDPStats) count(a Attempt) {
	s.Sent++
	switch a.Class {
	case OK:
		s.Answered++
		if s.Answered == 1 || a.MS < s.MinMS {
			s.MinMS = a.MS
		}
		s.MaxMS = max(s.MaxMS, a.MS)
		s.AvgMS += (a.MS - s.AvgMS) / MS(s.Answered)
	case Refused:
		s.Refused++
	case Filtered:
		s.Filtered++
	case Unreachable, NoRoute, Expired, TooBig:
		s.Unreachable++
	case NoAnswer:
		s.Silent++
	case Denied:
		s.Denied++
	default:
		s.Failed++
	}
}

// maxUDP is the largest payload of a UDP datagram: 65535 bytes without the IPv4 and UDP headers, or only without UDP's.
func maxUDP(v4 bool) int {
	if v4 {
		return 65535 - 20 - 8
	}
	return 65535 - 8
}

// udpQuestion makes what is sent to a port: where people know what a server there answers, that, else size bytes (0: a few).
func udpQuestion(port uint16, size int) (payload []byte, what string) {
	switch {
	case size == 0 && port == 53:
		// RFC 1035 §4.1: who serves the root? Every server has an answer, a refusal at least.
		b := []byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}
		binary.BigEndian.PutUint16(b, uint16(rand.Uint32()))
		return b, "a DNS query"
	case size == 0 && port == 123:
		b := make([]byte, 48) // RFC 5905 §7.3: version 4, client; the answer has our transmit time as its origin
		b[0] = 4<<3 | 3
		binary.BigEndian.PutUint64(b[40:], rand.Uint64())
		return b, "an NTP request"
	case size < 0:
		return nil, "an empty datagram"
	case size == 0:
		size = len(greeting)
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = greeting[i%len(greeting)]
	}
	return b, fmt.Sprintf("%d bytes", size)
}

const greeting = "nscope probe\n"

// udpAnswer says what an answer to a question is; ok is false where the question has another kind of answer.
func udpAnswer(port uint16, asked, b []byte) (what string, ok bool) {
	switch {
	case port == 53 && len(asked) == 17 && asked[14] == 2:
		if len(b) < 12 || b[0] != asked[0] || b[1] != asked[1] || b[2]&0x80 == 0 {
			return fmt.Sprintf("%d bytes that are no answer to the DNS query", len(b)), false
		}
		code := [...]string{"no error", "format error", "server failure", "no such name", "not implemented", "refused"}
		if rcode := int(b[3] & 15); rcode < len(code) {
			return "DNS answer: " + code[rcode], true
		}
		return fmt.Sprintf("DNS answer: code %d", b[3]&15), true
	case port == 123 && len(asked) == 48 && asked[0] == 4<<3|3:
		if len(b) < 48 || b[0]&7 != 4 || string(b[24:32]) != string(asked[40:48]) {
			return fmt.Sprintf("%d bytes that are no answer to the NTP request", len(b)), false
		}
		return fmt.Sprintf("NTP answer: stratum %d", b[1]), true
	}
	return fmt.Sprintf("%d bytes", len(b)), true
}
