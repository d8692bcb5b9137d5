package pcap

import (
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
)

func addrOf(b []byte) netip.Addr { a, _ := netip.AddrFromSlice(b); return a }

// Section describes a whole file.
type Section struct {
	Hardware, OS, Application, Comment string
}

// Writer writes pcapng, in the machine's byte order, nanoseconds. Each call writes whole blocks by one Write.
type Writer struct {
	out   io.Writer
	buf   []byte
	ifs   int
	bytes int64
	err   error
}

// NewWriter begins a file.
func NewWriter(out io.Writer, s Section) (*Writer, error) {
	w := &Writer{out: out}
	at := w.begin(blockSection)
	w.u32(0x1a2b3c4d)
	w.u16(1, 0)
	w.buf = binary.NativeEndian.AppendUint64(w.buf, ^uint64(0)) // length not known
	w.text(1, s.Comment)
	w.text(2, s.Hardware)
	w.text(3, s.OS)
	w.text(4, s.Application)
	w.end(at)
	return w, w.flush()
}

// Bytes is how many were written.
func (w *Writer) Bytes() int64 { return w.bytes }

func (w *Writer) u16(v ...uint16) {
	for _, x := range v {
		w.buf = binary.NativeEndian.AppendUint16(w.buf, x)
	}
}

func (w *Writer) u32(v ...uint32) {
	for _, x := range v {
		w.buf = binary.NativeEndian.AppendUint32(w.buf, x)
	}
}

func (w *Writer) begin(typ uint32) int {
	at := len(w.buf)
	w.u32(typ, 0)
	return at
}

// end closes a block: options' end mark where there were options, both lengths.
func (w *Writer) end(at int) {
	n := uint32(len(w.buf) - at + 4)
	w.u32(n)
	binary.NativeEndian.PutUint32(w.buf[at+4:], n)
}

func (w *Writer) pad() {
	for len(w.buf)%4 != 0 {
		w.buf = append(w.buf, 0)
	}
}

func (w *Writer) option(code uint16, v []byte) {
	w.u16(code, uint16(len(v)))
	w.buf = append(w.buf, v...)
	w.pad()
}

func (w *Writer) text(code uint16, s string) {
	if s != "" {
		w.option(code, []byte(s[:min(len(s), 0xffff)]))
	}
}

func (w *Writer) flush() error {
	if w.err != nil {
		return w.err
	}
	n, err := w.out.Write(w.buf)
	w.bytes += int64(n)
	w.buf = w.buf[:0]
	w.err = err
	return err
}

// AddInterface describes one more interface; its id is what Record.Interface refers to.
func (w *Writer) AddInterface(i Interface) (int, error) {
	at := w.begin(blockInterface)
	w.u16(uint16(i.Link), 0)
	w.u32(i.SnapLen)
	w.text(2, i.Name)
	w.text(3, i.Description)
	if len(i.MAC) == 6 {
		w.option(6, i.MAC)
	}
	w.option(9, []byte{9}) // nanoseconds
	if i.Filter != "" {
		w.option(11, append([]byte{0}, i.Filter[:min(len(i.Filter), 0xfffe)]...))
	}
	w.text(12, i.OS)
	w.u32(0)
	w.end(at)
	w.ifs++
	return w.ifs - 1, w.flush()
}

// Names writes a name resolution block.
func (w *Writer) Names(names []Name) error {
	if len(names) == 0 {
		return nil
	}
	at := w.begin(blockNames)
	for _, n := range names {
		typ := uint16(1)
		if n.Addr.Is6() {
			typ = 2
		}
		w.option(typ, slices.Concat(n.Addr.AsSlice(), []byte(n.Name[:min(len(n.Name), 255)]), []byte{0}))
	}
	w.u32(0)
	w.end(at)
	return w.flush()
}

// Write writes a packet.
func (w *Writer) Write(rec *Record) error {
	w.Append(rec)
	return w.flush()
}

// Append puts a packet into the writer's buffer, which [Writer.Flush] writes: several packets of a burst in one Write.
func (w *Writer) Append(rec *Record) { w.append(rec, rec.Interface) }

// append writes the block of a packet of the interface id: its length is known before, but for a comment.
func (w *Writer) append(rec *Record, id int) {
	const fixed = 28 // type, length, interface, two of time, two of length
	at, n := len(w.buf), len(rec.Data)
	size := fixed + (n+3)&^3
	w.buf = slices.Grow(w.buf, size+16)[:at+size]
	b, o := w.buf[at:], binary.NativeEndian
	o.PutUint32(b, blockEnhanced)
	o.PutUint32(b[8:], uint32(id))
	o.PutUint32(b[12:], uint32(uint64(rec.Nanos)>>32))
	o.PutUint32(b[16:], uint32(uint64(rec.Nanos)))
	o.PutUint32(b[20:], uint32(n))
	o.PutUint32(b[24:], uint32(rec.Len))
	copy(b[fixed:], rec.Data)
	clear(b[fixed+n:])
	if rec.Comment != "" {
		w.text(1, rec.Comment)
	}
	if rec.Dir != DirUnknown {
		w.u16(2, 4)
		w.u32(uint32(rec.Dir))
	}
	if rec.Drop > 0 {
		w.option(4, binary.NativeEndian.AppendUint64(nil, rec.Drop))
	}
	if rec.Dir != DirUnknown || rec.Comment != "" || rec.Drop > 0 {
		w.u32(0)
	}
	w.end(at)
}

// Buffered is how many bytes wait for Flush.
func (w *Writer) Buffered() int { return len(w.buf) }

// Flush writes what was appended.
func (w *Writer) Flush() error {
	if len(w.buf) == 0 {
		return w.err
	}
	return w.flush()
}

// Stats writes an interface's counters, at the end.
func (w *Writer) Stats(id int, nanos int64, s Stats) error {
	at := w.begin(blockStats)
	w.u32(uint32(id), uint32(uint64(nanos)>>32), uint32(uint64(nanos)))
	w.text(1, s.Comment)
	w.option(4, binary.NativeEndian.AppendUint64(nil, s.Received))
	if !s.DropUnknown {
		w.option(5, binary.NativeEndian.AppendUint64(nil, s.Dropped))
	}
	w.u32(0)
	w.end(at)
	return w.flush()
}
