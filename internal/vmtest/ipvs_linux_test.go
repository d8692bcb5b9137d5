package vmtest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/inspect/ipvs"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/seed"
	"github.com/nscope/nscope/topo/ruleset/spell"
)

// readIPVS reads the load balancer of a namespace.
func readIPVS(t *testing.T, h *nettest.Handle) *snapshot.IPVS {
	t.Helper()
	var v *snapshot.IPVS
	if err := h.Do(func() (err error) { v, err = ipvs.Read(); return err }); err != nil {
		t.Fatal(err)
	}
	return v
}

// ipvsBlocks splits what ipvsadm -Sn prints into services with their destinations, sorted: the order is ipvsadm's own, and
// wrong for addresses that lie far apart.
func ipvsBlocks(lines []string) []string {
	var out []string
	for _, l := range lines {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "-a ") && len(out) > 0 {
			out[len(out)-1] += "\n  " + l
		} else if l != "" {
			out = append(out, l)
		}
	}
	for i, b := range out {
		head, dests, _ := strings.Cut(b, "\n")
		d := strings.Split(dests, "\n")
		slices.Sort(d)
		out[i] = head + "\n" + strings.Join(d, "\n")
	}
	slices.Sort(out)
	return out
}

// TestInsideIPVS: random services and destinations, as ipvsadm makes them, are what ipvsadm prints of them.
func TestInsideIPVS(t *testing.T) {
	needsInside(t)
	h := nettest.New(t)
	nettest.Run(t, h, "ip", "link", "set", "lo", "up")
	if v := readIPVS(t, h); v != nil {
		t.Fatalf("a namespace without services has %+v", v)
	}
	seed := seed.Of(t)
	g := &ipvsGen{rand.New(rand.NewPCG(seed, 1)), map[string]bool{}}
	var script strings.Builder
	for range 80 {
		script.WriteString(g.service())
	}
	err := h.Do(func() error {
		cmd := exec.Command("ipvsadm", "-R")
		cmd.Stdin = strings.NewReader(script.String())
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("ipvsadm -R: %w: %s\n%s", err, out, &script)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	v := readIPVS(t, h)
	want := ipvsBlocks(strings.Split(nettest.Run(t, h, "ipvsadm", "-Sn"), "\n"))
	got := ipvsBlocks(spell.IPVSAdm(v))
	if len(want) != 80 || !slices.Equal(got, want) {
		t.Errorf("%d services, ipvsadm has %d", len(got), len(want))
		for i := range max(len(got), len(want)) {
			var a, b string
			if i < len(got) {
				a = got[i]
			}
			if i < len(want) {
				b = want[i]
			}
			if a != b {
				t.Fatalf("read:\n%s\nipvsadm:\n%s", a, b)
			}
		}
	}
	timeouts := nettest.Run(t, h, "ipvsadm", "-L", "--timeout")
	if line := fmt.Sprintf("Timeout (tcp tcpfin udp): %d %d %d", v.Timeouts["tcp"], v.Timeouts["tcpfin"], v.Timeouts["udp"]); strings.TrimSpace(timeouts) != line {
		t.Errorf("%q, ipvsadm has %q", line, timeouts)
	}
	head, _, _ := strings.Cut(nettest.Run(t, h, "ipvsadm", "-Ln"), "\n")
	if want := fmt.Sprintf("IP Virtual Server version %s (size=%d)", v.Version, v.Size); head != want {
		t.Errorf("%q, ipvsadm has %q", want, head)
	}
	nettest.Run(t, h, "ipvsadm", "-C")
	if v := readIPVS(t, h); v != nil {
		t.Errorf("of deleted services there is %+v", v)
	}
}

// ipvsGen makes ipvsadm's arguments.
type ipvsGen struct {
	*rand.Rand
	made map[string]bool
}

func (g *ipvsGen) pick(s ...string) string { return s[g.IntN(len(s))] }

// addr is an address that was not given before: ipvsadm refuses what is there.
func (g *ipvsGen) addr(v6 bool) string {
	for {
		if a := g.anyAddr(v6); !g.made[a] {
			g.made[a] = true
			return a
		}
	}
}

func (g *ipvsGen) anyAddr(v6 bool) string {
	if v6 {
		return fmt.Sprintf("[2001:db8::%x:%x]", 1+g.IntN(0xfffe), 1+g.IntN(0xfffe))
	}
	return fmt.Sprintf("%s.%d.%d.%d", g.pick("10", "172", "203"), g.IntN(256), g.IntN(256), 1+g.IntN(254))
}

func (g *ipvsGen) service() string {
	v6 := g.IntN(3) == 0
	byMark := g.IntN(3) == 0
	persistent := g.IntN(3) == 0
	port := 1 + g.IntN(65535)
	name, udp := "", false
	if byMark {
		name = fmt.Sprintf("-f %d", len(g.made)<<12+g.IntN(1<<12)+1)
		if v6 {
			name += " -6"
		}
	} else {
		kind := g.pick("-t", "-u", "--sctp-service")
		udp = kind == "-u"
		if persistent && g.IntN(4) == 0 {
			port = 0
		}
		name = fmt.Sprintf("%s %s:%d", kind, g.addr(v6), port)
	}
	scheduler := g.pick("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh")
	line := "-A " + name + " -s " + scheduler
	if persistent {
		line += fmt.Sprintf(" -p %d", 1+g.IntN(10000))
		switch {
		case g.IntN(2) == 0:
		case v6:
			line += fmt.Sprintf(" -M %d", 1+g.IntN(128))
		default:
			line += " -M " + g.pick("255.255.255.0", "255.255.0.0", "255.255.255.255", "255.240.0.0")
		}
	}
	if udp && g.IntN(2) == 0 {
		line += " -o"
	}
	if scheduler == "sh" || scheduler == "mh" {
		switch g.IntN(3) {
		case 0:
			line += " -b " + scheduler + "-fallback"
		case 1:
			line += " -b " + scheduler + "-fallback," + scheduler + "-port"
		}
	}
	lines := line + "\n"
	for range g.IntN(5) {
		// A destination by masquerading has any port; another has the service's.
		dest := fmt.Sprintf("-a %s -r %s:%d -w %d", name, g.addr(v6), port, g.IntN(300))
		if byMark {
			dest = fmt.Sprintf("-a %s -r %s:0 -w %d", name, g.addr(v6), g.IntN(300))
		}
		switch g.IntN(5) {
		case 0:
			dest += " -m"
		case 1:
			dest += " -g"
		case 2:
			dest += " -i --tun-type ipip"
		case 3:
			dest += fmt.Sprintf(" -i --tun-type gue --tun-port %d %s", 1+g.IntN(65535), g.pick("--tun-nocsum", "--tun-csum", "--tun-remcsum"))
		case 4:
			dest += " -i --tun-type gre " + g.pick("--tun-nocsum", "--tun-csum")
		}
		if g.IntN(3) == 0 {
			dest += fmt.Sprintf(" -x %d -y %d", 100+g.IntN(100), 1+g.IntN(99))
		}
		lines += dest + "\n"
	}
	return lines
}

// TestInsideIPVSMoves: a real request through a service moves its counters, and is in the table of connections.
func TestInsideIPVSMoves(t *testing.T) {
	needsInside(t)
	h := nettest.New(t)
	nettest.Run(t, h, "ip", "link", "set", "lo", "up")
	nettest.Run(t, h, "ip", "address", "add", "10.9.0.1/32", "dev", "lo")
	nettest.Run(t, h, "ip", "address", "add", "10.9.0.5/32", "dev", "lo")
	nettest.Run(t, h, "ip", "address", "add", "2001:db8::1/128", "dev", "lo", "nodad")
	nettest.Run(t, h, "ip", "address", "add", "2001:db8::5/128", "dev", "lo", "nodad")
	for _, v := range []struct{ virtual, real string }{{"10.9.0.1:80", "10.9.0.5:8080"}, {"[2001:db8::1]:80", "[2001:db8::5]:8080"}} {
		nettest.Run(t, h, "ipvsadm", "-A", "-t", v.virtual, "-s", "rr")
		nettest.Run(t, h, "ipvsadm", "-a", "-t", v.virtual, "-r", v.real, "-m")
		var l net.Listener
		if err := h.Do(func() (err error) { l, err = net.Listen("tcp", v.real); return err }); err != nil {
			t.Fatal(err)
		}
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 1000)) }))
		srv.Listener.Close()
		srv.Listener = l
		srv.Start()
		defer srv.Close()
		if n := len(nettest.Run(t, h, "curl", "-sS", "--max-time", "10", "http://"+v.virtual+"/")); n != 1000 {
			t.Fatalf("%s: %d bytes through the service", v.virtual, n)
		}
	}
	// The kernel adds up its counters every two seconds (IPVS's estimator).
	table := readIPVS(t, h)
	counted := func() bool {
		return !slices.ContainsFunc(table.Services, func(s snapshot.IPVSService) bool { return s.Stats.Conns == 0 || s.Destinations[0].Stats.Conns == 0 })
	}
	for deadline := time.Now().Add(30 * time.Second); !counted() && time.Now().Before(deadline); table = readIPVS(t, h) {
		time.Sleep(100 * time.Millisecond)
	}
	if len(table.Services) != 2 {
		t.Fatalf("%+v", table)
	}
	for i := range table.Services {
		s := &table.Services[i]
		d := &s.Destinations[0]
		if s.Stats.Conns != 1 || d.Stats.Conns != 1 || s.Stats.InPackets < 4 || d.Stats.InPackets < 4 || s.Stats.InBytes < 200 || d.Active+d.Inactive != 1 {
			t.Errorf("%+v", s)
		}
	}
	var conns []snapshot.IPVSConn
	if err := h.Do(func() (err error) { conns, _, err = ipvs.Conns(0, nil); return err }); err != nil {
		t.Fatal(err)
	}
	dests := []string{}
	for _, c := range conns {
		dests = append(dests, fmt.Sprint(c.Protocol, " ", c.Virtual, " → ", c.Destination))
		if c.Client.Port() == 0 || c.Expires == 0 || c.State == "" {
			t.Errorf("%+v", c)
		}
	}
	slices.Sort(dests)
	same(t, "connections", dests, "tcp 10.9.0.1:80 → 10.9.0.5:8080", "tcp [2001:db8::1]:80 → [2001:db8::5]:8080")
	if c, cut, err := ipvs.Conns(0, nil); err != nil || cut || slices.ContainsFunc(c, func(c snapshot.IPVSConn) bool { return c.Virtual == netip.MustParseAddrPort("10.9.0.1:80") }) {
		t.Errorf("another namespace has %v, %v", c, err)
	}
}
