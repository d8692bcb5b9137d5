package host

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nscope/nscope/inspect/netns"
)

// ErrNoProcess is returned where none of the processes is the one that an engine names: it has ended, or came after the
// processes were listed, or is hidden.
var ErrNoProcess = errors.New("no such process")

// ErrAmbiguous is wrapped where several processes may be the one that an engine names.
var ErrAmbiguous = errors.New("several processes may be it")

// Table is the processes of the machine, indexed.
type Table struct {
	All      []netns.Process
	byPID    map[int]*netns.Process
	byCgroup map[string][]*netns.Process // by container ids in the cgroup path
}

// NewTable indexes processes. The slice must not change afterwards.
func NewTable(all []netns.Process) *Table {
	t := &Table{All: all, byPID: make(map[int]*netns.Process, len(all)), byCgroup: map[string][]*netns.Process{}}
	for i := range all {
		p := &all[i]
		t.byPID[p.PID] = p
		for _, id := range CgroupIDs(p.Cgroup) {
			t.byCgroup[id] = append(t.byCgroup[id], p)
		}
	}
	return t
}

// Get returns a process by the reader's pid, nil for none.
func (t *Table) Get(pid int) *netns.Process { return t.byPID[pid] }

var containerID = regexp.MustCompile(`[0-9a-f]{64}`)

// CgroupIDs returns the container ids in a cgroup path, outermost first. Docker, containerd, CRI-O and Podman all name a
// container's cgroup after its id, with or without a prefix ("docker-<id>.scope", "libpod-<id>", "/docker/<id>").
func CgroupIDs(cgroup string) []string { return containerID.FindAllString(cgroup, -1) }

// InCgroupOf returns the processes whose cgroup path has the container's id.
func (t *Table) InCgroupOf(id string) []*netns.Process { return t.byCgroup[id] }

// Translate finds the process that an engine calls pid.
//
// An engine writes the pid of its own pid namespace. Home is the engine's daemon, or what it left running (a
// shim): at its depth d in the tree of pid namespaces, a container's process has NSPids[d] == pid. Other pid namespaces
// of that depth have the same numbers, so one of these must prove it: the container's id in the cgroup path or, where
// that names no container (a nested engine that may not make cgroups), descent from the engine's pid namespace. With
// home nil the cgroup alone decides, at whatever depth.
//
// It returns ErrNoProcess, or an error that wraps ErrAmbiguous; it never guesses.
func (t *Table) Translate(id string, pid int, home *netns.Process) (*netns.Process, error) {
	if pid <= 0 {
		return nil, ErrNoProcess
	}
	var found []*netns.Process
	if home == nil {
		for _, p := range t.InCgroupOf(id) {
			if slices.Contains(p.NSPids, pid) {
				found = append(found, p)
			}
		}
		return only(found, id, pid)
	}
	depth := len(home.NSPids) - 1
	at := func(p *netns.Process) bool {
		return depth >= 0 && depth < len(p.NSPids) && p.NSPids[depth] == pid || depth < 0 && p.PID == pid
	}
	for _, p := range t.InCgroupOf(id) {
		if at(p) && t.Descends(p, home) {
			found = append(found, p)
		}
	}
	if len(found) > 0 {
		return only(found, id, pid)
	}
	outer := CgroupIDs(home.Cgroup)
	for i := range t.All {
		p := &t.All[i]
		if at(p) && !namesAnother(p.Cgroup, outer) && t.Descends(p, home) {
			found = append(found, p)
		}
	}
	return only(found, id, pid)
}

func only(found []*netns.Process, id string, pid int) (*netns.Process, error) {
	switch len(found) {
	case 0:
		return nil, ErrNoProcess
	case 1:
		return found[0], nil
	}
	pids := make([]string, len(found))
	for i, p := range found {
		pids[i] = fmt.Sprint(p.PID)
	}
	return nil, fmt.Errorf("process %d of container %.12s: %w: %s", pid, id, ErrAmbiguous, strings.Join(pids, ", "))
}

// namesAnother tells whether a cgroup path has container ids beyond those that the engine's own has.
func namesAnother(cgroup string, outer []string) bool {
	for _, id := range CgroupIDs(cgroup) {
		if !slices.Contains(outer, id) {
			return true
		}
	}
	return false
}

// Descends tells whether a process lives in the pid namespace of home or below it: some ancestor of it does. Where pid
// namespaces could not be read, only depth one (the reader's own) can be told.
func (t *Table) Descends(p, home *netns.Process) bool {
	if home.PidNS == 0 {
		return len(home.NSPids) <= 1
	}
	// Processes end and pids are reused while the list is made, so a chain may even be a circle.
	for range len(t.All) {
		if p == nil {
			return false
		}
		if p.PidNS == home.PidNS {
			return true
		}
		p = t.byPID[p.PPID]
	}
	return false
}

// Named returns the processes whose command is one of names, by comm (the first 15 bytes) or by the base of the first word.
func (t *Table) Named(names ...string) []*netns.Process {
	var found []*netns.Process
	for i := range t.All {
		p := &t.All[i]
		base := p.Exe[strings.LastIndexByte(p.Exe, '/')+1:]
		for _, name := range names {
			if base == name || p.Comm == name || len(name) > 15 && p.Comm == name[:15] {
				found = append(found, p)
				break
			}
		}
	}
	return found
}

// Arg returns the value of a long or short option of a command line, "--name value" or "--name=value", the last one given.
func Arg(args []string, names ...string) string {
	if all := Args(args, names...); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// Args returns all values of an option.
func Args(args []string, names ...string) []string {
	var values []string
	for i, arg := range args {
		for _, name := range names {
			if value, ok := strings.CutPrefix(arg, name+"="); ok {
				values = append(values, value)
			} else if arg == name && i+1 < len(args) {
				values = append(values, args[i+1])
			}
		}
	}
	return values
}
