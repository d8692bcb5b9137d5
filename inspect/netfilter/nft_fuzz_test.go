package netfilter

import (
	"encoding/binary"
	"testing"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// The messages of the seeds: attributes are in network byte order.

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func nest(b []byte, typ uint16, in []byte) []byte {
	return nlwire.AppendNested(b, typ, func(b []byte) []byte { return append(b, in...) })
}

func exprAttr(name string, attrs ...[]byte) []byte {
	var data []byte
	for _, a := range attrs {
		data = append(data, a...)
	}
	e := nlwire.AppendAttr(nil, nftaExprName, append([]byte(name), 0))
	return nest(nil, nftaListElem, nest(e, nftaExprData, data))
}

func attr32(typ uint16, n uint32) []byte { return nlwire.AppendAttr(nil, typ, be32(n)) }

func attrData(typ uint16, b []byte) []byte {
	return nest(nil, typ, nlwire.AppendAttr(nil, nftaDataValue, b))
}

// dportRule is "tcp dport 80 accept" of an inet table, as the kernel gives it.
func dportRule() []byte {
	var b []byte
	b = append(b, exprAttr("meta", attr32(nftaMetaKey, metaL4proto), attr32(nftaMetaDreg, 1))...)
	b = append(b, exprAttr("cmp", attr32(nftaCmpSreg, 1), attr32(nftaCmpOp, cmpEq), attrData(nftaCmpData, []byte{6}))...)
	b = append(b, exprAttr("payload", attr32(nftaPayloadDreg, 1), attr32(nftaPayloadBase, baseTransport), attr32(nftaPayloadOffset, 2), attr32(nftaPayloadLen, 2))...)
	b = append(b, exprAttr("cmp", attr32(nftaCmpSreg, 1), attr32(nftaCmpOp, cmpEq), attrData(nftaCmpData, []byte{0, 80}))...)
	code := nest(nil, nftaDataVerdict, attr32(nftaVerdictCode, verdictAccept))
	return append(b, exprAttr("immediate", attr32(nftaImmediateDreg, 0), nest(nil, nftaImmediateData, code))...)
}

func TestRuleByHand(t *testing.T) {
	m := machine{family: famInet, fam: "inet", sets: map[string]*set{}}
	exprs, unknown := m.rule(dportRule())
	if len(exprs) != 2 || unknown != nil || exprs[0].Parts != 4 || len(exprs[0].Matches) != 1 || exprs[0].Matches[0].Left.Key != "tcp dport" ||
		exprs[1].Verdict == nil || exprs[1].Verdict.Kind != "accept" {
		t.Errorf("%+v %v", exprs, unknown)
	}
	// An expression that nobody knows: it is kept with its bytes, and what comes after it is not taken for what it was.
	odd := append(exprAttr("frobnicate", attr32(1, 7)), dportRule()...)
	if exprs, unknown = m.rule(odd); len(exprs) != 3 || len(unknown) != 1 || unknown[0] != "expr frobnicate" || exprs[0].Unknown == nil || exprs[0].Unknown.Data == "" {
		t.Errorf("%+v %v", exprs, unknown)
	}
	// It may have written the register that is compared next.
	var between []byte
	between = append(between, exprAttr("meta", attr32(nftaMetaKey, metaL4proto), attr32(nftaMetaDreg, 1))...)
	between = append(between, exprAttr("frobnicate")...)
	between = append(between, exprAttr("cmp", attr32(nftaCmpSreg, 1), attr32(nftaCmpOp, cmpEq), attrData(nftaCmpData, []byte{6}))...)
	if exprs, unknown = m.rule(between); len(unknown) != 3 || len(exprs) != 3 {
		t.Errorf("%+v %v", exprs, unknown)
	}
}

func FuzzRule(f *testing.F) {
	f.Add(uint8(famInet), dportRule())
	f.Add(uint8(famIP), append(exprAttr("match", nlwire.AppendAttr(nil, nftaXtName, []byte("comment\x00")), attr32(nftaXtRev, 0)), exprAttr("counter")...))
	f.Add(uint8(famBridge), exprAttr("lookup", nlwire.AppendAttr(nil, nftaLookupSet, []byte("s\x00")), attr32(nftaLookupSreg, 1)))
	f.Fuzz(func(t *testing.T, family uint8, b []byte) {
		m := machine{family: family, fam: familyName(family), sets: map[string]*set{
			"s": {name: "s", keyLen: 8, keys: parts(7<<6|13, 8, nil, 0), model: &snapshot.NfSet{}},
			"m": {name: "m", keyLen: 4, keys: parts(7, 4, nil, 0), data: parts(7<<6|13, 8, nil, 0), dataLen: 8, model: &snapshot.NfSet{}},
		}}
		exprs, unknown := m.rule(b)
		n, given := 0, 0
		for a := nlwire.Walk(b); a.Next(); {
			if a.Type == nftaListElem {
				given++
			}
		}
		for _, e := range exprs {
			n += max(e.Parts, 1)
		}
		if n != given {
			t.Fatalf("%d of %d expressions (%v)", n, given, unknown)
		}
	})
}

func FuzzMessages(f *testing.F) {
	head := []byte{famInet, 0, 0, 0}
	name := func(typ uint16) []byte { return nlwire.AppendAttr(nil, typ, []byte("x\x00")) }
	f.Add(append(append(head[:4:4], name(nftaTableName)...), attr32(nftaTableFlags, 1)...))
	f.Add(append(append(append(head[:4:4], name(nftaSetName)...), attr32(nftaSetKeyType, 7)...), attr32(nftaSetKeyLen, 4)...))
	elem := nest(nil, nftaListElem, attrData(nftaSetElemKey, []byte{10, 0, 0, 1}))
	f.Add(append(head[:4:4], nest(nil, nftaSetElemListElements, elem)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		decodeTable(b)
		decodeChain(b)
		decodeRuleHead(b)
		decodeObject(b)
		decodeFlowtable(b)
		for _, s := range []*set{
			{name: "a", keyLen: 4, keys: parts(7, 4, nil, 0), model: &snapshot.NfSet{}, interval: true},
			{name: "b", keyLen: 8, keys: parts(7<<6|13, 8, nil, 0), data: parts(13, 2, nil, 0), dataLen: 2, model: &snapshot.NfSet{}, interval: true},
		} {
			s.decodeElems(b, 8)
			s.finish()
			if len(s.model.Elements) > 8 {
				t.Fatal("more elements than asked for")
			}
		}
		if _, s, ok := decodeSet(b); ok {
			s.decodeElems(b, 8)
			s.finish()
		}
	})
}
