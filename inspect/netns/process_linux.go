package netns

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// process reads one process: identity, namespaces, threads, mounts, descriptors.
func (f *finder) process(pid int) {
	dir := f.proc + "/" + strconv.Itoa(pid)
	stat, err := readSmall(dir + "/stat")
	if err != nil {
		return // gone
	}
	comm, ppid, kthread, ok := parseStat(stat)
	if !ok {
		return
	}
	id, err := nsidOf(dir + "/ns/net")
	if kthread {
		// Kernel threads all live in the initial namespace and hold nothing else.
		if err == nil {
			f.mu.Lock()
			f.kernelNS = id
			f.mu.Unlock()
			f.hold(id, snapshot.Holder{}, way{path: dir + "/ns/net"})
		}
		return
	}
	p := Process{PID: pid, PPID: ppid, Comm: comm, Root: dir + "/root"}
	if b, err := readSmall(dir + "/status"); err == nil {
		p.NSPids = parseNSpid(b)
	}
	if len(p.NSPids) == 0 {
		p.NSPids = []int{pid}
	}
	if b, err := readSmall(dir + "/cgroup"); err == nil {
		p.Cgroup = parseCgroup(b)
	}
	if b, err := readSmall(dir + "/cmdline"); err == nil && b != "" {
		p.Args = strings.Split(strings.TrimRight(b, "\x00"), "\x00")
		p.Exe = p.Args[0]
	}
	var st unix.Stat_t
	switch mntErr := unix.Stat(dir+"/ns/mnt", &st); {
	case mntErr == nil:
		p.MntNS = st.Ino
	case err == nil && (mntErr == unix.ENOENT || mntErr == unix.ESRCH):
		return // it ended between the two: half of it would be one without a mount namespace, which is another thing
	}
	p.PidNS = inodeOf(dir + "/ns/pid")
	p.UserNS = inodeOf(dir + "/ns/user")

	switch {
	case err == nil:
		p.NetNS = id
		if pid == 1 {
			f.mu.Lock()
			f.pid1NS = id
			f.mu.Unlock()
		}
		f.hold(id, snapshot.Holder{Kind: snapshot.HolderProc, PID: pid, Comm: comm, Cgroup: p.Cgroup}, way{path: dir + "/ns/net"})
	case errors.Is(err, fs.ErrPermission) && pid == 1:
		f.pid1Deny = true
		f.mu.Lock()
		f.deniedEx["processes"] = err
		f.mu.Unlock()
	default:
		f.deny("processes", err)
	}
	f.threads(dir, p)
	if pid != 1 || err == nil {
		f.descriptors(dir, p)
	}
	f.mu.Lock()
	f.procs = append(f.procs, p)
	f.mu.Unlock()
}

func inodeOf(path string) uint64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// threads finds threads in another namespace than their leader.
func (f *finder) threads(dir string, p Process) {
	d, err := os.Open(dir + "/task")
	if err != nil {
		return
	}
	names, _ := d.Readdirnames(-1)
	d.Close()
	if len(names) < 2 {
		return
	}
	denied := false
	for _, tid := range numeric(names) {
		if tid == p.PID {
			continue
		}
		path := dir + "/task/" + strconv.Itoa(tid)
		id, err := nsidOf(path + "/ns/net")
		if err != nil {
			if !denied && p.NetNS != "" {
				denied = true
				f.deny("threads", err)
			}
			continue
		}
		if id == p.NetNS || p.NetNS == "" {
			continue
		}
		if p.PID == f.selfPID {
			continue // our own worker: it is about to leave
		}
		comm := p.Comm
		if b, err := readSmall(path + "/comm"); err == nil {
			comm = strings.TrimSuffix(b, "\n")
		}
		f.hold(id, snapshot.Holder{Kind: snapshot.HolderThread, PID: p.PID, TID: tid, Comm: comm}, way{path: path + "/ns/net"})
	}
}

// socketRef is one open socket.
type socketRef struct {
	pid, fd int
	inode   uint64
	ns      snapshot.NSID // of the process
}

// descriptors finds open descriptors of namespaces, and which process has which socket.
func (f *finder) descriptors(dir string, p Process) {
	d, err := os.Open(dir + "/fd")
	if err != nil {
		if p.NetNS != "" {
			f.deny("descriptors", err)
		}
		return
	}
	names, _ := d.Readdirnames(-1)
	d.Close()
	var refs []socketRef
	buf := make([]byte, 64)
	for _, fd := range numericFDs(names) {
		path := dir + "/fd/" + strconv.Itoa(fd)
		n, err := unix.Readlink(path, buf)
		if err != nil {
			continue
		}
		link := string(buf[:n])
		if ino, ok := parseNSLink(link, "net"); ok {
			if p.PID == f.selfPID && (snapshot.MakeNSID(f.nsfsDev, ino) == p.NetNS || isPin(fd)) {
				continue
			}
			f.hold(snapshot.MakeNSID(f.nsfsDev, ino), snapshot.Holder{Kind: snapshot.HolderFD, PID: p.PID, FD: fd, Comm: p.Comm}, way{path: path})
		} else if ino, ok := parseNSLink(link, "socket"); ok && f.options.sockets {
			refs = append(refs, socketRef{p.PID, fd, ino, p.NetNS})
		}
	}
	if len(refs) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range refs {
		if old, ok := f.owners[r.inode]; !ok || r.pid < old {
			f.owners[r.inode] = r.pid
		}
	}
	if p.PID != f.selfPID {
		f.sockets = append(f.sockets, refs...)
	}
}

func isPin(fd int) bool {
	_, ok := pins.Load(fd)
	return ok
}

func numericFDs(names []string) []int {
	out := make([]int, 0, len(names))
	for _, n := range names {
		if id, err := strconv.Atoi(n); err == nil {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}
