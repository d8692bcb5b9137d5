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
