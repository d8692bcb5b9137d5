package rtnl

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/internal/nlwire"
)

// TestRecord writes testdata/*.hex anew, where it is told to: NSCOPE_RECORD=1 go test -run TestRecord, then -update.
func TestRecord(t *testing.T) {
	if os.Getenv("NSCOPE_RECORD") == "" {
		t.Skip("skip: needs NSCOPE_RECORD=1, it writes files")
	}
	ns, _ := scene(t)
	ns.ip(`route add default via 10.1.1.254 metric 50 mtu 1300 onlink dev br0
		route add 198.51.100.0/24 nexthop via 10.1.1.251 dev br0 weight 3 onlink nexthop via 10.3.0.7 dev w1 weight 7 onlink
		route add blackhole 203.0.113.0/24 table 100
		-6 route add 2001:db8:1::/48 from 2001:db8:2::/48 via fd00:2::fd dev w1 onlink pref low
		rule add from 10.0.0.0/8 fwmark 0x10/0xff iif eth7 lookup 100 pref 1000
		rule add ipproto tcp sport 1000-2000 dport 80 lookup 200 pref 950
		neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev br0 nud permanent
		xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 proto udp dport 4789 dir out mark 0xd0c4e3 tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 13681891 mode transport`)
	ns.try("bridge fdb add 02:00:00:00:01:01 dev vx0 dst 10.9.0.2 port 8472 vni 99 via w1 self permanent")
	c := ns.open()
	for _, d := range []struct {
		name string
		sock *nlwire.Socket
		req  []byte
	}{
		{"links", c.route, dumpLinks}, {"addrs", c.route, dumpAddrs}, {"routes", c.route, dumpRoutes}, {"rules", c.route, dumpRules},
		{"neighbors", c.route, dumpNeighbors}, {"fdb", c.route, dumpFDB}, {"qdiscs", c.route, dumpQdiscs}, {"nsids", c.route, dumpNSIDs},
		{"xfrm", c.xfrm, dumpPolicies},
	} {
		var out strings.Builder
		err := d.sock.Do(append([]byte(nil), d.req...), func(m nlwire.Message) {
			// Some 700 of a link's 1,200 bytes are figures that nothing reads.
			if m.Type == unix.RTM_NEWLINK {
				m.Data = without(m.Data, ifInfomsgLen, unix.IFLA_AF_SPEC, unix.IFLA_STATS, unix.IFLA_MAP)
			}
			out.WriteString(hex.EncodeToString(m.Data) + "\n")
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("testdata/"+d.name+".hex", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// without copies a message but for some attributes.
func without(b []byte, header int, types ...uint16) []byte {
	out := append([]byte(nil), b[:header]...)
next:
	for a := nlwire.WalkAfter(b, header); a.Next(); {
		for _, t := range types {
			if a.Type == t {
				continue next
			}
		}
		out = nlwire.AppendAttr(out, a.Type, a.Val)
	}
	return out
}
