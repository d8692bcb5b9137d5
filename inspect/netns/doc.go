// Package netns finds every network namespace of a host and is the only package that enters one.
//
//	found, err := netns.Find(ctx, netns.WithProc("/proc"))
//	for _, ns := range found.Namespaces {
//		h, err := ns.Open()       // verified: device and inode are those that were found
//		defer h.Close()
//		err = h.Do(func() error { // on a locked thread of a fresh goroutine, inside ns
//			conn, err = rtnl.Open() // a socket keeps its namespace: use it outside
//			return err
//		})
//	}
//
// Rules (design.md §6): the thread that enters a namespace is locked to its goroutine, and is left to die when it
// cannot return; the main thread never strays, because /proc/<pid>/ns/net is the main thread's; nothing that starts
// goroutines (net.Dial of a name, net/http) may run inside Do.
package netns
