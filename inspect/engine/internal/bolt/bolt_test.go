package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"testing"
)

// kv is a real one: 128 KB, written by Docker 20.10, with 5 networks.
const kv = "../../docker/testdata/data-root/network/files/local-kv.db"

func TestWalk(t *testing.T) {
	data, err := os.ReadFile(kv)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	if err := Walk(data, func(k, v []byte) error { keys = append(keys, string(k)); return nil }, "libnetwork"); err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(keys); i++ {
		if keys[i-1] >= keys[i] {
			t.Errorf("%q comes before %q", keys[i-1], keys[i])
		}
	}
	if len(keys) < 20 {
		t.Errorf("%d keys", len(keys))
	}
	if err := Walk(data, func(_, _ []byte) error { t.Error("called"); return nil }, "no such bucket"); err != nil {
		t.Error(err)
	}
	stop := errors.New("stop")
	if err := Walk(data, func(_, _ []byte) error { return stop }, "libnetwork"); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// page makes pages of 512 bytes by hand: a branch over two leaves, and buckets inside the page and outside of it.
func page(flags uint16, items ...[3]string) []byte {
	p := make([]byte, 512)
	le := binary.LittleEndian
	le.PutUint16(p[8:], flags)
	le.PutUint16(p[10:], uint16(len(items)))
	at := pageHeader + len(items)*leafSize
	for i, it := range items {
		e := p[pageHeader+i*leafSize:]
		pos := uint32(at - pageHeader - i*leafSize)
		if flags == flagBranch {
			le.PutUint32(e, pos)
			le.PutUint32(e[4:], uint32(len(it[1])))
			le.PutUint64(e[8:], uint64(it[0][0]))
			at += copy(p[at:], it[1])
			continue
		}
		if it[0] == "bucket" {
			le.PutUint32(e, leafIsBucket)
		}
		le.PutUint32(e[4:], pos)
		le.PutUint32(e[8:], uint32(len(it[1])))
		le.PutUint32(e[12:], uint32(len(it[2])))
		at += copy(p[at:], it[1])
		at += copy(p[at:], it[2])
	}
	return p
}

func metaPage(root, tx uint64) []byte {
	p := make([]byte, 512)
	le := binary.LittleEndian
	le.PutUint16(p[8:], flagMeta)
	m := p[pageHeader:]
	le.PutUint32(m, magic)
	le.PutUint32(m[4:], version)
	le.PutUint32(m[8:], 512)
	le.PutUint64(m[16:], root)
	le.PutUint64(m[48:], tx)
	sum := fnv.New64a()
	sum.Write(m[:56])
	le.PutUint64(m[56:], sum.Sum64())
	return p
}

func bucketValue(root uint64, inline []byte) string {
	b := make([]byte, bucketSize)
	binary.LittleEndian.PutUint64(b, root)
	return string(append(b, inline...))
}

func TestByHand(t *testing.T) {
	inner := page(flagLeaf, [3]string{"", "k", "inline"})[:64]
	pages := [][]byte{
		metaPage(9, 1), // an older one, whose root is nowhere
		metaPage(2, 2),
		page(flagLeaf, [3]string{"bucket", "big", bucketValue(3, nil)}, [3]string{"bucket", "small", bucketValue(0, inner)}, [3]string{"", "plain", "x"}),
		page(flagBranch, [3]string{"\x04", "a"}, [3]string{"\x05", "m"}),
		page(flagLeaf, [3]string{"", "a", "1"}, [3]string{"", "b", "2"}),
		page(flagLeaf, [3]string{"", "m", "3"}),
	}
	var data []byte
	for _, p := range pages {
		data = append(data, p...)
	}
	get := func(path ...string) string {
		s := ""
		if err := Walk(data, func(k, v []byte) error { s += fmt.Sprintf("%s=%s ", k, v); return nil }, path...); err != nil {
			return err.Error()
		}
		return s
	}
	for want, path := range map[string][]string{"plain=x ": nil, "a=1 b=2 m=3 ": {"big"}, "k=inline ": {"small"}} {
		if got := get(path...); got != want {
			t.Errorf("%v: %q, want %q", path, got, want)
		}
	}
	// A branch that leads to itself.
	copy(data[3*512:], page(flagBranch, [3]string{"\x03", "a"}, [3]string{"\x03", "m"}))
	if err := Walk(data, func(_, _ []byte) error { return nil }, "big"); !errors.Is(err, ErrFormat) {
		t.Errorf("a circle: %v", err)
	}
}

func FuzzWalk(f *testing.F) {
	data, err := os.ReadFile(kv)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[:32768])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := Walk(data, func(_, _ []byte) error { return nil }, "libnetwork"); err != nil && !errors.Is(err, ErrFormat) {
			t.Error(err)
		}
	})
}
