package text

import (
	"fmt"
	"time"
)

// Size is a number of bytes in three digits: "98 B", "1.25 kB", "23.4 MB" (powers of 1000).
func Size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	return scaled(float64(n)) + "B"
}

// Rate is a number of bits per second: "1.25 Mbit/s".
func Rate(bits float64) string {
	if bits < 1000 {
		return fmt.Sprintf("%.0f bit/s", bits)
	}
	return scaled(bits) + "bit/s"
}

func scaled(v float64) string {
	unit := 0
	for v >= 999.5 && unit < 5 {
		v /= 1000
		unit++
	}
	return three(v) + " " + []string{"", "k", "M", "G", "T", "P"}[unit]
}

// Span is a duration in three digits: "853 µs", "1.25 ms", "12.3 s".
func Span(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d.Nanoseconds())
	case d < time.Second:
		v, unit := float64(d)/1e3, "µs"
		if v >= 999.5 {
			v, unit = v/1e3, "ms"
		}
		return three(v) + " " + unit
	case d < 1000*time.Second:
		return three(d.Seconds()) + " s"
	}
	return d.Round(time.Second).String()
}

func three(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
