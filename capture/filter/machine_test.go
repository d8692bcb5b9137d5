package filter

import "encoding/binary"

// instruction is struct bpf_insn.
type instruction struct {
	op     uint16
	jt, jf uint8
	k      uint32
}

// run is the classic BPF machine (libpcap's bpf_filter.c), for what libpcap makes of expressions. (That of golang.org/x/net has neither a
// packet's length beside the captured one nor negation.)
func run(prog []instruction, data []byte, wire int) bool { return machine(prog, data, wire, nil) != 0 }

// machine gives how much is kept; ancillary is what the kernel knows beside the frame, by the offset that it is loaded from.
func machine(prog []instruction, data []byte, wire int, ancillary map[uint32]uint32) uint32 {
	var a, x uint32
	var mem [16]uint32
	load := func(off uint64, size uint16) (uint32, bool) {
		n := uint64(map[uint16]int{0x00: 4, 0x08: 2, 0x10: 1}[size])
		if off+n > uint64(len(data)) {
			return 0, false
		}
		switch n {
		case 4:
			return binary.BigEndian.Uint32(data[off:]), true
		case 2:
			return uint32(binary.BigEndian.Uint16(data[off:])), true
		}
		return uint32(data[off]), true
	}
	for pc := 0; ; pc++ {
		i := prog[pc]
		ok := true
		switch i.op & 7 {
		case 0, 1: // LD, LDX
			var v uint32
			switch i.op & 0xe0 {
			case 0x00:
				v = i.k
			case 0x20:
				if a, known := ancillary[i.k]; known {
					v = a
					break
				}
				v, ok = load(uint64(i.k), i.op&0x18)
			case 0x40:
				v, ok = load(uint64(x)+uint64(i.k), i.op&0x18)
			case 0x60:
				v = mem[i.k]
			case 0x80:
				v = uint32(wire)
			case 0xa0:
				v, ok = load(uint64(i.k), 0x10)
				v = v & 15 * 4
			}
			if !ok {
				return 0
			}
			if i.op&7 == 0 {
				a = v
			} else {
				x = v
			}
		case 2:
			mem[i.k] = a
		case 3:
			mem[i.k] = x
		case 4:
			y := i.k
			if i.op&8 != 0 {
				y = x
			}
			switch i.op & 0xf0 {
			case 0x00:
				a += y
			case 0x10:
				a -= y
			case 0x20:
				a *= y
			case 0x30, 0x90:
				if y == 0 {
					return 0
				}
				if i.op&0xf0 == 0x30 {
					a /= y
				} else {
					a %= y
				}
			case 0x40:
				a |= y
			case 0x50:
				a &= y
			case 0x60:
				a <<= y
			case 0x70:
				a >>= y
			case 0x80:
				a = -a
			case 0xa0:
				a ^= y
			}
		case 5:
			y := i.k
			if i.op&8 != 0 {
				y = x
			}
			is := false
			switch i.op & 0xf0 {
			case 0x00:
				pc += int(i.k)
				continue
			case 0x10:
				is = a == y
			case 0x20:
				is = a > y
			case 0x30:
				is = a >= y
			case 0x40:
				is = a&y != 0
			}
			if is {
				pc += int(i.jt)
			} else {
				pc += int(i.jf)
			}
		case 6:
			return i.k
		case 7:
			if i.op&0xf8 == 0 {
				x = a
			} else {
				a = x
			}
		}
	}
}
