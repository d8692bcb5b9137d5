package rtnl

import (
	"net/netip"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Attributes of RTM_NEWADDR (if_addr.h).
const (
	ifaAddress       = 1
	ifaLocal         = 2
	ifaLabel         = 3
	ifaBroadcast     = 4
	ifaFlagsAttr     = 8
	ifaTargetNetnsid = 10

	ifAddrmsgLen = 8 // struct ifaddrmsg
)

const (
	ifaTemporary = 0x01 // IFA_F_SECONDARY, which is IFA_F_TEMPORARY for IPv6
	ifaPermanent = 0x80
	// dynamic is not a flag of the kernel's: ip says so of an address that is not permanent. The bit has no meaning there.
	dynamic = 1 << 31
)

var addrFlags = []bit{
	{0x01, "secondary"}, {0x02, "nodad"}, {0x04, "optimistic"}, {0x08, "dadfailed"}, {0x10, "home"}, {0x20, "deprecated"},
	{0x40, "tentative"}, {ifaPermanent, "permanent"}, {dynamic, "dynamic"}, {0x100, "mngtmpaddr"}, {0x200, "noprefixroute"},
	{0x400, "autojoin"}, {0x800, "stable-privacy"},
}

var addrFlags6 = append([]bit{{ifaTemporary, "temporary"}}, addrFlags[1:]...)

// decodeAddr decodes the body of an RTM_NEWADDR message and tells whose link it is. It is false for what is neither IPv4
// nor IPv6.
//
// An address with a peer is a host by itself: its own prefix is a /32 or /128, the length goes with the peer, as the
// routes do.
func decodeAddr(b []byte, ad *snapshot.Addr) (index int, ok bool) {
	if len(b) < ifAddrmsgLen || familyName(b[0]) == "" {
		return 0, false
	}
	bits, flags := b[1], uint32(b[2])
	*ad = snapshot.Addr{Scope: scopeName(b[3])}
	var address, local netip.Addr
	for a := nlwire.WalkAfter(b, ifAddrmsgLen); a.Next(); {
		switch a.Type {
		case ifaAddress:
			address = nlwire.Addr(a.Val)
		case ifaLocal:
			local = nlwire.Addr(a.Val)
		case ifaLabel:
			ad.Label = text(a.Val)
		case ifaBroadcast:
			ad.Broadcast = nlwire.Addr(a.Val)
		case ifaFlagsAttr:
			flags = nlwire.U32(a.Val)
		}
	}
	if !local.IsValid() {
		local = address
	}
	if address.IsValid() && address != local {
		ad.Prefix = prefix(local, uint8(local.BitLen()))
		ad.Peer = prefix(address, bits)
	} else {
		ad.Prefix = prefix(local, bits)
	}
	if flags&ifaPermanent == 0 {
		flags |= dynamic
	}
	if b[0] == afInet6 {
		ad.Flags = bitNames(flags, addrFlags6)
	} else {
		ad.Flags = bitNames(flags, addrFlags)
	}
	return int(nlwire.U32(b[4:])), ad.Prefix.IsValid()
}
