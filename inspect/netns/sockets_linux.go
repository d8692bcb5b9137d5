package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// A socket keeps the namespace that it was opened in, and no path shows it. A socket whose inode stands in a table of
// its process's own namespace (/proc/<pid>/net/…) is explained; of the others, and only of them, a duplicate is taken
// for a moment (pidfd_getfd) and asked (SIOCGSKNS).
//
// The tables of TCP and UDP are walked bucket by bucket by the kernel, all namespaces' together, which takes milliseconds
// however few sockets there are: they are read only where very many sockets are left to explain.

// maxAsked bounds how many sockets of one process are asked.
const maxAsked = 4096

// table is one in /proc/<pid>/net, and the column of the inode in it.
type table struct {
	name   string
	column int
}

var (
	listTables = []table{{"unix", 6}, {"netlink", 9}, {"packet", 8}}
	hashTables = []table{{"tcp", 9}, {"tcp6", 9}, {"udp", 9}, {"udp6", 9}, {"udplite", 9}, {"udplite6", 9}, {"raw", 9}, {"raw6", 9}, {"icmp", 9}, {"icmp6", 9}}
)

// manySuspects is from how many unexplained sockets of one namespace on it pays to read the hashed tables.
const manySuspects = 512

// explained drops the sockets that stand in the tables of the namespace of their process.
func (f *finder) explained(sockets []socketRef, tables []table) []socketRef {
	if len(sockets) == 0 {
		return nil
	}
	listed := map[uint64]struct{}{}
	for _, t := range tables {
		if b, err := readAll(fmt.Sprintf("%s/%d/net/%s", f.proc, sockets[0].pid, t.name)); err == nil {
			parseInodes(b, t.column, listed)
		}
	}
	return slices.DeleteFunc(sockets, func(s socketRef) bool { _, ok := listed[s.inode]; return ok })
}

// suspects are the sockets that no table explains, by namespace of their process.
func (f *finder) suspects() []socketRef {
	by := map[snapshot.NSID][]socketRef{}
	var order []snapshot.NSID
	for _, s := range f.sockets {
		if s.ns == "" {
			continue
		}
		if by[s.ns] == nil {
			order = append(order, s.ns)
		}
		by[s.ns] = append(by[s.ns], s)
	}
	var out []socketRef
	for _, ns := range order {
		left := f.explained(by[ns], listTables)
		if len(left) > manySuspects {
			left = f.explained(left, hashTables)
		}
		out = append(out, left...)
	}
	return out
}

// socketHolders finds namespaces that a process elsewhere holds by a socket.
func (f *finder) socketHolders(ctx context.Context) {
	asked := map[int]int{}
	seen := map[uint64]snapshot.NSID{}
	comm := map[int]string{}
	for _, p := range f.procs {
		comm[p.PID] = p.Comm
	}
	refused := map[int]bool{}
	for _, s := range f.suspects() {
		if ctx.Err() != nil {
			return
		}
		if refused[s.pid] {
			continue
		}
		id, done := seen[s.inode] // one socket may be open in many processes
		if !done {
			if asked[s.pid]++; asked[s.pid] > maxAsked {
				if asked[s.pid] == maxAsked+1 {
					f.gaps = append(f.gaps, snapshot.Gap{Reader: "socket holders", Error: fmt.Sprintf("pid %d has more than %d sockets that its own netns does not list: the rest was not asked", s.pid, maxAsked)})
				}
				continue
			}
			fd, err := socketNS(s.pid, s.fd)
			if err != nil {
				if errors.Is(err, fs.ErrPermission) {
					refused[s.pid] = true
					f.deny(closedTo(err), err)
				}
				continue
			}
			id, err = identify(fd)
			unix.Close(fd)
			if err != nil {
				continue
			}
			seen[s.inode] = id
		}
		if id != s.ns {
			f.hold(id, snapshot.Holder{Kind: snapshot.HolderSocket, PID: s.pid, FD: s.fd, Comm: comm[s.pid]}, way{pid: s.pid, fd: s.fd})
		}
	}
}

// errNotAdmin is a socket that could be copied but whose namespace may not be told.
type errNotAdmin struct{ error }

func (e errNotAdmin) Unwrap() error { return e.error }

// closedTo is the key in closed of an error of socketNS.
func closedTo(err error) string {
	if errors.As(err, new(errNotAdmin)) {
		return "socket namespaces"
	}
	return "sockets"
}

// socketNS opens the namespace of another process's socket: pidfd_getfd (Linux 5.6, needs PTRACE_MODE_ATTACH) and
// SIOCGSKNS (Linux 4.10, needs CAP_NET_ADMIN in the user namespace that owns the netns).
func socketNS(pid, fd int) (int, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(pidfd)
	sock, err := unix.PidfdGetfd(pidfd, fd, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(sock)
	ns, err := unix.IoctlRetInt(sock, unix.SIOCGSKNS)
	if err != nil {
		return -1, errNotAdmin{err}
	}
	unix.CloseOnExec(ns)
	return ns, nil
}

// OfSocket is the namespace that a process's socket is in: what a holder of kind socket in a snapshot says, asked anew. It needs what a search of
// sockets needs.
func OfSocket(pid, fd int) (snapshot.NSID, error) {
	ns, err := socketNS(pid, fd)
	if err != nil {
		return "", opErr("look at", fmt.Sprintf("socket %d of process %d", fd, pid), err)
	}
	defer unix.Close(ns)
	var st unix.Stat_t
	if err := unix.Fstat(ns, &st); err != nil {
		return "", opErr("look at", fmt.Sprintf("socket %d of process %d", fd, pid), err)
	}
	return snapshot.MakeNSID(st.Dev, st.Ino), nil
}
