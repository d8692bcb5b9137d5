package capture

import (
	"testing"
	"time"
)

func TestRounded(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 1: "1ns", 9999: "9.999µs", 65112: "65.11µs", 215721: "215.7µs", 2157219: "2.157ms", 21572190: "21.57ms", 1234567890: "1.235s", -65112: "-65.11µs"} {
		if got := rounded(d).String(); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
