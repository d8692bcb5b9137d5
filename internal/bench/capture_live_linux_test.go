package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/capture/ring"
	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// What capturing may cost, beside tcpdump.
const (
	liveRate     = 250_000
	livePackets  = liveRate * 2
	maxRing      = 1.0       // the ring alone over tcpdump -w /dev/null
	maxPcapng    = 1.2       // to a file over tcpdump's
	maxPrint     = 1.0 / 3   // decode and print over tcpdump -nn
	dropRate     = 300_000   // at which nothing may be lost
	maxThreads   = 11        // of a hundred namespaces
	maxLiveRSS   = 150 << 20 //
	maxOpen      = 500 * time.Millisecond
	maxIdleShare = 0.005 // of a processor
)

// wire is a veth between two namespaces: frames are sent at one end and captured at the other.
type wire struct {
	from, to *netlab.Space
	gen      *generator
}

func newWire(b *testing.B) *wire {
	nettest.NeedsRoot(b)
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	w := &wire{}
	var err error
	w.from, err = netlab.New("from")
	must(err)
	b.Cleanup(func() { w.from.Close() })
	w.to, err = netlab.New("to")
	must(err)
	b.Cleanup(func() { w.to.Close() })
	must(w.from.Veth("eth0", w.to, "eth0"))
	must(w.to.Addr("eth0", netip.MustParsePrefix("10.99.0.1/24")))
	w.gen = newGenerator(b, w.from.Handle, "eth0")
	return w
}

// capturer is a running program that captures.
type capturer struct {
	b    *testing.B
	cmd  *exec.Cmd
	said []string
	done chan struct{}
	mu   sync.Mutex
}

// startCapturer runs a program on processor 1 and waits until it says that it is ready.
func startCapturer(b *testing.B, h *netns.Handle, ready, name string, args ...string) *capturer {
	c := &capturer{b: b, cmd: exec.Command("taskset", append([]string{"-c", "1", name}, args...)...), done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), "LC_ALL=C")
	pipe, err := c.cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	run := c.cmd.Start
	if h != nil {
		run = func() error { return h.Do(c.cmd.Start) }
	}
	if err := run(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.cmd.Process.Kill() })
	is := make(chan struct{})
	go func() {
		defer close(c.done)
		s := bufio.NewScanner(pipe)
		once := sync.OnceFunc(func() { close(is) })
		for s.Scan() {
			c.mu.Lock()
			c.said = append(c.said, s.Text())
			c.mu.Unlock()
			if strings.Contains(s.Text(), ready) {
				once()
			}
		}
	}()
	select {
	case <-is:
	case <-c.done:
		b.Fatalf("%s %v: %s", name, args, strings.Join(c.said, "\n"))
	}
	return c
}

// cpu is how long it was on a processor so far.
func (c *capturer) cpu() time.Duration {
	var ts unix.Timespec
	// The clock of a process: CPUCLOCK_SCHED of its pid (clock_getcpuclockid(3)).
	if err := unix.ClockGettime(int32(^c.cmd.Process.Pid)<<3|2, &ts); err != nil {
		c.b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// stop interrupts it, and gives the number before a word of its last lines.
func (c *capturer) stop() (cpu time.Duration, number func(word string) int) {
	_ = c.cmd.Process.Signal(os.Interrupt)
	<-c.done
	if err := c.cmd.Wait(); err != nil {
		c.b.Fatalf("%v\n%s", err, strings.Join(c.said, "\n"))
	}
	return c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime(), func(word string) int {
		n := -1
		for _, l := range c.said {
			if at := strings.Index(l, " "+word); at >= 0 {
				f := strings.Fields(l[:at])
				if v, err := strconv.Atoi(f[len(f)-1]); err == nil {
					n = v
				}
			}
		}
		return n
	}
}

// BenchmarkCaptureLive compares the processor time for a packet with tcpdump's, at a rate that both can take.
func BenchmarkCaptureLive(b *testing.B) {
	nettest.NeedsTool(b, "tcpdump", "taskset")
	bin := nscopeBinary(b)
	w := newWire(b)
	dir := b.TempDir()
	target := "netns:" + w.to.ID().Short()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	one := func(h *netns.Handle, ready, count, name string, args ...string) float64 {
		c := startCapturer(b, h, ready, name, args...)
		before := c.cpu()
		w.gen.send(b, livePackets, liveRate, 0)
		time.Sleep(4 * ring.RetireMS * time.Millisecond) // until the last block is handed over
		took := c.cpu() - before
		_, number := c.stop()
		n := number(count)
		if n < livePackets/50 {
			b.Fatalf("%s %v took %d packets of %d: %s", name, args, n, livePackets, strings.Join(c.said, "\n"))
		}
		return float64(took.Nanoseconds()) / float64(n)
	}
	tcpdump := func(args ...string) func() float64 {
		return func() float64 {
			return one(w.to.Handle, "listening on", "packets captured", "tcpdump", append([]string{"-i", "eth0"}, args...)...)
		}
	}
	nscope := func(args ...string) func() float64 {
		return func() float64 {
			return one(nil, "capturing in", "packets in", bin, append([]string{"capture", target, "--on", "eth0"}, args...)...)
		}
	}
	for b.Loop() {
		runs := []struct {
			name string
			run  func() float64
		}{
			{"tcpdump-null", tcpdump("-w", "/dev/null")},
			{"ring", func() float64 {
				return one(w.to.Handle, "capturing in", "packets in", "env", ringEnv+"=1", self)
			}},
			{"tcpdump-file", tcpdump("-w", filepath.Join(dir, "t.pcap"))},
			{"nscope-file", nscope("-w", filepath.Join(dir, "n.pcapng"))},
			{"tcpdump-nn", tcpdump("-nn")},
			{"nscope-print", nscope()},
		}
		ns := map[string][]float64{}
		for range 3 {
			for _, r := range runs {
				ns[r.name] = append(ns[r.name], r.run())
			}
		}
		for _, r := range runs {
			b.ReportMetric(medianOf(ns[r.name]), r.name+"-ns/packet")
			b.Logf("%-14s %6.0f ns/packet %.0f", r.name, medianOf(ns[r.name]), ns[r.name])
		}
		report(b, medianOf(ns["ring"])/medianOf(ns["tcpdump-null"]), maxRing, "ring/tcpdump-null")
		report(b, medianOf(ns["nscope-file"])/medianOf(ns["tcpdump-file"]), maxPcapng, "file/tcpdump-file")
		report(b, medianOf(ns["nscope-print"])/medianOf(ns["tcpdump-nn"]), maxPrint, "print/tcpdump-nn")

		// Nothing lost at a higher rate.
		lost := 0
		for range 3 {
			c := startCapturer(b, nil, "capturing in", bin, "capture", target, "--on", "eth0", "-w", filepath.Join(dir, "n.pcapng"))
			w.gen.send(b, dropRate*3, dropRate, 0)
			time.Sleep(4 * ring.RetireMS * time.Millisecond)
			_, number := c.stop()
			if n := number("packets in"); n < 3*dropRate {
				lost += 3*dropRate - n
			}
		}
		report(b, float64(lost), 0, "lost-at-300000/s")
	}
}

// TestMain is the program that reads a ring and does nothing else, where it is started as such by [BenchmarkCaptureLive].
func TestMain(m *testing.M) {
	if os.Getenv(ringEnv) == "" {
		os.Exit(m.Run())
	}
	if err := ringAlone(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const ringEnv = "NSCOPE_BENCH_RING"

func ringAlone() error {
	r, err := ring.Open(0, ring.Options{})
	if err != nil {
		return err
	}
	p, err := ring.NewPoller()
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Add(r); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Fprintln(os.Stderr, "capturing in 1 namespace")
	n := 0
	if err := p.Wait(ctx, func(*ring.Ring, *ring.Frame) { n++ }, func(*ring.Ring, error) {}, func() bool { return false }); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "", n, "packets in 1 namespace")
	return nil
}
