package netfilter

import (
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// known is a key of an expression: its name, and what it gives.
type known struct {
	name string
	typ  vtype
	n    int // bytes
	host bool
}

// metaKeys are those of enum nft_meta_keys.
var metaKeys = [...]known{
	{"length", vNum, 4, true}, {"protocol", vNum, 2, false}, {"priority", vNum, 4, true}, {"mark", vNum, 4, true}, {"iif", vNum, 4, true},
	{"oif", vNum, 4, true}, {"iifname", vName, 16, true}, {"oifname", vName, 16, true}, {"iiftype", vNum, 2, true}, {"oiftype", vNum, 2, true},
	{"skuid", vNum, 4, true}, {"skgid", vNum, 4, true}, {"nftrace", vNum, 1, true}, {"rtclassid", vNum, 4, true}, {"secmark", vNum, 4, true},
	{"nfproto", vNum, 1, true}, {"l4proto", vNum, 1, true}, {"ibrname", vName, 16, true}, {"obrname", vName, 16, true}, {"pkttype", vNum, 1, true},
	{"cpu", vNum, 4, true}, {"iifgroup", vNum, 4, true}, {"oifgroup", vNum, 4, true}, {"cgroup", vNum, 4, true}, {"random", vNum, 4, false},
	{"secpath", vNum, 1, true}, {"iifkind", vName, 16, true}, {"oifkind", vName, 16, true}, {"ibrpvid", vNum, 2, true}, {"ibrvproto", vNum, 2, false},
	{"time", vNum, 8, true}, {"day", vNum, 1, true}, {"hour", vNum, 4, true}, {"sdif", vNum, 4, true}, {"sdifname", vName, 16, true},
	{"broute", vNum, 1, true}, {}, {"ibrhwaddr", vMAC, 6, false},
}

// Keys of meta that tell what a packet is.
const (
	metaProtocol = 1
	metaIiftype  = 8
	metaNfproto  = 15
	metaL4proto  = 16

	arphrdEther = 1
)

func (m *machine) meta(i int, b []byte) bool {
	var key, dreg, sreg uint32
	set := false
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaMetaKey:
			key = nlwire.BE32(a.Val)
		case nftaMetaDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaMetaSreg:
			sreg, set = nlwire.BE32(a.Val), true
		}
	}
	if int(key) >= len(metaKeys) || metaKeys[key].name == "" {
		return false
	}
	k := &metaKeys[key]
	to := snapshot.NfOperand{Kind: "meta", Key: k.name}
	if set {
		return m.assign(i, to, sreg, k.typ, k.host, k.n)
	}
	return m.store(dreg, value{op: to, typ: k.typ, host: k.host, n: k.n, meta: key, isMeta: true, src: oneExpr(i)})
}

// metaKnown notes what an equal meta key says of the packets, and that the match may be redundant later, or makes another
// one so.
func (m *machine) metaKnown(key uint32, v snapshot.NfValue) {
	if v.Num == nil {
		return
	}
	n := v.Num.From
	d := dependency{key: key, n: n}
	switch key {
	case metaIiftype:
		if n == arphrdEther {
			m.ctx.at[baseLink] = hdrEther
		}
		m.remember(1, d, 0)
	case metaNfproto:
		m.ctx.above(baseLink, byNFProto[n])
		m.remember(2, d, 0)
	case metaProtocol:
		m.ctx.above(baseLink, byEtherType[n])
		m.remember(2, d, 0)
	case metaL4proto:
		if m.deps[2].at >= 0 && m.l4Implies(&m.deps[2], n) {
			m.kill(2)
		}
		m.ctx.above(baseNetwork, byL4Proto[n])
		m.remember(3, d, 0)
	}
}

// l4Implies tells whether "meta l4proto n" says all that d does: of ICMP nft takes the protocol below for granted.
func (m *machine) l4Implies(d *dependency, n uint64) bool {
	var proto uint64
	switch {
	case d.p == nil && d.key == metaNfproto:
		proto = d.n
	case d.p == nil && d.key == metaProtocol, d.p != nil && d.p.base == baseLink:
		switch byEtherType[d.n] {
		case hdrIP:
			proto = famIP
		case hdrIP6:
			proto = famIP6
		}
	}
	switch m.family {
	case famIP, famIP6:
		return uint64(m.family) == proto
	case famInet, famBridge, famNetdev:
		return n == 1 && proto == famIP || n == 58 && proto == famIP6
	}
	return false
}

// ctKeys are those of enum nft_ct_keys. Addresses of either family are of the length that the packet's have.
var ctKeys = [...]known{
	{"state", vBits, 4, true}, {"direction", vNum, 1, true}, {"status", vBits, 4, true}, {"mark", vNum, 4, true}, {"secmark", vNum, 4, true},
	{"expiration", vNum, 4, true}, {"helper", vText, 16, true}, {"l3proto", vNum, 1, true}, {"saddr", vHex, 16, false}, {"daddr", vHex, 16, false},
	{"protocol", vNum, 1, true}, {"proto-src", vNum, 2, false}, {"proto-dst", vNum, 2, false}, {"label", vBits, 16, true}, {"packets", vNum, 8, true},
	{"bytes", vNum, 8, true}, {"avgpkt", vNum, 8, true}, {"zone", vNum, 2, true}, {"event", vBits, 4, true}, {"ip saddr", vIP4, 4, false},
	{"ip daddr", vIP4, 4, false}, {"ip6 saddr", vIP6, 16, false}, {"ip6 daddr", vIP6, 16, false}, {"id", vNum, 4, false},
}

var ctDirs = [...]string{"original", "reply"}

func (m *machine) ct(i int, b []byte) bool {
	var key, dreg, sreg uint32
	set := false
	op := snapshot.NfOperand{Kind: "ct"}
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaCtKey:
			key = nlwire.BE32(a.Val)
		case nftaCtDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaCtSreg:
			sreg, set = nlwire.BE32(a.Val), true
		case nftaCtDirection:
			d := nlwire.U8(a.Val)
			if int(d) >= len(ctDirs) {
				return false
			}
			op.Dir = ctDirs[d]
		}
	}
	if int(key) >= len(ctKeys) {
		return false
	}
	k := ctKeys[key]
	op.Key = k.name
	if set {
		return m.assign(i, op, sreg, k.typ, k.host, k.n)
	}
	if k.name == "saddr" || k.name == "daddr" {
		switch m.ctx.at[baseNetwork] {
		case hdrIP:
			k.typ, k.n = vIP4, 4
		case hdrIP6:
			k.typ, k.n = vIP6, 16
		}
	}
	return m.store(dreg, value{op: op, typ: k.typ, host: k.host, n: k.n, src: oneExpr(i)})
}

func (m *machine) payload(i int, b []byte) bool {
	var dreg, sreg, base, off, n uint32
	set := false
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaPayloadDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaPayloadSreg:
			sreg, set = nlwire.BE32(a.Val), true
		case nftaPayloadBase:
			base = nlwire.BE32(a.Val)
		case nftaPayloadOffset:
			off = nlwire.BE32(a.Val)
		case nftaPayloadLen:
			n = nlwire.BE32(a.Val)
		}
	}
	if int(base) >= len(baseNames) || n == 0 || n > 255 || off > 65535 {
		return false
	}
	v := value{payload: true, base: int(base), off: int(off) * 8, n: int(n), src: oneExpr(i)}
	if set {
		return m.mangle(i, &v, sreg)
	}
	return m.store(dreg, v)
}

// immediate decodes immediate: a constant for a register, or a verdict.
func (m *machine) immediate(i int, b []byte) bool {
	var dreg uint32
	var data []byte
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaImmediateDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaImmediateData:
			data = a.Val
		}
	}
	if dreg == regVerdict {
		v, ok := verdict(data)
		if ok {
			m.emit(i, snapshot.NfExpr{Verdict: &v}, exprSet{})
		}
		return ok
	}
	c := dataValue(data)
	return len(c) > 0 && m.store(dreg, value{data: c, n: len(c), src: oneExpr(i)})
}

// verdict decodes NFTA_DATA_VERDICT.
func verdict(b []byte) (v snapshot.NfVerdict, ok bool) {
	for a := nlwire.Walk(b); a.Next(); {
		if a.Type != nftaDataVerdict {
			continue
		}
		for in := nlwire.Walk(a.Val); in.Next(); {
			switch in.Type {
			case nftaVerdictCode:
				ok = setVerdict(&v, int32(nlwire.BE32(in.Val)))
			case nftaVerdictChain:
				v.Chain = string(nlwire.CStr(in.Val))
			}
		}
	}
	return v, ok
}

// setVerdict reads a verdict: below zero nf_tables' own, else netfilter's in the low byte.
func setVerdict(v *snapshot.NfVerdict, code int32) bool {
	switch code {
	case verdictContinue, verdictBreak:
		v.Kind = "continue"
	case verdictJump:
		v.Kind = "jump"
	case verdictGoto:
		v.Kind = "goto"
	case verdictReturn:
		v.Kind = "return"
	default:
		if code < 0 && code > -256 {
			return false
		}
		switch uint32(code) & 0xff {
		case verdictDrop:
			v.Kind = "drop"
			v.DropNo = int(uint32(code) >> 16)
		case verdictAccept:
			v.Kind = "accept"
		case verdictStolen:
			v.Kind = "stolen"
		case verdictQueue:
			n := uint64(uint32(code) >> 16)
			v.Kind, v.Queue = "queue", &snapshot.NfNum{From: n, To: n}
		default:
			return false
		}
	}
	return v.Kind != "continue" || code == verdictContinue
}
