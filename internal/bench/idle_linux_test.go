package bench

import (
	"context"
	"sort"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect"
	"github.com/nscope/nscope/topo"
	"github.com/nscope/nscope/tui"
)

// slice is how long the live view is left alone at a time; in each there is a look at all processes. What others do on the machine
// is heard of and costs what it costs, so that the bench wants a quiet one.
const (
	slice  = 2 * time.Second
	rounds = 40
	// forwardDelay is a bridge's by default (BR_FORWARD_DELAY in net/bridge/br_device.c).
	forwardDelay = 15 * time.Second
)

// maxIdle is how much of a core it may use then, in percent, at 500 namespaces with some forty links on the screen.
const maxIdle = 1.0

func cpu(tb testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkIdle measures what the source of the live view costs while nothing happens: with nothing on the screen that counts,
// and with the counters of a screenful of links.
func BenchmarkIdle(b *testing.B) {
	w := newWorld(b, 500)
	made := time.Now()
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		src := tui.Live(func(progress func(done, total int)) *inspect.Live {
			return inspect.NewLive(inspect.WithoutEngines(), inspect.WithProgress(progress))
		})
		up := src.Start(ctx)
		updates := 0
		var last *tui.State
		drain := func(d time.Duration) {
			for end := time.After(d); ; {
				select {
				case u := <-up:
					if u.State != nil {
						last = u.State
					}
					if u.State != nil || len(u.Events) > 0 {
						updates++
					}
				case <-end:
					return
				}
			}
		}
		for updates < 2 {
			drain(time.Second)
		}
		// What was read again at the start, and the garbage of it; and a host that is left alone has no ports that just came: of each the kernel tells
		// again when the bridge's forward delay has passed.
		drain(max(5*time.Second, forwardDelay+5*time.Second-time.Since(made)))
		measure := func(unit string) {
			var used []float64
			began := cpu(b)
			for range rounds {
				before := cpu(b)
				drain(slice)
				used = append(used, 100*(cpu(b)-before).Seconds()/slice.Seconds())
			}
			mean := 100 * (cpu(b) - began).Seconds() / (rounds * slice).Seconds()
			b.Logf("%s: %.2f %% of a core, of %d slices of %v: %.2f", unit, mean, rounds, slice, used)
			report(b, mean, maxIdle, unit)
		}
		measure("idle-%")
		var links []string
		for i := range last.Graph.Nodes {
			if n := &last.Graph.Nodes[i]; n.Kind == topo.KindLink && n.Attrs.Type == "veth" && len(links) < 40 {
				links = append(links, n.ID)
			}
		}
		sort.Strings(links)
		src.Watch(tui.Watch{Links: links})
		measure("screen-%")
		cancel()
		for range up {
		}
	}
	w.close()
}
