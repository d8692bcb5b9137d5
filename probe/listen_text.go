package probe

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"unicode/utf8"
)

func (s *ListenStats) summary() string {
	var parts []string
	for _, x := range []struct {
		n         int64
		one, more string
	}{
		{s.Connections, "connection", "connections"}, {s.Requests, "request", "requests"},
		{s.Benches, "bench", "benches"}, {s.Datagrams, "datagram", "datagrams"},
	} {
		switch {
		case x.n == 1:
			parts = append(parts, "1 "+x.one)
		case x.n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", x.n, x.more))
		}
	}
	if len(parts) == 0 {
		return "nothing came"
	}
	return strings.Join(parts, ", ")
}

func listenLine(a Attempt) string {
	s := fmt.Sprintf("%s  %s", a.At.Format("15:04:05.000"), a.Remote)
	if a.ByName != "" {
		s += " (" + a.ByName + ")"
	}
	s += "  " + a.Detail
	if a.Reason != "" {
		s += ": " + a.Reason
	}
	return s
}

func listenDetail(w io.Writer, r *Result) {
	s := r.Listen
	if s == nil {
		return
	}
	for _, a := range s.Addrs {
		fmt.Fprintf(w, "  listened on %s\n", a)
	}
	if s.BytesIn > 0 {
		fmt.Fprintf(w, "  %s came, %s sent back\n", byteCount(s.BytesIn), byteCount(s.BytesOut))
	}
	if s.TooMany > 0 {
		fmt.Fprintf(w, "  %d connections closed at once: %d were open\n", s.TooMany, listenConns)
	}
	if s.Unanswered > 0 {
		fmt.Fprintf(w, "  %d datagrams not sent back: they might have gone round for ever\n", s.Unanswered)
	}
}

// parseAddrPort is netip's with IPv4 unmapped.
func parseAddrPort(s string) (netip.AddrPort, error) {
	p, err := netip.ParseAddrPort(s)
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port()), err
}

// shortened cuts a text of somebody else's: no control characters, at most n of the others.
func shortened(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) > n {
		s = string([]rune(s)[:n-1]) + "…"
	}
	return s
}
