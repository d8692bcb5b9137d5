package filter

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"

	"github.com/nscope/nscope/capture/packet"
)

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
