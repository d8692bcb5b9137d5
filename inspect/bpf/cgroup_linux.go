package bpf

import (
	"bufio"
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

// errElsewhere says that a cgroup lies above the root of nscope's own cgroup namespace, where no path leads.
var errElsewhere = errors.New("cgroups outside of nscope's cgroup namespace")

// Cgroups adds to each namespace the programs of the cgroups that its processes are in, and of those above them, the root's first. Each
// cgroup is asked once.
func (r *Reader) Cgroups(proc string, spaces []*snapshot.Namespace) {
	mount := unified(proc)
	if mount == "" || !slices.ContainsFunc(cgroupPlaces, r.asks) {
		return // no cgroup v2: nothing can be attached
	}
	known := map[string][]snapshot.BPFProgram{}
	outside := false
	for _, ns := range spaces {
		var paths []string
		for i := range ns.Holders {
			h := &ns.Holders[i]
			if h.Kind != snapshot.HolderProc || h.Cgroup == "" {
				continue
			}
			if strings.HasPrefix(h.Cgroup, "/..") {
				outside = true
				continue
			}
			for p := path.Clean(h.Cgroup); ; p = path.Dir(p) {
				if slices.Contains(paths, p) {
					break
				}
				if paths = append(paths, p); p == "/" || p == "." {
					break
				}
			}
		}
		slices.Sort(paths)
		for _, p := range paths {
			list, ok := known[p]
			if !ok {
				list = r.cgroup(mount, p)
				known[p] = list
			}
			ns.Programs = append(ns.Programs, list...)
		}
	}
	if outside {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.strange == nil {
			r.strange = errElsewhere
		}
	}
}

func (r *Reader) cgroup(mount, p string) (out []snapshot.BPFProgram) {
	// Another hierarchy's path may lead to nothing here; links are not followed.
	fd, err := unix.Open(mount+p, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	for _, at := range cgroupPlaces {
		for _, id := range r.query(at, fd) {
			out = append(out, snapshot.BPFProgram{Attach: at.name, Cgroup: p, ID: id})
		}
	}
	return out
}

// unified is where all of the cgroup v2 hierarchy, as far as our cgroup namespace shows it, is mounted; empty for nowhere. Where nscope
// has a mount namespace without it, that of the first process is looked at.
func unified(proc string) string {
	for _, at := range []struct{ proc, root string }{{"/proc/self", ""}, {proc + "/1", proc + "/1/root"}} {
		f, err := os.Open(at.proc + "/mountinfo")
		if err != nil {
			continue
		}
		point := mountOf(bufio.NewScanner(f))
		f.Close()
		if point != "" {
			return at.root + point
		}
	}
	return ""
}

// mountOf finds a mount of the hierarchy's root in a mountinfo: "25 21 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw".
func mountOf(lines *bufio.Scanner) string {
	for lines.Scan() {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		w := strings.Fields(before)
		if ok && strings.HasPrefix(after, "cgroup2 ") && len(w) >= 5 && w[3] == "/" && !strings.Contains(w[4], `\`) {
			return strings.TrimSuffix(w[4], "/")
		}
	}
	return ""
}
