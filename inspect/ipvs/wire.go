package ipvs

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Numbers of include/uapi/linux/ip_vs.h and genetlink.h.
const (
	genlHeaderLen  = 4 // struct genlmsghdr
	genlVersion    = 1
	genlCtrl       = 0x10 // GENL_ID_CTRL
	ctrlGetFamily  = 3
	ctrlFamilyID   = 1
	ctrlFamilyName = 2

	cmdGetService, cmdGetDest, cmdGetConfig, cmdGetInfo = 4, 8, 13, 15

	attrService, attrDest                       = 1, 2 // IPVS_CMD_ATTR_*
	attrTimeoutTCP, attrTimeoutFin, attrTimeUDP = 4, 5, 6
	infoVersion, infoSize                       = 1, 2 // IPVS_INFO_ATTR_*

	afInet, afInet6 = 2, 10

	fwdMask = 7 // IP_VS_CONN_F_FWD_MASK
)

// IPVS_SVC_ATTR_*
const (
	svcAF = iota + 1
	svcProtocol
	svcAddr
	svcPort
	svcFWMark
	svcSched
	svcFlags
	svcTimeout
	svcNetmask
	svcStats
	svcPE
	svcStats64
)

// IPVS_DEST_ATTR_*
const (
	dstAddr = iota + 1
	dstPort
	dstMethod
	dstWeight
	dstUpper
	dstLower
	dstActive
	dstInactive
	dstPersist
	dstStats
	dstAF
	dstStats64
	dstTunType
	dstTunPort
	dstTunFlags
)

var (
	protocols = map[uint16]string{6: "tcp", 17: "udp", 132: "sctp"}
	families  = map[uint16]string{afInet: "inet", afInet6: "inet6"}
	methods   = map[uint32]string{0: "masq", 1: "local", 2: "tunnel", 3: "route", 4: "bypass"}
	tunTypes  = map[uint8]string{0: "ipip", 1: "gue", 2: "gre"}
	// svcFlagNames are IP_VS_SVC_F_*, by bit.
	svcFlagNames = []string{"persistent", "hashed", "ops", "sched-1", "sched-2", "sched-3"}
	// tunFlagNames are IP_VS_TUNNEL_ENCAP_FLAG_*, by bit.
	tunFlagNames = []string{"csum", "remcsum"}
)

// named is a number's name, or the number.
func named[K uint8 | uint16 | uint32](names map[K]string, n K) string {
	if s, ok := names[n]; ok {
		return s
	}
	return strconv.FormatUint(uint64(n), 10)
}

// flagNames names the bits of v; one without a name is its value in hexadecimal.
func flagNames(names []string, v uint32) []string {
	out := []string{}
	for i := range 32 {
		switch bit := uint32(1) << i; {
		case v&bit == 0:
		case i < len(names):
			out = append(out, names[i])
		default:
			out = append(out, fmt.Sprintf("%#x", bit))
		}
	}
	return out
}

// request is a command of the family with this id.
func request(family uint16, cmd uint8, flags uint16) []byte {
	return nlwire.NewRequest(family, flags, []byte{cmd, genlVersion, 0, 0})
}

// addr reads a union nf_inet_addr: 16 bytes, of which IPv4 has the first four.
func addr(b []byte, family uint16) netip.Addr {
	n := 4
	if family == afInet6 {
		n = 16
	}
	if len(b) < n {
		return netip.Addr{}
	}
	return nlwire.Addr(b[:n])
}

// service is one decoded, with what asks for its destinations.
type service struct {
	snapshot.IPVSService
	af    uint16
	proto uint16
}

// decodeService reads an answer to IPVS_CMD_GET_SERVICE: a struct genlmsghdr and attributes.
func decodeService(b []byte, s *service) bool {
	*s = service{}
	for a := nlwire.WalkAfter(b, genlHeaderLen); a.Next(); {
		if a.Type == attrService {
			s.decode(a.Val)
		}
	}
	return families[s.af] != ""
}

func (s *service) decode(b []byte) {
	var rawAddr, rawMask []byte
	wide := false
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case svcAF:
			s.af = nlwire.U16(a.Val)
		case svcProtocol:
			s.proto = nlwire.U16(a.Val)
		case svcAddr:
			rawAddr = a.Val
		case svcPort:
			s.Port = nlwire.BE16(a.Val)
		case svcFWMark:
			s.FWMark = nlwire.U32(a.Val)
		case svcSched:
			s.Scheduler = string(nlwire.CStr(a.Val))
		case svcFlags: // struct ip_vs_flags: flags and mask
			s.Flags = flagNames(svcFlagNames, nlwire.U32(a.Val))
		case svcTimeout:
			s.Timeout = nlwire.U32(a.Val)
		case svcNetmask:
			rawMask = a.Val
		case svcPE:
			s.PEName = string(nlwire.CStr(a.Val))
		case svcStats64:
			decodeStats(a.Val, &s.Stats)
			wide = true
		case svcStats:
			if !wide {
				decodeStats(a.Val, &s.Stats)
			}
		}
	}
	s.Family = families[s.af]
	s.Netmask = netmask(rawMask, s.af)
	if s.FWMark != 0 {
		s.Port = 0
		return
	}
	s.Protocol, s.Addr = named(protocols, s.proto), addr(rawAddr, s.af)
}

// netmask is how much of a client's address counts for persistence: a mask of IPv4, a length of IPv6; empty for all.
func netmask(b []byte, af uint16) string {
	switch {
	case len(b) < 4:
		return ""
	case af == afInet6:
		if n := nlwire.U32(b); n != 128 {
			return strconv.FormatUint(uint64(n), 10)
		}
		return ""
	}
	if m := nlwire.Addr(b[:4]); nlwire.BE32(b) != 0xffffffff {
		return m.String()
	}
	return ""
}

// key identifies the service in a request.
func (s *service) key(req []byte) []byte {
	return nlwire.AppendNested(req, attrService, func(b []byte) []byte {
		b = nlwire.AppendAttr(b, svcAF, binary.NativeEndian.AppendUint16(nil, s.af))
		if s.FWMark != 0 {
			return nlwire.AppendU32(b, svcFWMark, s.FWMark)
		}
		var raw [16]byte
		copy(raw[:], s.Addr.AsSlice())
		b = nlwire.AppendAttr(b, svcProtocol, binary.NativeEndian.AppendUint16(nil, s.proto))
		b = nlwire.AppendAttr(b, svcAddr, raw[:])
		return nlwire.AppendAttr(b, svcPort, binary.BigEndian.AppendUint16(nil, s.Port))
	})
}

// decodeDest reads an answer to IPVS_CMD_GET_DEST of a service of this family. Before Linux 3.18 a destination has no family
// of its own.
func decodeDest(b []byte, family uint16, d *snapshot.IPVSDestination) (ok bool) {
	*d = snapshot.IPVSDestination{}
	for a := nlwire.WalkAfter(b, genlHeaderLen); a.Next(); {
		if a.Type == attrDest {
			ok = decodeDestAttrs(a.Val, family, d)
		}
	}
	return ok
}

func decodeDestAttrs(b []byte, family uint16, d *snapshot.IPVSDestination) bool {
	var rawAddr []byte
	var tunType uint8
	var tunPort, tunFlags uint16
	wide := false
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case dstAddr:
			rawAddr = a.Val
		case dstPort:
			d.Port = nlwire.BE16(a.Val)
		case dstMethod:
			d.Method = named(methods, nlwire.U32(a.Val)&fwdMask)
		case dstWeight:
			d.Weight = int32(nlwire.U32(a.Val))
		case dstUpper:
			d.UpperThreshold = nlwire.U32(a.Val)
		case dstLower:
			d.LowerThreshold = nlwire.U32(a.Val)
		case dstActive:
			d.Active = nlwire.U32(a.Val)
		case dstInactive:
			d.Inactive = nlwire.U32(a.Val)
		case dstPersist:
			d.Persistent = nlwire.U32(a.Val)
		case dstAF:
			family = nlwire.U16(a.Val)
		case dstTunType:
			tunType = nlwire.U8(a.Val)
		case dstTunPort:
			tunPort = nlwire.BE16(a.Val)
		case dstTunFlags:
			tunFlags = nlwire.U16(a.Val)
		case dstStats64:
			decodeStats(a.Val, &d.Stats)
			wide = true
		case dstStats:
			if !wide {
				decodeStats(a.Val, &d.Stats)
			}
		}
	}
	if d.Method == methods[2] {
		// An IPIP tunnel has neither port nor checksum.
		d.TunnelType, d.TunnelPort = named(tunTypes, tunType), tunPort
		d.TunnelFlags = flagNames(tunFlagNames, uint32(tunFlags))
	}
	d.Addr = addr(rawAddr, family)
	return d.Addr.IsValid()
}

// decodeStats reads IPVS_STATS_ATTR_*, of 64 bits each or, in the older attribute, of 32 and 64.
func decodeStats(b []byte, s *snapshot.IPVSStats) {
	to := [...]*uint64{&s.Conns, &s.InPackets, &s.OutPackets, &s.InBytes, &s.OutBytes, &s.CPS, &s.InPPS, &s.OutPPS, &s.InBPS, &s.OutBPS}
	for a := nlwire.Walk(b); a.Next(); {
		if a.Type == 0 || int(a.Type) > len(to) {
			continue
		}
		v := uint64(nlwire.U32(a.Val))
		if len(a.Val) >= 8 {
			v = nlwire.U64(a.Val)
		}
		*to[a.Type-1] = v
	}
}

// decodeConfig reads an answer to IPVS_CMD_GET_CONFIG.
func decodeConfig(b []byte) map[string]uint32 {
	names := map[uint16]string{attrTimeoutTCP: "tcp", attrTimeoutFin: "tcpfin", attrTimeUDP: "udp"}
	out := map[string]uint32{}
	for a := nlwire.WalkAfter(b, genlHeaderLen); a.Next(); {
		if n := names[a.Type]; n != "" {
			out[n] = nlwire.U32(a.Val)
		}
	}
	return out
}

// decodeInfo reads an answer to IPVS_CMD_GET_INFO.
func decodeInfo(b []byte) (version string, size uint32) {
	for a := nlwire.WalkAfter(b, genlHeaderLen); a.Next(); {
		switch v := nlwire.U32(a.Val); a.Type {
		case infoVersion:
			version = fmt.Sprintf("%d.%d.%d", v>>16&0xff, v>>8&0xff, v&0xff)
		case infoSize:
			size = v
		}
	}
	return version, size
}
