package pcap

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nscope/nscope/capture/packet"
)

// TestFilesTakeTurns: every file opens by itself, together they have all packets, and only the newest are kept.
func TestFilesTakeTurns(t *testing.T) {
	_, want, ifs := sample(t, 400)
	for _, tt := range []struct {
		name  string
		files Files
	}{
		{"one", Files{Path: "a.pcapng"}},
		{"by size", Files{Path: "a.pcapng", Bytes: 9000}},
		{"by time", Files{Path: "a.b.pcapng", Every: 50 * time.Microsecond}},
		{"compressed", Files{Path: "a.pcapng.zst", Bytes: 9000}},
		{"no ending", Files{Path: "a", Bytes: 9000}},
		{"the newest", Files{Path: "a.pcapng", Bytes: 9000, Keep: 2}},
	} {
		dir := t.TempDir()
		f := tt.files
		f.Path, f.Names = filepath.Join(dir, f.Path), []Name{{addrOf([]byte{10, 0, 1, 2}), "web"}}
		if err := f.Open(); err != nil {
			t.Fatal(err)
		}
		for _, i := range ifs {
			f.AddInterface(i)
		}
		for i := range want {
			if err := f.Append(&want[i]); err != nil {
				t.Fatal(err)
			}
			if i%10 == 0 {
				if err := f.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := f.Close(1, map[int]Stats{0: {Received: 400}}); err != nil {
			t.Fatal(err)
		}
		paths, _ := filepath.Glob(filepath.Join(dir, "*"))
		slices.Sort(paths)
		var got []Record
		size := int64(0)
		for _, p := range paths {
			b, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			size += int64(len(b))
			r, recs, err := all(bytes.NewReader(b))
			if err != nil || len(recs) == 0 || len(r.Names) != 1 {
				t.Fatalf("%s: %s: %d packets, %v", tt.name, p, len(recs), err)
			}
			for _, rec := range recs {
				// Interfaces are numbered anew in each file, and named alike.
				rec.Interface = slices.IndexFunc(ifs, func(i Interface) bool { return i.Name == r.Interfaces[rec.Interface].Name })
				got = append(got, rec)
			}
		}
		switch {
		case tt.files.Keep > 0:
			if len(paths) != tt.files.Keep || len(got) == 0 || got[len(got)-1].Nanos != want[len(want)-1].Nanos {
				t.Errorf("%s: %v, %d packets", tt.name, paths, len(got))
			}
		case len(got) != len(want) || (len(paths) > 1) != f.turns() || size != f.Written():
			t.Errorf("%s: %d packets of %d in %v, %d bytes of %d", tt.name, len(got), len(want), paths, f.Written(), size)
		default:
			for i := range got {
				if got[i].Nanos != want[i].Nanos || got[i].Interface != want[i].Interface || !bytes.Equal(got[i].Data, want[i].Data) {
					t.Fatalf("%s: packet %d is another one", tt.name, i)
				}
			}
		}
	}
}

// TestKilled: what was flushed is read, also of a compressed file that nobody closed.
func TestKilled(t *testing.T) {
	f := Files{Path: filepath.Join(t.TempDir(), "a.pcapng.zst")}
	if err := f.Open(); err != nil {
		t.Fatal(err)
	}
	f.AddInterface(Interface{Link: packet.Ethernet})
	for i := range 10 {
		if err := f.Append(&Record{Nanos: int64(i + 1), Data: []byte("0123456789abcdef"), Len: 16}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Flush(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, got, _ := all(bytes.NewReader(b)); len(got) != 10 {
		t.Errorf("%d of 10 packets", len(got))
	}
	if err := f.Close(0, nil); err != nil {
		t.Fatal(err)
	}
}
