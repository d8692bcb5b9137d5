package nlwire

import "encoding/binary"

// nlmReq is NLM_F_REQUEST, which every request carries.
const nlmReq = 1

// NewRequest makes a request: a netlink header of this type and these flags (NLM_F_REQUEST is added), then the family's
// own fixed header. Length and sequence number are filled in when it is sent.
func NewRequest(typ, flags uint16, header []byte) []byte {
	b := make([]byte, headerLen, headerLen+align(len(header))+32)
	binary.NativeEndian.PutUint16(b[4:], typ)
	binary.NativeEndian.PutUint16(b[6:], flags|nlmReq)
	b = append(b, header...)
	return pad(b)
}

// AppendAttr appends an attribute.
func AppendAttr(b []byte, typ uint16, val []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attrLen+len(val)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, val...)
	return pad(b)
}

// AppendU32 appends an attribute that is a number in host byte order.
func AppendU32(b []byte, typ uint16, v uint32) []byte {
	return AppendAttr(b, typ, binary.NativeEndian.AppendUint32(nil, v))
}

// AppendNested appends an attribute whose payload is what fill appends.
func AppendNested(b []byte, typ uint16, fill func([]byte) []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = fill(b)
	binary.NativeEndian.PutUint16(b[at:], uint16(len(b)-at))
	binary.NativeEndian.PutUint16(b[at+2:], typ|nested)
	return pad(b)
}

func pad(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
