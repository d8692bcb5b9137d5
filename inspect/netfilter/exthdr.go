package netfilter

import (
	"strconv"

	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/internal/nlwire"
)

// header is an extension header or an option, by its type number.
type header struct {
	number uint8
	name   string
	fields []field
}

// What an exthdr expression looks into (enum nft_exthdr_op).
const (
	inIPv6   = 0
	inTCPOpt = 1
	inIPv4   = 2
	inSCTP   = 3
	inDCCP   = 4
)

var nextAndLen = []field{{"nexthdr", 0, 8, vNum, nil}, {"hdrlength", 8, 8, vNum, nil}}

var ip6Headers = []header{
	{0, "hbh", nextAndLen},
	{43, "rt", append(nextAndLen[:2:2], field{"type", 16, 8, vNum, nil}, field{"seg-left", 24, 8, vNum, nil})},
	{43, "srh", []field{ // of RFC 8754; nft calls the first address of older types so, too
		{"last-entry", 32, 8, vNum, nil}, {"flags", 40, 8, vNum, nil}, {"tag", 48, 16, vNum, nil}, {"sid[1]", 64, 128, vIP6, nil},
	}},
	{44, "frag", []field{
		{"nexthdr", 0, 8, vNum, nil}, {"reserved", 8, 8, vNum, nil}, {"frag-off", 16, 13, vNum, nil}, {"reserved2", 29, 2, vNum, nil},
		{"more-fragments", 31, 1, vNum, nil}, {"id", 32, 32, vNum, nil},
	}},
	{60, "dst", nextAndLen},
	{135, "mh", append(nextAndLen[:2:2], field{"type", 16, 8, vNum, nil}, field{"reserved", 24, 8, vNum, nil}, field{"checksum", 32, 16, vNum, nil})},
}

func kindAndLen(more ...field) []field {
	return append([]field{{"kind", 0, 8, vNum, nil}, {"length", 8, 8, vNum, nil}}, more...)
}

var tcpOptions = []header{
	{0, "eol", []field{{"kind", 0, 8, vNum, nil}}},
	{1, "nop", []field{{"kind", 0, 8, vNum, nil}}},
	{2, "maxseg", kindAndLen(field{"size", 16, 16, vNum, nil})},
	{3, "window", kindAndLen(field{"count", 16, 8, vNum, nil})},
	{4, "sack-perm", kindAndLen()},
	{5, "sack", kindAndLen(field{"left", 16, 32, vNum, nil}, field{"right", 48, 32, vNum, nil})},
	{5, "sack1", []field{{"left", 80, 32, vNum, nil}, {"right", 112, 32, vNum, nil}}},
	{5, "sack2", []field{{"left", 144, 32, vNum, nil}, {"right", 176, 32, vNum, nil}}},
	{5, "sack3", []field{{"left", 208, 32, vNum, nil}, {"right", 240, 32, vNum, nil}}},
	{8, "timestamp", kindAndLen(field{"tsval", 16, 32, vNum, nil}, field{"tsecr", 48, 32, vNum, nil})},
	{19, "md5sig", kindAndLen()},
	{30, "mptcp", kindAndLen(field{"subtype", 16, 4, vNum, nil})},
	{34, "fastopen", kindAndLen()},
}

func typeAndLen(more ...field) []field {
	return append([]field{{"type", 0, 8, vNum, nil}, {"length", 8, 8, vNum, nil}}, more...)
}

var ipOptions = []header{
	{7, "rr", typeAndLen(field{"ptr", 16, 8, vNum, nil}, field{"addr", 24, 32, vIP4, nil})},
	{131, "lsrr", typeAndLen(field{"ptr", 16, 8, vNum, nil}, field{"addr", 24, 32, vIP4, nil})},
	{137, "ssrr", typeAndLen(field{"ptr", 16, 8, vNum, nil}, field{"addr", 24, 32, vIP4, nil})},
	{148, "ra", typeAndLen(field{"value", 16, 16, vNum, nil})},
}

func chunk(more ...field) []field {
	return append([]field{{"type", 0, 8, vNum, nil}, {"flags", 8, 8, vNum, nil}, {"length", 16, 16, vNum, nil}}, more...)
}

// initChunk are the fields of INIT and INIT ACK.
var initChunk = chunk(field{"init-tag", 32, 32, vNum, nil}, field{"a-rwnd", 64, 32, vNum, nil}, field{"num-outbound-streams", 96, 16, vNum, nil},
	field{"num-inbound-streams", 112, 16, vNum, nil}, field{"initial-tsn", 128, 32, vNum, nil})

// nftChunks are those of RFC 9260, 5061 and 3758.
var nftChunks = []header{
	{0, "data", chunk(field{"tsn", 32, 32, vNum, nil}, field{"stream", 64, 16, vNum, nil}, field{"ssn", 80, 16, vNum, nil}, field{"ppid", 96, 32, vNum, nil})},
	{1, "init", initChunk},
	{2, "init-ack", initChunk},
	{3, "sack", chunk(field{"cum-tsn-ack", 32, 32, vNum, nil}, field{"a-rwnd", 64, 32, vNum, nil}, field{"num-gap-ack-blocks", 96, 16, vNum, nil},
		field{"num-dup-tsns", 112, 16, vNum, nil})},
	{4, "heartbeat", chunk()},
	{5, "heartbeat-ack", chunk()},
	{6, "abort", chunk()},
	{7, "shutdown", chunk(field{"cum-tsn-ack", 32, 32, vNum, nil})},
	{8, "shutdown-ack", chunk()},
	{9, "error", chunk()},
	{10, "cookie-echo", chunk()},
	{11, "cookie-ack", chunk()},
	{12, "ecne", chunk(field{"lowest-tsn", 32, 32, vNum, nil})},
	{13, "cwr", chunk(field{"lowest-tsn", 32, 32, vNum, nil})},
	{14, "shutdown-complete", chunk()},
	{128, "asconf-ack", chunk(field{"seqno", 32, 32, vNum, nil})},
	{192, "forward-tsn", chunk(field{"new-cum-tsn", 32, 32, vNum, nil})},
	{193, "asconf", chunk(field{"seqno", 32, 32, vNum, nil})},
}

var headersIn = [...]struct {
	kind string
	list []header
	// base of nft whose protocol match the header makes redundant; 0: none.
	implies int
}{
	inIPv6: {"exthdr", ip6Headers, 2}, inTCPOpt: {"tcpopt", tcpOptions, 3}, inIPv4: {"ipopt", ipOptions, 2},
	inSCTP: {"sctp chunk", nftChunks, 0}, inDCCP: {"dccp option", nil, 0},
}

// headerOf is the header or option of this number that has the field, or the first of the number, or one that has no more than it.
func headerOf(list []header, number uint8, off, bits int) *header {
	var first *header
	for i := range list {
		h := &list[i]
		if h.number != number {
			continue
		}
		if fieldAt(h, off, bits) != nil {
			return h
		}
		if first == nil {
			first = h
		}
	}
	if first == nil {
		first = &header{number: number, name: strconv.Itoa(int(number))}
	}
	return first
}

// exthdr decodes exthdr, which looks into headers and options whose place has to be searched, or changes them.
func (m *machine) exthdr(i int, b []byte) bool {
	var dreg, sreg, off, n, flags, op uint32
	var typ uint8
	set, get := false, false
	for a := nlwire.Walk(b); a.Next(); {
		switch a.Type {
		case nftaExthdrDreg:
			dreg, get = nlwire.BE32(a.Val), true
		case nftaExthdrSreg:
			sreg, set = nlwire.BE32(a.Val), true
		case nftaExthdrType:
			typ = nlwire.U8(a.Val)
		case nftaExthdrOffset:
			off = nlwire.BE32(a.Val)
		case nftaExthdrLen:
			n = nlwire.BE32(a.Val)
		case nftaExthdrFlags:
			flags = nlwire.BE32(a.Val)
		case nftaExthdrOp:
			op = nlwire.BE32(a.Val)
		}
	}
	if int(op) >= len(headersIn) || n > 64 || off > 255 {
		return false
	}
	in := &headersIn[op]
	h := headerOf(in.list, typ, int(off)*8, int(n)*8)
	v := value{op: snapshot.NfOperand{Kind: in.kind, Key: h.name}, typ: vNum, n: int(n), src: oneExpr(i)}
	named := h.fields != nil
	switch f := fieldAt(h, int(off)*8, int(n)*8); {
	case !set && !get: // the option is taken away
		m.emit(i, snapshot.NfExpr{Action: &snapshot.NfAction{Name: "reset " + in.kind, Opts: map[string]string{"option": h.name}}}, exprSet{})
		return true
	case flags&1 != 0:
		v.typ, v.n = vNum, 1
		v.op.Key += " exists"
		if !named && op == inTCPOpt {
			v.op.Offset, v.op.Len = int(off)*8, int(n)*8
		}
	case f != nil:
		v.op.Key += " " + f.name
		v.typ = f.typ
	default:
		v.hdr, v.off = h, int(off)*8
		v.op.Offset, v.op.Len = int(off)*8, int(n)*8
	}
	if set {
		if v.hdr != nil {
			return false
		}
		return m.assign(i, v.op, sreg, v.typ, false, int(n))
	}
	if m.deps[in.implies].at >= 0 {
		m.kill(in.implies)
		v.src = v.src.and(m.extra)
		m.extra = exprSet{}
	}
	return m.store(dreg, v)
}

// headerField names the bits of a header that a mask leaves, and tells how far they have to be moved to the right.
func headerField(v *value) (op snapshot.NfOperand, f *field, first, shift int) {
	first, bits, ok := run(v.mask)
	if !ok || !zero(v.xor) {
		return op, nil, 0, 0
	}
	if f = fieldAt(v.hdr, v.off+first, bits); f != nil {
		op = v.op
		op.Key, op.Offset, op.Len = v.hdr.name+" "+f.name, 0, 0
	}
	return op, f, first, v.n*8 - first - bits
}

func fieldAt(h *header, off, bits int) *field {
	for i := range h.fields {
		if f := &h.fields[i]; f.off == off && f.bits == bits {
			return f
		}
	}
	return nil
}
