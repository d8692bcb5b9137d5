package netns

import "github.com/nscope/nscope/inspect/snapshot"

// Process is what enumeration read of one process. Everything in it is as of one moment: the process may be gone.
type Process struct {
	PID  int
	PPID int
	Comm string
	// Exe is the first word of its command line ("" for a kernel thread or where unreadable).
	Exe string
	// Args is its command line.
	Args []string
	// NSPids are its ids from the pid namespace of the /proc that was read (== PID) down to its innermost one (the
	// NSpid line of /proc/<pid>/status). Their number less one is how many pid namespaces deep it lives.
	NSPids []int
	// NetNS is empty where /proc/<pid>/ns/net could not be read.
	NetNS snapshot.NSID
	// MntNS, PidNS, UserNS are inodes of its namespaces, 0 where unreadable.
	MntNS  uint64
	PidNS  uint64
	UserNS uint64
	// Cgroup is its path in the unified hierarchy, or where it is only "/" there the longest of the others.
	Cgroup string
	// Root is "<proc>/<pid>/root", through which its files are reached.
	Root string
}
