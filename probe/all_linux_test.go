package probe_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nscope/nscope/fixtures/netlab"
	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/probe"
)

// bridged is web (10.62.0.2) and db (10.62.0.3) on a bridge (10.62.0.1) of a host, as See would describe them; db listens on
// TCP 5432.
type bridged struct {
	host, web, db *netlab.Space
	from          *probe.From
	to            probe.To
	listener      net.Listener
}

func newBridged(t *testing.T) *bridged {
	t.Helper()
	b := &bridged{host: space(t, "host"), web: space(t, "web"), db: space(t, "db")}
	must(t, b.host.Bridge("br0", netip.MustParsePrefix("10.62.0.1/24")))
	for i, c := range []*netlab.Space{b.web, b.db} {
		port := "v" + c.Name
		must(t, b.host.Veth(port, c, "eth0"))
		must(t, b.host.SetMaster(port, "br0"))
		must(t, c.Addr("eth0", netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 62, 0, byte(2 + i)}), 24)))
		must(t, c.DefaultRoute(netip.MustParseAddr("10.62.0.1")))
	}
	must(t, b.db.Do(func() (err error) { b.listener, err = net.Listen("tcp4", ":5432"); return err }))
	t.Cleanup(func() { b.listener.Close() })
	b.from = from(b.web)
	b.to = addrOf("10.62.0.3")
	b.to.Name, b.to.PortsKnown = "db", true
	b.to.Ports = []probe.Port{{Port: 5432, Listening: true, Why: "listening"}}
	return b
}

// see fills in what See knows of the links, as it is now.
func (b *bridged) see(t *testing.T) {
	t.Helper()
	info := func(c *netlab.Space) []probe.LinkInfo {
		l, err := c.Link("eth0")
		must(t, err)
		p, err := b.host.Link("v" + c.Name)
		must(t, err)
		addr := map[string]string{"web": "10.62.0.2", "db": "10.62.0.3"}[c.Name]
		return []probe.LinkInfo{{
			Index: l.Attrs().Index, Name: "eth0 of " + c.Name, MAC: l.Attrs().HardwareAddr.String(), MTU: l.Attrs().MTU,
			Addrs: []netip.Addr{netip.MustParseAddr(addr)}, Peer: "v" + c.Name + " of host", PeerMTU: p.Attrs().MTU,
		}}
	}
	b.from.Links, b.to.Links = info(b.web), info(b.db)
}

// TestAll breaks one thing after the other between two containers; the summary's beginning must name it.
func TestAll(t *testing.T) {
	ip := func(s *netlab.Space, line string) {
		t.Helper()
		nettest.Run(t, s.Handle, "ip", strings.Fields(line)...)
	}
	rule := func(s *netlab.Space, line string) {
		t.Helper()
		nettest.Run(t, s.Handle, "iptables", strings.Fields(line)...)
	}
	tests := []struct {
		name  string
		do    func(t *testing.T, b *bridged)
		class probe.Class
		want  []string
	}{
		{"healthy", func(*testing.T, *bridged) {}, probe.OK, []string{"ping ", "tcp 5432 open", "1500 bytes pass"}},
		{"all routes gone", func(t *testing.T, b *bridged) { ip(b.web, "route flush table main") }, probe.NoRoute,
			[]string{"no route (and no default route) to 10.62.0.3 although eth0 has 10.62.0.2/24"}},
		{"on-link route overridden", func(t *testing.T, b *bridged) { ip(b.web, "route add blackhole 10.62.0.3") }, probe.NoRoute,
			[]string{"a blackhole route drops it to 10.62.0.3"}},
		{"link down", func(t *testing.T, b *bridged) { ip(b.web, "link set eth0 down") }, probe.NoRoute, []string{"eth0 is down"}},
		{"peer down", func(t *testing.T, b *bridged) { ip(b.host, "link set vweb down") }, "", []string{"eth0 has no carrier: the other end of its pair"}},
		{"wrong neighbour", func(t *testing.T, b *bridged) {
			ip(b.web, "neigh replace 10.62.0.3 lladdr 02:00:00:00:00:99 dev eth0 nud permanent")
		},
			probe.Timeout, []string{"web's neighbour table has 10.62.0.3 at 02:00:00:00:00:99 (permanent), but eth0 of db has"}},
		{"not plugged in", func(t *testing.T, b *bridged) { ip(b.host, "link set vdb nomaster") }, "",
			[]string{"nobody on eth0 answers for 10.62.0.3"}},
		{"ICMP dropped", func(t *testing.T, b *bridged) { rule(b.db, "-A INPUT -p icmp -j DROP") }, probe.Timeout,
			[]string{"tcp 5432 is open: only ICMP does not pass"}},
		{"all dropped", func(t *testing.T, b *bridged) { rule(b.db, "-A INPUT -j DROP") }, probe.Timeout,
			[]string{"nothing comes back: ping and tcp 5432 are silent (by eth0 directly)"}},
		{"port refused by a rule", func(t *testing.T, b *bridged) {
			rule(b.db, "-A INPUT -p tcp --dport 5432 -j REJECT --reject-with tcp-reset")
		}, probe.Refused, []string{"tcp 5432: refused", "although db listens: a rule refuses it"}},
		{"port dropped", func(t *testing.T, b *bridged) { rule(b.db, "-A INPUT -p tcp --dport 5432 -j DROP") }, probe.Timeout,
			[]string{"tcp 5432: ", "although db listens: something drops it"}},
		{"port closed", func(t *testing.T, b *bridged) {
			b.listener.Close()
			b.to.Ports[0] = probe.Port{Port: 5432, Why: "published as 15432"}
		}, probe.Refused, []string{"tcp 5432: refused", "nothing listens on it in db (published as 15432)"}},
		{"another port", func(t *testing.T, b *bridged) { b.to.Port = 80 }, probe.Refused,
			[]string{"tcp 80: refused", "nothing listens on it in db, it listens on 5432"}},
		{"mtu of the port", func(t *testing.T, b *bridged) { ip(b.host, "link set vdb mtu 1200") }, "",
			[]string{"mtu: ", "1200 bytes pass", "vdb of host has MTU 1200"}},
		{"mtu of db", func(t *testing.T, b *bridged) { ip(b.db, "link set eth0 mtu 1200") }, "",
			[]string{"mtu: ", "1204 bytes pass", "eth0 of db has MTU 1200"}},
		{"mtu of web", func(t *testing.T, b *bridged) { ip(b.web, "link set eth0 mtu 1200") }, probe.TooBig,
			[]string{"mtu: eth0 of web has 1200 and vweb of host has 1500 on one segment"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBridged(t)
			tt.do(t, b)
			b.see(t)
			r, err := probe.All(t.Context(), b.from, b.to, probe.Options{Timeout: 500 * time.Millisecond})
			must(t, err)
			var text strings.Builder
			r.Text(&text)
			if r.OK != (tt.name == "healthy") || tt.class != "" && r.Class != tt.class {
				t.Errorf("class %s, want %s\n%s", r.Class, tt.class, &text)
			}
			for _, want := range tt.want {
				if first, _, _ := strings.Cut(text.String(), "\n"); !strings.Contains(first, want) {
					t.Errorf("the first line lacks %q:\n%s", want, &text)
				}
			}
		})
	}
}
