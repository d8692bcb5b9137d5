package ring

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/capture/filter"
	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/inspect/netns/nettest"
)

// TestPrefilterInKernel attaches programs to rings on one link. Of a thousand frames (tags are taken off by the kernel, tunnels nested), the exact
// filter takes from each ring what it takes from a ring without a program; and less comes.
func TestPrefilterInKernel(t *testing.T) {
	h := nettest.New(t)
	a, b := pair(t, h)
	exprs := []string{"tcp", "tcp port 80", "udp port 53 or icmp", "not tcp", "host 10.0.1.2", "src net 10.0.0.0/8 and not port 22", "ip6 and tcp", "host fd00::2", "arp", "vlan 100", "vlan and ip", "not vlan", "mpls", "ether multicast",
		"ether host 02:42:0a:00:00:02", "portrange 1-1024", "less 100", "inner tcp port 80", "vni 4097", "encap gre", "not inner tcp", "dir in and tcp", "tcp[tcpflags] & tcp-syn != 0", "ip[6:2] & 0x1fff != 0"}
	filters := make([]*filter.Filter, len(exprs)+1)
	rings := make([]*Ring, len(filters))
	p, err := NewPoller()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for i := range filters {
		o := Options{Bytes: 4 << 20}
		if i > 0 {
			if filters[i], err = filter.Parse(exprs[i-1], nil); err != nil {
				t.Fatal(err)
			}
			for _, x := range filters[i].Prefilter(filter.Kernel{}) {
				o.Program = append(o.Program, unix.SockFilter{Code: x.Op, Jt: x.JT, Jf: x.JF, K: x.K})
			}
		}
		rings[i] = openIn(t, h, b, o)
		rings[i].Tag = i
		if err := p.Add(rings[i]); err != nil {
			t.Fatal(err)
		}
	}
	came := make([][][]byte, len(rings))
	g := corpus.New(31)
	frames := g.Frames(1000, 5)
	frames = slices.DeleteFunc(frames, func(f corpus.Frame) bool { return len(f.Data) < 18 || len(f.Data) > 1500 })
	last := frame(0x22f1, []byte("the last")...)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- p.Wait(ctx, func(r *Ring, f *Frame) {
			i := r.Tag.(int)
			came[i] = append(came[i], bytes.Clone(f.Data))
			if bytes.Equal(f.Data, last) {
				cancel() // and what the others have is given yet
			}
		}, func(*Ring, error) {}, func() bool { return false })
	}()
	send := sender(t, h, a)
	for _, f := range frames {
		send(f.Data)
	}
	send(last)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	matching := func(f *filter.Filter, all [][]byte) (out [][]byte) {
		var d packet.Decoder
		var pkt packet.Packet
		for _, b := range all {
			d.Decode(&pkt, b, len(b), packet.Ethernet)
			if f.Match(&pkt, filter.Meta{Dir: filter.In}) {
				out = append(out, b)
			}
		}
		return out
	}
	if len(came[0]) < len(frames)*9/10 {
		t.Errorf("%d of %d frames came", len(came[0]), len(frames))
	}
	fewer := 0
	for i := 1; i < len(rings); i++ {
		want, got := matching(filters[i], came[0]), matching(filters[i], came[i])
		if !slices.EqualFunc(want, got, bytes.Equal) {
			t.Errorf("%q: %d with the kernel's filter, %d without", exprs[i-1], len(got), len(want))
		}
		if len(want) == 0 {
			t.Errorf("%q: nothing matches: it proves nothing", exprs[i-1])
		}
		if len(came[i]) < len(came[0])*9/10 {
			fewer++
		}
	}
	if fewer < 14 {
		t.Errorf("only %d of %d programs drop anything", fewer, len(exprs))
	}
}
