package bench

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/cmd"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// What reading a file of a million packets may cost: how many times faster than others, and how much slower than only reading it.
const (
	filePackets   = 1_000_000
	minQuick      = 3.0  // tcpdump -nnq, which does not look into the tunnel
	minTcpdump    = 12.0 // tcpdump -nn
	minTshark     = 30.0
	maxReading    = 3.5
	maxFileRSS    = 32 << 20
	maxFileAllocs = 0.2
)

// cpuOf runs a command whose output nobody reads, and says how long it was on a processor, in it and in the kernel.
func cpuOf(b *testing.B, name string, args ...string) time.Duration {
	c := exec.Command(name, args...)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	if err := c.Run(); err != nil {
		b.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

// least runs each of fs in turn, several times, and gives the least that each took: what is more is what else the machine did.
func least(runs int, fs ...func() time.Duration) []time.Duration {
	out := make([]time.Duration, len(fs))
	for range runs {
		for i, f := range fs {
			if d := f(); out[i] == 0 || d < out[i] {
				out[i] = d
			}
		}
	}
	return out
}

// BenchmarkCaptureFile prints a line for each of a million packets in VXLAN, beside tcpdump and tshark. Times are those of processors.
func BenchmarkCaptureFile(b *testing.B) {
	nettest.NeedsTool(b, "tcpdump", "tshark")
	bin := nscopeBinary(b)
	file := filepath.Join(b.TempDir(), "traffic.pcap")
	writeTraffic(b, file, filePackets)
	small := filepath.Join(b.TempDir(), "small.pcap")
	writeTraffic(b, small, filePackets/20)
	tiny := filepath.Join(b.TempDir(), "tiny.pcap")
	writeTraffic(b, tiny, 1)
	own := func() time.Duration { return cpuOf(b, bin, "capture", "-r", file) }
	for b.Loop() {
		t := least(5, own,
			func() time.Duration { return cpuOf(b, "tcpdump", "-nnq", "-r", file) },
			func() time.Duration { return cpuOf(b, "tcpdump", "-nn", "-r", file) },
			// Only reading: libpcap's, with a filter that no packet passes, and our own.
			func() time.Duration { return cpuOf(b, "tcpdump", "-nn", "-r", file, "less 1") },
			func() time.Duration {
				start := cpuTime(b)
				readOnly(b, file)
				return cpuTime(b) - start
			})
		// tshark takes its time: a part of the file, and what it needs to begin counted once.
		s := least(2, func() time.Duration { return cpuOf(b, "tshark", "-n", "-r", small) }, func() time.Duration { return cpuOf(b, "tshark", "-n", "-r", tiny) })
		tshark := s[1] + 20*(s[0]-s[1])
		for i, name := range []string{"nscope", "tcpdump-nnq", "tcpdump-nn", "libpcap-reading", "own-reading"} {
			b.ReportMetric(float64(t[i].Nanoseconds())/filePackets, name+"-ns/packet")
			b.Logf("%-15s %6d ns/packet", name, t[i].Nanoseconds()/filePackets)
		}
		b.ReportMetric(float64(tshark.Nanoseconds())/filePackets, "tshark-ns/packet")
		reportLeast(b, float64(t[1])/float64(t[0]), minQuick, "times-tcpdump-nnq")
		reportLeast(b, float64(t[2])/float64(t[0]), minTcpdump, "times-tcpdump-nn")
		reportLeast(b, float64(tshark)/float64(t[0]), minTshark, "times-tshark")
		report(b, float64(t[0])/float64(t[3]), maxReading, "print/libpcap-reading")
		b.ReportMetric(float64(t[0])/float64(t[4]), "print/own-reading")
		report(b, float64(peak(b, exec.Command(bin, "capture", "-r", file)))/1e6, maxFileRSS/1e6, "file-RSS-MB")
	}
}

// BenchmarkCaptureAllocs does in this process what BenchmarkCaptureFile does in others, and what else is made of a file: `make pgo` looks
// where its time goes.
func BenchmarkCaptureAllocs(b *testing.B) {
	file := filepath.Join(b.TempDir(), "traffic.pcap")
	writeTraffic(b, file, filePackets)
	run := func(args ...string) {
		if code := cmd.Main(append([]string{"nscope", "capture", "-r", file}, args...), nil, io.Discard, io.Discard); code != 0 {
			b.Fatal("exit code ", code)
		}
	}
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run()
		runtime.ReadMemStats(&after)
		report(b, float64(after.Mallocs-before.Mallocs)/filePackets, maxFileAllocs, "allocs/packet")
		for _, args := range [][]string{{"inner", "tcp", "port", "443"}, {"-w", os.DevNull}, {"--flows"}, {"-o", "json"}} {
			run(args...)
		}
	}
}

// readOnly reads each packet of a file and looks at none.
func readOnly(b *testing.B, path string) {
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	r, err := pcap.Open(f)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	var rec pcap.Record
	n := 0
	for err = r.Next(&rec); err == nil; err = r.Next(&rec) {
		n++
	}
	if !errors.Is(err, io.EOF) || n != filePackets {
		b.Fatal(n, err)
	}
}

func reportLeast(b *testing.B, got, limit float64, unit string) {
	b.ReportMetric(got, unit)
	b.ReportMetric(limit, unit+"-least")
	if got < limit {
		b.Errorf("%s: %.2f, at least %.2f wanted", unit, got, limit)
	}
}

// medianOf is the middle of some figures.
func medianOf(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
