package netfilter

import (
	"path/filepath"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// read reads a namespace that nothing may go wrong in.
func read(tb testing.TB, h *nettest.Handle, opts ...Option) *snapshot.Netfilter {
	tb.Helper()
	var ns snapshot.Namespace
	err := h.Do(func() error {
		c, err := Open(opts...)
		if err != nil {
			return err
		}
		defer c.Close()
		c.Read(&ns, func(reader string, err error, needs string) { tb.Errorf("%s: %v (%s)", reader, err, needs) })
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return &ns.Netfilter
}

// TestRulesets loads what is recorded in testdata/rules: not one expression may be unknown.
func TestRulesets(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "nft")
	files, err := filepath.Glob("testdata/rules/*")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			h := nettest.New(t)
			nettest.Run(t, h, "nft", "-f", file)
			rules := 0
			for _, table := range read(t, h).Tables {
				for _, c := range table.Chains {
					for _, r := range c.Rules {
						rules++
						if r.Unknown != nil {
							t.Errorf("%s %s %s: %v", table.Family, table.Name, c.Name, r.Unknown)
						}
					}
				}
			}
			if rules == 0 {
				t.Error("no rules")
			}
		})
	}
}

// TestElements reads sets of which one is too large: it is cut, and what comes after it is not.
func TestElements(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "nft")
	h := nettest.New(t)
	nettest.Run(t, h, "sh", "-c", `{ echo 'table ip t { set large { type ipv4_addr; elements = {'
		for i in $(seq 0 2999); do echo "10.0.$((i / 256)).$((i % 256)),"; done
		echo '} }
		set small { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 11.0.0.1-11.0.0.3 } }
		}'; } | nft -f -`)
	for _, limit := range []int{100, 0} {
		sets := read(t, h, WithElements(limit)).Tables[0].Sets
		want, cut := 3000, false
		if limit > 0 {
			want, cut = limit, true
		}
		if len(sets) != 2 || len(sets[0].Elements) != want || sets[0].Cut != cut || len(sets[1].Elements) != 2 || sets[1].Cut {
			t.Errorf("limit %d: %d sets, %d elements, cut %v", limit, len(sets), len(sets[0].Elements), sets[0].Cut)
		}
		if v := sets[1].Elements[1].Key.Addrs; v == nil || v.From.String() != "11.0.0.1" || v.To.String() != "11.0.0.3" {
			t.Errorf("%+v", sets[1].Elements)
		}
	}
}
