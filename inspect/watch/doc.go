// Package watch hears what changes: links, addresses, routes, rules, neighbours, FDBs, nsids and nftables of any number of
// network namespaces, mounts of namespaces, and folders with files of them.
//
//	w, err := watch.New()
//	all, err := w.Listen(home, true)          // inside home: it and every namespace that has an nsid there
//	w.Name(home, 3, id)                       // which one that is
//	err = w.Listen(other, false)              // inside one that has none: a socket of its own
//	for batch := range w.Events() { … }
//
// One goroutine waits for all sockets; it sleeps while nothing happens.
//
// A socket keeps its namespace alive. That of a home costs nothing, as an engine lives there; one of a namespace without an nsid
// would keep it for ever: its owner looks who else holds the namespace ([netns.Find] does not count nscope's own sockets)
// and calls [Watcher.Forget] when nobody does.
//
// Nothing is told by the kernel of legacy iptables, IPVS, sysctls and counters, and of routes of IPv4 that go with their link
// or address: an event of the latter says so (Parts).
package watch
