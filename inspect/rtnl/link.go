package rtnl

import (
	"bytes"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Attributes of RTM_NEWLINK (if_link.h).
const (
	iflaAddress        = 1
	iflaIfname         = 3
	iflaMTU            = 4
	iflaLink           = 5
	iflaQdisc          = 6
	iflaMaster         = 10
	iflaTxQLen         = 13
	iflaOperstate      = 16
	iflaLinkinfo       = 18
	iflaIfalias        = 20
	iflaStats64        = 23
	iflaAFSpec         = 26
	iflaGroup          = 27
	iflaExtMask        = 29
	iflaPromiscuity    = 30
	iflaCarrierChanges = 35
	iflaLinkNetnsid    = 37
	iflaGSOMaxSize     = 41
	iflaXDP            = 43
	iflaTargetNetnsid  = 46
	iflaPropList       = 52
	iflaAltIfname      = 53
	iflaPermAddress    = 54
	iflaParentDevName  = 56
	iflaParentDevBus   = 57

	// Inside IFLA_LINKINFO.
	infoKind      = 1
	infoData      = 2
	infoSlaveKind = 4
	infoSlaveData = 5

	// Inside IFLA_XDP.
	xdpAttached = 2
	xdpProgID   = 4

	ifInfomsgLen = 16 // struct ifinfomsg
)

const (
	iffUp      = 1 << 0
	iffRunning = 1 << 6
)

// linkFlags are IFF_* (if.h) by ip's names, in its order.
var linkFlags = []bit{
	{1 << 3, "loopback"}, {1 << 1, "broadcast"}, {1 << 4, "pointopoint"}, {1 << 12, "multicast"}, {1 << 7, "noarp"},
	{1 << 9, "allmulti"}, {1 << 8, "promisc"}, {1 << 10, "master"}, {1 << 11, "slave"}, {1 << 2, "debug"},
	{1 << 15, "dynamic"}, {1 << 14, "automedia"}, {1 << 13, "portsel"}, {1 << 5, "notrailers"}, {1 << 0, "up"},
	{1 << 16, "lower_up"}, {1 << 17, "dormant"}, {1 << 18, "echo"},
}

// noCarrier is not a flag of the kernel's: ip says so of a link that is up and not running. The bit is one that the
// kernel has not given a meaning.
const noCarrier = 1 << 31

var linkFlagsDown = append([]bit{{noCarrier, "no-carrier"}}, linkFlags...)

// operstates are IF_OPER_* (if.h).
var operstates = [...]string{"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"}

// hwTypes are ARPHRD_* (if_arp.h) as ip prints them.
func hwType(t uint16) string {
	switch t {
	case 0:
		return "netrom"
	case 1:
		return "ether"
	case 6:
		return "ieee802"
	case 7:
		return "arcnet"
	case 19:
		return "atm"
	case 24:
		return "ieee1394"
	case 32:
		return "infiniband"
	case 256:
		return "slip"
	case 270:
		return "rose"
	case 280:
		return "can"
	case 512:
		return "ppp"
	case 513:
		return "hdlc"
	case 519:
		return "rawip"
	case 768:
		return "ipip"
	case 769:
		return "tunnel6"
	case 772:
		return "loopback"
	case 776:
		return "sit"
	case 778:
		return "gre"
	case 779:
		return "irda"
	case 801:
		return "ieee802.11"
	case 802:
		return "ieee802.11/prism"
	case 803:
		return "ieee802.11/radiotap"
	case 804:
		return "ieee802.15.4"
	case 820:
		return "phonet"
	case 823:
		return "gre6"
	case 824:
		return "netlink"
	case 825:
		return "6lowpan"
	case 0xfffe:
		return "none"
	case 0xffff:
		return "void"
	}
	return "[" + strconv.Itoa(int(t)) + "]"
}

// decodeLink decodes the body of an RTM_NEWLINK message (struct ifinfomsg and attributes). It is false for one of
// another family (a bridge's own dump) or that is too short.
//
// [snapshot.Link.Peer] is nil where the kernel names neither a link nor a namespace. An nsid of -1 tells that the peer is
// in another namespace for which this one has no id. The hardware address of an IP tunnel is its local IP address: it
// stands in Tunnel and not in MAC.
func decodeLink(b []byte, l *snapshot.Link) bool {
	if len(b) < ifInfomsgLen || b[0] != 0 {
		return false
	}
	flags := nlwire.U32(b[8:])
	*l = snapshot.Link{
		Index: nlwire.I32(b[4:]),
		Type:  hwType(nlwire.U16(b[2:])),
		State: operstates[0],
		Addrs: []snapshot.Addr{},
	}
	if flags&iffUp != 0 && flags&iffRunning == 0 {
		l.Flags = bitNames(flags&^noCarrier|noCarrier, linkFlagsDown)
	} else {
		l.Flags = bitNames(flags, linkFlags)
	}
	var hw, perm []byte
	peer, nsid, hasPeer, hasNSID := 0, 0, false, false
	for a := nlwire.WalkAfter(b, ifInfomsgLen); a.Next(); {
		switch a.Type {
		case iflaAddress:
			hw = a.Val
		case iflaIfname:
			l.Name = text(a.Val)
		case iflaMTU:
			l.MTU = int(nlwire.U32(a.Val))
		case iflaLink:
			peer, hasPeer = nlwire.I32(a.Val), true
		case iflaQdisc:
			l.Qdisc = text(a.Val)
		case iflaMaster:
			l.Master = nlwire.I32(a.Val)
		case iflaTxQLen:
			l.TxQLen = int(nlwire.U32(a.Val))
		case iflaOperstate:
			if s := nlwire.U8(a.Val); int(s) < len(operstates) {
				l.State = operstates[s]
			}
		case iflaLinkinfo:
			decodeLinkInfo(a.Val, l)
		case iflaIfalias:
			l.Alias = text(a.Val)
		case iflaStats64:
			decodeStats(a.Val, &l.Stats)
		case iflaGroup:
			l.Group = nlwire.U32(a.Val)
		case iflaPromiscuity:
			l.Promiscuity = nlwire.U32(a.Val)
		case iflaCarrierChanges:
			l.Stats.CarrierChanges = nlwire.U32(a.Val)
		case iflaLinkNetnsid:
			nsid, hasNSID = nlwire.I32(a.Val), true
		case iflaGSOMaxSize:
			l.GSOMaxSize = nlwire.U32(a.Val)
		case iflaXDP:
			decodeXDP(a.Val, l)
		case iflaPropList:
			for p := nlwire.Walk(a.Val); p.Next(); {
				if p.Type == iflaAltIfname {
					l.AltNames = append(l.AltNames, text(p.Val))
				}
			}
		case iflaPermAddress:
			perm = a.Val
		case iflaParentDevName:
			l.ParentDev = text(a.Val)
		case iflaParentDevBus:
			l.ParentBus = text(a.Val)
		}
	}
	if len(hw) != 4 && len(hw) != 16 {
		l.MAC = hwAddr(hw)
		if len(perm) > 0 && !bytes.Equal(perm, hw) {
			l.PermMAC = hwAddr(perm)
		}
	}
	if hasPeer && peer != 0 || hasNSID {
		l.Peer = &snapshot.Peer{Index: peer}
		if hasNSID {
			l.Peer.NSID = &nsid
		}
	}
	return true
}

// decodeStats decodes struct rtnl_link_stats64.
func decodeStats(b []byte, s *snapshot.LinkStats) {
	if len(b) < 9*8 {
		return
	}
	s.RxPackets, s.TxPackets = nlwire.U64(b), nlwire.U64(b[8:])
	s.RxBytes, s.TxBytes = nlwire.U64(b[16:]), nlwire.U64(b[24:])
	s.RxErrors, s.TxErrors = nlwire.U64(b[32:]), nlwire.U64(b[40:])
	s.RxDropped, s.TxDropped = nlwire.U64(b[48:]), nlwire.U64(b[56:])
	s.Multicast = nlwire.U64(b[64:])
}

// xdpModes are XDP_ATTACHED_* (if_link.h).
var xdpModes = [...]string{"", "driver", "generic", "offload", "multi"}

func decodeXDP(b []byte, l *snapshot.Link) {
	var byMode map[string]uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case xdpAttached:
			if m := nlwire.U8(a.Val); int(m) < len(xdpModes) {
				l.XDP = xdpModes[m]
			}
		case xdpProgID:
			l.XDPProg = nlwire.U32(a.Val)
		case xdpProgID + 1, xdpProgID + 2, xdpProgID + 3: // IFLA_XDP_DRV_PROG_ID, _SKB_PROG_ID, _HW_PROG_ID
			if byMode == nil {
				byMode = map[string]uint32{}
			}
			byMode[xdpModes[a.Type-xdpProgID]] = nlwire.U32(a.Val)
		}
	}
	if l.XDP == "multi" {
		l.XDPProgs = byMode
	}
}

// decodeLinkInfo decodes IFLA_LINKINFO. The kind comes before its data in what the kernel writes, but the walk does not
// count on it.
func decodeLinkInfo(b []byte, l *snapshot.Link) {
	var data, slave []byte
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case infoKind:
			l.Kind = text(a.Val)
		case infoData:
			data = a.Val
		case infoSlaveKind:
			l.MasterKind = text(a.Val)
		case infoSlaveData:
			slave = a.Val
		}
	}
	decodeKind(data, l)
	if l.MasterKind == "bridge" {
		l.BridgePort = decodeBridgePort(slave)
	}
}
