package cmd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// burst gives lines of so many namespaces, of each in its order, a few at a time as blocks of rings come.
func burst(r *rand.Rand, namespaces, each int, add func(nanos int64, line string)) {
	at := make([]int64, namespaces)
	for range each / 10 {
		for _, ns := range r.Perm(namespaces) {
			for range 10 {
				at[ns] += r.Int64N(1000)
				add(at[ns], fmt.Sprintf("%09d %d\n", at[ns], ns))
			}
		}
	}
}

// TestLineOrder: whatever is released meanwhile, all lines come once, and in the order of time.
func TestLineOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var o lineOrder
	var out []byte
	var want []string
	n := 0
	burst(r, 20, 500, func(nanos int64, line string) {
		want = append(want, line)
		from := len(o.bytes)
		o.bytes = append(o.bytes, line...)
		o.add(nanos, from)
		if n++; n%97 == 0 {
			out = o.release(out, nanos-60_000) // no namespace is as much behind another
		}
	})
	if len(out) == 0 {
		t.Fatal("nothing was said before the end")
	}
	out = o.release(out, math.MaxInt64)
	got := slices.Collect(strings.Lines(string(out)))
	if !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(a[:9], b[:9]) }) {
		t.Error("lines are not in the order of time")
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d lines came of %d", len(got), len(want))
	}
	if len(o.bytes) != 0 || len(o.lines) != 0 {
		t.Errorf("%d bytes and %d lines are kept", len(o.bytes), len(o.lines))
	}
}

// TestLineOrderOfOneMoment: lines of the same moment stay as they came.
func TestLineOrderOfOneMoment(t *testing.T) {
	var o lineOrder
	for _, l := range []struct {
		nanos int64
		line  string
	}{{2, "c"}, {1, "a"}, {2, "d"}, {1, "b"}} {
		from := len(o.bytes)
		o.bytes = append(o.bytes, l.line...)
		o.add(l.nanos, from)
	}
	if got := string(o.release(nil, 3)); got != "abcd" {
		t.Errorf("%q", got)
	}
}

// BenchmarkLineOrder is what a line costs that waits for those of 100 namespaces.
func BenchmarkLineOrder(b *testing.B) {
	var lines []string
	var times []int64
	burst(rand.New(rand.NewPCG(1, 2)), 100, 100, func(nanos int64, line string) {
		lines, times = append(lines, line), append(times, nanos)
	})
	var o lineOrder
	var out []byte
	b.ReportAllocs()
	for i := range b.N {
		k := i % len(lines)
		nanos := times[k] + int64(i/len(lines))*100_000
		from := len(o.bytes)
		o.bytes = append(o.bytes, lines[k]...)
		o.add(nanos, from)
		if k%1000 == 999 {
			out = o.release(out[:0], nanos-5_000)
		}
	}
}
