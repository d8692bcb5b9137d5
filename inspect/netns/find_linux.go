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

func findSelf() (*Found, error) {
	const path = ownNetns
	id, err := nsidOf(path)
	if err != nil {
		return nil, noProc(err)
	}
	ns := &Namespace{ID: id, ways: []way{{path: path}}, Holders: []snapshot.Holder{{Kind: snapshot.HolderProc, PID: os.Getpid(), Comm: "nscope"}}}
	return &Found{Self: id, Namespaces: []*Namespace{ns}, SocketOwners: map[uint64]int{}}, nil
}
