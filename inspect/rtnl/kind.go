package rtnl

import (
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// decodeKind decodes IFLA_INFO_DATA by the link's kind. A kind that is not known keeps its name and nothing else.
func decodeKind(b []byte, l *snapshot.Link) {
	switch l.Kind {
	case "veth":
		l.Veth = &snapshot.Veth{}
	case "netkit":
		l.Veth = decodeNetkit(b)
	case "bridge":
		l.Bridge = decodeBridge(b)
	case "vxlan":
		l.Vxlan = decodeVxlan(b)
	case "macvlan", "macvtap":
		l.Macvlan = decodeMacvlan(b)
	case "ipvlan", "ipvtap":
		l.Ipvlan = decodeIpvlan(b)
	case "vlan":
		l.Vlan = decodeVlan(b)
	case "tun":
		l.Tun = decodeTun(b)
	case "bond":
		l.Bond = decodeBond(b)
	case "vrf":
		l.Vrf = decodeVrf(b)
	case "gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan":
		l.Tunnel = decodeGRE(b)
	case "ipip", "sit", "ip6tnl":
		l.Tunnel = decodeIPTunnel(b)
	case "vti", "vti6":
		l.Tunnel = decodeVTI(b)
	case "geneve":
		l.Tunnel = decodeGeneve(b)
	case "xfrm":
		l.Tunnel = decodeXfrmLink(b)
	}
}

// decodeNetkit decodes IFLA_NETKIT_* (Linux 6.7).
func decodeNetkit(b []byte) *snapshot.Veth {
	v := &snapshot.Veth{Mode: "l2"}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 2: // IFLA_NETKIT_PRIMARY
			v.Primary = nlwire.U8(a.Val) != 0
		case 5: // IFLA_NETKIT_MODE
			if nlwire.U32(a.Val) == 1 {
				v.Mode = "l3"
			}
		}
	}
	return v
}

var macvlanModes = []bit{{1, "private"}, {2, "vepa"}, {4, "bridge"}, {8, "passthru"}, {16, "source"}}

// decodeMacvlan decodes IFLA_MACVLAN_*.
func decodeMacvlan(b []byte) *snapshot.Macvlan {
	m := &snapshot.Macvlan{Flags: []string{}}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_MACVLAN_MODE
			v := nlwire.U32(a.Val)
			for _, mode := range macvlanModes {
				if v == mode.mask {
					m.Mode = mode.name
				}
			}
		case 2: // IFLA_MACVLAN_FLAGS
			m.Flags = bitNames(uint32(nlwire.U16(a.Val)), []bit{{1, "nopromisc"}, {2, "nodst"}})
		}
	}
	return m
}

var ipvlanModes = [...]string{"l2", "l3", "l3s"}

// decodeIpvlan decodes IFLA_IPVLAN_*.
func decodeIpvlan(b []byte) *snapshot.Ipvlan {
	v := &snapshot.Ipvlan{Flag: "bridge"}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_IPVLAN_MODE
			if m := nlwire.U16(a.Val); int(m) < len(ipvlanModes) {
				v.Mode = ipvlanModes[m]
			}
		case 2: // IFLA_IPVLAN_FLAGS
			switch f := nlwire.U16(a.Val); {
			case f&1 != 0:
				v.Flag = "private"
			case f&2 != 0:
				v.Flag = "vepa"
			}
		}
	}
	return v
}

var vlanFlags = []bit{{1, "reorder_hdr"}, {2, "gvrp"}, {4, "loose_binding"}, {8, "mvrp"}, {16, "bridge_binding"}}

// decodeVlan decodes IFLA_VLAN_*.
func decodeVlan(b []byte) *snapshot.Vlan {
	v := &snapshot.Vlan{Protocol: "802.1q", Flags: []string{}}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_VLAN_ID
			v.ID = nlwire.U16(a.Val)
		case 2: // IFLA_VLAN_FLAGS: struct ifla_vlan_flags
			v.Flags = bitNames(nlwire.U32(a.Val), vlanFlags)
		case 5: // IFLA_VLAN_PROTOCOL
			v.Protocol = vlanProtocol(a.Val)
		}
	}
	return v
}

// vlanProtocol names an EtherType, which stands in network byte order.
func vlanProtocol(b []byte) string {
	if nlwire.BE16(b) == 0x88a8 {
		return "802.1ad"
	}
	return "802.1q"
}

// decodeTun decodes IFLA_TUN_*.
func decodeTun(b []byte) *snapshot.Tun {
	t := &snapshot.Tun{}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_TUN_OWNER
			v := nlwire.U32(a.Val)
			t.Owner = &v
		case 2: // IFLA_TUN_GROUP
			v := nlwire.U32(a.Val)
			t.Group = &v
		case 3: // IFLA_TUN_TYPE: IFF_TUN or IFF_TAP
			switch nlwire.U8(a.Val) {
			case 1:
				t.Mode = "tun"
			case 2:
				t.Mode = "tap"
			}
		case 4: // IFLA_TUN_PI
			t.PI = nlwire.U8(a.Val) != 0
		case 5: // IFLA_TUN_VNET_HDR
			t.VnetHdr = nlwire.U8(a.Val) != 0
		case 6: // IFLA_TUN_PERSIST
			t.Persist = nlwire.U8(a.Val) != 0
		case 7: // IFLA_TUN_MULTI_QUEUE
			t.MultiQueue = nlwire.U8(a.Val) != 0
		}
	}
	return t
}

var bondModes = [...]string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}

// decodeBond decodes IFLA_BOND_*.
func decodeBond(b []byte) *snapshot.Bond {
	v := &snapshot.Bond{}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_BOND_MODE
			if m := nlwire.U8(a.Val); int(m) < len(bondModes) {
				v.Mode = bondModes[m]
			}
		case 2: // IFLA_BOND_ACTIVE_SLAVE
			v.Active = nlwire.I32(a.Val)
		}
	}
	return v
}

// decodeVrf decodes IFLA_VRF_TABLE.
func decodeVrf(b []byte) *snapshot.Vrf {
	v := &snapshot.Vrf{}
	for a := nlwire.Walk(b); a.Next(); {
		if a.Type == 1 {
			v.Table = nlwire.U32(a.Val)
		}
	}
	return v
}
