package netfilter

import (
	"encoding/json"
	"testing"

	"github.com/nscope/nscope/internal/nlwire"
)

func cat(parts ...[]byte) (b []byte) {
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// innerAttr is an expression inside of a tunnel.
func innerAttr(typ, flags uint32, name string, attrs ...[]byte) []byte {
	in := nlwire.AppendAttr(nil, nftaExprName, append([]byte(name), 0))
	in = nest(in, nftaExprData, cat(attrs...))
	return exprAttr("inner", attr32(1, 0), attr32(nftaInnerType, typ), attr32(nftaInnerFlags, flags), attr32(nftaInnerHdrsize, 8), nest(nil, nftaInnerExpr, in))
}

// TestNewerThanNft: what an nft of today's distributions cannot write yet, as kernels give it.
func TestNewerThanNft(t *testing.T) {
	meta := func(key, dreg uint32) []byte {
		return exprAttr("meta", attr32(nftaMetaKey, key), attr32(nftaMetaDreg, dreg))
	}
	ct := func(key, dreg uint32) []byte { return exprAttr("ct", attr32(nftaCtKey, key), attr32(nftaCtDreg, dreg)) }
	eq := func(data ...byte) []byte {
		return exprAttr("cmp", attr32(nftaCmpSreg, 1), attr32(nftaCmpOp, cmpEq), attrData(nftaCmpData, data))
	}
	payload := func(base, off, n uint32) []byte {
		return cat(attr32(nftaPayloadDreg, 1), attr32(nftaPayloadBase, base), attr32(nftaPayloadOffset, off), attr32(nftaPayloadLen, n))
	}
	for _, tt := range []struct {
		name string
		rule []byte
		want string
	}{
		{"two registers", cat(meta(3, 1), ct(3, 2),
			exprAttr("bitwise", attr32(nftaBitwiseSreg, 1), attr32(nftaBitwiseSreg2, 2), attr32(nftaBitwiseDreg, 1), attr32(nftaBitwiseLen, 4), attr32(nftaBitwiseOp, 4)),
			exprAttr("meta", attr32(nftaMetaKey, 3), attr32(nftaMetaSreg, 1))),
			`[{"assign":{"to":{"kind":"meta","key":"mark"},"from":{"kind":"or","parts":[{"kind":"meta","key":"mark"},{"kind":"ct","key":"mark"}]}},"parts":4}]`},
		{"queue by register", cat(exprAttr("numgen", attr32(nftaNgDreg, 1), attr32(nftaNgModulus, 4), attr32(nftaNgType, 0)),
			exprAttr("queue", nlwire.AppendAttr(nil, nftaQueueFlags, []byte{0, 1}), attr32(nftaQueueSregQnum, 1))),
			`[{"verdict":{"kind":"queue","queue_from":{"kind":"numgen","key":"inc","mod":4},"flags":["bypass"]},"parts":2}]`},
		{"vni", cat(innerAttr(1, 15, "payload", payload(baseTunnel, 4, 3)), eq(0, 0, 10)),
			`[{"matches":[{"left":{"kind":"inner","key":"vxlan vni"},"op":"==","values":[{"num":{"from":10,"to":10}}]}],"parts":2}]`},
		{"inside of vxlan", cat(innerAttr(1, 15, "meta", attr32(nftaMetaKey, metaProtocol), attr32(nftaMetaDreg, 1)), eq(8, 0),
			innerAttr(1, 15, "payload", payload(baseNetwork, 12, 4)), eq(10, 0, 0, 1)),
			`[{"matches":[{"left":{"kind":"inner","key":"vxlan meta protocol"},"op":"==","values":[{"num":{"from":2048,"to":2048}}]}],"parts":2},` +
				`{"matches":[{"left":{"kind":"inner","key":"vxlan ip saddr"},"op":"==","values":[{"prefix":"10.0.0.1/32"}]}],"parts":2}]`},
		{"raw inside of gre", cat(innerAttr(0, 12, "payload", payload(baseNetwork, 12, 4)), eq(10, 0, 0, 1)),
			`[{"matches":[{"left":{"kind":"inner","key":"gre","base":"network","offset":96,"len":32},"op":"==","values":[{"hex":"0a000001"}]}],"parts":2}]`},
		{"a connection's address of either family", cat(ct(9, 1), eq(10, 0, 0, 1)),
			`[{"matches":[{"left":{"kind":"ct","key":"daddr"},"op":"==","values":[{"prefix":"10.0.0.1/32"}]}],"parts":2}]`},
		{"an option that has no name", cat(exprAttr("exthdr", attr32(nftaExthdrDreg, 1), nlwire.AppendAttr(nil, nftaExthdrType, []byte{5}), attr32(nftaExthdrOffset, 0),
			attr32(nftaExthdrLen, 1), attr32(nftaExthdrFlags, 1), attr32(nftaExthdrOp, inDCCP)), eq(1)),
			`[{"matches":[{"left":{"kind":"dccp option","key":"5 exists"},"op":"==","values":[{"num":{"from":1,"to":1}}]}],"parts":2}]`},
	} {
		m := machine{family: famInet, fam: "inet", sets: map[string]*set{}}
		exprs, unknown := m.rule(tt.rule)
		got, err := json.Marshal(exprs)
		if err != nil || len(unknown) != 0 || string(got) != tt.want {
			t.Errorf("%s: %s %v %v\nwant %s", tt.name, got, unknown, err, tt.want)
		}
	}
	// What the kernel itself would refuse is kept as it is.
	m := machine{family: famInet, fam: "inet", sets: map[string]*set{}}
	if exprs, unknown := m.rule(innerAttr(7, 0, "payload", payload(baseTunnel, 4, 3))); len(exprs) != 1 || exprs[0].Unknown == nil || len(unknown) != 1 {
		t.Errorf("%+v %v", exprs, unknown)
	}
}
