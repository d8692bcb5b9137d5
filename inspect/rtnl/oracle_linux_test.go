package rtnl

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/nscope/nscope/inspect/netns/nettest"
	"github.com/nscope/nscope/inspect/snapshot"
)

// The oracle is iproute2: what is read must be what ip, bridge and tc print.

type obj = map[string]any

func num(v any) int {
	switch v := v.(type) {
	case float64:
		return int(v)
	case string:
		n, _ := strconv.ParseInt(v, 0, 64)
		return int(n)
	case bool:
		if v {
			return 1
		}
	}
	return 0
}

func str(v any) string { s, _ := v.(string); return s }

func yes(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case float64:
		return v != 0
	case string:
		return v == "on" || v == "true"
	}
	return false
}

func lower(v any) []string {
	out := []string{}
	list, _ := v.([]any)
	for _, s := range list {
		out = append(out, strings.ToLower(str(s)))
	}
	return out
}

// scene makes namespaces in which something of everything is that this kernel has. ns is read, far holds other ends.
func scene(t *testing.T) (ns, far testNS) {
	ns, far = newNS(t), newNS(t)
	ns.ip(`link set lo up
		link add br0 type bridge stp_state 1 priority 4096 forward_delay 900 hello_time 300 max_age 2500 ageing_time 6000 group_fwd_mask 8 mcast_querier 1 nf_call_iptables 1
		link set br0 up
		link add v0 type veth peer name eth0 netns ` + far.path() + `
		link set v0 master br0 alias to-far up
		link property add dev v0 altname a-rather-long-alternative-name altname second
		link add w0 type veth peer name w1
		link set w0 master br0
		link set w0 up
		link set w1 up
		link set w1 group 7 promisc on
		link set w1 txqueuelen 77 mtu 1400
		link add mv0 link w1 type macvlan mode private
		link add mv1 link w1 type macvtap mode bridge
		link add mv2 link w1 netns ` + far.path() + ` type macvlan mode vepa
		link add vx0 type vxlan id 4097 dstport 4789 local 10.9.0.1 proxy l2miss l3miss nolearning noudpcsum ttl 5 tos 8 df set srcport 1000 2000 maxaddress 99 ageing 77
		link add vx1 type vxlan id 7 group 239.1.1.1 dev w1 dstport 8472
		link add vx6 type vxlan id 9 remote fd00::9 local fd00::1 dstport 4790 udp6zerocsumtx udp6zerocsumrx rsc gbp
		link add vxe type vxlan external dstport 4791
		link add vxf type vxlan id 11 dstport 4792
		link set vxf netns ` + far.path() + `
		link add ifb9 type ifb
		tuntap add dev tun0 mode tun user 1234 group 4321
		tuntap add dev tap0 mode tap multi_queue vnet_hdr
		addr add 10.1.1.1/24 brd + dev br0
		addr add 10.1.1.7/24 dev br0 label br0:x
		addr add 10.2.0.1 peer 10.2.0.2/32 dev tun0
		addr add 10.3.0.1/16 dev w1 scope link noprefixroute
		addr add fd00:1::1/64 dev br0 valid_lft 4000 preferred_lft 3000 nodad
		addr add fd00:2::1 peer fd00:2::2/128 dev w1 nodad
		addr add fd00:3::1/64 dev w1 preferred_lft 0 nodad mngtmpaddr
		link set tun0 up
		link set vx0 up
		link set vx1 up
		link set mv0 up`)
	far.ip("link set lo up\nlink set eth0 up\naddr add 10.1.1.2/24 dev eth0")
	return ns, far
}

func TestLinks(t *testing.T) {
	ns, far := scene(t)
	for _, n := range []testNS{ns, far} {
		for _, opt := range []string{
			"hairpin on", "guard on", "root_block on", "fastleave on", "learning off", "flood off", "mcast_flood off", "bcast_flood off",
			"neigh_suppress on", "isolated on", "locked on", "mcast_to_unicast on", "mcast_router 2", "cost 17", "priority 5", "state 0",
			"state 1", "state 2", "state 4", "backup_port v0", "state 3",
		} {
			if n == ns {
				if strings.HasPrefix(opt, "state") {
					n.ip("link set br0 type bridge stp_state 0") // else the kernel's own STP sets it
				}
				if !n.try("bridge link set dev w0 " + opt) {
					t.Errorf("cannot set %q", opt)
				}
			}
			agree(t, func() string {
				got := n.read()
				var want, wantPort []obj
				n.json(&want, "ip -d -s -j link show")
				n.json(&wantPort, "bridge -d -j link show")
				return compareLinks(got, want, wantPort)
			})
			if t.Failed() || n == far {
				break
			}
		}
	}
}

// compareLinks lists what differs.
func compareLinks(ns *snapshot.Namespace, want, ports []obj) string {
	var diffs strings.Builder
	index := map[string]int{}
	for _, w := range want {
		index[str(w["ifname"])] = num(w["ifindex"])
	}
	if len(ns.Links) != len(want) {
		return fmt.Sprintf("%d links, ip has %d", len(ns.Links), len(want))
	}
	for i, w := range want {
		l := ns.Links[i]
		eq := func(what string, got, want any) {
			if fmt.Sprint(want) != fmt.Sprint(got) {
				fmt.Fprintf(&diffs, "%s: %s: -%v +%v\n", l.Name, what, want, got)
			}
		}
		info, _ := w["linkinfo"].(obj)
		data, _ := info["info_data"].(obj)
		eq("ifname", l.Name, w["ifname"])
		eq("ifindex", l.Index, w["ifindex"])
		eq("kind", l.Kind, str(info["info_kind"]))
		eq("type", l.Type, w["link_type"])
		eq("flags", l.Flags, lower(w["flags"]))
		eq("state", l.State, strings.ToLower(str(w["operstate"])))
		eq("mtu", l.MTU, w["mtu"])
		eq("qdisc", l.Qdisc, w["qdisc"])
		eq("txqlen", l.TxQLen, num(w["txqlen"]))
		mac := str(w["address"])
		if _, err := netip.ParseAddr(mac); err == nil {
			mac = "" // an IP tunnel's address is not a MAC
		}
		eq("address", l.MAC, mac)
		eq("promiscuity", l.Promiscuity, num(w["promiscuity"]))
		eq("gso_max_size", l.GSOMaxSize, num(w["gso_max_size"]))
		eq("alias", l.Alias, str(w["ifalias"]))
		eq("altnames", strings.Join(l.AltNames, " "), strings.Join(lower(w["altnames"]), " "))
		eq("master", l.Master, index[str(w["master"])])
		eq("group", l.Group, map[string]int{"default": 0, "7": 7}[str(w["group"])])
		stats, _ := w["stats64"].(obj)
		rx, _ := stats["rx"].(obj)
		tx, _ := stats["tx"].(obj)
		if l.Stats.RxDropped > uint64(num(rx["dropped"])) || l.Stats.TxPackets > uint64(num(tx["packets"])) || l.Stats.RxBytes > uint64(num(rx["bytes"])) {
			fmt.Fprintf(&diffs, "%s: statistics ahead of ip's: %+v, %v\n", l.Name, l.Stats, stats)
		}

		link, nsid := 0, "<nil>"
		if l.Peer != nil {
			link = l.Peer.Index
			if l.Peer.NSID != nil {
				nsid = strconv.Itoa(*l.Peer.NSID)
			}
		}
		wantLink := num(w["link_index"])
		if wantLink == 0 {
			wantLink = index[str(w["link"])]
		}
		eq("link", link, wantLink)
		eq("link_netnsid", nsid, fmt.Sprint(w["link_netnsid"]))

		switch l.Kind {
		case "bridge":
			compareBridge(l, data, eq)
		case "vxlan":
			compareVxlan(l, data, index, eq)
		case "macvlan", "macvtap":
			eq("mode", l.Macvlan.Mode, data["mode"])
		case "tun":
			eq("mode", l.Tun.Mode, data["type"])
			eq("pi", l.Tun.PI, yes(data["pi"]))
			eq("vnet_hdr", l.Tun.VnetHdr, yes(data["vnet_hdr"]))
			eq("multi_queue", l.Tun.MultiQueue, yes(data["multi_queue"]))
			eq("persist", l.Tun.Persist, yes(data["persist"]))
			if data["user"] != nil {
				eq("owner", *l.Tun.Owner, data["user"])
				eq("group", *l.Tun.Group, data["group"])
			} else if l.Tun.Owner != nil {
				eq("owner", *l.Tun.Owner, nil)
			}
		case "veth":
			eq("veth", l.Veth != nil, true)
		}
		if w["linkinfo"] != nil && info["info_slave_kind"] == "bridge" {
			eq("master kind", l.MasterKind, "bridge")
			slave, _ := info["info_slave_data"].(obj)
			i := slices.IndexFunc(ports, func(o obj) bool { return str(o["ifname"]) == l.Name })
			comparePort(l, slave, ports[i], index, eq)
		}
	}
	return diffs.String()
}

func compareBridge(l snapshot.Link, d obj, eq func(string, any, any)) {
	b := l.Bridge
	eq("stp", b.STP, yes(d["stp_state"]))
	eq("priority", b.Priority, d["priority"])
	eq("forward_delay", b.ForwardDelay*100, d["forward_delay"])
	eq("hello_time", b.HelloTime*100, d["hello_time"])
	eq("max_age", b.MaxAge*100, d["max_age"])
	eq("ageing_time", b.AgeingTime*100, d["ageing_time"])
	eq("vlan_filtering", b.VlanFiltering, yes(d["vlan_filtering"]))
	eq("vlan_protocol", b.VlanProtocol, cmp.Or(strings.ToLower(str(d["vlan_protocol"])), "802.1q"))
	eq("vlan_default_pvid", b.VlanDefaultPVID, num(d["vlan_default_pvid"]))
	eq("bridge_id", b.BridgeID, longID(str(d["bridge_id"])))
	eq("root_id", b.RootID, longID(str(d["root_id"])))
	eq("group_fwd_mask", b.GroupFwdMask, num(d["group_fwd_mask"]))
	eq("mcast_snooping", b.McastSnooping, yes(d["mcast_snooping"]))
	eq("mcast_querier", b.McastQuerier, yes(d["mcast_querier"]))
	eq("nf_call_iptables", b.NfCallIptables, yes(d["nf_call_iptables"]))
	eq("nf_call_ip6tables", b.NfCallIp6tables, yes(d["nf_call_ip6tables"]))
	eq("nf_call_arptables", b.NfCallArptables, yes(d["nf_call_arptables"]))
	eq("no_linklocal_learn", b.NoLinkLocalLearn, yes(d["no_linklocal_learn"]))
}

// longID writes the bytes of a bridge id with two digits each; some versions of ip leave leading zeros out.
func longID(s string) string {
	prio, mac, _ := strings.Cut(s, ".")
	parts := strings.Split(mac, ":")
	for i, p := range parts {
		parts[i] = fmt.Sprintf("%02s", p)
	}
	return prio + "." + strings.Join(parts, ":")
}

func comparePort(l snapshot.Link, d, br obj, index map[string]int, eq func(string, any, any)) {
	p := l.BridgePort
	eq("port state", p.State, d["state"])
	eq("port number", p.Number, num(d["no"]))
	eq("port priority", p.Priority, d["priority"])
	eq("port cost", p.Cost, d["cost"])
	eq("hairpin", p.Hairpin, yes(d["hairpin"]))
	eq("guard", p.Guard, yes(d["guard"]))
	eq("root_block", p.RootBlock, yes(d["root_block"]))
	eq("fastleave", p.FastLeave, yes(d["fastleave"]))
	eq("learning", p.Learning, yes(d["learning"]))
	eq("flood", p.Flood, yes(d["flood"]))
	eq("mcast_flood", p.McastFlood, yes(d["mcast_flood"]))
	eq("bcast_flood", p.BcastFlood, yes(d["bcast_flood"]))
	eq("proxy_arp", p.ProxyARP, yes(d["proxy_arp"]))
	eq("mcast_to_unicast", p.McastToUcast, yes(d["mcast_to_unicast"]))
	eq("neigh_suppress", p.NeighSuppress, yes(d["neigh_suppress"]))
	eq("vlan_tunnel", p.VlanTunnel, yes(d["vlan_tunnel"]))
	eq("isolated", p.Isolated, yes(d["isolated"]))
	eq("locked", p.Locked, yes(d["locked"]))
	eq("multicast_router", p.McastRouter, num(d["multicast_router"]))
	eq("backup_port", p.BackupIfindex, index[str(d["backup_port"])])
	// The same by another program and another message.
	eq("bridge's state", p.State, br["state"])
	eq("bridge's isolated", p.Isolated, yes(br["isolated"]))
}

func compareVxlan(l snapshot.Link, d obj, index map[string]int, eq func(string, any, any)) {
	v := l.Vxlan
	addr := func(a netip.Addr) string {
		if !a.IsValid() {
			return ""
		}
		return a.String()
	}
	eq("vni", v.VNI, num(d["id"]))
	eq("port", v.Port, d["port"])
	eq("local", addr(v.Local), cmp.Or(str(d["local"]), str(d["local6"])))
	eq("group", addr(v.Group), cmp.Or(str(d["group"]), str(d["group6"]), str(d["remote"]), str(d["remote6"])))
	link := index[str(d["link"])]
	if link == 0 {
		link = num(d["link_index"])
	}
	eq("link", v.Link, link)
	eq("learning", v.Learning, yes(d["learning"]))
	eq("proxy", v.Proxy, yes(d["proxy"]))
	eq("rsc", v.RSC, yes(d["rsc"]))
	eq("l2miss", v.L2Miss, yes(d["l2miss"]))
	eq("l3miss", v.L3Miss, yes(d["l3miss"]))
	eq("ttl", v.TTL, num(d["ttl"]))
	eq("tos", v.TOS, num(d["tos"]))
	eq("df", v.DF, cmp.Or(str(d["df"]), "unset"))
	eq("ageing", v.Ageing, num(d["ageing"]))
	eq("limit", v.Limit, num(d["limit"]))
	ports, _ := d["port_range"].(obj)
	eq("srcport low", v.SrcPortLow, num(ports["low"]))
	eq("srcport high", v.SrcPortHigh, num(ports["high"]))
	eq("udp_csum", v.UDPCsum, yes(d["udp_csum"]))
	eq("udp_zero_csum6_tx", v.UDP6ZeroCsumTx, yes(d["udp_zero_csum6_tx"]))
	eq("udp_zero_csum6_rx", v.UDP6ZeroCsumRx, yes(d["udp_zero_csum6_rx"]))
	eq("external", v.External, d["external"] != nil)
	eq("gbp", v.GBP, d["gbp"] != nil)
	eq("gpe", v.GPE, d["gpe"] != nil)
}

func TestAddrs(t *testing.T) {
	ns, _ := scene(t)
	agree(t, func() string {
		got := ns.read()
		var want []obj
		ns.json(&want, "ip -d -j addr show")
		var lines, wantLines []string
		for _, w := range want {
			l := link(t, got, str(w["ifname"]))
			for _, a := range l.Addrs {
				lines = append(lines, fmt.Sprint(l.Name, " ", a.Prefix, a.Peer, a.Broadcast, a.Scope, a.Label, a.Flags))
			}
			infos, _ := w["addr_info"].([]any)
			for _, i := range infos {
				wantLines = append(wantLines, l.Name+" "+addrLine(i.(obj)))
			}
		}
		slices.Sort(lines)
		slices.Sort(wantLines)
		return gocmp.Diff(wantLines, lines)
	})
}

// addrLine prints what ip says of an address as the model would.
func addrLine(i obj) string {
	var a snapshot.Addr
	local := netip.MustParseAddr(str(i["local"]))
	a.Prefix = netip.PrefixFrom(local, num(i["prefixlen"]))
	if p := str(i["address"]); p != "" {
		a.Peer = netip.PrefixFrom(netip.MustParseAddr(p), num(i["prefixlen"]))
		a.Prefix = netip.PrefixFrom(local, local.BitLen())
	}
	if b := str(i["broadcast"]); b != "" {
		a.Broadcast = netip.MustParseAddr(b)
	}
	flags := []string{}
	for _, b := range []string{
		"temporary", "secondary", "nodad", "optimistic", "dadfailed", "home", "deprecated", "tentative", "permanent", "dynamic",
		"mngtmpaddr", "noprefixroute", "autojoin", "stable-privacy",
	} {
		if yes(i[b]) || b == "permanent" && !yes(i["dynamic"]) {
			flags = append(flags, b)
		}
	}
	return fmt.Sprint(a.Prefix, a.Peer, a.Broadcast, str(i["scope"]), str(i["label"]), flags)
}

func TestSysctlsOfInterfaces(t *testing.T) {
	ns, _ := scene(t)
	for i, s := range settings4 {
		nettest.Run(t, ns.Handle, "sh", "-c", fmt.Sprintf("echo %d > /proc/sys/net/ipv4/conf/w1/%s", i%2, s.name))
		nettest.Run(t, ns.Handle, "sh", "-c", fmt.Sprintf("echo %d > /proc/sys/net/ipv4/conf/w0/%s", (i+1)%2, s.name))
	}
	nettest.Run(t, ns.Handle, "sh", "-c", "cd /proc/sys/net/ipv6/conf/w1; echo 1 >forwarding; echo 2 >accept_ra; echo 0 >accept_redirects; echo 1 >proxy_ndp; echo 2 >accept_dad; echo 1 >../w0/disable_ipv6")
	got := ns.read().Sysctls
	seen := 0
	err := ns.Do(func() error {
		for key, v := range got {
			b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(key, ".", "/"))
			if err != nil {
				return err
			}
			if want := strings.TrimSpace(string(b)); v != want {
				t.Errorf("%s = %s, the file has %s", key, v, want)
			}
			seen++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := 10 * (len(settings4) + len(settings6)); seen < want {
		t.Errorf("%d sysctls, want at least %d", seen, want)
	}
}

func TestQdiscs(t *testing.T) {
	ns, _ := scene(t)
	nettest.Run(t, ns.Handle, "tc", strings.Fields("qdisc add dev w1 root handle 1: tbf rate 1kbit burst 2000 latency 1ms")...)
	ns.ip("route add 10.3.0.9 dev w1\nneigh add 10.3.0.9 lladdr 02:00:00:00:00:09 dev w1")
	nettest.Run(t, ns.Handle, "bash", "-c", `for i in {1..30}; do printf '%1000s' x > /dev/udp/10.3.0.9/9; done`)
	if !ns.try("tc qdisc add dev w0 clsact") && !ns.try("tc qdisc add dev w0 ingress") {
		if os.Getenv(mustHaveKinds) == "1" {
			t.Error("no ingress qdisc in this kernel")
		}
		t.Log("no ingress qdisc in this kernel")
	}
	drops := 0
	agree(t, func() string {
		got := ns.read()
		var want []obj
		ns.json(&want, "tc -s -j qdisc show")
		if len(want) == 0 || len(want) != len(got.Qdiscs) {
			return fmt.Sprintf("%d qdiscs, tc has %d", len(got.Qdiscs), len(want))
		}
		names := map[int]string{}
		for _, l := range got.Links {
			names[l.Index] = l.Name
		}
		var lines, wantLines []string
		for _, q := range got.Qdiscs {
			lines = append(lines, fmt.Sprint(names[q.Ifindex], q.Kind, strings.TrimSuffix(q.Handle, "0"), q.Parent, q.Bytes, q.Packets, q.Drops, q.Overlimits, q.Requeues, q.Backlog, q.QLen))
		}
		drops = 0
		for _, w := range want {
			parent := str(w["parent"])
			if yes(w["root"]) {
				parent = "root"
			}
			if parent == "ffff:fff1" {
				parent = "ingress"
			}
			drops += num(w["drops"])
			wantLines = append(wantLines, fmt.Sprint(w["dev"], w["kind"], w["handle"], parent, num(w["bytes"]), num(w["packets"]), num(w["drops"]), num(w["overlimits"]), num(w["requeues"]), num(w["backlog"]), num(w["qlen"])))
		}
		slices.Sort(lines)
		slices.Sort(wantLines)
		return gocmp.Diff(wantLines, lines)
	})
	if drops == 0 {
		t.Error("the shaper dropped nothing: drops are not tested")
	}
}
