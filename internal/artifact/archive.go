package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"time"
)

// Tar is an archive whose entries all have one time and belong to root; the first error stays.
type Tar struct {
	w    *tar.Writer
	time time.Time
	err  error
}

// NewTar writes to w; Close tells of the first error.
func NewTar(w io.Writer, t time.Time) *Tar { return &Tar{w: tar.NewWriter(w), time: t} }

// Header adds an entry that has no content.
func (t *Tar) Header(h *tar.Header) {
	if t.err == nil {
		h.ModTime, h.Format = t.time, tar.FormatUSTAR
		t.err = t.w.WriteHeader(h)
	}
}

// Dir adds a folder, whose name ends in a slash.
func (t *Tar) Dir(name string) {
	t.Header(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755})
}

// File adds a file.
func (t *Tar) File(name string, mode int64, data []byte) {
	t.Header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))})
	if t.err == nil {
		_, t.err = t.w.Write(data)
	}
}

// Close ends the archive.
func (t *Tar) Close() error {
	if t.err != nil {
		return t.err
	}
	return t.w.Close()
}

// Gzip compresses as well as gzip can, without a time or a name.
func Gzip(data []byte) ([]byte, error) {
	var z bytes.Buffer
	gz, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := gz.Write(data); err != nil {
		return nil, err
	}
	if err := gz.Close(); err != nil {
		return nil, err
	}
	return z.Bytes(), nil
}
