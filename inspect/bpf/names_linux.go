package bpf

import (
	"encoding/hex"
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

type info struct {
	name, tag string
	typ       uint32
}

// idAttr is the part of union bpf_attr that BPF_PROG_GET_FD_BY_ID uses, infoAttr that of BPF_OBJ_GET_INFO_BY_FD.
type (
	idAttr   struct{ id, next, flags uint32 }
	infoAttr struct {
		fd, length uint32
		info       uint64
	}
)

// progInfo is the beginning of struct bpf_prog_info: the kernel fills as much as there is room for.
type progInfo struct {
	typ, id         uint32
	tag             [8]byte
	jitedLen        uint32
	xlatedLen       uint32
	jited, xlated   uint64
	loadTime        uint64
	uid, nrMaps     uint32
	maps            uint64
	name            [16]byte
	ifindex, bitset uint32
}

// Names fills what the programs of these namespaces are called.
func (r *Reader) Names(spaces []*snapshot.Namespace) {
	for _, ns := range spaces {
		for i := range ns.Programs {
			p := &ns.Programs[i]
			n := r.name(p.ID)
			p.Name, p.Tag = n.name, n.tag
		}
	}
}

// maxLoaded bounds how many programs are looked at for their types.
const maxLoaded = 4096

// loaded are the types of all programs that the kernel has, nil where it does not tell. Their names are noted on the way.
func (r *Reader) loaded() map[uint32]bool {
	types := map[uint32]bool{}
	by := idAttr{}
	for range maxLoaded {
		_, err := call(unix.BPF_PROG_GET_NEXT_ID, unsafe.Pointer(&by), unsafe.Sizeof(by))
		if errors.Is(err, unix.ENOENT) {
			return types
		}
		if err != nil {
			return nil
		}
		n, err := lookup(by.next)
		switch {
		case err == nil:
			types[n.typ] = true
			r.mu.Lock()
			r.names[by.next] = n
			r.mu.Unlock()
		case !errors.Is(err, unix.ENOENT): // gone since
			return nil
		}
		by = idAttr{id: by.next}
	}
	return nil
}

func (r *Reader) name(id uint32) info {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, ok := r.names[id]
	if !ok {
		var err error
		if n, err = lookup(id); errors.Is(err, unix.EPERM) {
			r.unnamed.Store(true)
		}
		r.names[id] = n
	}
	return n
}

// lookup asks for the name of a program; one that is gone meanwhile has none.
func lookup(id uint32) (info, error) {
	by := idAttr{id: id}
	fd, err := call(unix.BPF_PROG_GET_FD_BY_ID, unsafe.Pointer(&by), unsafe.Sizeof(by))
	if err != nil {
		return info{}, err
	}
	defer unix.Close(fd)
	var p progInfo
	a := infoAttr{fd: uint32(fd), length: uint32(unsafe.Sizeof(p)), info: uint64(uintptr(unsafe.Pointer(&p)))}
	if _, err := call(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&a), unsafe.Sizeof(a)); err != nil {
		return info{}, err
	}
	return info{unix.ByteSliceToString(p.name[:]), hex.EncodeToString(p.tag[:]), p.typ}, nil
}
