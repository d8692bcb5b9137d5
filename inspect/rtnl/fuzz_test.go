package rtnl

import (
	"bufio"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
)

// recorded gives the bodies of real messages: one in hexadecimal per line, recorded by TestRecord on Linux 6.18.
func recorded(tb testing.TB, name string) [][]byte {
	tb.Helper()
	f, err := os.Open(filepath.Join("testdata", name+".hex"))
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var out [][]byte
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		b, err := hex.DecodeString(strings.TrimSpace(sc.Text()))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b)
	}
	if len(out) == 0 {
		tb.Fatalf("nothing recorded in %s", name)
	}
	return out
}

// A decoder must take any bytes: no panic, and nothing made that is much larger than what it was given.

func fuzz[T any](f *testing.F, name string, decode func([]byte, *T) bool, size func(*T) int) {
	for _, b := range recorded(f, name) {
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v T
		if decode(b, &v) && size(&v) > len(b)+16 {
			t.Errorf("%d entries of %d bytes", size(&v), len(b))
		}
	})
}

func FuzzLink(f *testing.F) {
	fuzz(f, "links", func(b []byte, l *snapshot.Link) bool {
		decodeDevconf(b, "x", map[string]string{})
		decodeBridgeVlans(b)
		return decodeLink(b, l)
	}, func(l *snapshot.Link) int { return len(l.Name) + len(l.Kind) + len(l.Alias) + len(l.AltNames) })
}

func FuzzAddr(f *testing.F) {
	fuzz(f, "addrs", func(b []byte, a *snapshot.Addr) bool { _, ok := decodeAddr(b, a); return ok }, func(a *snapshot.Addr) int { return len(a.Label) })
}

func FuzzRoute(f *testing.F) {
	fuzz(f, "routes", decodeRoute, func(r *snapshot.Route) int { return len(r.NextHops) })
}

func FuzzRule(f *testing.F) {
	fuzz(f, "rules", decodeRule, func(r *snapshot.Rule) int { return len(r.IIF) + len(r.OIF) })
}

func FuzzNeigh(f *testing.F) {
	fuzz(f, "neighbors", func(b []byte, n *snapshot.Neighbor) bool {
		decodeFDB(b, new(snapshot.FDBEntry))
		return decodeNeighbor(b, n)
	}, func(n *snapshot.Neighbor) int { return 0 })
}

func FuzzFDB(f *testing.F) {
	fuzz(f, "fdb", decodeFDB, func(e *snapshot.FDBEntry) int { return len(e.MAC) / 4 })
}

func FuzzQdisc(f *testing.F) {
	fuzz(f, "qdiscs", decodeQdisc, func(q *snapshot.Qdisc) int { return len(q.Kind) })
}

func FuzzNSID(f *testing.F) {
	fuzz(f, "nsids", func(b []byte, n *int) (ok bool) { *n, _, ok = decodeNSID(b); return ok }, func(*int) int { return 0 })
}

func FuzzXfrm(f *testing.F) {
	fuzz(f, "xfrm", func(b []byte, p *snapshot.XfrmPolicy) bool {
		decodeXfrmState(b, new(snapshot.XfrmState))
		return decodeXfrmPolicy(b, p)
	}, func(p *snapshot.XfrmPolicy) int { return len(p.Tmpls) })
}

func FuzzFilter(f *testing.F) {
	fuzz(f, "qdiscs", decodeFilter, func(t *snapshot.TCFilter) int { return len(t.Actions)/8 + len(t.ProgName)/8 })
}
