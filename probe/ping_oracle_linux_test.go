package probe_test

import (
	"bufio"
	"context"
	"math"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// TestPingTimes compares with what tcpdump sees of the same packets, and with ping's own times.
func TestPingTimes(t *testing.T) {
	nettest.NeedsTool(t, "tcpdump", "ping")
	a, _ := pair(t)
	const n = 30
	for to, kind := range map[string]string{"10.61.0.2": "ICMP echo", "fd61::2": "ICMP6, echo"} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "tcpdump", "-n", "-l", "-tt", "--immediate-mode", "-i", "eth0", "-c", strconv.Itoa(2*n), "icmp[icmptype] == icmp-echo or icmp[icmptype] == icmp-echoreply or icmp6[0] == 128 or icmp6[0] == 129")
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		stderr, err := cmd.StderrPipe()
		must(t, err)
		must(t, a.Do(cmd.Start))
		errs := bufio.NewScanner(stderr)
		for errs.Scan() && !strings.HasPrefix(errs.Text(), "listening on") {
		}
		got := said(t, probe.Ping, a, addrOf(to), probe.Options{Count: n, Interval: 5 * time.Millisecond, Timeout: 5 * time.Second})
		if got.Ping.Received != n {
			t.Fatalf("%s: %s", to, got.Summary)
		}
		seen := map[string]map[int]float64{"request": {}, "reply": {}}
		line := regexp.MustCompile(`^(\d+\.\d+) .*: ` + kind + ` (request|reply), id \d+, seq (\d+),`)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if m := line.FindStringSubmatch(lines.Text()); m != nil {
				at, _ := strconv.ParseFloat(m[1], 64)
				seq, _ := strconv.Atoi(m[3])
				seen[m[2]][seq] = at
			}
		}
		must(t, cmd.Wait())
		var off, ours, theirs []float64
		for _, x := range got.Attempts {
			q, ok := seen["request"][x.Seq]
			p, ok2 := seen["reply"][x.Seq]
			if !ok || !ok2 {
				t.Errorf("%s: tcpdump has not seen %d", to, x.Seq)
				continue
			}
			wire := (p - q) * 1000
			off = append(off, math.Abs(float64(x.MS)-wire))
			ours, theirs = append(ours, float64(x.MS)), append(theirs, wire)
		}
		t.Logf("%s: ours %.3f ms, tcpdump's %.3f ms, apart %.3f ms (medians)", to, median(ours), median(theirs), median(off))
		if median(off) > 1+median(theirs) {
			t.Errorf("%s: %.3f ms apart from tcpdump", to, median(off))
		}
		var ping []float64
		out := nettest.Run(t, a.Handle, "ping", "-n", "-c", strconv.Itoa(n), "-i", "0.005", to)
		for _, m := range regexp.MustCompile(`time=([\d.]+) ms`).FindAllStringSubmatch(out, -1) {
			v, _ := strconv.ParseFloat(m[1], 64)
			ping = append(ping, v)
		}
		t.Logf("%s: ping's %.3f ms", to, median(ping))
		if len(ping) != n || math.Abs(median(ping)-median(ours)) > 1+2*median(ping) {
			t.Errorf("%s: ours %.3f ms, ping's %.3f ms", to, median(ours), median(ping))
		}
	}
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
