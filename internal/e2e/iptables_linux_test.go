package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/inspect/netfilter"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/topo/ruleset/spell"
)

// iptablesRules reads all rules of a namespace, of nftables and of legacy iptables. No gap is allowed.
func iptablesRules(t *testing.T, h *nettest.Handle) []snapshot.NfTable {
	t.Helper()
	var ns snapshot.Namespace
	gap := func(reader string, err error, needs string) { t.Errorf("gap: %s: %v (%s)", reader, err, needs) }
	err := h.Do(func() error {
		c, err := netfilter.Open()
		if err != nil {
			return err
		}
		defer c.Close()
		c.Read(&ns, gap)
		netfilter.ReadLegacy(&ns, gap)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ns.Netfilter.Tables
}

// byChain sorts the lines of iptables-save by table and chain; rules of one chain keep their order.
func byChain(lines []string) map[string][]string {
	m := map[string][]string{}
	table := ""
	for _, l := range lines {
		switch f := strings.Fields(l); {
		case len(f) == 0:
		case strings.HasPrefix(l, "*"):
			table = l
		case strings.HasPrefix(l, ":"):
			m[table+" "+strings.TrimPrefix(f[0], ":")] = append(m[table+" "+strings.TrimPrefix(f[0], ":")], l)
		case strings.HasPrefix(l, "["):
			m[table+" "+f[2]] = append(m[table+" "+f[2]], l)
		case strings.HasPrefix(l, "# rule"):
			m[table] = append(m[table], l)
		}
	}
	return m
}

// asSaved compares the rules of one program, spelled as it does, with what its own save program prints.
func asSaved(t *testing.T, h *nettest.Handle, tables []snapshot.NfTable, save, backend, family string) (rules int) {
	t.Helper()
	var ours []string
	for i := range tables {
		if tb := &tables[i]; tb.Backend == backend && tb.Family == family {
			ours = append(ours, spell.IPTablesSave(tb)...)
		}
	}
	real := strings.Split(nettest.Run(t, h, save, "-c"), "\n")
	for _, l := range real {
		if strings.HasPrefix(l, "[") {
			rules++
		}
	}
	want, got := byChain(real), byChain(ours)
	for chain, lines := range want { // iptables-nft-save prints built-in chains that there are not, too
		if _, ok := got[chain]; !ok && backend == snapshot.NfNft && len(lines) == 1 && strings.HasSuffix(lines[0], " ACCEPT [0:0]") {
			delete(want, chain)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-real +ours):\n%s", save, diff)
	}
	return rules
}

// iptablesProgram is one of the four iptables of Debian's package.
type iptablesProgram struct{ name, backend, family string }

var iptablesPrograms = []iptablesProgram{
	{"iptables-legacy", snapshot.NfLegacy, "ip"},
	{"ip6tables-legacy", snapshot.NfLegacy, "ip6"},
	{"iptables-nft", snapshot.NfNft, "ip"},
	{"ip6tables-nft", snapshot.NfNft, "ip6"},
}

// needsIPTables skips the test unless iptables is here in the version whose spelling is ours.
func needsIPTables(t *testing.T) {
	t.Helper()
	nettest.NeedsRoot(t)
	nettest.NeedsTool(t, "iptables-legacy-restore", "iptables-nft-restore", "ip6tables-legacy-save")
	out, _ := exec.Command("iptables-nft", "--version").Output()
	nettest.Needs(t, strings.HasPrefix(string(out), "iptables v1.8.9"), "iptables v1.8.9, as in Debian 12")
}

// taken are the options that program and kernel take, each tried alone.
func taken(t *testing.T, p iptablesProgram, all []option, rule func(option) string) (out []option) {
	t.Helper()
	h := nettest.New(t)
	script := ""
	for i, o := range all {
		if o.family != "" && o.family != p.family {
			continue
		}
		script += fmt.Sprintf("%s %s >/dev/null 2>&1 && echo TAKEN %d\n", p.name, rule(o), i)
	}
	tables := "for t in filter nat mangle raw security; do " + p.name + " -t $t -N MADE 2>/dev/null; done\n"
	for _, l := range strings.Split(nettest.Run(t, h, "sh", "-c", tables+script+"true"), "\n") {
		var i int
		if n, _ := fmt.Sscanf(l, "TAKEN %d", &i); n == 1 {
			out = append(out, all[i])
		}
	}
	return out
}

// optionRule is a rule with one option, in a chain that no hook comes to: there all hooks' options may stand.
func optionRule(o option) string {
	table, proto := "mangle", ""
	if o.table != "" {
		table = o.table
	} else if o.proto != "" && strings.HasPrefix(o.args, "-j REJECT") {
		table = "filter"
	}
	if o.proto != "" {
		proto = "-p " + o.proto + " "
	}
	return "-t " + table + " -A MADE " + proto + o.args
}

// TestIPTablesAsSaved: random rules of all extensions, loaded by each iptables, read by nscope and spelled again are what
// iptables-save prints, rule by rule, with counters, policies and order.
func TestIPTablesAsSaved(t *testing.T) {
	needsIPTables(t)
	seed := seed.Of(t)
	for _, p := range iptablesPrograms {
		t.Run(p.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			matches, targets := taken(t, p, iptablesMatches, optionRule), taken(t, p, iptablesTargets, jumpRule)
			t.Logf("%d of %d matches, %d of %d targets are taken here", len(matches), len(iptablesMatches), len(targets), len(iptablesTargets))
			if len(matches) < 60 || len(targets) < 30 {
				t.Fatal("too few extensions to compare")
			}
			h := nettest.New(t)
			text := randomRestore(r, p.family, matches, targets, 60)
			restore(t, h, p, text)
			if n := asSaved(t, h, iptablesRules(t, h), p.name+"-save", p.backend, p.family); n < 200 {
				t.Errorf("only %d rules were compared", n)
			}
		})
	}
}

// jumpRule is a rule with one target.
func jumpRule(o option) string {
	o.args = strings.Replace(o.args, " MADE", " MADE", 1)
	s := optionRule(o)
	if strings.Contains(o.args, "MADE") { // no chain may jump to itself
		s = strings.Replace(s, "-A MADE", "-A OUTPUT", 1)
	}
	return s
}

// restore loads a ruleset.
func restore(t *testing.T, h *nettest.Handle, p iptablesProgram, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := nettest.Try(h, p.name+"-restore", "-c", file); err != nil {
		var line int
		if m := regexp.MustCompile(`line:? (\d+)`).FindStringSubmatch(out); m != nil {
			fmt.Sscan(m[1], &line)
			if lines := strings.Split(text, "\n"); line > 0 && line <= len(lines) {
				t.Fatalf("%v\n%s\n%s", err, out, lines[line-1])
			}
		}
		t.Fatalf("%v\n%s", err, out)
	}
}

// randomRestore is a ruleset of n rules a table.
func randomRestore(r *rand.Rand, family string, matches, targets []option, n int) string {
	var b strings.Builder
	one := func(s ...string) string { return s[r.IntN(len(s))] }
	addr := []string{"10.0.0.1/32", "10.0.0.0/8", "192.168.0.0/255.255.0.255"}
	if family == "ip6" {
		addr = []string{"fd00::1/128", "2001:db8::/32", "fd00::1/ffff::ffff"}
	}
	for _, table := range []string{"filter", "nat", "mangle", "raw"} {
		fmt.Fprintf(&b, "*%s\n", table)
		if table != "nat" {
			fmt.Fprintf(&b, ":OUTPUT %s [%d:%d]\n", one("ACCEPT", "DROP"), r.IntN(100), r.IntN(10000))
		}
		for _, c := range []string{"MADE", "A", "B", "C"} {
			fmt.Fprintf(&b, ":%s - [0:0]\n", c)
		}
		fmt.Fprintf(&b, "[3:180] -A OUTPUT -o eth+ -j MADE\n[0:0] -A OUTPUT -j RETURN\n")
		for range n {
			var target option
			for target = targets[r.IntN(len(targets))]; target.table != "" && target.table != table; {
				target = targets[r.IntN(len(targets))]
			}
			proto := target.proto
			var ms []string
			used := map[string]bool{"tcp": strings.HasPrefix(target.args, "-m tcp")}
			for range r.IntN(4) {
				m := matches[r.IntN(len(matches))]
				ext := strings.Fields(m.args)[1]
				if used[ext] || m.table != "" && m.table != table || m.proto != "" && proto != "" && m.proto != proto {
					continue
				}
				used[ext] = true
				if m.proto != "" {
					proto = m.proto
				}
				ms = append(ms, m.args)
			}
			rule := ""
			if r.IntN(3) == 0 {
				rule += one("", "! ") + "-s " + one(addr...) + " "
			}
			if r.IntN(4) == 0 {
				rule += one("", "! ") + "-d " + one(addr...) + " "
			}
			if r.IntN(4) == 0 {
				rule += one("", "! ") + "-i " + one("eth0", "br-+", "docker0") + " "
			}
			switch {
			case proto != "":
				rule += "-p " + proto + " "
			case r.IntN(4) == 0:
				rule += one("-p", "! -p") + " " + one("tcp", "udp", "gre", "99") + " "
			case family == "ip" && r.IntN(6) == 0:
				rule += one("-f ", "! -f ")
			}
			rule += strings.Join(append(ms, target.args), " ")
			fmt.Fprintf(&b, "[%d:%d] -A %s %s\n", r.IntN(1000), r.IntN(1<<30), one("A", "B", "C"), rule)
		}
		b.WriteString("COMMIT\n")
	}
	return b.String()
}

// TestIPTablesOfOthers: rules as others lay them are understood to the last, and spelled as they were.
func TestIPTablesOfOthers(t *testing.T) {
	needsIPTables(t)
	files, err := filepath.Glob("testdata/rules/*.rules")
	if err != nil || len(files) == 0 {
		t.Fatal("no rules recorded")
	}
	for _, p := range iptablesPrograms {
		for _, f := range files {
			if six := strings.HasSuffix(f, "-ip6.rules"); six != (p.family == "ip6") {
				continue
			}
			t.Run(p.name+"/"+filepath.Base(f), func(t *testing.T) {
				text, err := os.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				h := nettest.New(t)
				restore(t, h, p, string(text))
				tables := iptablesRules(t, h)
				rules := 0
				for _, tb := range tables {
					for _, c := range tb.Chains {
						for _, r := range c.Rules {
							if rules++; r.Unknown != nil {
								t.Errorf("%s %s: unknown: %v", tb.Name, c.Name, r.Unknown)
							}
						}
					}
				}
				if n := asSaved(t, h, tables, p.name+"-save", p.backend, p.family); n == 0 || n != rules {
					t.Errorf("%d rules, %d saved", rules, n)
				}
			})
		}
	}
}

// TestLegacyMakesNoTable: reading makes no table, where there are none and where there are some.
func TestLegacyMakesNoTable(t *testing.T) {
	needsIPTables(t)
	h := nettest.New(t)
	names := func() string {
		return nettest.Run(t, h, "sh", "-c", "cat /proc/thread-self/net/ip_tables_names /proc/thread-self/net/ip6_tables_names /proc/thread-self/net/arp_tables_names")
	}
	if tables := iptablesRules(t, h); len(tables) != 0 || names() != "" {
		t.Fatalf("a fresh namespace has tables %v, after reading %q", tables, names())
	}
	nettest.Run(t, h, "iptables-legacy", "-t", "raw", "-A", "OUTPUT", "-j", "ACCEPT")
	tables := iptablesRules(t, h)
	if len(tables) != 1 || tables[0].Name != "raw" || names() != "raw\n" {
		t.Fatalf("tables %v, by their names %q", tables, names())
	}
}

// understood demands that no rule of a snapshot has anything unknown.
func understood(t *testing.T, s *snapshot.Snapshot) {
	t.Helper()
	rules := 0
	for _, ns := range s.Namespaces {
		for _, tb := range ns.Netfilter.Tables {
			for _, c := range tb.Chains {
				for _, r := range c.Rules {
					if rules++; r.Unknown != nil {
						t.Errorf("%s %s %s %s: unknown: %v", ns.ID, tb.Family, tb.Name, c.Name, r.Unknown)
					}
				}
			}
		}
	}
	if rules == 0 {
		t.Error("an engine's host without a rule")
	}
}

// TestIPSetNames: a rule has an ipset by number; its name is asked for in the rule's own namespace.
func TestIPSetNames(t *testing.T) {
	needsIPTables(t)
	nettest.NeedsTool(t, "ipset")
	for _, p := range iptablesPrograms {
		t.Run(p.name, func(t *testing.T) {
			h := nettest.New(t)
			inet := map[string]string{"ip": "inet", "ip6": "inet6"}[p.family]
			if out, err := nettest.Try(h, "ipset", "create", "first", "hash:ip", "family", inet); err != nil {
				nettest.Needs(t, !strings.Contains(out, "protocol"), "a kernel with ipset")
				t.Fatalf("%v: %s", err, out)
			}
			nettest.Run(t, h, "ipset", "create", "second", "hash:net,port", "family", inet, "timeout", "60")
			restore(t, h, p, `*filter
:INPUT ACCEPT [0:0]
[1:2] -A INPUT -m set --match-set first src -j DROP
[3:4] -A INPUT -m set ! --match-set second dst,src --return-nomatch -j ACCEPT
[5:6] -A INPUT -m set --match-set first src ! --update-counters --packets-gt 5 ! --bytes-eq 7
[7:8] -A INPUT -j SET --add-set second src,dst --exist --timeout 30
[9:10] -A INPUT -j SET --del-set first dst
COMMIT
`)
			if n := asSaved(t, h, iptablesRules(t, h), p.name+"-save", p.backend, p.family); n != 5 {
				t.Errorf("%d rules were compared", n)
			}
		})
	}
}
