package e2e

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/topo/ruleset/spell"
)

// loadNft gives text to nft in a namespace.
func loadNft(h *nettest.Handle, dir, text string) (string, error) {
	file := filepath.Join(dir, "again.nft")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", err
	}
	return nettest.Try(h, "env", "TZ=UTC", "nft", "-f", file)
}

// withoutHandles is nft's list of what is there, by what it is: handles are the kernel's, and start anew.
func withoutHandles(t *testing.T, h *nettest.Handle) (out []any) {
	t.Helper()
	for _, v := range listed(t, h) {
		if key(v) == "" {
			continue
		}
		v = plain(t, v)
		for _, in := range v.(map[string]any) {
			delete(in.(map[string]any), "handle")
		}
		out = append(out, v)
	}
	return out
}

// ourText writes all tables of a namespace.
func ourText(t *testing.T, h *nettest.Handle) (text string) {
	t.Helper()
	nf := readRules(t, h)
	for i := range nf.Tables {
		s, whole := spell.NftText(&nf.Tables[i], loNames)
		if !whole {
			t.Errorf("table %s %s is not written whole:\n%s", nf.Tables[i].Family, nf.Tables[i].Name, s)
		}
		text += s
	}
	return text
}

// single makes of a set of one range the range, as nft does when it reads one.
func single(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = single(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = single(v[k])
		}
		if l, ok := v["set"].([]any); ok && len(v) == 1 && len(l) == 1 {
			if r, ok := l[0].(map[string]any); ok && r["range"] != nil {
				return r
			}
		}
	}
	return v
}

// sameAgain loads what we write into another namespace and holds it against the first.
func sameAgain(t *testing.T, h *nettest.Handle) {
	t.Helper()
	again := nettest.New(t)
	text := ourText(t, h)
	if out, err := loadNft(again, t.TempDir(), text); err != nil {
		t.Fatalf("nft does not take it: %v\n%s\n%s", err, out, text)
	}
	want, got := withoutHandles(t, h), withoutHandles(t, again)
	if w, g := single(want), single(got); !reflect.DeepEqual(g, w) {
		t.Errorf("what we write is not the same ruleset again (-first +again):\n%s", cmp.Diff(w, g))
	}
}

// ruleLines finds the rules in a text of tables: the line's number by table, chain and place in the chain.
func ruleLines(text string) map[string]int {
	out := map[string]int{}
	var table, chain string
	n := 0
	for i, line := range strings.Split(text, "\n") {
		word := strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "table "):
			table, chain = strings.TrimSuffix(line, " {"), ""
		case strings.HasPrefix(line, "\tchain "):
			chain, n = word, 0
		case strings.HasPrefix(line, "\t}"):
			chain = ""
		case chain == "" || word == "" || strings.HasPrefix(word, "type ") && strings.Contains(word, " hook ") || strings.HasPrefix(word, "comment ") || strings.HasPrefix(word, "policy "):
		default:
			out[strings.TrimSuffix(strings.TrimSpace(table+" "+chain), " {")+" "+strconv.Itoa(n)] = i + 1
			n++
		}
	}
	return out
}

// without leaves lines out, by number.
func without(text string, lines map[int]bool) string {
	all := strings.Split(text, "\n")
	for i := range all {
		if lines[i+1] {
			all[i] = ""
		}
	}
	return strings.Join(all, "\n")
}

var nftErrorAt = regexp.MustCompile(`again\.nft:(\d+):`)

// mostSameAgain is [sameAgain] for rules that may contradict themselves: those that nft does not take from its own list are left out of
// ours, too, and all others of ours have to be taken and give what nft's give.
func mostSameAgain(t *testing.T, h *nettest.Handle) (compared int) {
	t.Helper()
	dir := t.TempDir()
	ours, theirs := ourText(t, h), nettest.Run(t, h, "env", "TZ=UTC", "nft", "list", "ruleset")
	at, mine := ruleLines(theirs), ruleLines(ours)
	byLine := map[int]string{}
	for k, n := range at {
		byLine[n] = k
	}
	if len(at) != len(mine) {
		t.Fatalf("nft lists %d rules, we %d", len(at), len(mine))
	}
	bad, badOurs := map[int]bool{}, map[int]bool{}
	want := nettest.New(t)
	for range 200 {
		out, err := loadNft(want, dir, without(theirs, bad))
		if err == nil {
			break
		}
		m := nftErrorAt.FindAllStringSubmatch(out, -1)
		if len(m) == 0 {
			t.Fatalf("%v: %s", err, out)
		}
		for _, one := range m {
			n, _ := strconv.Atoi(one[1])
			if byLine[n] == "" {
				t.Fatalf("nft refuses what is no rule of its list: %s", out)
			}
			bad[n] = true
			badOurs[mine[byLine[n]]] = true
		}
	}
	got := nettest.New(t)
	text := without(ours, badOurs)
	if out, err := loadNft(got, dir, text); err != nil {
		t.Fatalf("nft does not take it: %v\n%s\n%s", err, out, text)
	}
	if w, g := single(withoutHandles(t, want)), single(withoutHandles(t, got)); !reflect.DeepEqual(g, w) {
		t.Errorf("what we write is not what nft writes (-nft +ours):\n%s", cmp.Diff(w, g))
	}
	return len(at) - len(bad)
}
