package netns

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/snapshot"
)

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
