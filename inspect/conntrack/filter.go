package conntrack

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Filter says which entries are asked for; the zero Filter is all. Each field that is set must hold.
type Filter struct {
	// Family is inet or inet6.
	Family string
	// Protocol is a name or a number, as in [snapshot.Conn].
	Protocol string
	// Addrs: an address of either end, before or after translation, is in one of these.
	Addrs []netip.Prefix
	// Ports: a port of either end, before or after translation, is one of these.
	Ports []uint16
	// State is that of the protocol, in any case.
	State string
	// Mark and Mask: the entry's mark under the mask is Mark. Mask 0 asks for none.
	Mark, Mask uint32
	Zone       *uint16
}

// Match tells whether an entry is asked for.
func (f *Filter) Match(c *snapshot.Conn) bool {
	ends := []netip.AddrPort{c.Orig.Src, c.Orig.Dst, c.Reply.Src, c.Reply.Dst}
	switch {
	case f.Family != "" && f.Family != c.Family,
		f.Protocol != "" && f.Protocol != c.Protocol && f.Protocol != strconv.Itoa(protocolNumber(c.Protocol)),
		f.State != "" && !strings.EqualFold(f.State, c.State),
		c.Mark&f.Mask != f.Mark&f.Mask,
		f.Zone != nil && *f.Zone != c.Zone:
		return false
	}
	return f.ends(ends)
}

// MatchIPVS tells whether a connection of IPVS is asked for. It has neither mark nor zone: one that is asked for by these is not.
func (f *Filter) MatchIPVS(c *snapshot.IPVSConn) bool {
	family := "inet"
	if c.Client.Addr().Is6() {
		family = "inet6"
	}
	switch {
	case f.Mask != 0, f.Zone != nil,
		f.Family != "" && f.Family != family,
		f.Protocol != "" && f.Protocol != c.Protocol && f.Protocol != strconv.Itoa(protocolNumber(c.Protocol)),
		f.State != "" && !strings.EqualFold(f.State, c.State):
		return false
	}
	return f.ends([]netip.AddrPort{c.Client, c.Virtual, c.Destination})
}

func (f *Filter) ends(ends []netip.AddrPort) bool {
	addr := func(e netip.AddrPort) bool {
		return slices.ContainsFunc(f.Addrs, func(p netip.Prefix) bool { return p.Contains(e.Addr()) })
	}
	port := func(e netip.AddrPort) bool { return e.Port() != 0 && slices.Contains(f.Ports, e.Port()) }
	return (len(f.Addrs) == 0 || slices.ContainsFunc(ends, addr)) && (len(f.Ports) == 0 || slices.ContainsFunc(ends, port))
}

// KnownProtocol tells whether a word is a protocol that an entry can have.
func KnownProtocol(s string) bool { return protocolNumber(s) >= 0 }

func protocolNumber(s string) int {
	for n, name := range protocols {
		if s == name {
			return int(n)
		}
	}
	if n, err := strconv.ParseUint(s, 10, 8); err == nil {
		return int(n)
	}
	return -1
}

// families are those to ask for, one by one: the kernel filters by protocol within one only. 0 is all.
func (f *Filter) families() []byte {
	switch proto := protocolNumber(f.Protocol); {
	case f.Family == "inet", f.Family == "" && proto == 1:
		return []byte{afInet}
	case f.Family == "inet6", f.Family == "" && proto == 58:
		return []byte{afInet6}
	case proto >= 0:
		return []byte{afInet, afInet6}
	}
	return []byte{0}
}

// request is the dump of one family, with what the kernel can filter by itself where push says so.
func (f *Filter) request(family byte, push bool) []byte {
	req := nlwire.NewRequest(msgGet, nlmDump, []byte{family, 0, 0, 0}) // struct nfgenmsg
	if !push {
		return req
	}
	be32 := func(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }
	if f.Mask != 0 {
		req = nlwire.AppendAttr(req, ctaMark, be32(f.Mark))
		req = nlwire.AppendAttr(req, ctaMarkMask, be32(f.Mask))
	}
	if f.Zone != nil {
		req = nlwire.AppendAttr(req, ctaZone, binary.BigEndian.AppendUint16(nil, *f.Zone))
	}
	if proto := protocolNumber(f.Protocol); proto >= 0 && family != 0 {
		req = nlwire.AppendNested(req, ctaTupleOrig, func(b []byte) []byte {
			return nlwire.AppendNested(b, ctaTupleProto, func(b []byte) []byte {
				return nlwire.AppendAttr(b, ctaProtoNum, []byte{byte(proto)})
			})
		})
		req = nlwire.AppendNested(req, ctaFilter, func(b []byte) []byte {
			b = nlwire.AppendU32(b, ctaFilterOrig, 1<<filterProtoNum)
			return nlwire.AppendU32(b, ctaFilterReply, 0)
		})
	}
	return req
}
