package netfilter

import (
	"bytes"
	"slices"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// set is what rules need to know of a set, and what its elements are read by.
type set struct {
	name      string
	anonymous bool
	interval  bool
	keys      []part
	keyLen    int
	data      []part
	dataLen   int
	object    string // type of the objects that an object map gives
	count     int    // of elements, -1: the kernel does not say
	// model is where the elements go.
	model *snapshot.NfSet
	raw   []rawElem
}

// rawElem is an element until intervals are joined.
type rawElem struct {
	key, end []byte // end is NFTA_SET_ELEM_KEY_END
	data     []byte // of a map
	stop     bool   // it ends an interval
	elem     snapshot.NfElem
}

// tableKey names a table within a namespace.
type tableKey struct {
	family uint8
	name   string
}

// User data of sets (enum nftnl_udata_set_types of libnftnl).
const (
	udataSetKeyOrder  = 0
	udataSetDataOrder = 1
	udataSetComment   = 7
	udataComment      = 0 // of all else
)

// udata walks nft's user data: type, length, value.
func udata(b []byte, fn func(typ uint8, val []byte)) {
	for len(b) >= 2 {
		n := int(b[1])
		if 2+n > len(b) {
			return
		}
		fn(b[0], b[2:2+n])
		b = b[2+n:]
	}
}

// comment is the text of user data's first type.
func comment(b []byte) (s string) {
	udata(b, func(typ uint8, val []byte) {
		if typ == udataComment {
			s = string(nlwire.CStr(val))
		}
	})
	return s
}

// decodeSet decodes NFT_MSG_NEWSET.
func decodeSet(b []byte) (table tableKey, s *set, ok bool) {
	if len(b) < nfgenLen {
		return table, nil, false
	}
	table.family = b[0]
	model := &snapshot.NfSet{KeyTypes: []string{}, Flags: []string{}, Elements: []snapshot.NfElem{}}
	s = &set{model: model, count: -1}
	var flags, keyType, dataType, keyOrder, dataOrder uint32
	var lens []int
	for a := nlwire.WalkAfter(b, nfgenLen); a.Next(); {
		switch a.Type {
		case nftaSetTable:
			table.name = string(nlwire.CStr(a.Val))
		case nftaSetName:
			s.name = string(nlwire.CStr(a.Val))
		case nftaSetFlags:
			flags = nlwire.BE32(a.Val)
		case nftaSetKeyType:
			keyType = nlwire.BE32(a.Val)
		case nftaSetKeyLen:
			s.keyLen = int(nlwire.BE32(a.Val))
		case nftaSetDataType:
			dataType = nlwire.BE32(a.Val)
		case nftaSetDataLen:
			s.dataLen = int(nlwire.BE32(a.Val))
		case nftaSetPolicy:
			if nlwire.BE32(a.Val) == 1 {
				model.Policy = "memory"
			}
		case nftaSetTimeout:
			model.Timeout = nlwire.BE64(a.Val)
		case nftaSetGcInterval:
			model.GC = uint64(nlwire.BE32(a.Val))
		case nftaSetObjType:
			s.object = objectTypes[nlwire.BE32(a.Val)]
		case nftaSetHandle:
			model.Handle = nlwire.BE64(a.Val)
		case nftaSetCount:
			s.count = int(nlwire.BE32(a.Val))
		case nftaSetExpr:
			statefulExprs(&model.Exprs, a.Val)
		case nftaSetExpressions:
			for in := nlwire.Walk(a.Val); in.Next(); {
				statefulExprs(&model.Exprs, in.Val)
			}
		case nftaSetUserdata:
			udata(a.Val, func(typ uint8, val []byte) {
				switch typ {
				case udataSetKeyOrder:
					keyOrder = nlwire.U32(val)
				case udataSetDataOrder:
					dataOrder = nlwire.U32(val)
				case udataSetComment:
					model.Comment = string(nlwire.CStr(val))
				}
			})
		case nftaSetDesc:
			for in := nlwire.Walk(a.Val); in.Next(); {
				switch in.Type {
				case nftaSetDescSize:
					model.Size = nlwire.BE32(in.Val)
				case nftaSetDescConcat:
					lens = fieldLens(in.Val)
				}
			}
		}
	}
	if s.keyLen < 0 || s.keyLen > 64 || s.dataLen < 0 || s.dataLen > 64 || s.name == "" {
		return table, nil, false
	}
	for _, f := range setFlagNames {
		if flags&f.bit != 0 {
			model.Flags = append(model.Flags, f.name)
		}
	}
	model.Name, model.Anonymous = s.name, flags&setAnonymous != 0
	s.anonymous, s.interval = model.Anonymous, flags&setInterval != 0
	s.keys = parts(keyType, s.keyLen, lens, keyOrder)
	if s.interval {
		// Intervals are of numbers in network byte order, whatever the type's.
		for i := range s.keys {
			if t := s.keys[i].typ; t == vNum || t == vBits {
				s.keys[i].host = false
			}
		}
	}
	for _, p := range s.keys {
		model.KeyTypes = append(model.KeyTypes, p.name)
	}
	switch {
	case flags&setMap != 0 && dataType == 0xffffff00:
		model.DataType = []string{"verdict"}
	case flags&setMap != 0:
		// An interval of data is given as first and last after each other.
		s.data = parts(dataType, s.dataLen, nil, dataOrder)
		if len(s.data) == 1 && s.data[0].typ == vHex || len(s.data) == 1 && datatypes[dataType].n*2 == s.dataLen {
			if half := parts(dataType, s.dataLen/2, nil, dataOrder); half[0].typ != vHex {
				s.data = half
			}
		}
		for _, p := range s.data {
			model.DataType = append(model.DataType, p.name)
		}
	case flags&setObject != 0:
		model.DataType = []string{s.object}
	}
	return table, s, true
}

var setFlagNames = []struct {
	bit  uint32
	name string
}{{setConstant, "constant"}, {setInterval, "interval"}, {setTimeout, "timeout"}, {setEval, "dynamic"}, {setConcat, "concat"}}

// fieldLens reads the lengths of a concatenation's parts in bytes.
func fieldLens(b []byte) (lens []int) {
	for a := nlwire.Walk(b); a.Next(); {
		for in := nlwire.Walk(a.Val); in.Next(); {
			if in.Type == nftaSetFieldLen && len(lens) < 16 {
				lens = append(lens, int(min(nlwire.BE32(in.Val), 64)))
			}
		}
	}
	return lens
}

// decodeElems decodes NFT_MSG_NEWSETELEM of the set s, as long as it has fewer elements than limit. False: there are more.
func (s *set) decodeElems(b []byte, limit int) bool {
	for a := nlwire.WalkAfter(b, nfgenLen); a.Next(); {
		if a.Type != nftaSetElemListElements {
			continue
		}
		for in := nlwire.Walk(a.Val); in.Next(); {
			if len(s.raw) >= limit {
				s.model.Cut = true
				return false
			}
			s.raw = append(s.raw, decodeElem(in.Val))
		}
	}
	return true
}

func decodeElem(b []byte) (r rawElem) {
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaSetElemKey:
			r.key = bytes.Clone(dataValue(a.Val))
		case nftaSetElemKeyEnd:
			r.end = bytes.Clone(dataValue(a.Val))
		case nftaSetElemData:
			if v, ok := verdict(a.Val); ok {
				r.elem.Verdict = &v
			} else {
				r.data = bytes.Clone(dataValue(a.Val))
			}
		case nftaSetElemFlags:
			flags := nlwire.BE32(a.Val)
			r.stop, r.elem.CatchAll = flags&elemIntervalEnd != 0, flags&elemCatchAll != 0
		case nftaSetElemTimeout:
			r.elem.Timeout = nlwire.BE64(a.Val)
		case nftaSetElemExpiration:
			r.elem.Expires = nlwire.BE64(a.Val)
		case nftaSetElemUserdata:
			r.elem.Comment = comment(a.Val)
		case nftaSetElemObjref:
			r.elem.Object = string(nlwire.CStr(a.Val))
		case nftaSetElemExpr:
			statefulExprs(&r.elem.Exprs, a.Val)
		case nftaSetElemExpressions:
			for in := nlwire.Walk(a.Val); in.Next(); {
				statefulExprs(&r.elem.Exprs, in.Val)
			}
		}
	}
	return r
}

// finish makes elements of what was read: in the kernel's order, intervals in that of their keys.
func (s *set) finish() {
	single := s.interval && len(s.keys) == 1
	if single {
		// The kernel gives the first key of an interval and, marked, the one after its last. Where one begins right after
		// another, the end is not marked.
		slices.SortStableFunc(s.raw, func(a, b rawElem) int {
			if c := bytes.Compare(a.key, b.key); c != 0 {
				return c
			}
			return boolInt(b.stop) - boolInt(a.stop)
		})
	}
	out := make([]snapshot.NfElem, 0, len(s.raw))
	for i := range s.raw {
		r := &s.raw[i]
		switch {
		case r.stop:
			continue
		case r.elem.CatchAll:
		case single && r.end == nil:
			to := bytes.Repeat([]byte{0xff}, len(r.key))
			if i+1 < len(s.raw) {
				to = before(s.raw[i+1].key)
			} else if s.model.Cut {
				continue // its end was not read
			}
			r.elem.Key = spanParts(s.keys, r.key, to)
		default:
			r.elem.Key = spanParts(s.keys, r.key, r.end)
		}
		if r.data != nil {
			v := s.dataValue(r.data)
			r.elem.Value = &v
		}
		out = append(out, r.elem)
	}
	s.model.Elements, s.raw = out, nil
}

// dataValue reads what an element of a map gives.
func (s *set) dataValue(b []byte) snapshot.NfValue {
	n := 0
	for _, p := range s.data {
		n += (p.n + 3) &^ 3
	}
	if len(s.data) > 0 && len(b) == 2*n && n > 0 { // first and last
		return spanParts(s.data, b[:n], b[n:])
	}
	return constantParts(s.data, b)
}

// before is the number one less, in network byte order.
func before(b []byte) []byte {
	out := bytes.Clone(b)
	for i := len(out) - 1; i >= 0; i-- {
		out[i]--
		if out[i] != 0xff {
			break
		}
	}
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unshift moves the keys of an anonymous set to the right, where its one rule asks for bits that do not end with the
// register's. False: they are no numbers.
func (s *set) unshift(n int) bool {
	for _, e := range s.model.Elements {
		if e.Key.Num == nil && !e.CatchAll {
			return false
		}
	}
	for _, e := range s.model.Elements {
		if e.Key.Num != nil {
			e.Key.Num.From, e.Key.Num.To = e.Key.Num.From>>n, e.Key.Num.To>>n
		}
	}
	return true
}

// firstNumber is the first key of an anonymous set.
func (s *set) firstNumber() (uint64, bool) {
	if s.model == nil || !s.anonymous || len(s.model.Elements) == 0 || s.model.Elements[0].Key.Num == nil {
		return 0, false
	}
	return s.model.Elements[0].Key.Num.From, true
}
