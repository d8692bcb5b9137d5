package rtnl

import (
	"cmp"
	"encoding/binary"
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

// mustHaveKinds is the environment variable that is 1 where the kernel has everything: in the virtual machine. Elsewhere
// it may lack a kind even where nothing else may be missing.
const mustHaveKinds = "NSCOPE_MUST_HAVE_KINDS"

// needsKernel skips the test for lack of what in the kernel, or fails it where [mustHaveKinds] is set.
func needsKernel(tb testing.TB, ok bool, what string) {
	tb.Helper()
	switch {
	case ok:
	case os.Getenv(mustHaveKinds) == "1":
		tb.Fatalf("the kernel must have it here: %s", what)
	default:
		tb.Skipf("skip: needs %s in the kernel", what)
	}
}

// kindScene makes links of the kinds that only some kernels have, over p0, which has 192.0.2.1 and fd00::1, and p1.
var kindScene = []string{
	"link add k%d link p0 type vlan id 100",
	"link add k%d link p0 type vlan protocol 802.1ad id 4094 reorder_hdr off gvrp on mvrp on loose_binding on",
	"link add k%d link p0 netns FAR type vlan id 7",
	"link add k%d link p0 type ipvlan mode l2 bridge",
	"link add k%d link p0 netns FAR type ipvlan mode l2",
	"link add k%d link p1 type ipvlan mode l3s private",
	"link add k%d link q0 type ipvlan mode l3 vepa",
	"link add k%d link q1 type ipvtap mode l3 vepa",
	"link add k%d type bond mode 802.3ad",
	"link add k%d type bond mode active-backup",
	"link add k%d type vrf table 1001",
	"link add k%d type dummy",
	"link add k%d type wireguard",
	"link add k%d type gre local 192.0.2.1 remote 192.0.2.2 ikey 1 okey 2 ttl 64 dev p0",
	"link add k%d type gre remote 192.0.2.7 ikey 9",
	"link add k%d type gretap external",
	"link add k%d type gretap local 192.0.2.1 remote 192.0.2.3 key 7",
	"link add k%d type ip6gre local fd00::1 remote fd00::2 key 9",
	"link add k%d type ip6gretap local fd00::1 remote fd00::3",
	"link add k%d type erspan seq key 5 local 192.0.2.1 remote 192.0.2.4 erspan_ver 1 erspan 123",
	"link add k%d type ipip local 192.0.2.1 remote 192.0.2.2 ttl 9 dev p0",
	"link add k%d type sit local 192.0.2.1",
	"link add k%d type ip6tnl local fd00::1 remote fd00::2 mode any",
	"link add k%d type ip6tnl external",
	"link add k%d type vti local 192.0.2.1 remote 192.0.2.2 ikey 5 okey 6 dev p0",
	"link add k%d type vti6 local fd00::1 remote fd00::2 key 8",
	"link add k%d type geneve id 42 remote 192.0.2.2 ttl 3 dstport 6083",
	"link add k%d type geneve id 43 remote fd00::2",
	"link add k%d type geneve external dstport 6082",
	"link add k%d type xfrm dev p0 if_id 77",
	"link add k%d type vxlan external vnifilter dstport 4799",
	"link add k%d type bridge vlan_filtering 1 vlan_protocol 802.1ad vlan_default_pvid 7",
}

func TestKindsOfTheKernel(t *testing.T) {
	ns, far := newNS(t), newNS(t)
	ns.ip(`link add p0 type veth peer name p1
		link add q0 type veth peer name q1
		addr add 192.0.2.1/24 dev p0
		addr add fd00::1/64 dev p0 nodad
		link set p0 up
		link set p1 up`)
	lack := map[int]string{}
	for i, line := range kindScene {
		args := strings.Fields(fmt.Sprintf(strings.Replace(line, "FAR", far.path(), 1), i))
		if out, err := nettest.Try(ns.Handle, "ip", args...); err != nil {
			lack[i] = strings.TrimSpace(out)
		}
	}
	for i, line := range kindScene {
		_, kind, _ := strings.Cut(line, " type ")
		t.Run(fmt.Sprint(strings.Fields(kind)[0], " ", i), func(t *testing.T) {
			needsKernel(t, lack[i] == "", kind+" ("+lack[i]+")")
			in := ns
			if strings.Contains(line, "FAR") {
				in = far
			}
			name := fmt.Sprint("k", i)
			agree(t, func() string { return compareKind(in, name) })
		})
	}
	// Whoever has tunnels has their modules' own devices (tunl0, gre0, sit0 …) in every namespace.
	for _, l := range far.read().Links {
		t.Run("beside "+l.Name, func(t *testing.T) {
			agree(t, func() string { return compareKind(far, l.Name) })
		})
	}
}

// compareKind compares what only a link's kind has.
func compareKind(ns testNS, name string) string {
	var all []obj
	ns.json(&all, "ip -d -j link show")
	index := map[string]int{}
	for _, w := range all {
		index[str(w["ifname"])] = num(w["ifindex"])
	}
	i := slices.IndexFunc(all, func(o obj) bool { return str(o["ifname"]) == name })
	w := all[i]
	info, _ := w["linkinfo"].(obj)
	d, _ := info["info_data"].(obj)
	l := *link(ns.tb, ns.read(), name)

	want := snapshot.Link{Kind: str(info["info_kind"]), Type: str(w["link_type"])}
	if n := cmp.Or(num(w["link_index"]), index[str(w["link"])]); n != 0 {
		want.Peer = &snapshot.Peer{Index: n}
		if w["link_netnsid"] != nil {
			id := num(w["link_netnsid"])
			want.Peer.NSID = &id
		}
	}
	got := snapshot.Link{Kind: l.Kind, Type: l.Type, Peer: l.Peer, Ipvlan: l.Ipvlan, Vlan: l.Vlan, Bond: l.Bond, Vrf: l.Vrf, Tunnel: l.Tunnel}
	var diffs strings.Builder
	eq := func(what string, got, want any) {
		if fmt.Sprint(want) != fmt.Sprint(got) {
			fmt.Fprintf(&diffs, "%s: %s: -%v +%v\n", name, what, want, got)
		}
	}
	switch l.Kind {
	case "vlan":
		flags := lower(d["flags"])
		slices.Sort(flags)
		got.Vlan.Flags = slices.Sorted(slices.Values(got.Vlan.Flags))
		want.Vlan = &snapshot.Vlan{ID: uint16(num(d["id"])), Protocol: strings.ToLower(str(d["protocol"])), Flags: flags}
	case "ipvlan", "ipvtap":
		want.Ipvlan = &snapshot.Ipvlan{Mode: str(d["mode"]), Flag: "bridge"}
		for _, flag := range []string{"private", "vepa"} {
			if yes(d[flag]) {
				want.Ipvlan.Flag = flag
			}
		}
	case "bond":
		want.Bond = &snapshot.Bond{Mode: str(d["mode"]), Active: index[str(d["active_slave"])]}
	case "vrf":
		want.Vrf = &snapshot.Vrf{Table: uint32(num(d["table"]))}
	case "bridge":
		compareBridge(l, d, eq)
	case "vxlan":
		compareVxlan(l, d, index, eq)
		eq("vnifilter", l.Vxlan.VNIFilter, yes(d["vnifilter"]))
	case "gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan", "ipip", "sit", "ip6tnl", "vti", "vti6", "geneve", "xfrm":
		want.Tunnel = wantTunnel(d, index)
		if l.Kind == "xfrm" {
			want.Tunnel.Link = cmp.Or(num(w["link_index"]), index[str(w["link"])])
		}
	}
	return diffs.String() + gocmp.Diff(want, got, cmpAddrs)
}

// wantTunnel reads what ip prints of any kind of tunnel.
func wantTunnel(d obj, index map[string]int) *snapshot.Tunnel {
	end := func(keys ...string) netip.Addr {
		for _, key := range keys {
			if s := str(d[key]); s != "" && s != "any" {
				return netip.MustParseAddr(s)
			}
		}
		return netip.Addr{}
	}
	t := &snapshot.Tunnel{
		Local: end("local"), Remote: end("remote", "remote6"), Link: index[str(d["link"])], TTL: num(d["ttl"]), Port: uint16(num(d["port"])), External: yes(d["external"]),
	}
	t.Key = cmp.Or(dotted(str(d["okey"])), dotted(str(d["ikey"])), uint32(num(d["id"])))
	if id, err := strconv.ParseUint(str(d["if_id"]), 0, 32); err == nil {
		t.Key = uint32(id)
	}
	return t
}

// dotted reads a key, which ip prints like an address.
func dotted(s string) uint32 {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return 0
	}
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// TestVlanFiltering compares with `bridge vlan`.
func TestVlanFiltering(t *testing.T) {
	ns := newNS(t)
	if !ns.try("ip link add br0 type bridge vlan_filtering 1") {
		needsKernel(t, false, "bridge VLAN filtering")
	}
	ns.ip(`link add a0 type veth peer name a1
		link add b0 type veth peer name b1
		link set a0 master br0
		link set b0 master br0`)
	for line := range strings.Lines(`bridge vlan add dev a0 vid 10-20
bridge vlan add dev a0 vid 4094 untagged
bridge vlan del dev b0 vid 1
bridge vlan add dev b0 vid 30 pvid untagged
bridge vlan add dev b0 vid 31
bridge vlan add dev br0 vid 100-102 self
bridge fdb add 02:00:00:00:02:07 dev a0 master static vlan 10`) {
		if !ns.try(strings.TrimSpace(line)) {
			t.Fatalf("cannot: %s", line)
		}
	}
	agree(t, func() string {
		got := ns.read()
		var want []obj
		ns.json(&want, "bridge -j vlan show")
		if len(want) != 3 {
			return fmt.Sprintf("bridge shows %d links", len(want))
		}
		var lines, wantLines []string
		for _, w := range want {
			name := str(w["ifname"])
			vlans, _ := w["vlans"].([]any)
			for _, v := range vlans {
				v := v.(obj)
				flags := lower(v["flags"])
				last := max(num(v["vlan"]), num(v["vlanEnd"]))
				for id := num(v["vlan"]); id <= last; id++ {
					wantLines = append(wantLines, fmt.Sprint(name, " ", id, slices.Contains(flags, "pvid"), slices.Contains(flags, "egress untagged")))
				}
			}
			l := link(t, got, name)
			var has []snapshot.BridgeVlan
			if l.Bridge != nil {
				has = l.Bridge.Vlans
			} else {
				has = l.BridgePort.Vlans
			}
			for _, v := range has {
				for id := v.From; id <= v.To; id++ {
					lines = append(lines, fmt.Sprint(name, " ", id, v.PVID, v.Untagged))
				}
			}
		}
		vlan := 0
		for _, e := range got.FDB {
			if e.MAC == "02:00:00:00:02:07" {
				vlan = int(e.VLAN)
			}
		}
		return gocmp.Diff(wantLines, lines) + gocmp.Diff(10, vlan)
	})
}
