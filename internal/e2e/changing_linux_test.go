package e2e

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/netfilter"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// changing replaces all rules of a namespace again and again, each time in one transaction, until the test is over: rules that
// change while they are read.
func changing(t *testing.T, h *nettest.Handle, tool string, text func(round int) string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Add(1)
	failed := make(chan error, 1)
	change := func(round int) error {
		return h.Do(func() error {
			words := strings.Fields(tool)
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Stdin = strings.NewReader(text(round))
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", tool, err, out)
			}
			return nil
		})
	}
	if err := change(0); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer done.Done()
		for round := 1; ctx.Err() == nil; round++ {
			if err := change(round); err != nil {
				failed <- err
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		done.Wait()
		select {
		case err := <-failed:
			t.Error(err)
		default:
		}
	})
}

// rounds are the rounds of changing whose rules are there, by their comments and by the element of a set that is read apart, with how
// many rules each has.
func rounds(nf *snapshot.Netfilter) map[string]int {
	out := map[string]int{}
	for i := range nf.Tables {
		for _, set := range nf.Tables[i].Sets {
			if set.Name != "s" {
				continue // one of a rule's own
			}
			for _, e := range set.Elements {
				if n := e.Key.Num; n != nil {
					out[strconv.FormatUint(n.From, 10)] += 0
				}
			}
		}
		for j := range nf.Tables[i].Chains {
			for k := range nf.Tables[i].Chains[j].Rules {
				out[nf.Tables[i].Chains[j].Rules[k].Comment]++
			}
		}
	}
	return out
}

// TestRulesThatChange: what is read while rules change is the rules of one moment, or there is a gap that says that it is not.
func TestRulesThatChange(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "nft", "iptables-legacy-restore")
	const chains, each = 10, 40
	for _, c := range []struct {
		name, tool string
		gap        string // what a gap says
		text       func(round int) string
		read       func(ns *snapshot.Namespace, gap func(string, error, string)) error
	}{
		{"nft", "nft -f -", "a quieter moment", func(round int) string {
			var b strings.Builder
			b.WriteString("table ip t\ndelete table ip t\ntable ip t {\n")
			fmt.Fprintf(&b, "set s { type mark; elements = { %d } }\n", round)
			for i := range chains {
				fmt.Fprintf(&b, "chain c%d {\n", i)
				for range each {
					fmt.Fprintf(&b, "tcp dport { 1, 2 } accept comment \"%d\"\n", round)
				}
				b.WriteString("}\n")
			}
			return b.String() + "}\n"
		}, func(ns *snapshot.Namespace, gap func(string, error, string)) error {
			conn, err := netfilter.Open()
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.Read(ns, gap)
			return nil
		}},
		{"legacy", "iptables-legacy-restore", "resource temporarily unavailable", func(round int) string {
			var b strings.Builder
			b.WriteString("*filter\n")
			for i := range chains {
				fmt.Fprintf(&b, ":c%d -\n", i)
			}
			for i := range chains {
				for range each {
					fmt.Fprintf(&b, "-A c%d -p tcp -m comment --comment \"%d\" -j ACCEPT\n", i, round)
				}
			}
			return b.String() + "COMMIT\n"
		}, func(ns *snapshot.Namespace, gap func(string, error, string)) error {
			netfilter.ReadLegacy(ns, gap)
			return nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := nettest.New(t)
			changing(t, h, c.tool, c.text)
			whole, cut, seen := 0, 0, map[string]bool{}
			for until := time.Now().Add(2 * time.Second); time.Now().Before(until); {
				var ns snapshot.Namespace
				var gaps []string
				if err := h.Do(func() error {
					return c.read(&ns, func(reader string, err error, needs string) { gaps = append(gaps, fmt.Sprint(reader, err, needs)) })
				}); err != nil {
					t.Fatal(err)
				}
				got := rounds(&ns.Netfilter)
				if len(gaps) > 0 {
					if cut++; !strings.Contains(strings.Join(gaps, ""), c.gap) {
						t.Errorf("gaps %v", gaps)
					}
					continue
				}
				whole++
				for round, n := range got {
					if seen[round] = true; len(got) != 1 || n != chains*each {
						t.Fatalf("rules of several moments: %v", got)
					}
				}
				if len(got) == 0 {
					t.Fatal("no rules were read")
				}
			}
			t.Logf("%d whole of %d rounds, %d not", whole, len(seen), cut)
			if whole < 5 || len(seen) < 3 {
				t.Error("too few were read whole")
			}
			saved := 0
			for range 10 {
				r, n, ok := savedByNscope(t, h)
				if !ok {
					continue
				}
				if saved++; r != 1 || n != chains*each {
					t.Errorf("nscope saves %d rules of %d moments", n, r)
				}
			}
			if saved == 0 {
				t.Error("nscope never reads them whole")
			}
		})
	}
}

var savedComment = regexp.MustCompile(`comment "?([0-9]+)"?`)

// savedByNscope is what `nscope rules --save` writes in a namespace: rules of how many rounds and how many they are, or false where
// it says that it could not read them all.
func savedByNscope(t *testing.T, h *nettest.Handle) (rounds, rules int, ok bool) {
	t.Helper()
	out, err := nettest.Try(h, binary(t), "rules", "self", "--save")
	if err != nil {
		if !strings.Contains(out, "nothing is saved") {
			t.Fatalf("%v: %s", err, out)
		}
		return 0, 0, false
	}
	seen := map[string]bool{}
	for _, m := range savedComment.FindAllStringSubmatch(out, -1) {
		seen[m[1]] = true
		rules++
	}
	return len(seen), rules, true
}
