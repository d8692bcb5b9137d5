package rtnl

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/inspect/snapshot"
)

func mustPrefix(s string, family string) netip.Prefix {
	if s == "default" {
		if family == "inet" {
			return netip.MustParsePrefix("0.0.0.0/0")
		}
		return netip.MustParsePrefix("::/0")
	}
	if strings.Contains(s, "/") {
		return netip.MustParsePrefix(s)
	}
	a := netip.MustParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen())
}

func addrOrNone(s string) (a netip.Addr) {
	if s != "" {
		a = netip.MustParseAddr(s)
	}
	return a
}

func TestRoutes(t *testing.T) {
	ns, _ := scene(t)
	ns.ip(`addr add 10.4.0.1/24 dev w1
		route add default via 10.1.1.254 metric 50 mtu 1300 advmss 1200 proto static
		route add 192.0.2.0/24 via 10.1.1.253 dev br0 src 10.1.1.7 tos 8
		route add 198.51.100.0/24 nexthop via 10.1.1.251 dev br0 weight 3 nexthop via 10.3.0.7 dev w1 weight 7 onlink
		route add blackhole 203.0.113.0/24
		route add unreachable 203.0.113.128/25 metric 9
		route add prohibit 203.0.112.0/24
		route add throw 203.0.111.0/24 table 100
		route add 172.16.0.0/12 via 10.99.0.1 dev w1 onlink table 100
		route add 10.50.0.0/16 dev tun0 scope link table 1000
		route add local 10.60.0.0/16 dev lo table 100
		route add 10.70.0.0/16 via 10.1.1.254 table 70000 proto 77
		route add 10.71.0.0/16 via inet6 fe80::1 dev w1
		route add multicast 239.0.0.0/8 dev br0
		nexthop add id 10 via 10.4.0.250 dev w1
		nexthop add id 11 via 10.4.0.249 dev w1
		nexthop add id 12 group 10/11,2
		route add 10.80.0.0/16 nhid 10
		route add 10.81.0.0/16 nhid 12
		-6 route add default via fd00:1::fe metric 77 pref high
		-6 route add 2001:db8:1::/48 from 2001:db8:2::/48 via fd00:1::fd dev br0
		-6 route add 2001:db8:3::/48 nexthop via fd00:1::a dev br0 weight 2 nexthop via fd00:1::b dev br0 weight 5
		-6 route add blackhole 2001:db8:4::/48
		-6 route add unreachable 2001:db8:5::/48 table 200
		-6 route add 2001:db8:6::/48 dev tun0 mtu 1280 pref low
		link set mv1 up
		route add 10.90.0.0/16 dev mv1
		link set w0 down`)
	for _, family := range []string{"inet", "inet6"} {
		n := 0
		agree(t, func() string {
			got := ns.read()
			names := linkNames(got)
			var want []obj
			ns.json(&want, "ip -d -j -N -f "+family+" route show table all")
			var lines, wantLines []string
			for _, r := range got.Routes {
				if r.Family == family {
					lines = append(lines, routeLine(&r, names))
				}
			}
			for _, w := range want {
				wantLines = append(wantLines, wantRoute(w, family))
			}
			slices.Sort(lines)
			slices.Sort(wantLines)
			n = len(lines)
			return gocmp.Diff(wantLines, lines)
		})
		if n < 20 {
			t.Errorf("only %d routes of %s", n, family)
		}
	}
}

func linkNames(ns *snapshot.Namespace) map[int]string {
	names := map[int]string{}
	for _, l := range ns.Links {
		names[l.Index] = l.Name
	}
	return names
}

func routeLine(r *snapshot.Route, names map[int]string) string {
	hops := ""
	for _, h := range r.NextHops {
		hops += fmt.Sprint(" nh ", h.Gateway, names[h.OIF], h.Weight, h.Flags)
	}
	return fmt.Sprint(r.Dst, " type ", r.Type, " table ", r.Table, " proto ", r.Protocol, " scope ", r.Scope, " from ", r.Src, " via ", r.Gateway,
		" src ", r.PrefSrc, " dev ", names[r.OIF], " metric ", r.Metric, " tos ", r.TOS, " mtu ", r.MTU, " mss ", r.AdvMSS,
		" flags ", r.Flags, " nhid ", r.NHID, " pref ", r.Pref, hops)
}

// wantRoute reads what ip -N (numbers for names) prints into the model and prints that.
func wantRoute(w obj, family string) string {
	protos := map[string]string{"2": "kernel", "3": "boot", "4": "static", "9": "ra"}
	scopes := map[string]string{"0": "global", "253": "link", "254": "host", "255": "nowhere"}
	r := snapshot.Route{Family: family, Dst: mustPrefix(str(w["dst"]), family), Flags: lower(w["flags"])}
	r.Type = map[string]string{"1": "unicast", "2": "local", "3": "broadcast", "4": "anycast", "5": "multicast", "6": "blackhole", "7": "unreachable", "8": "prohibit", "9": "throw"}[str(w["type"])]
	if r.Type == "" {
		r.Type = str(w["type"])
	}
	r.Table = uint32(num(w["table"]))
	if w["table"] == nil {
		r.Table = 254
	}
	r.Protocol = cmp.Or(protos[str(w["protocol"])], str(w["protocol"]))
	r.Scope = cmp.Or(scopes[str(w["scope"])], str(w["scope"]), "global")
	if s := str(w["from"]); s != "" {
		r.Src = mustPrefix(s, family)
	}
	r.Gateway, r.PrefSrc = addrOrNone(str(w["gateway"])), addrOrNone(str(w["prefsrc"]))
	if v, ok := w["via"].(obj); ok {
		r.Gateway = addrOrNone(str(v["host"]))
	}
	r.Metric, r.TOS, r.NHID = uint32(num(w["metric"])), num(w["tos"]), uint32(num(w["nhid"]))
	if p := str(w["pref"]); p != "medium" {
		r.Pref = p
	}
	if m, ok := w["metrics"].([]any); ok {
		for _, m := range m {
			r.MTU, r.AdvMSS = max(r.MTU, num(m.(obj)["mtu"])), max(r.AdvMSS, num(m.(obj)["advmss"]))
		}
	}
	names := map[int]string{1: str(w["dev"])}
	r.OIF = 1
	if hops, ok := w["nexthops"].([]any); ok {
		for i, h := range hops {
			h := h.(obj)
			names[i+2] = str(h["dev"])
			gw := addrOrNone(str(h["gateway"]))
			if v, ok := h["via"].(obj); ok {
				gw = addrOrNone(str(v["host"]))
			}
			r.NextHops = append(r.NextHops, snapshot.NextHop{Gateway: gw, OIF: i + 2, Weight: max(num(h["weight"]), 1), Flags: lower(h["flags"])})
		}
	}
	return routeLine(&r, names)
}

func TestRules(t *testing.T) {
	ns := newNS(t)
	ns.ip(`rule add from 10.0.0.0/8 to 192.0.2.1 fwmark 0x10/0xff iif eth7 oif eth8 lookup 100 pref 1000
		rule add not fwmark 0xca6c lookup 51820 pref 900
		rule add lookup main suppress_prefixlength 0 pref 901
		rule add lookup main suppress_ifgroup 7 pref 902
		rule add ipproto tcp sport 1000-2000 dport 80 lookup 200 pref 950
		rule add uidrange 1000-2000 lookup 201 pref 951
		rule add tos 0x10 lookup 202 pref 952
		rule add from 10.9.9.9 blackhole pref 953
		rule add from 10.9.9.8 unreachable pref 954
		rule add from 10.9.9.7 prohibit pref 955
		rule add from 10.9.9.6 goto 32766 pref 956
		rule add from 10.9.9.5 nop pref 957
		rule add from 10.9.9.4 lookup 70000 protocol static pref 958
		rule add tun_id 4711 lookup 300 pref 959
		-6 rule add from fd00::/8 to 2001:db8::/32 lookup 100 pref 1000
		-6 rule add fwmark 5 ipproto udp dport 53 lookup 100 pref 1001`)
	got := ns.read()
	for _, family := range []string{"inet", "inet6"} {
		var want []obj
		ns.json(&want, "ip -d -j -N -f "+family+" rule show")
		var lines, wantLines []string
		for _, r := range got.Rules {
			if r.Family == family {
				lines = append(lines, ruleLine(&r))
			}
		}
		for _, w := range want {
			wantLines = append(wantLines, wantRule(t, w, family))
		}
		// Rules are in order of their priority; so are ip's.
		if d := gocmp.Diff(wantLines, lines); d != "" {
			t.Errorf("%s (-ip +nscope):\n%s", family, d)
		}
	}
	if len(got.Rules) != 3+14+2+2 {
		t.Errorf("%d rules", len(got.Rules))
	}
}

func ruleLine(r *snapshot.Rule) string {
	opt := func(p *int) string {
		if p == nil {
			return "-"
		}
		return fmt.Sprint(*p)
	}
	ports := func(p *snapshot.PortRange) string {
		if p == nil {
			return "-"
		}
		return fmt.Sprint(*p)
	}
	uids := "-"
	if r.UIDRange != nil {
		uids = fmt.Sprint(*r.UIDRange)
	}
	return fmt.Sprint(r.Priority, " not ", r.Invert, " from ", r.Src, " to ", r.Dst, " iif ", r.IIF, " oif ", r.OIF, " mark ", r.FwMark, "/", r.FwMask,
		" tos ", r.TOS, " proto ", r.IPProto, " sport ", ports(r.SPort), " dport ", ports(r.DPort), " uid ", uids, " action ", r.Action, " table ", r.Table,
		" goto ", r.Goto, " l3mdev ", r.L3MDev, " protocol ", r.Protocol, " supp ", opt(r.SuppressPrefixLen), opt(r.SuppressIfGroup), " tun ", r.TunID)
}

func wantRule(t *testing.T, w obj, family string) string {
	has := func(key string) bool { _, ok := w[key]; return ok } // ip prints null for what is on
	r := snapshot.Rule{Family: family, Priority: uint32(num(w["priority"])), IIF: str(w["iif"]), OIF: str(w["oif"]), Invert: has("not")}
	side := func(addr, length string) netip.Prefix {
		s := str(w[addr])
		if s == "" || s == "all" {
			return netip.Prefix{}
		}
		p := mustPrefix(s, family)
		if w[length] != nil {
			p = netip.PrefixFrom(p.Addr(), num(w[length]))
		}
		return p
	}
	r.Src, r.Dst = side("src", "srclen"), side("dst", "dstlen")
	r.FwMark, r.FwMask = uint32(num(w["fwmark"])), uint32(num(w["fwmask"]))
	if r.FwMark != 0 && w["fwmask"] == nil {
		r.FwMask = 0xffffffff
	}
	r.TOS = num(w["tos"])
	r.IPProto = map[string]int{"tcp": 6, "udp": 17, "ipproto-6": 6, "ipproto-17": 17}[str(w["ipproto"])]
	if r.IPProto == 0 {
		r.IPProto = num(w["ipproto"])
	}
	ports := func(one, from, to string) *snapshot.PortRange {
		if w[one] != nil {
			return &snapshot.PortRange{From: uint16(num(w[one])), To: uint16(num(w[one]))}
		}
		if w[from] != nil {
			return &snapshot.PortRange{From: uint16(num(w[from])), To: uint16(num(w[to]))}
		}
		return nil
	}
	r.SPort, r.DPort = ports("sport", "sport_start", "sport_end"), ports("dport", "dport_start", "dport_end")
	if w["uid_start"] != nil {
		r.UIDRange = &snapshot.UIDRange{From: uint32(num(w["uid_start"])), To: uint32(num(w["uid_end"]))}
	}
	r.Protocol = cmp.Or(map[string]string{"2": "kernel", "3": "boot", "4": "static"}[str(w["protocol"])], strings.TrimPrefix(str(w["protocol"]), "0"))
	opt := func(key string) *int {
		if w[key] == nil {
			return nil
		}
		n := num(w[key])
		return &n
	}
	r.SuppressPrefixLen, r.SuppressIfGroup = opt("suppress_prefixlen"), opt("suppress_ifgroup")
	r.TunID = uint64(num(w["tun_id"]))
	r.L3MDev = has("l3mdev")
	r.Goto = uint32(num(w["goto"]))
	r.Action = str(w["action"])
	switch {
	case has("nop"):
		r.Action = "nop"
	case w["goto"] != nil:
		r.Action = "goto"
	case w["table"] != nil:
		r.Action, r.Table = "lookup", uint32(num(w["table"]))
	default:
		r.Action = cmp.Or(map[string]string{"6": "blackhole", "7": "unreachable", "8": "prohibit"}[r.Action], r.Action)
	}
	return ruleLine(&r)
}

func TestNeighbors(t *testing.T) {
	ns, _ := scene(t)
	ns.ip(`neigh add 10.1.1.9 lladdr 02:00:00:00:00:09 dev br0 nud permanent
		neigh add 10.1.1.10 lladdr 02:00:00:00:00:0a dev br0 nud stale
		neigh add 10.1.1.11 lladdr 02:00:00:00:00:0b dev br0 nud reachable
		neigh add 10.1.1.12 dev br0 nud failed
		neigh add 10.1.1.13 lladdr 02:00:00:00:00:0d dev br0 nud noarp
		neigh add 10.1.1.14 lladdr 02:00:00:00:00:0e dev br0 nud delay
		neigh add 10.1.1.15 lladdr 02:00:00:00:00:0f dev br0 nud probe
		neigh add 10.1.1.16 dev br0 nud incomplete
		neigh add 10.1.1.17 lladdr 02:00:00:00:00:11 dev br0 extern_learn
		neigh add 10.1.1.18 lladdr 02:00:00:00:00:12 dev br0 protocol static nud permanent
		neigh add proxy 10.1.1.99 dev br0
		neigh add fd00:1::9 lladdr 02:00:00:00:00:09 dev br0 router nud permanent
		neigh add fd00:1::a lladdr 02:00:00:00:00:0a dev br0 nud stale
		neigh add proxy fd00:1::99 dev br0`)
	count := 0
	agree(t, func() string {
		got := ns.read()
		names := linkNames(got)
		var lines, wantLines []string
		for _, n := range got.Neighbors {
			state := n.State
			if n.Addr == netip.MustParseAddr("10.1.1.14") || n.Addr == netip.MustParseAddr("10.1.1.15") {
				state = "delay or probe" // moves on by itself
			}
			if n.Addr == netip.MustParseAddr("10.1.1.16") {
				state = "incomplete or failed"
			}
			lines = append(lines, fmt.Sprint(n.Addr, names[n.Ifindex], n.MAC, state, n.Flags, n.Protocol))
		}
		for _, cmdline := range []string{"ip -j neigh show nud all", "ip -6 -j neigh show nud all", "ip -j neigh show proxy", "ip -6 -j neigh show proxy"} {
			var want []obj
			ns.json(&want, cmdline)
			for _, w := range want {
				flags := []string{}
				for _, f := range []string{"proxy", "router", "extern_learn", "offload", "use", "managed"} {
					if _, ok := w[f]; ok {
						flags = append(flags, f)
					}
				}
				states := lower(w["state"])
				state := "none"
				if len(states) > 0 {
					state = strings.Join(states, ",")
				}
				switch str(w["dst"]) {
				case "10.1.1.14", "10.1.1.15":
					state = "delay or probe"
				case "10.1.1.16":
					state = "incomplete or failed"
				}
				wantLines = append(wantLines, fmt.Sprint(netip.MustParseAddr(str(w["dst"])), w["dev"], str(w["lladdr"]), state, flags, str(w["protocol"])))
			}
		}
		slices.Sort(lines)
		slices.Sort(wantLines)
		wantLines = slices.Compact(wantLines)
		count = len(lines)
		return gocmp.Diff(wantLines, lines)
	})
	if count < 14 {
		t.Errorf("only %d neighbours", count)
	}
}

func TestFDB(t *testing.T) {
	ns, _ := scene(t)
	ns.ip("nexthop add id 21 via 10.9.0.21 fdb\nnexthop add id 20 group 21 fdb\nlink add br1 type bridge\nlink set br1 up\nlink add x0 type veth peer name x1\nlink set x1 up\nlink set x0 up master br1")
	for line := range strings.Lines(`bridge fdb add 02:00:00:00:01:01 dev vx0 dst 10.9.0.2 self permanent
bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.3
bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.9.0.4 port 8472 vni 99 via w1
bridge fdb add 02:00:00:00:01:02 dev vx6 dst fd00::22 vni 77
bridge fdb add 02:00:00:00:01:03 dev vx0 nhid 20
bridge fdb add 02:00:00:00:01:04 dev vxe dst 10.9.0.5 src_vni 5
bridge fdb add 02:00:00:00:02:01 dev w0 master static
bridge fdb add 02:00:00:00:02:02 dev x0 master dynamic
bridge fdb add 02:00:00:00:02:03 dev w0 master sticky static
bridge fdb add 02:00:00:00:02:04 dev x0 master extern_learn dynamic
bridge fdb add 02:00:00:00:02:05 dev br0 self
bridge fdb add 01:00:5e:01:02:03 dev w1 self`) {
		line = strings.TrimSpace(line)
		if !ns.try(line) {
			t.Errorf("cannot: %s", line)
		}
	}
	agree(t, func() string {
		got := ns.read()
		names := linkNames(got)
		var lines, wantLines []string
		for _, e := range got.FDB {
			vni := ""
			if e.VNI != nil {
				vni = fmt.Sprint(*e.VNI)
			}
			slices.Sort(e.Flags)
			lines = append(lines, fmt.Sprint(names[e.Ifindex], " ", e.MAC, " master ", names[e.Master], " dst ", e.Dst, " vni ", vni, " port ", e.Port,
				" via ", names[e.Via], " vlan ", e.VLAN, " ", e.State, e.Flags, " nhid ", e.NHID, " src_vni ", e.SrcVNI))
		}
		var want []obj
		ns.json(&want, "bridge -d -j fdb show")
		for _, w := range want {
			flags := lower(w["flags"])
			slices.Sort(flags)
			dst := addrOrNone(str(w["dst"]))
			vni := ""
			if w["vni"] != nil {
				vni = fmt.Sprint(num(w["vni"]))
			}
			wantLines = append(wantLines, fmt.Sprint(w["ifname"], " ", w["mac"], " master ", str(w["master"]), " dst ", dst, " vni ", vni, " port ", num(w["port"]),
				" via ", str(w["viaIf"]), " vlan ", num(w["vlan"]), " ", str(w["state"]), flags, " nhid ", num(w["nhid"]), " src_vni ", num(w["src_vni"])))
		}
		slices.Sort(lines)
		slices.Sort(wantLines)
		return gocmp.Diff(wantLines, lines)
	})
}
