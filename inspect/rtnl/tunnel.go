package rtnl

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

var vxlanDF = [...]string{"unset", "set", "inherit"}

// decodeVxlan decodes IFLA_VXLAN_* (if_link.h). Ports stand in network byte order.
func decodeVxlan(b []byte) *snapshot.Vxlan {
	v := &snapshot.Vxlan{}
	for a := nlwire.Walk(b); a.Next(); {
		on := nlwire.U8(a.Val) != 0
		switch a.Type {
		case 1: // IFLA_VXLAN_ID
			v.VNI = nlwire.U32(a.Val)
		case 2, 16: // IFLA_VXLAN_GROUP, _GROUP6
			v.Group = endpoint(a.Val)
		case 3: // IFLA_VXLAN_LINK
			v.Link = nlwire.I32(a.Val)
		case 4, 17: // IFLA_VXLAN_LOCAL, _LOCAL6
			v.Local = endpoint(a.Val)
		case 5: // IFLA_VXLAN_TTL
			v.TTL = int(nlwire.U8(a.Val))
		case 6: // IFLA_VXLAN_TOS
			v.TOS = int(nlwire.U8(a.Val))
		case 7: // IFLA_VXLAN_LEARNING
			v.Learning = on
		case 8: // IFLA_VXLAN_AGEING
			v.Ageing = int(nlwire.U32(a.Val))
		case 9: // IFLA_VXLAN_LIMIT
			v.Limit = int(nlwire.U32(a.Val))
		case 10: // IFLA_VXLAN_PORT_RANGE: struct ifla_vxlan_port_range
			if len(a.Val) >= 4 {
				v.SrcPortLow, v.SrcPortHigh = nlwire.BE16(a.Val), nlwire.BE16(a.Val[2:])
			}
		case 11: // IFLA_VXLAN_PROXY
			v.Proxy = on
		case 12: // IFLA_VXLAN_RSC
			v.RSC = on
		case 13: // IFLA_VXLAN_L2MISS
			v.L2Miss = on
		case 14: // IFLA_VXLAN_L3MISS
			v.L3Miss = on
		case 15: // IFLA_VXLAN_PORT
			v.Port = nlwire.BE16(a.Val)
		case 18: // IFLA_VXLAN_UDP_CSUM
			v.UDPCsum = on
		case 19: // IFLA_VXLAN_UDP_ZERO_CSUM6_TX
			v.UDP6ZeroCsumTx = on
		case 20: // IFLA_VXLAN_UDP_ZERO_CSUM6_RX
			v.UDP6ZeroCsumRx = on
		case 23: // IFLA_VXLAN_GBP, without payload
			v.GBP = true
		case 25: // IFLA_VXLAN_COLLECT_METADATA
			v.External = on
		case 27: // IFLA_VXLAN_GPE, without payload
			v.GPE = true
		case 29: // IFLA_VXLAN_DF
			if d := nlwire.U8(a.Val); int(d) < len(vxlanDF) {
				v.DF = vxlanDF[d]
			}
		case 30: // IFLA_VXLAN_VNIFILTER
			v.VNIFilter = on
		}
	}
	return v
}

// endpoint reads a tunnel's address; the unspecified one is none.
func endpoint(b []byte) netip.Addr {
	if a := nlwire.Addr(b); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

const greKey = 0x2000 // GRE_KEY (if_tunnel.h), in network byte order

// decodeGRE decodes IFLA_GRE_* (if_tunnel.h), alike for all kinds of GRE and ERSPAN. Key is that of what is sent, else
// that of what is received.
func decodeGRE(b []byte) *snapshot.Tunnel {
	t := &snapshot.Tunnel{}
	var iflags, oflags uint16
	var ikey, okey uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_GRE_LINK
			t.Link = nlwire.I32(a.Val)
		case 2: // IFLA_GRE_IFLAGS
			iflags = nlwire.BE16(a.Val)
		case 3: // IFLA_GRE_OFLAGS
			oflags = nlwire.BE16(a.Val)
		case 4: // IFLA_GRE_IKEY
			ikey = nlwire.BE32(a.Val)
		case 5: // IFLA_GRE_OKEY
			okey = nlwire.BE32(a.Val)
		case 6: // IFLA_GRE_LOCAL
			t.Local = endpoint(a.Val)
		case 7: // IFLA_GRE_REMOTE
			t.Remote = endpoint(a.Val)
		case 8: // IFLA_GRE_TTL
			t.TTL = int(nlwire.U8(a.Val))
		case 18: // IFLA_GRE_COLLECT_METADATA, without payload
			t.External = true
		}
	}
	switch {
	case oflags&greKey != 0:
		t.Key = okey
	case iflags&greKey != 0:
		t.Key = ikey
	}
	return t
}

// decodeIPTunnel decodes IFLA_IPTUN_* (if_tunnel.h).
func decodeIPTunnel(b []byte) *snapshot.Tunnel {
	t := &snapshot.Tunnel{}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_IPTUN_LINK
			t.Link = nlwire.I32(a.Val)
		case 2: // IFLA_IPTUN_LOCAL
			t.Local = endpoint(a.Val)
		case 3: // IFLA_IPTUN_REMOTE
			t.Remote = endpoint(a.Val)
		case 4: // IFLA_IPTUN_TTL
			t.TTL = int(nlwire.U8(a.Val))
		case 19: // IFLA_IPTUN_COLLECT_METADATA, without payload
			t.External = true
		}
	}
	return t
}

// decodeVTI decodes IFLA_VTI_* (if_tunnel.h).
func decodeVTI(b []byte) *snapshot.Tunnel {
	t := &snapshot.Tunnel{}
	var ikey uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_VTI_LINK
			t.Link = nlwire.I32(a.Val)
		case 2: // IFLA_VTI_IKEY
			ikey = nlwire.BE32(a.Val)
		case 3: // IFLA_VTI_OKEY
			t.Key = nlwire.BE32(a.Val)
		case 4: // IFLA_VTI_LOCAL
			t.Local = endpoint(a.Val)
		case 5: // IFLA_VTI_REMOTE
			t.Remote = endpoint(a.Val)
		}
	}
	if t.Key == 0 {
		t.Key = ikey
	}
	return t
}

// decodeGeneve decodes IFLA_GENEVE_* (if_link.h). The port stands in network byte order.
func decodeGeneve(b []byte) *snapshot.Tunnel {
	t := &snapshot.Tunnel{}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_GENEVE_ID
			t.Key = nlwire.U32(a.Val)
		case 2, 7: // IFLA_GENEVE_REMOTE, _REMOTE6
			t.Remote = endpoint(a.Val)
		case 3: // IFLA_GENEVE_TTL
			t.TTL = int(nlwire.U8(a.Val))
		case 5: // IFLA_GENEVE_PORT
			t.Port = nlwire.BE16(a.Val)
		case 6: // IFLA_GENEVE_COLLECT_METADATA, without payload
			t.External = true
		}
	}
	return t
}

// decodeXfrmLink decodes IFLA_XFRM_* (if_link.h). Key is the interface's if_id.
func decodeXfrmLink(b []byte) *snapshot.Tunnel {
	t := &snapshot.Tunnel{}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_XFRM_LINK
			t.Link = nlwire.I32(a.Val)
		case 2: // IFLA_XFRM_IF_ID
			t.Key = nlwire.U32(a.Val)
		case 3: // IFLA_XFRM_COLLECT_METADATA, without payload
			t.External = true
		}
	}
	return t
}
