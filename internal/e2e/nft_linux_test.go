package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/inspect/netfilter"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/topo/ruleset/spell"
)

// readRules reads the rules of a namespace; nothing may go wrong.
func readRules(tb testing.TB, h *nettest.Handle) *snapshot.Netfilter {
	tb.Helper()
	var ns snapshot.Namespace
	err := h.Do(func() error {
		c, err := netfilter.Open()
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

// loNames knows the one interface of a new namespace.
var loNames = spell.Names{Link: func(i int) string {
	if i == 1 {
		return "lo"
	}
	return ""
}}

// plain is a value as it comes out of JSON, with what has no order sorted.
func plain(tb testing.TB, v any) any {
	tb.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		tb.Fatal(err)
	}
	return sorted(out)
}

func sorted(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = sorted(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = sorted(v[k])
			if l, ok := v[k].([]any); ok && slices.Contains([]string{"elem", "set", "flags"}, k) {
				slices.SortFunc(l, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
	}
	return v
}

// forget takes out of ours what nft 1.0.6 does not tell.
func forget(v any) any {
	o := v.(map[string]any)
	for kind, in := range o {
		in := in.(map[string]any)
		switch kind {
		case "table", "chain":
			delete(in, "comment")
			delete(in, "dev")
		case "set", "map":
			if f, ok := in["flags"].([]any); ok {
				f = slices.DeleteFunc(f, func(w any) bool { return w == "dynamic" })
				if in["flags"] = f; len(f) == 0 {
					delete(in, "flags")
				}
			}
		}
	}
	return v
}

// listed is what `nft -j list ruleset` tells.
func listed(t *testing.T, h *nettest.Handle) []any {
	t.Helper()
	var doc struct{ Nftables []any }
	if err := json.Unmarshal([]byte(nettest.Run(t, h, "env", "TZ=UTC", "nft", "-j", "list", "ruleset")), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Nftables
}

// key names an element of the list.
func key(v any) string {
	for kind, in := range v.(map[string]any) {
		in, ok := in.(map[string]any)
		if !ok || kind == "metainfo" {
			return ""
		}
		if kind == "table" {
			return fmt.Sprint("table ", in["family"], " ", in["name"])
		}
		return fmt.Sprint(in["family"], " ", in["table"], " ", kind, " ", in["handle"])
	}
	return ""
}

// compareListed holds our spelling against nft's, rule by rule.
func compareListed(t *testing.T, h *nettest.Handle) (rules int) {
	t.Helper()
	want := map[string]any{}
	for _, v := range listed(t, h) {
		if k := key(v); k != "" {
			want[k] = plain(t, v)
		}
	}
	nf := readRules(t, h)
	for i := range nf.Tables {
		for _, v := range spell.NftTable(&nf.Tables[i], loNames) {
			got := forget(plain(t, v))
			k := key(got)
			w, ok := want[k]
			delete(want, k)
			if !ok {
				t.Errorf("nft does not list %s: %v", k, got)
				continue
			}
			if !reflect.DeepEqual(got, w) {
				t.Errorf("%s (-nft +ours):\n%s", k, cmp.Diff(w, got))
			}
			if strings.Contains(k, " rule ") {
				rules++
			}
		}
		for _, c := range nf.Tables[i].Chains {
			for _, r := range c.Rules {
				if r.Unknown != nil {
					t.Errorf("%s %s rule %d: %v", nf.Tables[i].Family, c.Name, r.Handle, r.Unknown)
				}
			}
		}
	}
	for k, w := range want {
		t.Errorf("only nft lists %s: %v", k, w)
	}
	return rules
}

// addRules adds each line as a rule of its own, and tells how many the kernel or nft refused.
func addRules(t *testing.T, h *nettest.Handle, lines []string) (refused []string) {
	t.Helper()
	for _, l := range lines {
		if out, err := nettest.Try(h, "nft", "add rule "+l); err != nil {
			refused = append(refused, l+": "+strings.SplitN(out, "\n", 2)[0])
		}
	}
	return refused
}

// TestNftSpelling: each kind of statement and match, of each family, as nft lists it.
func TestNftSpelling(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "nft")
	h := nettest.New(t)
	nettest.Run(t, h, "nft", "-f", "testdata/nft/base.nft")
	b, err := os.ReadFile("testdata/nft/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll("\n"+string(b), "\n!", "\n")), "\n")
	refused := addRules(t, h, lines)
	rules := compareListed(t, h)
	sameAgain(t, h)
	t.Logf("%d of %d rules; refused: %s", rules, len(lines), strings.Join(refused, "\n"))
	if rules < len(lines)-8 {
		t.Error("too few rules were taken")
	}
}

// headers are the words of nft's language by the layer whose header they ask for. An empty one stands for either, which no other of its
// layer may stand beside.
var headers = []map[string]string{
	{"ether": "", "vlan": "", "arp": "", "@ll": "", "iiftype": ""},
	{
		"ip": "ip", "icmp": "ip", "igmp": "ip", "ipv4": "ip", "ip6": "ip6", "icmpv6": "ip6", "ipv6": "ip6", "exthdr": "ip6", "frag": "ip6", "hbh": "ip6",
		"mh": "ip6", "srh": "ip6", "@nh": "", "protocol": "", "reject": "",
	},
	{
		"tcp": "", "udp": "", "udplite": "", "sctp": "", "dccp": "", "th": "", "icmp": "", "icmpv6": "", "igmp": "", "ah": "", "esp": "", "comp": "", "@th": "",
		"@ih": "", "l4proto": "", "protocol": "", "osf": "", "synproxy": "", "nexthdr": "", "mh": "",
	},
}

var nftWord = regexp.MustCompile(`[@a-z][a-z0-9]*`)

// contradict tells whether two matches or statements may be about different packets, or about the same header twice. nft 1.0.6 takes
// the first for a check that it had made itself and does not list it, forgets the kind of a reject, or ends with a failed assertion:
// its list then says nothing of what the kernel has.
func contradict(a, b string) bool {
	x, y := nftWord.FindAllString(a, -1), nftWord.FindAllString(b, -1)
	for _, layer := range headers {
		for _, v := range x {
			for _, w := range y {
				one, ok := layer[v]
				other, ok2 := layer[w]
				if ok && ok2 && (one == "" || one != other) {
					return true
				}
			}
		}
	}
	// What nft adds to a reject, or to an IP header, depends on what is known of the frame.
	asks := func(words []string, layer int) bool {
		return slices.ContainsFunc(words, func(w string) bool { _, ok := headers[layer][w]; return ok })
	}
	return asks(x, 0) && asks(y, 1) || asks(y, 0) && asks(x, 1)
}

// TestNftRandom puts matches and statements of the list above together that do not contradict each other, and holds each rule against
// nft's own list. What nft or the kernel refuses (a chain it does not fit) is left out, and so are the lines with a "!", which nft
// 1.0.6 does not list right beside others: it makes a range of "ip ttl < 5" and "ip hdrlength > 5", cannot name an Ethernet address
// once a VLAN was asked for, and takes an EtherType that it does not know for one that the rule says already.
func TestNftRandom(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "nft")
	b, err := os.ReadFile("testdata/nft/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	// A rule of the list is matches, then what is done.
	type chain struct{ where, matches, ends []string }
	chains := map[string]*chain{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "!") {
			continue
		}
		f := strings.Fields(line)
		where := strings.Join(f[:3], " ")
		c := chains[where]
		if c == nil {
			c = &chain{where: f[:3]}
			chains[where] = c
		}
		rest := strings.Join(f[3:], " ")
		matched := false
		for _, end := range []string{" accept", " drop"} {
			if m, ok := strings.CutSuffix(rest, end); ok {
				c.matches = append(c.matches, m)
				matched = true
			}
		}
		if !matched {
			c.ends = append(c.ends, rest)
		}
	}
	var names []string // as often as there are lines
	for _, name := range slices.Sorted(maps.Keys(chains)) {
		for range chains[name].matches {
			names = append(names, name)
		}
	}
	seeds := []uint64{1, 2, 33, 35}
	if os.Getenv("NSCOPE_SEED") != "" {
		seeds = []uint64{seed.Of(t)}
	}
	for _, seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var lines []string
		for len(lines) < 150 {
			c := chains[names[rnd.IntN(len(names))]]
			if len(c.matches) == 0 || len(c.where) == 0 {
				continue
			}
			words := slices.Clone(c.where)
			fits := func(what string) bool {
				return !slices.ContainsFunc(words[len(c.where):], func(w string) bool { return contradict(w, what) })
			}
			for range 1 + rnd.IntN(3) {
				if m := c.matches[rnd.IntN(len(c.matches))]; fits(m) {
					words = append(words, m)
				}
				if rnd.IntN(8) == 0 {
					words = append(words, "counter")
				}
			}
			end := "accept"
			if len(c.ends) > 0 && rnd.IntN(3) > 0 {
				if e := c.ends[rnd.IntN(len(c.ends))]; fits(e) {
					end = e
				}
			}
			words = append(words, end)
			lines = append(lines, strings.Join(words, " "))
		}
		h := nettest.New(t)
		nettest.Run(t, h, "nft", "-f", "testdata/nft/base.nft")
		refused := addRules(t, h, lines)
		rules := compareListed(t, h)
		again := mostSameAgain(t, h)
		t.Logf("NSCOPE_SEED=%d: %d rules, %d the same again, %d of %d refused", seed, rules, again, len(refused), len(lines))
		if rules < 100 || again < rules*3/4 {
			t.Errorf("only %d rules were taken", rules)
		}
		if t.Failed() {
			t.Fatal(strings.Join(lines, "\n"))
		}
	}
}

// TestNftRecorded: what Docker's nftables backend, firewalld and kube-proxy lay out.
func TestNftRecorded(t *testing.T) {
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "nft")
	files, err := filepath.Glob("../../inspect/netfilter/testdata/rules/*.nft")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			h := nettest.New(t)
			nettest.Run(t, h, "nft", "-f", file)
			if compareListed(t, h) == 0 {
				t.Error("no rules")
			}
			sameAgain(t, h)
		})
	}
}
