package host

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
)

// View is what families see of the machine.
type View struct {
	Proc    string
	Table   *Table
	Timeout time.Duration
	// Places are the distinct mount namespaces worth looking into, the reader's own first.
	Places []Place
	// HostNS is the initial network namespace, "" where neither pid 1 nor a kernel thread tells it.
	HostNS snapshot.NSID
	// Homes are the network namespaces that engines' own processes live in.
	Homes map[snapshot.NSID]bool
	// Hostname asks for the host name in a process's UTS namespace; may be nil.
	Hostname func(pid int) string

	nsDev uint64
}

// Place is a mount namespace and the process through which it was reached.
type Place struct {
	Root  Root
	MntNS uint64
	// PID is 0 for the reader's own.
	PID int
}

// NewView makes a View. Engines are processes in whose mount namespaces an engine may have its files.
func NewView(proc string, processes []netns.Process) *View {
	v := &View{Proc: proc, Table: NewTable(processes)}
	v.nsDev, _ = device(filepath.Join(proc, "self/ns/net"))
	v.HostNS = v.hostNS()
	return v
}

// FindPlaces fills Places with the reader's own mount namespace, that of pid 1, and those of the given processes, which are
// the engines', the longest-lived first. Close the view afterwards.
func (v *View) FindPlaces(processes ...*netns.Process) {
	own := mntNS(filepath.Join(v.Proc, "self/ns/mnt"))
	v.Places = []Place{{MntNS: own}}
	v.Homes = map[snapshot.NSID]bool{}
	for _, p := range processes {
		v.Homes[p.NetNS] = true
	}
	at := map[uint64]int{own: 0}
	if init := v.Table.Get(1); init != nil {
		processes = append([]*netns.Process{init}, processes...)
	}
	for _, p := range processes {
		// What cannot be named cannot be entered either.
		if p.MntNS == 0 {
			continue
		}
		i, seen := at[p.MntNS]
		if seen && (i == 0 || v.Places[i].Root.held != nil) {
			continue
		}
		// A process may have ended since; then the next one in the same mount namespace leads there.
		root, err := Hold(p.Root)
		if err != nil {
			root = Root{Prefix: p.Root}
		}
		place := Place{Root: root, MntNS: p.MntNS, PID: p.PID}
		if !seen {
			at[p.MntNS] = len(v.Places)
			v.Places = append(v.Places, place)
		} else if root.held != nil {
			v.Places[i] = place
		}
	}
}

// Close lets go of the places.
func (v *View) Close() {
	for _, place := range v.Places {
		place.Root.Release()
	}
}

// PlaceOf returns the mount namespace of a process. Where it may not be read (it is another user's), the reader's own
// stands for it if the process is not in a pid namespace of its own, as on a machine that nests nothing.
func (v *View) PlaceOf(p *netns.Process) (Place, bool) {
	for _, place := range v.Places {
		if p.MntNS != 0 && place.MntNS == p.MntNS {
			return place, true
		}
	}
	if p.MntNS == 0 && len(p.NSPids) <= 1 {
		return v.Places[0], true
	}
	return Place{Root: Root{Prefix: p.Root}, MntNS: p.MntNS, PID: p.PID}, p.MntNS != 0
}

// hostNS is the netns of pid 1 or of a kernel thread, all of which live in the initial one.
func (v *View) hostNS() snapshot.NSID {
	for _, pid := range []int{1, 2} {
		if p := v.Table.Get(pid); p != nil && p.NetNS != "" {
			return p.NetNS
		}
	}
	for i := range v.Table.All {
		if p := &v.Table.All[i]; p.PPID == 2 && p.NetNS != "" && len(p.Args) == 0 {
			return p.NetNS
		}
	}
	return ""
}

// Netns returns the namespace that a file of a place is (Docker's /run/docker/netns/<id>, /run/netns/<name>), "" for a
// file that is none or that is gone: an ordinary file stays behind when its mount is gone.
func (v *View) Netns(r Root, name string) snapshot.NSID {
	if name == "" {
		return ""
	}
	info, err := r.Stat(name)
	if err != nil || v.nsDev == 0 || info.Dev != v.nsDev {
		return ""
	}
	return snapshot.MakeNSID(info.Dev, info.Ino)
}

// NameOf asks for the host name of a process.
func (v *View) NameOf(p *netns.Process) string {
	if v.Hostname == nil || p == nil {
		return ""
	}
	return v.Hostname(p.PID)
}

func device(file string) (uint64, error) {
	f, err := Root{}.openPath(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := fileInfo(f)
	return info.Dev, err
}

func mntNS(file string) uint64 {
	link, err := os.Readlink(file)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(link, "mnt:["), "]"), 10, 64)
	return n
}

// Family is one kind of engine.
type Family interface {
	// Find returns the engines of this kind that the machine shows any trace of. It asks nobody.
	Find(v *View) []Engine
}

// Engine is one engine to read.
type Engine interface {
	// Read returns what there is to know, within the context's deadline for whatever has to be asked; it never
	// fails as a whole: what could not be read is a gap.
	Read(ctx context.Context, v *View) Answer
}

// Answer is what was read of one engine. In it and all of its lists Engine.ID, Workload.Engine and the like are empty, as
// is the Reader of a gap that is about the engine.
type Answer struct {
	// Engine is nil where there turned out to be none: nothing else counts then but the gaps.
	Engine *snapshot.Engine
	// Identity is what the engine calls itself, the same however it was reached; may be empty.
	Identity  string
	Workloads []snapshot.Workload
	Networks  []snapshot.Network
	Services  []snapshot.Service
	Gaps      []snapshot.Gap
}

// Gap adds a gap.
func (a *Answer) Gap(needs string, err error) {
	a.Gaps = append(a.Gaps, snapshot.Gap{Error: err.Error(), Needs: needs})
}

// Needs tells what would help against an error of reading an engine's files, "" where that is unknown.
func Needs(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "root, or CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE"
	}
	return ""
}

// Locate fills in the process and the namespace of a workload whose engine says that its process is pid, and returns
// the process. Where the kernel says otherwise than the sandbox file, the process is believed and a gap tells.
func (a *Answer) Locate(v *View, w *snapshot.Workload, pid int, home *netns.Process, root Root) *netns.Process {
	p, err := v.Table.Translate(w.ID, pid, home)
	if err != nil && !errors.Is(err, ErrNoProcess) {
		a.Gap("", err)
	}
	sandbox := v.Netns(root, w.SandboxKey)
	if p == nil {
		w.Namespace = cmp.Or(w.Namespace, sandbox)
		return nil
	}
	w.PID = p.PID
	w.Namespace = cmp.Or(p.NetNS, sandbox)
	if sandbox != "" && sandbox != w.Namespace {
		a.Gap("", &MismatchError{Workload: w.Name, Process: w.Namespace, Sandbox: sandbox})
	}
	return p
}

// MismatchError says that a container's process is not in the namespace that its engine made for it.
type MismatchError struct {
	Workload         string
	Process, Sandbox snapshot.NSID
}

func (e *MismatchError) Error() string {
	return "container " + e.Workload + ": its process is in netns " + e.Process.Short() + ", its sandbox file is " + e.Sandbox.Short()
}

// SortedKeys returns the keys of a map in order.
func SortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
