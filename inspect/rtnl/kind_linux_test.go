package rtnl

import (
	"encoding/binary"
	"net/netip"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Messages of the kinds that development kernels lack, built of the numbers that x/sys/unix generates from the kernel's
// headers, so that the decoders' own numbers are proven by another source.

type attr struct {
	typ int
	val any // []byte, string, uint8, uint16, uint32, be16, be32, netip.Addr, []attr, nil
}

type (
	be16 uint16
	be32 uint32
)

func appendAttrs(b []byte, attrs ...attr) []byte {
	for _, a := range attrs {
		typ := uint16(a.typ)
		switch v := a.val.(type) {
		case nil:
			b = nlwire.AppendAttr(b, typ, nil)
		case []byte:
			b = nlwire.AppendAttr(b, typ, v)
		case string:
			b = nlwire.AppendAttr(b, typ, append([]byte(v), 0))
		case uint8:
			b = nlwire.AppendAttr(b, typ, []byte{v})
		case uint16:
			b = nlwire.AppendAttr(b, typ, binary.NativeEndian.AppendUint16(nil, v))
		case uint32:
			b = nlwire.AppendU32(b, typ, v)
		case be16:
			b = nlwire.AppendAttr(b, typ, binary.BigEndian.AppendUint16(nil, uint16(v)))
		case be32:
			b = nlwire.AppendAttr(b, typ, binary.BigEndian.AppendUint32(nil, uint32(v)))
		case netip.Addr:
			b = nlwire.AppendAttr(b, typ, v.AsSlice())
		case []attr:
			b = nlwire.AppendNested(b, typ, func(b []byte) []byte { return appendAttrs(b, v...) })
		default:
			panic("no such attribute")
		}
	}
	return b
}

// linkMessage builds the body of an RTM_NEWLINK.
func linkMessage(hw uint16, index int, flags uint32, attrs ...attr) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint16(b[2:], hw)
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	return appendAttrs(b, attrs...)
}

func kindAttr(kind string, data ...attr) attr {
	return attr{unix.IFLA_LINKINFO, []attr{{unix.IFLA_INFO_KIND, kind}, {unix.IFLA_INFO_DATA, data}}}
}

var cmpAddrs = gocmp.Options{
	gocmp.Comparer(func(a, b netip.Addr) bool { return a == b }), gocmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func TestKinds(t *testing.T) {
	a := netip.MustParseAddr
	tests := []struct {
		info attr
		want snapshot.Link // what is set beside the kind
	}{
		{kindAttr("ipvlan", attr{unix.IFLA_IPVLAN_MODE, uint16(0)}, attr{unix.IFLA_IPVLAN_FLAGS, uint16(0)}), snapshot.Link{Ipvlan: &snapshot.Ipvlan{Mode: "l2", Flag: "bridge"}}},
		{kindAttr("ipvlan", attr{unix.IFLA_IPVLAN_MODE, uint16(1)}, attr{unix.IFLA_IPVLAN_FLAGS, uint16(1)}), snapshot.Link{Ipvlan: &snapshot.Ipvlan{Mode: "l3", Flag: "private"}}},
		{kindAttr("ipvtap", attr{unix.IFLA_IPVLAN_MODE, uint16(2)}, attr{unix.IFLA_IPVLAN_FLAGS, uint16(2)}), snapshot.Link{Ipvlan: &snapshot.Ipvlan{Mode: "l3s", Flag: "vepa"}}},
		{kindAttr("vlan", attr{unix.IFLA_VLAN_PROTOCOL, be16(0x88a8)}, attr{unix.IFLA_VLAN_ID, uint16(4094)}, attr{unix.IFLA_VLAN_FLAGS, []byte{0x13, 0, 0, 0, 0xff, 0xff, 0xff, 0xff}}),
			snapshot.Link{Vlan: &snapshot.Vlan{ID: 4094, Protocol: "802.1ad", Flags: []string{"reorder_hdr", "gvrp", "bridge_binding"}}}},
		{kindAttr("vlan", attr{unix.IFLA_VLAN_PROTOCOL, be16(0x8100)}, attr{unix.IFLA_VLAN_ID, uint16(100)}), snapshot.Link{Vlan: &snapshot.Vlan{ID: 100, Protocol: "802.1q", Flags: []string{}}}},
		{kindAttr("bond", attr{unix.IFLA_BOND_MODE, uint8(4)}, attr{unix.IFLA_BOND_ACTIVE_SLAVE, uint32(9)}), snapshot.Link{Bond: &snapshot.Bond{Mode: "802.3ad", Active: 9}}},
		{kindAttr("vrf", attr{unix.IFLA_VRF_TABLE, uint32(1001)}), snapshot.Link{Vrf: &snapshot.Vrf{Table: 1001}}},
		{kindAttr("netkit", attr{unix.IFLA_NETKIT_PRIMARY, uint8(1)}, attr{unix.IFLA_NETKIT_POLICY, uint32(0)}, attr{unix.IFLA_NETKIT_MODE, uint32(1)}), snapshot.Link{Veth: &snapshot.Veth{Mode: "l3", Primary: true}}},
		{kindAttr("netkit", attr{unix.IFLA_NETKIT_PRIMARY, uint8(0)}, attr{unix.IFLA_NETKIT_MODE, uint32(0)}), snapshot.Link{Veth: &snapshot.Veth{Mode: "l2"}}},
		{kindAttr("wireguard"), snapshot.Link{}},
		{kindAttr("dummy"), snapshot.Link{}},
		{kindAttr("something-new", attr{1, uint32(1)}), snapshot.Link{}},
		{kindAttr("gre", attr{nl.IFLA_GRE_LINK, uint32(3)}, attr{nl.IFLA_GRE_IFLAGS, be16(0x2000)}, attr{nl.IFLA_GRE_OFLAGS, be16(0x2000)}, attr{nl.IFLA_GRE_IKEY, be32(1)},
			attr{nl.IFLA_GRE_OKEY, be32(2)}, attr{nl.IFLA_GRE_LOCAL, a("192.0.2.1")}, attr{nl.IFLA_GRE_REMOTE, a("192.0.2.2")}, attr{nl.IFLA_GRE_TTL, uint8(64)}),
			snapshot.Link{Tunnel: &snapshot.Tunnel{Local: a("192.0.2.1"), Remote: a("192.0.2.2"), Link: 3, Key: 2, TTL: 64}}},
		{kindAttr("gretap", attr{nl.IFLA_GRE_IFLAGS, be16(0x2000)}, attr{nl.IFLA_GRE_IKEY, be32(7)}, attr{nl.IFLA_GRE_OKEY, be32(0)}, attr{nl.IFLA_GRE_LOCAL, a("0.0.0.0")}, attr{nl.IFLA_GRE_COLLECT_METADATA, nil}),
			snapshot.Link{Tunnel: &snapshot.Tunnel{Key: 7, External: true}}},
		{kindAttr("ip6gre", attr{nl.IFLA_GRE_OKEY, be32(7)}, attr{nl.IFLA_GRE_LOCAL, a("fd00::1")}, attr{nl.IFLA_GRE_REMOTE, a("fd00::2")}),
			snapshot.Link{Tunnel: &snapshot.Tunnel{Local: a("fd00::1"), Remote: a("fd00::2")}}},
		{kindAttr("ipip", attr{nl.IFLA_IPTUN_LINK, uint32(2)}, attr{nl.IFLA_IPTUN_LOCAL, a("192.0.2.1")}, attr{nl.IFLA_IPTUN_REMOTE, a("192.0.2.2")}, attr{nl.IFLA_IPTUN_TTL, uint8(9)}),
			snapshot.Link{Tunnel: &snapshot.Tunnel{Local: a("192.0.2.1"), Remote: a("192.0.2.2"), Link: 2, TTL: 9}}},
		{kindAttr("sit", attr{nl.IFLA_IPTUN_LOCAL, a("192.0.2.1")}, attr{nl.IFLA_IPTUN_REMOTE, a("0.0.0.0")}), snapshot.Link{Tunnel: &snapshot.Tunnel{Local: a("192.0.2.1")}}},
		{kindAttr("ip6tnl", attr{nl.IFLA_IPTUN_REMOTE, a("fd00::2")}, attr{nl.IFLA_IPTUN_COLLECT_METADATA, nil}), snapshot.Link{Tunnel: &snapshot.Tunnel{Remote: a("fd00::2"), External: true}}},
		{kindAttr("vti", attr{nl.IFLA_VTI_LINK, uint32(2)}, attr{nl.IFLA_VTI_IKEY, be32(5)}, attr{nl.IFLA_VTI_OKEY, be32(6)}, attr{nl.IFLA_VTI_LOCAL, a("192.0.2.1")}, attr{nl.IFLA_VTI_REMOTE, a("192.0.2.2")}),
			snapshot.Link{Tunnel: &snapshot.Tunnel{Local: a("192.0.2.1"), Remote: a("192.0.2.2"), Link: 2, Key: 6}}},
		{kindAttr("geneve", attr{unix.IFLA_GENEVE_ID, uint32(42)}, attr{unix.IFLA_GENEVE_REMOTE, a("192.0.2.2")}, attr{unix.IFLA_GENEVE_TTL, uint8(3)}, attr{unix.IFLA_GENEVE_PORT, be16(6081)}),
			snapshot.Link{Tunnel: &snapshot.Tunnel{Remote: a("192.0.2.2"), Key: 42, TTL: 3, Port: 6081}}},
		{kindAttr("geneve", attr{unix.IFLA_GENEVE_REMOTE6, a("fd00::2")}, attr{unix.IFLA_GENEVE_COLLECT_METADATA, nil}), snapshot.Link{Tunnel: &snapshot.Tunnel{Remote: a("fd00::2"), External: true}}},
		{kindAttr("xfrm", attr{unix.IFLA_XFRM_LINK, uint32(2)}, attr{unix.IFLA_XFRM_IF_ID, uint32(77)}), snapshot.Link{Tunnel: &snapshot.Tunnel{Link: 2, Key: 77}}},
		{kindAttr("bridge", attr{unix.IFLA_BR_VLAN_FILTERING, uint8(1)}, attr{unix.IFLA_BR_VLAN_PROTOCOL, be16(0x88a8)}, attr{unix.IFLA_BR_VLAN_DEFAULT_PVID, uint16(7)}, attr{unix.IFLA_BR_MULTI_BOOLOPT, []byte{1, 0, 0, 0, 1, 0, 0, 0}}),
			snapshot.Link{Bridge: &snapshot.Bridge{VlanFiltering: true, VlanProtocol: "802.1ad", VlanDefaultPVID: 7, NoLinkLocalLearn: true, Vlans: []snapshot.BridgeVlan{}}}},
		{kindAttr("vxlan", attr{unix.IFLA_VXLAN_ID, uint32(5)}, attr{unix.IFLA_VXLAN_GPE, nil}, attr{unix.IFLA_VXLAN_VNIFILTER, uint8(1)}, attr{unix.IFLA_VXLAN_DF, uint8(2)}),
			snapshot.Link{Vxlan: &snapshot.Vxlan{VNI: 5, GPE: true, VNIFilter: true, DF: "inherit"}}},
	}
	for _, tt := range tests {
		var got snapshot.Link
		if !decodeLink(linkMessage(unix.ARPHRD_ETHER, 3, 0, tt.info), &got) {
			t.Fatal("not decoded")
		}
		want := tt.want
		want.Index, want.Type, want.State, want.Kind = 3, "ether", "unknown", got.Kind
		want.Flags, want.Addrs = []string{}, []snapshot.Addr{}
		if got.Kind == "" {
			t.Error("no kind")
		}
		if d := gocmp.Diff(want, got, cmpAddrs); d != "" {
			t.Errorf("%s (-want +got):\n%s", got.Kind, d)
		}
	}
}

func TestLinkAttributes(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 1}
	b := linkMessage(unix.ARPHRD_ETHER, 9, unix.IFF_UP|unix.IFF_BROADCAST|unix.IFF_NOARP|unix.IFF_PROMISC|unix.IFF_ALLMULTI|unix.IFF_MASTER|unix.IFF_SLAVE|unix.IFF_DYNAMIC|unix.IFF_DORMANT,
		attr{unix.IFLA_IFNAME, "enp0s3"}, attr{unix.IFLA_ADDRESS, mac}, attr{unix.IFLA_PERM_ADDRESS, []byte{2, 0, 0, 0, 0, 2}},
		attr{unix.IFLA_OPERSTATE, uint8(3)}, attr{unix.IFLA_MASTER, uint32(4)}, attr{unix.IFLA_GROUP, uint32(5)}, attr{unix.IFLA_CARRIER_CHANGES, uint32(6)},
		attr{unix.IFLA_LINK, uint32(0)}, attr{unix.IFLA_LINK_NETNSID, uint32(0xffffffff)}, attr{unix.IFLA_PARENT_DEV_NAME, "0000:00:03.0"}, attr{unix.IFLA_PARENT_DEV_BUS_NAME, "pci"},
		attr{unix.IFLA_XDP, []attr{{unix.IFLA_XDP_ATTACHED, uint8(2)}, {unix.IFLA_XDP_PROG_ID, uint32(88)}}},
		attr{unix.IFLA_PROP_LIST, []attr{{unix.IFLA_ALT_IFNAME, "one"}, {unix.IFLA_ALT_IFNAME, "two"}}},
		attr{unix.IFLA_LINKINFO, []attr{{unix.IFLA_INFO_SLAVE_KIND, "bond"}}})
	minus := -1
	want := snapshot.Link{
		Index: 9, Name: "enp0s3", Type: "ether", MAC: "02:00:00:00:00:01", PermMAC: "02:00:00:00:00:02", State: "lowerlayerdown",
		Flags:  []string{"no-carrier", "broadcast", "noarp", "allmulti", "promisc", "master", "slave", "dynamic", "up", "dormant"},
		Master: 4, MasterKind: "bond", Group: 5, Stats: snapshot.LinkStats{CarrierChanges: 6}, Peer: &snapshot.Peer{NSID: &minus},
		ParentDev: "0000:00:03.0", ParentBus: "pci", XDP: "generic", XDPProg: 88, AltNames: []string{"one", "two"}, Addrs: []snapshot.Addr{},
	}
	var got snapshot.Link
	if !decodeLink(b, &got) {
		t.Fatal("not decoded")
	}
	if d := gocmp.Diff(want, got, cmpAddrs); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}

	// An IP tunnel's address is not a MAC, and one that is linked to nothing has no peer.
	b = linkMessage(unix.ARPHRD_TUNNEL, 2, unix.IFF_NOARP, attr{unix.IFLA_IFNAME, "tunl0"}, attr{unix.IFLA_ADDRESS, []byte{192, 0, 2, 1}}, attr{unix.IFLA_LINK, uint32(0)})
	if !decodeLink(b, &got) || got.MAC != "" || got.Peer != nil || got.Type != "ipip" {
		t.Errorf("tunnel: %+v", got)
	}
}

func TestBridgeVlans(t *testing.T) {
	b := linkMessage(unix.ARPHRD_ETHER, 5, 0, attr{unix.IFLA_MASTER, uint32(4)}, attr{unix.IFLA_AF_SPEC, []attr{
		{nl.IFLA_BRIDGE_VLAN_INFO, []byte{6, 0, 1, 0}},     // PVID, untagged: 1
		{nl.IFLA_BRIDGE_VLAN_INFO, []byte{8, 0, 10, 0}},    // begin 10
		{nl.IFLA_BRIDGE_VLAN_INFO, []byte{0x10, 0, 20, 0}}, // end 20
		{nl.IFLA_BRIDGE_VLAN_INFO, []byte{4, 0, 0xfe, 0xf}},
	}})
	b[0] = unix.AF_BRIDGE
	index, master, got, ok := decodeBridgeVlans(b)
	want := []snapshot.BridgeVlan{{From: 1, To: 1, PVID: true, Untagged: true}, {From: 10, To: 20}, {From: 4094, To: 4094, Untagged: true}}
	if d := gocmp.Diff(want, got); d != "" || index != 5 || master != 4 || !ok {
		t.Errorf("%d %d %v (-want +got):\n%s", index, master, ok, d)
	}
	var l snapshot.Link
	if decodeLink(b, &l) {
		t.Error("a bridge's own message was taken for a link's")
	}
}

// TestXfrmStates builds what a kernel without ESP does not take. Offsets come from the Go structs of x/sys where it has
// them, else from xfrm.h.
func TestXfrmStates(t *testing.T) {
	const secret = "SECRETSECRETSECRET"
	alg := func(name string, more int) []byte {
		return append(append(make([]byte, 0, 100), pad64(name)...), append(make([]byte, more), secret...)...)
	}
	b := make([]byte, 224)
	copy(b[56:], []byte{192, 0, 2, 2})             // id.daddr
	binary.BigEndian.PutUint32(b[72:], 0xdeadbeef) // id.spi
	b[76] = 50                                     // id.proto
	copy(b[80:], []byte{192, 0, 2, 1})             // saddr
	binary.NativeEndian.PutUint64(b[160:], 1000)   // curlft.bytes
	binary.NativeEndian.PutUint64(b[168:], 10)     // curlft.packets
	binary.NativeEndian.PutUint32(b[192:], 1)      // stats.replay_window
	binary.NativeEndian.PutUint32(b[196:], 2)      // stats.replay
	binary.NativeEndian.PutUint32(b[200:], 3)      // stats.integrity_failed
	binary.NativeEndian.PutUint32(b[208:], 13681891)
	binary.NativeEndian.PutUint16(b[212:], unix.AF_INET)
	b[214], b[215] = 1, 32
	b = appendAttrs(b, attr{18, alg("rfc4106(gcm(aes))", 8)}, attr{1, alg("hmac(sha256)", 4)}, attr{2, alg("cbc(aes)", 4)}, attr{21, []byte{1, 0, 0, 0, 0xff, 0, 0, 0}}, attr{31, uint32(9)})
	var got snapshot.XfrmState
	if !decodeXfrmState(b, &got) {
		t.Fatal("not decoded")
	}
	a, p := netip.MustParseAddr, netip.MustParsePrefix
	want := snapshot.XfrmState{
		Src: a("192.0.2.1"), Dst: a("192.0.2.2"), Proto: "esp", SPI: 0xdeadbeef, ReqID: 13681891, Mode: "tunnel", AEAD: "rfc4106(gcm(aes))",
		Auth: "hmac(sha256)", Crypt: "cbc(aes)", Mark: 1, MarkMsk: 255, IfID: 9, SelSrc: p("0.0.0.0/0"), SelDst: p("0.0.0.0/0"),
		Bytes: 1000, Packets: 10, Replay: 32, ReplayErrors: 2, IntegrityErrors: 3,
	}
	if d := gocmp.Diff(want, got, cmpAddrs); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func pad64(s string) []byte {
	b := make([]byte, 64)
	copy(b, s)
	return b
}
