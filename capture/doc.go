// Package capture captures in many namespaces at once and names what it sees.
//
//	places, err := capture.Places(g, "web", "net:backend") // which links of which namespaces, from the Graph
//	s := capture.NewSession(capture.Config{Open: open, …})
//	s.Add(places...)
//	err = s.Run(ctx, func(e *text.Event) error { … })      // from one thread
//
// Below it: packet (headers), filter (which packets), ring (AF_PACKET), file (pcap, pcapng), text (lines, JSON). Only ring and this
// package's Session touch the kernel.
//
// It changes nothing: no promiscuous mode, no module, no BPF beyond the socket's own filter. A ring would keep a namespace alive that
// nobody else holds any more: the session watches who held it, and lets go.
package capture
