package flow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
	"github.com/nscope/nscope/capture/text"
	"github.com/nscope/nscope/topo/render"
)

// named is an interface where two containers are known.
func named(name string) *text.Place {
	return &text.Place{Name: name, Names: func(a netip.Addr) string {
		return map[string]string{"10.0.1.2": "web", "10.0.1.3": "db"}[a.String()]
	}}
}

const sec = int64(time.Second)

// TestWhatIsWrong: each of these is told, at the conversation that it is about and at its pair.
func TestWhatIsWrong(t *testing.T) {
	a, b := addr("10.0.1.2:40000"), addr("10.0.1.3:80")
	quote := func(code byte, mtu uint16, of []byte) []byte {
		body := append(u16([]byte{3, code, 0, 0}, 0, mtu), of[14:14+28]...)
		return ip4(1, netip.MustParseAddr("10.0.1.1"), a.Addr(), 0, body)
	}
	open := []shot{{0, tcp(a, b, 99, 0, 2, 500, 0)}, {sec / 100, tcp(b, a, 199, 100, 0x12, 500, 0)}, {sec / 50, tcp(a, b, 100, 200, 0x10, 500, 0)}}
	embedded := newWorld(1)
	embedded.lookup(0, addr("10.0.1.2:40000"), addr("127.0.0.11:34372"))
	question := embedded.shots[0].data
	answer := bytes.Clone(question[42:])
	answer[2] |= 0x80
	big := func(at int64) shot { return shot{at, tcp(a, b, 100, 200, 0x18, 500, 1448)} }
	for _, tt := range []struct {
		name  string
		shots []shot
		flow  string // of the flow's row
		pair  string
	}{
		{"refused", []shot{open[0], {sec / 10, tcp(b, a, 0, 100, 0x14, 0, 0)}}, "web:40000 → db:80 tcp 1/1 108 B 8.64 kbit/s web/eth0 refused", "1 refused"},
		{"no answer", []shot{open[0], {sec, tcp(a, b, 99, 0, 2, 500, 0)}}, "syn, 1 retransmitted (50%), no answer to 2 SYN", "1 retransmitted"},
		{"a handshake", open, "handshake 20.0 ms", "handshake 20.0 ms"},
		{"an MTU that is told", append(open[:3:3], big(sec), shot{sec + 1, quote(4, 1400, big(0).data)}), "1 too big: an MTU of 1400 on the way", ""},
		{"an MTU that nobody tells of", append(open[:3:3], big(sec), big(2*sec), big(4*sec), big(8*sec)), "segments of 1448 bytes and more do not arrive: an MTU on the way is smaller?", "large segments do not arrive"},
		{"a port that nobody has", []shot{{0, udp(a, b, []byte("hi"))}, {1000, quote(3, 0, udp(a, b, []byte("hi")))}}, "1 unreachable", ""},
		{"fragments", []shot{{0, ip4(17, a.Addr(), b.Addr(), 0x2000, make([]byte, 64))}, {1, ip4(17, a.Addr(), b.Addr(), 8, make([]byte, 64))}}, "web → db udp 2/0 196 B - web/eth0 2 fragments", "2 fragments"},
		{"a ping", []shot{{0, ip4(1, a.Addr(), b.Addr(), 0, []byte{8, 0, 0, 0, 0, 1, 0, 1})}, {sec / 2, ip4(1, b.Addr(), a.Addr(), 0, []byte{0, 0, 0, 0, 0, 1, 0, 1})}, {sec, ip4(1, a.Addr(), b.Addr(), 0, []byte{8, 0, 0, 0, 0, 1, 0, 2})}},
			"echo 500 ms, 1 unanswered", "echo 500 ms, 1 unanswered"},
		{"the engine's name server, behind its translation", []shot{{0, question}, {sec / 1000, udp(addr("127.0.0.11:53"), addr("10.0.1.2:40000"), answer)}}, ":40000 → 127.0.0.11:53 udp 1/1", "DNS 1.00 ms"},
	} {
		var table Table
		p := named("web/eth0")
		for _, s := range tt.shots {
			s.nanos += 1_800_000_000 * sec
			table.Add(decode(s, p))
		}
		r := table.Report(false)
		for what, rows := range map[string]render.Table{tt.flow: r.FlowTable(0), tt.pair: r.PairTable(0)} {
			var b strings.Builder
			if err := rows.Write(&b, render.Options{Width: -1}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), what) {
				t.Errorf("%s: no %q in\n%s", tt.name, what, b.String())
			}
		}
	}
}

// TestSeenAtSeveral: a packet that crosses three interfaces, in a tunnel at one, is counted once; NAT's two sides are two conversations.
func TestSeenAtSeveral(t *testing.T) {
	var table Table
	vxlan := func(in []byte) []byte {
		return udp(addr("10.99.0.1:50000"), addr("10.99.0.2:4789"), append([]byte{8, 0, 0, 0, 0, 0x10, 1, 0}, in...))
	}
	for i := range 10 {
		f := tcp(addr("10.0.1.2:40000"), addr("10.0.1.3:80"), uint32(100+i), 1, 0x18, 500, 1)
		for j, p := range []string{"web/eth0", "n1/veth0", "db/eth0"} {
			if i > 7 && j == 2 {
				continue // lost on the way
			}
			table.Add(decode(shot{int64(i)*sec + int64(j), f}, named(p)))
			if j == 1 {
				table.Add(decode(shot{int64(i)*sec + int64(j), vxlan(f)}, named("n1/eth0")))
			}
		}
	}
	r := table.Report(false)
	if len(r.Flows) != 1 || len(r.Pairs) != 1 {
		t.Fatalf("%+v", r)
	}
	if f := r.Flows[0]; f.A.Packets != 10 || f.SeenAt != 4 || f.At != "n1/veth0" || f.Tunnel != "" || f.A.Retransmitted != 0 || f.A.Name != "web" {
		t.Errorf("%+v", f)
	}
	if p := r.Pairs[0]; p.A.Packets+p.B.Packets != 10 || p.SeenAt != 4 || p.Flows != 1 {
		t.Errorf("%+v", p)
	}
	if r.Packets != 38 || len(r.Places) != 4 {
		t.Errorf("%+v", r)
	}
}

// TestBounded: of a million conversations a thousand are kept, all are counted, and little memory is held.
func TestBounded(t *testing.T) {
	table := Table{Max: 1000}
	rnd := rand.New(rand.NewPCG(1, 2))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p := named("web/eth0")
	const n = 200_000
	for i := range n {
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(rnd.IntN(256)), byte(rnd.IntN(256)), byte(rnd.IntN(256))}), uint16(i))
		table.Add(decode(shot{int64(i), udp(src, addr("10.0.1.3:80"), nil)}, p))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	r := table.Report(false)
	packets := uint64(0)
	for _, p := range r.Pairs {
		packets += p.A.Packets + p.B.Packets
	}
	if len(r.Flows) != 1000 || r.Gone < n-2000 || r.Unpaired == nil || packets+r.Unpaired.Packets != n || r.Packets != n {
		t.Errorf("%d flows, %d gone, %d packets in pairs, %+v", len(r.Flows), r.Gone, packets, r.Unpaired)
	}
	if again := table.Report(false); again.Unpaired.Packets != r.Unpaired.Packets || again.Gone != r.Gone {
		t.Errorf("a report changes what is counted: %+v, %+v", r.Unpaired, again.Unpaired)
	}
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 8<<20 {
		t.Errorf("%d bytes are held", held)
	}
	if !strings.Contains(r.Left(), "there were too many") {
		t.Errorf("%q", r.Left())
	}
}

// TestLive: a live report's rate is that since the one before.
func TestLive(t *testing.T) {
	var table Table
	p := named("web/eth0")
	send := func(at int64, n int) {
		table.Add(decode(shot{at, udp(addr("10.0.1.2:5"), addr("10.0.1.3:6"), make([]byte, n))}, p))
	}
	send(sec, 1000)
	table.Report(true)
	send(2*sec, 208)
	if r := table.Report(true).Flows[0].Rate; r != 250*8 {
		t.Errorf("%v", r)
	}
	if r := table.Report(false).Flows[0].Rate; r != (1042+250)*8 {
		t.Errorf("%v", r)
	}
}

// TestAnything: whatever comes, what is counted adds up and is JSON.
func TestAnything(t *testing.T) {
	g := corpus.New(12)
	frames := g.Frames(5000, 30)
	for range 20 {
		frames = append(frames, corpus.Truncations(g.Ether(0))...)
	}
	table := Table{Max: 50}
	d := packet.Decoder{Checksums: true}
	var pkt packet.Packet
	places := []*text.Place{nil, named("a/eth0"), named("b/eth0")}
	for i, f := range frames {
		d.Decode(&pkt, f.Data, f.WireLen, packet.Ethernet)
		table.Add(&text.Event{Packet: &pkt, Nanos: int64(i), Place: places[i%3]})
	}
	r := table.Report(true)
	n := uint64(0)
	for _, p := range r.Protocols {
		n += p.Packets
	}
	if r.Packets != uint64(len(frames)) || n != r.Packets {
		t.Errorf("%d of %d, %d by protocol", r.Packets, len(frames), n)
	}
	if b, err := json.Marshal(r); err != nil || strings.Contains(string(b), "null") {
		t.Errorf("%v %s", err, b)
	}
	for _, rows := range []render.Table{r.FlowTable(10), r.PairTable(10)} {
		var b strings.Builder
		if err := rows.Write(&b, render.Options{Width: 80}); err != nil || len(rows.Rows) != 10 {
			t.Error(err, len(rows.Rows))
		}
	}
}

func FuzzTable(f *testing.F) {
	for _, s := range newWorld(4).seed() {
		f.Add(s.data, s.nanos)
	}
	table := Table{Max: 20}
	p := named("a/eth0")
	f.Fuzz(func(t *testing.T, b []byte, nanos int64) {
		table.Add(decode(shot{nanos, b}, p))
		if r := table.Report(true); len(r.Flows) > 20 || len(r.Pairs) > 40 {
			t.Fatal(fmt.Sprintln(len(r.Flows), len(r.Pairs)))
		}
	})
}

// seed is some of everything.
func (w *world) seed() []shot {
	w.connection(0, addr("10.0.1.2:40000"), addr("10.0.1.3:80"))
	w.lookup(0, addr("10.0.1.2:40000"), addr("10.0.1.3:53"))
	w.at(0, ip4(1, netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("10.0.1.2"), 0, append([]byte{3, 4, 0, 0, 0, 0, 5, 0}, udp(addr("10.0.1.2:40000"), addr("10.0.1.3:53"), nil)[14:]...)))
	return w.shots
}
