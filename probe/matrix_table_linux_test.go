package probe

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNeighTable(t *testing.T) {
	proc := t.TempDir()
	write := func(name, s string) {
		t.Helper()
		name = filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const head = "entries  allocs   destroys\n"
	asks := []*asker{{}, {from: &From{Proc: proc}}}
	if table := newNeighTable(asks); table.full() {
		t.Error("a table that cannot be read is full")
	}
	for _, c := range []struct {
		limit       string
		before, now string
		full        bool
	}{
		{"", "00000064", "00000064", false},
		{"", "00000064", "00000390", false}, // 912
		{"", "00000064", "0000039c", true},  // 924
		{"4096\n", "00000064", "0000039c", false},
		{"4096\n", "00000064", "00000f00", true},
		{"", "00000fa0", "00000fa0", false}, // 4,000: most are permanent
		{"", "00000fa0", "000011c6", true},
		{"", "00000064", "what", false},
	} {
		os.RemoveAll(filepath.Join(proc, "sys"))
		if c.limit != "" {
			write("sys/net/ipv4/neigh/default/gc_thresh3", c.limit)
		}
		write("1/net/stat/arp_cache", head+c.before+" 1 2\n"+c.before+" 3 4\n")
		table := newNeighTable(asks)
		write("1/net/stat/arp_cache", head+c.now+" 1 2\n"+c.now+" 3 4\n")
		if table.full() != c.full {
			t.Errorf("%+v: full is %v", c, table.full())
		}
	}
}
