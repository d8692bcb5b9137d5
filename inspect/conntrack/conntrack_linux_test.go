package conntrack

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/seed"
)

// toolLine is a line of `conntrack -L -o extended` in the form of ourLine; what ticks is left out:
//
//	ipv4     2 tcp      6 2999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=4 dport=80 src=10.0.0.2 dst=10.0.0.1 sport=80 dport=4 [ASSURED] mark=0 use=1
func toolLine(line string) string {
	words := strings.Fields(line)
	if len(words) < 8 {
		return ""
	}
	proto, state := words[3], ""
	val := []map[string]string{{}, {}}
	flags := map[string]bool{}
	at := 0
	for _, w := range words[5:] {
		k, v, pair := strings.Cut(w, "=")
		_, again := val[0][k]
		switch {
		case !pair && strings.HasPrefix(w, "["):
			flags[w] = true
		case !pair:
			state = w
		default:
			if again && k == "src" {
				at = 1
			}
			val[at][k] = v
		}
	}
	// The words behind both tuples.
	or := func(k string) string {
		return cmp.Or(val[1][k], val[0][k], "0")
	}
	dir := func(m map[string]string) string {
		n := func(k string) string { return cmp.Or(m[k], "0") }
		return fmt.Sprint(proto, " ", m["src"], " ", n("sport"), " > ", m["dst"], " ", n("dport"), " icmp ", n("type"), " ", n("code"), " ", n("id"))
	}
	rest := fmt.Sprint(state, " mark ", or("mark"), " zone ", or("zone"), " assured ", flags["[ASSURED]"], " unreplied ", flags["[UNREPLIED]"])
	return dir(val[0]) + " | " + dir(val[1]) + " | " + rest
}

func ourLine(c *snapshot.Conn) string {
	dir := func(t *snapshot.ConnTuple) string {
		i := snapshot.ConnICMP{}
		if t.ICMP != nil {
			i = *t.ICMP
		}
		return fmt.Sprint(protocolNumber(c.Protocol), " ", t.Src.Addr(), " ", t.Src.Port(), " > ", t.Dst.Addr(), " ", t.Dst.Port(), " icmp ", i.Type, " ", i.Code, " ", i.ID)
	}
	rest := fmt.Sprint(c.State, " mark ", c.Mark, " zone ", c.Zone, " assured ", slices.Contains(c.Status, "assured"), " unreplied ", !slices.Contains(c.Status, "seen-reply"))
	return dir(&c.Orig) + " | " + dir(&c.Reply) + " | " + rest
}

func read(t *testing.T, h *nettest.Handle, f Filter, limit int) *List {
	t.Helper()
	var c *Conn
	if err := h.Do(func() (err error) { c, err = Open(); return err }); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l, err := c.Read(f, limit)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// flows makes random entries for conntrack to load, with source and destination translation, marks and zones.
func flows(g *rand.Rand, n int) string {
	var b strings.Builder
	pick := func(s ...string) string { return s[g.IntN(len(s))] }
	for range n {
		v6 := g.IntN(3) == 0
		addr := func() string {
			if v6 {
				return fmt.Sprintf("2001:db8::%x:%x", 1+g.IntN(0xfffe), 1+g.IntN(0xfffe))
			}
			return fmt.Sprintf("10.%d.%d.%d", g.IntN(256), g.IntN(256), 1+g.IntN(254))
		}
		b.WriteString("-I -t 3000 -s " + addr() + " -d " + addr())
		switch g.IntN(3) {
		case 0:
			fmt.Fprintf(&b, " -p tcp --sport %d --dport %d --state %s", 1+g.IntN(65535), 1+g.IntN(65535), pick("SYN_SENT", "ESTABLISHED", "TIME_WAIT", "CLOSE_WAIT"))
		case 1:
			fmt.Fprintf(&b, " -p udp --sport %d --dport %d", 1+g.IntN(65535), 1+g.IntN(65535))
		case 2:
			kind, typ := "icmp", 8
			if v6 {
				kind, typ = "icmpv6", 128
			}
			fmt.Fprintf(&b, " -p %s --%s-type %d --%s-code 0 --%s-id %d", kind, kind, typ, kind, kind, g.IntN(65536))
		}
		b.WriteString(pick("", " -u SEEN_REPLY", " -u ASSURED,SEEN_REPLY"))
		b.WriteString(pick("", "", " -n "+addr(), " -g "+addr()))
		if g.IntN(2) == 0 {
			fmt.Fprintf(&b, " -m %d", g.Uint32())
		}
		if g.IntN(4) == 0 {
			fmt.Fprintf(&b, " -w %d", 1+g.IntN(100))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestEntries: random entries, and one of a real translated connection, are what conntrack says of them.
func TestEntries(t *testing.T) {
	nettest.NeedsRoot(t)
	_, err := exec.LookPath("conntrack")
	nettest.Needs(t, err == nil, "the program conntrack")
	h := nettest.New(t)
	nettest.Run(t, h, "ip", "link", "set", "lo", "up")
	// Tracking begins with the first rule that needs it.
	nettest.Run(t, h, "iptables", "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "80", "-j", "REDIRECT", "--to-ports", "8080")
	if l := read(t, h, Filter{}, 0); len(l.Conns) != 0 || l.Seen != 0 {
		t.Fatalf("a new namespace has %+v", l)
	}
	seed := seed.Of(t)
	g := rand.New(rand.NewPCG(seed, 1))
	file := filepath.Join(t.TempDir(), "flows")
	if err := os.WriteFile(file, []byte(flows(g, 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	nettest.Run(t, h, "conntrack", "--load-file", file)
	var ln, conn net.Conn
	err = h.Do(func() error {
		l, err := net.Listen("tcp4", "127.0.0.1:8080")
		if err != nil {
			return err
		}
		defer l.Close()
		if conn, err = net.Dial("tcp4", "127.0.0.5:80"); err != nil {
			return err
		}
		ln, err = l.Accept()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer ln.Close()

	var want []string
	for _, family := range []string{"ipv4", "ipv6"} {
		for line := range strings.Lines(nettest.Run(t, h, "sh", "-c", "conntrack -L -o extended -f "+family+" 2>/dev/null")) {
			if l := toolLine(line); l != "" && strings.Contains(line, "src=") {
				want = append(want, l)
			}
		}
	}
	all := read(t, h, Filter{}, 0)
	var got []string
	for i := range all.Conns {
		got = append(got, ourLine(&all.Conns[i]))
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 150 || !slices.Equal(got, want) {
		t.Errorf("%d entries, conntrack has %d", len(got), len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("\n%s\nconntrack:\n%s", got[i], want[i])
			}
		}
	}

	// The real one, by its own address: asked for port 80, answered by 8080.
	real := read(t, h, Filter{Protocol: "tcp", Ports: []uint16{8080}, Addrs: []netip.Prefix{netip.MustParsePrefix("127.0.0.5/32")}}, 0)
	if len(real.Conns) != 1 || !real.Conns[0].DNAT() || real.Conns[0].State != "ESTABLISHED" || real.Conns[0].Server() != netip.MustParseAddrPort("127.0.0.1:8080") {
		t.Errorf("%+v", real)
	}

	// What is filtered is what matches of all, and the kernel does its part.
	zone, mark := uint16(0), uint32(0)
	for i := range all.Conns {
		zone, mark = max(zone, all.Conns[i].Zone), max(mark, all.Conns[i].Mark)
	}
	for name, f := range map[string]Filter{
		"tcp": {Protocol: "tcp"}, "udp": {Protocol: "17"}, "icmp": {Protocol: "icmp"}, "IPv6": {Family: "inet6"}, "ICMPv6": {Family: "inet6", Protocol: "icmpv6"},
		"a zone": {Zone: &zone}, "a mark": {Mark: mark, Mask: ^uint32(0)}, "no mark": {Mask: ^uint32(0)}, "a bit": {Mark: 4, Mask: 4},
		"a net": {Addrs: []netip.Prefix{netip.MustParsePrefix("10.128.0.0/9")}}, "a state": {State: "time_wait"},
	} {
		n := 0
		for i := range all.Conns {
			if f.Match(&all.Conns[i]) {
				n++
			}
		}
		l := read(t, h, f, 0)
		if n == 0 || len(l.Conns) != n || l.Matched != n {
			t.Errorf("%s: %d, want %d", name, len(l.Conns), n)
		}
		if pushed := f.Addrs == nil && f.State == ""; pushed && l.Seen != n {
			t.Errorf("%s: the kernel told of %d entries for %d", name, l.Seen, n)
		}
	}
	if l := read(t, h, Filter{}, 7); len(l.Conns) != 7 || l.Matched != len(want) {
		t.Errorf("%d of %d", len(l.Conns), l.Matched)
	}
}
