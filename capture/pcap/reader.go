package pcap

import (
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/nscope/nscope/capture/packet"
)

// Reader reads packets of a pcap or pcapng file.
type Reader struct {
	// Interfaces are those seen so far; of a pcap file there is one.
	Interfaces []Interface
	// Names are those of name resolution blocks so far.
	Names []Name
	// Stats are the counters by interface, where the file has told them.
	Stats map[int]Stats

	in    *window
	order byteOrder
	next  func(*Record) error
	buf   []byte
	// base is the first interface of the section.
	base int
	nano bool
	// pending is how many bytes of the last block are still in the window.
	pending int
	zst     *zstd.Decoder
}

// Open begins to read. What is compressed with gzip or zstd is decompressed.
func Open(in io.Reader) (*Reader, error) {
	r := &Reader{Stats: map[int]Stats{}}
	b := newWindow(in)
	magic, err := b.peek(4)
	if err != nil {
		return nil, short(err)
	}
	switch {
	case magic[0] == 0x1f && magic[1] == 0x8b:
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		b = newWindow(z)
	case binary.LittleEndian.Uint32(magic) == 0xfd2fb528:
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		r.zst = z
		b = newWindow(z)
	}
	r.in = b
	if err := r.begin(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close frees the decompressor; the reader given to Open stays open.
func (r *Reader) Close() {
	if r.zst != nil {
		r.zst.Close()
		r.zst = nil
	}
}

// short is the error of a file that ends where it may not.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *Reader) begin() error {
	h, err := r.in.peek(4)
	if err != nil {
		return short(err)
	}
	switch m := binary.LittleEndian.Uint32(h); m {
	case 0x0a0d0d0a:
		r.next = r.nextBlock
		return nil
	case 0xa1b2c3d4, 0xa1b23c4d:
		r.order, r.nano = littleEndian, m == 0xa1b23c4d
	case 0xd4c3b2a1, 0x4d3cb2a1:
		r.order, r.nano = bigEndian, m == 0x4d3cb2a1
	default:
		return ErrFormat
	}
	h, err = r.in.peek(24)
	if err != nil {
		return short(err)
	}
	if v := r.order.Uint16(h[4:]); v != 2 {
		return fmt.Errorf("%w: pcap version %d", ErrFormat, v)
	}
	r.Interfaces = []Interface{{Link: packet.LinkType(r.order.Uint32(h[20:]) & 0xffff), SnapLen: r.order.Uint32(h[16:])}}
	r.in.discard(24)
	r.next = r.nextPcap
	return nil
}

// Next reads the next packet into rec; io.EOF at the end, io.ErrUnexpectedEOF where the file was cut off. Data is valid until the
// next call.
func (r *Reader) Next(rec *Record) error {
	if r.pending > 0 {
		r.in.discard(r.pending)
		r.pending = 0
	}
	return r.next(rec)
}

func (r *Reader) nextPcap(rec *Record) error {
	h, err := r.in.peek(16)
	if err != nil {
		if errors.Is(err, io.EOF) && len(h) > 0 {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	n, wire := r.order.Uint32(h[8:]), r.order.Uint32(h[12:])
	if n > MaxBlock {
		return fmt.Errorf("%w: a packet of %d bytes", ErrFormat, n)
	}
	frac := int64(r.order.Uint32(h[4:]))
	if !r.nano {
		frac *= 1000
	}
	rec.Nanos = int64(r.order.Uint32(h))*1e9 + frac
	rec.Interface, rec.Dir, rec.Comment, rec.Drop = 0, DirUnknown, "", 0
	rec.Len = max(int(wire), int(n))
	b, err := r.take(16, int(n))
	rec.Data = b
	return err
}

// take gives n bytes that follow a header of skip bytes: within the read buffer where they fit, copied where they do not.
func (r *Reader) take(skip, n int) ([]byte, error) {
	if skip+n <= windowSize {
		b, err := r.in.peek(skip + n)
		if err != nil {
			return nil, short(err)
		}
		r.pending = skip + n
		return b[skip : skip+n : skip+n], nil
	}
	r.in.discard(skip)
	// Grown as bytes come, so that a length alone allocates nothing.
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		part := min(n-len(r.buf), 1<<20)
		r.buf = slices.Grow(r.buf, part)
		at := len(r.buf)
		r.buf = r.buf[:at+part]
		if _, err := io.ReadFull(r.in, r.buf[at:]); err != nil {
			return nil, short(err)
		}
	}
	return r.buf, nil
}

// Block types of pcapng.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockNames     = 4
	blockStats     = 5
	blockEnhanced  = 6
)

// nextBlock reads blocks until one is a packet.
func (r *Reader) nextBlock(rec *Record) error {
	for {
		h, err := r.in.peek(12)
		if err != nil {
			if errors.Is(err, io.EOF) && len(h) > 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if binary.LittleEndian.Uint32(h) == blockSection {
			switch binary.LittleEndian.Uint32(h[8:]) {
			case 0x1a2b3c4d:
				r.order = littleEndian
			case 0x4d3c2b1a:
				r.order = bigEndian
			default:
				return fmt.Errorf("%w: no byte order in a section header", ErrFormat)
			}
		} else if r.order == noOrder {
			return ErrFormat
		}
		typ, n := r.order.Uint32(h), r.order.Uint32(h[4:])
		if n < 12 || n%4 != 0 || n > MaxBlock {
			return fmt.Errorf("%w: a block of %d bytes", ErrFormat, n)
		}
		b, err := r.take(8, int(n)-8)
		if err != nil {
			return err
		}
		if got := r.order.Uint32(b[len(b)-4:]); got != n {
			return fmt.Errorf("%w: a block's two lengths differ", ErrFormat)
		}
		ok, err := r.block(typ, b[:len(b)-4], rec)
		if err != nil || ok {
			return err
		}
		if r.pending > 0 {
			r.in.discard(r.pending)
			r.pending = 0
		}
	}
}

// block takes one block's body; true for a packet.
func (r *Reader) block(typ uint32, b []byte, rec *Record) (bool, error) {
	switch typ {
	case blockSection:
		if len(b) < 16 {
			return false, ErrFormat
		}
		if v := r.order.Uint16(b[4:]); v != 1 {
			return false, fmt.Errorf("%w: pcapng version %d", ErrFormat, v)
		}
		r.base = len(r.Interfaces)
	case blockInterface:
		return false, r.addInterface(b)
	case blockNames:
		r.addNames(b)
	case blockStats:
		r.addStats(b)
	case blockEnhanced, blockPacket:
		if len(b) < 20 {
			return false, fmt.Errorf("%w: a packet block of %d bytes", ErrFormat, len(b))
		}
		id := int(r.order.Uint32(b))
		if typ == blockPacket {
			id = int(r.order.Uint16(b))
		}
		return true, r.packet(id, b, rec)
	case blockSimple:
		if len(b) < 4 || r.base >= len(r.Interfaces) {
			return false, fmt.Errorf("%w: a simple packet without an interface", ErrFormat)
		}
		i := &r.Interfaces[r.base]
		wire := int(min(r.order.Uint32(b), 1<<31-1))
		n := min(wire, len(b)-4)
		if i.SnapLen != 0 {
			n = min(n, int(min(i.SnapLen, MaxBlock)))
		}
		*rec = Record{Interface: r.base, Data: b[4 : 4+n : 4+n], Len: max(wire, n)}
		return true, nil
	}
	return false, nil
}

func (r *Reader) packet(id int, b []byte, rec *Record) error {
	if id < 0 || r.base+id >= len(r.Interfaces) {
		return fmt.Errorf("%w: a packet of interface %d, which the file does not describe", ErrFormat, id)
	}
	i := &r.Interfaces[r.base+id]
	n, wire := r.order.Uint32(b[12:]), r.order.Uint32(b[16:])
	if uint64(n) > uint64(len(b)-20) {
		return fmt.Errorf("%w: a packet of %d bytes in a block of %d", ErrFormat, n, len(b))
	}
	rec.Nanos = i.nanos(uint64(r.order.Uint32(b[4:]))<<32 | uint64(r.order.Uint32(b[8:])))
	rec.Interface, rec.Dir, rec.Comment, rec.Drop = r.base+id, DirUnknown, "", 0
	rec.Data, rec.Len = b[20:20+n:20+n], int(max(min(wire, 1<<31-1), n))
	if rest := 20 + (int(n)+3)&^3; rest < len(b) {
		r.options(b[rest:], func(code uint16, v []byte) {
			switch code {
			case 1:
				rec.Comment = string(v)
			case 2: // epb_flags
				if len(v) == 4 {
					rec.Dir = Dir(r.order.Uint32(v) & 3 % 3)
				}
			case 4: // epb_dropcount
				if len(v) == 8 {
					rec.Drop = r.order.Uint64(v)
				}
			}
		})
	}
	return nil
}

// nanos converts a time stamp in the interface's units.
func (i *Interface) nanos(v uint64) int64 {
	per := i.perSecond
	if per == 0 {
		per = 1e6
	}
	sec, frac := v/per, v%per
	hi, lo := bits.Mul64(frac, 1e9)
	ns, _ := bits.Div64(hi, lo, per) // frac < per: no overflow
	return (int64(sec)+i.offset)*1e9 + int64(ns)
}

// options calls f for each option up to the end mark.
func (r *Reader) options(b []byte, f func(code uint16, v []byte)) {
	for len(b) >= 4 {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if code == 0 || 4+n > len(b) {
			return
		}
		f(code, b[4:4+n:4+n])
		b = b[min(4+(n+3)&^3, len(b)):]
	}
}

// maxInterfaces bounds what a file can make us remember.
const maxInterfaces = 1 << 16

func (r *Reader) addInterface(b []byte) error {
	if len(b) < 8 {
		return fmt.Errorf("%w: an interface block of %d bytes", ErrFormat, len(b))
	}
	if len(r.Interfaces) >= maxInterfaces {
		return fmt.Errorf("%w: more than %d interfaces", ErrFormat, maxInterfaces)
	}
	i := Interface{Link: packet.LinkType(r.order.Uint16(b)), SnapLen: r.order.Uint32(b[4:])}
	r.options(b[8:], func(code uint16, v []byte) {
		switch code {
		case 2:
			i.Name = string(v)
		case 3:
			i.Description = string(v)
		case 6:
			if len(v) == 6 {
				i.MAC = slices.Clone(v)
			}
		case 9: // if_tsresol: a power of 10, or with the highest bit of 2
			if len(v) == 1 {
				i.perSecond = resolution(v[0])
			}
		case 11:
			if len(v) > 1 && v[0] == 0 {
				i.Filter = string(v[1:])
			}
		case 12:
			i.OS = string(v)
		case 14:
			if len(v) == 8 {
				i.offset = int64(r.order.Uint64(v))
			}
		}
	})
	r.Interfaces = append(r.Interfaces, i)
	return nil
}

func resolution(v byte) uint64 {
	n := uint64(v & 0x7f)
	if v&0x80 != 0 {
		if n > 63 {
			n = 63
		}
		return 1 << n
	}
	per := uint64(1)
	for range min(n, 19) {
		per *= 10
	}
	return per
}

// maxNames bounds what a file can make us remember.
const maxNames = 1 << 17

func (r *Reader) addNames(b []byte) {
	for len(b) >= 4 {
		typ, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if typ == 0 || 4+n > len(b) {
			return
		}
		v, size := b[4:4+n], 4
		if typ == 2 {
			size = 16
		}
		if typ <= 2 && n > size && len(r.Names) < maxNames {
			name := v[size:]
			for i, c := range name {
				if c == 0 {
					name = name[:i]
					break
				}
			}
			r.Names = append(r.Names, Name{addrOf(v[:size]), string(name)})
		}
		b = b[min(4+(n+3)&^3, len(b)):]
	}
}

func (r *Reader) addStats(b []byte) {
	if len(b) < 12 {
		return
	}
	id := int(r.order.Uint32(b)) + r.base
	if id < 0 || id >= len(r.Interfaces) {
		return
	}
	s := r.Stats[id]
	s.DropUnknown = true
	r.options(b[12:], func(code uint16, v []byte) {
		switch {
		case code == 1:
			s.Comment = string(v)
		case len(v) != 8:
		case code == 4:
			s.Received = r.order.Uint64(v)
		case code == 5:
			s.Dropped, s.DropUnknown = r.order.Uint64(v), false
		}
	})
	r.Stats[id] = s
}
