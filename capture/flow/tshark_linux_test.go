package flow

import (
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/pcap"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestSameAsTshark: of 300 connections that lose, swap and repeat segments and of 300 lookups, what was sent again, out of order, the handshake's time
// and DNS' are what tshark makes of the same file.
func TestSameAsTshark(t *testing.T) {
	nettest.NeedsTool(t, "tshark")
	w := newWorld(3)
	const n = 300
	for i := range n {
		start := int64(1_800_000_000_000_000_000) + w.Int64N(2_000_000_000)
		w.connection(start, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 40000), addr("10.1.0.1:5432"))
		w.lookup(start, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 5000), addr("10.1.0.1:53"))
	}
	path := filepath.Join(t.TempDir(), "f.pcapng")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	pw, err := pcap.NewWriter(out, pcap.Section{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pw.AddInterface(pcap.Interface{Link: packet.Ethernet}); err != nil {
		t.Fatal(err)
	}
	var table Table
	for _, s := range w.sorted() {
		pw.Append(&pcap.Record{Nanos: s.nanos, Data: s.data, Len: len(s.data)})
		table.Add(decode(s, nil))
	}
	if err := pw.Flush(); err != nil {
		t.Fatal(err)
	}
	out.Close()
	c := exec.Command("tshark", "-n", "-r", path, "-o", "tcp.desegment_tcp_streams:FALSE", "-T", "fields", "-E", "separator=|", "-E", "occurrence=f",
		"-e", "ip.src", "-e", "ip.dst", "-e", "tcp.analysis.retransmission", "-e", "tcp.analysis.out_of_order", "-e", "tcp.analysis.initial_rtt", "-e", "dns.time", "-e", "frame.number", "-e", "tcp.analysis.ack_rtt")
	c.Env = append(os.Environ(), "LC_ALL=C")
	said, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		again, order   uint32
		handshake, dns float64
		minAck         float64
	}
	want := map[string]*facts{}
	for _, line := range strings.Split(strings.TrimSpace(string(said)), "\n") {
		f := strings.Split(line, "|")
		ip := f[0]
		if ip == "10.1.0.1" {
			ip = f[1]
		}
		w := want[ip]
		if w == nil {
			w = &facts{}
			want[ip] = w
		}
		if f[2] != "" {
			w.again++
		}
		if f[3] != "" {
			w.order++
		}
		num := func(s string, to *float64) {
			if v, err := strconv.ParseFloat(s, 64); err == nil {
				*to = v * 1e6
			}
		}
		num(f[4], &w.handshake)
		num(f[5], &w.dns)
		if f[0] == "10.1.0.1" { // an acknowledgement of the opener's bytes
			v := 0.0
			if num(f[7], &v); v > 0 && (w.minAck == 0 || v < w.minAck) {
				w.minAck = v
			}
		}
	}
	var again, order, lookups int
	for _, f := range table.Report(false).Flows {
		w := want[f.A.Addr]
		if w == nil {
			t.Fatalf("tshark has no %s", f.A.Addr)
		}
		near := func(a, b float64) bool { return math.Abs(a-b) < 0.01 }
		switch f.Proto {
		case "tcp":
			again, order = again+int(w.again), order+int(w.order)
			if got := f.A.Retransmitted + f.B.Retransmitted; got != w.again || f.A.OutOfOrder+f.B.OutOfOrder != w.order || !near(f.Handshake, w.handshake) || f.A.AckRTT == nil || !near(f.A.AckRTT.Min, w.minAck) {
				t.Errorf("%s: retransmitted %d, out of order %d, handshake %v, least to acknowledge %+v; tshark: %+v", f.A.Addr, got, f.A.OutOfOrder, f.Handshake, f.A.AckRTT, *w)
			}
		case "udp":
			got := 0.0
			if f.DNS == nil || f.DNS.Asked != 1 {
				t.Fatalf("%s: %+v", f.A.Addr, f.DNS)
			}
			if f.DNS.Time != nil {
				got = f.DNS.Time.Mean
				lookups++
			}
			if !near(got, w.dns) {
				t.Errorf("%s: DNS %v, tshark %v", f.A.Addr, got, w.dns)
			}
		}
	}
	if again < 300 || order < 100 || lookups < 200 || len(want) != n {
		t.Errorf("%d sent again, %d out of order, %d lookups of %d: it proves little", again, order, lookups, len(want))
	}
}
