package filter

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"

	"github.com/nscope/nscope/capture/packet"
)

// Instruction is one of the classic BPF machine (struct sock_filter of linux/filter.h).
type Instruction struct {
	Op     uint16
	JT, JF uint8
	K      uint32
}

// Kernel is what a program for the kernel must know beside the filter.
type Kernel struct {
	// SnapLen is how much is kept of a packet, 0 for all.
	SnapLen uint32
	// Workload is that of the namespace where it runs, as in [Meta].
	Workload string
	// VXLANPorts are those of [packet.Decoder].
	VXLANPorts []uint16
}

// Prefilter is a program for a packet socket that lets through at least what matches: the exact test is made on what comes. Frames with a
// VLAN tag, MPLS, links that are not Ethernet's, and what is or may be in a tunnel where the filter asks for what is inside, always pass. It is nil
// where there is nothing that it could drop or cut. f may be nil.
func (f *Filter) Prefilter(k Kernel) []Instruction {
	take := k.SnapLen
	if take == 0 {
		take = ^uint32(0)
	}
	var root node = all{}
	if f != nil {
		root = f.root
	}
	p := &writer{kernel: k}
	yes, no := p.label(), p.label()
	if root != (all{}) {
		p.special(yes)
		if looksInside(root) {
			p.tunnelled(yes)
		}
	}
	p.may(root, yes, no)
	if !p.drops && k.SnapLen == 0 {
		return nil
	}
	p.place(yes)
	p.emit(retK, take)
	p.place(no)
	p.emit(retK, 0)
	prog, ok := p.resolve()
	if !ok || len(prog) > maxProgram {
		if k.SnapLen == 0 {
			return nil
		}
		return []Instruction{{Op: retK, K: take}}
	}
	return prog
}

// maxProgram is BPF_MAXINSNS.
const maxProgram = 4096

// Operations (linux/bpf_common.h).
const (
	ldW   = 0x20 // A = the word at K
	ldH   = 0x28
	ldB   = 0x30
	ldHX  = 0x48 // A = the half word at X + K
	ldLen = 0x80
	ldxIP = 0xb1 // X = 4 × the low half of the byte at K
	andK  = 0x54
	addK  = 0x04
	tax   = 0x07
	txa   = 0x87
	ja    = 0x05
	jeqK  = 0x15
	jgtK  = 0x25
	jgeK  = 0x35
	jgeX  = 0x3d
	jsetK = 0x45
	retK  = 0x06
)

// Ancillary data (SKF_AD_OFF and SKF_AD_… of linux/filter.h).
const (
	adPacketType = 0xfffff004
	adHwType     = 0xfffff01c
	adVLAN       = 0xfffff030 // a tag that is no longer in the frame
)

const (
	hwEther    = 1
	hwLoopback = 772
	outgoing   = 4
)

// writer writes a program. Every test is followed by two jumps, whose way is not limited as a test's own is: labels are numbers of jump
// targets, negative in K until all is written.
type writer struct {
	kernel Kernel
	code   []Instruction
	jumps  map[int]int // of instructions to labels
	at     []int       // of labels
	drops  bool
}

func (p *writer) label() int { p.at = append(p.at, -1); return len(p.at) - 1 }

func (p *writer) place(l int) { p.at[l] = len(p.code) }

func (p *writer) emit(op uint16, k uint32) { p.code = append(p.code, Instruction{Op: op, K: k}) }

func (p *writer) jump(l int) {
	if p.jumps == nil {
		p.jumps = map[int]int{}
	}
	p.jumps[len(p.code)] = l
	p.emit(ja, 0)
}

// test goes to one label or the other.
func (p *writer) test(op uint16, k uint32, yes, no int) {
	p.code = append(p.code, Instruction{Op: op, JT: 0, JF: 1, K: k})
	p.jump(yes)
	p.jump(no)
}

// resolve puts distances in place of labels; only forward ones are possible.
func (p *writer) resolve() ([]Instruction, bool) {
	for i, l := range p.jumps {
		d := p.at[l] - i - 1
		if d < 0 {
			return nil, false
		}
		p.code[i].K = uint32(d)
	}
	return p.code, true
}

// load loads from the frame where it is long enough, and goes to short where it is not: a load beyond the end would drop it.
func (p *writer) load(op uint16, off, size uint32, short int) {
	ok := p.label()
	p.emit(ldLen, 0)
	p.test(jgeK, off+size, ok, short)
	p.place(ok)
	p.emit(op, off)
}

// special lets through what is not looked at: other links than Ethernet's, tags, MPLS.
func (p *writer) special(yes int) {
	eth, plain := p.label(), p.label()
	loop := p.label()
	p.emit(ldW, adHwType)
	p.test(jeqK, hwEther, eth, loop)
	p.place(loop)
	p.test(jeqK, hwLoopback, eth, yes)
	p.place(eth)
	p.emit(ldW, adVLAN)
	p.test(jeqK, 0, plain, yes)
	p.place(plain)
	p.load(ldH, 12, 2, yes)
	for _, t := range []uint32{packet.TypeVLAN, packet.TypeQinQ, packet.TypeQOld, packet.TypeMPLS, packet.TypeMPLSMulti} {
		next := p.label()
		p.test(jeqK, t, yes, next)
		p.place(next)
	}
}

// looksInside tells whether a filter asks for what is in tunnels.
func looksInside(n node) bool {
	switch n := n.(type) {
	case *and:
		return looksInside(n.a) || looksInside(n.b)
	case *or:
		return looksInside(n.a) || looksInside(n.b)
	case *not:
		return looksInside(n.a)
	case *within:
		return true
	case *relation:
		return n.when != nil && looksInside(n.when)
	case *vni, *encap, *named:
		return true
	}
	return false
}

// tunnelled goes to yes where the packet may be in a tunnel, and on where it is in none that [packet.Decoder] knows.
func (p *writer) tunnelled(yes int) {
	done, v6, udp6 := p.label(), p.label(), p.label()
	oneOf := func(vals []uint32, no int) {
		for _, v := range vals {
			next := p.label()
			p.test(jeqK, v, yes, next)
			p.place(next)
		}
		p.jump(no)
	}
	ports := []uint32{packet.PortVXLAN, packet.PortVXLANLinux, packet.PortVXLANGPE, packet.PortGeneve, packet.PortFlannelUDP}
	for _, x := range p.kernel.VXLANPorts {
		ports = append(ports, uint32(x))
	}
	p.load(ldH, 12, 2, yes)
	v4, notV4 := p.label(), p.label()
	p.test(jeqK, packet.TypeIPv4, v4, notV4)
	p.place(v4)
	udp4, not4 := p.label(), p.label()
	p.load(ldB, 14+9, 1, yes)
	p.test(jeqK, packet.UDP, udp4, not4)
	p.place(not4)
	oneOf([]uint32{packet.IPIP, packet.IPv6Proto, packet.GRE, packet.ESP, packet.AH}, done)
	p.place(udp4)
	p.behindIPv4(2, yes)
	oneOf(ports, done)
	p.place(notV4)
	p.test(jeqK, packet.TypeIPv6, v6, done)
	p.place(v6)
	p.load(ldB, 14+6, 1, yes)
	for _, known := range []uint32{packet.TCP, packet.ICMPv6, packet.NoNext, packet.SCTP} {
		next := p.label()
		p.test(jeqK, known, done, next)
		p.place(next)
	}
	p.test(jeqK, packet.UDP, udp6, yes)
	p.place(udp6)
	p.load(ldH, 14+40+2, 2, yes)
	oneOf(ports, done)
	p.place(done)
}

// behindIPv4 loads a half word behind an IPv4 header.
func (p *writer) behindIPv4(off uint32, short int) {
	p.emit(ldLen, 0)
	ok, long := p.label(), p.label()
	p.test(jgeK, 15, ok, short)
	p.place(ok)
	p.emit(ldxIP, 14)
	p.emit(txa, 0)
	p.emit(addK, 14+off+2)
	p.emit(tax, 0)
	p.emit(ldLen, 0)
	p.test(jgeX, 0, long, short)
	p.place(long)
	p.emit(ldxIP, 14)
	p.emit(ldHX, 14+off)
}

// may goes to no only where the node does not match for sure.
func (p *writer) may(n node, yes, no int) {
	switch n := n.(type) {
	case *and:
		b := p.label()
		p.may(n.a, b, no)
		p.place(b)
		p.may(n.b, yes, no)
	case *or:
		b := p.label()
		p.may(n.a, yes, b)
		p.place(b)
		p.may(n.b, yes, no)
	case *not:
		p.must(n.a, no, yes)
	case *relation:
		if n.when == nil {
			p.jump(yes)
			return
		}
		p.may(n.when, yes, no)
	case *named:
		p.named(n, yes, no)
	default:
		p.exact(n, yes, no, yes)
	}
}

// must goes to yes only where the node matches for sure.
func (p *writer) must(n node, yes, no int) {
	switch n := n.(type) {
	case *and:
		b := p.label()
		p.must(n.a, b, no)
		p.place(b)
		p.must(n.b, yes, no)
	case *or:
		b := p.label()
		p.must(n.a, yes, b)
		p.place(b)
		p.must(n.b, yes, no)
	case *not:
		p.may(n.a, no, yes)
	case *relation, *named:
		p.jump(no)
	default:
		p.exact(n, yes, no, no)
	}
}

// exact tests what can be told for sure, and goes to unknown where it cannot.
func (p *writer) exact(n node, yes, no, unknown int) {
	if n == (all{}) {
		p.jump(yes)
		return
	}
	p.drops = true
	switch n := n.(type) {
	case *isEthernet, isEthernet:
		p.jump(yes)
	case *vni, *encap: // in no tunnel, or it has passed
		p.jump(no)
	case *within:
		if unknown == yes {
			p.may(n.a, yes, no)
		} else {
			p.must(n.a, yes, no)
		}
	case *tagged: // no tag, or it has passed
		p.jump(no)
	case *label:
		p.jump(no)
	case *direction:
		p.emit(ldW, adPacketType)
		if n.want == Out {
			p.test(jeqK, outgoing, yes, no)
		} else {
			p.test(jeqK, outgoing, no, yes)
		}
	case *length:
		p.emit(ldLen, 0)
		p.compare(n.op, n.val, yes, no, unknown)
	case *group, group:
		p.load(ldB, 0, 1, unknown)
		p.test(jsetK, 1, yes, no)
	case *mac:
		low := p.label()
		p.load(ldW, uint32(n.off), 4, unknown)
		p.test(jeqK, binary.BigEndian.Uint32(n.addr[:]), low, no)
		p.place(low)
		p.load(ldH, uint32(n.off)+4, 2, unknown)
		p.test(jeqK, uint32(binary.BigEndian.Uint16(n.addr[4:])), yes, no)
	case *linkType:
		if n.shift != (shift{}) {
			p.jump(unknown)
			return
		}
		p.load(ldH, 12, 2, unknown)
		p.test(jeqK, uint32(n.proto), yes, no)
	case *field:
		op, ok := map[int]uint16{1: ldB, 2: ldH, 4: ldW}[n.size]
		if n.shift != (shift{}) || !ok {
			p.jump(unknown)
			return
		}
		p.load(op, uint32(14+n.off), uint32(n.size), unknown)
		if n.mask != 0 {
			p.emit(andK, n.mask)
		}
		p.compare(n.op, n.val, yes, no, unknown)
	case *port4:
		if n.shift != (shift{}) {
			p.jump(unknown)
			return
		}
		p.behindIPv4(uint32(n.off), unknown)
		high := p.label()
		p.test(jgeK, n.from, high, no)
		p.place(high)
		p.test(jgtK, n.to, no, yes)
	case *addr6:
		if n.shift != (shift{}) {
			p.jump(unknown)
			return
		}
		p.words(14+n.off, n.addr[:], n.mask[:], yes, no, unknown)
	default:
		p.jump(unknown)
	}
}

func (p *writer) compare(op string, val uint32, yes, no, unknown int) {
	switch op {
	case "=", "==":
		p.test(jeqK, val, yes, no)
	case "!=":
		p.test(jeqK, val, no, yes)
	case ">":
		p.test(jgtK, val, yes, no)
	case ">=":
		p.test(jgeK, val, yes, no)
	case "<":
		p.test(jgeK, val, no, yes)
	case "<=":
		p.test(jgtK, val, no, yes)
	default:
		p.jump(unknown)
	}
}

// words compares 4 bytes at a time, under a mask.
func (p *writer) words(off int, addr, mask []byte, yes, no, unknown int) {
	for i := 0; i < len(addr); i += 4 {
		m := binary.BigEndian.Uint32(mask[i:])
		if m == 0 {
			continue
		}
		p.load(ldW, uint32(off+i), 4, unknown)
		if m != ^uint32(0) {
			p.emit(andK, m)
		}
		next := p.label()
		p.test(jeqK, binary.BigEndian.Uint32(addr[i:])&m, next, no)
		p.place(next)
	}
	p.jump(yes)
}

// maxNamed is how many addresses of a name are tested in the kernel.
const maxNamed = 64

// named tests the addresses of a container or service, of a packet in no tunnel.
func (p *writer) named(n *named, yes, no int) {
	if n.id != "" && n.id == p.kernel.Workload || len(n.addrs) > maxNamed {
		p.jump(yes)
		return
	}
	p.drops = true
	addrs := slices.SortedFunc(maps.Keys(n.addrs), netip.Addr.Compare)
	all := make([]byte, 16)
	for i := range all {
		all[i] = 0xff
	}
	for _, h := range []struct {
		typ      uint32
		src, dst int
		v6       bool
	}{{packet.TypeIPv4, 26, 30, false}, {packet.TypeIPv6, 22, 38, true}, {packet.TypeARP, 28, 38, false}, {packet.TypeRARP, 28, 38, false}} {
		is, next := p.label(), p.label()
		p.load(ldH, 12, 2, yes)
		p.test(jeqK, h.typ, is, next)
		p.place(is)
		for _, a := range addrs {
			if a.Is4() == h.v6 {
				continue
			}
			b := a.AsSlice()
			for _, off := range []int{h.src, h.dst} {
				if n.dir == 's' && off == h.dst || n.dir == 'd' && off == h.src {
					continue
				}
				other := p.label()
				p.words(off, b, all[:len(b)], yes, other, yes)
				p.place(other)
			}
		}
		p.jump(no)
		p.place(next)
	}
	p.jump(no)
}
