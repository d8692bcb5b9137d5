package tui

import "slices"

// viewEntry is a view in the list: what it is called, on the tabs where there is little room, and what it is for.
type viewEntry struct {
	name, short, what string
	make              func(*env) view
}

// viewList are the views in the order of their numbers. A new view is a new file and one line here.
var viewList = []viewEntry{
	{"topology", "topo", "how everything is wired, as a picture or, on a narrow terminal, a tree", newTopology},
	{"containers", "ctr", "containers, pods and bare namespaces with their wires", newContainers},
	{"namespaces", "ns", "every network namespace, and what holds it", newNamespaces},
	{"networks", "net", "the engines' networks, and what carries them", newNetworks},
	{"services", "svc", "services, their virtual IPs and members", newServices},
	{"links", "link", "every interface with its other end", newLinks},
	{"packets", "pkt", "live packets of what c was pressed on: list, headers, bytes", newPackets},
	{"lab", "lab", "network modes to make, test, break and repair", newLabs},
	{"events", "evt", "what changed, as it changes, the newest first", newEvents},
}

// viewIndex is the place of a view in the list, -1 for none.
func viewIndex(name string) int {
	return slices.IndexFunc(viewList, func(v viewEntry) bool { return v.name == name })
}
