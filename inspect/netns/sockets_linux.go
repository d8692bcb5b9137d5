package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// A socket keeps the namespace that it was opened in, and no path shows it. A socket whose inode stands in a table of
// its process's own namespace (/proc/<pid>/net/…) is explained; of the others, and only of them, a duplicate is taken
// for a moment (pidfd_getfd) and asked (SIOCGSKNS). Sockets that no table lists (unbound TCP, AF_ALG, vsock …) are among those asked.

// maxAsked bounds how many sockets of one process are asked.
const maxAsked = 4096

// socketTables are the tables in /proc/<pid>/net and the column of the inode in each.
var socketTables = []struct {
	name   string
	column int
}{
	{"unix", 6}, {"netlink", 9}, {"packet", 8},
	{"tcp", 9}, {"tcp6", 9}, {"udp", 9}, {"udp6", 9}, {"udplite", 9}, {"udplite6", 9},
	{"raw", 9}, {"raw6", 9}, {"icmp", 9}, {"icmp6", 9},
}

// socketHolders finds namespaces that a process elsewhere holds by a socket.
func (f *finder) socketHolders(ctx context.Context) {
	known := map[snapshot.NSID]map[uint64]struct{}{}
	asked := map[int]int{}
	seen := map[uint64]snapshot.NSID{}
	comm := map[int]string{}
	for _, p := range f.procs {
		comm[p.PID] = p.Comm
	}
	refused := map[int]bool{}
	for _, s := range f.sockets {
		if ctx.Err() != nil {
			return
		}
		if s.ns == "" || refused[s.pid] {
			continue
		}
		table, ok := known[s.ns]
		if !ok {
			table = map[uint64]struct{}{}
			for _, t := range socketTables {
				if b, err := readAll(fmt.Sprintf("%s/%d/net/%s", f.proc, s.pid, t.name)); err == nil {
					parseInodes(b, t.column, table)
				}
			}
			known[s.ns] = table
		}
		if _, ok := table[s.inode]; ok {
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
					f.deny("socket holders", err)
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
		return -1, err
	}
	unix.CloseOnExec(ns)
	return ns, nil
}
