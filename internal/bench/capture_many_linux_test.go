package bench

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkCaptureMany captures in a hundred namespaces by one process: how soon its rings are open, its threads and memory, and that it
// does nothing while nothing comes.
func BenchmarkCaptureMany(b *testing.B) {
	const spaces = 100
	bin := nscopeBinary(b)
	w := newWorld(b, spaces)
	args := []string{"capture", "-w", os.DevNull}
	for _, s := range w.spaces {
		args = append(args, "netns:"+s.ID().Short())
	}
	args = append(args, "tcp") // neighbour and router discovery go on for a while
	for b.Loop() {
		open, idle := time.Hour, time.Hour
		threads, rss := 0, 0
		for range 3 {
			began := time.Now()
			c := startCapturer(b, nil, fmt.Sprintf("capturing in %d namespaces", spaces), bin, args...)
			open = min(open, time.Since(began))
			time.Sleep(time.Second) // what begins is not idle yet
			before := c.cpu()
			time.Sleep(3 * time.Second)
			idle = min(idle, c.cpu()-before)
			threads = max(threads, c.status("Threads"))
			rss = max(rss, c.status("VmRSS")<<10)
			c.stop()
		}
		b.Logf("open after %v, %d threads, %.1f MB, idle: %v in 3 s", open, threads, float64(rss)/1e6, idle)
		report(b, float64(threads), maxThreads, "threads")
		report(b, float64(rss)/1e6, maxLiveRSS/1e6, "live-RSS-MB")
		report(b, open.Seconds(), maxOpen.Seconds(), "open-s")
		report(b, idle.Seconds()/3, maxIdleShare, "idle-share")
	}
}

// status is a number of /proc/PID/status.
func (c *capturer) status(name string) (n int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		c.b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, name+":"); ok {
			_, _ = fmt.Sscan(v, &n)
		}
	}
	return n
}
