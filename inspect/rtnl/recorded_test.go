package rtnl

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/inspect/snapshot"
)

var update = flag.Bool("update", false, "write the golden files")

// TestRecorded decodes real messages on whatever system the tests run. The golden files were
// written by decoders that had passed the root tests, which compare with ip live.
func TestRecorded(t *testing.T) {
	golden(t, "links", decodeLink)
	golden(t, "addrs", func(b []byte, a *snapshot.Addr) bool { _, ok := decodeAddr(b, a); return ok })
	golden(t, "routes", decodeRoute)
	golden(t, "rules", decodeRule)
	golden(t, "neighbors", decodeNeighbor)
	golden(t, "fdb", decodeFDB)
	golden(t, "qdiscs", decodeQdisc)
	golden(t, "nsids", func(b []byte, p *snapshot.PeerNSID) (ok bool) { p.NSID, _, ok = decodeNSID(b); return ok })
	golden(t, "xfrm", decodeXfrmPolicy)
}

func golden[T any](t *testing.T, name string, decode func([]byte, *T) bool) {
	t.Helper()
	out := []T{}
	for _, b := range recorded(t, name) {
		var v T
		if decode(b, &v) {
			out = append(out, v)
		}
	}
	got, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(string(want), string(got)+"\n"); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}
