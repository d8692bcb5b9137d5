package nlwire

import (
	"encoding/binary"
	"net/netip"
)

// Sizes and bits of include/uapi/linux/netlink.h.
const (
	headerLen = 16 // struct nlmsghdr
	attrLen   = 4  // struct nlattr
	typeMask  = 0x3fff
	nested    = 0x8000 // NLA_F_NESTED
)

// Attrs walks a run of netlink attributes (struct nlattr, aligned to 4 bytes).
type Attrs struct {
	rest []byte
	// Type is the current attribute's, without the NESTED and NET_BYTEORDER bits.
	Type uint16
	// Val is its payload, a part of the bytes given to [Walk].
	Val []byte
}

// Walk begins before the first attribute of b.
func Walk(b []byte) Attrs { return Attrs{rest: b} }

// WalkAfter begins after a fixed header of n bytes, and has nothing to give where b is shorter.
func WalkAfter(b []byte, n int) Attrs {
	if len(b) < n {
		return Attrs{}
	}
	return Attrs{rest: b[n:]}
}

// Next moves to the next attribute. It ends at one whose length is impossible.
func (a *Attrs) Next() bool {
	b := a.rest
	if len(b) < attrLen {
		return false
	}
	n := int(binary.NativeEndian.Uint16(b))
	if n < attrLen || n > len(b) {
		a.rest = nil
		return false
	}
	a.Type = binary.NativeEndian.Uint16(b[2:]) & typeMask
	a.Val = b[attrLen:n:n]
	a.rest = b[min(align(n), len(b)):]
	return true
}

// Each calls fn for each attribute of b.
func Each(b []byte, fn func(typ uint16, val []byte)) {
	for a := Walk(b); a.Next(); {
		fn(a.Type, a.Val)
	}
}

func align(n int) int { return (n + 3) &^ 3 }

// U8 is the first byte, 0 where there is none.
func U8(b []byte) uint8 {
	if len(b) < 1 {
		return 0
	}
	return b[0]
}

// U16 reads a number in host byte order, 0 where b is too short.
func U16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.NativeEndian.Uint16(b)
}

// BE16 reads a number in network byte order, 0 where b is too short.
func BE16(b []byte) uint16 {
	if len(b) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

// U32 reads a number in host byte order, 0 where b is too short.
func U32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.NativeEndian.Uint32(b)
}

// BE32 reads a number in network byte order, 0 where b is too short.
func BE32(b []byte) uint32 {
	if len(b) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

// I32 reads a signed number in host byte order, 0 where b is too short.
func I32(b []byte) int { return int(int32(U32(b))) }

// U64 reads a number in host byte order, 0 where b is too short.
func U64(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.NativeEndian.Uint64(b)
}

// BE64 reads a number in network byte order, 0 where b is too short.
func BE64(b []byte) uint64 {
	if len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// CStr is the text before the first NUL, as bytes of b.
func CStr(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// Addr reads an address of 4 or 16 bytes, the zero Addr for any other length. An IPv4-mapped IPv6 address stays one.
func Addr(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}
