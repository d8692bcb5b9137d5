package bpf

import (
	"errors"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// place is an enum bpf_attach_type, what libbpf calls it, and the type of its programs (enum bpf_prog_type).
type place struct {
	typ  uint32
	name string
	prog uint32
}

var (
	linkPlaces   = []place{{46, "tcx_ingress", 3}, {47, "tcx_egress", 3}}     // Linux 6.6
	netkitPlaces = []place{{54, "netkit_primary", 3}, {55, "netkit_peer", 3}} // Linux 6.7
	netnsPlaces  = []place{{17, "flow_dissector", 22}, {36, "sk_lookup", 30}}
	// cgroupPlaces are those where packets, or the addresses that sockets send them to, can be changed or refused.
	cgroupPlaces = []place{
		{0, "cgroup_inet_ingress", 8}, {1, "cgroup_inet_egress", 8}, {3, "cgroup_sock_ops", 13}, {8, "cgroup_inet4_bind", 18},
		{9, "cgroup_inet6_bind", 18}, {10, "cgroup_inet4_connect", 18}, {11, "cgroup_inet6_connect", 18}, {14, "cgroup_udp4_sendmsg", 18},
		{15, "cgroup_udp6_sendmsg", 18}, {19, "cgroup_udp4_recvmsg", 18}, {20, "cgroup_udp6_recvmsg", 18},
	}
)

// maxPrograms is how many programs a place can have (BPF_MPROG_MAX, BPF_CGROUP_MAX_PROGS).
const maxPrograms = 64

// Reader asks the kernel. Its methods may be called from several threads at once; it is good for one reading of a host.
type Reader struct {
	// missing notes places that this kernel has not, by their type: they are asked for once.
	missing [64]atomic.Bool
	// denied is set once bpf(2) has refused a question, unnamed once it has refused a program's name.
	denied, unnamed atomic.Bool

	mu      sync.Mutex
	strange error // the first error that is none of those
	names   map[uint32]info

	// once lists which types of programs the kernel has at all; nil: it does not tell, each place is asked.
	once  sync.Once
	types map[uint32]bool
}

// NewReader makes one.
func NewReader() *Reader { return &Reader{names: map[uint32]info{}} }

// queryAttr is the part of union bpf_attr that BPF_PROG_QUERY uses.
type queryAttr struct {
	target      uint32 // a descriptor, or a link's ifindex
	attachType  uint32
	queryFlags  uint32
	attachFlags uint32
	progIDs     uint64
	progCount   uint32
	_           uint32
}

func call(cmd int, attr unsafe.Pointer, size uintptr) (int, error) {
	for {
		n, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(cmd), uintptr(attr), size)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR, unix.EAGAIN:
		default:
			return 0, errno
		}
	}
}

// asks tells whether a place can have programs: where the kernel has none of its type nobody is asked, which spares most hosts all of it.
func (r *Reader) asks(at place) bool {
	if r.denied.Load() || r.missing[at.typ].Load() {
		return false
	}
	r.once.Do(func() { r.types = r.loaded() })
	return r.types == nil || r.types[at.prog]
}

// query returns the ids of the programs at a place, in the order in which they run.
func (r *Reader) query(at place, target int) []uint32 {
	if !r.asks(at) {
		return nil
	}
	var ids [maxPrograms]uint32
	q := queryAttr{target: uint32(target), attachType: at.typ, progIDs: uint64(uintptr(unsafe.Pointer(&ids))), progCount: maxPrograms}
	_, err := call(unix.BPF_PROG_QUERY, unsafe.Pointer(&q), unsafe.Sizeof(q))
	switch {
	case err == nil:
		return append([]uint32(nil), ids[:min(q.progCount, maxPrograms)]...)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		r.denied.Store(true)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP):
		r.missing[at.typ].Store(true)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO), errors.Is(err, unix.EBADF):
		// Gone meanwhile, or there was never any.
	default:
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.strange == nil {
			r.strange = err
		}
	}
	return nil
}

// Namespace fills the programs of the links and of the namespace itself, which the calling thread is in; its links are read already.
func (r *Reader) Namespace(ns *snapshot.Namespace) {
	ns.Programs = []snapshot.BPFProgram{}
	for i := range ns.Links {
		l := &ns.Links[i]
		for _, mode := range []string{"driver", "generic", "offload"} {
			id := l.XDPProgs[mode]
			if l.XDP == mode {
				id = l.XDPProg
			}
			if id != 0 {
				ns.Programs = append(ns.Programs, snapshot.BPFProgram{Attach: "xdp", Mode: mode, Ifindex: l.Index, ID: id})
			}
		}
		places := linkPlaces
		if l.Kind == "netkit" {
			places = append(places[:len(places):len(places)], netkitPlaces...)
		}
		for _, at := range places {
			for _, id := range r.query(at, l.Index) {
				ns.Programs = append(ns.Programs, snapshot.BPFProgram{Attach: at.name, Ifindex: l.Index, ID: id})
			}
		}
	}
	if !r.asks(netnsPlaces[0]) && !r.asks(netnsPlaces[1]) {
		return
	}
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // a /proc that is not there: no question can be asked, and the links' stand
	}
	defer unix.Close(fd)
	for _, at := range netnsPlaces {
		for _, id := range r.query(at, fd) {
			ns.Programs = append(ns.Programs, snapshot.BPFProgram{Attach: at.name, ID: id})
		}
	}
}

// Gaps are what could not be read, at most one for each reason.
func (r *Reader) Gaps() []snapshot.Gap {
	var out []snapshot.Gap
	gap := func(err error, needs string) {
		out = append(out, snapshot.Gap{Reader: "bpf programs", Error: err.Error(), Needs: needs})
	}
	switch {
	case r.denied.Load():
		gap(errDenied, "CAP_SYS_ADMIN")
	case r.unnamed.Load():
		gap(errUnnamed, "CAP_SYS_ADMIN")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.strange != nil {
		gap(r.strange, "")
	}
	return out
}

var (
	errDenied  = errors.New("which are attached to links and cgroups: operation not permitted")
	errUnnamed = errors.New("their names: operation not permitted")
)
