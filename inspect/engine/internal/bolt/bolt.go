package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// ErrFormat is wrapped by the errors about a file that is no database, or a damaged one.
var ErrFormat = errors.New("not a bolt database")

const (
	magic   = 0xED0CDAED
	version = 2

	pageHeader = 16 // id u64, flags u16, count u16, overflow u32
	leafSize   = 16 // flags u32, pos u32, ksize u32, vsize u32

	bucketSize = 16 // root pgid u64, sequence u64

	flagBranch = 0x01
	flagLeaf   = 0x02
	flagMeta   = 0x04

	leafIsBucket = 0x01

	// maxDepth bounds the walk: a tree of this depth would hold more than any file, a deeper one is a circle.
	maxDepth = 32
	// maxItems bounds the number of items that are visited.
	maxItems = 1 << 20
)

type reader struct {
	data     []byte
	pageSize uint64
	items    int
}

// Walk calls f with every key and value of the buckets at path, one bucket inside the other, in the order of the keys.
// The slices are parts of data.
func Walk(data []byte, f func(key, value []byte) error, path ...string) error {
	r := &reader{data: data}
	root, err := r.root()
	if err != nil {
		return err
	}
	page := func() ([]byte, error) { return r.page(root) }
	for _, name := range path {
		var found []byte
		err := r.walk(page, func(flags uint32, key, value []byte) error {
			if flags&leafIsBucket != 0 && string(key) == name {
				found = value
			}
			return nil
		}, 0)
		if err != nil {
			return err
		}
		if found == nil {
			return nil
		}
		if len(found) < bucketSize {
			return damaged("bucket")
		}
		id := binary.LittleEndian.Uint64(found)
		page = func() ([]byte, error) { return r.page(id) }
		if id == 0 {
			// A small bucket lies in its parent's page, as a page without a number.
			page = func() ([]byte, error) { return found[bucketSize:], nil }
		}
	}
	return r.walk(page, func(flags uint32, key, value []byte) error {
		if flags&leafIsBucket != 0 {
			return nil
		}
		return f(key, value)
	}, 0)
}

func damaged(what string) error { return fmt.Errorf("%w: bad %s", ErrFormat, what) }

// root finds the newer of the two meta pages that is whole. The second one lies where the first says the page size ends.
func (r *reader) root() (uint64, error) {
	var best, bestTx uint64
	ok := false
	try := func(at uint64) {
		root, tx, size, good := r.meta(at)
		if good && (!ok || tx > bestTx) {
			best, bestTx, r.pageSize, ok = root, tx, size, true
		}
	}
	try(0)
	for size := uint64(512); size <= 1<<16; size <<= 1 {
		if r.pageSize == 0 || size == r.pageSize {
			try(size)
		}
	}
	if !ok {
		return 0, damaged("meta page")
	}
	return best, nil
}

// meta reads a meta page: magic u32, version u32, pageSize u32, flags u32, root bucket {pgid u64, sequence u64},
// freelist u64, pgid u64, txid u64, checksum u64 (FNV-1a of what is before it).
func (r *reader) meta(at uint64) (root, tx, pageSize uint64, ok bool) {
	if uint64(len(r.data)) < at+pageHeader+64 {
		return
	}
	m := r.data[at+pageHeader:]
	le := binary.LittleEndian
	if le.Uint16(r.data[at+8:])&flagMeta == 0 || le.Uint32(m) != magic || le.Uint32(m[4:]) != version {
		return
	}
	sum := fnv.New64a()
	sum.Write(m[:56])
	if sum.Sum64() != le.Uint64(m[56:]) {
		return
	}
	pageSize = uint64(le.Uint32(m[8:]))
	if pageSize < 512 || pageSize > 1<<16 {
		return
	}
	return le.Uint64(m[16:]), le.Uint64(m[48:]), pageSize, true
}

// page returns a page with those that it overflows into.
func (r *reader) page(id uint64) ([]byte, error) {
	size := uint64(len(r.data))
	if id > size/r.pageSize {
		return nil, damaged("page number")
	}
	at := id * r.pageSize
	if size-at < pageHeader {
		return nil, damaged("page number")
	}
	pages := 1 + uint64(binary.LittleEndian.Uint32(r.data[at+12:]))
	return r.data[at:min(size, at+pages*r.pageSize)], nil
}

func (r *reader) walk(page func() ([]byte, error), f func(flags uint32, key, value []byte) error, depth int) error {
	if depth > maxDepth {
		return damaged("tree")
	}
	p, err := page()
	if err != nil {
		return err
	}
	if len(p) < pageHeader {
		return damaged("page")
	}
	le := binary.LittleEndian
	flags, count := le.Uint16(p[8:]), int(le.Uint16(p[10:]))
	for i := range count {
		if r.items++; r.items > maxItems {
			return damaged("tree")
		}
		at := pageHeader + i*leafSize
		if at+leafSize > len(p) {
			return damaged("page")
		}
		e := p[at:]
		switch {
		case flags&flagLeaf != 0:
			pos, ksize, vsize := uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
			if pos+ksize+vsize > uint64(len(e)) {
				return damaged("item")
			}
			key, value := e[pos:pos+ksize], e[pos+ksize:pos+ksize+vsize]
			if err := f(le.Uint32(e), key, value); err != nil {
				return err
			}
		case flags&flagBranch != 0:
			id := le.Uint64(e[8:])
			if err := r.walk(func() ([]byte, error) { return r.page(id) }, f, depth+1); err != nil {
				return err
			}
		default:
			return damaged("page")
		}
	}
	return nil
}
