package probe

import (
	"os"
	"strconv"
	"strings"
)

// neighTable watches the kernel's neighbour table of IPv4, which all namespaces share. Who fills it cuts everybody on
// the host off from new neighbours, so a matrix stops in time. Where it may not be read nothing is known and nothing stops.
type neighTable struct {
	stat string
	room int // how many entries may be added
	was  int
}

func newNeighTable(asks []*asker) *neighTable {
	t := &neighTable{}
	if len(asks) == 0 {
		return t
	}
	var proc string
	for _, a := range asks {
		if a.from != nil {
			proc = a.from.proc()
			break
		}
	}
	// It stands in the initial namespace's /proc/net only. The limit is seen from the initial namespace only; elsewhere it is
	// taken for the kernel's own.
	t.stat = proc + "/1/net/stat/arp_cache"
	limit := 1024
	if b, err := os.ReadFile(proc + "/sys/net/ipv4/neigh/default/gc_thresh3"); err == nil {
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			limit = n
		}
	}
	t.was = t.entries()
	// The number counts permanent entries too, which the limit does not: then how many are left is a guess.
	t.room = limit*9/10 - t.was
	if t.room <= 0 {
		t.room = limit / 2
	}
	return t
}

// entries is the first column of the file (NEIGH_CACHE_STAT in net/core/neighbour.c), hexadecimal; 0 where it cannot be read.
func (t *neighTable) entries() int {
	b, err := os.ReadFile(t.stat)
	if err != nil {
		return 0
	}
	_, values, _ := strings.Cut(string(b), "\n")
	first, _, _ := strings.Cut(strings.TrimSpace(values), " ")
	n, err := strconv.ParseInt(first, 16, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

// full tells whether the matrix has filled it as far as it may.
func (t *neighTable) full() bool { return t != nil && t.room > 0 && t.entries()-t.was >= t.room }

// isFull tells whether the neighbour table has no more room, by its count or because a packet found none.
func (x *matrix) isFull() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.full = x.full || x.table.full()
	return x.full
}
