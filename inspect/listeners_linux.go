package inspect

import (
	"slices"

	"github.com/nscope/nscope/inspect/engine/lab"
	"github.com/nscope/nscope/inspect/netns"
	"github.com/nscope/nscope/inspect/snapshot"
	"github.com/nscope/nscope/inspect/sockdiag"
)

// offering are the namespaces in which a process may listen on published ports in a container's place: the graph needs its
// sockets to prove that. Of others it needs none.
func offering(found *netns.Found) map[snapshot.NSID]bool {
	pids := map[int]bool{}
	for _, p := range found.Processes {
		if p.Comm == "dockerd" || slices.Contains(snapshot.PortProxies, p.Comm) || lab.Holds(p) {
			pids[p.PID] = true
		}
	}
	out := map[snapshot.NSID]bool{}
	for _, ns := range found.Namespaces {
		out[ns.ID] = slices.ContainsFunc(ns.Holders, func(h snapshot.Holder) bool { return h.Kind == snapshot.HolderProc && pids[h.PID] })
	}
	return out
}

// readListeners reads the sockets of the calling thread's namespace that wait for somebody.
func readListeners(ns *snapshot.Namespace, gap func(reader string, err error, needs string)) {
	diag, err := sockdiag.Open()
	if err != nil {
		gap("sockets", err, "")
		return
	}
	defer diag.Close()
	var cut bool
	if ns.Sockets, cut, err = diag.Listening(maxSockets); err != nil {
		gap("sockets", err, "")
	}
	if cut {
		gap("sockets", errTooManySockets, "")
	}
}
