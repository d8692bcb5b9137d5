package text

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
	"time"
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
