package pcap

import (
	"encoding/binary"
	"io"
)

// window is what of a file lies in memory, read in large blocks.
type window struct {
	in       io.Reader
	buf      []byte
	from, to int
	err      error
}

const windowSize = 256 << 10

func newWindow(in io.Reader) *window { return &window{in: in, buf: make([]byte, windowSize)} }

// peek gives the next n bytes (at most [windowSize]), fewer with the error that ends the file. They are valid until the next call.
func (w *window) peek(n int) ([]byte, error) {
	if w.to-w.from < n {
		return w.fill(n)
	}
	return w.buf[w.from : w.from+n], nil
}

// fill reads until there are n bytes.
func (w *window) fill(n int) ([]byte, error) {
	w.to = copy(w.buf, w.buf[w.from:w.to])
	w.from = 0
	for empty := 0; w.to < n && w.err == nil; {
		var got int
		got, w.err = w.in.Read(w.buf[w.to:])
		w.to += got
		if empty++; got > 0 {
			empty = 0
		} else if empty == 100 && w.err == nil {
			w.err = io.ErrNoProgress
		}
	}
	if w.to < n {
		return w.buf[:w.to], w.err
	}
	return w.buf[:n], nil
}

// discard goes on by n bytes, which were peeked.
func (w *window) discard(n int) { w.from += n }

// Read gives what lies in memory, then what comes after it.
func (w *window) Read(b []byte) (int, error) {
	if w.from < w.to {
		n := copy(b, w.buf[w.from:w.to])
		w.from += n
		return n, nil
	}
	if w.err != nil {
		return 0, w.err
	}
	return w.in.Read(b)
}

// byteOrder is a file's, told by a branch instead of a call for each number.
type byteOrder uint8

const (
	noOrder byteOrder = iota
	littleEndian
	bigEndian
)

func (o byteOrder) Uint16(b []byte) uint16 {
	if o == bigEndian {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (o byteOrder) Uint32(b []byte) uint32 {
	if o == bigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (o byteOrder) Uint64(b []byte) uint64 {
	if o == bigEndian {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}
