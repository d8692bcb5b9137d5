package snapshot

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
)

// Errors of Load, found with errors.Is.
var (
	// ErrNotSnapshot: the file is something else.
	ErrNotSnapshot = errors.New("not an nscope snapshot")
	// ErrTruncated: the file ends too early.
	ErrTruncated = errors.New("the snapshot is cut short")
	// ErrNewer: a newer nscope wrote it, in a format that this one does not read.
	ErrNewer = errors.New("written by a newer nscope")
	// ErrTooLarge: it is (or unpacks to) more than MaxSize.
	ErrTooLarge = errors.New("larger than any snapshot")
)

// MaxSize bounds how many bytes of JSON a snapshot may have: against files that unpack without end.
const MaxSize = 1 << 30

var maxSize int64 = MaxSize // smaller in tests

// Load reads a snapshot from a file, "-" being standard input. Compression (gzip, zstd) is told by the content, not by the name.
func Load(path string) (*Snapshot, error) {
	if path == "-" {
		s, err := Read(os.Stdin)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return s, nil
	}
	f, err := os.Open(path)
	if err != nil {
		var pe *os.PathError // its text says the path a second time
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	defer f.Close()
	s, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Read reads a snapshot. The error wraps one of the package's.
func Read(r io.Reader) (*Snapshot, error) {
	br := bufio.NewReaderSize(r, 1<<16)
	magic, _ := br.Peek(4)
	var in io.Reader = br
	switch {
	case len(magic) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrNotSnapshot)
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, readErr(err)
		}
		in = z
	case bytes.Equal(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, readErr(err)
		}
		defer z.Close()
		in = z
	}
	lim := &limited{r: in, left: maxSize}
	dec := json.NewDecoder(lim)
	var s Snapshot
	if err := dec.Decode(&s); err != nil {
		if lim.over {
			return nil, ErrTooLarge
		}
		// A newer schema may have changed a type: say so rather than complain about the type.
		if s.Schema > Schema {
			return nil, newer(s.Schema)
		}
		return nil, readErr(err)
	}
	switch {
	case s.Schema > Schema:
		return nil, newer(s.Schema)
	case s.Schema < 1 || s.Tool == "":
		return nil, fmt.Errorf("%w: it has no schema and tool", ErrNotSnapshot)
	}
	if rest, err := dec.Token(); err != io.EOF {
		if err != nil {
			return nil, readErr(err)
		}
		return nil, fmt.Errorf("%w: something follows it (%v)", ErrNotSnapshot, rest)
	}
	s.Normalize()
	return &s, nil
}

func newer(schema int) error {
	return fmt.Errorf("%w: its schema is %d, this nscope reads up to %d", ErrNewer, schema, Schema)
}

func readErr(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return ErrTruncated
	default:
		return fmt.Errorf("%w: %w", ErrNotSnapshot, err)
	}
}

// limited is an io.LimitedReader that remembers that it cut something off.
type limited struct {
	r    io.Reader
	left int64
	over bool
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		l.over = true
		return 0, ErrTooLarge
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}
