package pcap

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Files writes packets to a file, or to several in turn. Each is a whole pcapng file of its own, with the interfaces and names that its packets
// need. A name that ends in .zst is compressed; it can be decompressed up to the last flush, whatever happens.
type Files struct {
	// Path is the file's name. Where files take turns, a number stands before its ending: net.0001.pcapng, net.0002.pcapng.
	Path string
	// Out is written to in place of files, where not nil.
	Out     io.Writer
	Section Section
	Names   []Name
	// Bytes and Every end a file, where not 0: when it has so many bytes (compressed ones), or spans so much time of packets. Keep removes
	// all but the newest so many files, 0: none.
	Bytes int64
	Every time.Duration
	Keep  int

	w     *Writer
	sink  *counted
	ifs   []Interface
	ids   []int // of the interfaces that this file has, and 1; 0 for those that it has not
	n     int
	first int64
	made  []string
	past  int64
}

// counted is the file below a writer: how much has reached it.
type counted struct {
	out  io.Writer
	file *os.File // nil for a writer that was given
	zst  *zstd.Encoder
	n    int64
}

func (c *counted) Write(b []byte) (int, error) {
	if c.zst == nil {
		n, err := c.out.Write(b)
		c.n += int64(n)
		return n, err
	}
	n, err := c.zst.Write(b)
	if err == nil {
		err = c.zst.Flush()
	}
	if at, e := c.file.Seek(0, io.SeekCurrent); e == nil {
		c.n = at
	}
	return n, err
}

func (c *counted) close() (err error) {
	if c.file == nil {
		return nil
	}
	if c.zst != nil {
		err = c.zst.Close()
		if at, e := c.file.Seek(0, io.SeekCurrent); e == nil {
			c.n = at
		}
	}
	return errors.Join(err, c.file.Close())
}

func (f *Files) turns() bool { return f.Out == nil && (f.Bytes > 0 || f.Every > 0) }

// Open makes the first file: what cannot be written is told at once.
func (f *Files) Open() error {
	path := f.Path
	if f.turns() {
		path = numbered(path, f.n+1)
	}
	if f.Out != nil {
		f.sink, f.ids = &counted{out: f.Out}, nil
		var err error
		if f.w, err = NewWriter(f.sink, f.Section); err == nil {
			err = f.w.Names(f.Names)
		}
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) // packets are secrets
	if err != nil {
		return err
	}
	f.n++
	f.sink = &counted{out: file, file: file}
	if strings.HasSuffix(path, ".zst") {
		if f.sink.zst, err = zstd.NewWriter(file, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	f.ids, f.first = nil, 0
	if f.w, err = NewWriter(f.sink, f.Section); err == nil {
		err = f.w.Names(f.Names)
	}
	f.made = append(f.made, path)
	for f.Keep > 0 && len(f.made) > f.Keep {
		err = errors.Join(err, os.Remove(f.made[0]))
		f.made = f.made[1:]
	}
	return err
}

// numbered puts a number before a name's ending (".pcapng", ".pcapng.zst").
func numbered(path string, n int) string {
	dir, base := filepath.Split(path)
	name, ext, dot := strings.Cut(base, ".")
	if dot {
		ext = "." + ext
	}
	return fmt.Sprintf("%s%s.%04d%s", dir, name, n, ext)
}

// AddInterface describes an interface; its id is for all files.
func (f *Files) AddInterface(i Interface) int {
	f.ifs = append(f.ifs, i)
	return len(f.ifs) - 1
}

// Append takes a packet, which Flush writes. The next file begins before it where this one is full.
func (f *Files) Append(rec *Record) error {
	if f.first == 0 {
		f.first = rec.Nanos
	}
	if f.turns() && (f.Every > 0 && rec.Nanos-f.first >= int64(f.Every) || f.Bytes > 0 && f.sink.n+int64(f.w.Buffered()) >= f.Bytes) {
		if err := f.next(); err != nil {
			return err
		}
		f.first = rec.Nanos
	}
	id := f.id(rec.Interface)
	if id < 0 {
		if err := f.w.Flush(); err != nil {
			return err
		}
		var err error
		if id, err = f.w.AddInterface(f.ifs[rec.Interface]); err != nil {
			return err
		}
		f.ids = append(f.ids, make([]int, max(0, rec.Interface+1-len(f.ids)))...)
		f.ids[rec.Interface] = id + 1
	}
	f.w.append(rec, id)
	return nil
}

// id is an interface's in this file, -1 where it has none yet.
func (f *Files) id(of int) int {
	if of < len(f.ids) {
		return f.ids[of] - 1
	}
	return -1
}

func (f *Files) next() error {
	if err := errors.Join(f.w.Flush(), f.sink.close()); err != nil {
		return err
	}
	f.past += f.sink.n
	return f.Open()
}

// Buffered is how many bytes wait for Flush; Written how many are in files.
func (f *Files) Buffered() int  { return f.w.Buffered() }
func (f *Files) Written() int64 { return f.past + f.sink.n }

// Flush writes what was taken.
func (f *Files) Flush() error { return f.w.Flush() }

// Close ends the last file, with the counters of its interfaces (by the ids that AddInterface gave) at a time.
func (f *Files) Close(nanos int64, stats map[int]Stats) error {
	err := f.w.Flush()
	for _, id := range slices.Sorted(maps.Keys(stats)) {
		if here := f.id(id); here >= 0 && err == nil {
			err = f.w.Stats(here, nanos, stats[id])
		}
	}
	return errors.Join(err, f.sink.close())
}
