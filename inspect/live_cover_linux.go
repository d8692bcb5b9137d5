package inspect

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nscope/nscope/inspect/rtnl"
	"github.com/nscope/nscope/inspect/snapshot"
)

// listen begins to hear.
func (l *Live) listen() {
	proc := l.c.proc
	for _, p := range []string{"/1/mountinfo", "/self/mountinfo"} {
		_ = l.w.Mounts(proc + p) // what is closed to us is looked at now and then
	}
	l.cover()
}

// homeIDs are the namespaces in which others have nsids: the host's, nscope's own, those of engines.
func (l *Live) homeIDs() (out []snapshot.NSID) {
	add := func(id snapshot.NSID) {
		if s := l.c.read[id]; s != nil && !id.Hidden() && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	add(l.c.found.Init)
	add(l.c.found.Self)
	for i := range l.c.told.Engines {
		add(l.c.told.Engines[i].Home)
	}
	return out
}

// cover sees to it that every namespace is heard of: by its number in a home, or by a socket of its own.
func (l *Live) cover() {
	if l.c.selfOnly {
		_ = l.c.inside(l.c.found.Self, func() error { _, err := l.w.Listen(l.c.found.Self, false); return err })
		return
	}
	ids := l.homeIDs()
	for _, id := range ids {
		l.openHome(id)
	}
	for id := range l.c.read {
		if _, ok := l.covered[id]; ok || id.Hidden() || l.homes[id] != nil {
			continue
		}
		if l.numbered(id, ids) || l.alone[id] || !mayPin(len(l.alone)*2) || l.ending(id) {
			continue
		}
		err := l.c.inside(id, func() error { _, err := l.w.Listen(id, false); return err })
		if err == nil {
			l.alone[id] = true
			l.now.parts[id] |= rtnl.Topology // what changed before is heard of by nobody
			l.now.touch()
		}
	}
	l.watchFolders()
}

// ending tells whether nothing but sockets of others hold a namespace. Such a socket may be that of another who looks on as we do, and ours would
// keep the namespace for that one as its does for us: it is looked at now and then instead.
func (l *Live) ending(id snapshot.NSID) bool {
	ns, ok := l.c.found.Namespace(id)
	return ok && len(ns.Holders) > 0 && !slices.ContainsFunc(ns.Holders, func(h snapshot.Holder) bool { return h.Kind != snapshot.HolderSocket })
}

// endings lets go of namespaces that are ending. What is left of them is looked for a few times, as nobody tells when it is gone.
func (l *Live) endings() {
	for id := range l.alone {
		if l.ending(id) {
			l.w.Forget(id)
			delete(l.alone, id)
			l.doubts = 3
		}
	}
}

func (l *Live) openHome(id snapshot.NSID) {
	if l.homes[id] != nil {
		return
	}
	h := &home{}
	had := l.alone[id]
	if had {
		l.w.Forget(id)
		delete(l.alone, id)
	}
	err := l.c.inside(id, func() (err error) {
		if h.all, err = l.w.Listen(id, true); err != nil {
			return err
		}
		h.conn, err = rtnl.OpenTopology()
		return err
	})
	if err != nil {
		return // nobody is heard of: there is a gap of the namespace that says why
	}
	l.homes[id] = h
	delete(l.covered, id)
	l.now.parts[id] |= rtnl.Topology
	l.now.touch()
}

// numbered tells whether a home has a number for the namespace and may hear of it; its socket of its own is then closed.
func (l *Live) numbered(id snapshot.NSID, homes []snapshot.NSID) bool {
	var fd int
	var done func()
	for _, in := range homes {
		h := l.homes[in]
		if h == nil || !h.all {
			continue
		}
		if done == nil {
			hd, d, err := l.c.open(id)
			if err != nil {
				return false
			}
			fd, done = hd.FD(), d
			defer done()
		}
		nsid, err := h.conn.NSIDOf(fd)
		if err != nil {
			continue
		}
		if l.alone[id] {
			l.w.Forget(id)
			delete(l.alone, id)
			l.now.parts[id] |= rtnl.Topology
			l.now.touch()
		}
		l.w.Name(in, nsid, id)
		l.covered[id] = nsidAt{in, nsid}
		return true
	}
	return false
}

// named is the namespace that a number in a home is known to be.
func (l *Live) named(at nsidAt) snapshot.NSID {
	for id, a := range l.covered {
		if a == at {
			return id
		}
	}
	return ""
}

// watchFolders watches the folders in which namespaces are mounted.
func (l *Live) watchFolders() {
	dirs := []string{"/run/netns", "/run/docker/netns"}
	for _, s := range l.c.read {
		for i := range s.ns.Holders {
			if h := &s.ns.Holders[i]; h.Kind == snapshot.HolderMount && h.Path != "" {
				dirs = append(dirs, filepath.Join(h.Root, filepath.Dir(h.Path)))
			}
		}
	}
	for _, dir := range dirs {
		if !l.folders[dir] && len(l.folders) < 256 && l.w.Folder(dir) == nil {
			l.folders[dir] = true
		}
	}
}

// remember notes the processes that were there when the host was looked at.
func (l *Live) remember() {
	l.pids = make(map[int]snapshot.NSID, len(l.c.found.Processes))
	for i := range l.c.found.Processes {
		p := &l.c.found.Processes[i]
		l.pids[p.PID] = p.NetNS
	}
}

// daemonNames are processes whose coming and going changes what engines say.
var daemonNames = []string{"dockerd", "containerd", "crio", "podman", "k3s", "flanneld"}

// sweep looks for processes that came and went, of which nobody tells. A process of a namespace that is unknown means that
// there is one more; the end of one that is not the host's, that there may be one less.
func (l *Live) sweep() {
	if time.Since(l.foundAt) > findEvery {
		l.now.names, l.now.cover = true, true
		l.now.touch()
		return
	}
	if l.c.selfOnly {
		return
	}
	d, err := os.Open(l.c.proc)
	if err != nil {
		return
	}
	names, err := d.Readdirnames(-1)
	d.Close()
	if err != nil {
		return
	}
	there := make(map[int]bool, len(names))
	want := false
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		there[pid] = true
		if _, known := l.pids[pid]; known {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(l.c.proc+"/"+name+"/ns/net", &st) != nil {
			l.pids[pid] = ""
			continue
		}
		id := snapshot.MakeNSID(st.Dev, st.Ino)
		l.pids[pid] = id
		want = want || l.c.read[id] == nil
		if comm := readLine(l.c.proc + "/" + name + "/comm"); slices.Contains(daemonNames, comm) {
			want, l.now.engines = true, true
		}
	}
	for pid, id := range l.pids {
		if there[pid] {
			continue
		}
		delete(l.pids, pid)
		want = want || id != "" && id != l.c.found.Init
	}
	// Our own socket keeps such a namespace, and nobody tells when all others have let it go.
	for id := range l.alone {
		ns, ok := l.c.found.Namespace(id)
		want = want || !ok || !ns.Reachable()
	}
	if l.doubts > 0 {
		l.doubts--
		want = true
	}
	if want {
		l.now.names = true
		l.now.touch()
	}
}
