package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// finder collects what the workers find.
type finder struct {
	options
	nsfsDev uint64

	mu       sync.Mutex
	spaces   map[snapshot.NSID]*Namespace
	procs    []Process
	sockets  []socketRef
	owners   map[uint64]int
	selfPID  int            // nscope's own in the /proc that is read, 0 where it is not in there
	denied   map[string]int // key of closed → how many were not permitted
	deniedEx map[string]error
	gaps     []snapshot.Gap
	kernelNS snapshot.NSID
	pid1NS   snapshot.NSID
	pid1Deny bool
}

func find(ctx context.Context, o options) (*Found, error) {
	self, err := nsidOf(ownNetns)
	if err != nil {
		return nil, noProc(err)
	}
	pids, err := listPIDs(o.proc)
	if err != nil {
		return nil, &OpError{Op: "find", What: "processes in " + o.proc, Err: unwrapPath(err)}
	}
	if len(pids) == 0 {
		return nil, &OpError{Op: "find", What: "processes in " + o.proc, Err: errors.New("it is no procfs")}
	}
	var st unix.Stat_t
	if err := unix.Stat(ownNetns, &st); err != nil {
		return nil, noProc(err)
	}
	f := &finder{
		options: o, nsfsDev: st.Dev,
		spaces: map[snapshot.NSID]*Namespace{}, owners: map[uint64]int{},
		selfPID: selfPID(o.proc), denied: map[string]int{}, deniedEx: map[string]error{},
	}
	work := make(chan int)
	var wg sync.WaitGroup
	for range o.workers {
		wg.Go(func() {
			for pid := range work {
				f.process(pid)
			}
		})
	}
	for _, pid := range pids {
		if ctx.Err() != nil {
			break
		}
		work <- pid
	}
	close(work)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, opErr("find", "namespaces", err)
	}
	slices.SortFunc(f.procs, func(a, b Process) int { return a.PID - b.PID })
	f.mounts()
	if o.sockets {
		f.socketHolders(ctx)
	}
	return f.result(self), nil
}

// ownNetns is the namespace of the calling thread.
const ownNetns = "/proc/thread-self/ns/net"

// noProc is the error of not finding even oneself.
func noProc(err error) error {
	return &OpError{Op: "find", What: "nscope's own netns", Err: fmt.Errorf("%s: %w: is /proc mounted?", ownNetns, err)}
}

func (f *finder) result(self snapshot.NSID) *Found {
	out := &Found{
		Self: self, Init: f.pid1NS, Processes: f.procs, SocketOwners: f.owners, Gaps: f.gaps,
	}
	switch {
	case out.Init == "":
		out.Init = f.kernelNS
	case f.kernelNS == "" && f.alone():
		// A container's own pid namespace: its pid 1 is nscope, or what started it.
		out.Init = ""
	}
	// Our own is always known, also where our /proc is another's and does not list us.
	if _, ok := f.spaces[self]; !ok {
		f.hold(self, snapshot.Holder{Kind: snapshot.HolderProc, PID: os.Getpid(), Comm: "nscope"}, way{path: ownNetns})
	}
	if out.Init != "" {
		f.hold(out.Init, snapshot.Holder{}, way{path: f.proc + "/1/ns/net"})
	}
	for _, ns := range f.spaces {
		slices.SortFunc(ns.Holders, compareHolders)
		ns.Holders = slices.Compact(ns.Holders)
		out.Namespaces = append(out.Namespaces, ns)
	}
	slices.SortFunc(out.Namespaces, func(a, b *Namespace) int {
		if nsidLess(a.ID, b.ID) {
			return -1
		}
		return 1
	})
	// That pid 1 alone is closed (some hypervisors' and containers' inits are) hides nothing where the kernel's
	// threads tell the initial namespace.
	if f.pid1Deny && f.kernelNS == "" {
		f.denied["processes"]++
	}
	for _, c := range closed {
		if n := f.denied[c.key]; n > 0 {
			out.Gaps = append(out.Gaps, snapshot.Gap{
				Reader: c.reader, Count: n, Needs: beyond(c.capability, c.needs),
				Error: fmt.Sprintf(c.text, n) + ": " + f.deniedEx[c.key].Error(),
			})
		}
	}
	return out
}

// alone tells whether no process is in sight but nscope and those that it descends from.
func (f *finder) alone() bool {
	parent := map[int]int{}
	for _, p := range f.procs {
		parent[p.PID] = p.PPID
	}
	line := 0
	for pid := f.selfPID; pid != 0 && line <= len(parent); pid = parent[pid] {
		if _, ok := parent[pid]; !ok {
			return false
		}
		line++
	}
	return line == len(parent)
}

// closed is what a process may be closed to, what is lost then, and the capability that opens it.
var closed = []struct {
	key, reader, text string
	capability        int
	needs             string
}{
	// ptrace(2), "Ptrace access mode checking": PTRACE_MODE_READ.
	{"processes", "processes", "the namespaces, mounts and descriptors of %d are not seen", unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{"threads", "threads", "those of %d processes are not seen", unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{"mounts", "mounts", "those of %d processes are not seen", unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	// /proc/<pid>/fd is a folder that only the process's user may read, whoever may trace it.
	{"descriptors", "descriptors", "those of %d processes are not seen", unix.CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH"},
	{"sockets", "socket holders", "the sockets of %d processes could not be copied", unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	{"socket namespaces", "socket holders", "the namespaces of the sockets of %d processes could not be told", unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"},
}

// beyond is what a read needs that was not permitted: the capability or, where that is there, what forbids it all the same.
func beyond(capability int, name string) string {
	if !HasCap(capability) {
		return name
	}
	return "more than " + name + ", which is there: AppArmor, SELinux, Yama or a user namespace forbids it, see docs/privileges.md"
}

func compareHolders(a, b snapshot.Holder) int {
	rank := map[string]int{snapshot.HolderProc: 0, snapshot.HolderMount: 1, snapshot.HolderThread: 2, snapshot.HolderFD: 3, snapshot.HolderSocket: 4, snapshot.HolderLink: 5}
	if d := rank[a.Kind] - rank[b.Kind]; d != 0 {
		return d
	}
	for _, d := range []int{a.PID - b.PID, a.TID - b.TID, a.FD - b.FD, strings.Compare(a.Path, b.Path)} {
		if d != 0 {
			return d
		}
	}
	switch {
	case a.MountNS < b.MountNS:
		return -1
	case a.MountNS > b.MountNS:
		return 1
	}
	return 0
}

// selfPID is nscope's own pid in the pid namespace of a procfs, 0 where it is not in there.
func selfPID(proc string) int {
	link, err := os.Readlink(proc + "/self")
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(link)
	return pid
}

func listPIDs(proc string) ([]int, error) {
	d, err := os.Open(proc)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	return numeric(names), nil
}

func numeric(names []string) []int {
	var out []int
	for _, n := range names {
		if id, err := strconv.Atoi(n); err == nil && id > 0 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// nsidOf tells which netns a path leads to without opening it.
func nsidOf(path string) (snapshot.NSID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", err
	}
	return snapshot.MakeNSID(st.Dev, st.Ino), nil
}

// hold records a holder (none where h.Kind is empty) and a way into a namespace.
func (f *finder) hold(id snapshot.NSID, h snapshot.Holder, w way) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ns := f.spaces[id]
	if ns == nil {
		ns = &Namespace{ID: id}
		f.spaces[id] = ns
	}
	if h.Kind != "" {
		ns.Holders = append(ns.Holders, h)
	}
	if w != (way{}) {
		ns.addWay(w)
	}
}

// deny counts a read that was not permitted. A process that vanished is nothing.
func (f *finder) deny(key string, err error) {
	if !errors.Is(err, fs.ErrPermission) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied[key]++
	f.deniedEx[key] = unwrapPath(err)
}

func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

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
	p.MntNS = inodeOf(dir + "/ns/mnt")
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

// mounts finds the bind mounts of every mount namespace, each read through the lowest of its processes that can be read.
func (f *finder) mounts() {
	spaces := map[uint64][]Process{}
	var order []uint64
	for _, p := range f.procs {
		if p.MntNS == 0 {
			// Not permitted, or gone since: only the former is a gap, and one already where the process is closed altogether.
			if p.NetNS != "" {
				_, err := os.Stat(f.proc + "/" + strconv.Itoa(p.PID) + "/ns/mnt")
				f.deny("mounts", err)
			}
			continue
		}
		if spaces[p.MntNS] == nil {
			order = append(order, p.MntNS)
		}
		spaces[p.MntNS] = append(spaces[p.MntNS], p)
	}
	own := inodeOf("/proc/thread-self/ns/mnt")
	for _, mnt := range order {
		for _, p := range spaces[mnt] {
			b, err := readAll(f.proc + "/" + strconv.Itoa(p.PID) + "/mountinfo")
			if err == nil {
				f.mountsOf(p, b, mnt == own)
				break
			}
			f.deny("mounts", err)
		}
	}
}

func (f *finder) mountsOf(p Process, mountinfo string, own bool) {
	mounts, hidepid := parseMountinfo(mountinfo, f.proc)
	if own && hidepid != "" && hidepid != "0" && hidepid != "off" && !canPtrace() {
		f.gaps = append(f.gaps, snapshot.Gap{Reader: "processes", Error: "/proc hides other users' processes (hidepid=" + hidepid + ")", Needs: "CAP_SYS_PTRACE"})
	}
	root := p.Root
	if own {
		root = ""
	}
	for _, m := range mounts {
		h := snapshot.Holder{Kind: snapshot.HolderMount, PID: p.PID, Path: m.path, MountNS: p.MntNS, Root: root}
		f.hold(snapshot.MakeNSID(f.nsfsDev, m.inode), h, way{path: root + m.path})
	}
}

func canPtrace() bool { return HasCap(unix.CAP_SYS_PTRACE) }

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

// Open opens the namespace by the first way that still leads to it. The error is an [OpError]; it wraps [ErrGone] where
// every way has vanished.
func (n *Namespace) Open() (*Handle, error) {
	var first error
	for _, w := range n.ways {
		h, err := w.open(n.ID)
		if err == nil {
			h.pin = true
			pins.Store(h.FD(), nil)
			return h, nil
		}
		// What says most wins: "not permitted" before "changed" before "gone".
		if first == nil || errors.Is(first, ErrGone) || (errors.Is(err, fs.ErrPermission) && !errors.Is(first, fs.ErrPermission)) {
			first = err
		}
	}
	if first == nil {
		first = &OpError{Op: "open", What: "netns " + n.ID.Short(), Err: ErrNoWay}
	}
	return nil, first
}

// Mounted tells whether a bind mount of the namespace is still there, by the mount table of a process that saw it, read
// anew. A file that cannot be opened although it is mounted is covered by something.
func (n *Namespace) Mounted(proc string) bool {
	for _, h := range n.Holders {
		if h.Kind != snapshot.HolderMount {
			continue
		}
		b, err := readAll(proc + "/" + strconv.Itoa(h.PID) + "/mountinfo")
		if err != nil {
			continue
		}
		mounts, _ := parseMountinfo(b, proc)
		if slices.Contains(mounts, mountPoint{n.ID.Inode(), h.Path}) {
			return true
		}
	}
	return false
}

func (w way) open(want snapshot.NSID) (*Handle, error) {
	if w.path != "" {
		return OpenPath(w.path, want)
	}
	fd, err := socketNS(w.pid, w.fd)
	if err != nil {
		return nil, opErr("open", w.String(), err)
	}
	return fromFD(fd, w.String(), want)
}

func findSelf() (*Found, error) {
	const path = ownNetns
	id, err := nsidOf(path)
	if err != nil {
		return nil, noProc(err)
	}
	ns := &Namespace{ID: id, ways: []way{{path: path}}, Holders: []snapshot.Holder{{Kind: snapshot.HolderProc, PID: os.Getpid(), Comm: "nscope"}}}
	return &Found{Self: id, Namespaces: []*Namespace{ns}, SocketOwners: map[uint64]int{}}, nil
}
