package rtnl

import (
	"encoding/hex"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// seconds makes seconds of USER_HZ ticks, of which Linux has 100 on every architecture that people run.
func seconds(ticks uint32) float64 { return float64(ticks) / 100 }

// bridgeID prints struct ifla_bridge_id as ip does: priority, dot, MAC.
func bridgeID(b []byte) string {
	if len(b) < 8 {
		return ""
	}
	return hex.EncodeToString(b[:2]) + "." + hwAddr(b[2:8])
}

// decodeBridge decodes IFLA_BR_* (if_link.h).
func decodeBridge(b []byte) *snapshot.Bridge {
	br := &snapshot.Bridge{VlanProtocol: "802.1q", Vlans: []snapshot.BridgeVlan{}}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case 1: // IFLA_BR_FORWARD_DELAY
			br.ForwardDelay = seconds(nlwire.U32(a.Val))
		case 2: // IFLA_BR_HELLO_TIME
			br.HelloTime = seconds(nlwire.U32(a.Val))
		case 3: // IFLA_BR_MAX_AGE
			br.MaxAge = seconds(nlwire.U32(a.Val))
		case 4: // IFLA_BR_AGEING_TIME
			br.AgeingTime = seconds(nlwire.U32(a.Val))
		case 5: // IFLA_BR_STP_STATE: 1 the kernel's own, 2 a daemon's
			br.STP = nlwire.U32(a.Val) != 0
		case 6: // IFLA_BR_PRIORITY
			br.Priority = nlwire.U16(a.Val)
		case 7: // IFLA_BR_VLAN_FILTERING
			br.VlanFiltering = nlwire.U8(a.Val) != 0
		case 8: // IFLA_BR_VLAN_PROTOCOL
			br.VlanProtocol = vlanProtocol(a.Val)
		case 9: // IFLA_BR_GROUP_FWD_MASK
			br.GroupFwdMask = nlwire.U16(a.Val)
		case 10: // IFLA_BR_ROOT_ID
			br.RootID = bridgeID(a.Val)
		case 11: // IFLA_BR_BRIDGE_ID
			br.BridgeID = bridgeID(a.Val)
		case 23: // IFLA_BR_MCAST_SNOOPING
			br.McastSnooping = nlwire.U8(a.Val) != 0
		case 25: // IFLA_BR_MCAST_QUERIER
			br.McastQuerier = nlwire.U8(a.Val) != 0
		case 36: // IFLA_BR_NF_CALL_IPTABLES
			br.NfCallIptables = nlwire.U8(a.Val) != 0
		case 37: // IFLA_BR_NF_CALL_IP6TABLES
			br.NfCallIp6tables = nlwire.U8(a.Val) != 0
		case 38: // IFLA_BR_NF_CALL_ARPTABLES
			br.NfCallArptables = nlwire.U8(a.Val) != 0
		case 39: // IFLA_BR_VLAN_DEFAULT_PVID
			br.VlanDefaultPVID = nlwire.U16(a.Val)
		case 46: // IFLA_BR_MULTI_BOOLOPT: struct br_boolopt_multi; bit 0 is BR_BOOLOPT_NO_LL_LEARN
			br.NoLinkLocalLearn = nlwire.U32(a.Val)&1 != 0
		}
	}
	return br
}

// portStates are BR_STATE_* (if_bridge.h).
var portStates = [...]string{"disabled", "listening", "learning", "forwarding", "blocking"}

// decodeBridgePort decodes IFLA_BRPORT_* (if_link.h), from IFLA_INFO_SLAVE_DATA.
func decodeBridgePort(b []byte) *snapshot.BridgePort {
	p := &snapshot.BridgePort{Vlans: []snapshot.BridgeVlan{}}
	for a := nlwire.Walk(b); a.Next(); {
		on := nlwire.U8(a.Val) != 0
		switch a.Type {
		case 1: // IFLA_BRPORT_STATE
			if s := nlwire.U8(a.Val); int(s) < len(portStates) {
				p.State = portStates[s]
			}
		case 2: // IFLA_BRPORT_PRIORITY
			p.Priority = nlwire.U16(a.Val)
		case 3: // IFLA_BRPORT_COST
			p.Cost = nlwire.U32(a.Val)
		case 4: // IFLA_BRPORT_MODE
			p.Hairpin = on
		case 5: // IFLA_BRPORT_GUARD
			p.Guard = on
		case 6: // IFLA_BRPORT_PROTECT
			p.RootBlock = on
		case 7: // IFLA_BRPORT_FAST_LEAVE
			p.FastLeave = on
		case 8: // IFLA_BRPORT_LEARNING
			p.Learning = on
		case 9: // IFLA_BRPORT_UNICAST_FLOOD
			p.Flood = on
		case 10: // IFLA_BRPORT_PROXYARP
			p.ProxyARP = on
		case 18: // IFLA_BRPORT_NO
			p.Number = nlwire.U16(a.Val)
		case 25: // IFLA_BRPORT_MULTICAST_ROUTER
			p.McastRouter = nlwire.U8(a.Val)
		case 27: // IFLA_BRPORT_MCAST_FLOOD
			p.McastFlood = on
		case 28: // IFLA_BRPORT_MCAST_TO_UCAST
			p.McastToUcast = on
		case 29: // IFLA_BRPORT_VLAN_TUNNEL
			p.VlanTunnel = on
		case 30: // IFLA_BRPORT_BCAST_FLOOD
			p.BcastFlood = on
		case 32: // IFLA_BRPORT_NEIGH_SUPPRESS
			p.NeighSuppress = on
		case 33: // IFLA_BRPORT_ISOLATED
			p.Isolated = on
		case 34: // IFLA_BRPORT_BACKUP_PORT
			p.BackupIfindex = nlwire.I32(a.Val)
		case 39: // IFLA_BRPORT_LOCKED
			p.Locked = on
		}
	}
	return p
}

// Inside IFLA_AF_SPEC of a message of family AF_BRIDGE (if_bridge.h).
const bridgeVlanInfo = 2

const rtextBrvlanCompressed = 4 // RTEXT_FILTER_BRVLAN_COMPRESSED (rtnetlink.h)

// Flags of struct bridge_vlan_info.
const (
	vlanInfoPVID       = 1 << 1
	vlanInfoUntagged   = 1 << 2
	vlanInfoRangeBegin = 1 << 3
	vlanInfoRangeEnd   = 1 << 4
)

// decodeBridgeVlans decodes an RTM_NEWLINK message of family AF_BRIDGE, asked for with RTEXT_FILTER_BRVLAN_COMPRESSED:
// the VLANs in which a bridge (master is 0 or itself) or a port is.
func decodeBridgeVlans(b []byte) (index, master int, vlans []snapshot.BridgeVlan, ok bool) {
	if len(b) < ifInfomsgLen || b[0] != afBridge {
		return 0, 0, nil, false
	}
	index = nlwire.I32(b[4:])
	vlans = []snapshot.BridgeVlan{}
	for a := nlwire.WalkAfter(b, ifInfomsgLen); a.Next(); {
		switch a.Type {
		case iflaMaster:
			master = nlwire.I32(a.Val)
		case iflaAFSpec:
			var from uint16
			for v := nlwire.Walk(a.Val); v.Next(); {
				if v.Type != bridgeVlanInfo || len(v.Val) < 4 {
					continue
				}
				flags, vid := nlwire.U16(v.Val), nlwire.U16(v.Val[2:])
				if flags&vlanInfoRangeBegin != 0 {
					from = vid
					continue
				}
				if flags&vlanInfoRangeEnd == 0 {
					from = vid
				}
				vlans = append(vlans, snapshot.BridgeVlan{
					From: from, To: vid, PVID: flags&vlanInfoPVID != 0, Untagged: flags&vlanInfoUntagged != 0,
				})
			}
		}
	}
	return index, master, vlans, true
}
