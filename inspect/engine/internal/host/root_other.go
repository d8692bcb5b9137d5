//go:build !linux

package host

import (
	"io/fs"
	"net"
	"os"
	"reflect"
)

func holdRoot(prefix string) (*os.File, error) { return os.Open(prefix + "/") }

func (r Root) walkFrom() string { return r.Prefix }

func (r Root) open(name string) (*os.File, error) {
	file, err := r.resolve(name)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !info.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: r.Path(name), Err: ErrNotRegular}
	}
	return os.Open(file)
}

// located is a file that was found: here by its name.
type located struct{ name string }

func (l located) Close() error { return nil }

func (r Root) openPath(name string) (located, error) {
	file, err := r.resolve(name)
	if err != nil {
		return located{}, err
	}
	_, err = os.Stat(file)
	return located{file}, err
}

func fileInfo(f located) (FileInfo, error) {
	st, err := os.Stat(f.name)
	if err != nil {
		return FileInfo{}, err
	}
	info := FileInfo{Mode: st.Mode()}
	// The field types differ from system to system.
	if sys := reflect.Indirect(reflect.ValueOf(st.Sys())); sys.IsValid() && sys.Kind() == reflect.Struct {
		info.Dev, info.Ino = number(sys.FieldByName("Dev")), number(sys.FieldByName("Ino"))
	}
	return info, nil
}

func number(v reflect.Value) uint64 {
	switch {
	case !v.IsValid():
		return 0
	case v.CanUint():
		return v.Uint()
	case v.CanInt():
		return uint64(v.Int())
	}
	return 0
}

func dialAddress(f located) string { return f.name }

// PeerPID is known on Linux only.
func PeerPID(net.Conn) int { return 0 }
