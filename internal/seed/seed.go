package seed

import (
	"hash/fnv"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// variable has the seed: a number, or "random" for one that nobody had before.
const variable = "NSCOPE_SEED"

// Of is the seed of a test, by its name where none is asked for. It is logged.
func Of(t testing.TB) uint64 {
	t.Helper()
	var n uint64
	switch s := os.Getenv(variable); s {
	case "":
		h := fnv.New64a()
		_, _ = h.Write([]byte(t.Name()))
		n = h.Sum64()
	case "random":
		n = rand.Uint64()
	default:
		var err error
		if n, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
	}
	t.Logf("%s=%d", variable, n)
	return n
}
