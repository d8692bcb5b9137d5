package snapshot

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Save writes a snapshot to a file, compressed as its name says: .gz, .zst, or not at all. The file appears whole or not
// at all: it is written beside its place and renamed. "-" is standard output. Files are readable by their owner alone,
// because a snapshot tells much about a host.
func Save(path string, s *Snapshot) error {
	if path == "-" {
		return s.Write(os.Stdout)
	}
	// A device or a pipe cannot be replaced by a rename.
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		return writeAs(f, path, s)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		var pe *os.PathError // its path is a name that nobody gave
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // fails after the rename, as it should
	if err := writeAs(f, path, s); err != nil {
		f.Close()
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

func writeAs(f io.Writer, name string, s *Snapshot) error {
	var c io.WriteCloser
	switch {
	case strings.HasSuffix(name, ".gz"):
		c = gzip.NewWriter(f)
	case strings.HasSuffix(name, ".zst"), strings.HasSuffix(name, ".zstd"):
		var err error
		if c, err = zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20)); err != nil {
			return err
		}
	default:
		return s.Write(f)
	}
	if err := s.Write(c); err != nil {
		return err
	}
	return c.Close()
}

// Write writes the snapshot as JSON: one line per field, and within a list one line per element, so that a text diff of
// two files is of use and no more than one element is in memory twice.
func (s *Snapshot) Write(w io.Writer) error {
	s.Normalize()
	b := bufio.NewWriterSize(w, 1<<16)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	v := reflect.ValueOf(s).Elem()
	t := v.Type()
	b.WriteString("{\n")
	first := true
	for i := range t.NumField() {
		name, opts, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		f := v.Field(i)
		if strings.Contains(opts, "omitempty") && f.IsZero() {
			continue
		}
		if !first {
			b.WriteString(",")
		}
		first = false
		fmt.Fprintf(b, "%q: ", name)
		if f.Kind() != reflect.Slice {
			if err := enc.Encode(f.Interface()); err != nil { // ends the line
				return err
			}
			continue
		}
		b.WriteString("[\n")
		for j := range f.Len() {
			if j > 0 {
				b.WriteString(",")
			}
			if err := enc.Encode(f.Index(j).Addr().Interface()); err != nil {
				return err
			}
		}
		b.WriteString("]\n")
	}
	b.WriteString("}\n")
	return b.Flush()
}
