package rtnl

import (
	"net/netip"
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// Sizes and offsets of xfrm.h. Addresses are 16 bytes of which IPv4 uses the first four; ports and SPIs stand in network
// byte order, all else in the host's.
const (
	xfrmNewSA     = 0x10 // XFRM_MSG_*
	xfrmGetSA     = 0x12
	xfrmNewPolicy = 0x13
	xfrmGetPolicy = 0x15

	selectorLen = 56 // struct xfrm_selector
	userSALen   = 224
	userPolLen  = 168
	userTmplLen = 64
	algNameLen  = 64

	xfrmaAlgAuth      = 1
	xfrmaAlgCrypt     = 2
	xfrmaTmpl         = 5
	xfrmaAlgAEAD      = 18
	xfrmaAlgAuthTrunc = 20
	xfrmaMark         = 21
	xfrmaReplayESN    = 23
	xfrmaIfID         = 31
)

var xfrmModes = [...]string{"transport", "tunnel", "ro", "in_trigger", "beet", "iptfs"}

func xfrmMode(m uint8) string {
	if int(m) < len(xfrmModes) {
		return xfrmModes[m]
	}
	return strconv.Itoa(int(m))
}

func xfrmProto(p uint8) string {
	switch p {
	case 43:
		return "route2"
	case 50:
		return "esp"
	case 51:
		return "ah"
	case 60:
		return "hao"
	case 108:
		return "comp"
	}
	return strconv.Itoa(int(p))
}

// xfrmAddr reads xfrm_address_t.
func xfrmAddr(b []byte, family uint16) netip.Addr {
	if family == afInet {
		return nlwire.Addr(b[:4])
	}
	return nlwire.Addr(b[:16])
}

// selector is struct xfrm_selector as far as the model has it.
type selector struct {
	src, dst     netip.Prefix
	sport, dport uint16
	proto        uint8
}

// decodeSelector needs selectorLen bytes. A selector without family is of that of what it belongs to.
func decodeSelector(b []byte, family uint16) selector {
	if f := nlwire.U16(b[40:]); f != 0 {
		family = f
	}
	s := selector{
		dst:   prefix(xfrmAddr(b, family), b[42]),
		src:   prefix(xfrmAddr(b[16:], family), b[43]),
		proto: b[44],
	}
	if nlwire.BE16(b[34:]) != 0 {
		s.dport = nlwire.BE16(b[32:])
	}
	if nlwire.BE16(b[38:]) != 0 {
		s.sport = nlwire.BE16(b[36:])
	}
	return s
}

// decodeXfrmState decodes the body of an XFRM_MSG_NEWSA message (struct xfrm_usersa_info). Of an algorithm it reads the
// name and never the key.
func decodeXfrmState(b []byte, s *snapshot.XfrmState) bool {
	if len(b) < userSALen {
		return false
	}
	family := nlwire.U16(b[212:])
	sel := decodeSelector(b, family)
	*s = snapshot.XfrmState{
		Dst:             xfrmAddr(b[56:], family),
		SPI:             nlwire.BE32(b[72:]),
		Proto:           xfrmProto(b[76]),
		Src:             xfrmAddr(b[80:], family),
		Bytes:           nlwire.U64(b[160:]),
		Packets:         nlwire.U64(b[168:]),
		ReplayErrors:    nlwire.U32(b[196:]),
		IntegrityErrors: nlwire.U32(b[200:]),
		ReqID:           nlwire.U32(b[208:]),
		Mode:            xfrmMode(b[214]),
		Replay:          uint32(b[215]),
		SelSrc:          sel.src,
		SelDst:          sel.dst,
	}
	for a := nlwire.WalkAfter(b, userSALen); a.Next(); {
		switch a.Type {
		case xfrmaAlgAuth, xfrmaAlgAuthTrunc:
			s.Auth = algName(a.Val)
		case xfrmaAlgCrypt:
			s.Crypt = algName(a.Val)
		case xfrmaAlgAEAD:
			s.AEAD = algName(a.Val)
		case xfrmaMark:
			s.Mark, s.MarkMsk = mark(a.Val)
		case xfrmaReplayESN: // struct xfrm_replay_state_esn
			if len(a.Val) >= 24 {
				s.Replay = nlwire.U32(a.Val[20:])
			}
		case xfrmaIfID:
			s.IfID = nlwire.U32(a.Val)
		}
	}
	return true
}

// algName reads the name that begins struct xfrm_algo, xfrm_algo_auth and xfrm_algo_aead.
func algName(b []byte) string { return string(nlwire.CStr(b[:min(len(b), algNameLen)])) }

// mark reads struct xfrm_mark.
func mark(b []byte) (v, mask uint32) {
	if len(b) < 8 {
		return 0, 0
	}
	return nlwire.U32(b), nlwire.U32(b[4:])
}

// xfrmDirs are XFRM_POLICY_*. From 3 on they belong to a socket.
var xfrmDirs = [...]string{"in", "out", "fwd", "socket in", "socket out", "socket fwd"}

// decodeXfrmPolicy decodes the body of an XFRM_MSG_NEWPOLICY message (struct xfrm_userpolicy_info).
func decodeXfrmPolicy(b []byte, p *snapshot.XfrmPolicy) bool {
	if len(b) < userPolLen {
		return false
	}
	// The dir field is that of the request; a socket's policies are told by their index.
	index, dir := nlwire.U32(b[156:]), b[160]
	if d := uint8(index & 7); d >= 3 && int(d) < len(xfrmDirs) {
		dir = d
	}
	sel := decodeSelector(b, 0)
	*p = snapshot.XfrmPolicy{
		Src: sel.src, Dst: sel.dst, Proto: int(sel.proto), SPort: sel.sport, DPort: sel.dport,
		Priority: nlwire.U32(b[152:]),
		Index:    index,
		Dir:      strconv.Itoa(int(dir)),
		Action:   "allow",
		Tmpls:    []snapshot.XfrmTemplate{},
	}
	if int(dir) < len(xfrmDirs) {
		p.Dir = xfrmDirs[dir]
	}
	if b[161] != 0 {
		p.Action = "block"
	}
	for a := nlwire.WalkAfter(b, userPolLen); a.Next(); {
		switch a.Type {
		case xfrmaTmpl:
			for t := a.Val; len(t) >= userTmplLen; t = t[userTmplLen:] {
				p.Tmpls = append(p.Tmpls, decodeTemplate(t))
			}
		case xfrmaMark:
			p.Mark, p.MarkMask = mark(a.Val)
		case xfrmaIfID:
			p.IfID = nlwire.U32(a.Val)
		}
	}
	return true
}

// decodeTemplate decodes struct xfrm_user_tmpl.
func decodeTemplate(b []byte) snapshot.XfrmTemplate {
	family := nlwire.U16(b[24:])
	return snapshot.XfrmTemplate{
		Dst:   xfrmAddr(b, family),
		SPI:   nlwire.BE32(b[16:]),
		Proto: xfrmProto(b[20]),
		Src:   xfrmAddr(b[28:], family),
		ReqID: nlwire.U32(b[44:]),
		Mode:  xfrmMode(b[48]),
	}
}
