package filter

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/nscope/nscope/capture/packet"
)

// view is where a primitive looks: from which byte on, behind which link layer header.
type view struct {
	p    *packet.Packet
	meta Meta
	data []byte
	base int
	link packet.LinkType
	// bad is set by a load beyond the end, after which the filter does not match, whatever else it says.
	bad bool
}

// node is a part of a compiled filter.
type node interface {
	eval(v *view) bool
}

type (
	and struct{ a, b node }
	or  struct{ a, b node }
	not struct{ a node }
	// all matches everything.
	all struct{}
)

func (n *and) eval(v *view) bool { return n.a.eval(v) && !v.bad && n.b.eval(v) && !v.bad }
func (n *or) eval(v *view) bool {
	if n.a.eval(v) {
		return true
	}
	return !v.bad && n.b.eval(v)
}
func (n *not) eval(v *view) bool { return !n.a.eval(v) && !v.bad }
func (all) eval(*view) bool      { return true }

// conj and disj join in order.
func conj(a node, more ...node) node {
	for _, b := range more {
		a = &and{a, b}
	}
	return a
}

func disj(a node, more ...node) node {
	for _, b := range more {
		a = &or{a, b}
	}
	return a
}

// shift is how far "vlan" and "mpls", said before, move what is asked: bytes of tags, and labels.
type shift struct {
	tags   int
	labels int
}

func (v *view) load(off, size int) uint32 {
	off += v.base
	if off < v.base || off+size > len(v.data) {
		v.bad = true
		return 0
	}
	b := v.data[off:]
	switch size {
	case 1:
		return uint32(b[0])
	case 2:
		return uint32(binary.BigEndian.Uint16(b))
	}
	return binary.BigEndian.Uint32(b)
}

// headers: where the type of the payload stands (-1: nowhere) and where the payload begins, for a link layer.
func headers(link packet.LinkType) (typ, payload int) {
	switch link {
	case packet.Ethernet:
		return 12, 14
	case packet.LinuxSLL:
		return 14, 16
	case packet.LinuxSLL2:
		return 0, 20
	case packet.Null, packet.Loop:
		return -1, 4
	}
	return -1, 0
}

// payload is the offset of what the link layer carries.
func (v *view) payload(s shift) int {
	_, n := headers(v.link)
	return n + s.tags + 4*s.labels
}

// linkType tests for an EtherType (gen_linktype of libpcap's gencode.c).
type linkType struct {
	shift
	proto uint16
}

func (n *linkType) eval(v *view) bool {
	if n.labels > 0 {
		// Only the version tells what is below the last label.
		want := uint32(0x40)
		if n.proto == packet.TypeIPv6 {
			want = 0x60
		} else if n.proto != packet.TypeIPv4 {
			return false
		}
		at := v.payload(n.shift)
		return v.load(at-2, 1)&1 == 1 && !v.bad && v.load(at, 1)&0xf0 == want
	}
	typ, _ := headers(v.link)
	switch v.link {
	case packet.Ethernet, packet.LinuxSLL, packet.LinuxSLL2:
		return v.load(typ+n.tags, 2) == uint32(n.proto)
	case packet.RawIP:
		switch n.proto {
		case packet.TypeIPv4:
			return v.load(0, 1)&0xf0 == 0x40
		case packet.TypeIPv6:
			return v.load(0, 1)&0xf0 == 0x60
		}
	case packet.RawIPv4:
		return n.proto == packet.TypeIPv4
	case packet.RawIPv6:
		return n.proto == packet.TypeIPv6
	case packet.Null, packet.Loop:
		af := v.load(0, 4)
		if v.link == packet.Null && af > 0xffff {
			af = binary.LittleEndian.Uint32(binary.BigEndian.AppendUint32(nil, af))
		}
		switch n.proto {
		case packet.TypeIPv4:
			return af == 2
		case packet.TypeIPv6:
			return af == 10 || af == 24 || af == 28 || af == 30
		}
	}
	return false
}

// field compares bytes of the payload under a mask.
type field struct {
	shift
	off, size int
	mask      uint32 // 0: all
	op        string // "==", ">", ">="
	val       uint32
}

func (n *field) eval(v *view) bool {
	x := v.load(v.payload(n.shift)+n.off, n.size)
	if n.mask != 0 {
		x &= n.mask
	}
	return !v.bad && compare(x, n.op, n.val)
}

func compare(x uint32, op string, y uint32) bool {
	switch op {
	case "=", "==":
		return x == y
	case "!=":
		return x != y
	case "<":
		return x < y
	case "<=":
		return x <= y
	case ">":
		return x > y
	case ">=":
		return x >= y
	}
	return false
}

// addr6 compares 16 bytes of the payload, word by word. Words that the mask leaves out are not looked at, and may be cut off.
type addr6 struct {
	shift
	off        int
	addr, mask [16]byte
}

func (n *addr6) eval(v *view) bool {
	at := v.payload(n.shift) + n.off
	for i := 0; i < 16; i += 4 {
		m := binary.BigEndian.Uint32(n.mask[i:])
		if m == 0 {
			continue
		}
		if x := v.load(at+i, 4); v.bad || x&m != binary.BigEndian.Uint32(n.addr[i:])&m {
			return false
		}
	}
	return true
}

// mac compares a hardware address of an Ethernet header.
type mac struct {
	off  int
	addr [6]byte
}

func (n *mac) eval(v *view) bool {
	if v.link != packet.Ethernet {
		return false
	}
	if v.base+n.off+6 > len(v.data) {
		v.bad = true
		return false
	}
	return bytes.Equal(v.data[v.base+n.off:v.base+n.off+6], n.addr[:])
}

// port4 compares a port behind an IPv4 header of whatever length.
type port4 struct {
	shift
	off      int // 0: source, 2: destination
	from, to uint32
}

func (n *port4) eval(v *view) bool {
	at := v.payload(n.shift)
	ihl := int(v.load(at, 1)&15) * 4
	if v.bad {
		return false
	}
	x := v.load(at+ihl+n.off, 2)
	return !v.bad && x >= n.from && x <= n.to
}

// tagged tests for a VLAN tag where the EtherType stands, and its id (-1: any).
type tagged struct {
	shift
	id int
}

func (n *tagged) eval(v *view) bool {
	typ, payload := headers(v.link)
	if typ < 0 || n.labels > 0 {
		return false
	}
	switch v.load(typ+n.tags, 2) {
	case packet.TypeVLAN, packet.TypeQinQ, packet.TypeQOld:
	default:
		return false
	}
	if v.bad || n.id < 0 {
		return !v.bad
	}
	return v.load(payload+n.tags, 2)&0xfff == uint32(n.id) && !v.bad
}

// label tests for an MPLS label (-1: any).
type label struct {
	shift
	id int
}

func (n *label) eval(v *view) bool {
	typ, _ := headers(v.link)
	if n.labels == 0 {
		if typ < 0 || v.load(typ+n.tags, 2) != 0x8847 {
			return false
		}
	} else if v.load(v.payload(n.shift)-2, 1)&1 != 0 || v.bad { // the label before was the last
		return false
	}
	if v.bad || n.id < 0 {
		return !v.bad
	}
	return v.load(v.payload(n.shift), 4)&0xfffff000 == uint32(n.id)<<12 && !v.bad
}

// length compares the packet's length on the wire.
type length struct {
	op  string
	val uint32
}

func (n *length) eval(v *view) bool { return compare(uint32(v.p.Len), n.op, n.val) }

// direction is "inbound", "outbound" and "dir".
type direction struct{ want Dir }

func (n *direction) eval(v *view) bool {
	d := v.meta.Dir
	if d == Unknown && (v.link == packet.LinuxSLL || v.link == packet.LinuxSLL2) {
		d = In
		if v.p.SLLType == 4 {
			d = Out
		}
	}
	return d == n.want
}

// within evaluates what is below it on other headers: the innermost, or the outermost.
type within struct {
	inner bool
	a     node
}

func (n *within) eval(v *view) bool {
	base, link := v.base, v.link
	v.base, v.link = 0, v.p.Link
	if n.inner && v.p.N > 1 {
		h := v.p.Inner()
		v.base, v.link = h.Start, packet.RawIP
		if h.Ether >= 0 || h.Version == 0 {
			v.link = packet.Ethernet
		}
	}
	ok := n.a.eval(v)
	v.base, v.link = base, link
	return ok
}

// vni tests the tunnels' network identifiers.
type vni struct{ id uint32 }

func (n *vni) eval(v *view) bool {
	for i := range v.p.NT {
		t := &v.p.Tunnels[i]
		if t.HasVNI && t.VNI == n.id && (t.Type == packet.VXLAN || t.Type == packet.Geneve) {
			return true
		}
	}
	return false
}

// encap tests for a tunnel of a type.
type encap struct{ typ packet.TunnelType }

func (n *encap) eval(v *view) bool {
	for i := range v.p.NT {
		if v.p.Tunnels[i].Type == n.typ {
			return true
		}
	}
	return false
}

// named is a container or service: by where the packet was captured, or by the innermost addresses.
type named struct {
	id    string
	addrs map[netip.Addr]bool
	dir   byte // 's', 'd', or 0 for either
}

func (n *named) eval(v *view) bool {
	if n.id != "" && v.meta.Workload == n.id {
		return true
	}
	h := v.p.Inner()
	if v.p.N == 0 || !h.Src.IsValid() {
		return false
	}
	return n.dir != 'd' && n.addrs[h.Src] || n.dir != 's' && n.addrs[h.Dst]
}
