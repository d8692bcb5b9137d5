package procnet

import (
	"sync"

	"golang.org/x/sys/unix"
)

// A Tree is a /proc/sys/net to read sysctls from.
//
// The kernel keeps a directory entry of each sysctl file for each namespace that it was opened in, all of them under the
// same name in the same folder: the more namespaces were read, the longer each further look-up takes (fs/proc/proc_sysctl.c,
// proc_sys_compare), so that reading N of them takes N² and leaves the entries behind in memory. A Tree therefore is a
// procfs of its own (fsopen, Linux 5.2; each has been a file system of its own since 5.8), mounted nowhere, that is given
// up after a few namespaces. Where that may not be made the host's /proc/sys serves.
type Tree struct {
	root int // of sys/net, O_PATH
	used int
	own  bool
}

// perTree is how many namespaces are read through one Tree: making one costs some 100 µs.
const perTree = 32

var (
	trees   sync.Mutex
	current *Tree
)

// takeTree returns a Tree to read one namespace through; giveTree must follow.
func takeTree() (*Tree, error) {
	trees.Lock()
	t := current
	current = nil
	trees.Unlock()
	if t != nil {
		return t, nil
	}
	if root, err := ownProc(); err == nil {
		return &Tree{root: root, own: true}, nil
	}
	root, err := unix.Open("/proc/sys/net", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &Tree{root: root}, nil
}

// giveTree keeps the Tree for the next namespace, or gives it up.
func giveTree(t *Tree) {
	t.used++
	if t.own && t.used < perTree {
		trees.Lock()
		if current == nil {
			current, t = t, nil
		}
		trees.Unlock()
	}
	if t != nil {
		unix.Close(t.root)
	}
}

// Done gives up what is kept between namespaces. Call it when no more are to be read.
func Done() {
	trees.Lock()
	t := current
	current = nil
	trees.Unlock()
	if t != nil {
		unix.Close(t.root)
	}
}

// ownProc opens sys/net of a new procfs. It needs CAP_SYS_ADMIN.
func ownProc() (int, error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return -1, err
	}
	defer unix.Close(mnt)
	return unix.Openat(mnt, "sys/net", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
}
