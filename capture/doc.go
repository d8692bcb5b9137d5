// Package capture captures in many namespaces at once and names what it sees.
//
//	spots, err := capture.Spots(g, "web")             // which links of which namespaces, from the Graph
//	s, err := capture.NewSession(g, capture.Config{Filter: f, VXLANPorts: capture.VXLANPorts(g)})
//	err = s.Add(ctx, spots, true)                     // opens a ring in each
//	go func() { done <- s.Run(ctx, take, idle) }()    // take(*text.Event) for each packet, until ctx ends
//	s.SetFilter(f2); s.Counts()                       // meanwhile, from another goroutine: packets, bytes, drops
//
// An event is used again for the next packet: [text.Event.Clone] keeps one. [Writer] saves events as pcapng, [Ways] puts together one
// packet's way, [flow.Table] aggregates. A file is read by package pcap, with [FilePlaces] for its interfaces.
//
// Below it: packet (headers), filter (which packets), ring (AF_PACKET), pcap (pcap, pcapng), text (lines, JSON), flow (conversations). Only ring
// and this package's Session touch the kernel.
//
// It changes nothing: no promiscuous mode, no module, no BPF beyond the socket's own filter. A ring would keep a namespace alive that
// nobody else holds any more: the session watches who held it, and lets go.
package capture
