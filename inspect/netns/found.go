package netns

import (
	"context"
	"fmt"
	"runtime"
	"sort"
	"strconv"
	"strings"

	"github.com/nscope/nscope/inspect/snapshot"
)

// Found is what [Find] found.
type Found struct {
	// Namespaces are sorted by inode.
	Namespaces []*Namespace
	// Processes are all that could be seen, kernel threads left out, sorted by pid.
	Processes []Process
	// SocketOwners maps the inode of a socket to the lowest pid that has it open.
	SocketOwners map[uint64]int
	// Self is the namespace that nscope runs in; Init that of pid 1 or of the kernel's threads, "" where neither was
	// readable, or where pid 1 is nscope's own container's.
	Self, Init snapshot.NSID
	Gaps       []snapshot.Gap
}

// Namespace is one network namespace with what holds it and the ways into it.
type Namespace struct {
	ID      snapshot.NSID
	Holders []snapshot.Holder
	ways    []way
}

// way is one way to open a namespace.
type way struct {
	path string // an nsfs file
	// or a socket: descriptor fd of process pid
	pid, fd int
}

func (w way) String() string {
	if w.path != "" {
		return w.path
	}
	return fmt.Sprintf("socket %d of pid %d", w.fd, w.pid)
}

// maxWays bounds how many ways are remembered: more than a few only help where most of them vanish at once.
const maxWays = 8

func (n *Namespace) addWay(w way) {
	if len(n.ways) < maxWays {
		n.ways = append(n.ways, w)
	}
}

// Options say where and how far [Find] looks.
type options struct {
	proc    string
	workers int
	sockets bool
}

// Option changes how [Find] looks.
type Option func(*options)

// WithProc sets where the host's /proc is mounted; the default is /proc.
func WithProc(dir string) Option { return func(o *options) { o.proc = strings.TrimRight(dir, "/") } }

// WithoutSockets leaves out what only an open socket tells: owners of sockets and namespaces held by a socket alone.
func WithoutSockets() Option { return func(o *options) { o.sockets = false } }

func newOptions(opts []Option) options {
	o := options{proc: "/proc", workers: max(2, runtime.GOMAXPROCS(0)), sockets: true}
	for _, f := range opts {
		f(&o)
	}
	if o.proc == "" {
		o.proc = "/"
	}
	return o
}

// Namespace returns the one with that id.
func (f *Found) Namespace(id snapshot.NSID) (*Namespace, bool) {
	i := sort.Search(len(f.Namespaces), func(i int) bool { return !nsidLess(f.Namespaces[i].ID, id) })
	if i < len(f.Namespaces) && f.Namespaces[i].ID == id {
		return f.Namespaces[i], true
	}
	return nil, false
}

// Add takes in namespaces that were found later.
func (f *Found) Add(more ...*Namespace) {
	f.Namespaces = append(f.Namespaces, more...)
	sort.Slice(f.Namespaces, func(i, j int) bool { return nsidLess(f.Namespaces[i].ID, f.Namespaces[j].ID) })
}

func nsidLess(a, b snapshot.NSID) bool {
	if x, y := a.Inode(), b.Inode(); x != y {
		return x < y
	}
	return a < b
}

// parseStat parses /proc/<pid>/stat: the command name may contain anything, also parentheses and spaces, so it ends at
// the last one (proc(5)). A zombie holds no namespace any more: it is not ok. kthread is PF_KTHREAD of the flags (linux/sched.h).
func parseStat(b string) (comm string, ppid int, kthread bool, ok bool) {
	open, end := strings.IndexByte(b, '('), strings.LastIndexByte(b, ')')
	if open < 0 || end < open || end+2 > len(b) {
		return "", 0, false, false
	}
	comm = b[open+1 : end]
	f := strings.Fields(b[end+1:])
	if len(f) < 7 || f[0] == "Z" || f[0] == "X" {
		return "", 0, false, false
	}
	ppid, err := strconv.Atoi(f[1])
	if err != nil {
		return "", 0, false, false
	}
	flags, err := strconv.ParseUint(f[6], 10, 64)
	if err != nil {
		return "", 0, false, false
	}
	const pfKthread = 0x00200000
	return comm, ppid, flags&pfKthread != 0, true
}

// parseNSpid finds the NSpid line of /proc/<pid>/status.
func parseNSpid(b string) []int {
	for line := range strings.Lines(b) {
		rest, ok := strings.CutPrefix(line, "NSpid:")
		if !ok {
			continue
		}
		var pids []int
		for f := range strings.FieldsSeq(rest) {
			n, err := strconv.Atoi(f)
			if err != nil {
				return nil
			}
			pids = append(pids, n)
		}
		return pids
	}
	return nil
}

// parseCgroup picks the path that says most from /proc/<pid>/cgroup ("hierarchy:controllers:path" lines): the unified
// hierarchy's, unless that is the root and another is not (hybrid hosts).
func parseCgroup(b string) string {
	best := ""
	for line := range strings.Lines(b) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "0" && f[2] != "/" {
			return f[2]
		}
		if len(f[2]) > len(best) {
			best = f[2]
		}
	}
	return best
}

// mountPoint is one bind mount of a netns file.
type mountPoint struct {
	inode uint64
	path  string
}

// parseMountinfo finds the nsfs mounts of network namespaces in /proc/<pid>/mountinfo: their root field is
// "net:[<inode>]". Mount points come unescaped (fs/proc_namespace.c escapes space, tab, newline and backslash in octal).
// hidepid is that of the mount of procfs at proc, "" for none.
func parseMountinfo(b, proc string) (mounts []mountPoint, hidepid string) {
	for line := range strings.Lines(b) {
		if !strings.Contains(line, " nsfs ") && !strings.Contains(line, "hidepid=") {
			continue
		}
		f := strings.Fields(line)
		sep := -1
		for i := 6; i < len(f); i++ {
			if f[i] == "-" {
				sep = i
				break
			}
		}
		if sep < 0 || sep+3 >= len(f) {
			continue
		}
		switch f[sep+1] {
		case "proc":
			if f[4] == proc {
				for opt := range strings.SplitSeq(f[len(f)-1], ",") {
					if v, ok := strings.CutPrefix(opt, "hidepid="); ok {
						hidepid = v
					}
				}
			}
		case "nsfs":
			if ino, ok := parseNSLink(f[3], "net"); ok {
				mounts = append(mounts, mountPoint{ino, unescapeMount(f[4])})
			}
		}
	}
	return mounts, hidepid
}

// parseNSLink parses "net:[4026531833]".
func parseNSLink(s, kind string) (uint64, bool) {
	rest, ok := strings.CutPrefix(s, kind)
	if !ok || len(rest) < 4 || rest[:2] != ":[" || rest[len(rest)-1] != ']' {
		return 0, false
	}
	n, err := strconv.ParseUint(rest[2:len(rest)-1], 10, 64)
	return n, err == nil
}

func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseInodes collects the inode column of one of /proc/<pid>/net/{unix,netlink,packet,tcp,udp,raw …} into set.
// The column differs: unix has it 7th, netlink 10th and packet 9th, the inet tables 10th.
func parseInodes(b string, column int, set map[uint64]struct{}) {
	first := true
	for line := range strings.Lines(b) {
		if first {
			first = false
			continue
		}
		i := 0
		for f := range strings.FieldsSeq(line) {
			if i == column {
				if n, err := strconv.ParseUint(f, 10, 64); err == nil {
					set[n] = struct{}{}
				}
				break
			}
			i++
		}
	}
}

// Find finds every network namespace of the host: see domain.md's list of holders, of which it covers all but those
// that only a link's nsid leads to (they are found while links are read). It fails only where /proc itself cannot be
// read; whatever else could not be read becomes a gap.
func Find(ctx context.Context, opts ...Option) (*Found, error) {
	return find(ctx, newOptions(opts))
}

// FindSelf finds only the namespace that nscope runs in, and only itself in it.
func FindSelf() (*Found, error) { return findSelf() }
