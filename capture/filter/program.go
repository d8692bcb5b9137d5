package filter

import "encoding/binary"

// Instruction is one of the classic BPF machine (struct sock_filter of linux/filter.h).
type Instruction struct {
	Op     uint16
	JT, JF uint8
	K      uint32
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
