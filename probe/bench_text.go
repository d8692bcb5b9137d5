package probe

import (
	"fmt"
	"io"
	"strings"
)

// bitRate is a rate for people: "23.4 Gbit/s".
func bitRate(f float64) string {
	for _, unit := range []string{"bit/s", "kbit/s", "Mbit/s", "Gbit/s"} {
		if f < 999.5 {
			return fmt.Sprintf("%.3g %s", f, unit)
		}
		f /= 1000
	}
	return fmt.Sprintf("%.3g Tbit/s", f)
}

// byteCount is a number of bytes for people, in powers of 1,000 as networks count.
func byteCount(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n) / 1000
	for _, unit := range []string{"kB", "MB", "GB"} {
		if f < 999.5 {
			return fmt.Sprintf("%.3g %s", f, unit)
		}
		f /= 1000
	}
	return fmt.Sprintf("%.3g TB", f)
}

func (f *BenchFigure) summary() string {
	s := fmt.Sprintf("%s %s, %s in %.1f s", f.Proto, bitRate(f.BitsPerSecond), byteCount(f.Bytes), f.Seconds)
	if f.Reverse {
		s = "reverse " + s
	}
	switch u := f.UDP; {
	case u != nil && f.Missing != "":
		return s + ", loss not known"
	case u != nil:
		return s + fmt.Sprintf(", %.2g%% lost", u.LossPercent)
	case f.Missing == "sender":
		return s
	}
	return s + fmt.Sprintf(", %d retransmitted", f.Retransmits)
}

func benchLine(a Attempt) string {
	return fmt.Sprintf("%3d  %5.1f s  %s", a.Seq, float64(a.MS)/1000, a.Detail)
}

func benchDetail(w io.Writer, r *Result) {
	f := r.Bench
	if f == nil || f.Seconds == 0 {
		return
	}
	if len(f.Intervals) > 1 {
		const most = 30
		for i, x := range f.Intervals {
			if i == most {
				fmt.Fprintf(w, "  … and %d more seconds\n", len(f.Intervals)-most)
				break
			}
			fmt.Fprintf(w, "  %6.1f–%-6.1f s  %9s  %13s\n", x.Start, x.Start+x.Seconds, byteCount(x.Bytes), bitRate(x.BitsPerSecond))
		}
	}
	switch u := f.UDP; {
	case f.Missing == "sender":
	case u != nil && f.Missing != "":
		fmt.Fprintf(w, "  %d datagrams of %d bytes sent\n", u.Sent, u.Size)
	case u != nil:
		fmt.Fprintf(w, "  datagrams of %d bytes: %d sent, %d received, %d lost (%.2g%%),\n  %d reordered, jitter %v\n",
			u.Size, u.Sent, u.Received, u.Lost, u.LossPercent, u.Reordered, u.Jitter)
	default:
		var parts []string
		if f.Streams > 1 {
			parts = append(parts, fmt.Sprintf("%d streams", f.Streams))
		}
		parts = append(parts, "sent "+byteCount(f.SentBytes))
		if f.MSS > 0 {
			parts = append(parts, fmt.Sprintf("MSS %d", f.MSS), fmt.Sprintf("cwnd %d segments", f.Cwnd), fmt.Sprintf("rtt %v", f.RTT))
		}
		fmt.Fprintf(w, "  %s\n", strings.Join(parts, ", "))
	}
	for _, x := range []struct {
		when string
		l    *BenchLatency
	}{{"idle", f.Idle}, {"under load", f.Loaded}} {
		if l := x.l; l != nil {
			fmt.Fprintf(w, "  latency %-10s  %.3f/%.3f/%.3f/%.3f ms (min/avg/p99/max, %d round trips)\n",
				x.when, float64(l.Min), float64(l.Avg), float64(l.P99), float64(l.Max), l.Count)
		}
	}
}
