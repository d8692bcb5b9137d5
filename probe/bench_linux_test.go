package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// inside is a target whose namespace is open.
func inside(s *netlab.Space, addr string) probe.To {
	to := addrOf(addr)
	to.Asked, to.Name, to.NS = s.Name, s.Name, s.Handle
	return to
}

func text(r *probe.Result) string {
	var b bytes.Buffer
	r.Text(&b)
	return b.String()
}

// iperf starts an iperf3 server in b; the result measures a second from a and returns what the receiver counted, in bits a
// second.
func iperf(t testing.TB, a, b *netlab.Space, addr string) func() float64 {
	t.Helper()
	nettest.NeedsTool(t, "iperf3")
	nettest.Start(t, b.Handle, "iperf3", "-s", "-p", "5999")
	return func() float64 {
		t.Helper()
		var out string
		for range 100 { // it listens a little later, and is busy a little longer
			var err error
			if out, err = nettest.Try(a.Handle, "iperf3", "-c", addr, "-p", "5999", "-t", "1", "-J"); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		var j struct {
			End struct {
				Received struct {
					Bits float64 `json:"bits_per_second"`
				} `json:"sum_received"`
			}
		}
		if err := json.Unmarshal([]byte(out), &j); err != nil || j.End.Received.Bits == 0 {
			t.Fatalf("iperf3: %v: %s", err, out)
		}
		return j.End.Received.Bits
	}
}

func TestBench(t *testing.T) {
	a, b := pair(t)
	for _, c := range []struct {
		name string
		to   string
		o    probe.Options
		b    probe.BenchOptions
	}{
		{"tcp", "10.61.0.2", probe.Options{For: 1200 * time.Millisecond}, probe.BenchOptions{}},
		{"tcp6", "fd61::2", probe.Options{}, probe.BenchOptions{}},
		{"reverse", "10.61.0.2", probe.Options{}, probe.BenchOptions{Reverse: true}},
		{"streams", "10.61.0.2", probe.Options{}, probe.BenchOptions{Streams: 4}},
		{"udp", "10.61.0.2", probe.Options{}, probe.BenchOptions{UDP: true}},
		{"udp6", "fd61::2", probe.Options{}, probe.BenchOptions{UDP: true, Rate: 5e6}},
		{"udp rate", "10.61.0.2", probe.Options{Size: 500}, probe.BenchOptions{UDP: true, Rate: 10e6}},
		{"udp fragments", "10.61.0.2", probe.Options{Size: 4000}, probe.BenchOptions{UDP: true, Rate: 10e6}},
		{"udp reverse", "10.61.0.2", probe.Options{}, probe.BenchOptions{UDP: true, Reverse: true, Rate: 10e6}},
	} {
		if c.o.For == 0 {
			c.o.For = 300 * time.Millisecond
		}
		each := 0
		c.o.Each = func(x probe.Attempt) {
			each++
			t.Log(probe.Line("bench", x))
		}
		r, err := probe.Bench(t.Context(), from(a), inside(b, c.to), c.o, c.b)
		must(t, err)
		t.Log(text(r))
		f := r.Bench
		if !r.OK || r.NotCertain != "" || f.Bytes == 0 || f.SentBytes < f.Bytes || f.Seconds > 30 || len(f.Intervals) == 0 || each != len(f.Intervals) {
			t.Fatalf("%s: %+v\n%s", c.name, f, text(r))
		}
		var sum int64
		for _, i := range f.Intervals {
			sum += i.Bytes
		}
		if sum > f.Bytes || c.b.UDP != (f.UDP != nil) || !c.b.UDP && f.MSS < 1000 {
			t.Errorf("%s: %+v", c.name, f)
		}
		if f.Idle == nil || f.Loaded == nil || f.Idle.Min <= 0 || f.Idle.Min > f.Idle.Avg || f.Idle.P99 > f.Idle.Max {
			t.Errorf("%s: latency %+v, %+v", c.name, f.Idle, f.Loaded)
		}
		if u := f.UDP; u != nil {
			// Nothing is lost between two namespaces but what the receiver cannot take; a rate that it can is kept.
			if u.Sent-u.Received != u.Lost || u.Received*int64(u.Size) != f.Bytes || u.Reordered != 0 || c.b.Rate > 0 && float64(f.SentBytes)*8/float64(c.b.Rate) > 0.31 {
				t.Errorf("%s: %+v", c.name, u)
			}
			if want := map[string]int{"udp": 1472, "udp6": 1452, "udp rate": 500, "udp fragments": 4000, "udp reverse": 1472}[c.name]; u.Size != want {
				t.Errorf("%s: datagrams of %d bytes, want %d", c.name, u.Size, want)
			}
		}
	}
}

// TestBenchListen has the other end as another nscope would be: known by its address and port alone.
func TestBenchListen(t *testing.T) {
	a, b := pair(t)
	port, end := listen(t, b, probe.Options{}, probe.ListenOptions{Bench: true})
	for _, o := range []probe.BenchOptions{{}, {Reverse: true, Streams: 2}, {UDP: true, Rate: 5e6}, {UDP: true, Reverse: true, Rate: 5e6}} {
		r, err := probe.Bench(t.Context(), from(a), addrOf("10.61.0.2", port), probe.Options{For: 200 * time.Millisecond}, o)
		must(t, err)
		if !r.OK || r.NotCertain != "" || r.Bench.Bytes == 0 {
			t.Errorf("%+v: %s", o, text(r))
		}
	}
	// Strangers who talk to it get nowhere, and keep nobody else from it.
	for _, s := range []string{"GET / HTTP/1.1\r\n\r\n", "nscope-bench/1\r\n\xff\xff\xff\xff", "nscope-bench/1\r\n\x00\x00\x00\x02{}", "nscope-bench/1\r\n\x00\x00\x00\x15{\"do\":\"start\",\"ms\":-1}"} {
		c := dial(t, a, "tcp", "10.61.0.2", port, probe.Options{})
		c.Write([]byte(s))
		if b, err := io.ReadAll(c); err != nil || len(b) > 200 {
			t.Logf("%q, %v", b, err) // closed with data unread is a reset
		}
	}
	if r := end(); r.Listen.Benches != 4 {
		t.Errorf("%s\n%+v", text(r), r.Attempts)
	}
}

// TestBenchFails asks what is no bench.
func TestBenchFails(t *testing.T) {
	a, b := pair(t)
	echo, _ := listen(t, b, probe.Options{}, probe.ListenOptions{TCP: true})
	http, _ := listen(t, b, probe.Options{}, probe.ListenOptions{HTTP: true})
	var mute net.Listener
	must(t, b.Do(func() (err error) { mute, err = net.Listen("tcp4", "10.61.0.2:0"); return err }))
	defer mute.Close()
	silent := uint16(mute.Addr().(*net.TCPAddr).Port)
	for _, c := range []struct {
		name  string
		port  uint16
		class probe.Class
		says  string
	}{
		{"refused", 9, probe.Refused, "connection refused"},
		{"echo", echo, probe.BadAnswer, "sends back"},
		{"http", http, probe.BadAnswer, "says \"HTTP/1.1 400 Bad Request"},
		{"mute", silent, probe.BadAnswer, "does not answer"},
	} {
		r, err := probe.Bench(t.Context(), from(a), addrOf("10.61.0.2", c.port), quick(), probe.BenchOptions{})
		must(t, err)
		if r.OK || r.Class != c.class || !strings.Contains(r.Summary, c.says) || r.Hint == "" && c.class == probe.Refused {
			t.Errorf("%s: %s", c.name, text(r))
		}
		t.Log(text(r))
	}
	if _, err := probe.Bench(t.Context(), from(a), addrOf("10.61.0.2"), quick(), probe.BenchOptions{}); err == nil {
		t.Error("without a port")
	}
	// The link goes away in the middle, or the user has seen enough: what was measured is told.
	for _, o := range []probe.BenchOptions{{}, {Reverse: true}, {UDP: true, Rate: 1e6}, {UDP: true, Reverse: true, Rate: 1e6}} {
		ctx, cancel := context.WithCancel(t.Context())
		options := probe.Options{For: time.Minute, Each: func(probe.Attempt) { cancel() }}
		r, err := probe.Bench(ctx, from(a), inside(b, "10.61.0.2"), options, o)
		cancel()
		must(t, err)
		if r.Bench.Bytes == 0 || r.Bench.SentBytes == 0 || r.NotCertain != "" || r.Bench.Seconds > 30 || !strings.Contains(r.Summary, "ended early") {
			t.Errorf("%+v: %s", o, text(r))
		}
		t.Log(text(r))
	}
}

// TestBenchCut takes the link away in the middle: what was measured until then is told, and that it is not all.
func TestBenchCut(t *testing.T) {
	for _, o := range []probe.BenchOptions{{}, {Reverse: true}, {UDP: true, Rate: 1e6}, {UDP: true, Reverse: true, Rate: 1e6}} {
		a, b := pair(t)
		var once sync.Once
		options := probe.Options{For: 1500 * time.Millisecond, Timeout: 2 * time.Second, Each: func(probe.Attempt) {
			once.Do(func() { must(t, b.Del("eth0")) })
		}}
		r, err := probe.Bench(t.Context(), from(a), inside(b, "10.61.0.2"), options, o)
		must(t, err)
		if r.OK || r.Class != probe.Timeout || r.Bench.Bytes == 0 || r.Bench.Missing == "" || r.NotCertain == "" || o.UDP && !strings.Contains(r.Summary, "loss not known") {
			t.Errorf("%+v: %s", o, text(r))
		}
		t.Log(text(r))
	}
}

// TestEnds ends what listens, measures and asks everybody at any moment.
func TestEnds(t *testing.T) {
	_, spaces, members := flat(t, 3)
	a, b := spaces[0], spaces[1]
	for i := range 24 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.Int64N(int64(120*time.Millisecond))))
		var err error
		switch what := i % 6; what {
		case 0, 1, 2, 3:
			_, err = probe.Bench(ctx, from(a), inside(b, "10.62.0.2"), quick(), probe.BenchOptions{UDP: what&1 != 0, Reverse: what&2 != 0})
		case 4:
			_, err = probe.Listen(ctx, from(a), probe.Options{}, probe.ListenOptions{HTTP: true, UDP: true})
		default:
			_, err = probe.Matrix(ctx, members, probe.Options{}, probe.MatrixOptions{TCP: uint16(i)})
		}
		cancel()
		if err != nil {
			t.Errorf("%d: %v", i%6, err)
		}
	}
}

// TestBenchFast is the criterion: at least 0.9 times what iperf3 measures between the same two ends, one stream of TCP. Both
// are measured in turns and the best of each counts, because the machine does other things too. The race detector
// makes no difference: the loops that send and receive are system calls.
func TestBenchFast(t *testing.T) {
	a, b := pair(t)
	reference := iperf(t, a, b, "10.61.0.2")
	var ours, theirs float64
	for range 8 {
		r, err := probe.Bench(t.Context(), from(a), inside(b, "10.61.0.2"), probe.Options{For: time.Second}, probe.BenchOptions{})
		must(t, err)
		ours, theirs = max(ours, r.Bench.BitsPerSecond), max(theirs, reference())
		t.Logf("nscope %.3g, iperf3 %.3g bit/s: %.2f", ours, theirs, ours/theirs)
		if ours >= 0.9*theirs {
			return
		}
	}
	t.Errorf("%.3g bit/s, iperf3 has %.3g: %.2f", ours, theirs, ours/theirs)
}

// BenchmarkBench measures for a second each, nscope and iperf3 in turns, and reports the ratio.
func BenchmarkBench(b *testing.B) {
	x, y := pair(b)
	reference := iperf(b, x, y, "10.61.0.2")
	var ours, theirs float64
	n := 0
	for b.Loop() {
		r, err := probe.Bench(b.Context(), from(x), inside(y, "10.61.0.2"), probe.Options{For: time.Second}, probe.BenchOptions{})
		must(b, err)
		ours += r.Bench.BitsPerSecond
		theirs += reference()
		n++
	}
	b.ReportMetric(ours/float64(n)/1e9, "Gbit/s")
	b.ReportMetric(theirs/float64(n)/1e9, "iperf3-Gbit/s")
	b.ReportMetric(ours/theirs, "ratio")
}
