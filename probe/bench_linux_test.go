package probe_test

import (
	"bytes"
	"encoding/json"
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

func TestBenchThin(t *testing.T) {
	a, b := pair(t)
	reference := iperf(t, a, b, "10.61.0.2")
	for range 3 {
		r, err := probe.Bench(t.Context(), from(a), inside(b, "10.61.0.2"), probe.Options{For: time.Second}, probe.BenchOptions{})
		must(t, err)
		t.Log(text(r))
		t.Logf("iperf3 %.3g", reference())
	}
	for _, o := range []probe.BenchOptions{{Reverse: true}, {Streams: 4}, {UDP: true}, {UDP: true, Reverse: true}, {UDP: true, Rate: 10e6}} {
		r, err := probe.Bench(t.Context(), from(a), inside(b, "10.61.0.2"), probe.Options{For: time.Second}, o)
		must(t, err)
		t.Log(text(r))
	}
}
