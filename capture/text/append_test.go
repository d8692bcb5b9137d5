package text

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/nscope/nscope/capture/internal/corpus"
	"github.com/nscope/nscope/capture/packet"
)

// TestAppend compares numbers, addresses and times with the standard library's.
func TestAppend(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	check := func(got []byte, want string) {
		t.Helper()
		if string(got) != "x"+want {
			t.Fatalf("%q, want %q", got[1:], want)
		}
	}
	number := func(n uint64) { t.Helper(); check(appendUint([]byte("x"), n), strconv.FormatUint(n, 10)) }
	for n := range uint64(200000) {
		number(n)
	}
	for p := uint64(1); p < 1e19; p *= 10 {
		number(p - 1)
		number(p)
		number(p + 1)
	}
	c := clock{loc: time.FixedZone("", 5400)}
	for range 100000 {
		number(r.Uint64() >> r.IntN(64))
		n := int(r.Int64N(1<<40)) - 1<<39
		check(appendInt([]byte("x"), n), strconv.Itoa(n))
		var a [4]byte
		for i := range a {
			a[i] = byte(r.Uint32() >> r.IntN(8))
		}
		addr := netip.AddrFrom4(a)
		check(appendAddr([]byte("x"), addr), addr.String())
		check(appendAddrPort([]byte("x"), addr, uint16(n)), netip.AddrPortFrom(addr, uint16(n)).String())
		at := int64(n) * 1e7
		check(c.append([]byte("x"), at), time.Unix(0, at).In(c.loc).Format("15:04:05.000000 "))
	}
}

// TestLinesAllocateNothing says packets of the corpus again and again: what is remembered was made the first time.
func TestLinesAllocateNothing(t *testing.T) {
	var l Lines
	var d packet.Decoder
	var p packet.Packet
	buf := make([]byte, 0, 1<<16)
	frames := corpus.New(8).Frames(2000, 20)
	where := place()
	where.Names = func(a netip.Addr) string {
		if a == webAddr {
			return "web"
		}
		return ""
	}
	e := &Event{Packet: &p, Place: where}
	say := func() {
		for _, f := range frames {
			d.Decode(&p, f.Data, f.WireLen, packet.Ethernet)
			buf = l.Append(buf[:0], e)
		}
	}
	say()
	if n := testing.AllocsPerRun(3, say) / float64(len(frames)); n > 0.05 { // names of protocols that have none
		t.Errorf("%.3f allocations for a packet", n)
	}
}

// TestTunnelsRemembered: what is remembered of a tunnel's text is that tunnel's.
func TestTunnelsRemembered(t *testing.T) {
	g := corpus.New(7)
	one := Lines{Absolute: true}
	tunnelled := 0
	for _, f := range g.Frames(20000, 60) {
		var d packet.Decoder
		var p packet.Packet
		d.Decode(&p, f.Data, f.WireLen, packet.Ethernet)
		e := &Event{Packet: &p}
		if p.NT > 0 {
			tunnelled++
		}
		fresh := Lines{Absolute: true}
		if got, want := string(one.Append(nil, e)), string(fresh.Append(nil, e)); got != want {
			t.Fatalf("%q after others, %q alone", got, want)
		}
	}
	if tunnelled < 1000 {
		t.Errorf("%d in tunnels: it proves little", tunnelled)
	}
}
