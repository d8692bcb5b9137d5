package netfilter

import (
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// baseTunnel is the tunnel's own header, in an expression that looks inside (NFT_PAYLOAD_TUN_HEADER).
const baseTunnel = 4

var vni = field{"vni", 32, 24, vNum, nil}

// tunnelFields are those of a tunnel's own header that nft names.
var tunnelFields = map[string][]field{
	"vxlan": {{"flags", 0, 8, vNum, nil}, vni}, "geneve": {{"type", 16, 16, vNum, nil}, vni},
	"gre": {{"flags", 0, 5, vNum, nil}, {"version", 13, 3, vNum, nil}, {"protocol", 16, 16, vNum, nil}}, "gretap": nil,
}

// tunnelName tells which tunnel an expression looks into: of GRE one with a link's header is GRETAP (NFT_INNER_LL).
func tunnelName(typ, flags uint32) string {
	switch {
	case typ == 1:
		return "vxlan"
	case typ == 2:
		return "geneve"
	case typ == 0 && flags&2 != 0:
		return "gretap"
	case typ == 0:
		return "gre"
	}
	return ""
}

// inner decodes inner: a payload or a meta key of the packet in a tunnel.
func (m *machine) inner(i int, b []byte) bool {
	var typ, flags uint32
	var e rawExpr
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaInnerType:
			typ = nlwire.BE32(a.Val)
		case nftaInnerFlags:
			flags = nlwire.BE32(a.Val)
		case nftaInnerExpr:
			e = splitExpr(a.Val)
		}
	}
	tunnel := tunnelName(typ, flags)
	if tunnel == "" {
		return false
	}
	if m.inside.tunnel != tunnel {
		m.inside.tunnel, m.inside.ctx = tunnel, newContext(0)
		if tunnel != "gre" {
			m.inside.ctx.at[baseLink] = hdrEther
		}
	}
	switch e.name {
	case "meta":
		return m.innerMeta(i, tunnel, e.data)
	case "payload":
		return m.innerPayload(i, tunnel, e.data)
	}
	return false
}

func (m *machine) innerMeta(i int, tunnel string, b []byte) bool {
	var key, dreg uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaMetaKey:
			key = nlwire.BE32(a.Val)
		case nftaMetaDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaMetaSreg:
			return false
		}
	}
	if key != metaProtocol && key != metaL4proto { // the kernel takes no other
		return false
	}
	k := &metaKeys[key]
	op := snapshot.NfOperand{Kind: "inner", Key: tunnel + " meta " + k.name}
	return m.store(dreg, value{op: op, typ: k.typ, host: k.host, n: k.n, src: oneExpr(i)})
}

func (m *machine) innerPayload(i int, tunnel string, b []byte) bool {
	var dreg, base, off, n uint32
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaPayloadDreg:
			dreg = nlwire.BE32(a.Val)
		case nftaPayloadSreg:
			return false
		case nftaPayloadBase:
			base = nlwire.BE32(a.Val)
		case nftaPayloadOffset:
			off = nlwire.BE32(a.Val)
		case nftaPayloadLen:
			n = nlwire.BE32(a.Val)
		}
	}
	if n == 0 || n > 255 || off > 65535 || base > baseTransport && base != baseTunnel {
		return false
	}
	v := value{op: snapshot.NfOperand{Kind: "inner", Key: tunnel}, typ: vHex, n: int(n), src: oneExpr(i)}
	var f *field
	if base == baseTunnel {
		f = fieldAt(&header{fields: tunnelFields[tunnel]}, int(off)*8, int(n)*8)
		if f != nil {
			v.op.Key += " " + f.name
		}
	} else {
		p, at := m.inside.ctx.header(int(base), int(off)*8)
		if f = m.inside.ctx.find(p, at, int(n)*8); f != nil {
			v.op.Key += " " + fieldKey(f)
		}
	}
	if f != nil {
		v.typ = f.typ
	} else {
		v.op.Base, v.op.Offset, v.op.Len = "tunnel", int(off)*8, int(n)*8
		if base != baseTunnel {
			v.op.Base = baseNames[base]
		}
	}
	return m.store(dreg, v)
}

// innerKnown notes what an equal operand says of the packet in the tunnel.
func (m *machine) innerKnown(op *snapshot.NfOperand, v snapshot.NfValue) {
	if op.Kind != "inner" || v.Num == nil || v.Num.From != v.Num.To {
		return
	}
	c := &m.inside.ctx
	switch op.Key[len(m.inside.tunnel):] {
	case " meta protocol", " ether type", " vlan type":
		c.above(baseLink, byEtherType[v.Num.From])
	case " meta l4proto", " ip protocol", " ip6 nexthdr":
		c.above(baseNetwork, byL4Proto[v.Num.From])
	}
}
