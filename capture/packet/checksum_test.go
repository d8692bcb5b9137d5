package packet

import (
	"math/rand/v2"
	"testing"

	"github.com/nscope/nscope/capture/internal/corpus"
)

// TestSum compares with the plain sum of words, of any length and content, the extremes among them. (0 and 0xffff are the same number.)
func TestSum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		for range 20 {
			b := make([]byte, n)
			fill := r.IntN(3)
			for i := range b {
				b[i] = [...]byte{0, 0xff, byte(r.Uint32())}[fill]
			}
			start := r.Uint32N(1 << 20)
			if got, want := sum(b, uint64(start)), corpus.Sum(b, start); got%0xffff != want%0xffff || (got == 0) != (want == 0) {
				t.Fatalf("sum of % x from %#x is %#x, want %#x", b, start, got, want)
			}
			if got, want := headerOK(b), sum(b, 0) == 0xffff; got != want {
				t.Fatalf("the header % x is right: %v, want %v", b, got, want)
			}
			if n > 11 && r.IntN(2) == 0 { // a right one
				b[10], b[11] = 0, 0
				c := ^sum(b, 0)
				b[10], b[11] = byte(c>>8), byte(c)
				if !headerOK(b) {
					t.Fatalf("the header % x is wrong", b)
				}
			}
		}
	}
}
